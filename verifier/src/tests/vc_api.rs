//! One table of documents through both wires: gRPC and the VC-API give the same verdict with the same checks.

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, header::AUTHORIZATION},
};
use carnet_core::{did::Did, keys::Signer as _, secure::sd_jwt::SdJwt};
use carnet_proto::verifier::v1::{
    CheckOutcome, PresentationList, Verdict, VerifyCredentialRequest, VerifyPresentationRequest,
};
use carnet_service::{staff::StaffAuthenticator, time::now, wire};
use serde_json::{Value, json};
use tonic::Status;
use tower::ServiceExt as _;

use super::world::{self, MAX_MESSAGE, TYPE, World, hours_ago};
use crate::http;

const NONCE: &str = "a-challenge-of-the-caller";
const AUDIENCE: &str = "https://desk.example";

/// Verdict or error as both wires tell it: accepted or not, the reason, and the checks with their outcomes and codes.
type Told = Result<(bool, String, Vec<(String, String, String)>), String>;

struct Answer {
    status: u16,
    reason: Option<String>,
    body: Value,
}

async fn call(world: &World, request: Request<Body>) -> Response<Body> {
    let staff = StaffAuthenticator::for_directory(world.dir.path()).unwrap();
    http::router(world.verifier.clone(), staff, MAX_MESSAGE).oneshot(request).await.unwrap()
}

async fn post(world: &World, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(AUTHORIZATION, format!("Bearer {}", world.token))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()));
    read(call(world, request.unwrap()).await).await
}

async fn read(response: Response<Body>) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, reason) = (response.status().as_u16(), header("carnet-reason"));
    let media_type = header("content-type").unwrap_or_default();
    assert!(media_type == "application/json" || media_type == "application/problem+json", "{media_type}");
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, reason, body: serde_json::from_slice(&body).unwrap() }
}

fn told_over_grpc(answer: Result<Verdict, Status>) -> Told {
    let verdict = answer.map_err(|status| wire::status_reason(&status).unwrap())?;
    let outcome = |check: CheckOutcome| match check {
        CheckOutcome::Passed => "passed",
        CheckOutcome::Failed => "failed",
        CheckOutcome::Tolerated => "tolerated",
        CheckOutcome::NotApplicable => "not_applicable",
        CheckOutcome::Unspecified => "unspecified",
    };
    let checks = verdict.checks.iter();
    let checks = checks.map(|check| (check.name.clone(), outcome(check.outcome()).to_owned(), check.code.clone()));
    Ok((verdict.accepted, verdict.reason.clone(), checks.collect()))
}

fn told_over_http(answer: &Answer) -> Told {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let Some(checks) = answer.body["checks"].as_array() else { return Err(answer.reason.clone().unwrap()) };
    let checks: Vec<_> =
        checks.iter().map(|check| (text(&check["name"]), text(&check["outcome"]), text(&check["code"]))).collect();
    let failed = checks.iter().filter(|(_, outcome, _)| outcome == "failed").count();
    assert_eq!(answer.body["problemDetails"].as_array().unwrap().len(), failed);
    Ok((answer.body["verified"].as_bool().unwrap(), text(&answer.body["reason"]), checks))
}

/// Returns the member of a request for a credential's text.
fn as_member(text: &str) -> Value {
    if text.starts_with('{') {
        return serde_json::from_str(text).unwrap();
    }
    let format = if text.contains("ZGMrc2Qtand0") { "dc+sd-jwt" } else { "vc+sd-jwt" };
    json!({
        "@context": "https://www.w3.org/ns/credentials/v2",
        "id": format!("data:application/{format},{text}"),
        "type": "EnvelopedVerifiableCredential",
    })
}

fn changed(mut document: Value, member: &str, value: Value) -> String {
    *document.pointer_mut(member).unwrap() = value;
    document.to_string()
}

fn without(mut document: Value, member: &str) -> String {
    document.as_object_mut().unwrap().remove(member);
    document.to_string()
}

/// Returns an embedded credential whose end has passed.
fn expired(world: &World) -> String {
    let mut document = world.document();
    document.insert("validFrom".into(), hours_ago(50).to_string().into());
    document.insert("validUntil".into(), hours_ago(2).to_string().into());
    world.issue(&document).to_string()
}

#[tokio::test]
async fn credentials_have_one_verdict_over_both_wires() {
    let world = World::new().await;
    let other = World::new().await;
    let embedded = world.embedded();
    let token = world.credential().to_string();
    let bound = world.credential().bind_key(NONCE, AUDIENCE, now(), &world.holder).unwrap();
    let (front, signature) = token.split_once('~').unwrap().0.rsplit_once('.').unwrap();
    let forged = format!("{front}.{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    let forged = token.replacen(token.split_once('~').unwrap().0, &forged, 1);
    let table: [(&str, String, u16, &str); 14] = [
        ("an embedded proof", embedded.to_string(), 200, ""),
        ("an SD-JWT", token.clone(), 200, ""),
        (
            "another name",
            changed(embedded.clone(), "/credentialSubject/givenName", "Eve".into()),
            400,
            "signature_invalid",
        ),
        ("no proof", without(embedded.clone(), "proof"), 400, "proof_missing"),
        (
            "an unknown suite",
            changed(embedded.clone(), "/proof/cryptosuite", "x-2022".into()),
            400,
            "cryptosuite_unknown",
        ),
        (
            "another purpose",
            changed(embedded.clone(), "/proof/proofPurpose", "authentication".into()),
            400,
            "proof_purpose",
        ),
        ("no issuer", without(embedded.clone(), "issuer"), 400, "malformed_value"),
        ("no context", without(embedded.clone(), "@context"), 400, "proof_context"),
        ("an issuer nobody accepts", other.embedded().to_string(), 422, "issuer_untrusted"),
        ("an SD-JWT of one", other.credential().to_string(), 422, "issuer_untrusted"),
        ("an end that has passed", expired(&world), 422, "expired"),
        ("a forged signature", forged, 400, "signature_invalid"),
        ("a key binding", bound, 400, "key_binding_unexpected"),
        ("no SD-JWT", "a.b.c~".to_owned(), 400, "invalid_encoding"),
    ];
    for (name, text, status, reason) in table {
        let request = VerifyCredentialRequest { credential: text.clone().into_bytes() };
        let grpc = world.staff().verify_credential(request).await.map(|answer| answer.into_inner());
        let (grpc, disclosed) = match grpc {
            Ok(answer) => (Ok(answer.verdict.unwrap()), answer.disclosed),
            Err(status) => (Err(status), None),
        };
        let answer = post(&world, "/credentials/verify", &json!({"verifiableCredential": as_member(&text)})).await;
        assert_eq!(told_over_http(&answer), told_over_grpc(grpc), "{name}");
        assert_eq!(
            (answer.status, answer.body["reason"].as_str().unwrap()),
            (status, reason),
            "{name}: {}",
            answer.body
        );
        assert_eq!(answer.reason.unwrap_or_default().to_lowercase(), reason, "{name}");
        let disclosed = disclosed.map(|claims| Value::Object(wire::from_struct(&claims).unwrap()));
        assert_eq!(answer.body["disclosed"], disclosed.unwrap_or_default(), "{name}");
    }
}

/// Returns a presentation without a proof, with these SD-JWTs.
fn enveloping(texts: &[String]) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": texts.iter().map(|text| as_member(text)).collect::<Vec<_>>(),
    })
}

/// Returns the query that an embedded presentation answers if none is given.
fn derived() -> Value {
    json!({"credentials": [{"id": "presented", "format": "di_vc+jcs", "meta": {"type_values": [[TYPE]]}}]})
}

/// Name; query, presentation, and whether the query is left out over HTTP; nonce, audience, status and reason.
type PresentationRow<'a> = (&'a str, (Value, String, bool), &'a str, &'a str, u16, &'a str);

#[tokio::test]
async fn presentations_have_one_verdict_over_both_wires() {
    let world = World::new().await;
    let query = world::query("vc+sd-jwt", &["rightToWork", "legalResidence"]);
    let bind = |shown: &SdJwt, nonce: &str| shown.bind_key(nonce, AUDIENCE, now(), &world.holder).unwrap();
    let right = bind(&world.show(&["rightToWork", "legalResidence"]), NONCE);
    let too_much = bind(&world.show(&["rightToWork", "legalResidence", "familyName"]), NONCE);
    let too_little = bind(&world.show(&["rightToWork"]), NONCE);
    let late = world.show(&["rightToWork", "legalResidence"]);
    let late = late.bind_key(NONCE, AUDIENCE, hours_ago(2), &world.holder).unwrap();
    let (before, signature) = right.rsplit_once('.').unwrap();
    let forged = format!("{before}.{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    let embedded = world.present_embedded(NONCE, AUDIENCE);
    let replayed = bind(&world.show(&["rightToWork", "legalResidence"]), "another");
    let own = |text: &str| (derived(), text.to_owned(), true);
    let (nonce, audience) = (NONCE, AUDIENCE);
    let table: [PresentationRow<'_>; 13] = [
        ("two claims", (query.clone(), right.clone(), false), nonce, audience, 200, ""),
        ("an embedded proof, with no query", own(&embedded), nonce, audience, 200, ""),
        ("an embedded proof, with a query", (derived(), embedded.clone(), false), nonce, audience, 200, ""),
        ("a claim too many", (query.clone(), too_much, false), nonce, audience, 400, "claim_unrequested"),
        ("a claim too few", (query.clone(), too_little, false), nonce, audience, 400, "query_unmet"),
        ("another nonce", (query.clone(), replayed, false), nonce, audience, 400, "challenge_mismatch"),
        ("another audience", (query.clone(), right.clone(), false), nonce, "https://x.example", 400, "domain_mismatch"),
        ("an old binding", (query.clone(), late, false), nonce, audience, 400, "key_binding_stale"),
        ("a forged binding", (query.clone(), forged, false), nonce, audience, 400, "key_binding_key"),
        (
            "an embedded proof for another",
            own(&world.present_embedded("another", AUDIENCE)),
            nonce,
            audience,
            400,
            "challenge_mismatch",
        ),
        ("no challenge", (query.clone(), right.clone(), false), "", audience, 400, "CHALLENGE_MISSING"),
        ("no domain", (query.clone(), right.clone(), false), nonce, "", 400, "DOMAIN_MISSING"),
        ("a query that is none", (json!({"credentials": []}), right, false), nonce, audience, 400, "QUERY_MALFORMED"),
    ];
    for (name, (query, text, omit), nonce, audience, status, reason) in table {
        let id = query["credentials"][0]["id"].as_str().unwrap_or("x").to_owned();
        let request = VerifyPresentationRequest {
            vp_token: [(id, PresentationList { presentations: vec![text.clone()] })].into(),
            dcql_query: Some(wire::to_struct(query.as_object().unwrap())),
            nonce: nonce.to_owned(),
            audience: audience.to_owned(),
        };
        let grpc = world.staff().verify_presentation(request).await.map(|answer| answer.into_inner().verdict.unwrap());
        let presented = if text.starts_with('{') {
            serde_json::from_str(&text).unwrap()
        } else {
            enveloping(std::slice::from_ref(&text))
        };
        let mut options = json!({"checks": ["proof"]});
        for (option, value) in
            [("challenge", nonce), ("domain", audience)].iter().filter(|(_, value)| !value.is_empty())
        {
            options[*option] = json!(value);
        }
        if !omit {
            options["dcql_query"] = query;
        }
        let body = json!({"verifiablePresentation": presented, "options": options});
        let answer = post(&world, "/presentations/verify", &body).await;
        assert_eq!(told_over_http(&answer), told_over_grpc(grpc), "{name}");
        let told = answer.body["reason"].as_str().or(answer.reason.as_deref()).unwrap();
        assert_eq!((answer.status, told), (status, reason), "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_message_of_another_form_is_refused_before_anything_is_verified() {
    let world = World::new().await;
    let good = json!({"verifiableCredential": world.embedded(), "options": {}});
    assert_eq!(post(&world, "/credentials/verify", &good).await.status, 200);
    let with = |member: &str, value: Value| {
        let mut message = good.clone();
        *message.pointer_mut(member).unwrap() = value;
        message
    };
    let envelope = |media_type: &str| {
        json!({
            "@context": "https://www.w3.org/ns/credentials/v2",
            "id": format!("data:{media_type},{}", world.credential()), "type": "EnvelopedVerifiableCredential",
        })
    };
    assert_eq!(
        post(&world, "/credentials/verify", &with("/verifiableCredential", envelope("application/vc+sd-jwt")))
            .await
            .status,
        200
    );
    for (message, reason) in [
        (json!({}), "INVALID_ARGUMENT"),
        (with("/verifiableCredential", json!("text")), "INVALID_ARGUMENT"),
        (with("/verifiableCredential", envelope("application/vc+jwt")), "UNKNOWN_FORMAT"),
        (with("/options", json!([])), "INVALID_ARGUMENT"),
        (with("/options", json!({"challenge": "a"})), "OPTION_UNKNOWN"),
        (with("/options", json!({"checks": "proof"})), "INVALID_ARGUMENT"),
        (json!({"verifiableCredential": world.embedded(), "extra": 1}), "OPTION_UNKNOWN"),
    ] {
        let answer = post(&world, "/credentials/verify", &message).await;
        assert_eq!((answer.status, answer.reason.as_deref()), (400, Some(reason)), "{message}");
        assert_eq!(answer.body["title"], reason);
    }
    let bound = world.show(&["rightToWork"]).bind_key(NONCE, AUDIENCE, now(), &world.holder).unwrap();
    let presented =
        |presentation: Value| json!({"verifiablePresentation": presentation, "options": {"challenge": "a"}});
    let mut unsecured = enveloping(std::slice::from_ref(&bound));
    unsecured["verifiableCredential"] = json!([world.embedded()]);
    for (message, reason) in [
        (presented(enveloping(std::slice::from_ref(&bound))), "QUERY_MISSING"),
        (
            json!({
                "verifiablePresentation": unsecured,
                "options": {"dcql_query": world::query("vc+sd-jwt", &["rightToWork"])},
            }),
            "MALFORMED_VALUE",
        ),
        (presented(json!({"type": "EnvelopedVerifiablePresentation"})), "UNKNOWN_FORMAT"),
    ] {
        let answer = post(&world, "/presentations/verify", &message).await;
        assert_eq!((answer.status, answer.reason.as_deref()), (400, Some(reason)), "{message}");
    }
}

#[tokio::test]
async fn only_staff_are_answered_and_only_messages_within_the_limits() {
    let world = World::new().await;
    let body = json!({"verifiableCredential": world.embedded()}).to_string();
    let token = format!("Bearer {}", world.token);
    for path in ["/credentials/verify", "/presentations/verify"] {
        for (bearer, media_type, body, expected) in [
            ("", "application/json", body.clone(), (401, "TOKEN_MISSING")),
            ("Basic abc", "application/json", body.clone(), (401, "TOKEN_MISSING")),
            ("Bearer carnet_staff_other", "application/json", body.clone(), (401, "STAFF_TOKEN_INVALID")),
            (&token, "text/plain", body.clone(), (415, "MEDIA_TYPE_UNSUPPORTED")),
            (&token, "application/json", " ".repeat(MAX_MESSAGE + 1), (413, "MESSAGE_TOO_LARGE")),
            (&token, "application/json", r#"{"a":1,"a":2}"#.to_owned(), (400, "DUPLICATE_KEY")),
        ] {
            let mut request = Request::post(path).header("content-type", media_type);
            if !bearer.is_empty() {
                request = request.header(AUTHORIZATION, bearer);
            }
            let answer = read(call(&world, request.body(Body::from(body)).unwrap()).await).await;
            assert_eq!((answer.status, answer.reason.as_deref()), (expected.0, Some(expected.1)), "{path} {bearer}");
        }
    }
}

#[tokio::test]
async fn documents_that_are_known_are_resolved_and_nothing_is_fetched() {
    let world = World::new().await;
    let identifier = async |did: &str, bearer: Option<&str>| {
        let mut request = Request::get(format!("/identifiers/{did}"));
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        read(call(&world, request.body(Body::empty()).unwrap()).await).await
    };
    let token = Some(world.token.as_str());
    let own = world.verifier.identity.did.to_string();
    for did in [own, world::did(&world.issuer), Did::did_key(&world.holder.public_key()).to_string()] {
        let answer = identifier(&did, token).await;
        assert_eq!((answer.status, &answer.body["didDocument"]["id"]), (200, &json!(did)));
        assert_eq!(answer.body["didDocument"]["verificationMethod"].as_array().unwrap().len(), 1);
    }
    for (did, status) in [("did:web:elsewhere.example", 404), ("did:example:1", 404), ("x", 400)] {
        let answer = identifier(did, token).await;
        assert_eq!((answer.status, &answer.body["didDocument"]), (status, &Value::Null), "{did}: {}", answer.body);
    }
    assert_eq!(identifier("did:web:elsewhere.example", None).await.status, 401);
}
