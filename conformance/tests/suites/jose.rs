//! vc-jose-cose: envelopes over HTTP, and the commands on files of its suite.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::client::{Server, V2, at, minimal, with};

#[test]
fn enveloped_credentials_are_issued_and_verified() {
    let server = Server::start();
    for (profile, media_type) in [("vc-jwt", "vc+jwt"), ("vc-jwt-p256", "vc+jwt"), ("vc-sd-jwt", "vc+sd-jwt")] {
        let issued = server.issue(profile, &minimal());
        assert_eq!(issued["type"], "EnvelopedVerifiableCredential");
        let id = issued["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with(&format!("data:application/{media_type},eyJ")), "{id}");
        server.verifies(profile, &issued);
        for (member, value) in [
            ("@context", Some(json!([]))),
            ("@context", Some(json!(["https://www.w3.org/ns/credentials/examples/v2"]))),
            ("type", None),
            ("type", Some(json!("VerifiableCredential"))),
            ("id", None),
            ("id", Some(json!(id.split_once(',').unwrap().1))),
            ("id", Some(json!(id.replace(media_type, "vp+jwt")))),
            ("id", Some(json!(id.replacen("eyJ", "eyK", 1)))),
        ] {
            server.refuses(profile, &with(&issued, member, value));
        }
        let (front, back) = id.split_at(id.rfind('.').unwrap() + 1);
        let changed = format!("{front}{}{}", if back.starts_with('A') { 'B' } else { 'A' }, &back[1..]);
        server.refuses(profile, &at(&issued, "/id", json!(changed)));
        assert_eq!(server.try_issue(profile, &with(&minimal(), "type", None)).status, 400);
    }
}

/// Key of Ed25519 with the secret that RFC 8032 section 7.1 has as its first test.
fn key() -> Value {
    let public =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "key-1"});
    let mut secret = public.clone();
    secret["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    json!({"id": "did:example:issuer#key-1", "publicKeyJwk": public, "secretKeyJwk": secret})
}

/// Runs a command on files, and returns the result and the data.
fn run(folder: &Path, command: &str, feature: &str, input: &str, extra: &[&str]) -> (String, String) {
    let file = |name: &str| folder.join(name).display().to_string();
    std::fs::write(file("input"), input).unwrap();
    std::fs::write(file("key"), key().to_string()).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_carnet-conformance"))
        .args([command, "--fn", command, "--feature", feature])
        .args(["--input", &file("input"), "--key", &file("key"), "--output", &file("output")])
        .args(extra)
        .status()
        .unwrap();
    assert!(status.success());
    let output: Value = serde_json::from_slice(&std::fs::read(file("output")).unwrap()).unwrap();
    assert_eq!(output["notice"], "conformance build; this is not a result of the product");
    (output["result"].as_str().unwrap().to_owned(), output["data"].as_str().unwrap().to_owned())
}

#[test]
fn the_commands_on_files_secure_and_verify() {
    let folder = std::env::temp_dir().join(format!("carnet-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let credential = json!({
        "@context": [V2], "type": ["VerifiableCredential"], "issuer": "did:example:issuer", "extension": "kept",
        "credentialSubject": {"id": "did:example:subject", "firstName": "Jane", "phones": ["1", "2"]},
    })
    .to_string();
    for (feature, other) in [
        ("credential_jose", "presentation_jose"),
        ("credential_sdjwt", "credential_jose"),
        ("credential_cose", "presentation_cose"),
    ] {
        let (result, secured) = run(&folder, "issue", feature, &credential, &[]);
        assert_eq!(result, "success", "{feature}: {secured}");
        let (result, document) = run(&folder, "verify", feature, &secured, &[]);
        assert_eq!(result, "success", "{feature}: {document}");
        let document: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["credentialSubject"]["firstName"], "Jane");
        assert_eq!(run(&folder, "verify", other, &secured, &[]).0, "failure", "{feature} as {other}");
        assert_eq!(run(&folder, "verify", feature, &credential, &[]).0, "failure");
        let at = secured.len() / 2;
        let other = if secured[at..].starts_with('A') { "B" } else { "A" };
        let changed = format!("{}{other}{}", &secured[..at], &secured[at + 1..]);
        assert_eq!(run(&folder, "verify", feature, &changed, &[]).0, "failure", "{feature}");
    }
    let disclosures = ["--disclosures", "credentialSubject.firstName,credentialSubject.phones[0]"];
    let (result, secured) = run(&folder, "issue", "credential_sdjwt", &credential, &disclosures);
    assert_eq!((result.as_str(), secured.matches('~').count()), ("success", 3));
    let issuer_signed = format!("{}~", secured.split('~').next().unwrap());
    let (result, document) = run(&folder, "verify", "credential_sdjwt", &issuer_signed, &[]);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((result.as_str(), &document["credentialSubject"]["firstName"]), ("success", &Value::Null));
    std::fs::remove_dir_all(folder).unwrap();
}
