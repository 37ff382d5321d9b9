//! vc-data-model-2.0, section 4.13: presentations that answer no query.

use serde_json::{Value, json};

use crate::client::{Response, Server, V2, at, minimal, with};

fn presentation(credentials: &[&Value]) -> Value {
    json!({"@context": [V2], "type": ["VerifiablePresentation"], "verifiableCredential": credentials})
}

fn try_present(server: &Server, presentation: &Value, options: &Value) -> Response {
    server.post("/presentations/verify", &json!({"verifiablePresentation": presentation, "options": options}))
}

#[track_caller]
fn accepts(server: &Server, presentation: &Value) {
    let response = try_present(server, presentation, &json!({"checks": []}));
    assert_eq!((response.status, &response.body["verified"]), (200, &json!(true)), "{presentation}: {}", response.body);
}

#[track_caller]
fn refuses(server: &Server, presentation: &Value) {
    let response = try_present(server, presentation, &json!({"checks": []}));
    assert_eq!(
        (response.status, &response.body["verified"]),
        (400, &json!(false)),
        "{presentation}: {}",
        response.body
    );
}

#[test]
fn presentations_and_their_credentials_are_verified() {
    let server = Server::start();
    let credential = server.issue("eddsa-rdfc-2022", &minimal());
    let other = server.issue("ecdsa-rdfc-2019-p256", &minimal());
    let enveloped = server.issue("vc-jwt", &minimal());
    for signed_by in ["eddsa-jcs-2022", "ecdsa-jcs-2019-p384"] {
        for credentials in [vec![&credential], vec![&credential, &other], vec![&enveloped, &other], vec![]] {
            let unsigned = presentation(&credentials);
            let presented = server.issue(signed_by, &unsigned);
            accepts(&server, &presented);
            refuses(&server, &unsigned);
            refuses(&server, &with(&presented, "type", None));
            refuses(&server, &with(&presented, "id", Some(json!("urn:another"))));
        }
        let named = with(&presentation(&[&credential]), "holder", Some(json!("did:example:holder")));
        assert_eq!(server.try_issue(signed_by, &named).status, 201);
        for (member, value) in [
            ("holder", json!({"name": "a holder without an id"})),
            ("verifiableCredential", json!("a text")),
            ("verifiableCredential", json!([with(&enveloped, "type", None)])),
            ("verifiableCredential", json!([with(&credential, "type", None)])),
            ("@context", json!([V2, "https ://not-a-url/"])),
        ] {
            let wrong = with(&presentation(&[&credential]), member, Some(value));
            let signed = server.try_issue(signed_by, &wrong);
            assert_eq!(signed.status, 400, "{member}: {}", signed.body);
        }
    }
}

#[test]
fn a_changed_credential_in_a_presentation_is_refused() {
    let server = Server::start();
    let credential = server.issue("eddsa-jcs-2022", &minimal());
    let changed = at(&credential, "/credentialSubject/id", json!("did:example:another"));
    let signed = |credential: &Value| server.issue("ecdsa-jcs-2019-p256", &presentation(&[credential]));
    accepts(&server, &signed(&credential));
    refuses(&server, &signed(&changed));
    let whole = signed(&credential);
    refuses(&server, &at(&whole, "/verifiableCredential/0", changed));
}

#[test]
fn challenge_and_domain_are_compared() {
    let server = Server::start();
    let credential = server.issue("eddsa-jcs-2022", &minimal());
    let presented = server.issue("ecdsa-jcs-2019-p256", &presentation(&[&credential]));
    let status = |options: Value| try_present(&server, &presented, &options).status;
    assert_eq!(status(json!({})), 200);
    assert_eq!(status(Value::Null), 200);
    assert_eq!(status(json!({"challenge": "another"})), 400);
    assert_eq!(status(json!({"domain": "another.example"})), 400);
}

#[test]
fn a_self_asserted_credential_is_by_the_holder() {
    let server = Server::start();
    let profile = "eddsa-jcs-2022";
    let credential = server.issue(profile, &minimal());
    let issuer = credential["issuer"].clone();
    let signed = |holder: Option<Value>| server.issue(profile, &with(&presentation(&[&credential]), "holder", holder));
    accepts(&server, &signed(Some(issuer.clone())));
    accepts(&server, &signed(Some(json!({"id": issuer}))));
    refuses(&server, &signed(None));
}
