//! Cost of the least-disclosure plan for a wallet of 200 credentials, each with a copy that the verifier has seen and
//! a fresh one. Prints milliseconds; the only bound is the 5 ms that a person does not notice.

// A benchmark ends where something does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

use std::{hint::black_box, time::Instant};

use carnet_core::{
    format::CredentialFormat,
    query::{
        Query, QueryCandidate,
        plan::{AvailableCopy, CopyExposure, DisclosureWeights, Sensitivity, SensitivityClasses},
    },
    secure::sd_jwt::Step,
};
use serde_json::{Map, Value, json};

const CREDENTIALS: usize = 200;
const ROUNDS: usize = 50;

struct Flat;
impl SensitivityClasses for Flat {
    fn sensitivity(&self, _: &AvailableCopy<'_>, path: &[Step]) -> Sensitivity {
        match path.last() {
            Some(Step::Name(name)) if name == "rightToWork" => Sensitivity::Computed,
            Some(Step::Name(name)) if name == "residentIn" => Sensitivity::WidelyShared,
            Some(Step::Name(name)) if name == "documentNumber" => Sensitivity::Identifying,
            _ => Sensitivity::Ordinary,
        }
    }
}

/// A permit, a degree or a certificate; of each kind some lack some claims, so that they are not all alike.
fn payload(index: usize) -> Map<String, Value> {
    let kind = ["Permit", "Degree", "Certificate"][index % 3];
    let mut claims = json!({
        "givenName": "Amina", "familyName": format!("Haddad {index}"), "rightToWork": index.is_multiple_of(2), "residentIn": "PT",
        "documentNumber": format!("YZ{index}"), "validUntil": "2027-03-14", "title": "BSc", "eqfLevel": index % 8,
        "outcomes": (0..index % 7).map(|outcome| json!({"title": outcome})).collect::<Vec<_>>(),
    });
    let names = ["residentIn", "documentNumber", "eqfLevel", "title"];
    for (bit, name) in names.iter().enumerate() {
        if index >> bit & 1 == 1 {
            claims.as_object_mut().unwrap().remove(*name);
        }
    }
    let document = json!({"type": ["VerifiableCredential", kind], "credentialSubject": claims});
    document.as_object().unwrap().clone()
}

/// A permit by one of three claim sets, a degree or two certificates, and a second question to the permit.
fn query() -> Query {
    let claim = |id: &str| json!({"id": id, "path": ["credentialSubject", id]});
    let credential = |id: &str, kind: &str, claims: Value, sets: Value| json!({"id": id, "format": "vc+sd-jwt", "meta": {"type_values": [[kind]]}, "claims": claims, "claim_sets": sets});
    let permit = json!([claim("documentNumber"), claim("rightToWork"), claim("validUntil"), claim("residentIn")]);
    let sets = json!([["documentNumber"], ["rightToWork", "validUntil"], ["residentIn", "validUntil"]]);
    let degree =
        json!([claim("title"), claim("eqfLevel"), {"id": "all", "path": ["credentialSubject", "outcomes", null]}]);
    let degree_sets = json!([["title", "eqfLevel", "all"], ["title"]]);
    Query::parse(&json!({
        "credentials": [
            credential("residence", "Permit", permit.clone(), sets),
            credential("degree", "Degree", degree.clone(), degree_sets.clone()),
            credential("first", "Certificate", degree.clone(), degree_sets.clone()),
            credential("second", "Certificate", degree, degree_sets),
            credential("name", "Permit", permit, json!([["documentNumber"], ["residentIn"]])),
        ],
        "credential_sets": [
            {"options": [["residence"]]},
            {"options": [["degree"], ["first", "second"]]},
            {"options": [["name"], ["residence"]]},
        ],
    }))
    .unwrap()
}

fn main() {
    let payloads: Vec<Map<String, Value>> = (0..CREDENTIALS).map(payload).collect();
    let holdings: Vec<AvailableCopy<'_>> = payloads
        .iter()
        .enumerate()
        .flat_map(|(document, payload)| {
            let candidate = QueryCandidate { format: CredentialFormat::VcSdJwt, payload, thresholds: &[] };
            [CopyExposure::SameVerifier, CopyExposure::NoVerifier].map(|exposure| AvailableCopy {
                document,
                candidate,
                provable_claims: &[],
                clear_claims: &[],
                exposure,
                seen_by_verifier: document.is_multiple_of(5),
                refused_before: false,
            })
        })
        .collect();
    let weights = DisclosureWeights {
        computed: 1,
        threshold: 5,
        coarse: 10,
        value: 30,
        fine: 100,
        document: 80,
        new_document: 20,
        unused_copy: 2,
        shared_copy: 100_000,
    };
    let query = query();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(query.plan(black_box(&holdings), &Flat, &weights).unwrap());
            start.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("plan: {CREDENTIALS} credentials, {} copies, five credential queries in three sets", holdings.len());
    println!("plan-200-credentials median {:.2} ms, worst {:.2} ms", times[ROUNDS / 2], times[ROUNDS - 1]);
}
