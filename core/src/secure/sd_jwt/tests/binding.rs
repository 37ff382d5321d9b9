//! The rows of negative-cases that concern key binding.

use super::*;
use crate::secure::jose;

const NONCE: &str = "n-0S6_WzA2Mj";

fn expected() -> KeyBindingRequirements<'static> {
    KeyBindingRequirements { nonce: NONCE, audience: AUDIENCE, now: NOW, max_age: 300, skew: 60 }
}

fn check(compact: &str, expected: &KeyBindingRequirements<'_>) -> Result<Map<String, Value>, Problem> {
    let token = SdJwt::parse(compact)?;
    token.verify_signature(&issuer().public_key())?;
    token.resolve_disclosures()?;
    token.verify_key_binding(expected)
}

fn refused(compact: &str) -> Code {
    check(compact, &expected()).unwrap_err().code
}

/// A presentation as it should be.
fn bound() -> String {
    let shown = issued(4).select_claims(&[path(json!(["credentialSubject", "address"]))]).unwrap();
    shown.bind_key(NONCE, AUDIENCE, NOW, &holder()).unwrap()
}

/// A presentation with any key binding and any signer; `null` removes a claim.
fn bound_with(header: Value, payload: Value, signer: &SecretKey) -> String {
    let good = bound();
    let token = SdJwt::parse(&good).unwrap();
    let mut claims = token.key_binding().unwrap().payload().clone();
    claims.extend(map(payload));
    claims.retain(|_, value| !value.is_null());
    let mut compact = token.text.clone();
    compact.push_str(&jose::sign(map(header), &claims, signer).unwrap());
    compact
}

/// [`bound_with`] a number that no writer of canonical JSON takes.
fn bound_with_iat(iat: i64) -> String {
    let good = bound_with(json!({"typ": "kb+jwt"}), json!({"iat": 7_777_777}), &holder());
    let (shown, binding) = good.rsplit_once('~').unwrap();
    let parts: Vec<&str> = binding.split('.').collect();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let payload = URL_SAFE_NO_PAD.encode(payload.replace("7777777", &iat.to_string()));
    let signed = jose::append_signature(format!("{}.{payload}", parts[0]), &holder()).unwrap();
    format!("{shown}~{signed}")
}

fn refused_with(payload: Value) -> Code {
    refused(&bound_with(json!({"typ": "kb+jwt"}), payload, &holder()))
}

/// Proves that the hand-made binding is accepted without the fault.
fn twin() {
    check(&bound_with(json!({"typ": "kb+jwt"}), json!({}), &holder()), &expected()).unwrap();
}

#[test]
fn a_presentation_holds() {
    let payload = check(&bound(), &expected()).unwrap();
    assert_eq!(payload["nonce"], NONCE);
    assert_eq!(payload.keys().collect::<Vec<_>>(), ["aud", "iat", "nonce", "sd_hash"]);
    twin();
}

#[test]
fn row_05_a_key_binding_of_another_type_is_refused() {
    twin();
    for header in
        [json!({}), json!({"typ": "vc+sd-jwt"}), json!({"typ": "openid4vci-proof+jwt"}), json!({"typ": "KB+JWT"})]
    {
        assert_eq!(refused(&bound_with(header, json!({}), &holder())), Code::TokenType);
    }
}

#[test]
fn row_42_a_nonce_that_was_not_given_out_is_refused() {
    twin();
    assert_eq!(refused_with(json!({"nonce": "another"})), Code::ChallengeMismatch);
    assert_eq!(refused_with(json!({"nonce": [NONCE]})), Code::ChallengeMismatch);
    assert_eq!(refused_with(json!({"nonce": null})), Code::ChallengeMissing);
}

#[test]
fn row_43_a_nonce_of_another_session_is_refused() {
    check(&bound(), &expected()).unwrap();
    let elsewhere = KeyBindingRequirements { nonce: "of-another-session", ..expected() };
    assert_eq!(check(&bound(), &elsewhere).unwrap_err().code, Code::ChallengeMismatch);
    // A verifier that expects nothing is satisfied by nothing.
    let careless = KeyBindingRequirements { nonce: "", ..expected() };
    let nothing = bound_with(json!({"typ": "kb+jwt"}), json!({"nonce": ""}), &holder());
    assert_eq!(check(&nothing, &careless).unwrap_err().code, Code::ChallengeMissing);
}

#[test]
fn row_44_an_audience_without_its_prefix_is_refused() {
    twin();
    assert_eq!(refused_with(json!({"aud": "did:web:agency.example"})), Code::DomainMismatch);
    assert_eq!(refused_with(json!({"aud": [AUDIENCE]})), Code::DomainMismatch);
    assert_eq!(refused_with(json!({"aud": null})), Code::DomainMissing);
    let careless = KeyBindingRequirements { audience: "", ..expected() };
    assert_eq!(check(&bound(), &careless).unwrap_err().code, Code::DomainMissing);
}

#[test]
fn row_45_a_stripped_key_binding_is_refused() {
    let good = bound();
    check(&good, &expected()).unwrap();
    let stripped = &good[..=good.rfind('~').unwrap()];
    assert_eq!(refused(stripped), Code::KeyBindingMissing);
}

#[test]
fn row_46_a_key_binding_by_another_key_is_refused() {
    twin();
    let thief = key(3);
    assert_eq!(refused(&bound_with(json!({"typ": "kb+jwt"}), json!({}), &thief)), Code::KeyBindingKey);
    // Naming its own key does not help.
    let named = json!({"typ": "kb+jwt", "jwk": thief.public_key().to_jwk()});
    assert_eq!(refused(&bound_with(named, json!({}), &thief)), Code::KeyBindingKey);
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[2; 32]).unwrap();
    assert_eq!(refused(&bound_with(json!({"typ": "kb+jwt"}), json!({}), &p256)), Code::KeyBindingKey);
    assert_eq!(issued(0).bind_key(NONCE, AUDIENCE, NOW, &thief).unwrap_err().code, Code::KeyBindingKey);
    // The holder's own key may be named; it does not count.
    let harmless = json!({"typ": "kb+jwt", "jwk": thief.public_key().to_jwk()});
    check(&bound_with(harmless, json!({}), &holder()), &expected()).unwrap();
    let twice = json!({"typ": "kb+jwt", "kid": "a", "jwk": holder().public_key().to_jwk()});
    assert_eq!(refused(&bound_with(twice, json!({}), &holder())), Code::HeaderKeyAmbiguous);
    // A credential that is bound to no key cannot be presented.
    let bearer = SdJwt::parse(&made(&json!({}), &[])).unwrap();
    assert_eq!(bearer.holder_key().unwrap(), None);
    assert_eq!(bearer.bind_key(NONCE, AUDIENCE, NOW, &thief).unwrap_err().code, Code::KeyBindingKey);
}

#[test]
fn row_47_disclosures_changed_after_binding_are_refused() {
    let good = bound();
    check(&good, &expected()).unwrap();
    let parts: Vec<&str> = good.split('~').collect();
    // The city is one of three disclosures, and nothing else depends on it.
    let removed = (1..parts.len() - 1).filter_map(|at| {
        let mut fewer = parts.clone();
        fewer.remove(at);
        check(&fewer.join("~"), &expected()).err()
    });
    let codes: Vec<_> = removed.map(|problem| problem.code).collect();
    assert_eq!(codes.len(), 3);
    assert!(codes.contains(&Code::KeyBindingHash), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, Code::KeyBindingHash | Code::DisclosureUnreferenced)));

    let whole = issued(4).to_string();
    let another = whole.split('~').skip(1).find(|text| !text.is_empty() && !parts.contains(text)).unwrap();
    let token = issued(4);
    let name = token.select_claims(&[path(json!(["credentialSubject", "givenName"]))]).unwrap().to_string();
    let name = name.split('~').nth(1).unwrap();
    assert!(!parts.contains(&name) && !another.is_empty());
    let mut more = parts.clone();
    more.insert(1, name);
    assert_eq!(refused(&more.join("~")), Code::KeyBindingHash);

    let mut swapped = parts;
    swapped.swap(1, 2);
    assert_eq!(refused(&swapped.join("~")), Code::KeyBindingHash);
    assert_eq!(refused_with(json!({"sd_hash": null})), Code::ClaimMissing);
    assert_eq!(refused_with(json!({"sd_hash": 1})), Code::KeyBindingHash);
}

#[test]
fn row_48_a_stale_key_binding_is_refused() {
    twin();
    let at = |offset: i64| {
        check(&bound(), &KeyBindingRequirements { now: NOW.plus(offset), ..expected() }).err().map(|p| p.code)
    };
    assert_eq!(at(0), None);
    assert_eq!(at(300), None);
    assert_eq!(at(301), Some(Code::KeyBindingStale));
    assert_eq!(at(-60), None);
    assert_eq!(at(-61), Some(Code::KeyBindingStale));
    assert_eq!(refused_with(json!({"iat": null})), Code::ClaimMissing);
    assert_eq!(refused_with(json!({"iat": "1800000000"})), Code::MalformedValue);
    assert_eq!(refused_with(json!({"iat": -9_007_199_254_740_991_i64})), Code::KeyBindingStale);
    check(&bound_with_iat(NOW.unix()), &expected()).unwrap();
    // With a fraction, as a clock of another party gives it.
    let fraction = |offset: f64| json!({"iat": NOW.unix() as f64 + offset});
    for good in [0.234, -0.5, -299.5, 60.5] {
        check(&bound_with(json!({"typ": "kb+jwt"}), fraction(good), &holder()), &expected()).unwrap();
    }
    for stale in [-300.5, 61.5] {
        assert_eq!(refused_with(fraction(stale)), Code::KeyBindingStale, "{stale}");
    }
    assert_eq!(refused_with(json!({"iat": 1e300})), Code::MalformedValue);
    assert_eq!(refused_with(json!({"exp": NOW.unix() as f64 - 60.5})), Code::Expired);
    assert_eq!(refused_with(json!({"nbf": NOW.unix() as f64 + 61.5})), Code::NotYetValid);
    assert_eq!(refused(&bound_with_iat(i64::MIN)), Code::NumberRange);
    assert_eq!(refused_with(json!({"exp": NOW.unix() - 61})), Code::Expired);
    assert_eq!(refused_with(json!({"nbf": NOW.unix() + 61})), Code::NotYetValid);
    check(&bound_with(json!({"typ": "kb+jwt"}), json!({"exp": NOW.unix(), "nbf": NOW.unix()}), &holder()), &expected())
        .unwrap();
}

#[test]
fn binding_twice_or_to_nothing_is_refused() {
    let token = SdJwt::parse(&bound()).unwrap();
    assert!(token.has_key_binding());
    assert_eq!(token.bind_key(NONCE, AUDIENCE, NOW, &holder()).unwrap_err().code, Code::KeyBindingUnexpected);
    assert_eq!(issued(0).bind_key("", AUDIENCE, NOW, &holder()).unwrap_err().code, Code::ChallengeMissing);
    assert_eq!(issued(0).bind_key(NONCE, "", NOW, &holder()).unwrap_err().code, Code::DomainMissing);
    // Selecting drops the binding, since it would be over other disclosures.
    assert!(!token.select_claims(&[]).unwrap().has_key_binding());
}

#[test]
fn a_private_key_in_cnf_is_refused() {
    let mut jwk = holder().public_key().to_jwk();
    jwk.insert("d".to_owned(), json!("AAAA"));
    let token = SdJwt::parse(&made(&json!({"cnf": {"jwk": jwk}}), &[])).unwrap();
    assert_eq!(token.holder_key().unwrap_err().code, Code::PrivateKeyExposed);
    let token = SdJwt::parse(&made(&json!({"cnf": {"kid": "a"}}), &[])).unwrap();
    assert_eq!(token.holder_key().unwrap_err().code, Code::ClaimMissing);
}
