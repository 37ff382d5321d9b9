use carnet_core::time::Timestamp;
use carnet_proto::issuer::v1::CopyState;

use crate::{
    answer::tests::NOW,
    arguments::{Refill, Refresh},
    commands,
    failure::{DataSafety, Failure, FailureKind},
    service_tests::desk::{Scene, Word},
    wallet::{CredentialCopy, HolderKey, cached_status::CopyState as State},
};
use carnet_wallet::freshness::schedule_refresh;

/// Start of the epoch that contains [`NOW`].
const EPOCH: Timestamp = NOW.plus(-7_200);

async fn received(words: impl IntoIterator<Item = Word>) -> Scene {
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    scene.desk.record.lock().unwrap().words.extend(words);
    scene
}

async fn refreshed(scene: &Scene, when_due: bool) -> Result<(), Failure> {
    commands::refresh::run(&scene.context, &Refresh { when_due }).await
}

fn confirmed(scene: &Scene, now: Timestamp) -> usize {
    scene.contents().credentials[0].count_confirmed_copies(now).0
}

#[tokio::test(flavor = "multi_thread")]
async fn all_copies_are_asked_for_in_one_call_and_confirmed_alike() {
    let scene = received([]).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    // A shown copy is asked for like the others; one of which only the key is left cannot be.
    wallet.contents.credentials[0].copies[0].presented_to.push("asker".to_owned());
    wallet.contents.credentials[0].copies.push(CredentialCopy::new(String::new(), HolderKey::generate()));
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
        .filter_map(|copy| copy.current_statements(NOW.plus(2_000)))
        .map(|statement| (statement.since, statement.until))
        .collect();
    assert_eq!(times.into_iter().collect::<Vec<_>>(), [(EPOCH, EPOCH.plus(86_400))]);
    assert!(copies[3].status.is_none());
    assert_eq!(contents.credentials[0].count_confirmed_copies(NOW.plus(2_000)), (2, Some(EPOCH.plus(86_400))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_not_stored() {
    for (word, reason) in [
        (Word::Fine, "malformed_value"),
        (Word::FineEnd, "malformed_value"),
        (Word::Headed, "malformed_value"),
        (Word::Unlike, "malformed_value"),
        (Word::Few, "malformed_value"),
        (Word::Turned, "malformed_value"),
        // The oldest extra statement ended when this epoch began.
        (Word::Many, "status_list_stale"),
        (Word::Moved, "status_list_mismatch"),
        (Word::Foreign, "signature_invalid"),
        (Word::Marked, "malformed_value"),
        (Word::Short, "malformed_value"),
        (Word::Talkative, "malformed_value"),
        (Word::All(CopyState::Unspecified), "malformed_value"),
    ] {
        let scene = received([word]).await;
        scene.desk.record.lock().unwrap().freshness_seconds = matches!(word, Word::Unlike).then_some(172_800);
        let refused = refreshed(&scene, false).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.safety), (reason, DataSafety::Untouched));
        scene.desk.record.lock().unwrap().freshness_seconds = None;
        assert!(scene.contents().credentials[0].copies.iter().all(|copy| copy.status.is_none()));
        refreshed(&scene, false).await.unwrap();
        assert_eq!(confirmed(&scene, NOW), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_changes_nothing_and_can_be_asked_for_again() {
    let scene = received([Word::Lost]).await;
    let lost = refreshed(&scene, false).await.unwrap_err();
    assert_eq!((lost.reason.as_str(), lost.kind), ("unavailable", FailureKind::Temporary));
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
    ] {
        let scene = received([word]).await;
        refreshed(&scene, false).await.unwrap();
        let contents = scene.contents();
        assert_eq!(contents.credentials[0].withdrawn_status().map(|standing| standing.state), state);
        // The latest statement counts.
        scene.set_clock(NOW.plus(60));
        refreshed(&scene, false).await.unwrap();
        assert!(scene.contents().credentials[0].withdrawn_status().is_none());
        assert_eq!(confirmed(&scene, NOW.plus(60)), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_used_until_shortly_before_its_end_and_then_erased() {
    let scene = received([]).await;
    refreshed(&scene, false).await.unwrap();
    let end = 86_400 - 120;
    for (seconds, fresh) in [(-1, 0), (0, 3), (end - 1, 3), (end, 0), (86_400, 0)] {
        assert_eq!(confirmed(&scene, EPOCH.plus(seconds)), fresh, "{seconds}");
    }
    scene.set_clock(EPOCH.plus(end));
    scene.desk.record.lock().unwrap().words.push_back(Word::Lost);
    refreshed(&scene, false).await.unwrap_err();
    let contents = scene.contents();
    let kept = |copy: &CredentialCopy| copy.status.as_ref().is_some_and(|standing| standing.statement.is_some());
    assert!(!contents.credentials[0].copies.iter().any(kept), "erased though no new one came");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_says_when_the_time_is_drawn() {
    let scene = received([]).await;
    refreshed(&scene, true).await.unwrap();
    let drawn = scene.contents().refresh_after.unwrap();
    assert!((NOW.plus(26_400)..NOW.plus(52_800)).contains(&drawn));
    scene.set_clock(drawn.plus(-1));
    refreshed(&scene, true).await.unwrap();
    assert_eq!(scene.record(|record| record.asked.len()), 1);
    scene.set_clock(drawn);
    refreshed(&scene, true).await.unwrap();
    assert_eq!(scene.record(|record| record.asked.len()), 2);
    let mut contents = scene.contents();
    let times: std::collections::BTreeSet<_> = (0..40)
        .map(|_| {
            schedule_refresh(&mut contents, drawn);
            contents.refresh_after
        })
        .collect();
    assert!(times.len() > 20, "it is drawn each time");
}

/// Otherwise an issuer could recognise a wallet by the lifetime of its statements.
#[tokio::test(flavor = "multi_thread")]
async fn statements_hold_as_long_as_the_issuer_says_to_everybody() {
    let scene = received([]).await;
    for seconds in [64_800, 108_000, 43_200] {
        scene.desk.record.lock().unwrap().freshness_seconds = Some(seconds);
        assert_eq!(refreshed(&scene, false).await.unwrap_err().reason, "malformed_value");
        assert_eq!(confirmed(&scene, NOW), 0);
    }
    scene.desk.record.lock().unwrap().freshness_seconds = None;
    refreshed(&scene, false).await.unwrap();
    assert_eq!(confirmed(&scene, NOW), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_knows_no_handles_is_asked_nothing() {
    let scene = received([]).await;
    scene.desk.record.lock().unwrap().freshness_seconds = Some(0);
    assert_eq!(refreshed(&scene, false).await.unwrap_err().reason, "freshness_unsupported");
    assert!(scene.record(|record| record.asked.is_empty()));
}

/// The lists have marked them together, so an archive of the lists can link them to one person.
#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_marked_are_discarded_for_new_ones_and_the_owner_reads_why() {
    let scene = received([Word::Outdated]).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    wallet.contents.credentials[0].copies[0].presented_to.push("asker".to_owned());
    wallet.save().unwrap();
    drop(wallet);
    let before = scene.contents().credentials[0].copies.clone();
    refreshed(&scene, false).await.unwrap();
    let held = scene.contents().credentials[0].clone();
    let kept: Vec<_> = held.copies.iter().map(|copy| (copy.is_presentable(), copy.is_linkable())).collect();
    // The key of the shown copy remains, for receipts; a second call confirmed three new copies.
    assert_eq!(kept, [(false, false), (true, false), (true, false), (true, false)]);
    assert_eq!((held.unused_copies(), confirmed(&scene, NOW)), (3, 3));
    for old in before {
        assert!(held.copies.iter().all(|copy| copy.credential.text() != old.credential.text()));
    }
    assert_eq!(scene.record(|record| (record.shown.len(), record.asked.len())), (1, 2));
    // This issuer says nothing about the new copies.
    assert!(held.issuer_message().is_none());
    refreshed(&scene, false).await.unwrap();
    assert_eq!(scene.record(|record| record.shown.len()), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_replaced_stays_until_there_are_new_copies_and_goes_last() {
    let scene = received([Word::Outdated]).await;
    scene.desk.record.lock().unwrap().fates.push_back(crate::service_tests::desk::Fate::Refused("STORE_BUSY"));
    assert_eq!(refreshed(&scene, false).await.unwrap_err().reason, "store_busy");
    let held = scene.contents().credentials[0].clone();
    assert!(held.copies.iter().all(|copy| copy.is_presentable() && copy.is_linkable()));
    assert_eq!(held.issuer_message().unwrap().message, "the card was lost");
    // `carnet refill` does the same as the next refresh, although there are enough copies.
    commands::refill::run(&scene.context, &crate::arguments::Refill { ids: Vec::new(), all: false }).await.unwrap();
    let held = scene.contents().credentials[0].clone();
    assert!(held.unused_copies() == 3 && !held.has_outdated_copies());
}

/// Copies issued before handles existed.
#[tokio::test(flavor = "multi_thread")]
async fn copies_that_the_issuer_does_not_know_by_their_handles_are_replaced_or_known_as_taken_back() {
    use crate::service_tests::desk::Fate;
    for (fate, state, shown) in [
        (None, None, 3),
        (Some(Fate::Refused("SUSPENDED")), Some(State::Suspended), 0),
        (Some(Fate::Refused("REVOKED")), Some(State::Revoked), 0),
        (Some(Fate::Refused("COPY_UNKNOWN")), None, 0),
    ] {
        let scene = received([Word::All(CopyState::Unknown)]).await;
        let contents = scene.contents();
        let before: Vec<_> = contents.credentials[0].copies.iter().map(|copy| copy.credential.text()).collect();
        scene.desk.record.lock().unwrap().fates.extend(fate);
        refreshed(&scene, false).await.unwrap();
        let held = scene.contents().credentials[0].clone();
        assert_eq!(held.withdrawn_status().map(|standing| standing.state), state);
        let kept = held.copies.iter().filter(|copy| copy.is_presentable());
        let new = kept.filter(|copy| !before.contains(&copy.credential.text())).count();
        assert_eq!((new, confirmed(&scene, NOW)), (shown, shown));
    }
}

/// The numbers of copies that the issuer was asked for, call by call.
fn asked(scene: &Scene) -> Vec<usize> {
    scene.record(|record| record.asked.iter().map(Vec::len).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_come_to_a_wallet_that_refreshes_are_confirmed_at_once() {
    let scene = received([]).await;
    let id = scene.contents().credentials[0].id.clone();
    let refill = Refill { ids: vec![id], all: false };
    // One that never refreshed has no statements, and asks for none.
    commands::refill::run(&scene.context, &refill).await.unwrap();
    assert_eq!((asked(&scene), confirmed(&scene, NOW)), (Vec::new(), 0));
    refreshed(&scene, false).await.unwrap();
    let before = confirmed(&scene, NOW);
    commands::refill::run(&scene.context, &refill).await.unwrap();
    assert_eq!(confirmed(&scene, NOW), before + 3);
    // All copies in one call.
    assert_eq!(asked(&scene), [6, 9]);
    assert!(scene.contents().refresh_after.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_cannot_be_confirmed_are_there_all_the_same() {
    let scene = received([]).await;
    refreshed(&scene, false).await.unwrap();
    scene.desk.record.lock().unwrap().words.push_back(Word::Lost);
    let id = scene.contents().credentials[0].id.clone();
    commands::refill::run(&scene.context, &Refill { ids: vec![id], all: false }).await.unwrap();
    assert_eq!(scene.contents().credentials[0].copies.len(), 6);
    assert_eq!(asked(&scene), [3, 6]);
    // They are asked for again with the next refresh.
    refreshed(&scene, false).await.unwrap();
    assert_eq!(confirmed(&scene, NOW), scene.contents().credentials[0].unused_copies());
}
