use carnet_core::secure::jose::{Jws, KeyRef};
use carnet_proto::issuer::v1::NotificationEvent;

use carnet_wallet::receive::resume_issuances;
use serde_json::json;

use super::desk::{CONFIGURATION, Fate, Scene};
use crate::{
    answer::tests::NOW,
    failure::{DataSafety, FailureKind, Translate as _},
    issuance::sign_proofs,
    wallet::{IssuanceStage, PendingIssuance},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_by_the_same_call() {
    for by_offer in [true, false] {
        let scene = Scene::set([Fate::Lost, Fate::Lost]).await;
        let again = if by_offer { Some(scene.offer.as_str()) } else { None };
        for attempt in 1..=2 {
            let lost = if attempt == 1 { scene.receive().await } else { scene.run(again).await }.unwrap_err();
            assert_eq!((lost.kind, lost.safety), (FailureKind::Temporary, DataSafety::Stored), "{lost:?}");
            assert!(lost.hint.english().contains("--resume"));
            assert_eq!(scene.contents().pending_issuances.len(), 1);
        }
        scene.run(again).await.unwrap();
        scene.has_received();
        let (redeemed, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
        assert_eq!((redeemed, calls.len()), (1, 3));
        assert!(calls[0].len() == 3 && calls.iter().all(|call| *call == calls[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_of_when_they_are_made_however_long_the_owner_thinks() {
    for pause in [0, 360] {
        let scene = Scene::set([Fate::Refused("INVALID_NONCE")]).await;
        scene.desk.record.lock().unwrap().pause = pause;
        scene.receive().await.unwrap();
        let calls = scene.record(|record| record.calls.clone());
        assert_eq!(calls.len(), 2, "made twice");
        for proof in calls.iter().flatten() {
            assert_eq!(Jws::parse(proof).unwrap().payload()["iat"], json!(NOW.plus(pause).unix()));
        }
        scene.has_received();
        assert_eq!(scene.contents().credentials[0].received_at, NOW.plus(pause));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_stored_can_be_had_again() {
    let scene = Scene::set([]).await;
    let mut wallet = scene.context.wallet.open().unwrap();
    let keys = crate::issuance::generate_keys(3);
    let proofs = sign_proofs(&keys, scene.desk.issuer.did.as_str(), "nonce", NOW).unwrap();
    let endpoint = crate::offer::ReceivedOffer::parse(&scene.offer).unwrap().endpoint;
    let pending = PendingIssuance {
        protocol: carnet_wallet::protocol::ServiceProtocol::Grpc,
        offer_digest: "o".to_owned(),
        endpoint: endpoint.clone(),
        issuer: scene.desk.issuer.did.to_string(),
        configuration_id: CONFIGURATION.to_owned(),
        access_token: crate::wallet::holder_key::WalletSecret::new("token".to_owned()),
        keys,
        started_at: NOW,
        stage: IssuanceStage::Requested { proofs, until: NOW.plus(300) },
        renewed_id: None,
        redemption: None,
        valid_until: None,
    };
    wallet.contents.pending_issuances.push(pending);
    wallet.save().unwrap();
    let folder = scene.folder.path().to_owned();
    // The folder is renamed under the open wallet, so that it cannot be written.
    let elsewhere = folder.with_extension("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    let catalogue = scene.context.catalogue().unwrap();
    let unstored = resume_issuances(&scene.context, &catalogue, &mut wallet, None).await.unwrap().failure.unwrap();
    assert_eq!((unstored.reason.as_str(), unstored.kind), ("wallet_unwritable", FailureKind::Temporary));
    assert!(wallet.contents.credentials.is_empty() && wallet.contents.pending_issuances.len() == 1);
    assert!(scene.record(|record| record.events.is_empty()), "the issuer keeps its answer until it is told");
    drop(wallet);
    std::fs::rename(&elsewhere, &folder).unwrap();
    scene.run(None).await.unwrap();
    scene.has_received();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_is_forgotten() {
    let scene = Scene::set([Fate::Refused("INVALID_TOKEN"), Fate::Refused("INVALID_TOKEN")]).await;
    assert_eq!(scene.receive().await.unwrap_err().reason, "invalid_token");
    scene.has_given_up("invalid_token");
    let scene = Scene::set([Fate::Lost, Fate::Refused("OFFER_ALREADY_COLLECTED")]).await;
    scene.receive().await.unwrap_err();
    assert_eq!(scene.receive().await.unwrap_err().reason, "offer_already_collected");
    scene.has_given_up("offer_already_collected");
    // A possibly temporary failure keeps the collection.
    let scene = Scene::set([Fate::Refused("STORE_FAILED")]).await;
    assert_eq!(scene.receive().await.unwrap_err().kind, FailureKind::Temporary);
    scene.receive().await.unwrap();
    scene.has_received();
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_do_not_hold_are_refused_and_not_asked_for_again() {
    let scene = Scene::set([Fate::Spoiled]).await;
    let refused = scene.receive().await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.kind), ("holder_mismatch", FailureKind::Permanent));
    scene.has_given_up("holder_mismatch");
    assert_eq!(scene.record(|record| record.events.clone()), [NotificationEvent::CredentialFailure as i32]);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_over_a_nonce_that_was_forgotten_are_made_anew_with_the_same_keys() {
    let scene = Scene::set([Fate::Refused("INVALID_NONCE")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    let (redeemed, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
    assert_eq!((redeemed, calls.len()), (1, 2));
    assert_ne!(calls[0], calls[1]);
    let keys = |call: &[String]| {
        let key = |proof: &String| match Jws::parse(proof).unwrap().key_ref() {
            KeyRef::Jwk(key) => key.thumbprint(),
            _ => panic!("a proof without its key"),
        };
        call.iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&calls[0]), keys(&calls[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_outlives_its_token() {
    let scene = Scene::set([Fate::Lost, Fate::Deferred]).await;
    scene.receive().await.unwrap_err();
    assert_eq!(scene.receive().await.unwrap_err().reason, "not_ready");
    assert!(matches!(scene.contents().pending_issuances[0].stage, IssuanceStage::Deferred { .. }));
    scene.set_clock(NOW.plus(29 * 86_400));
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.calls.len()), 2);
}

/// Removes the redemption data from the file, as in records of earlier versions.
fn forget_redemption(scene: &Scene) {
    let mut wallet = scene.context.wallet.open().unwrap();
    for pending in &mut wallet.contents.pending_issuances {
        pending.redemption = None;
    }
    wallet.save().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_record_of_before_lost_for_too_long_is_over() {
    let lost = async || {
        let scene = Scene::set([Fate::Lost]).await;
        scene.receive().await.unwrap_err();
        forget_redemption(&scene);
        scene.set_clock(NOW.plus(300 + carnet_core::time::CLOCK_SKEW));
        scene
    };
    // It is requested until just before its end, and not after.
    lost().await.run(None).await.unwrap();
    let scene = lost().await;
    scene.set_clock(scene.context.now().plus(1));
    assert_eq!(scene.run(None).await.unwrap_err().reason, "collection_expired");
    scene.has_given_up("collection_expired");
    // With the offer at hand it is tried again: an issuer that signed nothing accepts the code again.
    let scene = lost().await;
    scene.set_clock(scene.context.now().plus(1));
    scene.desk.record.lock().unwrap().taken.clear();
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.redemptions.len()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_whose_answer_was_lost_is_repeated_with_the_verifier_that_was_stored_before_it() {
    for by_offer in [true, false] {
        let scene = Scene::set([]).await;
        scene.desk.record.lock().unwrap().redeeming = [Fate::Lost, Fate::Lost].into();
        let lost = scene.receive().await.unwrap_err();
        assert_eq!((lost.kind, lost.safety), (FailureKind::Temporary, DataSafety::Stored), "{lost:?}");
        assert!(lost.hint.english().contains("--resume"));
        assert!(matches!(scene.contents().pending_issuances[0].stage, IssuanceStage::Redeeming { .. }));
        let again = by_offer.then_some(scene.offer.as_str());
        scene.run(again).await.unwrap_err();
        // However long it takes: the issuer decides when the offer ends.
        scene.set_clock(NOW.plus(86_400));
        scene.run(again).await.unwrap();
        scene.has_received();
        let redemptions = scene.record(|record| record.redemptions.clone());
        let [(challenge, None), rest @ ..] = redemptions.as_slice() else { panic!("the first shows no verifier") };
        assert_eq!(rest.len(), 2);
        for (again, verifier) in rest {
            assert_eq!(again, challenge);
            let digest = <sha2::Sha256 as sha2::Digest>::digest(verifier.as_deref().unwrap());
            assert_eq!(digest.as_slice(), challenge);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_lost_are_asked_for_with_the_same_proofs_under_the_token_of_a_repeat() {
    let scene = Scene::set([Fate::Lost]).await;
    scene.desk.record.lock().unwrap().repeatable = true;
    scene.receive().await.unwrap_err();
    // Nothing was written between redemption and receipt: the record from before is enough.
    assert!(matches!(scene.contents().pending_issuances[0].stage, IssuanceStage::Redeeming { .. }));
    scene.set_clock(NOW.plus(3 * 86_400));
    scene.resume().await.unwrap();
    scene.has_received();
    let (redemptions, calls) = scene.record(|record| (record.redemptions.len(), record.calls.clone()));
    assert_eq!((redemptions, calls.len()), (2, 2));
    assert_eq!(calls[0], calls[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_unnoticed_is_had_again() {
    let scene = Scene::set([Fate::Refused("INVALID_TOKEN")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    assert_eq!(scene.record(|record| record.redemptions.len()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_grew_too_old_are_made_anew() {
    let scene = Scene::set([Fate::Refused("INVALID_PROOF")]).await;
    scene.receive().await.unwrap();
    scene.has_received();
    let scene = Scene::set([Fate::Refused("INVALID_PROOF"), Fate::Refused("INVALID_PROOF")]).await;
    assert_eq!(scene.receive().await.unwrap_err().reason, "invalid_proof");
    scene.has_given_up("invalid_proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_refused_leaves_no_record() {
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Refused("INVALID_GRANT")].into();
    let refused = scene.receive().await.unwrap_err();
    assert_eq!((refused.reason.as_str(), refused.safety), ("invalid_grant", DataSafety::Untouched));
    assert!(scene.contents().pending_issuances.is_empty() && scene.contents().log.newest().is_none());
    // The PIN may have been wrong: the same offer can be tried again at once.
    scene.receive().await.unwrap();
    scene.has_received();
    // If an earlier run began it, the log records the outcome.
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Lost, Fate::Refused("OFFER_CANCELLED")].into();
    scene.receive().await.unwrap_err();
    assert_eq!(scene.resume().await.unwrap_err().reason, "offer_cancelled");
    scene.has_given_up("offer_cancelled");
    // A possibly temporary failure keeps the collection.
    let scene = Scene::set([]).await;
    scene.desk.record.lock().unwrap().redeeming = [Fate::Refused("STORE_BUSY"), Fate::Refused("STORE_FAILED")].into();
    for _ in 0..2 {
        assert_eq!(scene.receive().await.unwrap_err().kind, FailureKind::Temporary);
    }
    scene.receive().await.unwrap();
    scene.has_received();
}
