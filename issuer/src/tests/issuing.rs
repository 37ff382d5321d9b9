//! Issued copies: every format, batches, deferral, repeated calls, notifications, and the records for staff.

use std::{
    collections::HashSet,
    sync::{Arc, Barrier, Mutex},
    thread::ThreadId,
};

use carnet_core::{
    did::Did,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::{data_integrity::Cryptosuites, sd_jwt::SdJwt},
};
use carnet_proto::issuer::v1 as proto;
use serde_json::{Value, json};

use super::harness::{DID, MARK, holder_keys, is_copy, offer_request, reason, start, start_signing, start_with};

fn with_format(id: &str, format: proto::CredentialFormat) -> proto::CreateOfferRequest {
    proto::CreateOfferRequest { format: format.into(), ..offer_request(id) }
}

#[tokio::test]
async fn copies_differ_in_key_salts_index_and_signature_and_in_nothing_else() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let keys = holder_keys(3);
    let answer = issuer.receive(&offer, &keys).await.unwrap();
    assert_eq!(answer.credentials.len(), 3);
    let mut digests = HashSet::new();
    for (copy, key) in answer.credentials.iter().zip(&keys) {
        assert_eq!(copy.format(), proto::CredentialFormat::VcSdJwt);
        let credential = SdJwt::parse(&copy.credential).unwrap();
        credential.verify_signature(&issuer.issuer_key()).unwrap();
        assert!(!credential.has_key_binding());
        assert_eq!(credential.holder_key().unwrap().unwrap(), key.public_key());
        assert_eq!(credential.jws().header()["typ"], json!("vc+sd-jwt"));
        assert_eq!(credential.jws().header()["kid"], json!(format!("{DID}#key-1")));
        let payload = credential.resolve_disclosures().unwrap().payload;
        assert_eq!(payload["issuer"], json!(DID));
        assert_eq!(payload["validFrom"], json!("2026-11-01T00:00:00Z"));
        assert_eq!(payload["validUntil"], json!("2028-11-01T00:00:00Z"));
        assert_eq!(payload["credentialSubject"]["id"], json!(Did::did_jwk(&key.public_key()).as_str()));
        assert_eq!(payload["credentialSubject"]["familyName"], json!(MARK));
        assert!(payload.get("id").is_none());
        assert!(credential.jws().payload().contains_key("credentialStatus"), "it can be withheld");
        for (entry, purpose) in payload["credentialStatus"].as_array().unwrap().iter().zip(["revocation", "suspension"])
        {
            let url = format!("https://university.example/status/{purpose}/0");
            assert_eq!((&entry["statusPurpose"], &entry["statusListCredential"]), (&json!(purpose), &json!(url)));
            assert!(entry["statusListIndex"].is_string() && entry.get("id").is_none());
        }
        // About the subject, only the copy's own key is visible; the arrays of commitments are always visible.
        let visible = credential.jws().payload()["credentialSubject"].as_object().unwrap();
        let arrays = ["creditsAtLeast", "dateOfBirthAtMost", "eqfLevelAtLeast"];
        let mut names: Vec<&str> = visible.keys().map(String::as_str).filter(|name| !arrays.contains(name)).collect();
        names.sort_unstable();
        assert_eq!(names, ["_sd", "id"]);
        for digest in arrays.iter().flat_map(|name| visible[*name].as_array().unwrap()) {
            assert!(digests.insert(digest["..."].to_string()));
        }
        for digest in visible["_sd"].as_array().unwrap() {
            assert!(digests.insert(digest.to_string()));
        }
        issuer
            .issuer
            .catalogue
            .credential_type("QualificationCredential")
            .unwrap()
            .check_disclosed(&{
                let mut document = payload.clone();
                document.remove("cnf");
                document
            })
            .unwrap();
    }
    let indices: HashSet<u64> = issuer.issued().await.iter().map(|record| record.status_index).collect();
    assert_eq!(indices.len(), 3);
}

#[tokio::test]
async fn row_92_a_copy_holds_from_the_epoch_of_its_issue_which_is_kept_for_refills() {
    let issuer = start().await;
    issuer.pass(7 * 86_400);
    let offer = issuer.create(offer_request("a")).await;
    // The offer waits for two days, into the next month: the month of the offer would identify its holder.
    issuer.pass(2 * 86_400);
    let days = |copy: &str| {
        let payload = SdJwt::parse(copy).unwrap().jws().payload().clone();
        ["validFrom", "validUntil"].map(|name| payload[name].as_str().unwrap().to_owned())
    };
    let copy = issuer.receive(&offer, &holder_keys(1)).await.unwrap().credentials[0].credential.clone();
    assert_eq!(days(&copy), ["2026-12-01T00:00:00Z", "2028-11-01T00:00:00Z"]);
    // The digest stored for refills is that of the signed copy.
    let digest = crate::issuance::copy_digest(&copy);
    assert_eq!(issuer.probe().await.valid_from(&digest).await.to_string(), "2026-12-01T00:00:00Z");
}

#[tokio::test]
async fn an_sd_jwt_vc_has_its_claims_at_the_top() {
    let issuer = start().await;
    let offer = issuer.create(with_format("a", proto::CredentialFormat::DcSdJwt)).await;
    assert_eq!(offer.configuration, "QualificationCredential_dc+sd-jwt");
    let keys = holder_keys(1);
    let answer = issuer.receive(&offer, &keys).await.unwrap();
    let credential = SdJwt::parse(&answer.credentials[0].credential).unwrap();
    credential.verify_signature(&issuer.issuer_key()).unwrap();
    let payload = credential.resolve_disclosures().unwrap().payload;
    assert_eq!(payload["iss"], json!(DID));
    assert_eq!(payload["vct"], json!("urn:carnet:type:qualification:1"));
    assert!(payload["exp"].as_i64() > payload["nbf"].as_i64());
    assert_eq!(payload["familyName"], json!(MARK));
    assert_eq!(credential.holder_key().unwrap().unwrap(), keys[0].public_key());
    assert!(!credential.jws().payload().contains_key("familyName"));
}

#[tokio::test]
async fn a_data_integrity_credential_verifies() {
    use carnet_core::{
        did::{DidDocument, Resolve, VerificationRelationship},
        secure::data_integrity::{self, ProofRequirements},
        time::Timestamp,
    };
    struct One(std::sync::Arc<DidDocument>);
    impl Resolve for One {
        fn resolve(&self, _: &Did) -> Result<std::sync::Arc<DidDocument>, carnet_core::Problem> {
            Ok(self.0.clone())
        }
    }
    for (algorithm, name) in
        [(SignatureAlgorithm::EdDsa, "eddsa-jcs-2022"), (SignatureAlgorithm::Es256, "ecdsa-jcs-2019")]
    {
        let issuer = start_with(algorithm).await;
        let document = DidDocument::json_for_keys(&issuer.issuer.did, &[("key-1".to_owned(), issuer.issuer_key())]);
        let resolver = One(std::sync::Arc::new(DidDocument::parse(&issuer.issuer.did, &document).unwrap()));
        let expected = ProofRequirements {
            purpose: VerificationRelationship::AssertionMethod,
            controller: DID,
            binding: None,
            now: Timestamp::from_unix(issuer.now()),
            skew: 60,
        };
        let offer = issuer.create(with_format("a", proto::CredentialFormat::DiVcJcs)).await;
        let answer = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
        let credential: Value = serde_json::from_str(&answer.credentials[0].credential).unwrap();
        let verified =
            data_integrity::verify(credential.as_object().unwrap(), &Cryptosuites::jcs(), &resolver, &expected)
                .unwrap();
        assert_eq!(verified["credentialSubject"]["familyName"], json!(MARK));
        assert_eq!(credential["proof"]["created"], json!("2026-11-01T00:00:00Z"));
        assert_eq!(credential["proof"]["cryptosuite"], json!(name));

        #[cfg(feature = "jsonld")]
        for (id, name) in [("r", "QualificationCredential"), ("s", "ResidencePermitCredential")]
            .into_iter()
            .filter(|_| algorithm == SignatureAlgorithm::EdDsa)
        {
            let claims = issuer.issuer.catalogue.credential_type(name).unwrap().example_claims();
            let request = proto::CreateOfferRequest {
                credential_type: name.to_owned(),
                claims: Some(carnet_service::wire::to_struct(&claims)),
                ..with_format(id, proto::CredentialFormat::LdpVc)
            };
            let offer = issuer.create(request).await;
            let answer = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
            let credential: Value = serde_json::from_str(&answer.credentials[0].credential).unwrap();
            data_integrity::verify(credential.as_object().unwrap(), &issuer.issuer.suites, &resolver, &expected)
                .unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_key_or_a_build_cannot_make_is_not_listed_and_is_refused() {
    let formats = |metadata: proto::ReadMetadataResponse| -> HashSet<i32> {
        metadata.configurations.iter().map(|known| known.format).collect()
    };
    let issuer = start_with(SignatureAlgorithm::Es256).await;
    let metadata = issuer.issuance.clone().read_metadata(proto::ReadMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(metadata.issuer, DID);
    assert_eq!(metadata.max_batch_size, 10);
    assert_eq!(
        formats(metadata),
        [
            proto::CredentialFormat::VcSdJwt.into(),
            proto::CredentialFormat::DcSdJwt.into(),
            proto::CredentialFormat::DiVcJcs.into()
        ]
        .into()
    );
    let refused = issuer.staff().create_offer(with_format("a", proto::CredentialFormat::LdpVc)).await;
    assert_eq!(reason(refused), "FORMAT_UNAVAILABLE");
    let offer = issuer.create(offer_request("b")).await;
    let answer = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    SdJwt::parse(&answer.credentials[0].credential).unwrap().verify_signature(&issuer.issuer_key()).unwrap();

    let issuer = start().await;
    let metadata = issuer.issuance.clone().read_metadata(proto::ReadMetadataRequest {}).await.unwrap().into_inner();
    let listed = formats(metadata).contains(&proto::CredentialFormat::LdpVc.into());
    assert_eq!(listed, cfg!(feature = "jsonld"));
    if !listed {
        let refused = issuer.staff().create_offer(with_format("a", proto::CredentialFormat::LdpVc)).await;
        assert_eq!(reason(refused), "FORMAT_UNAVAILABLE");
    }
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_until_it_is_acknowledged() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(2), &issuer.nonce().await);
    let first = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    let again = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(issuer.issued().await.len(), 2);
    let others = issuer.proofs(&holder_keys(2), &issuer.nonce().await);
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, others).await), "OFFER_ALREADY_COLLECTED");

    let notify = |event: proto::NotificationEvent| proto::NotifyRequest {
        notification_id: first.notification_id.clone(),
        event: event.into(),
    };
    for _ in 0..2 {
        issuer.issuance.clone().notify(notify(proto::NotificationEvent::CredentialAccepted)).await.unwrap();
    }
    assert!(issuer.issued().await.iter().all(|r| r.notification() == proto::NotificationEvent::CredentialAccepted));
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, proofs).await), "OFFER_ALREADY_COLLECTED");
    let unspecified = issuer.issuance.clone().notify(notify(proto::NotificationEvent::Unspecified)).await;
    assert_eq!(reason(unspecified), "INVALID_ARGUMENT");
    let unknown = proto::NotifyRequest { notification_id: "unknown".to_owned(), event: 1 };
    assert_eq!(reason(issuer.issuance.clone().notify(unknown).await), "INVALID_NOTIFICATION_ID");
}

#[tokio::test]
async fn a_repeat_is_answered_though_its_nonce_was_used_ended_and_is_forgotten() {
    let issuer = start().await;
    let nonce = issuer.nonce().await;
    issuer.pass(10);
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(2), &nonce);
    let first = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    // The nonce is used up.
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap(), first);
    // The nonce has expired and the sweep has run, while the token is still valid; and after a restart, the process has
    // never issued it.
    issuer.pass(299);
    issuer.issuer.erase_expired(carnet_core::time::Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap(), first);
    let issuer = issuer.restarted().await;
    assert_eq!(issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap(), first);
    assert_eq!(issuer.issued().await.len(), 2);
    // Except in a repetition, the same nonce is refused.
    let other = issuer.create(offer_request("b")).await;
    let other_token = issuer.redeem(&other).await.unwrap();
    let refused = issuer.collect(&other_token, &other.configuration, proofs.clone()).await;
    assert_eq!(reason(refused), "INVALID_NONCE");
    issuer.pass(1);
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, proofs).await), "INVALID_TOKEN");
}

/// Signer that records the threads on which it signed.
struct OnThreads(SecretKey, Arc<Mutex<HashSet<ThreadId>>>);

impl Signer for OnThreads {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, carnet_core::Problem> {
        self.1.lock().unwrap().insert(std::thread::current().id());
        self.0.sign(message)
    }
}

#[tokio::test(flavor = "current_thread")]
async fn signing_keeps_no_other_call_waiting() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let issuer = start_signing(Box::new(OnThreads(key, threads.clone()))).await;
    let offer = issuer.create(offer_request("a")).await;
    issuer.receive(&offer, &holder_keys(3)).await.unwrap();
    let deferred = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("b") }).await;
    let waiting = issuer.receive(&deferred, &holder_keys(3)).await.unwrap();
    let release =
        proto::ReleaseOfferRequest { offer_id: deferred.id.clone(), request_id: String::new(), reason: String::new() };
    issuer.staff().release_offer(release).await.unwrap();
    let ask = proto::CollectDeferredRequest { transaction_id: waiting.transaction_id };
    assert_eq!(issuer.issuance.clone().collect_deferred(ask).await.unwrap().into_inner().credentials.len(), 3);
    let threads = threads.lock().unwrap();
    assert!(!threads.is_empty());
    // Every call is served on this thread.
    assert!(!threads.contains(&std::thread::current().id()));
}

/// Signer that signs two calls at once only: neither finishes before the other has begun.
struct InPairs(SecretKey, Barrier);

impl Signer for InPairs {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, carnet_core::Problem> {
        if is_copy(message) {
            self.1.wait();
        }
        self.0.sign(message)
    }
}

fn in_pairs() -> Box<dyn Signer> {
    Box::new(InPairs(SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng), Barrier::new(2)))
}

/// The wallet's connection breaks while its call is served, and it repeats the call.
#[tokio::test]
async fn the_same_request_twice_at_once_gets_the_same_copies() {
    let issuer = start_signing(in_pairs()).await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    let collect = || issuer.collect(&token, &offer.configuration, proofs.clone());
    let (a, b) = tokio::join!(collect(), collect());
    let a = a.unwrap();
    assert_eq!(a.credentials.len(), 1);
    assert_eq!(a, b.unwrap());
    assert_eq!(collect().await.unwrap(), a);
    assert_eq!(issuer.issued().await.len(), 1);

    let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("b") }).await;
    let waiting = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    let release =
        proto::ReleaseOfferRequest { offer_id: offer.id.clone(), request_id: String::new(), reason: String::new() };
    issuer.staff().release_offer(release).await.unwrap();
    let ask = || proto::CollectDeferredRequest { transaction_id: waiting.transaction_id.clone() };
    let (mut one, mut two) = (issuer.issuance.clone(), issuer.issuance.clone());
    let (a, b) = tokio::join!(one.collect_deferred(ask()), two.collect_deferred(ask()));
    let a = a.unwrap().into_inner();
    assert_eq!(a.credentials.len(), 1);
    assert_eq!(a, b.unwrap().into_inner());
    assert_eq!(issuer.issued().await.len(), 2);
}

#[tokio::test]
async fn two_requests_at_once_give_one_batch() {
    let issuer = start_signing(in_pairs()).await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let one = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    let two = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    let (a, b) = tokio::join!(
        issuer.collect(&token, &offer.configuration, one),
        issuer.collect(&token, &offer.configuration, two)
    );
    let (given, refused) = if a.is_ok() { (a, b) } else { (b, a) };
    assert_eq!(given.unwrap().credentials.len(), 1);
    assert_eq!(reason(refused), "OFFER_ALREADY_COLLECTED");
    assert_eq!(issuer.issued().await.len(), 1);
}

#[tokio::test]
async fn a_deferred_offer_waits_for_its_release() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("a") }).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let keys = holder_keys(2);
    let proofs = issuer.proofs(&keys, &issuer.nonce().await);
    let waiting = issuer.collect(&token, &offer.configuration, proofs.clone()).await.unwrap();
    assert!(waiting.credentials.is_empty() && waiting.interval_seconds > 0);
    // A repeated call finds the same transaction, although the transaction id is not stored.
    let again = issuer.collect(&token, &offer.configuration, proofs).await.unwrap();
    assert_eq!(again.transaction_id, waiting.transaction_id);
    assert!(issuer.forgotten(&waiting.transaction_id).await);

    let ask = || proto::CollectDeferredRequest { transaction_id: waiting.transaction_id.clone() };
    let mut wallet = issuer.issuance.clone();
    // Days pass: neither the token's end nor a sweep ends the wait.
    issuer.pass(3 * 86_400);
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Redeemed);
    let early = wallet.collect_deferred(ask()).await.unwrap().into_inner();
    assert!(early.credentials.is_empty() && early.interval_seconds > 0);
    assert!(issuer.issued().await.is_empty());
    for _ in 0..2 {
        let release = proto::ReleaseOfferRequest {
            offer_id: offer.id.clone(),
            request_id: "r".to_owned(),
            reason: String::new(),
        };
        issuer.staff().release_offer(release).await.unwrap();
    }
    let ready = wallet.collect_deferred(ask()).await.unwrap().into_inner();
    assert_eq!(ready.credentials.len(), 2);
    let credential = SdJwt::parse(&ready.credentials[1].credential).unwrap();
    assert_eq!(credential.holder_key().unwrap().unwrap(), keys[1].public_key());
    assert_eq!(wallet.collect_deferred(ask()).await.unwrap().into_inner(), ready);
    assert_eq!(issuer.issued().await.len(), 2);
    assert!(issuer.forgotten(MARK).await);
    let x = keys[0].public_key().to_jwk()["x"].as_str().unwrap().to_owned();
    assert!(issuer.forgotten(&x).await, "the holder's keys are erased with the claims");

    let notify = proto::NotifyRequest { notification_id: ready.notification_id, event: 1 };
    wallet.notify(notify).await.unwrap();
    assert_eq!(reason(wallet.collect_deferred(ask()).await), "INVALID_TRANSACTION_ID");
    let unknown = proto::CollectDeferredRequest { transaction_id: "unknown".to_owned() };
    assert_eq!(reason(wallet.collect_deferred(unknown).await), "INVALID_TRANSACTION_ID");
}

/// There is one write lock; callers with nothing to write neither wait for it nor make others wait.
#[tokio::test]
async fn who_knows_no_code_and_no_handle_is_answered_while_another_writes() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let deferred = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("b") }).await;
    let waiting = issuer.receive(&deferred, &holder_keys(1)).await.unwrap().transaction_id;
    let collect = async |id: &str| {
        let request = proto::CollectDeferredRequest { transaction_id: id.to_owned() };
        issuer.issuance.clone().collect_deferred(request).await
    };
    let notify = async |id: &str| {
        let request = proto::NotifyRequest { notification_id: id.to_owned(), event: 1 };
        issuer.issuance.clone().notify(request).await
    };
    let writer = issuer.probe().await.hold_writer().await;
    assert_eq!(reason(collect("unknown").await), "INVALID_TRANSACTION_ID");
    assert_eq!(reason(notify("unknown").await), "INVALID_NOTIFICATION_ID");
    assert_eq!(reason(issuer.redeem_with("unknown", None).await), "INVALID_GRANT");
    // A wallet that waits for staff polls.
    assert!(collect(&waiting).await.unwrap().into_inner().interval_seconds > 0);
    writer.release().await;
    let answer = issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    notify(&answer.notification_id).await.unwrap();
    let release = proto::ReleaseOfferRequest { offer_id: deferred.id, ..Default::default() };
    issuer.staff().release_offer(release).await.unwrap();
    assert_eq!(collect(&waiting).await.unwrap().into_inner().credentials.len(), 1);
}

#[tokio::test]
async fn release_is_for_deferred_offers_and_may_come_first() {
    let issuer = start().await;
    let plain = issuer.create(offer_request("a")).await;
    let release = |id: &str| proto::ReleaseOfferRequest {
        offer_id: id.to_owned(),
        request_id: String::new(),
        reason: String::new(),
    };
    assert_eq!(reason(issuer.staff().release_offer(release(&plain.id)).await), "OFFER_NOT_DEFERRED");
    assert_eq!(reason(issuer.staff().release_offer(release("unknown")).await), "NOT_FOUND");
    let deferred = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("b") }).await;
    issuer.staff().release_offer(release(&deferred.id)).await.unwrap();
    assert_eq!(issuer.receive(&deferred, &holder_keys(1)).await.unwrap().credentials.len(), 1);
}

#[tokio::test]
async fn staff_read_what_was_issued_without_claims() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    issuer.receive(&offer, &holder_keys(3)).await.unwrap();
    let list = proto::ListIssuedRequest { page_size: 2, offer_id: offer.id.clone(), ..Default::default() };
    let page = issuer.staff().list_issued(list).await.unwrap().into_inner();
    assert_eq!(page.issued.len(), 2);
    assert!(!page.next_page_token.is_empty());
    let read = proto::ReadIssuedRequest { issued_id: page.issued[0].issued_id.clone() };
    let record = issuer.staff().read_issued(read).await.unwrap().into_inner().issued.unwrap();
    assert_eq!(record, page.issued[0]);
    assert_eq!(record.offer_id, offer.id);
    assert_eq!(record.valid_until.unwrap().seconds % 86_400, 0);
    let unknown = proto::ReadIssuedRequest { issued_id: "unknown".to_owned() };
    assert_eq!(reason(issuer.staff().read_issued(unknown).await), "NOT_FOUND");
    let none = proto::ListIssuedRequest { offer_id: "other".to_owned(), ..Default::default() };
    assert!(issuer.staff().list_issued(none).await.unwrap().into_inner().issued.is_empty());
}
