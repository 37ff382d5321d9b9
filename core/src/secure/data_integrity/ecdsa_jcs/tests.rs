use base16ct::lower::encode_string as hex;
use serde_json::json;

use super::*;
use crate::{
    Code,
    did::{Did, SelfContainedResolver, VerificationRelationship},
    json::{Limits, canonicalize_object, parse_object},
    keys::SecretKey,
    secure::data_integrity::{
        Cryptosuites, ProofOptions, ProofRequirements, add_proof, eddsa_jcs::EddsaJcs2022, verify,
    },
    time::Timestamp,
};

const NOW: &str = "2026-11-18T09:30:00Z";

fn p256() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::Es256, &[7; 32]).unwrap()
}

fn p384() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::Es384, &[7; 48]).unwrap()
}

fn document() -> Map<String, Value> {
    let document = json!({"@context": ["https://www.w3.org/ns/credentials/v2"], "name": "Ada", "n": [1, 2]});
    document.as_object().unwrap().clone()
}

fn method(key: &SecretKey) -> String {
    let did = Did::did_key(&key.public_key());
    format!("{did}#{}", did.method_specific_id())
}

fn options(method: &str) -> ProofOptions<'_> {
    ProofOptions {
        verification_method: method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(Timestamp::parse(NOW).unwrap()),
        expires: None,
        challenge: None,
        domain: None,
    }
}

fn secured(key: &SecretKey) -> Map<String, Value> {
    add_proof(&document(), &EcdsaJcs2019, &options(&method(key)), key).unwrap()
}

/// Verifies a document by the owner of the key that its proof names.
fn checked(document: &Map<String, Value>, suites: &Cryptosuites) -> Result<Map<String, Value>, Code> {
    let controller = document["proof"]["verificationMethod"].as_str().unwrap().split('#').next().unwrap();
    let expected = ProofRequirements {
        purpose: VerificationRelationship::AssertionMethod,
        controller,
        binding: None,
        now: Timestamp::parse(NOW).unwrap(),
        skew: 0,
    };
    verify(document, suites, &SelfContainedResolver, &expected).map_err(|problem| problem.code)
}

fn with_proof(mut document: Map<String, Value>, name: &str, value: impl Into<Value>) -> Map<String, Value> {
    document["proof"][name] = value.into();
    document
}

fn signature(document: &Map<String, Value>) -> Vec<u8> {
    let text = document["proof"]["proofValue"].as_str().unwrap();
    bs58::decode(text.strip_prefix('z').unwrap()).into_vec().unwrap()
}

fn with_signature(document: Map<String, Value>, signature: &[u8]) -> Map<String, Value> {
    with_proof(document, "proofValue", format!("z{}", bs58::encode(signature).into_string()))
}

#[test]
fn it_is_registered_and_secures_credentials_with_keys_of_both_curves() {
    let suites = Cryptosuites::jcs();
    for key in [p256(), p384()] {
        let suite = suites.for_signing(CredentialFormat::DiVcJcs, key.algorithm()).unwrap();
        assert_eq!(suite.name(), "ecdsa-jcs-2019");
        let secured = secured(&key);
        assert_eq!(signature(&secured).len(), key.algorithm().signature_length());
        assert_eq!(checked(&secured, &suites), Ok(document()));
        let mut changed = secured.clone();
        changed["name"] = json!("Eve");
        assert_eq!(checked(&changed, &suites), Err(Code::SignatureInvalid));
        assert_eq!(checked(&secured, &Cryptosuites::only(EddsaJcs2022)), Err(Code::CryptosuiteUnknown));
    }
}

#[test]
fn a_proof_by_a_key_of_another_curve_is_refused() {
    let suites = Cryptosuites::jcs();
    let ed25519 = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap();
    for (key, code) in [
        // Another length of signature.
        (&p384(), Code::ProofMalformed),
        // A curve that is for another cryptosuite.
        (&ed25519, Code::AlgorithmMismatch),
    ] {
        let claimed = with_proof(secured(&p256()), "verificationMethod", method(key));
        assert_eq!(checked(&claimed, &suites), Err(code));
    }
    let other = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[8; 32]).unwrap();
    let claimed = with_proof(secured(&p256()), "verificationMethod", method(&other));
    assert_eq!(checked(&claimed, &suites), Err(Code::SignatureInvalid));
    let refused = add_proof(&document(), &EcdsaJcs2019, &options(&method(&ed25519)), &ed25519).unwrap_err();
    assert_eq!(refused.code, Code::AlgorithmMismatch);
    assert!(add_proof(&document(), &EddsaJcs2022, &options(&method(&ed25519)), &ed25519).is_ok());
}

/// Signs as the cryptosuite does, but with a hash function and over a name of the caller's choice.
fn signed_with(key: &SecretKey, name: &str, hash: jcs::HashFunction) -> Map<String, Value> {
    let mut secured = with_proof(secured(key), "cryptosuite", name);
    let mut config = secured["proof"].as_object().unwrap().clone();
    config.remove("proofValue");
    let mut data = hash(&canonicalize_object(&config).unwrap());
    data.extend(hash(&canonicalize_object(&document()).unwrap()));
    let made = key.sign(&data).unwrap();
    secured = with_signature(secured, &made);
    secured
}

#[test]
fn a_proof_over_another_hash_is_refused() {
    let suites = Cryptosuites::jcs();
    let (sha256, sha384) =
        (jcs::hash_function(SignatureAlgorithm::Es256), jcs::hash_function(SignatureAlgorithm::Es384));
    for (key, right, wrong) in [(p256(), sha256, sha384), (p384(), sha384, sha256)] {
        assert_eq!(checked(&signed_with(&key, "ecdsa-jcs-2019", right), &suites), Ok(document()));
        assert_eq!(checked(&signed_with(&key, "ecdsa-jcs-2019", wrong), &suites), Err(Code::SignatureInvalid));
    }
}

#[test]
fn a_proof_under_the_name_of_another_cryptosuite_is_refused() {
    let suites = Cryptosuites::jcs();
    let sha256 = jcs::hash_function(SignatureAlgorithm::Es256);
    for (name, code) in [
        ("eddsa-jcs-2022", Code::AlgorithmMismatch),
        ("ecdsa-rdfc-2019", Code::CryptosuiteUnknown),
        ("ecdsa-jcs-2022", Code::CryptosuiteUnknown),
        ("ECDSA-JCS-2019", Code::CryptosuiteUnknown),
    ] {
        // The signature is over this very name.
        assert_eq!(checked(&signed_with(&p256(), name, sha256), &suites), Err(code), "{name}");
    }
    assert_eq!(checked(&signed_with(&p256(), "ecdsa-jcs-2019", sha256), &suites), Ok(document()));
}

/// Returns the signature with `-s` in place of `s`, modulo the order of P-256: peers make either.
fn mirrored(signature: &[u8]) -> Vec<u8> {
    let (r, s) = ::p256::ecdsa::Signature::from_slice(signature).unwrap().split_scalars();
    ::p256::ecdsa::Signature::from_scalars(r.to_bytes(), std::ops::Neg::neg(*s).to_bytes()).unwrap().to_bytes().to_vec()
}

#[test]
fn a_malleated_signature_is_refused_but_for_the_other_sign_of_s() {
    let suites = Cryptosuites::jcs();
    let secured = secured(&p256());
    let made = signature(&secured);
    assert_eq!(checked(&with_signature(secured.clone(), &mirrored(&made)), &suites), Ok(document()));
    let order =
        base16ct::lower::decode_vec("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let (r, s) = made.split_at(32);
    for (what, changed, code) in [
        ("s is zero", [r, &[0; 32]].concat(), Code::SignatureInvalid),
        ("r is zero", [&[0; 32], s].concat(), Code::SignatureInvalid),
        ("s is the order", [r, &order].concat(), Code::SignatureInvalid),
        ("r and s in the other order", [s, r].concat(), Code::SignatureInvalid),
        ("a byte too many", [&made[..], &[0]].concat(), Code::ProofMalformed),
        ("a byte too few", made[..63].to_vec(), Code::ProofMalformed),
        (
            "DER",
            ::p256::ecdsa::Signature::from_slice(&made).unwrap().to_der().as_bytes().to_vec(),
            Code::ProofMalformed,
        ),
    ] {
        assert_eq!(checked(&with_signature(secured.clone(), &changed), &suites), Err(code), "{what}");
    }
    let base64 = format!("u{}", "A".repeat(86));
    assert_eq!(checked(&with_proof(secured, "proofValue", base64), &suites), Err(Code::ProofMalformed));
}

fn vector(name: &str) -> String {
    let folder = std::path::PathBuf::from(std::env::var_os("CARNET_VECTORS").unwrap());
    std::fs::read_to_string(folder.join("vc-di-ecdsa/TestVectors").join(name)).unwrap().trim_end().to_owned()
}

fn object(name: &str) -> Map<String, Value> {
    parse_object(vector(name).as_bytes(), Limits::DOCUMENT).unwrap()
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn the_official_vectors_are_reproduced_step_by_step() {
    for (curve, algorithm, prefix) in
        [("256", SignatureAlgorithm::Es256, [0x86, 0x26]), ("384", SignatureAlgorithm::Es384, [0x87, 0x26])]
    {
        let of = |name: &str, kind: &str| format!("ecdsa-jcs-2019-p{curve}/{name}JCSECDSAP{curve}.{kind}");
        let keys = object(&format!("p{curve}KeyPair.json"));
        let secret = keys["secretKeyMultibase"].as_str().unwrap();
        let secret = bs58::decode(secret.strip_prefix('z').unwrap()).into_vec().unwrap();
        assert_eq!(secret[..2], prefix);
        let signer = SecretKey::from_bytes(algorithm, &secret[2..]).unwrap();
        assert_eq!(json!(signer.public_key().to_multikey()), keys["publicKeyMultibase"]);

        let (unsigned, config) = (object("unsigned.json"), object(&of("proofConfig", "json")));
        let hash = jcs::hash_function(algorithm);
        for (members, canonical, digest) in [(&unsigned, "canonDoc", "docHash"), (&config, "proofCanon", "proofHash")] {
            let bytes = canonicalize_object(members).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), vector(&of(canonical, "txt")));
            assert_eq!(hex(&hash(&bytes)), vector(&of(digest, "txt")));
        }

        let signed = object(&of("signed", "json"));
        assert_eq!(hex(&signature(&signed)), vector(&of("sigHex", "txt")));
        let method = config["verificationMethod"].as_str().unwrap();
        let created = Some(Timestamp::parse(config["created"].as_str().unwrap()).unwrap());
        let made = add_proof(&unsigned, &EcdsaJcs2019, &ProofOptions { created, ..options(method) }, &signer).unwrap();
        // The signature of the vector is by the same deterministic nonce (RFC 6979); its `s` may be the higher one.
        let half = algorithm.signature_length() / 2;
        assert_eq!(signature(&made)[..half], signature(&signed)[..half]);
        assert_eq!(with_signature(made, &signature(&signed)), signed);
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn the_official_vectors_verify() {
    let suites = Cryptosuites::jcs();
    for curve in ["256", "384"] {
        let signed = object(&format!("ecdsa-jcs-2019-p{curve}/signedJCSECDSAP{curve}.json"));
        assert_eq!(checked(&signed, &suites), Ok(object("unsigned.json")), "{curve}");
        let mut changed = signed.clone();
        changed["name"] = json!("Alumni credential");
        assert_eq!(checked(&changed, &suites), Err(Code::SignatureInvalid), "{curve}");
    }
}
