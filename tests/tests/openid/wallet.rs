//! Credentials that a wallet receives over HTTP alone.

use std::collections::{BTreeSet, HashSet};

use carnet_core::{
    keys::{PublicKey, SecretKey, Signer as _},
    secure::sd_jwt::SdJwt,
};
use carnet_tests::{
    Result,
    stage::{Office, Stage},
    visitor::Copy,
};
use serde_json::{Value, json};

use crate::client::{Endpoints, Offer, Response, access_token, get, keys, post_json, proofs};

const DAY: i64 = 86_400;

/// Redeems an offer and collects copies in a format. The token goes with notifications.
pub(crate) async fn receive(
    office: &Office,
    kind: &str,
    format: &str,
    count: usize,
) -> Result<(Response, Vec<SecretKey>, String)> {
    let endpoints = Endpoints::discover(office).await?;
    let offer = Offer::make(office, kind, &["--pin"]).await?;
    let token = access_token(&endpoints.redeem(office, &offer).await?);
    let keys = keys(count);
    let proofs = proofs(&keys, &offer.issuer, &endpoints.nonce(office).await?);
    // A request may have members that this issuer does not know (HappyFlow).
    let request = json!({
        "credential_configuration_id": offer.configuration(format),
        "proofs": {"jwt": proofs},
        "unknown": {"member": [1]},
    });
    let response = post_json(office, endpoints.of("credential_endpoint"), Some(&token), &request).await?;
    Ok((response, keys, token))
}

/// Copies in a response, which has nothing but them and the id for notifications.
pub(crate) fn copies(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    let names: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["credentials", "notification_id"]));
    let credential = |one: &Value| {
        assert_eq!(one.as_object().unwrap().len(), 1);
        one["credential"].as_str().unwrap().to_owned()
    };
    body["credentials"].as_array().unwrap().iter().map(credential).collect()
}

/// Published signing key that a credential's header names.
async fn issuer_key(office: &Office, copy: &SdJwt) -> Result<PublicKey> {
    let published = get(office, &format!("{}/.well-known/jwt-vc-issuer", office.service.url)).await?.json();
    let kid = copy.jws().header().get("kid").and_then(Value::as_str).ok_or("no kid")?;
    let keys = published["jwks"]["keys"].as_array().ok_or("no keys")?;
    let jwk = keys.iter().find(|key| key["kid"] == json!(kid)).ok_or("the key is not published")?;
    Ok(PublicKey::from_jwk(jwk)?)
}

fn index_of(payload: &Value) -> i64 {
    let own = payload.pointer("/status/status_list/idx").and_then(Value::as_i64);
    own.or_else(|| payload.pointer("/credentialStatus/0/statusListIndex").and_then(Value::as_str)?.parse().ok())
        .or_else(|| payload.pointer("/credentialStatus/statusListIndex").and_then(Value::as_str)?.parse().ok())
        .unwrap_or_else(|| panic!("no index: {payload}"))
}

/// Copies of one batch differ in key, salts and index, have the same rounded times, and no index follows from the
/// others (BatchIssuance).
fn require_unlinkable(parsed: &[SdJwt], texts: &[String]) {
    let payloads: Vec<Value> = parsed.iter().map(|copy| Value::Object(copy.jws().payload().clone())).collect();
    let parts: Vec<&str> =
        texts.iter().flat_map(|text| text.split('~').skip(1)).filter(|part| !part.is_empty()).collect();
    assert_eq!(parts.iter().collect::<HashSet<_>>().len(), parts.len(), "a salt occurs twice");
    let indices: Vec<i64> = payloads.iter().map(index_of).collect();
    assert_eq!(indices.iter().collect::<HashSet<_>>().len(), indices.len());
    let steps: HashSet<i64> = indices.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.len() > 1, "the indices are a progression: {indices:?}");
    for name in ["iat", "nbf", "exp"] {
        let times: HashSet<Option<i64>> = payloads.iter().map(|payload| payload[name].as_i64()).collect();
        assert_eq!(times.len(), 1, "{name} tells copies apart");
        assert!(times.iter().flatten().all(|time| time % DAY == 0), "{name} is not rounded: {times:?}");
    }
    for name in ["validFrom", "validUntil"] {
        let times: HashSet<String> = payloads.iter().map(|payload| payload[name].to_string()).collect();
        assert_eq!(times.len(), 1, "{name} tells copies apart");
    }
    for (name, common) in payloads[0].as_object().unwrap() {
        let differs = payloads.iter().any(|payload| payload[name] != *common);
        // Arrays of commitments have digests for elements, which are as salted as those of `_sd`.
        let is_hidden = common.as_array().is_some_and(|items| items.iter().all(|item| item.get("...").is_some()));
        let may_differ =
            is_hidden || ["cnf", "_sd", "status", "credentialStatus", "credentialSubject"].contains(&name.as_str());
        assert!(!differs || may_differ, "{name} tells copies apart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_receives_both_formats_over_http_alone() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.authority;
    for format in ["dc+sd-jwt", "vc+sd-jwt"] {
        let (response, holder, token) = receive(office, "ResidencePermitCredential", format, 5).await?;
        let texts = copies(&response);
        assert_eq!(texts.len(), 5);
        for name in ["set-cookie", "etag", "last-modified", "server-timing"] {
            assert_eq!(response.header(name), None, "{name} could tell wallets apart");
        }
        let parsed: Vec<SdJwt> = texts.iter().map(|text| SdJwt::parse(text)).collect::<std::result::Result<_, _>>()?;
        for (copy, key) in parsed.iter().zip(&holder) {
            assert_eq!(copy.jws().typ(), Some(format));
            copy.verify_signature(&issuer_key(office, copy).await?)?;
            assert_eq!(copy.holder_key()?.as_ref(), Some(&key.public_key()));
            let named = copy.jws().payload().contains_key("vct");
            assert_eq!(named, format == "dc+sd-jwt", "only an SD-JWT VC has a vct");
        }
        require_unlinkable(&parsed, &texts);
        // HappyFlow with, and then a second time: notifications are idempotent.
        let endpoints = Endpoints::discover(office).await?;
        let event = json!({
            "notification_id": response.json()["notification_id"], "event": "credential_accepted",
            "event_description": "stored",
        });
        for _ in 0..2 {
            let noted = post_json(office, endpoints.of("notification_endpoint"), Some(&token), &event).await?;
            assert_eq!((noted.status, noted.body.len()), (204, 0));
        }
        if format == "vc+sd-jwt" {
            let (credential, key) = texts.into_iter().zip(holder).next().ok_or("no copy")?;
            let copy = Copy { credential, key };
            // Our agency accepts it; the twin, with another signature, it does not.
            stage.comes_to(&copy, None).await?;
            let (token, disclosures) = copy.credential.split_once('~').ok_or("no SD-JWT")?;
            let (signed, _) = token.rsplit_once('.').ok_or("no JWT")?;
            let forged = Copy { credential: format!("{signed}.{}~{disclosures}", "A".repeat(86)), key: copy.key };
            assert_eq!(stage.refusal(&forged).await?.as_deref(), Some("signature_invalid"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deferred_credentials_come_after_their_release() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let endpoints = Endpoints::discover(office).await?;
    let deferred = endpoints.of("deferred_credential_endpoint");
    for (release, kind) in [(true, "release"), (false, "reject")] {
        let offer = Offer::make(office, "QualificationCredential", &["--deferred"]).await?;
        let token = access_token(&endpoints.redeem(office, &offer).await?);
        let proofs = proofs(&keys(2), &offer.issuer, &endpoints.nonce(office).await?);
        let request = json!({
            "credential_configuration_id": offer.configuration("dc+sd-jwt"), "proofs": {"jwt": proofs},
        });
        let accepted = post_json(office, endpoints.of("credential_endpoint"), Some(&token), &request).await?;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let handle = accepted.json();
        assert_eq!(handle.as_object().unwrap().len(), 2, "{handle}");
        let ask = json!({"transaction_id": handle["transaction_id"]});
        // Only the token of the request leads to its copies.
        for (token, reason) in [(None, "TOKEN_MISSING"), (Some("another"), "INVALID_TOKEN")] {
            let refused = post_json(office, deferred, token, &ask).await?;
            assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_token"));
            assert_eq!(refused.reason(), Some(reason));
            assert!(refused.header("www-authenticate").is_some(), "{refused:?}");
        }
        let waiting = post_json(office, deferred, Some(&token), &ask).await?;
        assert_eq!((waiting.status, waiting.json()), (202, handle.clone()));
        office.staff(&["offer", kind, &offer.id, "--reason", "checked"])?.ok()?;
        let decided = post_json(office, deferred, Some(&token), &ask).await?;
        if release {
            let texts = copies(&decided);
            assert_eq!(texts.len(), 2);
            // The holder chose SD-JWT VC of an offer that staff made in the other format.
            assert!(texts.iter().all(|text| SdJwt::parse(text).unwrap().jws().typ() == Some("dc+sd-jwt")));
        } else {
            assert_eq!((decided.status, decided.error().as_str()), (400, "credential_request_denied"));
        }
    }
    let unknown = post_json(office, deferred, Some("x"), &json!({"transaction_id": "unknown"})).await?;
    assert_eq!((unknown.status, unknown.error().as_str()), (400, "invalid_transaction_id"));
    Ok(())
}
