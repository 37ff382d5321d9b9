use proptest::prelude::*;

use super::*;
use crate::seeded::SeededRng;

const SIZE: usize = 100_000;

/// The keys of RFC 7518 appendix C.
fn alice() -> p256::SecretKey {
    p256::SecretKey::from_slice(&decode_base64url("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo", "d").unwrap()).unwrap()
}

fn bob() -> DecryptionKey {
    DecryptionKey::from_bytes(&decode_base64url("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw", "d").unwrap()).unwrap()
}

/// Replaces the header of a token, whose tag is over the old one.
fn with_header(token: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header = json::parse_object(&decode_base64url(header, "header").unwrap(), Limits::SMALL).unwrap();
    change(&mut header);
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()))
}

fn token(key: &DecryptionKey, encryption: ContentEncryption) -> String {
    encrypt(b"an answer", &key.public_key(), encryption, b"nonce", &mut SeededRng(1 << 32)).unwrap()
}

fn refused(token: &str, key: &DecryptionKey) -> Code {
    decrypt(token, key, &ContentEncryption::ALL, SIZE).unwrap_err().code
}

#[test]
fn rfc_7518_appendix_c_key_agreement() {
    let jwk = bob().public_key().to_jwk();
    assert_eq!(jwk["x"], "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ");
    assert_eq!(jwk["y"], "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck");
    let derived = agree(&alice(), &bob().public_key().key, ContentEncryption::A128Gcm, b"Alice", b"Bob");
    assert_eq!(URL_SAFE_NO_PAD.encode(&*derived), "VqqN6vgjbSBcIijNcacQGg");
    let other = agree(&bob().key, &alice().public_key(), ContentEncryption::A128Gcm, b"Alice", b"Bob");
    assert_eq!(other, derived, "both sides derive the same key");
    assert_ne!(agree(&alice(), &bob().public_key().key, ContentEncryption::A128Gcm, b"Alice", b"Eve"), derived);
}

#[test]
fn rfc_7516_appendix_a_1_content_encryption() {
    let key = [
        177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7, 110, 91, 112, 46, 34, 105,
        47, 130, 203, 46, 122, 234, 64, 252,
    ];
    let nonce: [u8; IV_BYTES] = decode_base64url("48V1_ALb6US04U3b", "iv").unwrap().try_into().unwrap();
    let aad = b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ";
    let mut text = b"The true sign of intelligence is not knowledge but imagination.".to_vec();
    let tag = seal(ContentEncryption::A256Gcm, &key, &nonce, aad, &mut text).unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(&text),
        "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"
    );
    assert_eq!(URL_SAFE_NO_PAD.encode(&tag), "XFBoMYUZodetZdvTiFvSkQ");
    open(ContentEncryption::A256Gcm, &key, &nonce, aad, &mut text, &tag.try_into().unwrap()).unwrap();
    assert!(text.starts_with(b"The true sign"));
}

#[test]
fn an_answer_reaches_only_the_key_that_it_is_encrypted_to() {
    let key = DecryptionKey::generate(&mut SeededRng(2 << 32));
    for encryption in ContentEncryption::ALL {
        let mut random = SeededRng(11 << 32);
        let [one, two] = [(); 2].map(|()| {
            let token = encrypt(b"an answer", &key.public_key(), encryption, b"nonce", &mut random).unwrap();
            decrypt(&token, &key, &ContentEncryption::ALL, SIZE).unwrap()
        });
        assert_eq!(one.plaintext.as_slice(), b"an answer");
        assert_ne!(one.ephemeral_thumbprint, two.ephemeral_thumbprint);
        assert!(!format!("{one:?} {key:?}").contains("answer"));
    }
    let other = DecryptionKey::generate(&mut SeededRng(3 << 32));
    let token = token(&key, ContentEncryption::A256Gcm);
    assert_eq!(refused(&token, &other), Code::HeaderKeyUnanchored);
    let renamed = with_header(&token, |header| _ = header.insert("kid".to_owned(), other.kid.as_str().into()));
    assert_eq!(refused(&renamed, &other), Code::DecryptionFailed);
    let restored = DecryptionKey::from_bytes(&*key.to_bytes()).unwrap();
    assert!(decrypt(&token, &restored, &ContentEncryption::ALL, SIZE).is_ok());
}

#[test]
fn row_116_another_header_is_refused() {
    let key = DecryptionKey::generate(&mut SeededRng(4 << 32));
    let token = token(&key, ContentEncryption::A128Gcm);
    let set = |name: &str, value: Value| {
        refused(&with_header(&token, |header| _ = header.insert(name.to_owned(), value)), &key)
    };
    for alg in
        [json!("ECDH-ES+A128KW"), json!("RSA-OAEP"), json!("dir"), json!("none"), json!(null), json!(["ECDH-ES"])]
    {
        assert_eq!(set("alg", alg), Code::AlgorithmForbidden);
    }
    for enc in [json!("A128CBC-HS256"), json!("A192GCM"), json!(""), json!(7)] {
        assert_eq!(set("enc", enc), Code::AlgorithmForbidden);
    }
    // The derived key is over the name of the encryption.
    assert_eq!(set("enc", json!("A256GCM")), Code::DecryptionFailed);
    assert_eq!(set("zip", json!("DEF")), Code::AlgorithmForbidden);
    assert_eq!(set("crit", json!(["exp"])), Code::HeaderCritical);
    assert_eq!(set("kid", json!("another")), Code::HeaderKeyUnanchored);
    assert_eq!(set("apv", json!("bm9uY2Vy")), Code::DecryptionFailed);
    assert_eq!(set("apu", json!(1)), Code::TokenMalformed);
    assert_eq!(set("typ", json!("JWT")), Code::DecryptionFailed, "the header is authenticated");
    let only = [ContentEncryption::A256Gcm];
    assert_eq!(decrypt(&token, &key, &only, SIZE).unwrap_err().code, Code::AlgorithmForbidden);
    let missing = with_header(&token, |header| _ = header.remove("kid"));
    assert_eq!(refused(&missing, &key), Code::HeaderKeyUnanchored);
}

#[test]
fn row_112_an_ephemeral_key_that_is_none_is_refused() {
    let key = DecryptionKey::generate(&mut SeededRng(5 << 32));
    let token = token(&key, ContentEncryption::A256Gcm);
    let with_epk = |epk: Value| refused(&with_header(&token, |header| _ = header.insert("epk".to_owned(), epk)), &key);
    let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(with_epk(json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero})), Code::KeyInvalid);
    assert_eq!(with_epk(json!({"kty": "OKP", "crv": "X25519", "x": zero})), Code::KeyInvalid);
    assert_eq!(with_epk(json!({"kty": "EC", "crv": "P-384", "x": zero, "y": zero})), Code::KeyInvalid);
    assert_eq!(with_epk(json!("key")), Code::KeyInvalid);
    assert_eq!(with_epk(key.public_key().to_jwk().into()), Code::KeyInvalid, "the recipient's own");
    let mut private = DecryptionKey::generate(&mut SeededRng(6 << 32)).public_key().to_jwk();
    private.insert("d".to_owned(), zero.into());
    assert_eq!(with_epk(private.into()), Code::PrivateKeyExposed);
    let other = DecryptionKey::generate(&mut SeededRng(7 << 32)).public_key().to_jwk();
    assert_eq!(with_epk(other.into()), Code::DecryptionFailed);
    assert_eq!(refused(&with_header(&token, |header| _ = header.remove("epk")), &key), Code::KeyInvalid);
}

#[test]
fn a_changed_token_is_refused() {
    let key = DecryptionKey::generate(&mut SeededRng(8 << 32));
    let token = token(&key, ContentEncryption::A256Gcm);
    let parts: Vec<&str> = token.split('.').collect();
    let joined = |index: usize, part: &str| {
        let mut parts = parts.clone();
        parts[index] = part;
        refused(&parts.join("."), &key)
    };
    assert_eq!(joined(1, "AAAA"), Code::TokenMalformed);
    assert_eq!(joined(2, "AAAA"), Code::TokenMalformed);
    assert_eq!(joined(3, ""), Code::DecryptionFailed);
    assert_eq!(joined(3, "AAAAAAAAAAAA"), Code::DecryptionFailed);
    assert_eq!(joined(4, &parts[4][..20]), Code::TokenMalformed, "a shorter tag");
    assert_eq!(joined(4, "AAAAAAAAAAAAAAAAAAAAAA"), Code::DecryptionFailed);
    assert_eq!(refused(&format!("{token}."), &key), Code::TokenMalformed);
    assert_eq!(refused("a.b.c", &key), Code::TokenMalformed);
    assert_eq!(refused(&format!("{token}="), &key), Code::InvalidEncoding);
    assert_eq!(decrypt(&token, &key, &ContentEncryption::ALL, 50).unwrap_err().code, Code::TooLarge);
    assert!(decrypt(&token, &key, &ContentEncryption::ALL, token.len()).is_ok());
}

#[test]
fn keys_to_encrypt_to_are_read_strictly() {
    let jwk = Value::Object(DecryptionKey::generate(&mut SeededRng(9 << 32)).public_key().to_jwk());
    let read = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        EncryptionKey::from_jwk(&jwk).map_err(|problem| problem.code)
    };
    let key = EncryptionKey::from_jwk(&jwk).unwrap();
    assert_eq!(Value::Object(key.to_jwk()), jwk);
    assert!(read("key_ops", json!(["deriveBits"])).is_ok());
    assert!(read("x5t", json!("passed over")).is_ok());
    assert_eq!(read("use", json!("sig")), Err(Code::KeyInvalid));
    assert_eq!(read("key_ops", json!(["verify"])), Err(Code::KeyInvalid));
    assert_eq!(read("alg", json!("ES256")), Err(Code::AlgorithmMismatch));
    assert_eq!(read("kid", json!(1)), Err(Code::KeyInvalid));
    assert_eq!(read("d", json!("AAAA")), Err(Code::PrivateKeyExposed));
    assert_eq!(read("crv", json!("P-384")), Err(Code::KeyInvalid));
    assert!(DecryptionKey::from_bytes(&[0; 32]).is_err() && DecryptionKey::from_bytes(&[1; 31]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..600), apv in proptest::collection::vec(any::<u8>(), 0..40)) {
        let key = bob();
        let token = encrypt(&text, &key.public_key(), ContentEncryption::A128Gcm, &apv, &mut SeededRng(10 << 32)).unwrap();
        let back = decrypt(&token, &key, &ContentEncryption::ALL, SIZE).unwrap();
        prop_assert_eq!(back.plaintext.as_slice(), text.as_slice());
    }

    #[test]
    fn any_text_is_decrypted_or_refused(text in "[A-Za-z0-9_.-]{0,120}") {
        prop_assert!(decrypt(&text, &bob(), &ContentEncryption::ALL, SIZE).is_err());
    }
}
