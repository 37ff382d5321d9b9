//! Sizes that the planner accepts, and immediate refusal of larger ones.

// A test ends where a sum overflows.
#![allow(clippy::arithmetic_side_effects)]

use std::cell::Cell;

use super::*;

const NAMES: [&str; 6] = ["mayWork", "country", "name", "number", "title", "place"];

/// Asks for any one of six claims of a document of some types.
fn any_of_six(id: usize, kinds: &[String]) -> Value {
    let claims: Vec<Value> = NAMES.iter().map(|name| claim(name, name)).collect();
    let sets: Vec<Value> = NAMES.iter().map(|name| json!([name])).collect();
    let mut asked = credential(&format!("q{id}"), "", claims.into(), sets.into());
    asked["meta"] = json!({"type_values": kinds.iter().map(|kind| [kind]).collect::<Vec<_>>()});
    asked
}

/// Documents of some types, of which no two of a type have the same of the six claims.
fn documents(count: usize, kinds: usize) -> Vec<Map<String, Value>> {
    let one = |index: usize| {
        let held = index / kinds + 1;
        let claims = NAMES.iter().enumerate().filter(|(bit, _)| held >> bit & 1 == 1);
        let claims: Map<String, Value> = claims.map(|(_, name)| ((*name).to_owned(), json!(index))).collect();
        payload(&format!("Kind{}", index % kinds), claims.into())
    };
    (0..count).map(one).collect()
}

fn copies(payloads: &[Map<String, Value>]) -> Vec<AvailableCopy<'_>> {
    let exposures = [CopyExposure::SameVerifier, CopyExposure::NoVerifier];
    let of =
        |(document, payload)| exposures.map(|exposure| AvailableCopy { exposure, ..holding(document, payload, &[]) });
    payloads.iter().enumerate().flat_map(of).collect()
}

#[test]
fn queries_that_have_nothing_in_common_do_not_multiply() {
    for kinds in [2, 4, 8, 40] {
        let payloads = documents(200, kinds);
        let credentials: Vec<Value> = (0..kinds).map(|kind| any_of_six(kind, &[format!("Kind{kind}")])).collect();
        let plan = query(credentials.into(), Value::Null).plan(&copies(&payloads), &Named, &weights()).unwrap();
        // The first document of each type tells least.
        assert_eq!(plan.weight, 221 * u64::try_from(kinds).unwrap(), "{kinds}");
    }
}

#[test]
fn queries_that_documents_join_are_answered_too() {
    let kinds = 4;
    let payloads = documents(200, kinds);
    // Each of them by a document of one type or the next: two documents answer all four.
    let joined = |kind: usize| [format!("Kind{kind}"), format!("Kind{}", (kind + 1) % kinds)];
    let credentials: Vec<Value> = (0..kinds).map(|kind| any_of_six(kind, &joined(kind))).collect();
    let plan = query(credentials.into(), Value::Null).plan(&copies(&payloads), &Named, &weights()).unwrap();
    assert_eq!(plan.weight, 221 * 2);
}

#[test]
fn what_is_too_much_to_compare_is_no_answer() {
    let claims: Vec<String> = (0..64).map(|index| format!("c{index}")).collect();
    let held: Map<String, Value> = claims.iter().map(|name| (name.clone(), json!("x"))).collect();
    let payloads: Vec<Map<String, Value>> = (0..200).map(|_| payload("Kind", held.clone().into())).collect();
    let asked: Vec<Value> = claims.iter().map(|name| claim(name, name)).collect();
    let of = |queries: usize, sets: usize| {
        let one =
            |id: usize| credential(&format!("q{id}"), "Kind", asked.clone().into(), vec![claims.clone(); sets].into());
        let query = query((0..queries).map(one).collect(), Value::Null);
        query
            .plan(&copies(&payloads), &Named, &weights())
            .map(|plan| plan.answers.len())
            .map_err(|problem| problem.code)
    };
    assert_eq!(of(2, 1), Ok(2));
    assert_eq!(of(64, 64), Err(Code::TooLarge));
    // Thirteen sets of two options each are more combinations than the planner examines.
    let pairs: Vec<Value> = (0..26).map(|id| any_of_six(id, &["Kind0".to_owned()])).collect();
    let sets = |count: usize| {
        (0..count).map(|set| json!({"options": [[format!("q{}", 2 * set)], [format!("q{}", 2 * set + 1)]]}))
    };
    let few = documents(3, 1);
    let plan = |count: usize| {
        let query = query(pairs.clone().into(), sets(count).collect());
        query.plan(&copies(&few), &Named, &weights()).map(|plan| plan.weight).map_err(|problem| problem.code)
    };
    assert_eq!(plan(8), Ok(221));
    assert_eq!(plan(13), Err(Code::TooLarge));
}

/// 63 conditions that none of 60 documents meets, in 63 claim sets that would have been lighter: too many to find out
/// which of them are betrayed, so that all count as betrayed.
#[test]
fn what_is_too_much_to_find_out_counts_as_betrayed() {
    let names: Vec<String> = (0..63).map(|index| format!("may{index}")).collect();
    let mut claims: Vec<Value> = names.iter().map(|name| claim(name, name)).collect();
    claims.iter_mut().for_each(|claim| claim["values"] = json!([true]));
    claims.push(claim("name", "name"));
    let sets: Vec<Value> = names.iter().map(|name| json!([name])).chain([json!(["name"])]).collect();
    let query = query(json!([credential("q", "Permit", claims.into(), sets.into())]), Value::Null);
    let held = |name: &str| names.iter().map(|name| (name.clone(), json!(false))).chain([("name".into(), json!(name))]);
    let payloads: Vec<Map<String, Value>> =
        (0..60).map(|index| payload("Permit", held(&format!("{index}")).collect::<Map<_, _>>().into())).collect();
    let implied = |count: usize| {
        let known = copies(&payloads[..count]).into_iter().map(|copy| AvailableCopy { seen_by_verifier: true, ..copy });
        query.plan(&known.collect::<Vec<_>>(), &Named, &weights()).unwrap().implied_conditions.len()
    };
    // Of one document and of many.
    assert_eq!((implied(1), implied(60)), (63, 63 * 60));
}

/// Plans that are tried for what an answer betrays, and how many conditions it does.
fn trials(query: &Query, holdings: &[AvailableCopy<'_>]) -> (u32, usize) {
    let (weights, contested, count) = (weights(), query.contested_claims(holdings), Cell::new(0));
    let solve = |assumed: &BTreeSet<Condition>| {
        query.solve(holdings, &weights, CandidateAnswers::new(&Named, &weights, &contested, assumed))
    };
    let solved = solve(&BTreeSet::new()).unwrap();
    let implied = implied::implied_conditions(query, holdings, &solved, |assumed| {
        count.set(count.get() + 1);
        solve(assumed)
    });
    (count.get(), implied.len())
}

/// An ordinary request is planned once: trials are for alternatives that a visible document does not meet.
#[test]
fn only_alternatives_that_are_not_met_are_tried() {
    let permit =
        |country: &str, until: u16| payload("Permit", json!({"country": country, "name": "A", "until": until}));
    let ordered = until();
    let bound = json!({"id": "u", "path": ["credentialSubject", "until"], "carnet_at_least": 5});
    let mut in_portugal = claim("c", "country");
    in_portugal["values"] = json!(["PT"]);
    let ask = |sets: Value| {
        let claims = json!([in_portugal, bound, claim("n", "name")]);
        query(json!([credential("q", "Permit", claims, sets)]), Value::Null)
    };
    let permits = [permit("PT", 9), permit("DE", 9), permit("PT", 3)];
    let wallet: Vec<AvailableCopy<'_>> =
        permits.iter().enumerate().map(|(document, permit)| holding(document, permit, &ordered)).collect();
    // All claims of one document: there are others in the wallet of which the asker does not know.
    assert_eq!(trials(&ask(Value::Null), &wallet), (0, 0));
    // Alternatives that are met.
    assert_eq!(trials(&ask(json!([["u"], ["n"]])), &wallet[..1]), (0, 0));
    // One that is not: its twin.
    let (count, betrayed) = trials(&ask(json!([["u"], ["n"]])), &wallet[2..]);
    assert!(count > 0 && betrayed == 1, "{count} {betrayed}");
}
