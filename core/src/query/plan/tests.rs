//! Each preference with its reverse, and the whole compared with brute force.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Code, at_least::Direction};

/// Classes by the claim's name.
struct Named;
impl Classes for Named {
    fn class(&self, _: &Holding<'_>, path: &[Step]) -> Class {
        match path.last() {
            Some(Step::Name(name)) if name.starts_with("may") => Class::Computed,
            Some(Step::Name(name)) if name == "country" => Class::Coarse,
            Some(Step::Name(name)) if name == "number" => Class::Fine,
            _ => Class::Value,
        }
    }
}

fn weights() -> Weights {
    Weights {
        computed: 1,
        threshold: 5,
        coarse: 10,
        value: 30,
        fine: 100,
        document: 200,
        new_document: 20,
        fresh_copy: 2,
        shared_copy: 100_000,
    }
}

fn payload(kind: &str, claims: Value) -> Map<String, Value> {
    let document = json!({"type": ["VerifiableCredential", kind], "credentialSubject": claims});
    document.as_object().unwrap().clone()
}

fn holding<'a>(document: usize, payload: &'a Map<String, Value>, provable: &'a [OrderedClaim]) -> Holding<'a> {
    let candidate = Candidate { format: "vc+sd-jwt", payload, proved: &[] };
    Holding { document, candidate, provable, exposure: Exposure::Nobody, known: false }
}

fn claim(id: &str, name: &str) -> Value {
    json!({"id": id, "path": ["credentialSubject", name]})
}

fn credential(id: &str, kind: &str, claims: Value, sets: Value) -> Value {
    let mut query = json!({"id": id, "format": "vc+sd-jwt", "meta": {"type_values": [[kind]]}, "claims": claims});
    if sets != Value::Null {
        query["claim_sets"] = sets;
    }
    query
}

fn query(credentials: Value, sets: Value) -> Query {
    let mut query = json!({"credentials": credentials});
    if sets != Value::Null {
        query["credential_sets"] = sets;
    }
    Query::parse(&query).unwrap()
}

fn until() -> [OrderedClaim; 1] {
    let path = ["credentialSubject", "until"].map(|name| Step::Name(name.to_owned())).to_vec();
    [OrderedClaim { path, direction: Direction::AtLeast }]
}

/// The names of the values shown, and of the thresholds with a `>`.
fn shown(plan: &Plan) -> Vec<String> {
    let name = |path: &ClaimPath| match path.last() {
        Some(Step::Name(name)) => name.clone(),
        _ => String::new(),
    };
    let shows = plan.parts.iter().flat_map(|part| &part.shows);
    shows
        .map(|show| match show {
            Show::Value(path) => name(path),
            Show::Threshold { path, .. } => format!("{}>", name(path)),
        })
        .collect()
}

/// A query that one document answers with either of two claims.
fn either(first: &str, second: &str) -> Query {
    let claims = json!([claim("a", first), claim("b", second)]);
    query(json!([credential("q", "Permit", claims, json!([["a"], ["b"]]))]), Value::Null)
}

#[test]
fn the_claim_that_tells_less_is_taken_whatever_the_asker_would_like() {
    let permit = payload("Permit", json!({"mayWork": true, "country": "PT", "name": "A", "number": "1"}));
    let wallet = [holding(0, &permit, &[])];
    let order = ["mayWork", "country", "name", "number"];
    for (at, less) in order.iter().enumerate() {
        for more in order.iter().skip(at + 1) {
            for query in [either(less, more), either(more, less)] {
                assert_eq!(shown(&query.plan(&wallet, &Named, &weights()).unwrap()), [*less]);
                let reversed = Weights { computed: 100, coarse: 30, value: 10, fine: 1, ..weights() };
                assert_eq!(shown(&query.plan(&wallet, &Named, &reversed).unwrap()), [*more]);
            }
        }
    }
}

#[test]
fn a_threshold_is_proved_rather_than_its_value_shown() {
    let permit = payload("Permit", json!({"until": "2027-03-14"}));
    let ordered = until();
    let asked = |bound: &str| {
        let claim = json!({"path": ["credentialSubject", "until"], "carnet_at_least": bound});
        query(json!([credential("q", "Permit", json!([claim]), Value::Null)]), Value::Null)
    };
    let plan = |query: &Query, provable| query.plan(&[holding(0, &permit, provable)], &Named, &weights());
    assert_eq!(shown(&plan(&asked("2026-11-22"), &ordered).unwrap()), ["until>"]);
    // A copy that cannot prove it shows the value.
    assert_eq!(shown(&plan(&asked("2026-11-22"), &[]).unwrap()), ["until"]);
    assert_eq!(plan(&asked("2027-03-15"), &ordered).unwrap_err().code, Code::QueryUnmet);
    // Of two copies of one document, the one that can prove it is worth being fresh.
    let seen = Holding { exposure: Exposure::SameAsker, ..holding(0, &permit, &[]) };
    let plan = asked("2026-11-22").plan(&[seen, holding(0, &permit, &ordered)], &Named, &weights()).unwrap();
    assert_eq!(plan.parts[0].holding, 1);
}

#[test]
fn fewer_documents_are_shown_rather_than_more() {
    let both = payload("Permit", json!({"name": "A", "number": "1"}));
    let (name, number) = (payload("Permit", json!({"name": "A"})), payload("Permit", json!({"number": "1"})));
    let query = query(
        json!([
            credential("q", "Permit", json!([claim("a", "name")]), Value::Null),
            credential("r", "Permit", json!([claim("a", "number")]), Value::Null)
        ]),
        Value::Null,
    );
    let wallet = [holding(0, &name, &[]), holding(1, &number, &[]), holding(2, &both, &[])];
    let used = |weights: &Weights| {
        let plan = query.plan(&wallet, &Named, weights).unwrap();
        plan.parts.iter().map(|part| part.holding).collect::<Vec<_>>()
    };
    assert_eq!(used(&weights()), [2, 2]);
    // Were a document nothing, the first in the wallet would do.
    assert_eq!(used(&Weights { document: 0, new_document: 0, fresh_copy: 0, ..weights() }), [0, 1]);
}

#[test]
fn what_this_asker_has_seen_goes_before_what_it_has_not() {
    let permit = payload("Permit", json!({"name": "A"}));
    let query = query(json!([credential("q", "Permit", json!([claim("a", "name")]), Value::Null)]), Value::Null);
    let taken = |wallet: &[Holding<'_>]| query.plan(wallet, &Named, &weights()).unwrap().parts[0].holding;
    let fresh = holding(0, &permit, &[]);
    let known = Holding { known: true, ..holding(1, &permit, &[]) };
    assert_eq!(taken(&[fresh, known]), 1);
    let same = Holding { exposure: Exposure::SameAsker, known: true, ..holding(1, &permit, &[]) };
    assert_eq!(taken(&[known, same]), 1);
    // A copy that others have seen is the last resort, even of a document that is known.
    let shared = Holding { exposure: Exposure::Others(1), known: true, ..holding(2, &permit, &[]) };
    assert_eq!(taken(&[shared, fresh]), 1);
    assert_eq!(taken(&[Holding { exposure: Exposure::Others(2), ..shared }, shared]), 1);
    assert_eq!(taken(&[shared]), 0);
}

#[test]
fn the_lighter_set_of_credentials_is_taken_and_optional_ones_are_left() {
    let permit = payload("Permit", json!({"mayWork": true, "number": "1"}));
    let degree = payload("Degree", json!({"name": "A"}));
    let credentials = json!([
        credential("heavy", "Permit", json!([claim("a", "number")]), Value::Null),
        credential("light", "Permit", json!([claim("a", "mayWork")]), Value::Null),
        credential("extra", "Degree", json!([claim("a", "name")]), Value::Null)
    ]);
    let sets = json!([{"options": [["heavy"], ["light"]]}, {"options": [["extra"]], "required": false}]);
    let query = query(credentials, sets);
    let wallet = [holding(0, &permit, &[]), holding(1, &degree, &[])];
    let plan = query.plan(&wallet, &Named, &weights()).unwrap();
    assert_eq!((plan.parts.len(), plan.parts[0].query_id.as_str()), (1, "light"));
    assert!(plan.lines.iter().all(|line| line.query_id == "light"));
    assert_eq!(plan.lines.iter().map(|line| line.cost).sum::<u64>(), plan.cost);
    assert_eq!(query.plan(&wallet[1..], &Named, &weights()).unwrap_err().code, Code::QueryUnmet);
}

#[test]
fn a_format_that_hides_nothing_weighs_all_of_it() {
    let permit = payload("Permit", json!({"id": "did:x", "mayWork": true, "name": "A", "number": "1"}));
    let whole = Holding {
        candidate: Candidate { format: "di_vc+jcs", payload: &permit, proved: &[] },
        ..holding(0, &permit, &[])
    };
    let mut asked = credential("q", "Permit", json!([claim("a", "mayWork")]), Value::Null);
    asked["format"] = "di_vc+jcs".into();
    let plan = query(json!([asked]), Value::Null).plan(&[whole], &Named, &weights()).unwrap();
    assert_eq!(shown(&plan), ["mayWork", "name", "number"]);
}

#[test]
fn a_plan_explains_itself() {
    let permit = payload("Permit", json!({"mayWork": true, "number": "1"}));
    let plan = either("number", "mayWork").plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
    let lines: Vec<String> = plan.lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "q: a document that is new to this asker (220)",
            "q: a copy that nobody has seen (2)",
            "q: credentialSubject.mayWork, a computed yes or no (1)",
            "q: the best other way would weigh 322",
        ]
    );
}

const NAMES: [&str; 4] = ["mayWork", "country", "name", "number"];

/// A credential query over some of four claims, with claim sets or without.
fn any_credential(id: &'static str) -> impl Strategy<Value = Value> {
    let claims = prop::sample::subsequence(NAMES.to_vec(), 1..=4);
    (claims, any::<bool>(), prop::sample::select(vec!["Permit", "Degree"])).prop_map(move |(names, sets, kind)| {
        let claims: Vec<Value> = names.iter().map(|name| claim(name, name)).collect();
        // Each claim alone, or all of them together.
        let sets = if sets { names.iter().map(|name| json!([name])).collect() } else { Value::Null };
        credential(id, kind, claims.into(), sets)
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let sets = prop::sample::select(vec![
        Value::Null,
        json!([{"options": [["p"], ["q", "r"]]}]),
        json!([{"options": [["p", "q"], ["r"]]}, {"options": [["q"], ["p"]]}]),
        json!([{"options": [["p"]]}, {"options": [["q"]], "required": false}]),
    ]);
    (any_credential("p"), any_credential("q"), any_credential("r"), sets)
        .prop_map(|(p, q, r, sets)| query(json!([p, q, r]), sets))
}

/// Its type, its claims, who saw this copy, whether the asker knows it, and whether it is another copy of the document
/// before it, of which some claims are out of use.
type Document = (&'static str, Vec<&'static str>, u8, bool, bool);

fn any_wallet() -> impl Strategy<Value = Vec<Document>> {
    let document = (
        prop::sample::select(vec!["Permit", "Degree"]),
        prop::sample::subsequence(NAMES.to_vec(), 0..=4),
        0..3_u8,
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(document, 0..6)
}

fn open(documents: &[Document]) -> Vec<Map<String, Value>> {
    let claims = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), json!("x"))).collect::<Map<_, _>>();
    documents.iter().map(|(kind, names, ..)| payload(kind, claims(names).into())).collect()
}

fn held<'a>(documents: &[Document], payloads: &'a [Map<String, Value>]) -> Vec<Holding<'a>> {
    let mut document = 0_usize;
    let mut is_known = false;
    let each = documents.iter().zip(payloads);
    each.map(|((_, _, exposure, known, same), payload)| {
        if !same || document == 0 {
            document = document.saturating_add(1);
            is_known = *known;
        }
        let exposure = match exposure {
            0 => Exposure::Nobody,
            1 => Exposure::SameAsker,
            _ => Exposure::Others(1),
        };
        Holding { exposure, known: is_known, ..holding(document, payload, &[]) }
    })
    .collect()
}

/// Every answer there is, by trying each holding and claim set for each subset of credential queries: the least weight.
fn brute_force(query: &Query, wallet: &[Holding<'_>]) -> Option<u64> {
    let offers: Vec<Vec<offer::Offer>> = query
        .credentials
        .iter()
        .map(|credential| {
            let each = wallet.iter().enumerate();
            each.flat_map(|(index, held)| offer::offers(credential, index, held, &Named, &weights())).collect()
        })
        .collect();
    let mut best: Option<u64> = None;
    let choices: Vec<Vec<Option<&offer::Offer>>> =
        offers.iter().map(|offers| offers.iter().map(Some).chain([None]).collect()).collect();
    for p in &choices[0] {
        for q in &choices[1] {
            for r in &choices[2] {
                let chosen = [*p, *q, *r];
                let ids: Vec<&str> = chosen
                    .iter()
                    .zip(&query.credentials)
                    .filter_map(|(offer, credential)| offer.map(|_| credential.id.as_str()))
                    .collect();
                if ids.is_empty() || query.satisfied_by(&ids).is_err() {
                    continue;
                }
                let mut documents = std::collections::BTreeMap::new();
                let mut copies = std::collections::BTreeMap::new();
                let mut shows = std::collections::BTreeMap::new();
                for offer in chosen.into_iter().flatten() {
                    let held = &wallet[offer.holding];
                    let (document, copy) = offer::holding_cost(held, &weights());
                    documents.insert(held.document, document);
                    copies.insert(offer.holding, copy);
                    let each = offer.shows.iter().map(|(key, weighed)| ((held.document, key.clone()), weighed.cost));
                    shows.extend(each);
                }
                let cost = documents.values().chain(copies.values()).chain(shows.values()).sum();
                best = Some(best.map_or(cost, |best: u64| best.min(cost)));
            }
        }
    }
    best
}

proptest! {
    #[test]
    fn nothing_weighs_less_than_the_plan(query in any_query(), documents in any_wallet()) {
        let payloads = open(&documents);
        let wallet = held(&documents, &payloads);
        let planned = query.plan(&wallet, &Named, &weights());
        prop_assert_eq!(planned.as_ref().ok().map(|plan| plan.cost), brute_force(&query, &wallet));
    }

    #[test]
    fn nothing_goes_that_the_query_does_not_need(query in any_query(), documents in any_wallet()) {
        let payloads = open(&documents);
        let wallet = held(&documents, &payloads);
        let Ok(plan) = query.plan(&wallet, &Named, &weights()) else { return Ok(()) };
        // What a verifier would see of each part, with one showing of it left out, no longer answers that part.
        for part in &plan.parts {
            let credential = query.credential(&part.query_id).unwrap();
            let visible = |shows: &[Show]| {
                let mut claims = Map::new();
                for show in shows {
                    let Show::Value(path) = show else { continue };
                    let Some(Step::Name(name)) = path.last() else { continue };
                    claims.insert(name.clone(), json!("x"));
                }
                let mut payload = payloads[part.holding].clone();
                payload.insert("credentialSubject".to_owned(), claims.into());
                let candidate = Candidate { format: "vc+sd-jwt", payload: &payload, proved: &[] };
                credential.paths_in(candidate).is_some()
            };
            prop_assert!(visible(&part.shows));
            for left_out in 0..part.shows.len() {
                let mut less = part.shows.clone();
                less.remove(left_out);
                prop_assert!(!visible(&less));
            }
        }
        // And no part can be left out.
        for left_out in 0..plan.parts.len() {
            let mut ids: Vec<&str> = plan.parts.iter().map(|part| part.query_id.as_str()).collect();
            ids.remove(left_out);
            prop_assert!(ids.is_empty() || query.satisfied_by(&ids).is_err());
        }
    }

    #[test]
    fn what_does_not_answer_does_not_change_the_answer(query in any_query(), documents in any_wallet()) {
        let payloads = open(&documents);
        let wallet = held(&documents, &payloads);
        let stranger = payload("Stranger", json!({"name": "x"}));
        let mut more = wallet.clone();
        more.push(holding(99, &stranger, &[]));
        let plan = |wallet: &[Holding<'_>]| query.plan(wallet, &Named, &weights()).ok();
        prop_assert_eq!(plan(&wallet), plan(&more));
        prop_assert_eq!(plan(&wallet), plan(&wallet));
    }
}
