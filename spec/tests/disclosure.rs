//! The paths that the types call disclosable are those that SD-JWT hides and shows, in both forms.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use carnet_core::{
    keys::{Algorithm, SecretKey, Signer},
    query::values_at,
    secure::sd_jwt::{self, ClaimPath, IssueOptions, SdJwt},
    verify::TypeRules,
};
use carnet_spec::{Catalogue, CredentialType};
use rand_core::OsRng;
use serde_json::{Map, Value, json};

fn issued(payload: &Map<String, Value>, typ: &str, disclosable: &[ClaimPath]) -> SdJwt {
    let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
    let holder = SecretKey::generate(Algorithm::EdDsa, &mut OsRng).public_key();
    let options = IssueOptions {
        typ,
        kid: "did:web:issuer.example#1",
        disclosable,
        ordered: &[],
        holder: Some(&holder),
        decoys_to_multiple_of: 4,
    };
    SdJwt::parse(&sd_jwt::issue(payload, &options, &key, &mut OsRng).unwrap()).unwrap()
}

/// Both forms of a type's example: (typ, payload, disclosable paths).
fn forms(of: &CredentialType) -> [(&'static str, Map<String, Value>, Vec<ClaimPath>); 2] {
    let mut flat = of.example_claims();
    flat.insert("iss".to_owned(), json!("did:web:issuer.example"));
    flat.insert("vct".to_owned(), json!(of.vct));
    flat.insert("exp".to_owned(), json!(2_000_000_000));
    let document = of.example.as_object().unwrap().clone();
    [("vc+sd-jwt", document, of.disclosable.clone()), ("dc+sd-jwt", flat, of.disclosable_in_sd_jwt_vc())]
}

#[test]
fn nothing_but_what_security_needs_is_visible_in_a_copy() {
    let catalogue = Catalogue::embedded().unwrap();
    for known in catalogue.types() {
        for (typ, payload, disclosable) in forms(known) {
            let copy = issued(&payload, typ, &disclosable);
            let shown = copy.select(&[]).unwrap().disclosed().unwrap().payload;
            for path in &disclosable {
                assert!(values_at(&shown, path).is_empty(), "{typ} {path:?}");
            }
            catalogue.check(&known.name, &shown).unwrap();
            if typ == "vc+sd-jwt" {
                assert_eq!(shown["credentialSubject"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id"]);
            }
        }
    }
}

#[test]
fn each_claim_can_be_shown_alone_and_all_together() {
    let catalogue = Catalogue::embedded().unwrap();
    for known in catalogue.types() {
        for (typ, payload, disclosable) in forms(known) {
            let copy = issued(&payload, typ, &disclosable);
            let whole = copy.disclosed().unwrap().payload;
            catalogue.check(&known.name, &whole).unwrap();
            for path in &disclosable {
                for (concrete, value) in values_at(&whole, path) {
                    let shown = copy.select(std::slice::from_ref(&concrete)).unwrap().disclosed().unwrap().payload;
                    catalogue.check(&known.name, &shown).unwrap();
                    let found = values_at(&shown, path);
                    assert!(found.iter().any(|(_, shown)| kind(shown) == kind(value)), "{typ} {path:?}");
                }
            }
        }
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[test]
fn the_requests_are_met_by_the_examples_and_show_what_they_ask() {
    let catalogue = Catalogue::embedded().unwrap();
    for template in catalogue.templates() {
        for query in &template.query.credentials {
            let known = catalogue.credential_type(&query.type_values[0][0]).unwrap();
            let payload = known.example.as_object().unwrap();
            let candidate = carnet_core::query::Candidate { format: "vc+sd-jwt", payload, proved: &[] };
            let paths = query.paths_in(candidate).unwrap();
            let copy = issued(payload, "vc+sd-jwt", &known.disclosable).select(&paths).unwrap();
            assert_eq!(copy.disclosure_count(), query.claims.len());
            catalogue.check(&known.name, &copy.disclosed().unwrap().payload).unwrap();
        }
    }
}
