//! The disclosable paths of the types are those that SD-JWT hides and shows, in both formats, and the ordered ones
//! prove thresholds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may fail by panicking"
)]

use carnet_core::{
    Code,
    at_least::{self, Direction},
    format::CredentialFormat,
    keys::{SecretKey, SignatureAlgorithm, Signer},
    query::{QueryCandidate, Threshold, values_at},
    secure::sd_jwt::{self, ClaimPath, IssueOptions, OrderedClaim, SdJwt, Step},
    time::Timestamp,
    verify::TypeCatalogue,
};
use carnet_spec::{Catalogue, CredentialType};
use rand_core::OsRng;
use serde_json::{Map, Value, json};

/// A type's example in one of its formats, with its options for issuance.
struct Form {
    format: CredentialFormat,
    payload: Map<String, Value>,
    disclosable: Vec<ClaimPath>,
    ordered: Vec<OrderedClaim>,
}

fn issued(form: &Form) -> SdJwt {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let holder = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng).public_key();
    let options = IssueOptions {
        typ: form.format.as_str(),
        kid: "did:web:issuer.example#1",
        disclosable: &form.disclosable,
        ordered_claims: &form.ordered,
        holder_key: Some(&holder),
        decoys_to_multiple_of: 4,
        padded_arrays: &[],
    };
    SdJwt::parse(&sd_jwt::issue(&form.payload, &options, &key, &mut OsRng).unwrap()).unwrap()
}

/// Both forms of a type's example.
fn forms(of: &CredentialType) -> [Form; 2] {
    let mut flat = of.example_claims();
    flat.insert("iss".to_owned(), json!("did:web:issuer.example"));
    flat.insert("vct".to_owned(), json!(of.vct));
    flat.insert("exp".to_owned(), json!(2_000_000_000));
    [
        Form {
            format: CredentialFormat::VcSdJwt,
            payload: of.example.as_object().unwrap().clone(),
            disclosable: of.disclosable_claims.clone(),
            ordered: of.ordered_claims.clone(),
        },
        Form {
            format: CredentialFormat::DcSdJwt,
            payload: flat,
            disclosable: of.disclosable_in_sd_jwt_vc(),
            ordered: of.ordered_in_sd_jwt_vc(),
        },
    ]
}

#[test]
fn nothing_but_what_security_needs_is_visible_in_a_copy() {
    let catalogue = Catalogue::embedded().unwrap();
    for known in catalogue.types() {
        for form in forms(known) {
            let shown = issued(&form).select_claims(&[]).unwrap().resolve_disclosures().unwrap().payload;
            for path in &form.disclosable {
                assert!(values_at(&shown, path).is_empty(), "{} {path:?}", form.format);
            }
            catalogue.check_schema(&known.name, &shown).unwrap();
            if form.format == CredentialFormat::VcSdJwt {
                for (name, value) in shown["credentialSubject"].as_object().unwrap() {
                    assert!(name == "id" || known.is_commitments(name) && *value == json!([]), "{name}");
                }
            }
        }
    }
}

#[test]
fn each_claim_can_be_shown_alone_and_all_together() {
    let catalogue = Catalogue::embedded().unwrap();
    for known in catalogue.types() {
        for form in forms(known) {
            let copy = issued(&form);
            let whole = copy.resolve_disclosures().unwrap().payload;
            catalogue.check_schema(&known.name, &whole).unwrap();
            for path in &form.disclosable {
                for (concrete, value) in values_at(&whole, path) {
                    let shown = copy
                        .select_claims(std::slice::from_ref(&concrete))
                        .unwrap()
                        .resolve_disclosures()
                        .unwrap()
                        .payload;
                    catalogue.check_schema(&known.name, &shown).unwrap();
                    let found = values_at(&shown, path);
                    assert!(found.iter().any(|(_, shown)| kind(shown) == kind(value)), "{} {path:?}", form.format);
                }
            }
        }
    }
}

#[test]
fn every_ordered_claim_proves_its_thresholds_and_what_is_shown_for_them_fits_the_type() {
    let catalogue = Catalogue::embedded().unwrap();
    let mut proved = 0;
    for known in catalogue.types() {
        for form in forms(known) {
            let copy = issued(&form);
            let found = copy.verify_commitments(&form.ordered).unwrap();
            assert_eq!(found.len(), form.ordered.len(), "the example has a value for every ordered claim");
            for positions in &found {
                let claim = &positions.claim;
                let value = values_at(&form.payload, &claim.path)[0].1;
                // The bound for an instant is a date.
                let bound = value.as_str().map_or(value.clone(), |text| text.split('T').next().unwrap().into());
                let threshold = Threshold::new(claim.direction, bound.clone()).unwrap();
                assert!(known.can_prove_threshold(&own_name(&claim.path), &threshold), "{:?}", claim.path);
                let (element, proof) = copy.prove_threshold(positions, &threshold).unwrap();
                let shown = copy.select_claims(std::slice::from_ref(&element)).unwrap();
                assert_eq!(shown.disclosure_count(), 1);
                let shown = shown.resolve_disclosures().unwrap().payload;
                catalogue.check_schema(&known.name, &shown).unwrap();
                assert!(values_at(&shown, &claim.path).is_empty(), "the value stays hidden");
                let commitment = values_at(&shown, &element[..element.len() - 1])[0].1[0].as_str().unwrap().parse();
                at_least::verify_threshold(claim.direction, proof.threshold, &commitment.unwrap(), &proof.witness)
                    .unwrap();
                proved += 1;

                let beyond = Threshold::new(claim.direction, beyond(claim.direction, &bound)).unwrap();
                assert_eq!(copy.prove_threshold(positions, &beyond).unwrap_err().code, Code::ThresholdUnmet);
            }
        }
    }
    assert_eq!(proved, 2 * 27);
}

/// A bound that a value at `bound` misses.
fn beyond(direction: Direction, bound: &Value) -> Value {
    match (direction, bound) {
        (Direction::AtLeast, Value::String(text)) if text.contains('-') => json!("2079-06-06"),
        (Direction::AtLeast, Value::String(_)) => json!("C2"),
        (Direction::AtLeast, _) => json!(65_535),
        (Direction::AtMost, _) => json!("1900-01-01"),
    }
}

fn own_name(path: &[Step]) -> String {
    match path.last() {
        Some(Step::Name(name)) => name.clone(),
        _ => panic!("an ordered claim ends in a name"),
    }
}

#[test]
fn commitments_of_other_shapes_break_the_schema() {
    let catalogue = Catalogue::embedded().unwrap();
    let permit = catalogue.credential_type("ResidencePermitCredential").unwrap();
    let with = |commitments: Value| {
        let mut document = permit.example.as_object().unwrap().clone();
        document["credentialSubject"]["validUntilAtLeast"] = commitments;
        catalogue.check_schema(&permit.name, &document)
    };
    let one = |letter: &str| letter.repeat(43);
    with(json!([])).unwrap();
    with(json!([one("A"), one("B"), one("-"), one("_")])).unwrap();
    for bad in [
        json!("x"),
        json!([7]),
        json!(["A".repeat(42)]),
        json!(["A".repeat(44)]),
        json!([format!("{}=", "A".repeat(42))]),
        json!([one("A"), one("A")]),
        json!([one("A"), one("B"), one("C"), one("D"), one("E")]),
    ] {
        assert_eq!(with(bad.clone()).unwrap_err().code, Code::SchemaViolation, "{bad}");
    }
    // Staff cannot offer them: the issuer makes them from the salt.
    let mut claims = permit.example_claims();
    permit.validate_claims(&claims).unwrap();
    claims.insert("validUntilAtLeast".to_owned(), json!([]));
    assert_eq!(permit.validate_claims(&claims).unwrap_err().code, Code::SchemaViolation);
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
    let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
    for template in catalogue.templates() {
        for query in &template.query_at(now).unwrap().0.credentials {
            let known = catalogue.credential_type(&query.type_values[0][0]).unwrap();
            let [form, _] = forms(known);
            let mut copy = issued(&form);
            let mut payload = form.payload.clone();
            // A wallet has one serial to show.
            if let Some(serials) = &known.serials {
                copy = copy.select_element(&serials.array_path(form.format), Some(0)).unwrap();
                payload = copy.resolve_disclosures().unwrap().payload;
            }
            let candidate = QueryCandidate { format: form.format, payload: &payload, thresholds: &[] };
            let mut paths = query.matching_paths(candidate).unwrap();
            let positions = copy.verify_commitments(&form.ordered).unwrap();
            for claim in &query.claims {
                let Some(threshold) = &claim.threshold else { continue };
                let positions = positions
                    .iter()
                    .find(|at| at.claim.path == claim.path && at.claim.direction == threshold.direction());
                let (element, _) = copy.prove_threshold(positions.unwrap(), threshold).unwrap();
                paths.retain(|path| *path != claim.path);
                paths.push(element);
            }
            let copy = copy.select_claims(&paths).unwrap();
            // Of the first claim set each claim; of one within an array also the array, and the element around it.
            let is_first = |id: &Option<String>| {
                query.claim_sets.first().is_none_or(|set| id.as_ref().is_some_and(|id| set.contains(id)))
            };
            let asked = query.claims.iter().filter(|claim| is_first(&claim.id));
            let disclosures = asked.map(|claim| {
                let within = claim.path.iter().position(|step| *step == Step::All);
                within.map_or(1, |at| 1 + values_at(&payload, &claim.path).len() * (claim.path.len() - at))
            });
            assert_eq!(copy.disclosure_count(), disclosures.sum::<usize>());
            catalogue.check_schema(&known.name, &copy.resolve_disclosures().unwrap().payload).unwrap();
        }
    }
}
