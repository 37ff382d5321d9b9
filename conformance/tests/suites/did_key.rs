//! did-key: resolution and dereferencing over HTTP.

use serde_json::{Value, json};

use crate::client::Server;

const ED25519: &str = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";

fn resolve(server: &Server, path: &str) -> (u16, Value) {
    let response = server.get(&format!("/identifiers/{path}"));
    (response.status, response.body)
}

#[test]
fn a_did_key_is_resolved() {
    let server = Server::start();
    let did = format!("did:key:{ED25519}");
    let (status, body) = resolve(&server, &did);
    assert_eq!((status, &body["didDocument"]["id"]), (200, &json!(did)), "{body}");
    for member in ["didDocumentMetadata", "didResolutionMetadata", "@context"] {
        assert!(!body[member].is_null(), "{member}: {body}");
    }
    let encoded = did.replace(':', "%3A");
    assert_eq!(resolve(&server, &encoded).1["didDocument"], body["didDocument"]);
    let (status, method) = resolve(&server, &format!("{encoded}%23{ED25519}"));
    assert_eq!((status, &method["didDocument"]["controller"]), (200, &json!(did)), "{method}");
}

#[test]
fn an_identifier_with_a_fault_has_its_error() {
    let server = Server::start();
    for (identifier, error) in [
        ("urn:key:abc".to_owned(), "invalidDid"),
        (format!("did:experimental:{ED25519}"), "invalidDid"),
        (format!("did:key:-4:{ED25519}"), "invalidDid"),
        (format!("did:key:u{}", &ED25519[1..]), "invalidDid"),
        ("did:key:%40".to_owned(), "invalidDid"),
        ("did:key:zTjsVPtY".to_owned(), "invalidPublicKeyLength"),
        (format!("did:key:{ED25519}?publicKeyFormat=unknown"), "unsupportedPublicKeyType"),
    ] {
        let (status, body) = resolve(&server, &identifier);
        assert_eq!((status, &body["didResolutionMetadata"]["error"]), (400, &json!(error)), "{identifier}: {body}");
        assert!(!body["didDocument"].is_null(), "{body}");
    }
}
