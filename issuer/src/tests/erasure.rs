//! Erasure of data, and the state after a power cut.

use carnet_core::time::Timestamp;
use carnet_proto::issuer::v1 as proto;

use super::harness::{HolderOffer, MARK, Running, holder_keys, offer_request, reason, start};
use crate::{
    intent::{IssuanceIntent, IssuanceStep, SignedResponse},
    secrets::{self, HashPurpose},
    store::issuances::SealedResponse,
};

#[tokio::test]
async fn claims_are_nowhere_on_disk_once_they_are_collected() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    assert!(issuer.on_disk(MARK), "the test looks in the right place");
    issuer.receive(&offer, &holder_keys(2)).await.unwrap();
    assert!(issuer.forgotten(MARK).await);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Collected);
}

/// If a reader prevents the checkpoint, an erasure leaves the claims in the write-ahead log.
#[tokio::test]
async fn the_sweep_empties_a_log_that_an_erasure_could_not_empty() {
    let issuer = start().await;
    issuer.create(offer_request("a")).await;
    issuer.probe().await.cancel_offers_unpurged().await;
    assert!(issuer.on_disk(MARK));
    // Nothing has expired, but the log is emptied.
    let closed = issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(closed, 0);
    assert!(issuer.forgotten(MARK).await);
}

#[tokio::test]
async fn a_redeemed_offer_that_nobody_collects_is_erased() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    issuer.redeem(&offer).await.unwrap();
    issuer.pass(299);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Redeemed);
    issuer.pass(1);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Expired);
    assert!(issuer.forgotten(MARK).await);
}

#[tokio::test]
async fn a_deferred_offer_that_is_never_released_is_erased_with_its_keys() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("a") }).await;
    let keys = holder_keys(1);
    let waiting = issuer.receive(&offer, &keys).await.unwrap();
    issuer.pass(30 * 86_400);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Expired);
    assert!(issuer.forgotten(MARK).await);
    let x = carnet_core::keys::Signer::public_key(&keys[0]).to_jwk()["x"].as_str().unwrap().to_owned();
    assert!(issuer.forgotten(&x).await);
    let ask = proto::CollectDeferredRequest { transaction_id: waiting.transaction_id };
    assert!(issuer.issuance.clone().collect_deferred(ask).await.is_err());
}

/// Runs only the first transaction of a collection; then the power fails.
async fn intend(issuer: &Running, offer: &HolderOffer, token: &str, nonce: &str, proofs: &[String]) -> IssuanceStep {
    let mut parts = vec![token.as_bytes(), offer.configuration.as_bytes()];
    parts.extend(proofs.iter().map(String::as_bytes));
    let request = secrets::purpose_hash(HashPurpose::RequestDigest, &parts);
    let handle = secrets::derive_secret(HashPurpose::TransactionId, token, &request);
    let notification = secrets::derive_secret(HashPurpose::NotificationId, &handle, &request);
    let now = Timestamp::from_unix(issuer.now());
    let keys = crate::proofs::verify_proofs(proofs, super::harness::DID, 10, Some(now)).unwrap().keys;
    let intent = IssuanceIntent {
        token_hash: secrets::purpose_hash(HashPurpose::AccessToken, &[token.as_bytes()]),
        request_digest: request,
        nonce: issuer.issuer.nonces.verify_nonce(nonce, now),
        transaction_hash: secrets::purpose_hash(HashPurpose::TransactionHash, &[handle.as_bytes()]),
        notification_hash: secrets::purpose_hash(HashPurpose::NotificationHash, &[notification.as_bytes()]),
        configuration_id: offer.configuration.clone(),
        thumbprints: keys.iter().map(carnet_core::keys::PublicKey::thumbprint).collect(),
        holder_keys: "[]".to_owned(),
        now,
        deferred_until: now,
    };
    issuer.issuer.store_issuance_intent(intent).await.unwrap()
}

/// The power fails between the intent and the signature, and between the signature and the response.
#[tokio::test]
async fn a_power_cut_gives_no_index_out_twice_and_loses_no_copy() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let proofs = issuer.proofs(&holder_keys(2), &nonce);
    let intended = intend(&issuer, &offer, &token, &nonce, &proofs).await;
    assert!(matches!(intended, IssuanceStep::Sign(_)));
    assert!(issuer.issued().await.is_empty(), "what was not signed does not count as issued");

    // The wallet repeats the request with the same proofs: the nonce is not checked twice, and the rows are the same.
    // The response comes from another process, which does not know the nonce.
    let issuer = issuer.restarted().await;
    let answer = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    assert_eq!(answer.credentials.len(), 2);
    let issued = issuer.issued().await;
    assert_eq!(issued.len(), 2);
    assert_ne!(issued[0].status_index, issued[1].status_index);
    // The lost response can be requested again, and its stored form does not contain the claims.
    assert!(issuer.forgotten(MARK).await);
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs).await.unwrap(), answer);
    assert_eq!(issuer.issued().await, issued);
}

/// The offer is closed while a call signs: the signature is discarded, and the error says why.
#[tokio::test]
async fn what_was_signed_too_late_is_refused() {
    for (cancelled, refusal) in [(true, "OFFER_CANCELLED"), (false, "OFFER_ALREADY_COLLECTED")] {
        let issuer = start().await;
        let offer = issuer.create(offer_request("a")).await;
        let token = issuer.redeem(&offer).await.unwrap();
        let nonce = issuer.nonce().await;
        let proofs = issuer.proofs(&holder_keys(1), &nonce);
        let IssuanceStep::Sign(work) = intend(&issuer, &offer, &token, &nonce, &proofs).await else {
            panic!("nothing to sign");
        };
        if cancelled {
            issuer.issuer.cancel_offer(&offer.id, "").await.unwrap();
        } else {
            // The same request was answered, and the wallet acknowledged the response.
            let first = issuer.collect(&token, &offer.configuration, proofs).await.unwrap();
            issuer
                .issuer
                .record_notification(&first.notification_id, crate::issuance::NotificationEvent::Accepted)
                .await
                .unwrap();
        }
        let now = Timestamp::from_unix(issuer.now());
        let response = SealedResponse { ciphertext: vec![1], keep_until: now.plus(300) };
        let copies = issuer.issuer.with_signing_key(&[]);
        let signed = SignedResponse { copies, response, validity: (now, now), voucher: None, now };
        let late = issuer.issuer.store_issuance(work.issuance, signed).await;
        assert_eq!(reason(late.map_err(Into::into)), refusal);
    }
}

/// The power fails between the intent and the signature, and the wallet has lost its token, or uses it too late.
#[tokio::test]
async fn an_offer_that_was_left_unsigned_can_be_redeemed_again_once_its_token_ended() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { with_pin: true, ..offer_request("a") }).await;
    let lost = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let proofs = issuer.proofs(&holder_keys(2), &nonce);
    let IssuanceStep::Sign(work) = intend(&issuer, &offer, &lost, &nonce, &proofs).await else {
        panic!("nothing to sign");
    };
    drop(work);
    // While the token is valid, its owner has precedence; others are told when to try again.
    issuer.pass(299);
    let early = issuer.redeem(&offer).await;
    let wait = tonic_types::StatusExt::get_details_retry_info(early.as_ref().unwrap_err()).unwrap();
    assert_eq!(wait.retry_delay.unwrap().as_secs(), 1);
    assert_eq!(reason(early), "OFFER_ALREADY_USED");
    issuer.pass(1);
    // The sweep leaves it, and the PIN is required as before.
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Redeemed);
    assert!(issuer.on_disk(MARK));
    assert_eq!(reason(issuer.redeem_with(&offer.code, None).await), "INVALID_REQUEST");
    let wrong = if offer.pin.as_deref() == Some("000000") { "000001" } else { "000000" };
    assert_eq!(reason(issuer.redeem_with(&offer.code, Some(wrong)).await), "INVALID_GRANT");
    let token = issuer.redeem(&offer).await.unwrap();
    assert_eq!(reason(issuer.collect(&lost, &offer.configuration, proofs).await), "INVALID_TOKEN");
    let fresh = issuer.proofs(&holder_keys(2), &issuer.nonce().await);
    assert_eq!(issuer.collect(&token, &offer.configuration, fresh).await.unwrap().credentials.len(), 2);
    assert!(issuer.forgotten(MARK).await);
    assert_eq!(issuer.issued().await.len(), 2);
    assert_eq!(issuer.probe().await.drawn_indices().await, 4, "the indices of the first time are spent");
    // It was signed this time, so that its code is used up.
    issuer.pass(300);
    assert_eq!(reason(issuer.redeem(&offer).await), "OFFER_ALREADY_USED");
}

#[tokio::test]
async fn an_offer_that_was_left_unsigned_waits_no_longer_than_its_own_end() {
    let issuer = start().await;
    let request = |id: &str| proto::CreateOfferRequest { offer_ttl_seconds: 600, ..offer_request(id) };
    let left = async |id: &str| {
        let offer = issuer.create(request(id)).await;
        let token = issuer.redeem(&offer).await.unwrap();
        let nonce = issuer.nonce().await;
        intend(&issuer, &offer, &token, &nonce, &issuer.proofs(&holder_keys(1), &nonce)).await;
        offer
    };
    let [swept, asked, again] = [left("a").await, left("b").await, left("c").await];
    let unintended = issuer.create(request("d")).await;
    issuer.redeem(&unintended).await.unwrap();
    issuer.pass(599);
    assert_eq!(issuer.state(&swept.id).await, proto::OfferState::Redeemed);
    // A code whose token led to no intent remains used.
    assert_eq!(issuer.state(&unintended.id).await, proto::OfferState::Expired);
    // The second token is valid for its full lifetime, past the offer's end; the wait ends with it.
    let token = issuer.redeem(&again).await.unwrap();
    issuer.pass(1);
    assert_eq!(reason(issuer.redeem(&asked).await), "INVALID_GRANT");
    assert_eq!(issuer.state(&swept.id).await, proto::OfferState::Expired);
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    assert_eq!(issuer.collect(&token, &again.configuration, proofs).await.unwrap().credentials.len(), 1);
    assert!(issuer.forgotten(MARK).await);
}

#[tokio::test]
async fn nonces_and_sealed_answers_are_swept() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    issuer.nonce().await;
    let probe = issuer.probe().await;
    assert_eq!(probe.nonces_and_sealed().await, (1, 1), "a nonce is stored when it is used, not when it is given out");
    issuer.pass(300);
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(probe.nonces_and_sealed().await, (0, 0));
}

/// Expired copies are unknown by key and by digest; valid ones are known by both.
#[tokio::test]
async fn a_copy_is_forgotten_a_minute_after_its_end_and_not_before() {
    let issuer = start().await;
    let day = issuer.soon();
    let until = Some(carnet_service::wire::to_timestamp(day));
    let short = issuer.create(proto::CreateOfferRequest { valid_until: until, ..offer_request("a") }).await;
    let long = issuer.create(offer_request("b")).await;
    issuer.receive(&short, &holder_keys(2)).await.unwrap();
    issuer.receive(&long, &holder_keys(3)).await.unwrap();
    let probe = issuer.probe().await;
    for (second, left) in [(60, (5, 5)), (61, (3, 3))] {
        issuer.issuer.erase_expired(day.plus(second)).await.unwrap();
        let counted = probe.known_copies().await;
        assert_eq!(counted, left, "{second}");
    }
    // A digest from an earlier version whose key was already deleted.
    probe.restore_digest(&short.id).await;
    issuer.issuer.erase_expired(day.plus(61)).await.unwrap();
    assert_eq!(probe.known_copies().await.1, 3);
}

#[tokio::test]
async fn status_indices_are_random_and_unique_over_many_copies() {
    let issuer = start().await;
    let mut indices = Vec::new();
    for number in 0..8 {
        let offer = issuer.create(offer_request(&format!("r{number}"))).await;
        issuer.receive(&offer, &holder_keys(10)).await.unwrap();
    }
    let list = proto::ListIssuedRequest { page_size: 500, ..Default::default() };
    for record in issuer.staff().list_issued(list).await.unwrap().into_inner().issued {
        assert!(record.status_index < 131_072);
        indices.push(record.status_index);
    }
    assert_eq!(indices.len(), 80);
    assert!(!indices.is_sorted() && !indices.iter().rev().is_sorted());
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), 80);
}
