//! Status lists: the times of their signatures, and one consistent state for all readers.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use carnet_core::{
    Problem,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::jose::Jws,
    status::{StatusList, bitstring, token},
    time::Timestamp,
};
use carnet_proto::issuer::v1::{self as proto, status_list_service_client::StatusListServiceClient};
use serde_json::{Value, json};

use super::{
    harness::{holder_keys, offer_request, reason, start, start_signing, start_with},
    status::{BASE, REINSTATE, REVOKE, SUSPEND, change, place},
};
use crate::store::status::StatusState;

#[tokio::test]
async fn the_directory_names_every_list_and_what_is_unchanged_is_not_sent_again() {
    let issuer = start().await;
    let answer = issuer.get("/status/lists", "").await;
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    let urls: Vec<&str> =
        document["status_lists"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    let expected: Vec<String> = ["revocation", "suspension", "token"].map(|form| format!("{BASE}/{form}/0")).into();
    assert_eq!(
        urls.iter().collect::<HashSet<_>>(),
        expected.iter().map(String::as_str).collect::<Vec<_>>().iter().collect()
    );
    // Wallets check new copies against the current directory.
    assert_eq!(document["signing_key"], json!(issuer.issuer.kid));
    assert_eq!(answer.header("cache-control"), Some("public, no-cache"));
    let mut lists = StatusListServiceClient::new(issuer.channel.clone());
    let listed = lists.list_status_lists(proto::ListStatusListsRequest {}).await.unwrap().into_inner().urls;
    assert_eq!(listed, urls);
    for path in ["/status/lists", "/status/revocation/0", "/status/token/0"] {
        let first = issuer.get(path, "").await;
        let etag = first.header("etag").unwrap().to_owned();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let again = issuer.get(path, &format!("if-none-match: {known}\r\n")).await;
            assert_eq!((again.code, again.body.len(), again.header("etag")), (304, 0, Some(etag.as_str())), "{known}");
        }
        assert_eq!(issuer.get(path, "if-none-match: \"x\"\r\n").await.code, 200);
    }
    for unknown in
        ["/status/revocation/1", "/status/revocation/-1", "/status/message/0", "/status/revocation/0/", "/status/x"]
    {
        assert_eq!(issuer.get(unknown, "").await.code, 404, "{unknown}");
    }
    let request = proto::ReadStatusListRequest { url: format!("{BASE}/revocation/1"), ..Default::default() };
    assert_eq!(reason(lists.read_status_list(request).await), "STATUS_LIST_UNKNOWN");
    // A suspension changes two of the formats; the third remains unchanged.
    let before = issuer.get("/status/revocation/0", "").await.header("etag").unwrap().to_owned();
    let (offer, _) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    assert_eq!(issuer.get("/status/revocation/0", &format!("if-none-match: {before}\r\n")).await.code, 304);
}

#[tokio::test]
async fn lists_are_signed_again_when_half_of_their_time_is_over_and_not_before() {
    let issuer = start().await;
    let etag = async || issuer.get("/status/revocation/0", "").await.header("etag").unwrap().to_owned();
    let first = etag().await;
    issuer.pass(43_199);
    issuer.issuer.publish().await.unwrap();
    assert_eq!(etag().await, first);
    issuer.pass(1);
    issuer.issuer.publish().await.unwrap();
    let second = etag().await;
    assert_ne!(second, first);
    let document: Value = serde_json::from_slice(&issuer.get("/status/revocation/0", "").await.body).unwrap();
    assert_eq!(document["validFrom"], json!(Timestamp::from_unix(issuer.now()).to_string()));
    assert_eq!(document["validUntil"], json!(Timestamp::from_unix(issuer.now() + 86_400).to_string()));
    // The clock was set back: nobody accepts a list from the future.
    issuer.pass(-3_600);
    issuer.issuer.publish().await.unwrap();
    assert_ne!(etag().await, second);
}

#[tokio::test]
async fn after_a_restart_the_lists_say_the_same() {
    let issuer = start().await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let (_, others) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    let again = issuer.restarted().await;
    assert_eq!(again.published(&copies[0]).await, StatusState::Revoked);
    assert_eq!(again.published(&copies[1]).await, StatusState::Revoked);
    assert_eq!(again.published(&others[0]).await, StatusState::Valid);
}

#[tokio::test]
async fn the_next_list_is_published_before_anything_is_issued_on_it() {
    let issuer = start().await;
    issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    // As if this number of copies had been issued.
    issuer.probe().await.fill_lists(2).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 4).await;
    let urls: Vec<String> = copies.iter().map(|copy| place(copy).0).collect();
    let revocation = |number: i64| format!("{BASE}/revocation/{number}");
    assert_eq!(urls, [revocation(0), revocation(0), revocation(1), revocation(1)]);
    assert_eq!(copies.iter().map(|copy| place(copy)).collect::<HashSet<_>>().len(), 4);
    // One act on two lists is published in both.
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    for copy in &copies {
        assert_eq!(issuer.published(copy).await, StatusState::Revoked);
    }
}

/// Verifiers cache a limited number of lists per issuer: lists whose copies have all expired make room.
#[tokio::test]
async fn a_full_list_is_published_until_a_day_after_its_last_copy_ended() {
    let issuer = start().await;
    let probe = issuer.probe().await;
    let end = issuer.soon();
    let ending = |id: &str, end: Timestamp| proto::CreateOfferRequest {
        valid_until: Some(carnet_service::wire::to_timestamp(end)),
        ..offer_request(id)
    };
    // List 0 has two credentials with the same end; list 1 has one with that end and one with a later end.
    let mut offers = Vec::new();
    for (list, until) in [(0, end), (0, end), (1, end), (1, end.plus(86_400 * 300))] {
        let offer = issuer.create(ending(&format!("{}", offers.len()), until)).await;
        let answer = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
        assert_eq!(place(&answer.credentials[0].credential).0, format!("{BASE}/revocation/{list}"));
        offers.push(offer.id);
        if offers.len() % 2 == 0 {
            probe.fill_list(list).await;
        }
    }
    let lists = async || {
        issuer.issuer.retire_lists().await.unwrap();
        issuer.issuer.publish().await.unwrap();
        let document: Value = serde_json::from_slice(&issuer.get("/status/lists", "").await.body).unwrap();
        let urls: Vec<_> =
            document["status_lists"].as_array().unwrap().iter().map(|url| url.as_str().unwrap().to_owned()).collect();
        (0..4).filter(|list| urls.contains(&format!("{BASE}/revocation/{list}"))).collect::<Vec<_>>()
    };
    issuer.pass(end.unix() + 86_400 - issuer.now());
    assert_eq!(lists().await, [0, 1]);
    issuer.pass(1);
    assert_eq!(lists().await, [1]);
    assert_eq!(issuer.get("/status/token/0", "").await.code, 404);
    // Acts on all of them are published on the remaining list, and recorded in any case.
    let ids: Vec<&str> = offers.iter().map(String::as_str).collect();
    let request = proto::ChangeStatusRequest { expected_count: Some(4), ..change(REVOKE, &ids) };
    let done = issuer.change(request).await.unwrap();
    assert_eq!((done.changed, done.published), (4, true));
    assert_eq!(issuer.states(&offers[0]).await, [proto::CredentialStatus::Revoked]);
    assert_eq!(issuer.get("/status/token/0", "").await.code, 404);
    assert_eq!(lists().await, [1]);
}

#[tokio::test]
async fn with_a_key_for_es256_lists_are_signed_with_ecdsa_jcs_2019() {
    let issuer = start_with(SignatureAlgorithm::Es256).await;
    let mut lists = StatusListServiceClient::new(issuer.channel.clone());
    let mut urls = lists.list_status_lists(proto::ListStatusListsRequest {}).await.unwrap().into_inner().urls;
    urls.sort();
    assert_eq!(urls, ["revocation", "suspension", "token"].map(|form| format!("{BASE}/{form}/0")));
    let list: Value = serde_json::from_slice(&issuer.get("/status/revocation/0", "").await.body).unwrap();
    assert_eq!(list["proof"]["cryptosuite"], json!("ecdsa-jcs-2019"));
    let (_, copies) = issuer.issue(proto::CredentialFormat::DcSdJwt, 1).await;
    assert_eq!(place(&copies[0]).0, urls[2]);
    for format in [proto::CredentialFormat::VcSdJwt, proto::CredentialFormat::DiVcJcs] {
        let (_, copies) = issuer.issue(format, 1).await;
        assert_eq!(issuer.published(&copies[0]).await, StatusState::Valid);
    }
}

/// A key that is not the issuer's does not sign a valid list.
#[tokio::test]
async fn row_58_the_lists_signature_is_the_issuers() {
    let issuer = start().await;
    let text = String::from_utf8(issuer.get("/status/token/0", "").await.body).unwrap();
    let token = token::StatusListToken::parse(&text).unwrap();
    let (url, now) = (format!("{BASE}/token/0"), Timestamp::from_unix(issuer.now()));
    let other = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let refused = token.verify(&other.public_key(), &url, now, 0).unwrap_err();
    assert_eq!(refused.code, carnet_core::Code::SignatureInvalid);
    token.verify(&issuer.issuer_key(), &url, now, 0).unwrap();
    assert_eq!(Jws::parse(&text).unwrap().payload()["sub"], json!(url));
}

/// The key is unavailable during an act: the act is recorded, the previous lists remain, and are updated later.
#[tokio::test]
async fn what_could_not_be_published_is_published_later() {
    struct Away(SecretKey, Arc<AtomicBool>);
    impl Signer for Away {
        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
            if self.1.load(Ordering::SeqCst) {
                return Err(Problem::new(carnet_core::Code::ProofGeneration, "the key is not to be had"));
            }
            self.0.sign(message)
        }
    }
    let away = Arc::new(AtomicBool::new(false));
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let issuer = start_signing(Box::new(Away(key, away.clone()))).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 1).await;
    away.store(true, Ordering::SeqCst);
    let done = issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    assert_eq!((done.changed, done.published), (1, false));
    assert_eq!(issuer.states(&offer).await, [proto::CredentialStatus::Revoked]);
    assert_eq!(issuer.published(&copies[0]).await, StatusState::Valid);
    issuer.issuer.publish().await.unwrap_err();
    away.store(false, Ordering::SeqCst);
    issuer.issuer.publish().await.unwrap();
    assert_eq!(issuer.published(&copies[0]).await, StatusState::Revoked);
}

/// At any time, all formats of all lists have the same version: the copies of a credential, on two lists, have one
/// state.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_sees_one_state_of_all_lists() {
    let issuer = start().await;
    issuer.probe().await.fill_lists(1).await;
    let (offer, copies) = issuer.issue(proto::CredentialFormat::VcSdJwt, 2).await;
    let places: Vec<(String, u64)> = copies.iter().map(|copy| place(copy)).collect();
    assert_ne!(places[0].0, places[1].0);
    let done = Arc::new(AtomicBool::new(false));
    let (looking, seen) = (issuer.issuer.clone(), done.clone());
    let looker = tokio::task::spawn_blocking(move || {
        let mut states = HashSet::new();
        while !seen.load(Ordering::SeqCst) {
            let shelf = looking.status_publisher.published_lists();
            let list = |url: &str| -> StatusList {
                let document: Value = serde_json::from_slice(&shelf.by_url(url).unwrap().content.bytes).unwrap();
                bitstring::decode_list(document["credentialSubject"]["encodedList"].as_str().unwrap(), 1).unwrap()
            };
            let state = |(url, index): &(String, u64)| {
                let suspension = list(&url.replace("revocation", "suspension")).value(*index).unwrap();
                (list(url).value(*index).unwrap(), suspension)
            };
            assert_eq!(state(&places[0]), state(&places[1]), "a mixture");
            states.insert(state(&places[0]));
        }
        states
    });
    for _ in 0..10 {
        issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
        issuer.change(change(REINSTATE, &[&offer])).await.unwrap();
    }
    issuer.change(change(SUSPEND, &[&offer])).await.unwrap();
    issuer.change(change(REVOKE, &[&offer])).await.unwrap();
    done.store(true, Ordering::SeqCst);
    let states = looker.await.unwrap();
    assert!(states.iter().all(|state| [(0, 0), (0, 1), (1, 1)].contains(state)), "{states:?}");
}
