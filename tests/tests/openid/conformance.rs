//! Conditions of the OpenID Foundation's conformance modules for issuers that are not those of HAIP, each under its
//! module's name. HappyFlow and BatchIssuance are in `wallet.rs`; the refusals through both doors in `doors.rs`.

use std::collections::HashSet;

use carnet_core::secure::{
    jwe::{self, ContentEncryption, DecryptionKey, EncryptionKey},
    sd_jwt::SdJwt,
};
use carnet_tests::{
    Result,
    stage::{Office, Stage},
};
use rand_core::OsRng;
use serde_json::{Value, json};

use crate::{
    client::{Endpoints, GRANT, Offer, Response, access_token, get, keys, post_form, post_json, proofs, send},
    wallet::{copies, receive},
};

/// Every `locale` in a document occurs once beside its siblings, and is a language tag.
fn check_locales(value: &Value) {
    match value {
        Value::Array(items) => {
            let tags: Vec<&str> = items.iter().filter_map(|item| item["locale"].as_str()).collect();
            assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len(), "{tags:?}");
            for tag in tags {
                let subtag =
                    |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
                assert!(tag.split('-').all(subtag), "{tag}");
            }
            items.iter().for_each(check_locales);
        }
        Value::Object(members) => members.values().for_each(check_locales),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_test() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let url = &office.service.url;
    let Endpoints { metadata, token } = Endpoints::discover(office).await?;
    assert!(token.starts_with(url.as_str()));
    check_locales(&metadata);
    let configurations = metadata["credential_configurations_supported"].as_object().unwrap();
    assert!(!configurations.is_empty());
    for (id, known) in configurations {
        let format = known["format"].as_str().unwrap();
        assert!(id.ends_with(format), "{id}");
        assert_eq!(known.get("vct").is_some(), format == "dc+sd-jwt", "{id}");
        assert_eq!(known.get("credential_definition").is_some(), format != "dc+sd-jwt", "{id}");
        assert_eq!(known["cryptographic_binding_methods_supported"], json!(["jwk"]), "{id}");
        let algorithms = &known["proof_types_supported"]["jwt"]["proof_signing_alg_values_supported"];
        assert_eq!(*algorithms, json!(["EdDSA", "ES256"]), "{id}");
        assert!(!known["credential_signing_alg_values_supported"].as_array().unwrap().is_empty(), "{id}");
        assert!(!known["credential_metadata"]["display"].as_array().unwrap().is_empty(), "{id}");
        assert!(!known["credential_metadata"]["claims"].as_array().unwrap().is_empty(), "{id}");
    }
    assert_eq!(metadata["batch_credential_issuance"]["batch_size"], json!(10));
    let server = get(office, &format!("{url}/.well-known/oauth-authorization-server")).await?.json();
    assert_eq!(server["grant_types_supported"], json!([GRANT]));
    let published = get(office, &format!("{url}/.well-known/jwt-vc-issuer")).await?.json();
    let keys = published["jwks"]["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        for private in ["d", "p", "q", "k"] {
            assert!(key.get(private).is_none(), "a private key is published");
        }
    }
    // Unusual Accept headers, and paths that are none.
    for (path, accept, status) in [
        ("/.well-known/openid-credential-issuer", "text/html;q=0.1, */*", 200),
        ("/.well-known/openid-credential-issuer", "nonsense", 200),
        ("/.well-known/openid-credential-issuer/other", "*/*", 404),
        ("/openid/offers/unknown", "*/*", 404),
        ("/openid/types/Nothing", "*/*", 404),
        ("/openid/token", "*/*", 405),
        ("/openid/credential", "*/*", 405),
    ] {
        assert_eq!(send(office, ("GET", path), &[("Accept", accept)], &[]).await?.status, status, "{path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn type_metadata_names_its_type_and_claims() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let (response, _, _) = receive(office, "QualificationCredential", "dc+sd-jwt", 1).await?;
    let copy = SdJwt::parse(&copies(&response)[0])?;
    let document = get(office, &format!("{}/openid/types/QualificationCredential", office.service.url)).await?.json();
    assert_eq!(Some(&document["vct"]), copy.jws().payload().get("vct"));
    let disclosed = copy.resolve_disclosures()?.payload;
    let claims = document["claims"].as_array().unwrap();
    for claim in claims.iter().filter(|claim| claim["path"].as_array().unwrap().len() == 1) {
        assert_eq!(claim["sd"], json!("always"));
        // A claim that the issuer calls selectively disclosable is not in the clear.
        let name = claim["path"][0].as_str().unwrap();
        assert!(!copy.jws().payload().contains_key(name), "{name}");
    }
    assert!(claims.iter().any(|claim| claim["path"] == json!(["title"])) && disclosed.contains_key("title"));
    Ok(())
}

/// A request that is refused, and its expected code.
struct Bad<'a> {
    module: &'a str,
    body: Value,
    status: u16,
    error: &'a str,
}

fn require(response: &Response, bad: &Bad<'_>) {
    assert_eq!((response.status, response.error().as_str()), (bad.status, bad.error), "{}", bad.module);
    assert_eq!(response.header("cache-control"), Some("no-store"), "{}", bad.module);
    assert_eq!(response.header("content-type"), Some("application/json"), "{}", bad.module);
}

/// An offer that is redeemed, with good proofs.
async fn redeemed(office: &Office, endpoints: &Endpoints) -> Result<(Offer, String, Vec<String>)> {
    let offer = Offer::make(office, "QualificationCredential", &[]).await?;
    let token = access_token(&endpoints.redeem(office, &offer).await?);
    let proofs = proofs(&keys(1), &offer.issuer, &endpoints.nonce(office).await?);
    Ok((offer, token, proofs))
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_modules_of_the_credential_endpoint() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let endpoints = Endpoints::discover(office).await?;
    let credential = endpoints.of("credential_endpoint");
    let (offer, token, good) = redeemed(office, &endpoints).await?;
    let id = offer.configuration("dc+sd-jwt");
    let bad_nonce = proofs(&keys(1), &offer.issuer, "unknown");
    let forged = format!("{}{}", &good[0][..good[0].len() - 86], "A".repeat(86));
    let bad = |module, body, error| Bad { module, body, status: 400, error };
    for bad in [
        bad(
            "FailOnInvalidNonce",
            json!({"credential_configuration_id": id, "proofs": {"jwt": bad_nonce}}),
            "invalid_nonce",
        ),
        bad(
            "FailOnInvalidJwtProofSignature",
            json!({"credential_configuration_id": id, "proofs": {"jwt": [forged]}}),
            "invalid_proof",
        ),
        bad("FailOnMissingProof", json!({"credential_configuration_id": id}), "invalid_proof"),
        bad(
            "FailOnMissingProof: none in the list",
            json!({"credential_configuration_id": id, "proofs": {"jwt": []}}),
            "invalid_proof",
        ),
        bad(
            "FailOnUnknownCredentialConfigurationId",
            json!({"credential_configuration_id": "unknown", "proofs": {"jwt": good}}),
            "unknown_credential_configuration",
        ),
        bad(
            "FailOnUnknownCredentialIdentifier",
            json!({"credential_identifier": "unknown", "proofs": {"jwt": good}}),
            "unknown_credential_identifier",
        ),
        bad(
            "two names of a credential",
            json!({"credential_configuration_id": id, "credential_identifier": id, "proofs": {"jwt": good}}),
            "invalid_credential_request",
        ),
        bad("no name of a credential", json!({"proofs": {"jwt": good}}), "invalid_credential_request"),
        bad(
            "two types of proofs",
            json!({"credential_configuration_id": id, "proofs": {"jwt": good, "attestation": ["x"]}}),
            "invalid_proof",
        ),
    ] {
        require(&post_json(office, credential, Some(&token), &bad.body).await?, &bad);
    }
    let request = json!({"credential_configuration_id": id, "proofs": {"jwt": good}});
    let bearer = format!("Bearer {token}");
    // Row 32: one name twice, of which a lenient reader would take either.
    let twice = format!("{{\"credential_configuration_id\":\"x\",{}", &request.to_string()[1..]);
    for (media_type, body) in [("application/json", twice), ("text/plain", request.to_string())] {
        let headers = [("Content-Type", media_type), ("Authorization", bearer.as_str())];
        let refused = send(office, ("POST", "/openid/credential"), &headers, body.as_bytes()).await?;
        assert_eq!((refused.status, refused.error().as_str()), (400, "invalid_credential_request"));
    }
    // The twin of all of these: nothing was used up.
    assert_eq!(copies(&post_json(office, credential, Some(&token), &request).await?).len(), 1);
    Ok(())
}

/// FailOnRequestWithAccessTokenInQuery
#[tokio::test(flavor = "multi_thread")]
async fn row_109_an_access_token_in_the_query() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let endpoints = Endpoints::discover(office).await?;
    let credential = endpoints.of("credential_endpoint");
    let (offer, token, good) = redeemed(office, &endpoints).await?;
    let request = json!({"credential_configuration_id": offer.configuration("dc+sd-jwt"), "proofs": {"jwt": good}});
    for query in ["access_token", "a=1&a=2&access%5Ftoken"] {
        let in_query = format!("{credential}?{query}={token}");
        for beside in [None, Some(token.as_str())] {
            let refused = post_json(office, &in_query, beside, &request).await?;
            assert_eq!((refused.status, refused.error().as_str()), (400, "invalid_request"));
        }
    }
    // The twin: in the header, with another parameter in the query.
    let twin = post_json(office, &format!("{credential}?x=1"), Some(&token), &request).await?;
    assert_eq!(copies(&twin).len(), 1);
    Ok(())
}

/// FailOnUnsupportedEncryptionAlgorithm
#[tokio::test(flavor = "multi_thread")]
async fn row_112_an_encryption_that_the_issuer_does_not_have() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let endpoints = Endpoints::discover(office).await?;
    let credential = endpoints.of("credential_endpoint");
    let (offer, access, good) = redeemed(office, &endpoints).await?;
    let token = &access;
    let mut request = json!({"credential_configuration_id": offer.configuration("dc+sd-jwt"), "proofs": {"jwt": good}});
    let wallet = DecryptionKey::generate(&mut OsRng);
    let good = json!({"jwk": wallet.public_key().to_jwk(), "enc": "A256GCM"});
    let bent = |pointer: &str, value: Value| {
        let mut bent = good.clone();
        *bent.pointer_mut(pointer).unwrap() = value;
        bent
    };
    let encrypted = async |request: &Value, key: &EncryptionKey| -> Result<Response> {
        let body = jwe::encrypt(request.to_string().as_bytes(), key, ContentEncryption::A128Gcm, &[], &mut OsRng)?;
        let bearer = format!("Bearer {token}");
        let headers = [("Content-Type", "application/jwt"), ("Authorization", bearer.as_str())];
        send(office, ("POST", "/openid/credential"), &headers, body.as_bytes()).await
    };
    let published = &endpoints.metadata["credential_request_encryption"];
    let key = EncryptionKey::from_jwk(&published["jwks"]["keys"][0])?;
    assert!(published["jwks"]["keys"][0].get("d").is_none(), "a private key is published");
    let refused = |response: &Response| {
        assert_eq!((response.status, response.error().as_str()), (400, "invalid_encryption_parameters"));
    };
    for encryption in
        [bent("/enc", json!("A1GCM")), bent("/jwk/alg", json!("RSA-OAEP-256")), bent("/jwk/x", json!("AA")), json!("x")]
    {
        request["credential_response_encryption"] = encryption;
        refused(&encrypted(&request, &key).await?);
    }
    request["credential_response_encryption"] = good;
    // Asked for in the clear, and in a request to the key of another issuer.
    refused(&post_json(office, credential, Some(token), &request).await?);
    refused(&encrypted(&request, &DecryptionKey::generate(&mut OsRng).public_key()).await?);
    // The twin: only the wallet can read its credentials.
    let response = encrypted(&request, &key).await?;
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/jwt")));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let token = String::from_utf8(response.body)?;
    let opened = jwe::decrypt(&token, &wallet, &[ContentEncryption::A256Gcm], 1_000_000)?;
    let body: Value = serde_json::from_slice(&opened.plaintext)?;
    assert_eq!(body["credentials"].as_array().map(Vec::len), Some(1));
    // The same without encryption has the same copies.
    request.as_object_mut().unwrap().remove("credential_response_encryption");
    let plain = post_json(office, credential, Some(&access), &request).await?;
    assert_eq!(plain.json(), body);
    Ok(())
}

/// Signed metadata has the content of the plain one, and the signature of a key that signs credentials. There is no x5c:
/// that is HAIP's.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_signed_test() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let path = "/.well-known/openid-credential-issuer";
    let plain = send(office, ("GET", path), &[("Accept", "application/json")], &[]).await?;
    assert_eq!((plain.header("content-type"), plain.header("vary")), (Some("application/json"), Some("accept")));
    assert!(plain.body.len() <= 262_144, "{} bytes of metadata for the whole catalogue", plain.body.len());
    let configurations = plain.json()["credential_configurations_supported"].clone();
    for configuration in configurations.as_object().into_iter().flat_map(|all| all.values()) {
        for claim in configuration["credential_metadata"]["claims"].as_array().into_iter().flatten() {
            let named = claim["display"].as_array().unwrap().iter().filter(|display| display["locale"] == "en");
            assert_eq!(named.count(), 1, "{claim}");
        }
    }
    let signed = send(office, ("GET", path), &[("Accept", "application/jwt, application/json;q=0.5")], &[]).await?;
    assert_eq!((signed.status, signed.header("content-type")), (200, Some("application/jwt")));
    let again = send(office, ("GET", path), &[("Accept", "application/jwt")], &[]).await?;
    assert_eq!(again.body, signed.body, "it is signed once a day");
    let jws = carnet_core::secure::jose::Jws::parse(std::str::from_utf8(&signed.body)?)?;
    assert_eq!(jws.typ(), Some("openidvci-issuer-metadata+jwt"));
    let published = get(office, &format!("{}/.well-known/jwt-vc-issuer", office.service.url)).await?.json();
    let named = published["jwks"]["keys"].as_array().unwrap().iter();
    let jwk = named.clone().find(|key| Some(&key["kid"]) == jws.header().get("kid")).ok_or("another key")?;
    jws.verify(&carnet_core::keys::PublicKey::from_jwk(jwk)?)?;
    let mut content = Value::Object(jws.payload().clone());
    assert_eq!((&content["sub"], &content["iss"]), (&json!(office.service.url), &json!(office.did)));
    for name in ["iss", "sub", "iat", "exp"] {
        assert!(content.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    assert_eq!(content, plain.json());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_modules_of_the_token_and_notification_endpoints() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let endpoints = Endpoints::discover(office).await?;
    let offer = Offer::make(office, "QualificationCredential", &[]).await?;
    let code = ("pre-authorized_code", offer.code.as_str());
    for (parameters, error) in [
        (vec![("grant_type", "authorization_code"), ("code", "x")], "unsupported_grant_type"),
        (vec![code], "invalid_request"),
        (vec![("grant_type", GRANT)], "invalid_request"),
        (vec![("grant_type", GRANT), code, code], "invalid_request"),
        (vec![("grant_type", GRANT), ("pre-authorized_code", "unknown")], "invalid_grant"),
    ] {
        let bad = Bad { module: "token", body: Value::Null, status: 400, error };
        require(&post_form(office, &endpoints.token, &parameters).await?, &bad);
    }
    let body = format!("{{\"grant_type\":\"{GRANT}\",\"pre-authorized_code\":\"{}\"}}", offer.code);
    let headers = [("Content-Type", "application/json")];
    let refused = send(office, ("POST", "/openid/token"), &headers, body.as_bytes()).await?;
    assert_eq!((refused.status, refused.error().as_str()), (400, "invalid_request"));
    // MultipleClients: a client's name makes no difference, nor do parameters that nobody knows.
    let known = vec![("grant_type", GRANT), code, ("client_id", "a-wallet"), ("unknown", "x")];
    access_token(&post_form(office, &endpoints.token, &known).await?);

    let notification = endpoints.of("notification_endpoint");
    for (body, error) in [
        (json!({"notification_id": "unknown", "event": "credential_accepted"}), "invalid_notification_id"),
        (json!({"notification_id": "unknown", "event": "eaten"}), "invalid_notification_request"),
        (json!({"event": "credential_accepted"}), "invalid_notification_request"),
    ] {
        let bad = Bad { module: "notification", body, status: 400, error };
        require(&post_json(office, notification, Some("x"), &bad.body).await?, &bad);
    }
    // Only the token of a request confirms its answer; the same request after that is told what has happened.
    let (offer, token, good) = redeemed(office, &endpoints).await?;
    let request = json!({"credential_configuration_id": offer.configuration("dc+sd-jwt"), "proofs": {"jwt": good}});
    let credential = endpoints.of("credential_endpoint");
    let issued = post_json(office, credential, Some(&token), &request).await?;
    let event = json!({"notification_id": issued.json()["notification_id"], "event": "credential_accepted"});
    let (_, another, _) = redeemed(office, &endpoints).await?;
    for (presented, reason) in
        [(None, "TOKEN_MISSING"), (Some("x"), "INVALID_TOKEN"), (Some(&*another), "INVALID_TOKEN")]
    {
        let refused = post_json(office, notification, presented, &event).await?;
        assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_token"));
        assert_eq!(refused.reason(), Some(reason));
    }
    // The answer is still there: none of these confirmed it.
    assert_eq!(post_json(office, credential, Some(&token), &request).await?.body, issued.body);
    assert_eq!(post_json(office, notification, Some(&token), &event).await?.status, 204);
    let again = post_json(office, credential, Some(&token), &request).await?;
    assert_eq!((again.status, again.reason()), (400, Some("OFFER_ALREADY_COLLECTED")));
    let words = again.json()["error_description"].to_string();
    assert!(words.contains("the wallet has confirmed") && !words.contains("other proofs"), "{words}");
    Ok(())
}

/// Every refusal has a reason, and no cache keeps it: those of the router too.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_a_reason_and_are_not_stored() -> Result<()> {
    let stage = Stage::set(false).await?;
    let office = &stage.university;
    let offer = Offer::make(office, "QualificationCredential", &[]).await?;
    for (method, path, status, reason) in [
        ("GET", "/openid/offers/unknown", 404, "INVALID_GRANT"),
        ("GET", "/openid/offers/%FF", 404, "INVALID_GRANT"),
        ("GET", "/openid/types/Nothing", 404, "NOT_FOUND"),
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/openid/token", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/openid/offers/unknown", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/.well-known/openid-credential-issuer", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/openid/credential", 401, "TOKEN_MISSING"),
    ] {
        let refused = send(office, (method, path), &[], &[]).await?;
        assert_eq!((refused.status, refused.reason()), (status, Some(reason)), "{method} {path}");
        assert_eq!(refused.header("cache-control"), Some("no-store"), "{method} {path}");
    }
    // The twin.
    let known = send(office, ("GET", &format!("/openid/offers/{}", offer.code)), &[], &[]).await?;
    assert_eq!((known.status, known.reason()), (200, None));
    Ok(())
}
