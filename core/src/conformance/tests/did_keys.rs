//! did:key: resolution, dereferencing and errors of the specification.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::conformance::did_key::resolve;

const DID: &str = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b";
const ASSERTION: &str = "z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b";
/// Derived from the key by another implementation.
const AGREEMENT: &str = "z6LSfHfAMAopsuBxaBzvp51GXrPf38Az13j2fmwqadbwwrzJ";

#[track_caller]
fn error(identifier: &str, query: &[(&str, &str)]) -> (String, String) {
    let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let result = resolve(identifier, &query);
    assert!(result.is_error, "{identifier}: {}", result.body);
    for member in ["@context", "didDocument", "didDocumentMetadata"] {
        assert!(!result.body[member].is_null(), "{member}");
    }
    let metadata = ["didResolutionMetadata", "didDereferencingMetadata"];
    let named = metadata.into_iter().find(|name| result.body.get(name).is_some()).unwrap();
    (named.to_owned(), result.body[named]["error"].as_str().unwrap().to_owned())
}

fn resolution(error: &str) -> (String, String) {
    ("didResolutionMetadata".to_owned(), error.to_owned())
}

fn dereferencing(error: &str) -> (String, String) {
    ("didDereferencingMetadata".to_owned(), error.to_owned())
}

fn multikey(codec: &[u8], key: &[u8]) -> String {
    format!("did:key:z{}", bs58::encode([codec, key].concat()).into_string())
}

#[test]
fn a_document_has_the_key_and_the_derived_one() {
    let result = resolve(DID, &[]);
    assert!(!result.is_error);
    let document = &result.body["didDocument"];
    assert_eq!(document["id"], json!(DID));
    let method = json!({
        "id": format!("{DID}#{ASSERTION}"), "type": "Multikey", "controller": DID, "publicKeyMultibase": ASSERTION
    });
    assert_eq!(document["verificationMethod"], json!([method]));
    for relationship in ["authentication", "assertionMethod", "capabilityDelegation", "capabilityInvocation"] {
        assert_eq!(document[relationship], json!([format!("{DID}#{ASSERTION}")]));
    }
    assert_eq!(document["keyAgreement"][0]["id"], json!(format!("{DID}#{AGREEMENT}")));
    // Version 1 is the default.
    assert!(!resolve(&DID.replace("did:key:", "did:key:1:"), &[]).is_error);
}

#[test]
fn every_kind_of_key_resolves_to_itself() {
    for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256, SignatureAlgorithm::Es384] {
        let party = party(algorithm, 5);
        let result = resolve(&party.did, &[("publicKeyFormat".to_owned(), "JsonWebKey2020".to_owned())]);
        let method = &result.body["didDocument"]["verificationMethod"][0];
        assert_eq!(method["publicKeyJwk"], Value::Object(party.key.public_key().to_jwk()));
        assert_eq!(method["id"], json!(party.method));
    }
    let secret =
        SecretJwk::from_jwk(&json!({"kty": "EC", "crv": "P-521", "d": format!("A{}", "D".repeat(87))})).unwrap();
    let VerificationKey::P521(key) = secret.verification_key() else { panic!("a key on P-521") };
    let did = multikey(&[0x82, 0x24], key.to_encoded_point(true).as_bytes());
    assert!(!resolve(&did, &[]).is_error);
    let jwk = resolve(&did, &[("publicKeyFormat".to_owned(), "JsonWebKey2020".to_owned())]);
    let jwk = &jwk.body["didDocument"]["verificationMethod"][0]["publicKeyJwk"];
    let VerificationKey::P521(read) = VerificationKey::from_jwk(jwk).unwrap() else { panic!("a key on P-521") };
    assert_eq!(read.to_encoded_point(true), key.to_encoded_point(true));
    // A key for agreement alone.
    let x25519 = resolve(&format!("did:key:{AGREEMENT}"), &[]);
    let document = &x25519.body["didDocument"];
    assert_eq!(document["keyAgreement"], json!([format!("did:key:{AGREEMENT}#{AGREEMENT}")]));
    assert!(document.get("assertionMethod").is_none());
}

/// Returns the JWK in a document, and the document's relationships with the key.
fn jwk_of(did: &str) -> Value {
    let result = resolve(did, &[("publicKeyFormat".to_owned(), "JsonWebKey2020".to_owned())]);
    assert!(!result.is_error, "{did}: {}", result.body);
    result.body["didDocument"]["verificationMethod"][0]["publicKeyJwk"].clone()
}

#[test]
fn keys_on_secp256k1_resolve() {
    let key = k256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
    let point = k256::elliptic_curve::sec1::ToEncodedPoint::to_encoded_point(&key, true);
    let did = multikey(&[0xe7, 0x01], point.as_bytes());
    assert!(did.starts_with("did:key:zQ3s"), "{did}");
    let jwk = jwk_of(&did);
    assert_eq!((&jwk["kty"], &jwk["crv"]), (&json!("EC"), &json!("secp256k1")));
    let parts = ["x", "y"].map(|name| base64::Engine::decode(&URL_SAFE_NO_PAD, jwk[name].as_str().unwrap()).unwrap());
    let uncompressed = [&[4_u8][..], &parts[0], &parts[1]].concat();
    assert_eq!(k256::PublicKey::from_sec1_bytes(&uncompressed).unwrap(), key);
    // The x coordinate of no point.
    assert_eq!(error(&multikey(&[0xe7, 0x01], &[&[2][..], &[0xff; 32]].concat()), &[]), resolution("invalidPublicKey"));
    assert_eq!(error(&multikey(&[0xe7, 0x01], &[2; 32]), &[]), resolution("invalidPublicKeyLength"));
}

/// Returns an `RSAPublicKey` in DER with this modulus and the exponent 65537.
fn rsa_key(modulus: &[u8]) -> Vec<u8> {
    let length = u16::try_from(modulus.len().saturating_add(1)).unwrap().to_be_bytes();
    let members = [&[0x02, 0x82][..], &length, &[0], modulus, &[0x02, 0x03, 0x01, 0x00, 0x01]].concat();
    let length = u16::try_from(members.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82][..], &length, &members].concat()
}

#[test]
fn rsa_keys_resolve() {
    for bytes in [256, 512] {
        let modulus = vec![0xd5; bytes];
        let did = multikey(&[0x85, 0x24], &rsa_key(&modulus));
        let jwk = jwk_of(&did);
        assert_eq!(jwk, json!({"kty": "RSA", "n": base64::Engine::encode(&URL_SAFE_NO_PAD, &modulus), "e": "AQAB"}));
    }
    assert_eq!(error(&multikey(&[0x85, 0x24], &rsa_key(&[0xd5; 128])), &[]), resolution("invalidPublicKeyLength"));
    // An even modulus, and bytes that are no DER.
    assert_eq!(error(&multikey(&[0x85, 0x24], &rsa_key(&[0xd4; 256])), &[]), resolution("invalidPublicKey"));
    assert_eq!(error(&multikey(&[0x85, 0x24], &[0x30; 270]), &[]), resolution("invalidPublicKey"));
}

#[test]
fn keys_on_bls12_381_resolve_as_multikeys() {
    for (codec, length) in [([0xea, 0x01], 48), ([0xeb, 0x01], 96)] {
        let mut key = vec![1; length];
        key[0] = 0x81;
        let did = multikey(&codec, &key);
        let result = resolve(&did, &[]);
        assert!(!result.is_error);
        let method = &result.body["didDocument"]["verificationMethod"][0];
        assert_eq!(method["publicKeyMultibase"], json!(did.strip_prefix("did:key:").unwrap()));
        assert_eq!(error(&did, &[("publicKeyFormat", "JsonWebKey2020")]), resolution("invalidPublicKeyType"));
        // Not compressed, and the point at infinity.
        for flags in [0x01, 0xc0] {
            key[0] = flags;
            assert_eq!(error(&multikey(&codec, &key), &[]), resolution("invalidPublicKey"));
        }
        assert_eq!(error(&multikey(&codec, &key[1..]), &[]), resolution("invalidPublicKeyLength"));
    }
}

#[test]
fn errors_of_resolution() {
    for wrong in [
        DID.replacen("did:", "notDid:", 1),
        DID.replacen("did:", "", 1),
        DID.replacen(":key:", ":experimental:", 1),
        DID.replacen(":key:", ":key:-4:", 1),
        DID.replacen(":key:", ":key:0:", 1),
        DID.replacen(":key:z", ":key:", 1),
        "did:key:@".to_owned(),
        "did:key:z0OIl".to_owned(),
    ] {
        assert_eq!(error(&wrong, &[]), resolution("invalidDid"), "{wrong}");
    }
    // 0xed01 and three bytes.
    assert_eq!(error("did:key:zTjsVPtY", &[]), resolution("invalidPublicKeyLength"));
    assert_eq!(error(&multikey(&[0x80, 0x24], &[2; 32]), &[]), resolution("invalidPublicKeyLength"));
    // Of the right length, and not on the curve.
    assert_eq!(error(&multikey(&[0x80, 0x24], &[5; 33]), &[]), resolution("invalidPublicKey"));
    // A multicodec that the specification does not have: secp224r1.
    assert_eq!(error(&multikey(&[0xa1, 0x24], &[2; 29]), &[]), resolution("unsupportedPublicKeyType"));
    assert_eq!(error(DID, &[("publicKeyFormat", "unknown")]), resolution("unsupportedPublicKeyType"));
    assert_eq!(error(DID, &[("publicKeyFormat", "Ed25519VerificationKey2018")]), resolution("invalidPublicKeyType"));
    let enabled = [("publicKeyFormat", "Ed25519VerificationKey2018"), ("enableExperimentalPublicKeyTypes", "true")];
    let enabled: Vec<_> = enabled.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert!(!resolve(DID, &enabled).is_error);
}

#[test]
fn dereferencing_of_a_verification_method() {
    for id in [ASSERTION, AGREEMENT] {
        let result = resolve(&format!("{DID}#{id}"), &[]);
        assert!(!result.is_error);
        assert_eq!(result.body["didDocument"]["controller"], json!(DID));
        assert_eq!(result.body["didDocument"]["publicKeyMultibase"], json!(id));
        let old = [("publicKeyFormat", "Ed25519VerificationKey2018"), ("enableExperimentalPublicKeyTypes", "false")];
        assert_eq!(error(&format!("{DID}#{id}"), &old), dereferencing("invalidPublicKeyType"));
    }
    for wrong in [format!("{DID}/^bar^/?query=`#{ASSERTION}"), format!("{DID}#"), format!("{DID}/path#{ASSERTION}")] {
        assert_eq!(error(&wrong, &[]), dereferencing("invalidDidUrl"), "{wrong}");
    }
    assert_eq!(error(&format!("{DID}#other"), &[]), dereferencing("notFound"));
}
