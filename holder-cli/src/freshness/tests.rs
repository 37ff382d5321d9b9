use super::*;
use crate::{
    answer::tests::NOW,
    arguments::Refresh,
    commands,
    failure::TRY_AGAIN,
    pending::tests::{Scene, Word},
    wallet::{Copy, HolderKey},
};

async fn received(words: impl IntoIterator<Item = Word>) -> Scene {
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    scene.desk.record.lock().unwrap().words.extend(words);
    scene
}

async fn refreshed(scene: &Scene, when_due: bool) -> Result<(), Failure> {
    commands::refresh::run(&scene.session, &Refresh { when_due }).await
}

fn confirmed(scene: &Scene, now: Timestamp) -> usize {
    scene.contents().credentials[0].vouched_for(now).0
}

#[tokio::test(flavor = "multi_thread")]
async fn all_copies_are_asked_for_in_one_call_and_confirmed_alike() {
    let scene = received([]).await;
    let mut wallet = scene.session.open().unwrap();
    // One that was shown is asked for as the others are; one of which only the key is left cannot be.
    wallet.contents.credentials[0].copies[0].shown_to.push("asker".to_owned());
    wallet.contents.credentials[0].copies.push(Copy::new(String::new(), HolderKey::draw()));
    wallet.save().unwrap();
    drop(wallet);
    scene.set_clock(NOW.plus(2_000));
    refreshed(&scene, false).await.unwrap();
    let asked = scene.record(|record| record.asked.clone());
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
    assert!(asked[0].is_sorted(), "their order says nothing");
    let contents = scene.contents();
    let copies = &contents.credentials[0].copies;
    let times: std::collections::BTreeSet<_> = copies
        .iter()
        .filter_map(|copy| copy.fresh(NOW.plus(2_000)))
        .map(|statement| (statement.since, statement.until))
        .collect();
    assert_eq!(times.into_iter().collect::<Vec<_>>(), [(NOW, NOW.plus(86_400))]);
    assert!(copies[3].standing.is_none());
    assert_eq!(contents.credentials[0].vouched_for(NOW.plus(2_000)), (2, Some(NOW.plus(86_400))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_not_stored() {
    for (word, reason) in [
        (Word::Fine, "malformed_value"),
        (Word::FineEnd, "malformed_value"),
        (Word::Headed, "malformed_value"),
        (Word::Unlike, "malformed_value"),
        (Word::Moved, "status_list_mismatch"),
        (Word::Foreign, "signature_invalid"),
        (Word::Marked, "malformed_value"),
        (Word::Short, "malformed_value"),
        (Word::All(CopyState::Unspecified), "malformed_value"),
    ] {
        let scene = received([word]).await;
        let refused = refreshed(&scene, false).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.safety), (reason, Safety::Untouched));
        assert!(scene.contents().credentials[0].copies.iter().all(|copy| copy.standing.is_none()));
        refreshed(&scene, false).await.unwrap();
        assert_eq!(confirmed(&scene, NOW), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_changes_nothing_and_can_be_asked_for_again() {
    let scene = received([Word::Lost]).await;
    let lost = refreshed(&scene, false).await.unwrap_err();
    assert_eq!((lost.reason.as_str(), lost.exit), ("unavailable", TRY_AGAIN));
    assert_eq!(confirmed(&scene, NOW), 0);
    refreshed(&scene, false).await.unwrap();
    assert_eq!(confirmed(&scene, NOW), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuer_at_the_address_is_asked_nothing() {
    let scene = received([]).await;
    scene.desk.record.lock().unwrap().claimed_issuer = crate::answer::tests::Issuer::new().did.to_string();
    assert_eq!(refreshed(&scene, false).await.unwrap_err().reason, "issuer_mismatch");
    assert!(scene.record(|record| record.asked.is_empty()));
    scene.desk.record.lock().unwrap().claimed_issuer.clear();
    refreshed(&scene, false).await.unwrap();
    assert_eq!(confirmed(&scene, NOW), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_took_back_is_said_and_not_shown_until_it_says_otherwise() {
    for (word, state) in [
        (Word::All(CopyState::Revoked), Some(State::Revoked)),
        (Word::All(CopyState::Suspended), Some(State::Suspended)),
        (Word::First(CopyState::Revoked), Some(State::Revoked)),
        (Word::All(CopyState::Unknown), None),
    ] {
        let scene = received([word]).await;
        refreshed(&scene, false).await.unwrap();
        let contents = scene.contents();
        assert_eq!(contents.credentials[0].withdrawn().map(|standing| standing.state), state);
        // What was said last counts.
        scene.set_clock(NOW.plus(60));
        refreshed(&scene, false).await.unwrap();
        assert!(scene.contents().credentials[0].withdrawn().is_none());
        assert_eq!(confirmed(&scene, NOW.plus(60)), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_used_until_shortly_before_its_end_and_then_erased() {
    let scene = received([]).await;
    refreshed(&scene, false).await.unwrap();
    let end = 86_400 - 120;
    for (seconds, fresh) in [(-1, 0), (0, 3), (end - 1, 3), (end, 0), (86_400, 0)] {
        assert_eq!(confirmed(&scene, NOW.plus(seconds)), fresh, "{seconds}");
    }
    scene.set_clock(NOW.plus(end));
    scene.desk.record.lock().unwrap().words.push_back(Word::Lost);
    refreshed(&scene, false).await.unwrap_err();
    let contents = scene.contents();
    let kept = |copy: &Copy| copy.standing.as_ref().is_some_and(|standing| standing.statement.is_some());
    assert!(!contents.credentials[0].copies.iter().any(kept), "erased though no new one came");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_says_when_the_time_is_drawn() {
    let scene = received([]).await;
    refreshed(&scene, true).await.unwrap();
    let drawn = scene.contents().refresh_after.unwrap();
    assert!((NOW.plus(28_800)..NOW.plus(57_600)).contains(&drawn));
    scene.set_clock(drawn.plus(-1));
    refreshed(&scene, true).await.unwrap();
    assert_eq!(scene.record(|record| record.asked.len()), 1);
    scene.set_clock(drawn);
    refreshed(&scene, true).await.unwrap();
    assert_eq!(scene.record(|record| record.asked.len()), 2);
    let mut contents = scene.contents();
    let times: std::collections::BTreeSet<_> = (0..40)
        .map(|_| {
            draw_next(&mut contents, drawn);
            contents.refresh_after
        })
        .collect();
    assert!(times.len() > 20, "it is drawn each time");
}
