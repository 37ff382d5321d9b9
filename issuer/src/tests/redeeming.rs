//! Repeated redemptions: they need the verifier that the wallet drew.

use carnet_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::harness::{HolderOffer, MARK, Running, holder_keys, offer_request, reason, start};
use carnet_proto::issuer::v1 as proto;

const VERIFIER: [u8; 32] = [7; 32];
const DAY: i64 = 86_400;

/// Redeems with the challenge, and with the verifier for a repetition.
async fn redeem(
    issuer: &Running,
    offer: &HolderOffer,
    verifier: &[u8],
    repeats: bool,
) -> Result<proto::RedeemOfferResponse, tonic::Status> {
    let request = proto::RedeemOfferRequest {
        pre_authorized_code: offer.code.clone(),
        tx_code: offer.pin.clone(),
        redemption_challenge: Some(Sha256::digest(verifier).to_vec()),
        redemption_verifier: repeats.then(|| verifier.to_vec()),
    };
    Ok(issuer.issuance.clone().redeem_offer(request).await?.into_inner())
}

async fn with_pin(issuer: &Running) -> HolderOffer {
    issuer.create(proto::CreateOfferRequest { with_pin: true, ..offer_request("a") }).await
}

fn wrong(offer: &HolderOffer) -> Option<String> {
    offer.pin.as_ref().map(|pin| if pin == "000000" { "000001".to_owned() } else { "000000".to_owned() })
}

#[tokio::test]
async fn a_wallet_repeats_its_redemption_at_any_stage_and_gets_the_same_copies() {
    let issuer = start().await;
    let offer = with_pin(&issuer).await;
    let first = redeem(&issuer, &offer, &VERIFIER, false).await.unwrap();
    assert!(first.repeatable);
    // The response was lost; repeating works after the token's end, until the offer's end.
    issuer.pass(2 * DAY);
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    let again = redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    assert_eq!(again.access_token, first.access_token);
    assert_eq!(again.expires_at.unwrap().seconds, issuer.now() + 300);
    let proofs = issuer.proofs(&holder_keys(2), &issuer.nonce().await);
    let copies = issuer.collect(&again.access_token, &offer.configuration, proofs.clone()).await.unwrap();
    assert_eq!(copies.credentials.len(), 2);
    assert!(issuer.forgotten(MARK).await);
    // The copies were lost: the token has expired, the proofs are old, the process is another one.
    issuer.pass(DAY);
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    let issuer = issuer.restarted().await;
    let ended = issuer.collect(&again.access_token, &offer.configuration, proofs.clone()).await;
    assert_eq!(reason(ended), "INVALID_TOKEN");
    let third = redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    assert_eq!(issuer.collect(&third.access_token, &offer.configuration, proofs.clone()).await.unwrap(), copies);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Collected);
    assert_eq!(issuer.issued().await.len(), 2);
    // An acknowledged response is not returned again, and never for other keys.
    let notify = proto::NotifyRequest { notification_id: copies.notification_id, event: 1 };
    issuer.issuance.clone().notify(notify).await.unwrap();
    let late = issuer.collect(&third.access_token, &offer.configuration, proofs).await;
    assert_eq!(reason(late), "OFFER_ALREADY_COLLECTED");
    let others = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    assert_eq!(
        reason(issuer.collect(&third.access_token, &offer.configuration, others).await),
        "OFFER_ALREADY_COLLECTED"
    );
}

#[tokio::test]
async fn a_first_redemption_with_the_verifier_is_taken_too() {
    // A wallet that lost its connection cannot know if its first call arrived.
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let first = redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    let again = redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    assert_eq!(first.access_token, again.access_token);
}

/// Returns the reason and the message of a refusal.
fn said<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> (String, String) {
    let status = answer.unwrap_err();
    (status.message().to_owned(), reason::<T>(Err(status)))
}

#[tokio::test]
async fn row_79_who_has_the_link_and_the_pin_alone_is_told_what_is_said_of_any_used_offer() {
    let issuer = start().await;
    let plain = issuer.create(offer_request("plain")).await;
    issuer.redeem(&plain).await.unwrap();
    let used = said(issuer.redeem(&plain).await);
    assert_eq!(used.1, "OFFER_ALREADY_USED");

    let offer = with_pin(&issuer).await;
    let token = redeem(&issuer, &offer, &VERIFIER, false).await.unwrap().access_token;
    let mispinned = HolderOffer { pin: wrong(&offer), ..offer.clone() };
    for (thief, holds_pin) in [(&offer, true), (&mispinned, false)] {
        assert_eq!(said(issuer.redeem(thief).await), used, "no challenge, {holds_pin}");
        assert_eq!(said(redeem(&issuer, thief, &[8; 32], false).await), used, "another challenge, {holds_pin}");
        // The challenge could be in a log; the verifier is not.
        assert_eq!(said(redeem(&issuer, thief, &VERIFIER, false).await), used, "the challenge alone, {holds_pin}");
        assert_eq!(said(redeem(&issuer, thief, &[8; 32], true).await), used, "another verifier, {holds_pin}");
    }
    // Also if nothing was signed before the token's end, which reopens an offer without a challenge.
    issuer.pass(301);
    assert_eq!(said(issuer.redeem(&offer).await), used);
    // The valid case.
    assert_eq!(redeem(&issuer, &offer, &VERIFIER, true).await.unwrap().access_token, token);
}

#[tokio::test]
async fn wrong_tries_count_and_end_the_repeats_and_not_the_collection() {
    let issuer = start().await;
    let offer = with_pin(&issuer).await;
    let token = redeem(&issuer, &offer, &VERIFIER, false).await.unwrap().access_token;
    for _ in 0..4 {
        assert_eq!(reason(redeem(&issuer, &offer, &[8; 32], true).await), "OFFER_ALREADY_USED");
    }
    // Calls without a verifier do not count as attempts.
    for _ in 0..5 {
        assert_eq!(reason(issuer.redeem(&offer).await), "OFFER_ALREADY_USED");
    }
    redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    let mispinned = HolderOffer { pin: wrong(&offer), ..offer.clone() };
    assert_eq!(reason(redeem(&issuer, &mispinned, &VERIFIER, true).await), "INVALID_GRANT");
    assert_eq!(reason(redeem(&issuer, &offer, &VERIFIER, true).await), "OFFER_ALREADY_USED");
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs).await.unwrap().credentials.len(), 1);
}

#[tokio::test]
async fn a_repeat_ends_with_the_offer() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { offer_ttl_seconds: 3_600, ..offer_request("a") }).await;
    redeem(&issuer, &offer, &VERIFIER, false).await.unwrap();
    issuer.pass(3_599);
    redeem(&issuer, &offer, &VERIFIER, true).await.unwrap();
    issuer.pass(1);
    assert_eq!(reason(redeem(&issuer, &offer, &VERIFIER, true).await), "INVALID_GRANT");
    // The last token is valid for its full lifetime, and then the claims are erased.
    issuer.pass(299);
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert!(!issuer.on_disk(MARK));
}

#[tokio::test]
async fn a_challenge_and_a_verifier_have_one_form() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let call = async |challenge: Option<Vec<u8>>, verifier: Option<Vec<u8>>| {
        let request = proto::RedeemOfferRequest {
            pre_authorized_code: offer.code.clone(),
            tx_code: None,
            redemption_challenge: challenge,
            redemption_verifier: verifier,
        };
        issuer.issuance.clone().redeem_offer(request).await
    };
    let digest = |verifier: &[u8]| Some(Sha256::digest(verifier).to_vec());
    for (challenge, verifier) in [
        (Some(vec![0; 31]), None),
        (Some(Vec::new()), None),
        (None, Some(VERIFIER.to_vec())),
        (digest(&VERIFIER), Some(vec![8; 32])),
        (digest(&[7; 31]), Some(vec![7; 31])),
    ] {
        assert_eq!(reason(call(challenge, verifier).await), "INVALID_ARGUMENT");
    }
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Open);
    assert!(call(digest(&VERIFIER), None).await.is_ok());
}

#[tokio::test]
async fn neither_the_token_nor_what_it_follows_from_is_stored() {
    let issuer = start().await;
    let offer = with_pin(&issuer).await;
    let token = redeem(&issuer, &offer, &VERIFIER, false).await.unwrap().access_token;
    let challenge = Sha256::digest(VERIFIER);
    assert!(!issuer.on_disk(&token));
    assert!(!issuer.files().values().any(|file| file.windows(32).any(|part| part == challenge.as_slice())));
    assert!(!issuer.files().values().any(|file| file.windows(32).any(|part| part == VERIFIER)));
}
