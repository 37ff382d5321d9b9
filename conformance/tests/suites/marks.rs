//! Each response says that it is not the product's, and the program listens on loopback only.

use std::process::Command;

use serde_json::json;

use crate::client::{Server, minimal, with};

const NOTICE: &str = "conformance build; this is not a result of the product";

#[test]
fn every_response_says_that_it_is_not_the_products() {
    let server = Server::start();
    let issued = server.try_issue("eddsa-jcs-2022", &minimal());
    let credential = issued.body["verifiableCredential"].clone();
    let verified = server.try_verify("eddsa-jcs-2022", &credential, &json!({}));
    let refused = server.try_verify("eddsa-jcs-2022", &with(&credential, "proof", None), &json!({}));
    assert_eq!((issued.status, verified.status, refused.status), (201, 200, 400));
    for response in [&issued, &verified, &refused] {
        assert_eq!(response.body["notice"], NOTICE);
    }
    let others = [
        server.get("/implementation"),
        server.get("/nothing-here"),
        server.get("/bitstring/status-lists/revocation"),
        server.get("/identifiers/did:example:1"),
        server.send("POST", "/credentials/verify", "text/plain", "{}"),
        server.send("POST", "/credentials/verify", "application/json", "{"),
    ];
    for response in [issued, verified, refused].iter().chain(&others) {
        assert_eq!(response.header("carnet-conformance"), Some(NOTICE), "{response:?}");
    }
}

#[test]
fn an_address_that_is_not_loopback_is_refused() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_carnet-conformance")).args(["--listen", listen]).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not a loopback address"));
    }
    let server = Server::start();
    assert!(server.base_url.starts_with("http://127.0.0.1:"), "{}", server.base_url);
}

#[test]
fn the_description_names_the_endpoints_and_the_issuers() {
    let server = Server::start();
    let described = server.get("/implementation").body;
    let issuers = described["issuers"].as_array().unwrap();
    assert!(issuers.len() >= 8);
    for issuer in issuers {
        let endpoint = issuer["endpoint"].as_str().unwrap();
        let path = endpoint.strip_prefix(&server.base_url).unwrap();
        let issued = server.post(path, &json!({"credential": minimal()}));
        let credential = &issued.body["verifiableCredential"];
        assert_eq!(issued.status, 201, "{path}");
        // The issuer of an enveloped credential is in the envelope.
        assert!(
            credential["type"] == "EnvelopedVerifiableCredential" || credential["issuer"] == issuer["id"],
            "{path}"
        );
    }
    for tag in [
        "vc2.0",
        "eddsa-rdfc-2022",
        "eddsa-jcs-2022",
        "ecdsa-rdfc-2019",
        "ecdsa-jcs-2019",
        "BitstringStatusList",
        "VC-API",
    ] {
        for kind in ["issuers", "verifiers"] {
            let tagged = described[kind].as_array().unwrap().iter();
            assert!(tagged.filter(|one| one["tags"].as_array().unwrap().contains(&json!(tag))).count() >= 1, "{tag}");
        }
    }
}
