use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{epoch::Epoch, format::CredentialFormat, keys::Signer as _, secure::sd_jwt::SdJwt};
use carnet_proto::issuer::v1::NotificationEvent;

use carnet_wallet::automatic_refill::refill_if_low;

use crate::{
    answer::tests::{self as issuing, NOW},
    arguments::Refill,
    commands,
    failure::{DataSafety, Failure, FailureKind, FailureOutput as _},
    service_tests::desk::{Fate, Scene},
    wallet::{HeldCredential, WalletContents},
};

/// Creates a wallet that received three copies and showed some, and an issuer with these outcomes.
async fn received(shown: usize, fates: impl IntoIterator<Item = Fate>) -> Scene {
    let scene = Scene::set([]).await;
    scene.receive().await.unwrap();
    scene.desk.record.lock().unwrap().fates.extend(fates);
    scene.desk.record.lock().unwrap().events.clear();
    let mut wallet = scene.context.wallet.open().unwrap();
    for copy in wallet.contents.credentials[0].copies.iter_mut().take(shown) {
        copy.presented_to.push("asker".to_owned());
    }
    wallet.save().unwrap();
    scene
}

async fn refilled(scene: &Scene, ids: &[&str], all: bool) -> Result<(), Failure> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    commands::refill::run(&scene.context, &Refill { ids, all }).await
}

fn counts(contents: &WalletContents) -> (usize, usize) {
    let held = &contents.credentials[0];
    (held.copies.len(), held.unused_copies())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_low_is_refilled_with_a_copy_that_was_seen() {
    let scene = received(2, []).await;
    let before = scene.contents().credentials[0].clone();
    assert!(before.needs_refill() && before.is_refillable());
    assert!(before.copies.iter().all(|copy| copy.commitments.len() == 3));
    refilled(&scene, &[], false).await.unwrap();
    let contents = scene.contents();
    assert_eq!(counts(&contents), (6, 4));
    let held = &contents.credentials[0];
    assert!(!held.needs_refill() && held.refill_threshold <= 2);
    assert_eq!((held.id.as_str(), held.valid_until), (before.id.as_str(), before.valid_until));
    // A copy that a verifier has seen is presented; no fresh one is used up.
    let shown = scene.record(|record| record.shown[0].clone());
    assert!(before.copies.iter().take(2).any(|copy| shown.starts_with(&*copy.credential.text())));
    // The new copies have commitments and keys of their own, and the issuer is notified.
    assert!(held.copies.iter().all(|copy| copy.commitments.len() == 3 && copy.proved_thresholds.is_empty()));
    let keys: std::collections::BTreeSet<_> =
        held.copies.iter().map(|copy| copy.key.decode().map(|key| key.to_bytes().to_vec()).unwrap()).collect();
    assert_eq!(keys.len(), 6);
    assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialAccepted as i32]);
    // Nothing runs low now, so the issuer is not called.
    refilled(&scene, &[], false).await.unwrap();
    assert_eq!(scene.record(|record| record.shown.len()), 1);
    // By id or with --all, it is called nevertheless.
    refilled(&scene, &[before.id.as_str()], false).await.unwrap();
    refilled(&scene, &[], true).await.unwrap();
    assert_eq!(counts(&scene.contents()), (12, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_92_copies_in_a_form_of_before_are_refilled_all_the_same() {
    let scene = received(2, []).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    for copy in &mut wallet.contents.credentials[0].copies {
        // Not canonical, as earlier issuers wrote it.
        let text = copy.credential.text().into_owned();
        let (jwt, disclosures) = text.split_once('~').unwrap();
        let header = jwt.split('.').next().unwrap();
        let payload = serde_json::to_vec_pretty(SdJwt::parse(&text).unwrap().jws().payload()).unwrap();
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(scene.desk.issuer.key.sign(input.as_bytes()).unwrap());
        copy.credential = format!("{input}.{signature}~{disclosures}").into();
    }
    wallet.save().unwrap();
    drop(wallet);
    refilled(&scene, &[], false).await.unwrap();
    assert_eq!(counts(&scene.contents()), (6, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_copy_is_spent_once_if_there_is_no_other() {
    let scene = received(0, [Fate::Lost]).await;
    let id = scene.contents().credentials[0].id.clone();
    for expected in [(3, 2), (6, 5), (9, 8)] {
        let _ = refilled(&scene, &[&id], false).await;
        assert_eq!(counts(&scene.contents()), expected);
    }
    let contents = scene.contents();
    let spent: Vec<_> = contents.credentials[0].copies.iter().filter(|copy| !copy.is_unused()).collect();
    assert_eq!(spent.len(), 1);
    assert_eq!(spent[0].presented_to, [scene.desk.issuer.did.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_shown_with_the_time_of_when_it_is() {
    for pause in [0, 360] {
        let scene = received(2, []).await;
        scene.desk.record.lock().unwrap().pause = pause;
        // The issuer refuses a key binding older than one minute.
        refilled(&scene, &[], false).await.unwrap();
        let shown = scene.record(|record| record.shown[0].clone());
        let binding = SdJwt::parse(&shown).unwrap().key_binding().unwrap().payload()["iat"].clone();
        assert_eq!(binding, NOW.plus(pause).unix());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_with_other_keys() {
    let scene = received(3, [Fate::Lost]).await;
    let lost = refilled(&scene, &[], false).await.unwrap_err();
    assert_eq!(
        (lost.reason.as_str(), lost.kind, lost.safety),
        ("unavailable", FailureKind::Temporary, DataSafety::Issuer)
    );
    assert_eq!(lost.json()["failed"][0]["reason"], "unavailable");
    assert_eq!(counts(&scene.contents()), (3, 0));
    // The issuer refuses a key that already has a copy.
    refilled(&scene, &[], false).await.unwrap();
    assert_eq!(counts(&scene.contents()), (6, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_came_too_late_is_replaced_once() {
    let scene = received(2, [Fate::Refused("INVALID_NONCE")]).await;
    refilled(&scene, &[], false).await.unwrap();
    assert_eq!(counts(&scene.contents()), (6, 4));
    let scene = received(2, [Fate::Refused("INVALID_NONCE"), Fate::Refused("INVALID_NONCE")]).await;
    let refused = refilled(&scene, &[], false).await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.kind), ("invalid_nonce", FailureKind::Temporary));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_issuer_refuses_is_said_and_changes_nothing() {
    for (reason, exit) in [
        ("COPY_UNKNOWN", FailureKind::Permanent),
        ("REFILL_UNSUPPORTED", FailureKind::Permanent),
        ("REFILL_LIMIT", FailureKind::Temporary),
        ("STORE_BUSY", FailureKind::Temporary),
    ] {
        let scene = received(2, [Fate::Refused(reason)]).await;
        let before = serde_json::to_string(&scene.contents()).unwrap();
        let refused = refilled(&scene, &[], false).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.kind), (reason.to_lowercase().as_str(), exit));
        assert_eq!(refused.safety, DataSafety::Issuer);
        assert_eq!(serde_json::to_string(&scene.contents()).unwrap(), before);
        refilled(&scene, &[], false).await.unwrap();
        assert_eq!(counts(&scene.contents()), (6, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_do_not_hold_or_say_something_else_are_not_stored() {
    for (fate, reason) in
        [(Fate::Spoiled, "holder_mismatch"), (Fate::Changed, "claims_changed"), (Fate::Prolonged, "claims_changed")]
    {
        let scene = received(2, [fate]).await;
        let before = serde_json::to_string(&scene.contents()).unwrap();
        let refused = refilled(&scene, &[], false).await.unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.kind, refused.safety),
            (reason, FailureKind::Permanent, DataSafety::Issuer)
        );
        assert_eq!(serde_json::to_string(&scene.contents()).unwrap(), before);
        assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialFailure as i32]);
        refilled(&scene, &[], false).await.unwrap();
        assert_eq!(counts(&scene.contents()), (6, 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_before_are_given_up_for_those_of_a_cohort() {
    use carnet_proto::issuer::v1::ValidityEpoch;
    let scene = received(2, [Fate::Rounded, Fate::Rounded]).await;
    let before = scene.contents().credentials[0].clone();
    // An issuer without epochs must not round.
    assert_eq!(refilled(&scene, &[], false).await.unwrap_err().reason, "claims_changed");
    scene.desk.record.lock().unwrap().epoch = ValidityEpoch::Month;
    refilled(&scene, &[], false).await.unwrap();
    let held = scene.contents().credentials[0].clone();
    assert_eq!(held.valid_from, before.valid_from.map(|at| Epoch::Month.start(at)));
    assert_eq!(held.valid_until, before.valid_until.map(|at| Epoch::Month.start(at)));
    assert!(held.valid_until < before.valid_until && held.epoch == Some(Epoch::Month));
    // The fresh copy is deleted; the shown ones keep their keys.
    assert_eq!((held.copies.len(), held.unused_copies()), (5, 3));
    assert_eq!(held.copies.iter().filter(|copy| !copy.is_presentable()).count(), 2);
    // From now on these are the dates: others are refused, equal ones accepted.
    let id = held.id.as_str();
    assert_eq!(refilled(&scene, &[id], false).await.unwrap_err().reason, "claims_changed");
    scene.desk.record.lock().unwrap().fates.push_back(Fate::Rounded);
    refilled(&scene, &[id], false).await.unwrap();
    assert_eq!(scene.contents().credentials[0].unused_copies(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuer_at_the_address_is_shown_nothing() {
    let scene = received(2, []).await;
    let other = issuing::Issuer::new().did.to_string();
    scene.desk.record.lock().unwrap().claimed_issuer = other;
    let refused = refilled(&scene, &[], false).await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.safety), ("issuer_mismatch", DataSafety::Untouched));
    assert!(scene.record(|record| record.shown.is_empty() && record.nonces == 1));
    scene.desk.record.lock().unwrap().claimed_issuer.clear();
    refilled(&scene, &[], false).await.unwrap();
    assert_eq!(counts(&scene.contents()), (6, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_refilled_is_not_asked_for() {
    let scene = received(3, []).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    let template = wallet.contents.credentials.remove(0);
    for (id, format, endpoint, now_past) in [
        ("aaaa", CredentialFormat::DiVcJcs, template.endpoint.clone(), false),
        ("bbbb", CredentialFormat::VcSdJwt, None, false),
        ("cccc", CredentialFormat::VcSdJwt, template.endpoint.clone(), true),
        ("dddd", CredentialFormat::VcSdJwt, Some("https://relay.example".to_owned()), false),
    ] {
        let until = if now_past { Some(NOW.plus(-1)) } else { template.valid_until };
        wallet.contents.credentials.push(HeldCredential {
            id: id.to_owned(),
            format,
            endpoint,
            valid_until: until,
            ..template.clone()
        });
    }
    wallet.save().unwrap();
    drop(wallet);
    for (id, reason) in [
        ("aaaa", "refill_unsupported"),
        ("bbbb", "endpoint_unknown"),
        ("cccc", "expired"),
        ("dddd", "endpoint_unknown"),
    ] {
        let refused = refilled(&scene, &[id], false).await.unwrap_err();
        assert_eq!(
            (refused.reason.as_str(), refused.kind, refused.safety),
            (reason, FailureKind::Permanent, DataSafety::Untouched)
        );
    }
    // Without an id they are skipped, and the automatic refill skips them silently.
    refilled(&scene, &[], false).await.unwrap();
    let mut wallet = scene.context.wallet.open().unwrap();
    refill_if_low(&scene.context, &mut wallet).await;
    assert!(scene.record(|record| record.shown.is_empty()));
    // The same credential in a refillable form.
    wallet.contents.credentials.push(template);
    refill_if_low(&scene.context, &mut wallet).await;
    assert_eq!(scene.record(|record| record.shown.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_showing_only_what_runs_low_is_refilled_and_a_failure_is_no_failure() {
    let scene = received(1, []).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    refill_if_low(&scene.context, &mut wallet).await;
    assert_eq!(counts(&wallet.contents), (3, 2), "two are left, and it is low at one");
    wallet.contents.credentials[0].copies[1].presented_to.push("asker".to_owned());
    scene.desk.record.lock().unwrap().fates.push_back(Fate::Refused("COPY_UNKNOWN"));
    refill_if_low(&scene.context, &mut wallet).await;
    assert_eq!(counts(&wallet.contents), (3, 1));
    refill_if_low(&scene.context, &mut wallet).await;
    assert_eq!(counts(&wallet.contents), (6, 4));
    drop(wallet);
    assert_eq!(counts(&scene.contents()), (6, 4), "and it is in the file");
}
