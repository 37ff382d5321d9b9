//! Helpers that both test files share.
#![allow(dead_code, reason = "each test file uses its own part")]

use carnet_core::{
    Code,
    keys::{SecretKey, SignatureAlgorithm},
};
use carnet_jsonld::RdfcCryptosuite;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) const EXAMPLES_V2: &str = r#"{"@context":{"@vocab":"https://www.w3.org/ns/credentials/examples#"}}"#;
pub(crate) const QUALIFICATION: &str = include_str!("../../../spec/types/qualification/context.jsonld");
pub(crate) const RESIDENCE_PERMIT: &str = include_str!("../../../spec/types/residence-permit/context.jsonld");
pub(crate) const EXAMPLE_CREDENTIAL: &str = include_str!("../../../spec/types/qualification/example.json");

pub(crate) fn vector(path: &str) -> String {
    let folder = std::env::var("CARNET_VECTORS").unwrap();
    std::fs::read_to_string(format!("{folder}/{path}")).unwrap()
}

pub(crate) fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn pinned(url: &str, text: &str) -> (String, String, String) {
    let digest = base16ct::lower::encode_string(&Sha256::digest(text));
    (url.to_owned(), text.to_owned(), digest)
}

/// The suite as the programs make it: with the catalogue's contexts.
pub(crate) fn suite() -> RdfcCryptosuite {
    RdfcCryptosuite::eddsa_2022(vec![
        pinned("https://carnet.example/ns/qualification/v1", QUALIFICATION),
        pinned("https://carnet.example/ns/residence-permit/v1", RESIDENCE_PERMIT),
    ])
    .unwrap()
}

pub(crate) fn key() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap()
}

/// The catalogue's worked example, as an unsecured document.
pub(crate) fn credential() -> Map<String, Value> {
    object(EXAMPLE_CREDENTIAL)
}

pub(crate) fn options() -> Map<String, Value> {
    object(
        r#"{"type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022", "created": "2026-11-22T00:00:00Z",
            "verificationMethod": "did:web:university.example#key-1", "proofPurpose": "assertionMethod"}"#,
    )
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, carnet_core::Problem>) -> Code {
    result.unwrap_err().code
}
