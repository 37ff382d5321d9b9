use ed25519_dalek::Signer as _;
use serde_json::json;

use super::*;

fn keys() -> [SecretKey; 3] {
    [(SignatureAlgorithm::EdDsa, 32), (SignatureAlgorithm::Es256, 32), (SignatureAlgorithm::Es384, 48)]
        .map(|(algorithm, length)| SecretKey::from_bytes(algorithm, &[7; 48][..length]).unwrap())
}

#[track_caller]
fn refused(jwk: &Value, code: Code) {
    assert_eq!(PublicKey::from_jwk(jwk).map_err(|problem| problem.code), Err(code), "{jwk}");
}

fn with(key: &SecretKey, name: &str, value: impl Into<Value>) -> Value {
    let mut jwk = key.public_key().to_jwk();
    jwk.insert(name.to_owned(), value.into());
    Value::Object(jwk)
}

#[test]
fn keys_go_through_each_form_and_come_back() {
    for secret in keys() {
        let key = secret.public_key();
        assert_eq!(key.algorithm(), secret.algorithm());
        assert_eq!(PublicKey::from_jwk(&Value::Object(key.to_jwk())).unwrap(), key);
        assert_eq!(PublicKey::from_multikey(&key.to_multikey()).unwrap(), key);
        assert_eq!(PublicKey::from_bytes(key.algorithm(), &key.to_bytes()).unwrap(), key);
        let again = SecretKey::from_bytes(secret.algorithm(), &secret.to_bytes()).unwrap();
        assert_eq!(again.public_key(), key);
        assert_eq!(key.to_jwk_text().as_bytes(), crate::json::canonicalize_object(&key.to_jwk()).unwrap());
    }
}

#[test]
fn drawn_keys_sign_and_verify() {
    let mut rng = crate::seeded::SeededRng(1);
    for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256, SignatureAlgorithm::Es384] {
        let one = SecretKey::generate(algorithm, &mut rng);
        let other = SecretKey::generate(algorithm, &mut rng);
        assert_ne!(one.public_key(), other.public_key());
        let signature = one.sign(b"message").unwrap();
        assert_eq!(signature.len(), algorithm.signature_length());
        one.public_key().verify(b"message", &signature).unwrap();
        for (key, message, signature) in [
            (other.public_key(), &b"message"[..], signature.clone()),
            (one.public_key(), b"massage", signature.clone()),
            (one.public_key(), b"message", signature[..signature.len() - 1].to_vec()),
            (one.public_key(), b"message", [&signature[..], &[0]].concat()),
            (one.public_key(), b"message", vec![0; signature.len()]),
            (one.public_key(), b"message", Vec::new()),
        ] {
            assert_eq!(key.verify(message, &signature).unwrap_err().code, Code::SignatureInvalid);
        }
    }
}

#[test]
fn every_changed_bit_of_a_signature_is_refused() {
    for secret in keys() {
        let signature = secret.sign(b"message").unwrap();
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(secret.public_key().verify(b"message", &changed).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    let debug = format!("{:?}", keys());
    assert_eq!(debug, "[SecretKey(redacted), SecretKey(redacted), SecretKey(redacted)]");
    assert_eq!(SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 31]).unwrap_err().code, Code::KeyInvalid);
    for bytes in [&[0; 32][..], &[0xff; 32], &[7; 31], &[7; 33]] {
        assert_eq!(SecretKey::from_bytes(SignatureAlgorithm::Es256, bytes).unwrap_err().code, Code::KeyInvalid);
    }
    for bytes in [&[0; 48][..], &[0xff; 48], &[7; 47], &[7; 49], &[7; 32]] {
        assert_eq!(SecretKey::from_bytes(SignatureAlgorithm::Es384, bytes).unwrap_err().code, Code::KeyInvalid);
    }
}

#[test]
fn weak_keys_are_refused() {
    let ed25519 = |bytes: [u8; 32]| PublicKey::from_bytes(SignatureAlgorithm::EdDsa, &bytes);
    let (mut one, mut minus_one, mut not_canonical) = ([0; 32], [0xff; 32], [0xff; 32]);
    one[0] = 1;
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    // y = p + 3, that is 3 in a second form.
    not_canonical[0] = 0xf0;
    not_canonical[31] = 0x7f;
    for bytes in [[0; 32], one, minus_one, not_canonical] {
        assert_eq!(ed25519(bytes).unwrap_err().code, Code::KeyInvalid);
    }
    assert!(ed25519([3; 32]).is_ok() || ed25519([4; 32]).is_ok());
    for point in [&[0][..], &[4; 65], &[2; 32], &[5; 33], &[]] {
        assert_eq!(PublicKey::from_bytes(SignatureAlgorithm::Es256, point).unwrap_err().code, Code::KeyInvalid);
    }
}

#[test]
fn both_forms_of_an_es256_signature_hold_and_the_lower_one_is_made() {
    let [_, secret, _] = keys();
    let made = secret.sign(b"message").unwrap();
    let signature = ::p256::ecdsa::Signature::from_slice(&made).unwrap();
    assert!(signature.normalize_s().is_none());
    let (r, s) = signature.split_scalars();
    let higher = ::p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    assert_ne!(higher.to_bytes(), signature.to_bytes());
    secret.public_key().verify(b"message", &higher.to_bytes()).unwrap();
}

#[test]
fn row_02_hmac_with_the_public_key_as_secret() {
    for alg in ["none", "None", "HS256", "HS512", "RS256", "ES384", "eddsa", "", "EdDSA "] {
        assert_eq!(SignatureAlgorithm::parse(alg).unwrap_err().code, Code::AlgorithmForbidden, "{alg}");
    }
    for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
        assert_eq!(SignatureAlgorithm::parse(algorithm.as_str()).unwrap(), algorithm);
    }
    // The public key as a symmetric secret is no key here at all.
    let [ed25519, ..] = keys();
    let x = ed25519.public_key().to_jwk()["x"].clone();
    refused(&json!({"kty": "oct", "k": x}), Code::PrivateKeyExposed);
    refused(&json!({"kty": "oct"}), Code::KeyInvalid);
}

#[test]
fn row_03_an_algorithm_that_does_not_fit_the_key() {
    let [ed25519, p256, p384] = keys();
    refused(&with(&ed25519, "alg", "ES256"), Code::AlgorithmMismatch);
    refused(&with(&p256, "alg", "EdDSA"), Code::AlgorithmMismatch);
    refused(&with(&p256, "alg", "HS256"), Code::AlgorithmMismatch);
    refused(&with(&p384, "alg", "ES256"), Code::AlgorithmMismatch);
    refused(&with(&p256, "alg", 7), Code::KeyInvalid);
    for (key, alg) in [(&ed25519, "EdDSA"), (&ed25519, "Ed25519"), (&p256, "ES256"), (&p384, "ES384")] {
        assert_eq!(PublicKey::from_jwk(&with(key, "alg", alg)).unwrap(), key.public_key());
    }
    // A signature by one key does not verify with the other.
    let signature = ed25519.sign(b"message").unwrap();
    for other in [&p256, &p384] {
        assert_eq!(other.public_key().verify(b"message", &signature).unwrap_err().code, Code::SignatureInvalid);
    }
    ed25519.public_key().verify(b"message", &signature).unwrap();
}

#[test]
fn row_08_a_private_key_where_a_public_one_belongs() {
    for key in keys() {
        assert!(PublicKey::from_jwk(&with(&key, "kid", "a")).is_ok());
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            refused(&with(&key, name, "AA"), Code::PrivateKeyExposed);
        }
        refused(&with(&key, "d", Value::Null), Code::PrivateKeyExposed);
    }
    for prefix in [[0x80, 0x26], [0x86, 0x26]] {
        let text = format!("z{}", bs58::encode([&prefix[..], &[7; 32]].concat()).into_string());
        assert_eq!(PublicKey::from_multikey(&text).unwrap_err().code, Code::PrivateKeyExposed);
    }
}

#[test]
fn malformed_jwks_are_refused() {
    let [ed25519, p256, p384] = keys();
    let x = ed25519.public_key().to_jwk()["x"].as_str().unwrap().to_owned();
    for jwk in [
        json!(null),
        json!("x"),
        json!({}),
        json!({"kty": "OKP", "crv": "Ed25519"}),
        json!({"kty": "OKP", "crv": "X25519", "x": x}),
        json!({"kty": "OKP", "crv": "Ed448", "x": x}),
        json!({"kty": "EC", "crv": "Ed25519", "x": x}),
        json!({"kty": "RSA", "n": x, "e": "AQAB"}),
        json!({"kty": ["OKP"], "crv": "Ed25519", "x": x}),
        with(&ed25519, "x", format!("{x}=")),
        with(&ed25519, "x", x.get(..42).unwrap()),
        with(&ed25519, "x", format!("{x}AA")),
        with(&ed25519, "x", format!(" {x}")),
        with(&ed25519, "x", "+".repeat(43)),
        with(&ed25519, "x", 7),
        // The last character has two bits that belong to no byte; they are zero in the one form there is.
        with(&ed25519, "x", format!("{}B", "A".repeat(42))),
        with(&ed25519, "y", x.clone()),
        with(&ed25519, "use", "enc"),
        with(&ed25519, "use", 1),
        with(&ed25519, "key_ops", json!(["sign"])),
        with(&ed25519, "key_ops", "verify"),
        with(&p256, "crv", "P-384"),
        with(&p256, "crv", "secp256k1"),
        with(&p384, "crv", "P-256"),
        with(&p384, "y", p384.public_key().to_jwk()["x"].clone()),
        with(&p256, "y", x),
        with(&p256, "y", Value::Null),
    ] {
        refused(&jwk, Code::KeyInvalid);
    }
    assert!(PublicKey::from_jwk(&with(&ed25519, "use", "sig")).is_ok());
    assert!(PublicKey::from_jwk(&with(&ed25519, "key_ops", json!(["verify"]))).is_ok());
}

#[test]
fn malformed_multikeys_are_refused() {
    let [ed25519, p256, p384] = keys().map(|key| key.public_key());
    let encode = |prefix: &[u8], bytes: &[u8]| format!("z{}", bs58::encode([prefix, bytes].concat()).into_string());
    let good = ed25519.to_multikey();
    assert!(good.starts_with("z6Mk") && p256.to_multikey().starts_with("zDn"));
    assert!(p384.to_multikey().starts_with("z82"));
    for (text, code) in [
        ("", Code::InvalidEncoding),
        (good.get(1..).unwrap(), Code::InvalidEncoding),
        (&good.replacen('z', "u", 1), Code::InvalidEncoding),
        (&format!("{good}0"), Code::InvalidEncoding),
        (&format!("{good} "), Code::InvalidEncoding),
        ("z", Code::KeyInvalid),
        (&format!("z{}", "1".repeat(100_000)), Code::KeyInvalid),
        (&encode(&[0xed, 0x01], &[3; 31]), Code::KeyInvalid),
        (&encode(&[0xed, 0x01], &[3; 33]), Code::KeyInvalid),
        (&encode(&[0xec, 0x01], &ed25519.to_bytes()), Code::KeyInvalid),
        (&encode(&[0x80, 0x24], &p256.to_bytes()[..32]), Code::KeyInvalid),
        (&encode(&[0x80, 0x24], &p384.to_bytes()), Code::KeyInvalid),
        (&encode(&[0x81, 0x24], &p256.to_bytes()), Code::KeyInvalid),
        (&encode(&[0x81, 0x24], &p384.to_bytes()[..48]), Code::KeyInvalid),
    ] {
        assert_eq!(PublicKey::from_multikey(text).unwrap_err().code, code, "{text}");
    }
}

/// RFC 8037 appendix A.3, and RFC 8032 section 7.1, test 1.
#[test]
fn published_examples() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let key = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let hex = |text: &str| base16ct::lower::decode_vec(text).unwrap();
    let secret = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let signature = hex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    let secret = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &secret).unwrap();
    assert_eq!(secret.public_key(), key);
    assert_eq!(secret.sign(b"").unwrap(), signature);
    key.verify(b"", &signature).unwrap();
    assert_eq!(
        ed25519_dalek::SigningKey::from_bytes(secret.to_bytes().first_chunk().unwrap()).sign(b"").to_vec(),
        signature
    );
}
