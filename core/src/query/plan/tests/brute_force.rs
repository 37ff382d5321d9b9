//! The plan compared with every answer that there is, made and weighed by other means.

// A test ends where a sum overflows.
#![allow(clippy::arithmetic_side_effects)]

use crate::format::CredentialFormat;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Claims without parts, by their paths below the subject, and their weights.
const PARTS: [(&[&str], u64); 6] = [
    (&["mayWork"], 1),
    (&["country"], 10),
    (&["number"], 100),
    (&["until"], 30),
    (&["place", "name"], 30),
    (&["place", "country"], 10),
];
/// The bounds that `until` is asked to reach, one of each type in a query; each can be proved beside the values.
const BOUNDS: [&str; 2] = ["2026-01-01", "2027-01-01"];
const PROOF: u64 = 5;

/// Generates a claims query, where `until` has to reach a bound.
fn any_claim(bound: &'static str) -> impl Strategy<Value = Value> {
    let at = |path: &[&str]| json!({"path": path});
    prop::sample::select(vec![
        at(&["credentialSubject", "mayWork"]),
        at(&["credentialSubject", "country"]),
        json!({"path": ["credentialSubject", "country"], "values": ["PT"]}),
        at(&["credentialSubject", "number"]),
        at(&["credentialSubject", "until"]),
        json!({"path": ["credentialSubject", "until"], "carnet_at_least": bound}),
        json!({"path": ["credentialSubject", "until"], "carnet_at_least": bound}),
        at(&["credentialSubject", "place"]),
        at(&["credentialSubject", "place", "country"]),
        at(&["credentialSubject"]),
    ])
}

/// A query for one of two types, of which each has its own bound.
fn any_credential(id: &'static str, bounds: [&'static str; 2]) -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![("Permit", bounds[0]), ("Degree", bounds[1])]);
    let asked = kinds.prop_flat_map(|(kind, bound)| (prop::collection::vec(any_claim(bound), 0..4), Just(kind)));
    let sets = prop::collection::vec(prop::collection::vec(0..4_usize, 1..4), 0..4);
    (asked, sets).prop_map(move |((mut claims, kind), sets)| {
        let count = claims.len();
        claims.iter_mut().enumerate().for_each(|(index, claim)| claim["id"] = format!("c{index}").into());
        let sets: Vec<Vec<String>> = sets
            .into_iter()
            .filter(|_| count > 0)
            .map(|set| set.into_iter().map(|index| format!("c{}", index % count)).collect())
            .collect();
        let mut asked = credential(id, kind, claims.into(), if sets.is_empty() { Value::Null } else { json!(sets) });
        if count == 0 {
            asked.as_object_mut().unwrap().remove("claims");
        }
        asked
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let sets = prop::sample::select(vec![
        Value::Null,
        json!([{"options": [["p"], ["q", "r"]]}]),
        json!([{"options": [["p", "q"], ["r"]]}, {"options": [["q"], ["p"]]}]),
        json!([{"options": [["r", "q"], ["q"], ["p"]]}]),
        json!([{"options": [["p"]]}, {"options": [["q"]], "required": false}]),
    ]);
    let bound = || prop::sample::select(&BOUNDS[..]);
    let asked = (bound(), bound()).prop_flat_map(|(permit, degree)| {
        let bounds = [permit, degree];
        (any_credential("p", bounds), any_credential("q", bounds), any_credential("r", bounds))
    });
    (asked, sets).prop_map(|((p, q, r), sets)| query(json!([p, q, r]), sets))
}

/// One copy that was made up.
#[derive(Debug, Clone)]
struct Made {
    kind: &'static str,
    /// Indices into [`PARTS`].
    parts: Vec<usize>,
    country: &'static str,
    until: &'static str,
    proves: bool,
    exposure: u8,
    known: bool,
    refused: bool,
    /// `true` for another copy of the document before it; some of its claims may be out of use.
    another_copy: bool,
}

fn any_wallet() -> impl Strategy<Value = Vec<Made>> {
    let part = prop::sample::subsequence((0..PARTS.len()).collect::<Vec<_>>(), 0..=PARTS.len());
    let values = (prop::sample::select(vec!["PT", "FR"]), prop::sample::select(vec!["2026-06-01", "2027-06-01"]));
    let flags = (any::<bool>(), 0..3_u8, any::<bool>(), any::<bool>(), any::<bool>());
    let made = (prop::sample::select(vec!["Permit", "Degree"]), part, values, flags).prop_map(
        |(kind, parts, (country, until), (proves, exposure, known, refused, another_copy))| Made {
            kind,
            parts,
            country,
            until,
            proves,
            exposure,
            known,
            refused,
            another_copy,
        },
    );
    prop::collection::vec(made, 0..6)
}

fn payload_of(made: &Made, parts: u32) -> Map<String, Value> {
    let mut claims = json!({});
    for part in made.parts.iter().filter(|part| parts >> **part & 1 == 1) {
        let path = PARTS[*part].0;
        let value = match path {
            ["country"] => json!(made.country),
            ["until"] => json!(made.until),
            _ => json!("x"),
        };
        match path {
            [name] => claims[*name] = value,
            [around, name] => claims[*around][*name] = value,
            _ => unreachable!(),
        }
    }
    payload(made.kind, claims)
}

fn held<'a>(
    wallet: &[Made],
    payloads: &'a [Map<String, Value>],
    provable: &'a [OrderedClaim],
) -> Vec<AvailableCopy<'a>> {
    let (mut document, mut known, mut refused) = (0, false, false);
    let each = wallet.iter().zip(payloads);
    each.map(|(made, payload)| {
        if !made.another_copy || document == 0 {
            document += 1;
            known = made.known;
            refused = made.refused;
        }
        let exposure = match made.exposure {
            0 => CopyExposure::NoVerifier,
            1 => CopyExposure::SameVerifier,
            _ => CopyExposure::OtherVerifiers(1),
        };
        AvailableCopy {
            exposure,
            seen_by_verifier: known,
            refused_before: refused,
            ..holding(document, payload, if made.proves { provable } else { &[] })
        }
    })
    .collect()
}

/// A part of an answer: a copy, which parts of it are shown, and which bounds are proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Showing {
    holding: usize,
    parts: u32,
    bounds: u32,
}

/// The first claim set of a credential query that a showing meets, as its verifier sees it: `None` if it meets none.
fn met(asked: &CredentialQuery, made: &Made, showing: Showing) -> Option<usize> {
    let (visible, whole) = (payload_of(made, showing.parts), payload_of(made, u32::MAX));
    if !asked.matches_format_and_type(QueryCandidate {
        format: CredentialFormat::VcSdJwt,
        payload: &whole,
        thresholds: &[],
    }) {
        return None;
    }
    let is_shown = |claim: &ClaimQuery| {
        let (seen, all) = (values_at(&visible, &claim.path), values_at(&whole, &claim.path));
        // The subject as such, and an object, are shown with all that is in them.
        seen == all && seen.iter().any(|(_, value)| claim.accepts(value))
    };
    let reaches = |bound: &Value| {
        values_at(&whole, &until()[0].path)
            .iter()
            .any(|(_, value)| Threshold::new(Direction::AtLeast, bound.clone()).unwrap().is_met_by(value))
    };
    let is_met = |claim: &ClaimQuery, beside: &[&ClaimQuery]| match &claim.threshold {
        Some(threshold) if made.proves => {
            let bound = BOUNDS.iter().position(|bound| threshold.bound() == bound).unwrap();
            let proved = showing.bounds >> bound & 1 == 1 && reaches(threshold.bound());
            // The value replaces a proof only if it has to be disclosed anyway.
            let asked_for = beside.iter().any(|other| other.threshold.is_none() && claim.path.starts_with(&other.path));
            proved || asked_for && is_shown(claim)
        }
        _ => is_shown(claim),
    };
    let sets: Vec<Vec<&ClaimQuery>> = if asked.claim_sets.is_empty() {
        vec![asked.claims.iter().collect()]
    } else {
        let named = |id: &String| asked.claims.iter().find(|claim| claim.id.as_ref() == Some(id)).unwrap();
        asked.claim_sets.iter().map(|set| set.iter().map(named).collect()).collect()
    };
    sets.iter().position(|set| set.iter().all(|claim| is_met(claim, set)))
}

/// Every showing that answers a credential query and of which nothing can be left out, with the claim set that it
/// meets.
fn showings(asked: &CredentialQuery, wallet: &[Made]) -> Vec<(Showing, usize)> {
    let mut all = Vec::new();
    for (holding, made) in wallet.iter().enumerate() {
        let has = made.parts.iter().fold(0_u32, |has, part| has | 1 << part);
        let bounds = if made.proves { 1 << BOUNDS.len() } else { 1 };
        let mut own: Vec<(Showing, usize)> = Vec::new();
        for parts in (0..1_u32 << PARTS.len()).filter(|parts| parts & !has == 0) {
            for bounds in 0..bounds {
                let showing = Showing { holding, parts, bounds };
                own.extend(met(asked, made, showing).map(|set| (showing, set)));
            }
        }
        let more = |one: &Showing, other: &Showing| {
            one != other && other.parts & !one.parts == 0 && other.bounds & !one.bounds == 0
        };
        let least = own.iter().filter(|(one, _)| !own.iter().any(|(other, _)| more(one, other)));
        all.extend(least.copied());
    }
    all
}

/// Ranking of answers: the weight, the number of refused documents, the verifier's order of combinations, the number of
/// disclosed claims, the verifier's order of claim sets, the wallet's order.
type Rank = ((u64, usize), Vec<usize>, u32, Vec<usize>, Vec<usize>);

fn cost(chosen: &[Showing], holdings: &[AvailableCopy<'_>]) -> u64 {
    let mut counted = BTreeSet::new();
    let mut sum = 0;
    let mut count = |what: (usize, usize, usize), cost: u64| {
        if counted.insert(what) {
            sum += cost;
        }
    };
    for showing in chosen {
        let held = &holdings[showing.holding];
        count((0, held.document, 0), if held.seen_by_verifier && !held.refused_before { 200 } else { 220 });
        let copy = match held.exposure {
            CopyExposure::NoVerifier => 2,
            CopyExposure::SameVerifier if held.refused_before => 2,
            CopyExposure::SameVerifier => 0,
            CopyExposure::OtherVerifiers(others) => 100_000 * u64::try_from(others).unwrap(),
        };
        count((1, showing.holding, 0), copy);
        for (part, (_, cost)) in PARTS.iter().enumerate().filter(|(part, _)| showing.parts >> part & 1 == 1) {
            count((2, held.document, part), *cost);
        }
        for bound in (0..BOUNDS.len()).filter(|bound| showing.bounds >> bound & 1 == 1) {
            count((3, held.document, bound), PROOF);
        }
    }
    sum
}

/// Returns the least answer, and among those of equal weight the verifier's first, then the wallet's first: its
/// weight, and for each answered credential query its disclosures.
fn brute_force(query: &Query, wallet: &[Made], holdings: &[AvailableCopy<'_>]) -> Option<(u64, Vec<(usize, Showing)>)> {
    let all: Vec<Vec<Option<(Showing, usize)>>> = query
        .credentials
        .iter()
        .map(|asked| showings(asked, wallet).into_iter().map(Some).chain([None]).collect())
        .collect();
    // The verifier's order of combinations: which option of each required set comes first among those that are
    // answered.
    let order = |ids: &[&str]| -> Vec<usize> {
        let required = query.credential_sets.iter().filter(|set| set.required);
        required
            .map(|set| {
                let is_met = |option: &Vec<String>| option.iter().all(|id| ids.contains(&id.as_str()));
                set.options.iter().position(is_met).unwrap_or(usize::MAX)
            })
            .collect()
    };
    let mut best: Option<(Rank, Vec<(usize, Showing)>)> = None;
    for p in &all[0] {
        for q in &all[1] {
            for r in &all[2] {
                let answered: Vec<(usize, Showing, usize)> = [p, q, r]
                    .into_iter()
                    .enumerate()
                    .filter_map(|(index, one)| one.map(|(showing, set)| (index, showing, set)))
                    .collect();
                let ids: Vec<&str> = answered.iter().map(|(index, ..)| query.credentials[*index].id.as_str()).collect();
                // Nothing that could be left out.
                let without =
                    |left_out: &&str| -> Vec<&str> { ids.iter().copied().filter(|id| id != left_out).collect() };
                if query.check_presented_ids(&ids).is_err()
                    || ids.iter().any(|id| query.check_presented_ids(&without(id)).is_ok())
                {
                    continue;
                }
                let clash = answered.iter().any(|(_, one, _)| {
                    answered.iter().any(|(_, other, _)| {
                        one.holding != other.holding
                            && holdings[one.holding].document == holdings[other.holding].document
                    })
                });
                if clash {
                    continue;
                }
                let chosen: Vec<Showing> = answered.iter().map(|(_, showing, _)| *showing).collect();
                let sets = answered.iter().map(|(.., set)| *set).collect();
                let places = chosen.iter().map(|showing| showing.holding).collect();
                let told = chosen.iter().map(|one| one.parts.count_ones() + one.bounds.count_ones()).sum();
                let refused = chosen.iter().filter(|one| holdings[one.holding].refused_before).count();
                let key = ((cost(&chosen, holdings), refused), order(&ids), told, sets, places);
                if best.as_ref().is_none_or(|(least, _)| key < *least) {
                    let shown = answered.iter().map(|(index, showing, _)| (*index, *showing)).collect();
                    best = Some((key, shown));
                }
            }
        }
    }
    best.map(|(((cost, _), ..), shown)| (cost, shown))
}

/// A part of a plan, as brute force has it.
fn showing_of(part: &PlannedAnswer, made: &Made) -> Showing {
    let mut showing = Showing { holding: part.copy_index, parts: 0, bounds: 0 };
    for show in &part.disclosures {
        match show {
            ClaimDisclosure::Value(path) => {
                for part in &made.parts {
                    let names = std::iter::once(&"credentialSubject").chain(PARTS[*part].0);
                    let whole: ClaimPath = names.map(|name| Step::Name((*name).to_owned())).collect();
                    showing.parts |= u32::from(whole.starts_with(path)) << part;
                }
            }
            ClaimDisclosure::Threshold { threshold, .. } => {
                let bound = BOUNDS.iter().position(|bound| threshold.bound() == bound).unwrap();
                showing.bounds |= 1 << bound;
            }
        }
    }
    showing
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// With nothing that the query does not need, and nothing at all if it cannot be met.
    #[test]
    fn the_plan_is_what_brute_force_finds(query in any_query(), wallet in any_wallet()) {
        let payloads: Vec<_> = wallet.iter().map(|made| payload_of(made, u32::MAX)).collect();
        let ordered = until();
        let holdings = held(&wallet, &payloads, &ordered);
        let planned = query.plan(&holdings, &Named, &weights());
        let Some((cost, shown)) = brute_force(&query, &wallet, &holdings) else {
            prop_assert_eq!(planned.map_err(|problem| problem.code), Err(Code::QueryUnmet));
            return Ok(());
        };
        let plan = planned.unwrap();
        prop_assert_eq!(plan.weight, cost);
        let index = |id: &str| query.credentials.iter().position(|credential| credential.id == id).unwrap();
        let parts: Vec<(usize, Showing)> =
            plan.answers.iter().map(|part| (index(&part.query_id), showing_of(part, &wallet[part.copy_index]))).collect();
        prop_assert_eq!(&parts, &shown);
        // The lines add up.
        let counted = plan.explanation.iter().filter(|line| !matches!(line.item, PlanItem::Alternative { .. }));
        prop_assert_eq!(counted.map(|line| line.weight).sum::<u64>(), plan.weight);
        // Without any one of the disclosures, the verifier is not answered.
        for (part, (index, _)) in plan.answers.iter().zip(&parts) {
            for left_out in 0..part.disclosures.len() {
                let mut less = part.clone();
                less.disclosures.remove(left_out);
                let made = &wallet[part.copy_index];
                let less = showing_of(&less, made);
                // An object that is empty, or of which nothing is told, is no disclosure.
                let told = less != showing_of(part, made);
                prop_assert!(!told || met(&query.credentials[*index], made, less).is_none());
            }
        }
    }

    #[test]
    fn what_does_not_answer_does_not_change_the_answer(
        query in any_query(),
        wallet in any_wallet(),
        at in any::<prop::sample::Index>(),
    ) {
        let payloads: Vec<_> = wallet.iter().map(|made| payload_of(made, u32::MAX)).collect();
        let ordered = until();
        let holdings = held(&wallet, &payloads, &ordered);
        let plan = |holdings: &[AvailableCopy<'_>]| query.plan(holdings, &Named, &weights()).ok();
        let stranger = payload("Stranger", json!({"mayWork": "x"}));
        let at = at.index(holdings.len() + 1);
        let mut more = holdings.clone();
        more.insert(at, holding(99, &stranger, &[]));
        // The part behind it moved up by one.
        let moved = |mut plan: DisclosurePlan| {
            let back = |holding: &mut usize| *holding -= usize::from(*holding > at);
            plan.answers.iter_mut().for_each(|part| back(&mut part.copy_index));
            plan.implied_conditions.iter_mut().for_each(|implied| back(&mut implied.copy_index));
            for line in &mut plan.explanation {
                if let PlanItem::Document { copy_index, .. } | PlanItem::Alternative { copy_index } = &mut line.item {
                    back(copy_index);
                }
            }
            plan
        };
        prop_assert_eq!(plan(&holdings), plan(&more).map(moved));
        prop_assert_eq!(plan(&holdings), plan(&holdings));
    }
}
