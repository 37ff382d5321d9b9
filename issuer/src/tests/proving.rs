//! Proofs of possession: each fault, and the same proof without it.

use carnet_core::{
    keys::{SecretKey, Signer as _},
    secure::jose,
};
use serde_json::{Value, json};
use tonic::Code;

use super::harness::{ProofParts, Running, holder_keys, offer_request, proof_parts, reason, signed, start};

/// Collects with a faulty proof, expects its refusal, and then collects with the correct one under the same token and
/// nonce.
async fn refused_and_its_twin(
    issuer: &Running,
    id: &str,
    expected: &str,
    bend: impl FnOnce(&SecretKey, &str) -> String,
) -> String {
    let offer = issuer.create(offer_request(id)).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let keys = holder_keys(1);
    let bent = bend(&keys[0], &nonce);
    let refused = issuer.collect(&token, &offer.configuration, vec![bent]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert_eq!(reason(refused), expected, "{id}: {message}");
    let straight = issuer.proofs(&keys, &nonce);
    let answer = issuer.collect(&token, &offer.configuration, straight).await.unwrap();
    assert_eq!(answer.credentials.len(), 1);
    message
}

fn bent(key: &SecretKey, nonce: &str, issuer: &Running, change: impl FnOnce(&mut ProofParts)) -> String {
    let mut parts = proof_parts(key, nonce, issuer.now());
    change(&mut parts);
    signed(parts, key)
}

fn set(object: &mut serde_json::Map<String, Value>, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}

/// Signs any header, including those that core's own signing does not produce.
fn raw(header: &Value, payload: &Value, key: &SecretKey) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let input = format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload.to_string()));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", B64.encode(signature))
}

#[tokio::test]
async fn row_05_a_key_binding_is_no_issuance_proof() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        bent(key, nonce, &issuer, |parts| {
            set(&mut parts.header, "typ", json!("kb+jwt"));
            set(&mut parts.payload, "sd_hash", json!("AAAA"));
        })
    })
    .await;
    assert!(message.contains("token_type"), "{message}");
}

#[tokio::test]
async fn row_04_a_proof_without_its_typ_is_refused() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        bent(key, nonce, &issuer, |parts| drop(parts.header.remove("typ")))
    })
    .await;
    assert!(message.contains("token_type"), "{message}");
}

#[tokio::test]
async fn row_01_a_proof_with_alg_none_is_refused() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        let ProofParts { mut header, payload } = proof_parts(key, nonce, issuer.now());
        set(&mut header, "alg", json!("none"));
        let token = raw(&Value::Object(header), &Value::Object(payload), key);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    })
    .await;
    assert!(message.contains("algorithm_forbidden") || message.contains("token_malformed"), "{message}");
}

#[tokio::test]
async fn row_07_a_proof_with_kid_and_jwk_is_refused() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        let ProofParts { mut header, payload } = proof_parts(key, nonce, issuer.now());
        set(&mut header, "alg", json!("EdDSA"));
        set(&mut header, "kid", json!("did:example:x#1"));
        raw(&Value::Object(header), &Value::Object(payload), key)
    })
    .await;
    assert!(message.contains("header_key_ambiguous"), "{message}");
    let message = refused_and_its_twin(&issuer, "b", "INVALID_PROOF", |key, nonce| {
        bent(key, nonce, &issuer, |parts| drop(parts.header.remove("jwk")))
    })
    .await;
    assert!(message.contains("header_key_ambiguous"), "{message}");
}

#[tokio::test]
async fn row_08_a_proof_with_a_private_key_is_refused() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
        let ProofParts { mut header, payload } = proof_parts(key, nonce, issuer.now());
        set(&mut header, "alg", json!("EdDSA"));
        header["jwk"]["d"] = json!(B64.encode(key.to_bytes().as_slice()));
        raw(&Value::Object(header), &Value::Object(payload), key)
    })
    .await;
    assert!(message.contains("private_key_exposed"), "{message}");
}

#[tokio::test]
async fn row_09_a_time_as_a_string_is_refused() {
    let issuer = start().await;
    let message = refused_and_its_twin(&issuer, "a", "INVALID_PROOF", |key, nonce| {
        bent(key, nonce, &issuer, |parts| {
            let text = parts.payload["iat"].to_string();
            set(&mut parts.payload, "iat", json!(text));
        })
    })
    .await;
    assert!(message.contains("malformed_value"), "{message}");
}

#[tokio::test]
async fn a_proof_for_another_issuer_or_time_or_key_is_refused() {
    let issuer = start().await;
    let now = issuer.now();
    type Bend = (&'static str, &'static str, Box<dyn Fn(&mut ProofParts)>);
    let cases: Vec<Bend> = vec![
        ("a", "domain_mismatch", Box::new(|p| set(&mut p.payload, "aud", json!("did:web:other.example")))),
        ("b", "domain_mismatch", Box::new(|p| set(&mut p.payload, "aud", json!([super::harness::DID])))),
        ("c", "domain_missing", Box::new(|p| drop(p.payload.remove("aud")))),
        ("d", "key_binding_stale", Box::new(move |p| set(&mut p.payload, "iat", json!(now - 301)))),
        ("e", "key_binding_stale", Box::new(move |p| set(&mut p.payload, "iat", json!(now + 61)))),
        ("f", "claim_missing", Box::new(|p| drop(p.payload.remove("iat")))),
        ("g", "challenge_missing", Box::new(|p| drop(p.payload.remove("nonce")))),
        ("h", "expired", Box::new(move |p| set(&mut p.payload, "exp", json!(now - 3600)))),
    ];
    for (id, expected, bend) in cases {
        let message =
            refused_and_its_twin(&issuer, id, "INVALID_PROOF", |key, nonce| bent(key, nonce, &issuer, |p| bend(p)))
                .await;
        assert!(message.contains(expected), "{id}: {message}");
    }
    let message = refused_and_its_twin(&issuer, "i", "INVALID_PROOF", |key, nonce| {
        let other = &holder_keys(1)[0];
        jose::sign(proof_parts(key, nonce, now).header, &proof_parts(key, nonce, now).payload, other).unwrap()
    })
    .await;
    assert!(message.contains("signature_invalid"), "{message}");
    refused_and_its_twin(&issuer, "j", "INVALID_PROOF", |_, _| "x".repeat(10_000)).await;
    refused_and_its_twin(&issuer, "k", "INVALID_PROOF", |_, _| String::new()).await;
}

#[tokio::test]
async fn row_81_an_issuance_nonce_works_once() {
    let issuer = start().await;
    let nonce = issuer.nonce().await;
    let first = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&first).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(1), &nonce);
    assert!(issuer.collect(&token, &first.configuration, proofs).await.is_ok());

    let second = issuer.create(offer_request("b")).await;
    let token = issuer.redeem(&second).await.unwrap();
    let keys = holder_keys(1);
    let replayed = issuer.collect(&token, &second.configuration, issuer.proofs(&keys, &nonce)).await;
    assert_eq!(reason(replayed), "INVALID_NONCE");
    let invented = issuer.collect(&token, &second.configuration, issuer.proofs(&keys, "never-given-out")).await;
    assert_eq!(reason(invented), "INVALID_NONCE");
    assert_eq!(issuer.issued().await.len(), 1);
    let fresh = issuer.proofs(&keys, &issuer.nonce().await);
    assert!(issuer.collect(&token, &second.configuration, fresh).await.is_ok());
}

#[tokio::test]
async fn a_nonce_past_its_end_is_refused() {
    let issuer = start().await;
    let nonce = issuer.nonce().await;
    issuer.pass(300);
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(1), &nonce);
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, proofs).await), "INVALID_NONCE");
}

#[tokio::test]
async fn row_81_a_nonce_works_once_for_two_at_the_same_time() {
    let issuer = start().await;
    let nonce = issuer.nonce().await;
    let mut calls = Vec::new();
    for id in ["a", "b"] {
        let offer = issuer.create(offer_request(id)).await;
        let token = issuer.redeem(&offer).await.unwrap();
        calls.push((token, offer.configuration, issuer.proofs(&holder_keys(1), &nonce)));
    }
    let [one, two] = calls.try_into().unwrap();
    let (one, two) = tokio::join!(issuer.collect(&one.0, &one.1, one.2), issuer.collect(&two.0, &two.1, two.2));
    let refused = if one.is_ok() { two } else { one };
    assert_eq!(reason(refused), "INVALID_NONCE");
    assert_eq!(issuer.issued().await.len(), 1);
}

#[tokio::test]
async fn a_nonce_of_before_a_restart_is_refused_as_passing() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let issuer = issuer.restarted().await;
    let keys = holder_keys(1);
    let refused = issuer.collect(&token, &offer.configuration, issuer.proofs(&keys, &nonce)).await;
    // With a RetryInfo, so that a wallet says that a retry helps.
    let retry = tonic_types::StatusExt::get_details_retry_info(refused.as_ref().unwrap_err());
    assert!(retry.is_some_and(|info| info.retry_delay.is_some()));
    assert_eq!(reason(refused), "INVALID_NONCE");
    let fresh = issuer.proofs(&keys, &issuer.nonce().await);
    assert!(issuer.collect(&token, &offer.configuration, fresh).await.is_ok());
}

#[tokio::test]
async fn asking_for_nonces_fills_nothing() {
    let issuer = start().await;
    let before = issuer.files();
    for _ in 0..100 {
        issuer.nonce().await;
    }
    assert!(issuer.files() == before, "a nonce was written");
    // The same query finds an existing row: a used nonce.
    let offer = issuer.create(offer_request("a")).await;
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    assert!(issuer.files() != before);
}

/// Verifying signatures is expensive, so nobody gets it without a token.
#[tokio::test]
async fn the_token_is_looked_at_before_the_proofs() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let broken = || vec!["no proof".to_owned()];
    assert_eq!(reason(issuer.collect("wrong", &offer.configuration, broken()).await), "INVALID_TOKEN");
    let other = issuer.collect(&token, "ResidencePermitCredential_vc+sd-jwt", broken()).await;
    assert_eq!(reason(other), "CONFIGURATION_NOT_OFFERED");
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, broken()).await), "INVALID_PROOF");
    issuer.pass(300);
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, broken()).await), "INVALID_TOKEN");
}

#[tokio::test]
async fn a_batch_has_one_nonce_distinct_keys_and_a_limit() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let nonce = issuer.nonce().await;
    let keys = holder_keys(11);
    let all = issuer.proofs(&keys, &nonce);
    let collect = |proofs: Vec<String>| issuer.collect(&token, &offer.configuration, proofs);
    assert_eq!(reason(collect(all.clone()).await), "BATCH_SIZE");
    assert_eq!(reason(collect(Vec::new()).await), "BATCH_SIZE");
    assert_eq!(reason(collect(vec![all[0].clone(), all[0].clone()]).await), "INVALID_PROOF");
    let other = issuer.proofs(&keys[1..2], &issuer.nonce().await);
    assert_eq!(reason(collect(vec![all[0].clone(), other[0].clone()]).await), "INVALID_PROOF");
    assert_eq!(collect(all[..10].to_vec()).await.unwrap().credentials.len(), 10);
}

#[tokio::test]
async fn a_token_is_needed_and_is_for_its_own_offer() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    let wrong = issuer.collect("wrong", &offer.configuration, proofs.clone()).await;
    assert_eq!(wrong.as_ref().unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(reason(wrong), "INVALID_TOKEN");
    let other = issuer.collect(&token, "ResidencePermitCredential_vc+sd-jwt", proofs.clone()).await;
    assert_eq!(reason(other), "CONFIGURATION_NOT_OFFERED");
    assert!(issuer.collect(&token, "Nothing_vc+sd-jwt", proofs.clone()).await.is_err());
    assert!(issuer.collect(&token, &offer.configuration, proofs).await.is_ok());

    let late = issuer.create(offer_request("b")).await;
    let token = issuer.redeem(&late).await.unwrap();
    issuer.pass(300);
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    assert_eq!(reason(issuer.collect(&token, &late.configuration, proofs).await), "INVALID_TOKEN");
}

#[tokio::test]
async fn the_first_request_decides_which_sd_jwt_is_issued() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(2), &issuer.nonce().await);
    let other = "QualificationCredential_dc+sd-jwt";
    assert_ne!(other, offer.configuration);
    let issued = issuer.collect(&token, other, proofs.clone()).await.unwrap();
    let payload = |copy: &str| carnet_core::secure::sd_jwt::SdJwt::parse(copy).unwrap().jws().payload().clone();
    assert!(issued.credentials.iter().all(|copy| payload(&copy.credential).contains_key("vct")));
    // A repeated call gets the same copies; the other format is no second batch.
    assert_eq!(issuer.collect(&token, other, proofs.clone()).await.unwrap(), issued);
    let again = issuer.collect(&token, &offer.configuration, proofs).await;
    assert_eq!(reason(again), "OFFER_ALREADY_COLLECTED");
}
