//! VC-JOSE-COSE: envelopes as JWS, SD-JWT and COSE_Sign1.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::*;
use crate::seeded::SeededRng;

fn key_of(curve: &str) -> SecretJwk {
    let (kty, bytes) = match curve {
        "Ed25519" => ("OKP", 32),
        "P-256" => ("EC", 32),
        "P-384" => ("EC", 48),
        _ => ("EC", 66),
    };
    let mut secret = vec![3; bytes];
    // Below the order of each curve.
    secret[0] = 0;
    SecretJwk::from_jwk(&json!({"kty": kty, "crv": curve, "d": URL_SAFE_NO_PAD.encode(secret)})).unwrap()
}

fn paths(paths: &[&str]) -> Vec<DisclosurePath> {
    paths.iter().map(|path| DisclosurePath::parse(path).unwrap()).collect()
}

fn sign(document: &Value, enveloping: Enveloping, disclosures: &[&str], kid: Option<&str>, key: &SecretJwk) -> String {
    let document = object(document.clone());
    let disclosures = paths(disclosures);
    sign_enveloped(&document, (enveloping, &disclosures), kid, &key.signing_key(), &mut SeededRng(1)).unwrap()
}

/// A compact JWS with exactly this header and payload.
fn token(header: &Value, payload: &Value, key: &SecretJwk) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
    let signed = format!("{}.{}", part(header), part(payload));
    format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(key.signing_key().sign(signed.as_bytes(), &mut SeededRng(3)).unwrap())
    )
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

fn enveloped_presentation() -> Value {
    let credential = sign(&credential(), Enveloping::Jwt, &[], Some("key-1"), &key_of("P-256"));
    presentation(&[to_enveloped(&credential).unwrap().into()])
}

#[test]
fn every_key_secures_every_envelope() {
    for curve in ["Ed25519", "P-256", "P-384", "P-521"] {
        let key = key_of(curve);
        for (document, media) in [(credential(), "vc"), (enveloped_presentation(), "vp")] {
            for (enveloping, suffix) in [(Enveloping::Jwt, "jwt"), (Enveloping::SdJwt, "sd-jwt")] {
                let token = sign(&document, enveloping, &[], Some("key-1"), &key);
                let header = header_of(&token);
                assert_eq!(header["typ"], json!(format!("{media}+{suffix}")));
                assert_eq!((header["cty"].as_str(), header["kid"].as_str()), (Some(media), Some("key-1")));
                let parsed = EnvelopedToken::parse(&token).unwrap();
                parsed.verify(&key.verification_key()).unwrap();
                assert_eq!(*parsed.document(), object(document.clone()));
                let other = if curve == "P-521" { "P-384" } else { "P-521" };
                assert_eq!(code(parsed.verify(&key_of(other).verification_key())), Code::AlgorithmMismatch);
            }
            let cose =
                sign_cose(&object(document.clone()), Some("key-1"), &key.signing_key(), &mut SeededRng(4)).unwrap();
            let parsed = CoseToken::parse(&cose).unwrap();
            parsed.verify(&key.verification_key()).unwrap();
            assert_eq!((parsed.kid(), parsed.document()), (Some("key-1"), &object(document)));
            let mut changed = cose;
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(
                code(CoseToken::parse(&changed).unwrap().verify(&key.verification_key())),
                Code::SignatureInvalid
            );
        }
    }
}

#[test]
fn headers_and_claims_of_a_jwt_are_checked() {
    let key = key_of("Ed25519");
    let issuer = issuer().did;
    let header = || json!({"alg": "EdDSA", "typ": "vc+jwt", "cty": "vc", "kid": "key-1"});
    let payload = || {
        let mut payload = credential();
        payload["iss"] = json!(issuer);
        payload["iat"] = json!("2010-01-01T19:23:24Z");
        payload
    };
    let parse = |header: &dyn Fn(&mut Value), payload_change: &dyn Fn(&mut Value)| {
        let (mut one, mut other) = (self::json!(null), payload());
        one.clone_from(&json!({"alg": "EdDSA", "typ": "vc+jwt", "cty": "vc", "kid": "key-1"}));
        header(&mut one);
        payload_change(&mut other);
        EnvelopedToken::parse(&token(&one, &other, &key))
    };
    parse(&|_| {}, &|_| {}).unwrap();
    parse(&|h| h["typ"] = json!("application/vc+jwt"), &|_| {}).unwrap();
    // The claims of JWT are no members of the document.
    assert!(!parse(&|_| {}, &|_| {}).unwrap().document().contains_key("iat"));
    for (name, value) in
        [("typ", "bad+typ"), ("typ", "vp+jwt"), ("typ", "vc+sd-jwt"), ("cty", "vp"), ("cty", "bad+cty")]
    {
        assert_eq!(parse(&|h| h[name] = json!(value), &|_| {}).unwrap_err().code, Code::TokenType, "{name} {value}");
    }
    assert_eq!(code(parse(&|h| h["alg"] = json!("none"), &|_| {})), Code::AlgorithmForbidden);
    assert_eq!(code(parse(&|h| h["alg"] = json!("HS256"), &|_| {})), Code::AlgorithmForbidden);
    assert_eq!(code(parse(&|h| h["crit"] = json!(["x"]), &|_| {})), Code::HeaderCritical);
    for claim in ["vc", "vp"] {
        assert_eq!(code(parse(&|_| {}, &|p| p[claim] = json!("oops"))), Code::ClaimForbidden);
    }
    assert_eq!(code(parse(&|_| {}, &|p| p["iss"] = json!("did:example:other"))), Code::IssuerMismatch);
    parse(&|_| {}, &|p| p["issuer"] = json!({"id": issuer, "name": "A"})).unwrap();
    let without_iss = |p: &mut Value| {
        p.as_object_mut().unwrap().remove("iss");
    };
    assert_eq!(code(parse(&|_| {}, &without_iss)), Code::HeaderKeyUnanchored);
    parse(&|h| h["kid"] = json!("https://a.example/keys#1"), &without_iss).unwrap();
    assert_eq!(code(parse(&|_| {}, &|p| p["credentialSubject"] = json!({}))), Code::SubjectEmpty);
    assert_eq!(code(parse(&|_| {}, &|p| p["proof"] = json!({"type": "T"}))), Code::MalformedValue);
    // A signature of another key.
    let parsed = EnvelopedToken::parse(&token(&header(), &payload(), &key)).unwrap();
    let other =
        SecretJwk::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "d": URL_SAFE_NO_PAD.encode([9; 32])})).unwrap();
    assert_eq!(code(parsed.verify(&other.verification_key())), Code::SignatureInvalid);
}

#[test]
fn credentials_of_an_enveloped_presentation_are_enveloped() {
    let key = key_of("P-384");
    let parse = |document: &Value| EnvelopedToken::parse(&sign(document, Enveloping::Jwt, &[], Some("key-1"), &key));
    parse(&enveloped_presentation()).unwrap();
    let mut plain = enveloped_presentation();
    plain["verifiableCredential"] = json!([issued()]);
    assert_eq!(code(parse(&plain)), Code::MalformedValue);
    let mut wrong = enveloped_presentation();
    wrong["verifiableCredential"][0]["id"] = json!("not-a-credential");
    assert_eq!(code(parse(&wrong)), Code::MalformedValue);
}

#[test]
fn disclosures_are_hidden_and_shown() {
    let key = key_of("P-521");
    let mut document = credential();
    document["credentialSubject"] = json!({
        "id": "did:example:s", "address": {"street": "123 Main St", "city": "Anytown", "country": "USA"},
        "phoneNumbers": [{"number": "+1"}, {"number": "+2"}]
    });
    let hidden = ["credentialSubject.address.street", "credentialSubject.address", "credentialSubject.phoneNumbers[0]"];
    let token = sign(&document, Enveloping::SdJwt, &hidden, Some("key-1"), &key);
    let parsed = EnvelopedToken::parse(&token).unwrap();
    parsed.verify(&key.verification_key()).unwrap();
    assert_eq!(*parsed.document(), object(document.clone()));
    let mut parts: Vec<&str> = token.split('~').collect();
    let jws = parts.remove(0);
    assert_eq!(parts.len(), 4, "three disclosures, and nothing after the last tilde");
    let of = |disclosures: &[&str]| {
        EnvelopedToken::parse(&format!("{jws}~{}", disclosures.iter().map(|one| format!("{one}~")).collect::<String>()))
    };
    let bare = of(&[]).unwrap();
    assert_eq!(
        bare.document()["credentialSubject"],
        json!({"id": "did:example:s", "phoneNumbers": [{"number": "+2"}]})
    );
    for part in &parts[..3] {
        let alone = of(&[part]);
        // A disclosure within another one is referenced by it alone.
        assert!(alone.is_ok() || alone.unwrap_err().code == Code::DisclosureUnreferenced);
    }
    let disclosure = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    assert_eq!(code(of(&[&disclosure(json!(["salt", "name", 1]))])), Code::DisclosureUnreferenced);
    assert_eq!(code(of(&[&disclosure(json!(["salt", "_sd", 1]))])), Code::DisclosureName);
    assert_eq!(code(of(&[&disclosure(json!(["salt"]))])), Code::DisclosureMalformed);
    assert_eq!(code(of(&[parts[0], parts[0]])), Code::DisclosureDuplicate);
    assert_eq!(code(EnvelopedToken::parse(&format!("{token}e30.e30.e30"))), Code::KeyBindingUnexpected);
    let nowhere = sign_enveloped(
        &object(document),
        (Enveloping::SdJwt, &paths(&["credentialSubject.nothing"])),
        None,
        &key.signing_key(),
        &mut SeededRng(1),
    );
    assert_eq!(code(nowhere), Code::MalformedValue);
    for wrong in ["", ".a", "a[", "a[x]", "a[0", "[0]"] {
        assert_eq!(code(DisclosurePath::parse(wrong)), Code::MalformedValue, "{wrong}");
    }
}

#[test]
fn an_undisclosed_mandatory_claim_is_missing() {
    let key = key_of("P-384");
    let token = sign(&credential(), Enveloping::SdJwt, &["issuer", "credentialSubject.name"], Some("key-1"), &key);
    EnvelopedToken::parse(&token).unwrap();
    let bare = format!("{}~", token.split('~').next().unwrap());
    assert_eq!(code(EnvelopedToken::parse(&bare)), Code::MalformedValue);
}

/// Envelope by a did:key, in its `data:` URL.
fn by_did(party: &Party, document: Value, enveloping: Enveloping) -> Value {
    let document = object(document);
    let key = SigningKey::Core(&party.key);
    let token = sign_enveloped(&document, (enveloping, &[]), Some(&party.method), &key, &mut SeededRng(2)).unwrap();
    Value::Object(to_enveloped(&token).unwrap())
}

#[test]
fn enveloped_documents_are_verified_with_the_signers_key() {
    let usual = VerificationOptions::default();
    let verify =
        |document: &Value| in_env(&Lists::default(), |env| verify_credential(&object(document.clone()), env, &usual));
    for enveloping in [Enveloping::Jwt, Enveloping::SdJwt] {
        verify(&by_did(&issuer(), credential(), enveloping)).unwrap();
    }
    // Another's key.
    assert_eq!(code(verify(&by_did(&holder(), credential(), Enveloping::Jwt))), Code::MethodOfOther);
    let mut document = by_did(&issuer(), credential(), Enveloping::Jwt);
    let id = document["id"].as_str().unwrap().to_owned();
    document["id"] = json!(id.replace("vc+jwt", "vp+jwt"));
    assert_eq!(code(verify(&document)), Code::TokenType);
    document["id"] = json!(format!("{id}A"));
    assert!(verify(&document).is_err());
    document["id"] = json!(id.replace("application/vc+jwt", "text/plain"));
    assert_eq!(code(verify(&document)), Code::TokenType);
    let mut undefined = credential();
    undefined["undefinedTerm"] = json!(1);
    assert_eq!(code(verify(&by_did(&issuer(), undefined, Enveloping::Jwt))), Code::TermUndefined);

    let cose =
        sign_cose(&object(credential()), Some(&issuer().method), &SigningKey::Core(&issuer().key), &mut SeededRng(5))
            .unwrap();
    document["id"] = json!(format!("data:application/vc+cose;base64,{}", STANDARD_NO_PAD.encode(&cose)));
    verify(&document).unwrap();
    // VC-JOSE-COSE section 3.3.1: base64, and nothing else.
    document["id"] = json!(format!("data:application/vc+cose,{}", STANDARD_NO_PAD.encode(cose)));
    assert_eq!(code(verify(&document)), Code::TokenType);
}

#[test]
fn enveloped_presentations_hold_with_their_credentials() {
    let run = |document: &Value, options: &VerificationOptions<'_>| {
        in_env(&Lists::default(), |env| verify_presentation(&object(document.clone()), env, options))
    };
    let usual = VerificationOptions::default();
    let good = by_did(&issuer(), credential(), Enveloping::Jwt);
    let mut bound = presentation(std::slice::from_ref(&good));
    bound["nonce"] = json!("123456789");
    bound["aud"] = json!("example.com");
    let bound = by_did(&holder(), bound, Enveloping::Jwt);
    run(&bound, &usual).unwrap();
    let options = |challenge, domain| VerificationOptions { challenge, domain, ..usual };
    run(&bound, &options(Some("123456789"), Some("example.com"))).unwrap();
    assert_eq!(code(run(&bound, &options(Some("other"), None))), Code::ChallengeMismatch);
    assert_eq!(code(run(&bound, &options(None, Some("other.example")))), Code::DomainMismatch);
    let forged = by_did(&holder(), credential(), Enveloping::Jwt);
    assert_eq!(
        code(run(&by_did(&holder(), presentation(&[good, forged]), Enveloping::Jwt), &usual)),
        Code::MethodOfOther
    );
    // An enveloped credential in a presentation with an embedded proof.
    let embedded = presentation(&[by_did(&issuer(), credential(), Enveloping::SdJwt)]);
    let embedded = secured(embedded, &holder(), VerificationRelationship::Authentication);
    run(&embedded.into(), &usual).unwrap();
    // A credential is no presentation.
    let mut wrong = by_did(&issuer(), credential(), Enveloping::Jwt);
    wrong["type"] = json!("EnvelopedVerifiablePresentation");
    assert_eq!(code(run(&wrong, &usual)), Code::UnknownFormat);
}

#[test]
fn the_form_of_version_1_1_is_read_by_its_typ_alone() {
    let party = holder();
    let presented = presentation(&[by_did(&issuer(), credential(), Enveloping::Jwt)]);
    let key = SecretJwk::Core(SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[9; 32]).unwrap());
    let payload = json!({"iss": party.did, "aud": "example.com", "nonce": "1", "vp": presented});
    let wrap = |header: Value| {
        let id = format!("data:application/vp+jwt,{}", token(&header, &payload, &key));
        object(json!({"@context": CONTEXT_V2, "type": "EnvelopedVerifiablePresentation", "id": id}))
    };
    let run = |document: &Map<String, Value>| {
        in_env(&Lists::default(), |env| verify_presentation(document, env, &VerificationOptions::default()))
    };
    run(&wrap(json!({"alg": "EdDSA", "typ": "JWT", "kid": party.method}))).unwrap();
    assert!(run(&wrap(json!({"alg": "EdDSA", "typ": "vp+jwt", "kid": party.method}))).is_err());
    assert!(run(&wrap(json!({"alg": "EdDSA", "typ": "JWT", "kid": issuer().method}))).is_err());
}

#[test]
fn claims_of_a_jwt_stand_for_members_of_version_1_1() {
    let (key, party) = (key_of("Ed25519"), issuer());
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": party.method});
    let vc = json!({"@context": [CONTEXT_V1], "type": ["VerifiableCredential"],
        "credentialSubject": {"degree": "Bachelor of Science in Nursing"}});
    let claims = json!({"iss": party.did, "jti": "urn:example:credential", "sub": "urn:example:1", "nbf": 1_796_115_600,
        "exp": 1_827_651_600, "vc": vc});
    let read = EnvelopedToken::parse(&token(&header, &claims, &key)).unwrap();
    let document = read.document();
    for (member, value) in [
        ("issuer", party.did.as_str()),
        ("id", "urn:example:credential"),
        ("issuanceDate", "2026-12-01T09:00:00Z"),
        ("expirationDate", "2027-12-01T09:00:00Z"),
    ] {
        assert_eq!(document[member], value);
    }
    assert_eq!(document["credentialSubject"]["id"], "urn:example:1");
    // Without the claim that stands for the date, and with one that is no date, it is refused.
    let mut without = claims.clone();
    without.as_object_mut().unwrap().remove("nbf");
    assert_eq!(EnvelopedToken::parse(&token(&header, &without, &key)).unwrap_err().code, Code::ClaimMissing);
    let mut wrong = claims;
    wrong["nbf"] = json!("2026-12-01");
    assert_eq!(EnvelopedToken::parse(&token(&header, &wrong, &key)).unwrap_err().code, Code::MalformedValue);
}
