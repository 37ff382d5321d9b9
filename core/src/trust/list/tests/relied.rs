//! Questions about a credential.

use super::*;
use crate::{
    at_least::{Direction, OrderedValue},
    format::CredentialFormat,
    query::VerifiedThreshold,
    secure::sd_jwt::{ClaimPath, Step},
    verify::VerifiedCredential,
};

fn path(names: &[&str]) -> ClaimPath {
    names.iter().map(|name| Step::Name((*name).to_owned())).collect()
}

fn claims() -> LimitingClaims {
    LimitingClaims {
        country: vec![path(&["credentialSubject", "issuingCountry"]), path(&["credentialSubject", "residentIn"])],
        level: vec![path(&["credentialSubject", "eqfLevel"])],
    }
}

fn held(subject: Value, proved: &[(&[&str], u16)]) -> VerifiedCredential {
    let document = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential", QUALIFICATION],
        "issuer": UNI, "validFrom": "2026-03-01T00:00:00Z", "credentialSubject": subject,
    });
    let of = |(names, bound): &(&[&str], u16)| VerifiedThreshold {
        path: path(names),
        direction: Direction::AtLeast,
        bound: OrderedValue::from(*bound),
    };
    VerifiedCredential {
        credential: Credential::parse(document.as_object().unwrap().clone()).unwrap(),
        type_name: QUALIFICATION.to_owned(),
        disclosed_paths: Vec::new(),
        proved_thresholds: proved.iter().map(of).collect(),
        format: CredentialFormat::VcSdJwt,
    }
}

fn asked(subject: Value, proved: &[(&[&str], u16)]) -> (Option<String>, Option<u8>) {
    let question = AccreditationQuestion::for_credential(&held(subject, proved), &claims());
    assert_eq!((question.party_id.as_str(), question.act), (UNI, AccreditedAct::Issue(QUALIFICATION.to_owned())));
    assert_eq!(question.issued_at, Some(at("2026-03-01T00:00:00Z")));
    (question.jurisdiction, question.level)
}

#[test]
fn the_level_is_the_one_that_is_relied_on() {
    let level = |subject, proved: &[(&[&str], u16)]| asked(subject, proved).1;
    let embedded: &[&str] = &["credentialSubject", "eqfLevel"];
    assert_eq!(level(json!({"id": UNI}), &[]), None);
    assert_eq!(level(json!({"eqfLevel": 7}), &[]), Some(7));
    // Of a hidden value only its proved thresholds; a dc+sd-jwt has its claims at the top.
    assert_eq!(level(json!({"id": UNI}), &[(embedded, 6)]), Some(6));
    assert_eq!(level(json!({"id": UNI}), &[(&["eqfLevel"], 5)]), Some(5));
    assert_eq!(level(json!({"eqfLevel": 7}), &[(embedded, 6)]), Some(7), "the highest");
    assert_eq!(level(json!({"eqfLevel": 5}), &[(embedded, 6)]), Some(6), "the highest");
    assert_eq!(level(json!({"id": UNI}), &[(&["credentialSubject", "credits"], 6)]), None, "another claim");
    // A value that is no level is unknown, whatever its siblings are.
    for odd in [json!("7"), json!(-1), json!(7.5), json!(300), json!([7]), json!(null)] {
        assert_eq!(level(json!({"eqfLevel": odd}), &[(embedded, 6)]), None, "{odd}");
    }
    assert_eq!(level(json!({"id": UNI}), &[(embedded, 300)]), None);
}

#[test]
fn the_country_is_the_one_that_is_shown() {
    let country = |subject| asked(subject, &[]).0;
    assert_eq!(country(json!({"id": UNI})), None);
    assert_eq!(country(json!({"issuingCountry": "DE"})).as_deref(), Some("DE"));
    assert_eq!(country(json!({"residentIn": "DE"})).as_deref(), Some("DE"));
    assert_eq!(country(json!({"residentIn": "DE", "issuingCountry": "DE"})).as_deref(), Some("DE"));
    assert_eq!(country(json!({"residentIn": "DE", "issuingCountry": "FR"})), None);
    assert_eq!(country(json!({"issuingCountry": ["DE"]})), None);
    assert_eq!(country(json!([{"issuingCountry": "DE"}, {"issuingCountry": "DE"}])), None, "of two people");
}
