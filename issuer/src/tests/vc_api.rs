//! The VC-API: direct issuance under the rules of offers, changes of status, and identifiers.

use axum::{
    body::{Body, to_bytes},
    http::{Request, header::AUTHORIZATION},
};
use carnet_core::{
    did::Did,
    keys::{SecretKey, Signer as _},
    secure::sd_jwt::SdJwt,
};
use carnet_proto::issuer::v1 as proto;
use carnet_service::{staff::StaffAuthenticator, wire};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::harness::{self, CLERK, DID, MARK, Running, claims, holder_keys, offer_request};
use crate::http;

struct Answer {
    status: u16,
    reason: Option<String>,
    body: Value,
}

async fn call(running: &Running, request: Request<Body>) -> Answer {
    let staff = StaffAuthenticator::for_directory(running.data.path()).unwrap();
    let response = http::vc_api::router(running.issuer.clone(), staff, 1_048_576).oneshot(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, reason) = (response.status().as_u16(), header("carnet-reason"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, reason, body: serde_json::from_slice(&body).unwrap() }
}

async fn post(running: &Running, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(AUTHORIZATION, running.staff_header().to_str().unwrap())
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    call(running, request.unwrap()).await
}

/// Returns a credential to be issued for a key.
fn unsecured(key: &SecretKey) -> Value {
    let mut subject = claims();
    subject.insert("id".to_owned(), Did::did_key(&key.public_key()).as_str().into());
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential", "QualificationCredential"],
        "credentialSubject": subject,
    })
}

async fn issue(running: &Running, credential: &Value) -> Answer {
    post(running, "/credentials/issue", &json!({"credential": credential})).await
}

/// Returns the SD-JWT of a response.
fn issued_token(answer: &Answer) -> SdJwt {
    let url = answer.body["verifiableCredential"]["id"].as_str().unwrap();
    SdJwt::parse(url.strip_prefix("data:application/vc+sd-jwt,").unwrap()).unwrap()
}

#[tokio::test]
async fn a_credential_is_issued_in_one_call_and_its_claims_are_erased() {
    let running = harness::start().await;
    let [key, other] = <[SecretKey; 2]>::try_from(holder_keys(2)).ok().unwrap();
    let answer = issue(&running, &unsecured(&key)).await;
    assert_eq!(
        (answer.status, &answer.body["verifiableCredential"]["type"]),
        (201, &json!("EnvelopedVerifiableCredential"))
    );
    let token = issued_token(&answer);
    token.verify_signature(&running.issuer_key()).unwrap();
    assert_eq!(token.holder_key().unwrap(), Some(key.public_key()));
    let payload = token.resolve_disclosures().unwrap().payload;
    assert_eq!(payload["credentialSubject"]["familyName"], MARK);
    assert_eq!(payload["issuer"], DID);
    assert!(payload.contains_key("credentialStatus") || running.issuer.status_publisher.base_url().is_none());
    let offer = running.offer(answer.body["credentialId"].as_str().unwrap()).await;
    assert_eq!((offer.state(), offer.created_by.as_str()), (proto::OfferState::Collected, CLERK));
    assert!(running.forgotten(MARK).await, "the claims are still in a file");
    assert_eq!(running.issued().await.len(), 1);
    // One copy for each key, as for offers.
    let again = issue(&running, &unsecured(&key)).await;
    assert_eq!((again.status, again.reason.as_deref()), (400, Some("INVALID_PROOF")));
    assert!(running.forgotten(MARK).await, "the claims of a refused call are still in a file");
    assert_eq!(issue(&running, &unsecured(&other)).await.status, 201);
    assert_eq!(running.issued().await.len(), 2);
}

#[tokio::test]
async fn another_format_is_issued_on_request() {
    let running = harness::start().await;
    let key = holder_keys(1).remove(0);
    let body = json!({"credential": unsecured(&key), "options": {"format": "di_vc+jcs"}});
    let answer = post(&running, "/credentials/issue", &body).await;
    let credential = &answer.body["verifiableCredential"];
    assert_eq!(
        (answer.status, &credential["proof"]["cryptosuite"]),
        (201, &json!("eddsa-jcs-2022")),
        "{}",
        answer.body
    );
    assert_eq!(credential["credentialSubject"]["familyName"], MARK);
    let body = json!({"credential": unsecured(&key), "options": {"format": "jwt_vc_json"}});
    let refused = post(&running, "/credentials/issue", &body).await;
    assert_eq!((refused.status, refused.reason.as_deref()), (400, Some("INVALID_ARGUMENT")));
}

/// The claims of one input, and what both wires say of it.
#[tokio::test]
async fn claims_have_one_verdict_over_both_wires() {
    let running = harness::start().await;
    let keys = holder_keys(5);
    let table: [(&str, Value, u16, &str); 5] = [
        ("givenName", json!("Amina"), 201, ""),
        ("givenName", json!(7), 400, "CLAIMS_INVALID"),
        ("givenName", json!("Ana\u{fe0f}"), 400, "CLAIMS_INVALID"),
        ("surname", json!("x"), 400, "CLAIMS_INVALID"),
        ("eqfLevel", json!(99), 400, "CLAIMS_INVALID"),
    ];
    for (number, ((claim, value, status, reason), key)) in table.into_iter().zip(&keys).enumerate() {
        let mut request = offer_request(&format!("request {number}"));
        let mut offered = claims();
        offered.insert(claim.to_owned(), value.clone());
        request.claims = Some(wire::to_struct(&offered));
        let grpc = running.staff().create_offer(request).await.err().and_then(|status| wire::status_reason(&status));
        let mut credential = unsecured(key);
        credential["credentialSubject"][claim] = value;
        let answer = issue(&running, &credential).await;
        assert_eq!(answer.reason, grpc, "{claim}");
        assert_eq!((answer.status, answer.reason.unwrap_or_default().as_str()), (status, reason), "{claim}");
    }
}

#[tokio::test]
async fn a_credential_that_issuance_would_change_is_refused() {
    let running = harness::start().await;
    let key = holder_keys(1).remove(0);
    let good = unsecured(&key);
    let context = running.issuer.credential_type("QualificationCredential").unwrap().context_url.clone();
    for (member, value) in [
        ("id", json!("urn:uuid:1")),
        ("credentialStatus", json!({"type": "BitstringStatusListEntry"})),
        ("proof", json!({})),
        ("name", json!("x")),
        ("issuer", json!("did:web:other.example")),
        ("issuer", json!({"id": DID})),
        ("type", json!(["VerifiableCredential"])),
        ("type", json!(["VerifiableCredential", "UnknownCredential"])),
        ("type", json!("QualificationCredential")),
        ("@context", json!(["https://www.w3.org/2018/credentials/v1"])),
        ("@context", json!([context, "https://www.w3.org/ns/credentials/v2"])),
        ("validFrom", json!("2026-11-22T12:00:00Z")),
        ("validUntil", json!("tomorrow")),
        ("credentialSubject", json!([good["credentialSubject"]])),
        ("credentialSubject", json!({"id": "did:web:holder.example"})),
        ("credentialSubject", json!({"familyName": MARK})),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let answer = issue(&running, &bad).await;
        assert_eq!(answer.status, 400, "{member}: {}", answer.body);
        assert!(answer.body["detail"].is_string() && answer.reason.is_some());
    }
    assert!(running.issued().await.is_empty());
    let mut stated = good;
    stated["issuer"] = json!(DID);
    stated["@context"] = json!(["https://www.w3.org/ns/credentials/v2", context]);
    stated["validFrom"] = json!("2026-11-01T00:00:00Z");
    stated["validUntil"] = json!("2027-11-01T00:00:00Z");
    assert_eq!(issue(&running, &stated).await.status, 201);
}

#[tokio::test]
async fn a_status_is_changed_as_over_grpc() {
    let running = harness::start().await;
    let issued = issue(&running, &unsecured(&holder_keys(1)[0])).await;
    let id = issued.body["credentialId"].as_str().unwrap();
    let change = async |id: &str, kind: &str, purpose: &str, status: Value| {
        let entry = json!({"type": kind, "statusPurpose": purpose});
        let body = json!({"credentialId": id, "credentialStatus": entry, "status": status});
        let answer = post(&running, "/credentials/status", &body).await;
        (answer.status, answer.reason.unwrap_or_default(), answer.body["changed"].clone())
    };
    let entry = "BitstringStatusListEntry";
    let done = |changed: u64| (200, String::new(), json!(changed));
    let refused = |status: u16, reason: &str| (status, reason.to_owned(), Value::Null);
    assert_eq!(change(id, entry, "suspension", json!(true)).await, done(1));
    assert_eq!(change(id, entry, "suspension", json!(false)).await, done(1));
    assert_eq!(change(id, entry, "revocation", json!(false)).await, refused(400, "INVALID_ARGUMENT"));
    assert_eq!(change(id, entry, "message", json!(true)).await, refused(400, "INVALID_ARGUMENT"));
    assert_eq!(change(id, "StatusList2021", "suspension", json!(true)).await, refused(400, "INVALID_ARGUMENT"));
    assert_eq!(change(id, entry, "revocation", json!("true")).await, refused(400, "INVALID_ARGUMENT"));
    assert_eq!(change("unknown", entry, "revocation", json!(true)).await, refused(404, "NOT_FOUND"));
    assert_eq!(change(id, entry, "revocation", json!(true)).await, done(1));
    assert_eq!(change(id, entry, "revocation", json!(true)).await, done(0));
    assert_eq!(change(id, entry, "suspension", json!(false)).await, refused(409, "STATUS_REVOKED"));
}

#[tokio::test]
async fn only_staff_are_answered() {
    let running = harness::start().await;
    let token = running.staff_header().to_str().unwrap().to_owned();
    for (method, path) in [
        ("POST", "/credentials/issue"),
        ("POST", "/credentials/status"),
        ("GET", "/identifiers/did:web:university.example"),
    ] {
        for (bearer, expected) in
            [(None, (401, "TOKEN_MISSING")), (Some("Bearer carnet_staff_other"), (401, "STAFF_TOKEN_INVALID"))]
        {
            let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
            if let Some(bearer) = bearer {
                request = request.header(AUTHORIZATION, bearer);
            }
            let answer = call(&running, request.body(Body::from("{}")).unwrap()).await;
            assert_eq!((answer.status, answer.reason.as_deref()), (expected.0, Some(expected.1)), "{path}");
        }
    }
    let get = |path: &str| Request::get(path).header(AUTHORIZATION, &token).body(Body::empty()).unwrap();
    let own = call(&running, get(&format!("/identifiers/{DID}"))).await;
    assert_eq!((own.status, &own.body["didDocument"]["id"]), (200, &json!(DID)));
    assert_eq!(call(&running, get("/identifiers/did:web:other.example")).await.status, 404);
}
