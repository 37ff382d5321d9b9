//! Each preference with its reverse; forbidden answers, and sizes.

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    Code,
    at_least::Direction,
    format::CredentialFormat,
    query::{ClaimQuery, CredentialQuery, values_at},
};

mod asker;
mod brute_force;
mod sizes;

/// Classes by the claim's name.
struct Named;
impl SensitivityClasses for Named {
    fn sensitivity(&self, _: &AvailableCopy<'_>, path: &[Step]) -> Sensitivity {
        match path.last() {
            Some(Step::Name(name)) if name.starts_with("may") => Sensitivity::Computed,
            Some(Step::Name(name)) if name == "country" => Sensitivity::WidelyShared,
            Some(Step::Name(name)) if name == "number" => Sensitivity::Identifying,
            _ => Sensitivity::Ordinary,
        }
    }
}

fn weights() -> DisclosureWeights {
    DisclosureWeights {
        computed: 1,
        threshold: 5,
        coarse: 10,
        value: 30,
        fine: 100,
        document: 200,
        new_document: 20,
        unused_copy: 2,
        shared_copy: 100_000,
    }
}

fn payload(kind: &str, claims: Value) -> Map<String, Value> {
    let document = json!({"type": ["VerifiableCredential", kind], "credentialSubject": claims});
    document.as_object().unwrap().clone()
}

fn holding<'a>(document: usize, payload: &'a Map<String, Value>, provable: &'a [OrderedClaim]) -> AvailableCopy<'a> {
    let candidate = QueryCandidate { format: CredentialFormat::VcSdJwt, payload, thresholds: &[] };
    AvailableCopy {
        document,
        candidate,
        provable_claims: provable,
        clear_claims: &[],
        exposure: CopyExposure::NoVerifier,
        seen_by_verifier: false,
        refused_before: false,
    }
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
fn shown(plan: &DisclosurePlan) -> Vec<String> {
    let name = |path: &ClaimPath| match path.last() {
        Some(Step::Name(name)) => name.clone(),
        _ => String::new(),
    };
    let shows = plan.answers.iter().flat_map(|part| &part.disclosures);
    shows
        .map(|show| match show {
            ClaimDisclosure::Value(path) => name(path),
            ClaimDisclosure::Threshold { path, .. } => format!("{}>", name(path)),
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
                let reversed = DisclosureWeights { computed: 100, coarse: 30, value: 10, fine: 1, ..weights() };
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
    let seen = AvailableCopy { exposure: CopyExposure::SameVerifier, ..holding(0, &permit, &[]) };
    let plan = asked("2026-11-22").plan(&[seen, holding(0, &permit, &ordered)], &Named, &weights()).unwrap();
    assert_eq!(plan.answers[0].copy_index, 1);
}

#[test]
fn a_threshold_stands_between_a_computed_yes_and_a_coarse_value() {
    let permit = payload("Permit", json!({"mayWork": true, "country": "PT", "until": "2027-03-14"}));
    let ordered = until();
    let bound = json!({"id": "until", "path": ["credentialSubject", "until"], "carnet_at_least": "2026-11-22"});
    let claims = json!([claim("mayWork", "mayWork"), claim("country", "country"), bound]);
    let of = |sets: Value, weights: &DisclosureWeights| {
        let query = query(json!([credential("q", "Permit", claims.clone(), sets)]), Value::Null);
        shown(&query.plan(&[holding(0, &permit, &ordered)], &Named, weights).unwrap())
    };
    let reversed = DisclosureWeights { computed: 30, threshold: 10, coarse: 5, ..weights() };
    assert_eq!(of(json!([["until"], ["mayWork"]]), &weights()), ["mayWork"]);
    assert_eq!(of(json!([["mayWork"], ["until"]]), &reversed), ["until>"]);
    assert_eq!(of(json!([["country"], ["until"]]), &weights()), ["until>"]);
    assert_eq!(of(json!([["until"], ["country"]]), &reversed), ["country"]);
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
    let used = |weights: &DisclosureWeights| {
        let plan = query.plan(&wallet, &Named, weights).unwrap();
        plan.answers.iter().map(|part| part.copy_index).collect::<Vec<_>>()
    };
    assert_eq!(used(&weights()), [2, 2]);
    // Were a document nothing, the first in the wallet would do.
    assert_eq!(used(&DisclosureWeights { document: 0, new_document: 0, unused_copy: 0, ..weights() }), [0, 1]);
}

#[test]
fn what_this_asker_has_seen_goes_before_what_it_has_not() {
    let permit = payload("Permit", json!({"name": "A"}));
    let query = query(json!([credential("q", "Permit", json!([claim("a", "name")]), Value::Null)]), Value::Null);
    let by = |wallet: &[AvailableCopy<'_>], weights: &DisclosureWeights| {
        query.plan(wallet, &Named, weights).unwrap().answers[0].copy_index
    };
    let taken = |wallet: &[AvailableCopy<'_>]| by(wallet, &weights());
    let fresh = holding(0, &permit, &[]);
    let known = AvailableCopy { seen_by_verifier: true, ..holding(1, &permit, &[]) };
    assert_eq!(taken(&[fresh, known]), 1);
    let same =
        AvailableCopy { exposure: CopyExposure::SameVerifier, seen_by_verifier: true, ..holding(1, &permit, &[]) };
    assert_eq!(taken(&[known, same]), 1);
    // A copy that others have seen is the last resort, even of a document that is known.
    let shared =
        AvailableCopy { exposure: CopyExposure::OtherVerifiers(1), seen_by_verifier: true, ..holding(2, &permit, &[]) };
    assert_eq!(taken(&[shared, fresh]), 1);
    assert_eq!(taken(&[AvailableCopy { exposure: CopyExposure::OtherVerifiers(2), ..shared }, shared]), 1);
    assert_eq!(taken(&[shared]), 0);
    // Each of these follows from the weights.
    assert_eq!(by(&[fresh, known], &DisclosureWeights { new_document: 0, ..weights() }), 0);
    assert_eq!(by(&[known, same], &DisclosureWeights { unused_copy: 0, ..weights() }), 0);
    assert_eq!(by(&[shared, fresh], &DisclosureWeights { shared_copy: 0, ..weights() }), 0);
}

/// Else the document that was refused goes again and again: the asker knows it, so that it weighs less than any other.
#[test]
fn a_document_that_was_refused_goes_last_among_those_that_weigh_the_same() {
    let permit = payload("Permit", json!({"name": "A"}));
    let query = query(json!([credential("q", "Permit", json!([claim("a", "name")]), Value::Null)]), Value::Null);
    let taken = |wallet: &[AvailableCopy<'_>]| query.plan(wallet, &Named, &weights()).unwrap().answers[0].copy_index;
    let fresh = holding(0, &permit, &[]);
    let seen =
        AvailableCopy { exposure: CopyExposure::SameVerifier, seen_by_verifier: true, ..holding(1, &permit, &[]) };
    let refused = AvailableCopy { refused_before: true, ..seen };
    assert_eq!(taken(&[seen, fresh]), 0, "the twin");
    assert_eq!(taken(&[refused, fresh]), 1);
    assert_eq!(taken(&[fresh, refused]), 0);
    // Its own other copies do not take its place in the queue.
    let other_copy = AvailableCopy { exposure: CopyExposure::NoVerifier, ..refused };
    assert_eq!(taken(&[refused, other_copy, fresh]), 2);
    assert_eq!(taken(&[refused, other_copy]), 0, "where nothing else answers it goes");
    // It is a preference among equals and no reason to show more, nor what others have seen.
    let told = payload("Permit", json!({"name": "A", "number": "1"}));
    let more = AvailableCopy {
        candidate: QueryCandidate { format: CredentialFormat::LdpVc, payload: &told, thresholds: &[] },
        ..fresh
    };
    let shared = AvailableCopy { exposure: CopyExposure::OtherVerifiers(1), ..fresh };
    assert_eq!(taken(&[shared, refused]), 1);
    assert_eq!(taken(&[more, refused]), 1);
}

#[test]
fn of_sets_that_weigh_the_same_the_one_without_a_refused_document_is_taken() {
    let (permit, degree) = (payload("Permit", json!({"name": "A"})), payload("Degree", json!({"name": "A"})));
    let credentials = json!([
        credential("first", "Permit", json!([claim("a", "name")]), Value::Null),
        credential("second", "Degree", json!([claim("a", "name")]), Value::Null),
    ]);
    let query = query(credentials, json!([{"options": [["first"], ["second"]]}]));
    let taken = |refused: bool| {
        let first = AvailableCopy { refused_before: refused, ..holding(0, &permit, &[]) };
        query.plan(&[first, holding(1, &degree, &[])], &Named, &weights()).unwrap().answers[0].query_id.clone()
    };
    assert_eq!((taken(false).as_str(), taken(true).as_str()), ("first", "second"));
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
    assert_eq!((plan.answers.len(), plan.answers[0].query_id.as_str()), (1, "light"));
    assert!(plan.explanation.iter().all(|line| line.query_id == "light"));
    assert_eq!(plan.explanation.iter().map(|line| line.weight).sum::<u64>(), plan.weight);
    assert_eq!(query.plan(&wallet[1..], &Named, &weights()).unwrap_err().code, Code::QueryUnmet);
}

#[test]
fn a_format_that_hides_nothing_weighs_all_of_it() {
    let permit = payload("Permit", json!({"id": "did:x", "mayWork": true, "name": "A", "number": "1"}));
    let whole = AvailableCopy {
        candidate: QueryCandidate { format: CredentialFormat::DiVcJcs, payload: &permit, thresholds: &[] },
        ..holding(0, &permit, &[])
    };
    let mut asked = credential("q", "Permit", json!([claim("a", "mayWork")]), Value::Null);
    asked["format"] = "di_vc+jcs".into();
    let plan = query(json!([asked]), Value::Null).plan(&[whole], &Named, &weights()).unwrap();
    assert_eq!(shown(&plan), ["mayWork", "name", "number"]);
}

#[test]
fn row_93_what_stands_inside_metadata_weighs_too() {
    let mut permit = payload("Permit", json!({"id": "did:x", "mayWork": true}));
    let mut asked = credential("q", "Permit", json!([claim("a", "mayWork")]), Value::Null);
    asked["format"] = "di_vc+jcs".into();
    let cost = |permit: &Map<String, Value>| {
        let candidate = QueryCandidate { format: CredentialFormat::DiVcJcs, payload: permit, thresholds: &[] };
        let whole = AvailableCopy { candidate, ..holding(0, permit, &[]) };
        query(json!([asked]), Value::Null).plan(&[whole], &Named, &weights()).unwrap().weight
    };
    permit.insert("issuer".to_owned(), json!({"id": "did:web:a.example"}));
    assert_eq!(cost(&permit), 222 + 1);
    permit.insert("issuer".to_owned(), json!({"id": "did:web:a.example", "number": "urn:uuid:6c3b"}));
    assert_eq!(cost(&permit), 222 + 1 + 100);
}

#[test]
fn a_plan_explains_itself() {
    let permit = payload("Permit", json!({"mayWork": true, "number": "1"}));
    let plan = either("number", "mayWork").plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
    let lines: Vec<String> = plan.explanation.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "q: a document that is new to this verifier (220)",
            "q: a copy that nobody has seen (2)",
            "q: credentialSubject.mayWork, a computed yes or no (1)",
            "q: the next best answer would cost 322",
        ]
    );
}

#[test]
fn an_object_weighs_what_is_in_it() {
    let permit = payload("Permit", json!({"name": "A", "title": "B", "place": {"country": "PT", "number": "1"}}));
    let claims = json!([
        claim("name", "name"), claim("title", "title"), claim("place", "place"),
        {"id": "all", "path": ["credentialSubject"]}, {"id": "part", "path": ["credentialSubject", "place", "country"]}
    ]);
    let asked = |sets: Value| query(json!([credential("q", "Permit", claims.clone(), sets)]), Value::Null);
    let plan = |sets: Value| asked(sets).plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
    // One path, and yet it tells more than two.
    assert_eq!(shown(&plan(json!([["all"], ["name", "title"]]))), ["name", "title"]);
    assert_eq!(shown(&plan(json!([["place"], ["name", "title"]]))), ["name", "title"]);
    assert_eq!(shown(&plan(json!([["place"], ["part", "name"]]))), ["name", "country"]);
    // As a whole it weighs no more than all of its parts.
    assert_eq!(plan(json!([["place"]])).weight, 200 + 20 + 2 + 10 + 100);
    assert_eq!(plan(json!([["all"]])).weight, 200 + 20 + 2 + 10 + 100 + 30 + 30);
}

#[test]
fn nothing_is_shown_twice() {
    let permit = payload("Permit", json!({"until": "2027-03-14", "place": {"country": "PT", "number": "1"}}));
    let ordered = until();
    let value = json!({"path": ["credentialSubject", "until"]});
    let proof = json!({"path": ["credentialSubject", "until"], "carnet_at_least": "2026-11-22"});
    let place = json!({"path": ["credentialSubject", "place"]});
    let part = json!({"path": ["credentialSubject", "place", "country"]});
    let of = |claims: Value| {
        let query = query(json!([credential("q", "Permit", claims, Value::Null)]), Value::Null);
        shown(&query.plan(&[holding(0, &permit, &ordered)], &Named, &weights()).unwrap())
    };
    // The value, which has to be shown, says all that the proof would.
    assert_eq!(of(json!([value, proof])), ["until"]);
    assert_eq!(of(json!([proof])), ["until>"]);
    assert_eq!(of(json!([part, place])), ["place"]);
    assert_eq!(of(json!([part])), ["country"]);
    assert_eq!(of(json!([part, part])), ["country"]);
}

#[test]
fn what_stands_in_the_clear_weighs_nothing() {
    let permit = payload("Permit", json!({"id": "did:x", "mayWork": true}));
    let claims = json!([claim("work", "mayWork"), {"id": "type", "path": ["type"]}, claim("id", "id")]);
    for open in ["type", "id"] {
        let sets = json!([["work"], [open]]);
        let query = query(json!([credential("q", "Permit", claims.clone(), sets)]), Value::Null);
        let plan = query.plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
        assert_eq!((shown(&plan), plan.weight), (vec![open.to_owned()], 222));
    }
}

#[test]
fn a_document_of_two_types_answers_for_no_claim_that_is_asked_for_two_bounds() {
    let mut permit = payload("Permit", json!({"until": "2027-03-14", "name": "A"}));
    let ordered = until();
    let asked = |id: &str, kind: &str, bound: &str| {
        let bound = json!({"id": "a", "path": ["credentialSubject", "until"], "carnet_at_least": bound});
        credential(id, kind, json!([bound, claim("b", "name")]), json!([["a"], ["b"]]))
    };
    let two = |other: &str| {
        let credentials = json!([asked("q", "Permit", "2026-01-01"), asked("r", "Visa", other)]);
        query(credentials, json!([{"options": [["q"], ["r"]]}]))
    };
    let shown_of = |permit: &Map<String, Value>, other: &str, provable| {
        shown(&two(other).plan(&[holding(0, permit, provable)], &Named, &weights()).unwrap())
    };
    assert_eq!(shown_of(&permit, "2027-06-01", &ordered), ["until>"]);
    permit.insert("type".to_owned(), json!(["VerifiableCredential", "Permit", "Visa"]));
    // In both cases, and for both outcomes; nor is the value disclosed.
    for until in ["2025-01-01", "2026-06-01", "2028-01-01"] {
        permit["credentialSubject"]["until"] = json!(until);
        assert_eq!(shown_of(&permit, "2027-06-01", &ordered), ["name"]);
        assert_eq!(shown_of(&permit, "2027-06-01", &[]), ["name"]);
    }
    assert_eq!(shown_of(&permit, "2026-01-01", &ordered), ["until>"]);
}

#[test]
fn one_copy_proves_one_bound_to_several_queries() {
    let permit = payload("Permit", json!({"until": "2027-03-14"}));
    let ordered = until();
    let asked = |id: &str, kind: &str, bound: &str| {
        let claim = json!({"path": ["credentialSubject", "until"], "carnet_at_least": bound});
        credential(id, kind, json!([claim]), Value::Null)
    };
    let same = query(json!([asked("q", "Permit", "2026-01-01"), asked("r", "Permit", "2026-01-01")]), Value::Null);
    let copy = holding(0, &permit, &ordered);
    let plan = same.plan(&[copy, copy], &Named, &weights()).unwrap();
    assert_eq!(plan.answers.iter().map(|part| part.copy_index).collect::<Vec<_>>(), [0, 0]);
    // Of two documents each proves its own.
    let visa = payload("Visa", json!({"until": "2027-03-14"}));
    let two = query(json!([asked("q", "Permit", "2026-01-01"), asked("r", "Visa", "2026-06-01")]), Value::Null);
    let plan = two.plan(&[copy, holding(1, &visa, &ordered)], &Named, &weights()).unwrap();
    assert_eq!(plan.answers.iter().map(|part| part.copy_index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn of_answers_that_weigh_the_same_the_askers_first_then_the_wallets_first_is_taken() {
    let (second, first) = (payload("Permit", json!({"title": 1})), payload("Permit", json!({"name": 1})));
    let taken = |query: &Query, wallet: &[AvailableCopy<'_>]| {
        let plan = query.plan(wallet, &Named, &weights()).unwrap();
        (plan.answers[0].query_id.clone(), plan.answers[0].copy_index)
    };
    // The wallet has the verifier's second choice before the first.
    let wallet = [holding(0, &second, &[]), holding(1, &first, &[]), holding(2, &first, &[])];
    assert_eq!(taken(&either("name", "title"), &wallet).1, 1);
    assert_eq!(taken(&either("title", "name"), &wallet).1, 0);
    // If it weighs the same only because another query needs most of it anyway, the answer that tells less ranks
    // first.
    let permit = payload("Permit", json!({"name": "A", "title": "B", "number": "1"}));
    let claims = json!([claim("number", "number"), claim("title", "title"), claim("name", "name")]);
    let part = |id: &str, sets: Value| credential(id, "Permit", claims.clone(), sets);
    let first = part("q", json!([["number", "title"], ["name"]]));
    let joined = query(json!([first, part("r", json!([["number"]]))]), Value::Null);
    let plan = joined.plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
    assert_eq!((shown(&plan), plan.weight), (["name", "number"].map(str::to_owned).to_vec(), 352));
    let one = |id: &str, name: &str| credential(id, "Permit", json!([claim("a", name)]), Value::Null);
    let credentials = json!([one("t", "title"), one("n", "name")]);
    let sets = |options: Value| query(credentials.clone(), json!([{"options": options}]));
    assert_eq!(taken(&sets(json!([["n"], ["t"]])), &wallet), ("n".to_owned(), 1));
    assert_eq!(taken(&sets(json!([["t"], ["n"]])), &wallet), ("t".to_owned(), 0));
}

#[test]
fn a_query_is_not_answered_for_no_reason_even_if_that_weighs_nothing() {
    let permit = payload("Permit", json!({"name": "A"}));
    let one = |id: &str| credential(id, "Permit", json!([claim("a", "name")]), Value::Null);
    let query = query(json!([one("p"), one("q")]), json!([{"options": [["p", "q"], ["q"]]}]));
    let plan = query.plan(&[holding(0, &permit, &[])], &Named, &weights()).unwrap();
    assert_eq!(plan.answers.iter().map(|part| part.query_id.as_str()).collect::<Vec<_>>(), ["q"]);
}

#[test]
fn what_answers_two_queries_is_counted_once_and_the_passed_over_is_named() {
    let permit = payload("Permit", json!({"name": "A", "number": "1"}));
    let one = |id: &str, name: &str| credential(id, "Permit", json!([claim("a", name)]), Value::Null);
    let query = query(json!([one("q", "name"), one("r", "number"), one("s", "name")]), Value::Null);
    let known = AvailableCopy { seen_by_verifier: true, ..holding(1, &permit, &[]) };
    let plan = query.plan(&[holding(0, &permit, &[]), known], &Named, &weights()).unwrap();
    let lines: Vec<(&str, u64)> = plan.explanation.iter().map(|line| (line.query_id.as_str(), line.weight)).collect();
    let counted = [("q", 200), ("q", 2), ("q", 30), ("q", 252), ("r", 0), ("r", 0), ("r", 100), ("r", 322)];
    assert_eq!(lines, [&counted[..], &[("s", 0), ("s", 0), ("s", 0), ("s", 252)]].concat());
    assert_eq!(plan.explanation[3].item, PlanItem::Alternative { copy_index: 0 });
    assert_eq!(plan.weight, 332);
}

#[test]
fn a_query_that_nothing_can_answer_is_passed_over_for_another() {
    let held = payload("A", json!({"a": 1}));
    let holdings = [holding(0, &held, &[])];
    let foreign = json!({"id": "m", "format": "mso_mdoc", "meta": {}, "claims": [{"path": ["ns", "a"]}]});
    let mut constrained = credential("t", "A", json!([claim("a", "a")]), Value::Null);
    constrained["trusted_authorities"] = json!([{"type": "aki", "values": ["x"]}]);
    let own = credential("o", "A", json!([claim("a", "a")]), Value::Null);
    for (id, other) in [("m", foreign), ("t", constrained)] {
        let ask = |sets: Value| {
            let query = json!({"credentials": [other, own], "credential_sets": sets});
            Query::parse(&query).unwrap().plan(&holdings, &Named, &weights())
        };
        for sets in
            [json!([{"options": [[id], ["o"]]}]), json!([{"options": [["o"]]}, {"options": [[id]], "required": false}])]
        {
            let plan = ask(sets).unwrap();
            assert_eq!(plan.answers.iter().map(|part| part.query_id.as_str()).collect::<Vec<_>>(), ["o"]);
        }
        let unmet = ask(json!([{"options": [[id]]}])).unwrap_err();
        assert_eq!(unmet.code, Code::QueryUnmet);
    }
}
