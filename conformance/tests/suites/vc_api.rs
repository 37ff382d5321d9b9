//! vc-api-issuer and vc-api-verifier: members of credentials, status codes and problem details.

use serde_json::{Value, json};

use crate::client::{Server, minimal, with};

/// Values that are no array of strings.
fn no_lists() -> Vec<Value> {
    vec![json!("string"), json!({}), json!(null), json!(10), json!(true)]
}

#[test]
fn an_issuer_refuses_members_of_other_types() {
    let server = Server::start();
    for profile in ["eddsa-rdfc-2022", "eddsa-jcs-2022"] {
        assert_eq!(server.try_issue(profile, &minimal()).status, 201);
        let refuses = |credential: &Value| {
            let response = server.try_issue(profile, credential);
            assert_eq!(
                (response.status, response.body["type"].is_string()),
                (400, true),
                "{credential}: {}",
                response.body
            );
        };
        for member in ["@context", "type", "credentialSubject"] {
            refuses(&with(&minimal(), member, None));
        }
        for wrong in no_lists() {
            refuses(&with(&minimal(), "@context", Some(wrong.clone())));
            refuses(&with(&minimal(), "type", Some(wrong)));
        }
        for item in [json!([]), json!(null), json!(10), json!(true)] {
            refuses(&with(&minimal(), "@context", Some(json!([item]))));
            refuses(&with(&minimal(), "type", Some(json!([item]))));
        }
        for wrong in [json!([]), json!(null), json!(10), json!(true)] {
            refuses(&with(&minimal(), "issuer", Some(wrong)));
        }
        for wrong in [json!("string"), json!(null), json!(10), json!(true), json!([])] {
            refuses(&with(&minimal(), "credentialSubject", Some(wrong)));
        }
    }
    assert_eq!(server.post("/credentials/issue", &json!({"credential": minimal()})).status, 201);
    assert_eq!(server.post("/credentials/issue", &json!({"credential": minimal(), "options": null})).status, 201);
    assert_eq!(server.post("/credentials/issue", &json!({})).status, 400);
    assert_eq!(server.post("/unknown/credentials/issue", &json!({"credential": minimal()})).status, 404);
}

#[test]
fn a_verifier_refuses_members_of_other_types() {
    let server = Server::start();
    for profile in ["eddsa-rdfc-2022", "eddsa-jcs-2022"] {
        let issued = server.issue(profile, &minimal());
        server.verifies(profile, &issued);
        for member in ["@context", "type", "issuer", "credentialSubject", "proof"] {
            server.refuses(profile, &with(&issued, member, None));
        }
        for member in ["@context", "type"] {
            for wrong in no_lists() {
                server.refuses(profile, &with(&issued, member, Some(wrong)));
            }
            for item in [json!([]), json!({}), json!(null), json!(10), json!(true)] {
                server.refuses(profile, &with(&issued, member, Some(json!([item]))));
            }
        }
        for wrong in [json!([]), json!(null), json!(10), json!(true)] {
            server.refuses(profile, &with(&issued, "issuer", Some(wrong.clone())));
            server.refuses(profile, &with(&issued, "credentialSubject", Some(wrong.clone())));
            server.refuses(profile, &with(&issued, "proof", Some(wrong)));
        }
    }
}

#[test]
fn a_refusal_has_problem_details() {
    let server = Server::start();
    let issued = server.issue("eddsa-jcs-2022", &minimal());
    let tampered = with(&issued, "credentialSubject", Some(json!({"id": "urn:another"})));
    for (document, problem_type) in [
        (tampered, "https://w3id.org/security#PROOF_VERIFICATION_ERROR"),
        (with(&issued, "type", None), "https://www.w3.org/TR/vc-data-model#MALFORMED_VALUE_ERROR"),
    ] {
        let response = server.try_verify("eddsa-jcs-2022", &document, &json!({}));
        assert_eq!(response.status, 400);
        let problem = &response.body["problemDetails"][0];
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert!(problem["type"].as_str().unwrap().starts_with("https://"), "{problem_type}: {problem}");
        assert_eq!(response.body["type"], problem["type"]);
    }
    let malformed = server.send("POST", "/credentials/verify", "application/json", "{");
    assert_eq!(
        (malformed.status, &malformed.body["type"]),
        (400, &json!("https://www.w3.org/TR/vc-data-model#PARSING_ERROR"))
    );
    assert_eq!(malformed.header("content-type"), Some("application/problem+json"));
}
