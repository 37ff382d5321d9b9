//! vc-di-eddsa and vc-di-ecdsa: proofs that are created and verified, for each cryptosuite and key type.

use serde_json::{Value, json};

use crate::client::{Server, V2, at, minimal, with, without_proof_member};

/// Profile, cryptosuite, first characters of the issuer's DID, and length of a signature in bytes.
const PROFILES: [(&str, &str, &str, usize); 6] = [
    ("eddsa-rdfc-2022", "eddsa-rdfc-2022", "did:key:z6Mk", 64),
    ("eddsa-jcs-2022", "eddsa-jcs-2022", "did:key:z6Mk", 64),
    ("ecdsa-rdfc-2019-p256", "ecdsa-rdfc-2019", "did:key:zDna", 64),
    ("ecdsa-rdfc-2019-p384", "ecdsa-rdfc-2019", "did:key:z82L", 96),
    ("ecdsa-jcs-2019-p256", "ecdsa-jcs-2019", "did:key:zDna", 64),
    ("ecdsa-jcs-2019-p384", "ecdsa-jcs-2019", "did:key:z82L", 96),
];

fn document() -> Value {
    json!({
        "@context": [V2],
        "id": "urn:uuid:86294362-4254-4f36-854f-3952fe42555d",
        "type": ["VerifiableCredential"],
        "credentialSubject": {"name": "Alice"},
    })
}

#[test]
fn created_proofs_have_the_members_of_the_specifications() {
    let server = Server::start();
    for (profile, suite, did, length) in PROFILES {
        let issued = server.issue(profile, &document());
        let proof = &issued["proof"];
        let text = |member: &str| proof[member].as_str().unwrap_or_else(|| panic!("{member}: {proof}")).to_owned();
        assert_eq!((text("type").as_str(), text("cryptosuite").as_str()), ("DataIntegrityProof", suite));
        assert_eq!(text("proofPurpose"), "assertionMethod");
        assert!(text("created").ends_with('Z'));
        let (controller, fragment) =
            text("verificationMethod").split_once('#').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert_eq!(
            (controller.as_str(), issued["issuer"].as_str()),
            (format!("did:key:{fragment}").as_str(), Some(controller.as_str()))
        );
        assert!(controller.starts_with(did), "{controller}");
        let value = text("proofValue");
        // 64 bytes in base58btc have at most 88 characters, 96 bytes at most 132.
        let most = if length == 64 { 89 } else { 133 };
        assert!(value.starts_with('z') && value.len() > most - 6 && value.len() <= most, "{profile}: {}", value.len());
        if suite.contains("jcs") {
            assert_eq!(proof["@context"], issued["@context"], "{profile}");
        }
        let resolved = server.get(&format!("/identifiers/{controller}"));
        let methods = resolved.body["didDocument"]["verificationMethod"].as_array().unwrap().clone();
        assert!(methods.iter().any(|method| method["id"] == proof["verificationMethod"]), "{}", resolved.body);
        server.verifies(profile, &issued);
    }
}

#[test]
fn a_proof_with_one_fault_is_refused() {
    let server = Server::start();
    for (profile, ..) in PROFILES {
        let issued = server.issue(profile, &document());
        server.verifies(profile, &issued);
        for member in ["type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue"] {
            server.refuses(profile, &without_proof_member(&issued, member));
        }
        let value = issued["proof"]["proofValue"].as_str().unwrap().to_owned();
        for (pointer, wrong) in [
            ("/proof", json!(null)),
            ("/proof", json!({})),
            ("/proof", json!([])),
            ("/proof", json!("proof")),
            ("/proof/type", json!("UnknownProofType")),
            ("/proof/cryptosuite", json!("unknown-2000")),
            ("/proof/verificationMethod", json!("did:key:invalidVm")),
            ("/proof/proofPurpose", json!("invalidPurpose")),
            ("/proof/proofPurpose", json!("authentication")),
            ("/proof/created", json!("invalidDate")),
            ("/proof/created", json!("2024-01-01T00:00:00")),
            ("/proof/proofValue", json!(null)),
            ("/proof/proofValue", json!(&value[1..])),
            ("/proof/proofValue", json!(format!("u{}", &value[1..]))),
            ("/proof/proofValue", json!(&value[..value.len() - 1])),
            ("/proof/proofValue", json!(format!("{value}{}", &value[1..40]))),
            ("/credentialSubject/name", json!("Eve")),
        ] {
            server.refuses(profile, &at(&issued, pointer, wrong));
        }
    }
}

#[test]
fn a_proof_under_the_name_of_another_cryptosuite_is_refused() {
    let server = Server::start();
    for (one, other) in [
        ("eddsa-jcs-2022", "eddsa-rdfc-2022"),
        ("eddsa-rdfc-2022", "eddsa-jcs-2022"),
        ("ecdsa-jcs-2019-p256", "ecdsa-rdfc-2019"),
        ("ecdsa-rdfc-2019-p384", "ecdsa-jcs-2019"),
    ] {
        let issued = server.issue(one, &document());
        server.verifies(one, &issued);
        server.refuses(one, &at(&issued, "/proof/cryptosuite", json!(other)));
    }
}

#[test]
fn expected_purpose_challenge_and_domain_are_compared() {
    let server = Server::start();
    for (profile, ..) in PROFILES {
        let issued = server.issue(profile, &document());
        let status = |options: Value| server.try_verify(profile, &issued, &options).status;
        assert_eq!(status(json!({"expectedProofPurpose": "assertionMethod"})), 200);
        assert_eq!(status(json!({"expectedProofPurpose": "authentication"})), 400);
        assert_eq!(status(json!({"challenge": "a challenge"})), 400);
        assert_eq!(status(json!({"domain": "domain.example"})), 400);
        assert_eq!(status(json!({"anything": ["else"]})), 200);
        assert_eq!(status(Value::Null), 200);
    }
}

#[test]
fn proof_sets_are_verified_as_a_whole() {
    let server = Server::start();
    for (first, second) in [("eddsa-jcs-2022", "ecdsa-jcs-2019-p256"), ("eddsa-rdfc-2022", "ecdsa-rdfc-2019-p384")] {
        let issued = server.issue(first, &document());
        let both = server.issue(second, &issued);
        assert_eq!(both["proof"].as_array().unwrap().len(), 2);
        server.verifies(first, &both);
        for proof in ["/proof/0/proofValue", "/proof/1/proofValue"] {
            let other = both.pointer(if proof.contains("/0/") { "/proof/1/proofValue" } else { "/proof/0/proofValue" });
            server.refuses(first, &at(&both, proof, other.unwrap().clone()));
        }
        assert_eq!(server.verify(first, &with(&both, "proof", Some(json!([])))), 400);
    }
}

#[test]
fn documents_of_version_1_1_get_the_context_of_their_proof() {
    let server = Server::start();
    let mut old = minimal();
    old["@context"] = json!(["https://www.w3.org/2018/credentials/v1"]);
    old["issuanceDate"] = json!("2024-01-01T00:00:00Z");
    for profile in ["eddsa-rdfc-2022", "eddsa-jcs-2022"] {
        let issued = server.issue(profile, &old);
        assert!(issued["@context"].as_array().unwrap().contains(&json!("https://w3id.org/security/data-integrity/v2")));
        server.verifies(profile, &issued);
        server.refuses(profile, &at(&issued, "/issuanceDate", json!("2025-01-01T00:00:00Z")));
    }
}
