//! Runs `carnet-issuer registrar` as a script does: it asks nobody, and signs nothing without the digest.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    path::Path,
    process::{Command, Stdio},
};

use carnet_core::{
    did::{Did, SelfContainedResolver},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    trust::registration::{ExpectedRegistration, Registration, RegistrationRequest},
};
use serde_json::{Value, json};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

fn run(data: &Path, verb: &str, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_carnet-issuer"))
        .args(["registrar", verb, "--data"])
        .arg(data)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Returns a verifier's request, and the verifier's DID.
fn request() -> (String, Did) {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let did = Did::did_key(&key.public_key());
    let wants = serde_json::from_value(json!({
        "id": did.as_str(), "name": "City Job Centre", "country": "DE",
        "privacy_policy": "https://jobs.example/privacy", "support_uri": "https://jobs.example/erasure",
        "supervisory_authority": {"name": "Data Protection Office", "uri": "https://dpa.example"},
        "intended_uses": [{
            "id": "job", "purpose": {"en": "To see that you may work"}, "legal_basis": {"en": "The law"},
            "retention_days": 30,
            "credentials": [{"meta": {"type_values": [["ResidencePermitCredential"]]},
                "claims": [{"path": ["credentialSubject", "rightToWork"]}]}],
        }],
    }))
    .unwrap();
    let kid = did.with_fragment(did.method_specific_id()).unwrap();
    let made = RegistrationRequest::sign(&wants, &kid, &key, carnet_service::time::now().plus(-5)).unwrap();
    (Value::Object(made).to_string(), did)
}

#[test]
fn a_script_signs_what_was_looked_at_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("registrar");
    let made = run(&data, "init", &["--name", "Register", "--json"]).json();
    let did = made["did"].as_str().unwrap();
    assert!(did.starts_with("did:key:"));
    assert_eq!(run(&data, "show", &["--json"]).json(), made);
    assert!(run(&data, "show", &[]).out.contains(did));
    assert_eq!(run(&data, "init", &["--name", "Again"]).code, Some(1));

    let (text, asker) = request();
    let file = dir.path().join("request.json");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let looked = run(&data, "sign", &[file, "--json"]);
    assert_eq!(looked.code, Some(1));
    assert!(looked.err.contains("(approval_needed)"), "{}", looked.err);
    let shown = looked.json();
    assert_eq!((&shown["signed"], &shown["registration"]), (&json!(false), &Value::Null));
    assert_eq!(shown["relying_party"]["intended_uses"][0]["id"], "job");
    let digest = shown["digest"].as_str().unwrap();

    let wrong = run(&data, "sign", &[file, "--yes", "AAAA"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(1), ""));
    assert!(wrong.err.contains("(approval_mismatch)") && wrong.err.contains(digest), "{}", wrong.err);

    // Only the registration on standard output; its summary on standard error.
    let signed = run(&data, "sign", &[file, "--yes", digest, "--days", "30"]);
    assert_eq!(signed.code, Some(0), "{}", signed.err);
    assert!(signed.err.contains("To see that you may work"));
    let now = carnet_service::time::now();
    let expected =
        ExpectedRegistration { verifier: asker.as_str(), is_trusted_registrar: &|pinned| pinned == did, now, skew: 60 };
    let registration =
        Registration::verify(signed.json().as_object().unwrap(), &expected, &SelfContainedResolver).unwrap();
    assert_eq!(registration.valid_until(), registration.valid_from().plus(30 * 86_400));
    assert!(registration.valid_from() <= now && now < registration.valid_from().plus(2 * 86_400));

    // The same into a file, which must not exist.
    let out = dir.path().join("registration.json");
    let arguments = [file, "--yes", digest, "--json", "--out", out.to_str().unwrap()];
    let signed = run(&data, "sign", &arguments).json();
    assert_eq!(signed["signed"], json!(true));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&out).unwrap()).unwrap(), signed["registration"]);
    let again = run(&data, "sign", &arguments);
    assert!(again.code == Some(1) && again.err.contains("(file_unwritable)"), "{}", again.err);
}

#[test]
fn what_cannot_be_signed_is_refused_by_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("registrar");
    let file = dir.path().join("request.json");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    assert!(run(&data, "sign", &[file]).err.contains("registrar init"), "no registrar yet");
    assert_eq!(run(&data, "init", &["--name", "Register"]).code, Some(0));
    let refused = |arguments: &[&str], reason: &str| {
        let ran = run(&data, "sign", arguments);
        let said = if arguments.contains(&"--json") { format!("\"reason\":\"{reason}\"") } else { String::new() };
        assert!(ran.code == Some(1) && ran.out.contains(&said), "{}", ran.out);
        assert_eq!(ran.out.is_empty(), said.is_empty(), "{}", ran.out);
        assert!(ran.err.contains(&format!("({reason})")), "{}", ran.err);
    };
    refused(&[file, "--json"], "context_missing");
    let unreadable = run(&data, "sign", &["no-such-file"]);
    assert!(unreadable.code == Some(2) && unreadable.err.contains("(file_unreadable)"), "{}", unreadable.err);
    refused(&[file, "--days", "0"], "days_out_of_range");
    // The same call with a valid request reaches the question.
    let (text, _) = request();
    let marked = format!("\u{feff}{text}\r\n");
    for (content, code, words) in [
        (text.into_bytes(), 1, "(approval_needed)"),
        (marked.clone().into_bytes(), 1, "(approval_needed)"),
        (marked.encode_utf16().flat_map(u16::to_le_bytes).collect(), 2, "UTF-16"),
        (marked.encode_utf16().flat_map(u16::to_be_bytes).collect(), 2, "save it as UTF-8"),
    ] {
        std::fs::write(file, content).unwrap();
        let ran = run(&data, "sign", &[file]);
        assert!(ran.code == Some(code) && ran.err.contains(words) && ran.out.is_empty(), "{}", ran.err);
    }
}
