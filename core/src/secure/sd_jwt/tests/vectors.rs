//! The examples of RFC 9901 and of SD-JWT VC, and the cases of the reference implementation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// Creation time of the vectors' key bindings.
const MADE: Timestamp = Timestamp::from_unix(1_795_360_100);

fn folder() -> PathBuf {
    Path::new(&std::env::var("CARNET_VECTORS").unwrap()).join("sd-jwt-generated")
}

/// The cases in the compact form; the others are of the JSON serialisation, which Carnet does not read.
fn cases() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for group in ["testcases", "examples", "vcexamples"] {
        let entries = fs::read_dir(folder().join(group)).unwrap();
        found.extend(
            entries.map(|entry| entry.unwrap().path()).filter(|case| case.join("sd_jwt_issuance.txt").exists()),
        );
    }
    found.sort();
    assert!(found.len() >= 25, "{}", found.len());
    found
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

/// The examples are wrapped as in the RFC.
fn compact(case: &Path, file: &str) -> String {
    fs::read_to_string(case.join(file)).unwrap().split_whitespace().collect()
}

fn json_of(case: &Path, file: &str) -> Value {
    serde_json::from_slice(&fs::read(case.join(file)).unwrap()).unwrap()
}

fn issuer_key() -> PublicKey {
    let settings = fs::read_to_string(folder().join("testcases/settings.yml")).unwrap();
    let member = |name: &str| {
        let line = settings.lines().map(str::trim).find(|line| line.starts_with(name)).unwrap();
        line.trim_start_matches(name).trim().to_owned()
    };
    PublicKey::from_jwk(&json!({"kty": "EC", "crv": "P-256", "x": member("x:"), "y": member("y:")})).unwrap()
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn presentations_show_the_verified_contents() {
    let issuer = issuer_key();
    let mut bound = 0;
    for case in cases() {
        let presentation = compact(&case, "sd_jwt_presentation.txt");
        if name(&case) == "header_mod" {
            // Its kid is a number, which RFC 7515 section 4.1.4 does not allow.
            assert_eq!(SdJwt::parse(&presentation).unwrap_err().code, Code::TokenMalformed);
            continue;
        }
        let token = SdJwt::parse(&presentation).unwrap_or_else(|problem| panic!("{case:?}: {problem}"));
        token.verify_signature(&issuer).unwrap();
        assert_eq!(token.to_string(), presentation);
        let disclosed = token.resolve_disclosures().unwrap_or_else(|problem| panic!("{case:?}: {problem}"));
        assert_eq!(Value::Object(disclosed.payload), json_of(&case, "verified_contents.json"), "{case:?}");
        if case.join("kb_jwt_payload.json").exists() {
            let payload = json_of(&case, "kb_jwt_payload.json");
            let expected = KeyBindingRequirements {
                nonce: "1234567890",
                audience: payload["aud"].as_str().unwrap(),
                now: MADE,
                max_age: 86_400,
                skew: 86_400,
            };
            assert_eq!(Value::Object(token.verify_key_binding(&expected).unwrap()), payload);
            let too_late = KeyBindingRequirements { now: MADE.plus(200_000), ..expected };
            assert_eq!(token.verify_key_binding(&too_late).unwrap_err().code, Code::KeyBindingStale);
            bound += 1;
        }
    }
    assert!(bound >= 7, "{bound}");
}

/// The payload with each digest replaced by the same word, and the order of digests so forgotten.
fn skeleton(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let of = |(name, value): (&String, &Value)| match name.as_str() {
                "_sd" => (name.clone(), vec!["digest"; value.as_array().unwrap().len()].into()),
                "..." => (name.clone(), "digest".into()),
                _ => (name.clone(), skeleton(value)),
            };
            Value::Object(members.iter().map(of).collect())
        }
        Value::Array(items) => items.iter().map(skeleton).collect(),
        other => other.clone(),
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn issuing_the_same_claims_makes_the_same_structure() {
    let mut decoys = 0;
    for case in cases().iter().filter(|case| name(case) != "header_mod") {
        let theirs = SdJwt::parse(&compact(case, "sd_jwt_issuance.txt")).unwrap();
        let disclosed = theirs.resolve_disclosures().unwrap_or_else(|problem| panic!("{case:?}: {problem}"));
        if fs::read_to_string(case.join("specification.yml")).unwrap().contains("add_decoy_claims: true") {
            decoys += 1;
            continue;
        }
        let options = IssueOptions {
            typ: "example+sd-jwt",
            kid: "did:web:a.example#1",
            disclosable: &disclosed.disclosure_paths,
            ordered_claims: &[],
            holder_key: None,
            decoys_to_multiple_of: 0,
            padded_arrays: &[],
        };
        // cnf is in their payload already, and so are all the claims that are in the clear.
        let Ok(ours) = issue(&disclosed.payload, &options, &issuer(), &mut SeededRng(0)) else {
            panic!("{case:?}");
        };
        let ours = SdJwt::parse(&ours).unwrap();
        let mut payload = ours.jws().payload().clone();
        if !theirs.jws().payload().contains_key("_sd_alg") {
            payload.remove("_sd_alg");
        }
        assert_eq!(
            skeleton(&Value::Object(payload)),
            skeleton(&Value::Object(theirs.jws().payload().clone())),
            "{case:?}"
        );
        let ours = ours.resolve_disclosures().unwrap();
        assert_eq!(ours.payload, disclosed.payload, "{case:?}");
        let sorted = |mut paths: Vec<ClaimPath>| {
            paths.sort();
            paths
        };
        assert_eq!(sorted(ours.disclosure_paths), sorted(disclosed.disclosure_paths), "{case:?}");
    }
    assert!(decoys <= 1, "{decoys}");
}
