//! Queries that ask for more than one bound, each with a twin that asks for one.

use serde_json::{Value, json};

use super::*;

fn at_least(id: &str, path: &Value, bound: &Value) -> Value {
    json!({"id": id, "path": path, "carnet_at_least": bound})
}

fn until(id: &str, bound: &str) -> Value {
    at_least(id, &json!(["credentialSubject", "until"]), &json!(bound))
}

fn permit(id: &str, types: Value, claims: Value) -> Value {
    json!({"id": id, "format": "vc+sd-jwt", "meta": {"type_values": types}, "claims": claims})
}

fn vct(id: &str, vcts: Value, claims: Value) -> Value {
    json!({"id": id, "format": "dc+sd-jwt", "meta": {"vct_values": vcts}, "claims": claims})
}

fn read(credentials: Value) -> Result<Query, Code> {
    Query::parse(&json!({"credentials": credentials})).map_err(|problem| problem.code)
}

fn refused(credentials: Value) {
    assert_eq!(read(credentials.clone()), Err(Code::QueryMalformed), "{credentials}");
}

fn accepted(credentials: Value) {
    assert!(read(credentials.clone()).is_ok(), "{credentials}");
}

const TIGHT: &str = "2027-06-01";
const LOOSE: &str = "2026-06-01";

#[test]
fn sixty_four_claim_sets_ask_for_one_bound() {
    let of = |bounds: &dyn Fn(usize) -> String| {
        let claims: Vec<Value> = (0..64).map(|index| until(&format!("c{index}"), &bounds(index))).collect();
        let sets: Vec<Value> = (0..64).map(|index| json!([format!("c{index}")])).collect();
        let mut asked = permit("q", json!([["Permit"]]), claims.into());
        asked["claim_sets"] = sets.into();
        json!([asked])
    };
    refused(of(&|index| format!("{}-01-01", 2070 - index)));
    accepted(of(&|_| TIGHT.to_owned()));
}

#[test]
fn credential_queries_and_their_sets_ask_for_one_bound() {
    let two = |other: &str, types: Value| {
        let p = permit("p", json!([["Permit"]]), json!([until("a", TIGHT)]));
        json!([p, permit("q", types, json!([until("a", other)]))])
    };
    refused(two(LOOSE, json!([["Permit"]])));
    accepted(two(TIGHT, json!([["Permit"]])));
    // Also where either of them will do, or one need not be answered.
    for sets in [json!([{"options": [["p"], ["q"]]}]), json!([{"options": [["q"]], "required": false}])] {
        let parse = |other| {
            Query::parse(&json!({"credentials": two(other, json!([["Permit"]])), "credential_sets": sets})).is_ok()
        };
        assert!(!parse(LOOSE) && parse(TIGHT));
    }
    // Of another type another bound may be asked.
    accepted(two(LOOSE, json!([["Visa"]])));
    accepted(two(LOOSE, json!([["VerifiableCredential", "Visa"]])));
    // By any of its names, and among any other types.
    for types in [
        json!([["Visa"], ["Permit"]]),
        json!([["Visa", "Permit"]]),
        json!([["VerifiableCredential", "Permit"]]),
        json!([["VerifiableCredential"]]),
        json!([["Visa"], ["VerifiableCredential"]]),
    ] {
        refused(two(LOOSE, types));
    }
    // Within one query that needs both.
    refused(json!([permit("p", json!([["Permit"]]), json!([until("a", TIGHT), until("b", LOOSE)]))]));
}

#[test]
fn types_by_vct_overlap_in_any_of_their_values() {
    let asked =
        |id: &str, vcts: Value, bound: i64| vct(id, vcts, json!([at_least("a", &json!(["level"]), &json!(bound))]));
    let two = |vcts: Value, bound| json!([asked("p", json!(["urn:a", "urn:b"]), 5), asked("q", vcts, bound)]);
    refused(two(json!(["urn:c", "urn:b"]), 6));
    accepted(two(json!(["urn:c", "urn:d"]), 6));
    accepted(two(json!(["urn:c", "urn:b"]), 5));
}

#[test]
fn paths_that_come_to_the_same_claim_are_one() {
    // The same document in another format has the claim without the subject around it.
    let two = |path: Value, bound: &str| {
        let p = permit("p", json!([["Permit"]]), json!([until("a", TIGHT)]));
        json!([p, vct("q", json!(["urn:permit"]), json!([at_least("a", &path, &json!(bound))]))])
    };
    refused(two(json!(["until"]), LOOSE));
    accepted(two(json!(["until"]), TIGHT));
    accepted(two(json!(["from"]), LOOSE));
    // The end of the credential itself is another date than the claim.
    let frame = permit("p", json!([["Permit"]]), json!([at_least("a", &json!(["until"]), &json!(TIGHT))]));
    accepted(json!([frame, permit("q", json!([["Permit"]]), json!([until("a", LOOSE)]))]));
}

#[test]
fn the_two_directions_and_other_claims_have_bounds_of_their_own() {
    let path = json!(["credentialSubject", "until"]);
    let at_most = |bound: &str| json!({"id": "m", "path": path, "carnet_at_most": bound});
    let one = |claims: Value| json!([permit("p", json!([["Permit"]]), claims)]);
    accepted(one(json!([until("a", LOOSE), at_most(TIGHT)])));
    refused(one(json!([until("a", LOOSE), at_most(TIGHT), {"id": "n", "path": path, "carnet_at_most": LOOSE}])));
    accepted(one(json!([until("a", LOOSE), at_least("b", &json!(["credentialSubject", "level"]), &json!(5))])));
}

#[test]
fn a_bound_is_the_same_in_whichever_form_it_is_written() {
    let level = |bounds: [Value; 2]| {
        let claims = ["a", "b"].into_iter().zip(bounds);
        let claims = claims.map(|(id, bound)| at_least(id, &json!(["credentialSubject", "level"]), &bound));
        json!([permit("p", json!([["Permit"]]), claims.collect())])
    };
    accepted(level([json!(6), json!(6.0)]));
    refused(level([json!(6), json!(7.0)]));
    // B1 is the third level; a claim has one form, and the other bound would tell which.
    refused(level([json!(3), json!("B1")]));
    // A bound is never an instant, so that a day cannot be asked for twice.
    refused(level([json!("2027-06-01"), json!("2027-06-01T00:00:00Z")]));
    accepted(level([json!("2027-06-01"), json!("2027-06-01")]));
}

#[test]
fn values_do_not_stand_beside_a_bound_of_the_claim() {
    let path = json!(["credentialSubject", "level"]);
    let bound = at_least("a", &path, &json!("B1"));
    let both = |beside: &Value, types: Value| {
        json!([permit("p", json!([["Permit"]]), json!([bound])), permit("q", types, json!([beside]))])
    };
    let values = json!({"id": "b", "path": path, "values": ["A2"]});
    refused(both(&values, json!([["Permit"]])));
    accepted(both(&values, json!([["Visa"]])));
    // The value itself tells nothing of a hidden one.
    accepted(both(&json!({"id": "b", "path": path}), json!([["Permit"]])));
    accepted(both(
        &json!({"id": "b", "path": ["credentialSubject", "language"], "values": ["de"]}),
        json!([["Permit"]]),
    ));
    // Without any bound, values are DCQL's own matter.
    let lists = ["A1", "A2"].map(|level| json!({"id": level, "path": path, "values": [level]}));
    accepted(json!([permit("p", json!([["Permit"]]), json!(lists))]));
}

#[test]
fn what_nothing_answers_has_no_type() {
    let foreign = json!({"id": "m", "format": "mso_mdoc", "meta": {"doctype_value": "x"},
        "claims": [{"path": ["ns", "until"], "carnet_at_least": LOOSE}]});
    accepted(json!([foreign, permit("p", json!([["Permit"]]), json!([until("a", TIGHT)]))]));
}
