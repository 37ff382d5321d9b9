use carnet_proto::issuer::v1::NotificationEvent;

use crate::{
    answer::tests::NOW,
    arguments::Renew,
    commands,
    failure::{DataSafety, Failure, FailureKind, Translate as _},
    service_tests::desk::{Fate, Scene, Word},
    wallet::LogEntryKind,
};

const DAY: i64 = 86_400;

/// Creates a wallet with a credential that ends in ten days and has one shown copy, and an issuer with these outcomes.
async fn near_the_end(fates: impl IntoIterator<Item = Fate>) -> Scene {
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    let mut wallet = scene.context.wallet.open().unwrap();
    wallet.contents.credentials[0].copies[0].presented_to.push("asker".to_owned());
    wallet.save().unwrap();
    drop(wallet);
    scene.set_clock(NOW.plus(356 * DAY));
    let mut record = scene.desk.record.lock().unwrap();
    record.fates.extend(fates);
    record.events.clear();
    drop(record);
    scene
}

async fn renewed(scene: &Scene, ids: &[&str]) -> Result<(), Failure> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    commands::renew::run(&scene.context, &Renew { ids }).await
}

#[track_caller]
fn is_renewed(scene: &Scene) {
    let contents = scene.contents();
    assert_eq!(contents.credentials.len(), 1, "in the place of the one before");
    let held = &contents.credentials[0];
    assert_eq!(held.valid_until, Some(NOW.plus(400 * DAY).start_of_day()));
    // The shown copy keeps its key for its receipt; the fresh ones are deleted.
    assert_eq!((held.copies.len(), held.unused_copies()), (4, 3));
    assert!(
        !held.copies[0].is_presentable()
            && held.copies[0].presented_to == ["asker"]
            && held.copies[0].key.decode().is_ok()
    );
    assert!(contents.pending_issuances.is_empty());
    let last = contents.log.newest().unwrap();
    assert_eq!((last.kind, last.credentials[0].id.as_str()), (LogEntryKind::Received, held.id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_renewed_in_its_own_place_with_a_copy_that_was_seen() {
    let scene = near_the_end([]).await;
    let before = scene.contents().credentials[0].clone();
    assert!(before.is_due_for_renewal(NOW.plus(356 * DAY)) && !before.is_due_for_renewal(NOW));
    renewed(&scene, &[]).await.unwrap();
    is_renewed(&scene);
    assert_eq!(scene.contents().credentials[0].id, before.id);
    assert!(scene.record(|record| record.shown[0].starts_with(&*before.copies[0].credential.text())));
    assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialAccepted as i32]);
    // Nothing ends soon now, so the issuer is not called.
    renewed(&scene, &[]).await.unwrap();
    assert_eq!(scene.record(|record| record.shown.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_approval_is_waited_for_and_asked_for_once() {
    let scene = near_the_end([Fate::Deferred]).await;
    let before = scene.contents().credentials[0].clone();
    renewed(&scene, &[]).await.unwrap();
    assert_eq!(scene.contents().pending_issuances.len(), 1);
    let again = renewed(&scene, &[]).await.unwrap_err();
    assert_eq!((again.reason.as_str(), again.kind), ("renewal_waiting", FailureKind::Temporary));
    assert_eq!(scene.record(|record| record.shown.len()), 1);
    // While the renewal is pending, the existing copies remain valid.
    scene.desk.record.lock().unwrap().fates.push_back(Fate::Deferred);
    assert_eq!(scene.resume().await.unwrap_err().reason, "not_ready");
    assert_eq!(scene.contents().credentials[0].valid_until, before.valid_until);
    scene.resume().await.unwrap();
    is_renewed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_ends_the_waiting_and_leaves_what_there_is() {
    for reason in ["CREDENTIAL_REQUEST_DENIED", "REVOKED"] {
        let scene = near_the_end([Fate::Deferred, Fate::Refused(reason)]).await;
        let before = serde_json::to_string(&scene.contents().credentials).unwrap();
        renewed(&scene, &[]).await.unwrap();
        let refused = scene.resume().await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.kind), (reason.to_lowercase().as_str(), FailureKind::Permanent));
        let contents = scene.contents();
        assert!(contents.pending_issuances.is_empty());
        assert_eq!(contents.log.newest().unwrap().reason, reason.to_lowercase());
        assert_eq!(serde_json::to_string(&contents.credentials).unwrap(), before);
        renewed(&scene, &[]).await.unwrap();
        is_renewed(&scene);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_or_ends_no_later_is_not_stored() {
    for (fate, reason) in [(Fate::Spoiled, "holder_mismatch"), (Fate::Changed, "renewal_not_longer")] {
        let scene = near_the_end([fate]).await;
        let before = serde_json::to_string(&scene.contents()).unwrap();
        let refused = renewed(&scene, &[]).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.safety), (reason, DataSafety::Issuer));
        assert_eq!(serde_json::to_string(&scene.contents()).unwrap(), before);
        assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialFailure as i32]);
        renewed(&scene, &[]).await.unwrap();
        is_renewed(&scene);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_and_a_lost_answer_change_nothing() {
    for fate in [Fate::Refused("RENEWAL_EARLY"), Fate::Refused("RENEWAL_UNAVAILABLE"), Fate::Lost] {
        let scene = near_the_end([fate]).await;
        let before = serde_json::to_string(&scene.contents()).unwrap();
        assert_eq!(renewed(&scene, &[]).await.unwrap_err().safety, DataSafety::Issuer);
        assert_eq!(serde_json::to_string(&scene.contents()).unwrap(), before);
        renewed(&scene, &[]).await.unwrap();
        is_renewed(&scene);
    }
    let scene = near_the_end([Fate::Refused("INVALID_NONCE")]).await;
    renewed(&scene, &[]).await.unwrap();
    is_renewed(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_is_not_asked_for() {
    use carnet_proto::issuer::v1::CopyState;
    for (state, reason) in [(CopyState::Revoked, "revoked"), (CopyState::Suspended, "suspended")] {
        let scene = near_the_end([]).await;
        scene.desk.record.lock().unwrap().words.push_back(Word::All(state));
        let refresh = crate::arguments::Refresh { when_due: false };
        commands::refresh::run(&scene.context, &refresh).await.unwrap();
        let refused = renewed(&scene, &[]).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.safety), (reason, DataSafety::Untouched));
        assert!(refused.hint.english().contains("ask the issuer"));
        assert!(scene.record(|record| record.shown.is_empty()));
        // The issuer has changed its claims.
        scene.set_clock(NOW.plus(356 * DAY + 60));
        commands::refresh::run(&scene.context, &refresh).await.unwrap();
        renewed(&scene, &[]).await.unwrap();
        is_renewed(&scene);
    }
}
