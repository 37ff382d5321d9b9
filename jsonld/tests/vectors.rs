//! The official vectors: eddsa-rdfc-2022 of vc-di-eddsa, and the RDFC-1.0 suite of rdf-canon.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod common;
mod nquads;

use carnet_core::{
    Code,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::Cryptosuite,
};
use carnet_jsonld::{
    RdfcCryptosuite,
    canonical::{self, HashAlgorithm},
};
use common::{EXAMPLES_V2, object, pinned, vector};
use serde_json::Value;

const FOLDER: &str = "vc-di-eddsa/TestVectors";

fn official_suite() -> RdfcCryptosuite {
    RdfcCryptosuite::eddsa_2022(vec![
        pinned("https://www.w3.org/ns/credentials/examples/v2", EXAMPLES_V2),
        pinned("https://w3id.org/citizenship/v4rc1", &vector("contexts-npm/w3id.org_citizenship_v4rc1.jsonld")),
    ])
    .unwrap()
}

fn official_key() -> SecretKey {
    let pair = object(&vector(&format!("{FOLDER}/keyPair.json")));
    let secret = pair["privateKeyMultibase"].as_str().unwrap().strip_prefix('z').unwrap();
    let bytes = bs58::decode(secret).into_vec().unwrap();
    assert_eq!(bytes[..2], [0x80, 0x26], "ed25519-priv");
    let key = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &bytes[2..]).unwrap();
    assert_eq!(key.public_key().to_multikey(), pair["publicKeyMultibase"].as_str().unwrap());
    key
}

fn reproduces(unsigned: &str, folder: &str) {
    let suite = official_suite();
    let key = official_key();
    let document = object(&vector(&format!("{FOLDER}/{unsigned}")));
    let mut signed = object(&vector(&format!("{FOLDER}/{folder}/signedDataInt.json")));
    let config = object(&vector(&format!("{FOLDER}/{folder}/proofConfigDataInt.json")));
    let lines = |name: &str| vector(&format!("{FOLDER}/{folder}/{name}"));

    assert_eq!(suite.canonical_n_quads(&document).unwrap(), lines("canonDocDataInt.txt"));
    assert_eq!(suite.canonical_n_quads(&config).unwrap(), lines("proofCanonDataInt.txt"));

    let Some(Value::Object(expected)) = signed.remove("proof") else { panic!("no proof") };
    let mut options = expected.clone();
    options.remove("proofValue");
    let proof = suite.create_proof(&document, options, &key).unwrap();
    assert_eq!(proof, expected);

    let public = PublicKey::from_multikey(&key.public_key().to_multikey()).unwrap();
    assert_eq!(suite.verify_proof(&signed, &expected, &public).unwrap(), signed);
    signed.insert("description".to_owned(), "Something else.".into());
    assert_eq!(common::code(suite.verify_proof(&signed, &expected, &public)), Code::SignatureInvalid);
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn eddsa_rdfc_2022_alumni() {
    reproduces("unsigned.json", "eddsa-rdfc-2022");
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn eddsa_rdfc_2022_employment_authorization() {
    reproduces("employmentAuth.json", "eddsa-rdfc-2022/employ");
}

/// The bundled base context has other white space than the W3C's pinned one, and is the same JSON.
#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn bundled_base_context_is_the_published_one() {
    use sha2::{Digest, Sha256};
    let published = vector("vc-data-model-contexts/contexts/credentials/v2.jsonld");
    let digest = base16ct::lower::encode_string(&Sha256::digest(&published));
    assert_eq!(digest, "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734");
    assert_eq!(object(&published), object(ssi_contexts::CREDENTIALS_V2));
}

/// Every case of the suite, also those with SHA-384, which ecdsa-rdfc-2019 needs.
#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn rdfc_1_0_suite() {
    let manifest = object(&vector("rdf-canon/tests/manifest.jsonld"));
    let (mut canonical, mut maps, mut poison, mut sha384) = (0, 0, 0, 0);
    let mut failed = Vec::new();
    for entry in manifest["entries"].as_array().unwrap() {
        let id = entry["id"].as_str().unwrap();
        let hash = match entry.get("hashAlgorithm").and_then(Value::as_str) {
            None | Some("SHA256") => HashAlgorithm::Sha256,
            Some("SHA384") => HashAlgorithm::Sha384,
            Some(other) => panic!("{other}"),
        };
        sha384 += u32::from(hash == HashAlgorithm::Sha384);
        let read = |name: &str| vector(&format!("rdf-canon/tests/{}", entry[name].as_str().unwrap()));
        let quads = nquads::parse(&read("action"));
        let holds = match entry["type"].as_str().unwrap() {
            "rdfc:RDFC10EvalTest" => {
                canonical += 1;
                canonical::canonicalize(&quads, hash).is_ok_and(|text| text == read("result"))
            }
            "rdfc:RDFC10MapTest" => {
                maps += 1;
                let expected: std::collections::BTreeMap<String, String> =
                    serde_json::from_str(&read("result")).unwrap();
                canonical::canonical_labels(&quads, hash).is_ok_and(|labels| labels == expected)
            }
            "rdfc:RDFC10NegativeEvalTest" => {
                poison += 1;
                canonical::canonicalize(&quads, hash).is_err_and(|problem| problem.code == Code::Transformation)
            }
            other => panic!("{other}"),
        };
        if !holds {
            failed.push(id.to_owned());
        }
    }
    assert_eq!(failed, Vec::<String>::new());
    println!("{canonical} canonical forms, {maps} label maps, {poison} poison graphs, {sha384} of them with SHA-384");
    assert_eq!((canonical, maps, poison, sha384), (64, 21, 1, 2));
}
