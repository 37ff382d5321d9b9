//! What is forgotten, and what a power cut leaves.

use carnet_core::time::Timestamp;
use carnet_proto::issuer::v1 as proto;

use super::harness::{MARK, holder_keys, offer_request, start};
use crate::{
    secrets::{self, Use},
    store::{Intended, Intent, Store as _},
};

#[tokio::test]
async fn claims_are_nowhere_on_disk_once_they_are_collected() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    assert!(issuer.on_disk(MARK), "the test looks in the right place");
    issuer.receive(&offer, &holder_keys(2)).await.unwrap();
    assert!(!issuer.on_disk(MARK));
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Collected);
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
    assert!(!issuer.on_disk(MARK));
}

#[tokio::test]
async fn a_deferred_offer_that_is_never_released_is_erased_with_its_keys() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("a") }).await;
    let keys = holder_keys(1);
    let waiting = issuer.receive(&offer, &keys).await.unwrap();
    issuer.pass(30 * 86_400);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Expired);
    assert!(!issuer.on_disk(MARK));
    let x = carnet_core::keys::Signer::public_key(&keys[0]).to_jwk()["x"].as_str().unwrap().to_owned();
    assert!(!issuer.on_disk(&x));
    let ask = proto::CollectDeferredRequest { transaction_id: waiting.transaction_id };
    assert!(issuer.issuance.clone().collect_deferred(ask).await.is_err());
}

/// The power goes between the intent and the signature, and between the signature and the answer.
#[tokio::test]
async fn a_power_cut_gives_no_index_out_twice_and_loses_no_copy() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let keys = holder_keys(2);
    let proofs = issuer.proofs(&keys, &nonce);
    // The first transaction alone, as the service makes it: then the power goes.
    let mut parts = vec![token.as_bytes(), offer.configuration.as_bytes()];
    parts.extend(proofs.iter().map(String::as_bytes));
    let request = secrets::digest(Use::Request, &parts);
    let handle = secrets::derive(Use::TransactionId, &token, &request);
    let notification = secrets::derive(Use::NotificationId, &handle, &request);
    let intended = issuer
        .issuer
        .store
        .intend(Intent {
            token_hash: secrets::digest(Use::AccessToken, &[token.as_bytes()]),
            request_digest: request,
            nonce_hash: secrets::digest(Use::Nonce, &[nonce.as_bytes()]),
            transaction_hash: secrets::digest(Use::TransactionHash, &[handle.as_bytes()]),
            notification_hash: secrets::digest(Use::NotificationHash, &[notification.as_bytes()]),
            configuration_id: offer.configuration.clone(),
            copies: 2,
            holder_keys: "[]".to_owned(),
            now: Timestamp::from_unix(issuer.now()),
            deferred_until: Timestamp::from_unix(issuer.now()),
        })
        .await
        .unwrap();
    assert!(matches!(intended, Intended::Sign(_)));
    assert!(issuer.issued().await.is_empty(), "what was not signed does not count as issued");

    // The wallet asks again with the same proofs: the nonce is not asked for twice, and the rows are the same.
    let answer = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    assert_eq!(answer.credentials.len(), 2);
    let issued = issuer.issued().await;
    assert_eq!(issued.len(), 2);
    assert_ne!(issued[0].status_index, issued[1].status_index);
    // The answer was lost on its way: it can be had again, and what keeps it does not show the claims.
    assert!(!issuer.on_disk(MARK));
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs).await.unwrap(), answer);
    assert_eq!(issuer.issued().await, issued);
}

#[tokio::test]
async fn nonces_and_sealed_answers_are_swept() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    issuer.nonce().await;
    let pool = carnet_service::store::open(issuer.data.path(), &crate::store::sqlite::MIGRATIONS).await.unwrap();
    let left = || async {
        let nonces: i64 = sqlx::query_scalar("SELECT count(*) FROM nonces").fetch_one(&pool).await.unwrap();
        let sealed: i64 = sqlx::query_scalar("SELECT count(*) FROM collections WHERE sealed IS NOT NULL")
            .fetch_one(&pool)
            .await
            .unwrap();
        (nonces, sealed)
    };
    assert_eq!(left().await, (1, 1));
    issuer.pass(300);
    issuer.issuer.store.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(left().await, (0, 0));
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
