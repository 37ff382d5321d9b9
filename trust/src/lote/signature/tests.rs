use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm,
    date_time_ymd,
};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair,
    },
};
use serde_json::json;

use super::*;

/// A publisher with a certificate for this year.
struct Publisher {
    alg: &'static str,
    key: KeyPair,
    der: Vec<u8>,
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
}

fn publisher(alg: &'static str) -> Publisher {
    let algorithm: &SignatureAlgorithm = match alg {
        "ES256" => &PKCS_ECDSA_P256_SHA256,
        "ES384" => &PKCS_ECDSA_P384_SHA384,
        _ => &PKCS_ED25519,
    };
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 31);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Publisher { alg, key, der }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Publisher {
    fn fingerprint(&self) -> CertificateFingerprint {
        CertificateFingerprint::from_der(&self.der)
    }

    fn header(&self) -> Value {
        json!({"alg": self.alg, "typ": "JOSE", "x5c": [STANDARD.encode(&self.der)]})
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let (pkcs8, random) = (self.key.serialize_der(), SystemRandom::new());
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            let key = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).unwrap();
            key.sign(&random, message).unwrap().as_ref().to_vec()
        };
        match self.alg {
            "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap().sign(message).as_ref().to_vec(),
        }
    }

    /// A compact JWS with this header and a valid signature.
    fn jws(&self, header: &Value) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(r#"{"LoTE":{}}"#));
        let signature = base64url(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn opened(&self, text: &str) -> Result<VerifiedLote, CommandError> {
        read_lote(text.as_bytes(), RequiredSigner::Pinned(self.fingerprint()), now())
    }

    /// Asserts that a changed header is refused; the unchanged one is accepted.
    #[track_caller]
    fn refused(&self, change: impl FnOnce(&mut Value), reason: &str, names: &str) {
        let mut header = self.header();
        self.opened(&self.jws(&header)).unwrap();
        change(&mut header);
        let refusal = self.opened(&self.jws(&header)).unwrap_err();
        assert_eq!(refusal.reason, reason, "{refusal}");
        assert!(refusal.to_string().contains(names), "{refusal}");
    }
}

#[test]
fn a_list_that_the_pinned_certificate_signed_is_opened() {
    for alg in ALGORITHMS {
        let publisher = publisher(alg);
        let mut header = publisher.header();
        header["x5t#S256"] = base64url(publisher.fingerprint().as_bytes()).into();
        header["sigT"] = "2026-11-01T00:00:00Z".into();
        header["iat"] = 1_793_491_200.into();
        header["crit"] = json!(["sigT"]);
        let jws = publisher.jws(&header);
        for text in [jws.clone(), format!("{jws}\n")] {
            let opened = publisher.opened(&text).unwrap();
            assert_eq!(Value::Object(opened.payload), json!({"LoTE": {}}));
            assert!(
                opened.verification_note.contains(&publisher.fingerprint().to_string()),
                "{}",
                opened.verification_note
            );
        }
        // One byte of the payload, or the signature of another key of the kind.
        let tampered = jws.replace(&base64url(r#"{"LoTE":{}}"#), &base64url(r#"{"LoTE":[]}"#));
        assert_eq!(publisher.opened(&tampered).unwrap_err().reason, "signature_invalid");
        let other = self::publisher(alg).jws(&header);
        assert_eq!(publisher.opened(&other).unwrap_err().reason, "signature_invalid");
    }
}

#[test]
fn another_signer_or_none_is_refused() {
    let (publisher, other) = (publisher("ES256"), publisher("ES256"));
    let refusal = publisher.opened(&other.jws(&other.header())).unwrap_err();
    assert_eq!(refusal.reason, "signer_untrusted");
    assert!(refusal.to_string().contains(&other.fingerprint().to_string()), "{refusal}");
    other.opened(&other.jws(&other.header())).unwrap();
    publisher.refused(|header| header["x5c"] = json!([STANDARD.encode(&other.der)]), "signer_untrusted", "");
    // The right one at another place of the chain has not signed.
    let chain = json!([STANDARD.encode(&other.der), STANDARD.encode(&publisher.der)]);
    publisher.refused(|header| header["x5c"] = chain, "signer_untrusted", "");
    for x5c in [json!([]), json!(null), json!("AA=="), json!([1])] {
        publisher.refused(|header| header["x5c"] = x5c, "lote_signature", "x5c");
    }
    publisher.refused(|header| drop(header.as_object_mut().unwrap().remove("x5c")), "lote_signature", "x5c");
    let thumbprint = base64url(other.fingerprint().as_bytes());
    publisher.refused(|header| header["x5t#S256"] = thumbprint.into(), "lote_signature", "x5t#S256");
}

#[test]
fn a_certificate_counts_in_its_time_only() {
    let publisher = publisher("ES256");
    let jws = publisher.jws(&publisher.header());
    let at = |text: &str| {
        read_lote(jws.as_bytes(), RequiredSigner::Pinned(publisher.fingerprint()), Timestamp::parse(text).unwrap())
            .map(drop)
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(at("2026-01-01T00:00:00Z"), Ok(()));
    assert_eq!(at("2025-12-31T23:59:59Z"), Err("not_yet_valid"));
    assert_eq!(at("2026-12-31T00:00:00Z"), Ok(()));
    assert_eq!(at("2026-12-31T00:00:01Z"), Err("expired"));
    publisher.refused(|header| header["sigT"] = "2026-11-23T12:01:01Z".into(), "not_yet_valid", "signed at");
    publisher.refused(
        |header| header["sigT"] = "2025-11-23T12:00:00Z".into(),
        "not_yet_valid",
        "time of the signature",
    );
    publisher.refused(|header| header["sigT"] = "yesterday".into(), "lote_signature", "sigT");
    publisher.refused(|header| header["iat"] = "1793491200".into(), "lote_signature", "iat");
}

#[test]
fn algorithms_and_critical_members_that_are_not_understood_are_refused() {
    let publisher = publisher("ES256");
    for alg in ["none", "None", "HS256", "RS256", "PS256", "ES512", "ES256K", ""] {
        publisher.refused(|header| header["alg"] = alg.into(), "algorithm_forbidden", &format!("{alg:?}"));
    }
    publisher.refused(|header| drop(header.as_object_mut().unwrap().remove("alg")), "algorithm_forbidden", "");
    // The key determines the algorithm, whatever the header asks for.
    for alg in ["ES384", "EdDSA"] {
        publisher.refused(|header| header["alg"] = alg.into(), "algorithm_mismatch", "ES256");
    }
    for name in ["sigD", "b64", "jwk", "x5u", "sigPId"] {
        publisher.refused(|header| header[name] = json!(false), "lote_signature", name);
        let critical = |header: &mut Value| header["crit"] = json!([name]);
        publisher.refused(critical, "header_critical", name);
    }
    for crit in [json!([]), json!("sigT"), json!([1]), json!(null), json!(["sigT"])] {
        publisher.refused(|header| header["crit"] = crit, "header_critical", "crit");
    }
    let twice = |header: &mut Value| {
        header["sigT"] = "2026-11-01T00:00:00Z".into();
        header["crit"] = json!(["sigT", "sigT"]);
    };
    publisher.refused(twice, "header_critical", "twice");
    // And with no signature at all, as alg none has it.
    let bare = format!("{}.{}.", base64url(json!({"alg": "none"}).to_string()), base64url("{}"));
    assert_eq!(publisher.opened(&bare).unwrap_err().reason, "algorithm_forbidden");
}

#[test]
fn of_the_json_forms_the_flattened_one_is_read() {
    let publisher = publisher("EdDSA");
    let jws = publisher.jws(&publisher.header());
    let parts: Vec<&str> = jws.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    publisher.opened(&flat.to_string()).unwrap();
    let with = |change: fn(&mut Value)| {
        let mut value = flat.clone();
        change(&mut value);
        publisher.opened(&value.to_string()).map(drop).map_err(|refusal| refusal.reason)
    };
    // Members that archives add are not protected, and not read.
    assert_eq!(with(|value| value["header"] = json!({"etsiU": ["AA"]})), Ok(()));
    assert_eq!(with(|value| value["header"] = json!({"alg": "EdDSA"})), Err("lote_signature"));
    assert_eq!(with(|value| value["LoTE"] = json!({})), Err("lote_signature"));
    assert_eq!(with(|value| value["protected"] = json!(1)), Err("lote_signature"));
    assert_eq!(with(|value| drop(value.as_object_mut().unwrap().remove("signature"))), Err("lote_signature"));
    let two = json!({"payload": parts[1], "signatures": [
        {"protected": parts[0], "signature": parts[2]}, {"protected": parts[0], "signature": parts[2]},
    ]});
    let refusal = publisher.opened(&two.to_string()).unwrap_err();
    assert!(refusal.reason == "lote_signature" && refusal.to_string().contains("`signatures`"), "{refusal}");
    assert_eq!(publisher.opened("a.b").unwrap_err().reason, "token_malformed");
    let long = "a".repeat(Limits::STATUS_LIST.max_bytes + 1);
    assert_eq!(publisher.opened(&long).unwrap_err().reason, "too_large");
}

#[test]
fn what_is_not_signed_is_opened_only_if_that_is_said() {
    let publisher = publisher("ES256");
    let jws = publisher.jws(&publisher.header());
    let plain = r#"{"LoTE":{}}"#;
    assert_eq!(publisher.opened(plain).unwrap_err().reason, "lote_unsigned");
    assert!(
        read_lote(plain.as_bytes(), RequiredSigner::NotChecked, now())
            .unwrap()
            .verification_note
            .contains("nobody has verified")
    );
    assert_eq!(read_lote(jws.as_bytes(), RequiredSigner::NotChecked, now()).unwrap_err().reason, "lote_signed");
    publisher.opened(&jws).unwrap();
    assert_eq!(SignerArgs::default().required_signer().unwrap_err().reason, "signer_needed");
    assert_eq!(
        SignerArgs { unsigned: true, ..SignerArgs::default() }.required_signer().unwrap(),
        RequiredSigner::NotChecked
    );
}

#[test]
fn a_signer_is_named_by_its_certificate_in_pem_or_der() {
    let publisher = publisher("ES384");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signer");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        SignerArgs { signer: Some(path.clone()), ..SignerArgs::default() }
            .required_signer()
            .map_err(|refusal| refusal.reason)
    };
    let lines: Vec<String> = STANDARD
        .encode(&publisher.der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into())
        .collect();
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
    let pinned = Ok(RequiredSigner::Pinned(publisher.fingerprint()));
    assert_eq!(read(&publisher.der), pinned);
    assert_eq!(read(pem("CERTIFICATE").as_bytes()), pinned);
    let marked = format!("\u{feff}{}", pem("CERTIFICATE").replace('\n', "\r\n"));
    assert_eq!(read(marked.as_bytes()), pinned);
    let utf_16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&utf_16), Err("file_unreadable"));
    for wrong in [pem("PUBLIC KEY"), pem("CERTIFICATE").repeat(2), "certificate".to_owned(), String::new()] {
        assert_eq!(read(wrong.as_bytes()), Err("key_invalid"), "{wrong}");
    }
}
