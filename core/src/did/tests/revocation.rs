//! Revocation marks in methods that nobody uses.

use super::*;

const AT: &str = "2026-11-20T00:00:00Z";
const ENTRY: &str = "did:web:university.example#old";

/// A method that is not one of the rendered ones and holds `key-1`'s key, or `"key"` as that member has it.
fn other(kind: &str, name: &str, key: Value) -> Value {
    json!({"id": ENTRY, "type": kind, "controller": web().as_str(), name: key})
}

/// Refuses key-1 because of `entry` under `holder` once it is marked; accepts it as long as it is not.
#[track_caller]
fn marks_key_1(holder: &str, entry: &Value) {
    let with = |entry: &Value| {
        let mut document = rendered();
        match document[holder].as_array_mut() {
            Some(entries) => entries.push(entry.clone()),
            None => document[holder] = json!([entry]),
        }
        document
    };
    assert_eq!(
        ask(&with(entry), KEY_1, VerificationRelationship::AssertionMethod).unwrap(),
        key(1),
        "{holder} {entry}"
    );
    let mut marked = entry.clone();
    marked["revoked"] = json!(AT);
    let document = with(&marked);
    for purpose in [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication] {
        assert_eq!(code(ask(&document, KEY_1, purpose)), Code::KeyInvalid, "{holder} {marked}");
        assert_eq!(ask(&document, "did:web:university.example#key-2", purpose).unwrap(), key(2));
    }
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    assert_eq!(parsed.revoked_at(&DidUrl::parse(KEY_1).unwrap()).unwrap().to_string(), AT);
    // A date that cannot be read says that it was revoked, and not since when.
    marked["revoked"] = json!("yesterday");
    assert_eq!(code(DidDocument::parse(&web(), &with(&marked))), Code::DidDocumentInvalid, "{holder}");
}

fn jwk() -> Value {
    Value::Object(key(1).to_jwk())
}

#[test]
fn row_88_a_mark_in_a_method_of_another_type() {
    for kind in ["X25519KeyAgreementKey2020", "Ed25519VerificationKey2018", "JsonWebKey", "Multikey"] {
        marks_key_1("verificationMethod", &other(kind, "publicKeyMultibase", json!(key(1).to_multikey())));
        marks_key_1("verificationMethod", &other(kind, "publicKeyJwk", jwk()));
    }
}

#[test]
fn row_88_a_mark_in_a_method_for_encryption() {
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("alg", json!("ES256"))] {
        let mut jwk = jwk();
        jwk[name] = value;
        marks_key_1("verificationMethod", &other("JsonWebKey", "publicKeyJwk", jwk));
    }
}

#[test]
fn row_88_a_mark_in_a_method_embedded_under_another_relationship() {
    for holder in ["keyAgreement", "capabilityInvocation", "capabilityDelegation", "authentication", "assertionMethod"]
    {
        marks_key_1(holder, &other("Multikey", "publicKeyMultibase", json!(key(1).to_multikey())));
    }
    // The same id, with a key that says nothing here.
    for key in [json!(null), json!("z6LS"), json!(key(3).to_multikey())] {
        let entry =
            json!({"id": "#key-1", "type": "Multikey", "controller": web().as_str(), "publicKeyMultibase": key});
        marks_key_1("keyAgreement", &entry);
    }
}

#[test]
fn row_88_a_mark_in_a_method_that_is_unreadable_in_part() {
    let mut both = other("Multikey", "publicKeyMultibase", json!(key(1).to_multikey()));
    both["publicKeyJwk"] = json!({});
    marks_key_1("verificationMethod", &both);
    // Nothing of such an entry could be used, so under other relationships it has no effect.
    for left_out in ["id", "type", "controller"] {
        let mut entry = other("Multikey", "publicKeyMultibase", json!(key(1).to_multikey()));
        entry.as_object_mut().unwrap().remove(left_out);
        marks_key_1("keyAgreement", &entry);
    }
    // One entry where an array of them is expected.
    let mut document = rendered();
    document["keyAgreement"] = other("Multikey", "publicKeyMultibase", json!(key(1).to_multikey()));
    assert!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).is_ok());
    document["keyAgreement"]["revoked"] = json!(AT);
    assert_eq!(code(ask(&document, KEY_1, VerificationRelationship::AssertionMethod)), Code::KeyInvalid);
}

#[test]
fn row_88_a_mark_beside_the_same_key_in_another_encoding() {
    let raw = key(1).to_bytes();
    let prefixed = [&[0xed, 0x01], raw.as_slice()].concat();
    let hex: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
    let info = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], raw.as_slice()].concat();
    let standard = base64::engine::general_purpose::STANDARD;
    let mut padded = jwk();
    padded["x"] = json!(standard.encode(&raw));
    for (name, value) in [
        ("publicKeyJwk", jwk()),
        ("publicKeyJwk", padded),
        ("publicKeyMultibase", json!(key(1).to_multikey())),
        ("publicKeyMultibase", json!(format!("u{}", URL_SAFE_NO_PAD.encode(&prefixed)))),
        ("publicKeyMultibase", json!(format!("f{hex}"))),
        ("publicKeyBase58", json!(bs58::encode(&raw).into_string())),
        ("publicKeyHex", json!(hex)),
        ("publicKeyBase64", json!(standard.encode(&raw))),
        (
            "publicKeyPem",
            json!(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", standard.encode(&info))),
        ),
    ] {
        marks_key_1("verificationMethod", &other("Unknown", name, value));
    }
}

#[test]
fn row_88_a_mark_beside_a_p256_key_in_another_encoding() {
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[5; 32]).unwrap().public_key();
    let jwk = p256.to_jwk();
    let decoded = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let uncompressed = [&[4], decoded("x").as_slice(), &decoded("y")].concat();
    let document = |mark: Option<&str>, name: &str, value: Value| {
        let mut document = DidDocument::json_for_keys(&web(), &[("key-1".to_owned(), p256.clone())]);
        let mut entry = other("Unknown", name, value);
        if let Some(at) = mark {
            entry["revoked"] = json!(at);
        }
        document["verificationMethod"].as_array_mut().unwrap().push(entry);
        document
    };
    for (name, value) in [
        ("publicKeyJwk", Value::Object(jwk.clone())),
        ("publicKeyMultibase", json!(p256.to_multikey())),
        ("publicKeyBase58", json!(bs58::encode(p256.to_bytes()).into_string())),
        ("publicKeyBase58", json!(bs58::encode(uncompressed).into_string())),
    ] {
        let plain = document(None, name, value.clone());
        assert_eq!(ask(&plain, KEY_1, VerificationRelationship::AssertionMethod).unwrap(), p256);
        let marked = document(Some(AT), name, value);
        assert_eq!(code(ask(&marked, KEY_1, VerificationRelationship::AssertionMethod)), Code::KeyInvalid, "{name}");
    }
}

#[test]
fn a_mark_of_another_key_says_nothing_of_this_one() {
    let mut entry = other("Multikey", "publicKeyMultibase", json!(key(3).to_multikey()));
    entry["revoked"] = json!(AT);
    for holder in ["verificationMethod", "keyAgreement"] {
        let mut document = rendered();
        match document[holder].as_array_mut() {
            Some(entries) => entries.push(entry.clone()),
            None => document[holder] = json!([entry]),
        }
        assert_eq!(ask(&document, KEY_1, VerificationRelationship::AssertionMethod).unwrap(), key(1));
        let parsed = DidDocument::parse(&web(), &document).unwrap();
        assert_eq!(parsed.key_revoked_at(&key(3)).unwrap().to_string(), AT);
        assert!(parsed.key_revoked_at(&key(1)).is_none());
        // Also of a method that no purpose lists.
        assert_eq!(parsed.revoked_at(&DidUrl::parse(ENTRY).unwrap()).unwrap().to_string(), AT);
    }
    // Two marks: the earlier one counts.
    let mut document = rendered();
    document["verificationMethod"][0]["revoked"] = json!("2026-11-21T00:00:00Z");
    let mut entry = other("Multikey", "publicKeyMultibase", json!(key(1).to_multikey()));
    entry["revoked"] = json!(AT);
    document["keyAgreement"] = json!([entry]);
    let parsed = DidDocument::parse(&web(), &document).unwrap();
    assert_eq!(parsed.revoked_at(&DidUrl::parse(KEY_1).unwrap()).unwrap().to_string(), AT);
}
