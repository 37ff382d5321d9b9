//! The rows of negative-cases that concern disclosures.

use super::*;

#[test]
fn row_49_a_digest_twice_is_refused() {
    let (a, b) = (json!(["s1", "a", 1]), json!(["s2", "b", 2]));
    let both = [a.clone(), b.clone()];
    let good = made(&json!({"_sd": [digest(&a), digest(&b)], "o": {}}), &both);
    assert_eq!(shown(&good).unwrap(), map(json!({"a": 1, "b": 2, "o": {}})));

    let in_one_array = made(&json!({"_sd": [digest(&a), digest(&b), digest(&a)], "o": {}}), &both);
    assert_eq!(refusal(&in_one_array), Code::DisclosureDuplicate);
    let in_two_objects = made(&json!({"_sd": [digest(&a), digest(&b)], "o": {"_sd": [digest(&b)]}}), &both);
    assert_eq!(refusal(&in_two_objects), Code::DisclosureDuplicate);
    let undisclosed =
        made(&json!({"_sd": [digest(&a), digest(&b)], "o": {"_sd": [digest(&b)]}}), std::slice::from_ref(&a));
    assert_eq!(refusal(&undisclosed), Code::DisclosureDuplicate);
    let in_an_array = made(&json!({"_sd": [digest(&a), digest(&b)], "o": [{"...": digest(&a)}]}), &both);
    assert!(matches!(refusal(&in_an_array), Code::DisclosureMalformed | Code::DisclosureDuplicate));
    let outer = json!(["s3", "c", {"_sd": [digest(&a)]}]);
    let through_another = made(&json!({"_sd": [digest(&a), digest(&outer)]}), &[a.clone(), outer]);
    assert_eq!(refusal(&through_another), Code::DisclosureDuplicate);
    let sent_twice = made(&json!({"_sd": [digest(&a), digest(&b)]}), &[a.clone(), b, a]);
    assert_eq!(refusal(&sent_twice), Code::DisclosureDuplicate);
}

#[test]
fn row_50_a_disclosure_that_nothing_references_is_refused() {
    let (a, b) = (json!(["s1", "a", 1]), json!(["s2", "b", 2]));
    let payload = json!({"_sd": [digest(&a)]});
    assert_eq!(shown(&made(&payload, std::slice::from_ref(&a))).unwrap(), map(json!({"a": 1})));
    assert_eq!(refusal(&made(&payload, &[a.clone(), b])), Code::DisclosureUnreferenced);
    // Referenced only by one that nothing references.
    let outer = json!(["s3", "c", {"_sd": [digest(&a)]}]);
    assert_eq!(refusal(&made(&json!({}), &[a, outer])), Code::DisclosureUnreferenced);
}

#[test]
fn row_51_a_reserved_name_is_refused() {
    let good = json!(["s1", "name", []]);
    assert!(shown(&made(&json!({"_sd": [digest(&good)]}), &[good])).is_ok());
    for name in ["_sd", "..."] {
        let bad = json!(["s1", name, []]);
        assert_eq!(refusal(&made(&json!({"_sd": [digest(&bad)]}), &[bad])), Code::DisclosureName);
    }
}

#[test]
fn row_52_a_disclosure_that_overrides_a_claim_is_refused() {
    let degree = json!(["s1", "degree", "PhD"]);
    let again = json!(["s2", "degree", "MSc"]);
    assert!(shown(&made(&json!({"_sd": [digest(&degree)]}), std::slice::from_ref(&degree))).is_ok());
    let over_the_clear = made(&json!({"_sd": [digest(&degree)], "degree": "BSc"}), std::slice::from_ref(&degree));
    assert_eq!(refusal(&over_the_clear), Code::DisclosureOverrides);
    let over_another = made(&json!({"_sd": [digest(&degree), digest(&again)]}), &[degree, again]);
    assert_eq!(refusal(&over_another), Code::DisclosureOverrides);
}

#[test]
fn row_53_a_wrong_element_count_is_refused() {
    let in_object = |disclosure: Value| refusal_of(json!({"_sd": [digest(&disclosure)]}), disclosure);
    let in_array = |disclosure: Value| refusal_of(json!({"a": [{"...": digest(&disclosure)}]}), disclosure);
    fn refusal_of(payload: Value, disclosure: Value) -> Option<Code> {
        shown(&made(&payload, &[disclosure])).err().map(|problem| problem.code)
    }
    assert_eq!(in_object(json!(["s", "a", 1])), None);
    assert_eq!(in_array(json!(["s", 1])), None);
    let malformed = Some(Code::DisclosureMalformed);
    for bad in [
        json!([]),
        json!(["s"]),
        json!(["s", "a", 1, 2]),
        json!("s"),
        json!({}),
        json!([1, "a", 1]),
        json!(["s", 1, 1]),
    ] {
        assert_eq!(in_object(bad.clone()), malformed, "{bad}");
        assert_eq!(in_array(bad.clone()), malformed, "{bad}");
    }
    // The right count, at the wrong place.
    assert_eq!(in_object(json!(["s", 1])), malformed);
    assert_eq!(in_array(json!(["s", "a", 1])), malformed);
    // No disclosure at all, between two tildes.
    let good = made(&json!({}), &[]);
    assert!(shown(&good).is_ok());
    assert_eq!(refusal(&format!("{good}~")), Code::DisclosureMalformed);
}

#[test]
fn row_54_an_unknown_digest_algorithm_is_refused() {
    let a = json!(["s", "a", 1]);
    let with = |more: Value| {
        let mut payload = json!({"_sd": [digest(&a)]});
        payload.as_object_mut().unwrap().extend(map(more));
        made(&payload, std::slice::from_ref(&a))
    };
    for good in [json!({}), json!({"_sd_alg": "sha-256"})] {
        assert_eq!(shown(&with(good)).unwrap(), map(json!({"a": 1})));
    }
    for bad in [json!("sha-512"), json!("SHA-256"), json!("md5"), json!(null), json!(["sha-256"])] {
        assert_eq!(refusal(&with(json!({"_sd_alg": bad}))), Code::DigestAlgorithm);
    }
    assert_eq!(refusal(&with(json!({"o": {"_sd_alg": "sha-256"}}))), Code::DigestAlgorithm);
}

#[test]
fn row_55_what_security_needs_is_never_hidden() {
    let hidden = |typ: &str, name: &str| {
        let disclosure = json!(["s", name, {}]);
        let compact = made_as(typ, &json!({"_sd": [digest(&disclosure)]}), &[disclosure]);
        shown(&compact).err().map(|problem| problem.code)
    };
    let forbidden = Some(Code::DisclosureForbidden);
    for typ in ["vc+sd-jwt", "dc+sd-jwt"] {
        assert_eq!(hidden(typ, "givenName"), None);
        assert_eq!(issue_refusal(json!({"givenName": 1}), &[json!(["givenName"])], typ), None);
        for name in NEVER_DISCLOSABLE.into_iter().chain(["sub"]) {
            assert_eq!(hidden(typ, name), forbidden, "{typ} {name}");
            assert_eq!(issue_refusal(json!({}), &[json!([name])], typ), forbidden, "{typ} {name}");
        }
    }
    for name in NEVER_DISCLOSABLE_VCDM.into_iter().chain(["credentialSubject", "id", "proof"]) {
        assert_eq!(hidden("vc+sd-jwt", name), forbidden, "{name}");
        assert_eq!(issue_refusal(json!({}), &[json!([name])], "vc+sd-jwt"), forbidden, "{name}");
        // There the claims of the subject are at the top, and this is one like any other.
        assert_eq!(hidden("dc+sd-jwt", name), None, "{name}");
    }
    // Nor below: a type that is there for some and not for others, a key without its coordinates.
    for below in [
        json!(["type", 1]),
        json!(["type", null]),
        json!(["cnf", "jwk"]),
        json!(["issuer", "id"]),
        json!(["credentialSubject", "id"]),
        json!(["credentialSubject", 0]),
        json!(["credentialSubject", null, "id"]),
    ] {
        assert_eq!(issue_refusal(json!({}), std::slice::from_ref(&below), "vc+sd-jwt"), forbidden, "{below}");
    }
    let id = json!(["s", "id", "did:jwk:abc"]);
    let compact = made(&json!({"credentialSubject": {"_sd": [digest(&id)]}}), &[id]);
    assert_eq!(refusal(&compact), Code::DisclosureForbidden);
    let element = json!(["s", "QualificationCredential"]);
    let compact = made(&json!({"type": ["VerifiableCredential", {"...": digest(&element)}]}), &[element]);
    assert_eq!(refusal(&compact), Code::DisclosureForbidden);
}

#[test]
fn row_56_an_issuer_that_sends_a_key_binding_is_refused() {
    let token = issued(0);
    token.require_no_key_binding().unwrap();
    let bound = SdJwt::parse(&token.bind_key("nonce", AUDIENCE, NOW, &holder()).unwrap()).unwrap();
    assert_eq!(bound.require_no_key_binding().unwrap_err().code, Code::KeyBindingUnexpected);
}

#[test]
fn digests_of_a_wrong_type_or_at_a_wrong_place_are_refused() {
    assert!(shown(&made(&json!({"_sd": [], "a": [{"...": "x"}]}), &[])).is_ok());
    for payload in [
        json!({"_sd": "x"}),
        json!({"_sd": {}}),
        json!({"_sd": [1]}),
        json!({"_sd": [["x"]]}),
        json!({"a": {"_sd": null}}),
        json!({"...": "x"}),
        json!({"a": {"...": "x"}}),
        json!({"a": [{"...": 1}]}),
        json!({"a": [{"...": "x", "b": 1}]}),
        json!({"a": [[{"...": {}}]]}),
    ] {
        assert_eq!(refusal(&made(&payload, &[])), Code::DisclosureMalformed, "{payload}");
    }
}

#[test]
fn the_compact_form_is_strict() {
    let a = json!(["s", "a", 1]);
    let good = made(&json!({"_sd": [digest(&a)]}), &[a]);
    assert!(shown(&good).is_ok());
    let without_tilde = good.trim_end_matches('~');
    // The part after the last tilde is a key binding, and a disclosure is none.
    assert_eq!(refusal(without_tilde), Code::TokenMalformed);
    assert_eq!(refusal(without_tilde.split('~').next().unwrap()), Code::TokenMalformed);
    assert_eq!(refusal(&format!("~{good}")), Code::TokenMalformed);
    assert_eq!(refusal(&good.replacen('~', "~~", 1)), Code::DisclosureMalformed);
    assert_eq!(refusal(&good.replacen('~', "~=", 1)), Code::InvalidEncoding);
    assert_eq!(refusal(&"~".repeat(2_000_000)), Code::TooLarge);
    assert_eq!(refusal("{}"), Code::TokenMalformed);
}

#[test]
fn disclosures_are_hashed_as_they_came() {
    // The same array, written with a space: another text, another digest.
    let spaced = URL_SAFE_NO_PAD.encode(r#"["s", "a", 1]"#);
    let of_spaced = URL_SAFE_NO_PAD.encode(Sha256::digest(&spaced));
    let token = made(&json!({"_sd": [of_spaced]}), &[]);
    assert_eq!(shown(&format!("{token}{spaced}~")).unwrap(), map(json!({"a": 1})));
    assert_eq!(refusal(&format!("{token}{}~", written(&json!(["s", "a", 1])))), Code::DisclosureUnreferenced);
}
