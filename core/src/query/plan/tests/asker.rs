//! The verifier's side of a plan: its conclusions on the hidden values from query, documents and answer.
//!
//! The verifier is given the most that it could have: it knows every document that it was shown, saw before or
//! misses, all of the wallet but the hidden values, and the program. It tries all values and keeps those with which
//! it would have seen the same. The screen names what was proved, what was shown, and what else can be concluded; the
//! values that are left have to be exactly those that fit it.

// A test ends where a sum overflows.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const COUNTRIES: [&str; 2] = ["PT", "FR"];

/// The hidden values of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hidden {
    until: u16,
    born: u16,
    country: usize,
}

/// A document, but for its hidden values.
#[derive(Debug, Clone, Copy)]
struct Made {
    kind: &'static str,
    known: bool,
    proves: bool,
}

fn document(made: Made, hidden: Hidden) -> Map<String, Value> {
    let country = COUNTRIES[hidden.country];
    payload(
        made.kind,
        json!({"until": hidden.until, "born": hidden.born, "country": country, "name": "A", "mayWork": 1}),
    )
}

fn provable() -> Vec<OrderedClaim> {
    let claim = |name: &str, direction| {
        let path = ["credentialSubject", name].map(|name| Step::Name(name.to_owned())).to_vec();
        OrderedClaim { path, direction }
    };
    vec![claim("until", Direction::AtLeast), claim("born", Direction::AtMost)]
}

/// A wallet, and how its query is answered: with or without the check for two bounds.
struct World<'a> {
    query: &'a Query,
    made: &'a [Made],
    checked: bool,
}

/// Verifier's view of an answer: the document for each query, and its disclosures. `None` if there is no answer.
type Transcript = Option<Vec<(String, usize, Vec<(ClaimDisclosure, Option<Value>)>)>>;

impl World<'_> {
    fn plan(&self, hidden: &[Hidden]) -> Option<DisclosurePlan> {
        let payloads: Vec<_> = self.made.iter().zip(hidden).map(|(made, hidden)| document(*made, *hidden)).collect();
        let ordered = provable();
        let each = self.made.iter().zip(&payloads).enumerate();
        let holdings: Vec<AvailableCopy<'_>> = each
            .map(|(index, (made, payload))| {
                let provable = if made.proves { ordered.as_slice() } else { &[] };
                AvailableCopy { seen_by_verifier: made.known, ..holding(index, payload, provable) }
            })
            .collect();
        let contested = if self.checked { self.query.contested_claims(&holdings) } else { BTreeSet::new() };
        self.query.plan_without(&contested, &holdings, &Named, &weights()).ok()
    }

    fn transcript(&self, hidden: &[Hidden]) -> Transcript {
        let plan = self.plan(hidden)?;
        let parts = plan.answers.into_iter().map(|part| {
            let payload = document(self.made[part.copy_index], hidden[part.copy_index]);
            let value = |path: &ClaimPath| values_at(&payload, path).first().map(|(_, value)| (*value).clone());
            let shows = part.disclosures.into_iter().map(|show| {
                let value = if let ClaimDisclosure::Value(path) = &show { value(path) } else { None };
                (show, value)
            });
            (part.query_id, part.copy_index, shows.collect())
        });
        Some(parts.collect())
    }

    /// Returns the documents that the verifier knows of: those that it is shown, has seen or misses.
    fn visible(&self, plan: &DisclosurePlan) -> Vec<usize> {
        let answered = |id: &str| plan.answers.iter().any(|part| part.query_id == id);
        let misses = |index: &usize| {
            let payload = document(self.made[*index], hidden(0));
            let mut open = self.query.credentials.iter().filter(|asked| !answered(&asked.id));
            open.any(|asked| asked.matches_format_and_type(holding(0, &payload, &[]).candidate))
        };
        let shown = |index: &usize| plan.answers.iter().any(|part| part.copy_index == *index);
        (0..self.made.len()).filter(|index| shown(index) || self.made[*index].known || misses(index)).collect()
    }

    /// Returns the hidden values, of those that are tried, with which the verifier would have seen the same.
    fn consistent(&self, actual: &[Hidden], visible: &[usize], tried: &[Hidden]) -> Vec<Vec<Hidden>> {
        let seen = self.transcript(actual);
        assignments(actual, visible, tried).into_iter().filter(|hidden| self.transcript(hidden) == seen).collect()
    }

    /// Returns the hidden values that fit the screen.
    fn screened(
        &self,
        plan: &DisclosurePlan,
        actual: &[Hidden],
        visible: &[usize],
        tried: &[Hidden],
    ) -> Vec<Vec<Hidden>> {
        let payloads = |hidden: &[Hidden]| -> Vec<_> {
            self.made.iter().zip(hidden).map(|(made, hidden)| document(*made, *hidden)).collect()
        };
        let own = payloads(actual);
        let fits = |hidden: &Vec<Hidden>| {
            let other = payloads(hidden);
            let shown = plan.answers.iter().all(|part| {
                part.disclosures.iter().all(|show| match show {
                    ClaimDisclosure::Value(path) => {
                        values_at(&own[part.copy_index], path) == values_at(&other[part.copy_index], path)
                    }
                    ClaimDisclosure::Threshold { path, threshold } => {
                        values_at(&other[part.copy_index], path).iter().all(|(_, value)| threshold.is_met_by(value))
                    }
                })
            });
            shown && plan.implied_conditions.iter().all(|implied| !met(implied, &other[implied.copy_index]))
        };
        assignments(actual, visible, tried).into_iter().filter(fits).collect()
    }
}

/// All ways to give the visible documents hidden values.
fn assignments(actual: &[Hidden], visible: &[usize], tried: &[Hidden]) -> Vec<Vec<Hidden>> {
    visible.iter().fold(vec![actual.to_vec()], |all, index| {
        let with = |one: &Vec<Hidden>, hidden: &Hidden| {
            let mut one = one.clone();
            one[*index] = *hidden;
            one
        };
        all.iter().flat_map(|one| tried.iter().map(|hidden| with(one, hidden))).collect()
    })
}

fn met(implied: &ImpliedCondition, payload: &Map<String, Value>) -> bool {
    let accepts = |value: &Value| match &implied.threshold {
        Some(threshold) => threshold.is_met_by(value),
        None => implied.values.contains(value),
    };
    values_at(payload, &implied.path).iter().any(|(_, value)| accepts(value))
}

/// Claims to ask of documents of a type, with one bound for each direction.
fn any_claims((until, born): (u16, u16)) -> impl Strategy<Value = Vec<Value>> {
    let at = |name: &str| json!({"path": ["credentialSubject", name]});
    let with = |name: &str, member: &str, bound: Value| {
        let mut claim = at(name);
        claim[member] = bound;
        claim
    };
    let claims = vec![
        with("until", "carnet_at_least", json!(until)),
        with("until", "carnet_at_least", json!(until)),
        with("born", "carnet_at_most", json!(born)),
        with("country", "values", json!(["PT"])),
        at("mayWork"),
        at("name"),
        at("until"),
        at("country"),
    ];
    prop::collection::vec(prop::sample::select(claims), 1..4)
}

fn any_credential(id: &'static str, bounds: [(u16, u16); 2]) -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(vec![("Permit", bounds[0]), ("Degree", bounds[1])]);
    let asked = kinds.prop_flat_map(|(kind, bounds)| (any_claims(bounds), Just(kind)));
    let sets = prop::collection::vec(prop::collection::vec(0..4_usize, 1..3), 1..4);
    (asked, sets).prop_map(move |((mut claims, kind), sets)| {
        let count = claims.len();
        claims.iter_mut().enumerate().for_each(|(index, claim)| claim["id"] = format!("c{index}").into());
        let name = |index: usize| format!("c{}", index % count);
        let sets: Vec<Vec<String>> = sets.into_iter().map(|set| set.into_iter().map(name).collect()).collect();
        credential(id, kind, claims.into(), json!(sets))
    })
}

fn any_query() -> impl Strategy<Value = Query> {
    let sets = prop::sample::select(vec![
        Value::Null,
        json!([{"options": [["p"], ["q"]]}]),
        json!([{"options": [["q"], ["p"]]}]),
        json!([{"options": [["p", "q"], ["q"]]}]),
    ]);
    let bounds = (1..4_u16, 0..3_u16);
    let asked = (bounds.clone(), bounds).prop_flat_map(|(permit, degree)| {
        let bounds = [permit, degree];
        (any_credential("p", bounds), any_credential("q", bounds))
    });
    (asked, sets).prop_map(|((p, q), sets)| query(json!([p, q]), sets))
}

fn any_wallet() -> impl Strategy<Value = Vec<(Made, Hidden)>> {
    let made = (prop::sample::select(vec!["Permit", "Degree"]), any::<bool>(), any::<bool>());
    let hidden = (0..4_u16, 0..4_u16, 0..2_usize);
    let one = (made, hidden).prop_map(|((kind, known, hides), (until, born, country))| {
        (Made { kind, known, proves: !hides }, Hidden { until, born, country })
    });
    prop::collection::vec(one, 1..3)
}

/// Every hidden value that a document could have.
fn tried() -> Vec<Hidden> {
    let each = |until| (0..4).flat_map(move |born| (0..2).map(move |country| Hidden { until, born, country }));
    (0..4).flat_map(each).collect()
}

/// The claims that have conditions; a condition is a document and an index here.
const CONDITIONS: [&str; 3] = ["until", "born", "country"];

fn condition_of(holding: usize, path: &ClaimPath) -> Option<(usize, usize)> {
    let Some(Step::Name(last)) = path.last() else { return None };
    Some((holding, CONDITIONS.iter().position(|name| name == last)?))
}

/// Conclusions that a verifier can draw, by brute force, beside those on the screen.
struct Audit {
    /// Unmet conditions that the answer depends on: those whose claim, changed alone, changes the verifier's view in
    /// one of the worlds in which it sees the same and met conditions are met. The screen names the others that are
    /// not met.
    learnt: BTreeSet<(usize, usize)>,
    shown: BTreeSet<(usize, usize)>,
    implied: BTreeSet<(usize, usize)>,
}

impl Audit {
    fn unsaid(&self) -> BTreeSet<(usize, usize)> {
        self.learnt.difference(&(&self.shown | &self.implied)).copied().collect()
    }

    fn said_for_nothing(&self) -> BTreeSet<(usize, usize)> {
        self.implied.difference(&self.learnt).copied().collect()
    }
}

impl World<'_> {
    fn audit(&self, plan: &DisclosurePlan, actual: &[Hidden]) -> Audit {
        let visible = self.visible(plan);
        let consistent: BTreeSet<Vec<Hidden>> = self.consistent(actual, &visible, &tried()).into_iter().collect();
        let others = |hidden: Hidden, which: usize| -> Vec<Hidden> {
            match which {
                0 => (0..4).map(|until| Hidden { until, ..hidden }).collect(),
                1 => (0..4).map(|born| Hidden { born, ..hidden }).collect(),
                _ => (0..2).map(|country| Hidden { country, ..hidden }).collect(),
            }
        };
        let accepts = |hidden: &[Hidden], index: usize, which: usize| {
            let payload = document(self.made[index], hidden[index]);
            let fitting = self
                .query
                .credentials
                .iter()
                .filter(|asked| asked.matches_format_and_type(holding(0, &payload, &[]).candidate));
            let claims = fitting.flat_map(|asked| &asked.claims);
            let own = claims.filter(|claim| claim.threshold.is_some() || !claim.values.is_empty());
            let mut own = own.filter(|claim| condition_of(index, &claim.path) == Some((index, which)));
            own.any(|claim| values_at(&payload, &claim.path).iter().any(|(_, value)| claim.accepts(value)))
        };
        let all: Vec<_> =
            visible.iter().flat_map(|index| (0..CONDITIONS.len()).map(move |which| (*index, which))).collect();
        let (met, unmet): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(index, which)| accepts(actual, *index, *which));
        let keeps = |hidden: &&Vec<Hidden>| met.iter().all(|(index, which)| accepts(hidden, *index, *which));
        let worlds: Vec<&Vec<Hidden>> = consistent.iter().filter(keeps).collect();
        let changes = |hidden: &[Hidden], index: usize, which: usize| {
            others(hidden[index], which).into_iter().any(|other| {
                let mut changed = hidden.to_vec();
                changed[index] = other;
                !consistent.contains(&changed)
            })
        };
        let learnt = unmet.into_iter().filter(|(index, which)| worlds.iter().any(|one| changes(one, *index, *which)));
        let shown =
            plan.answers.iter().flat_map(|part| part.disclosures.iter().map(move |show| (part.copy_index, show)));
        let shown = shown.filter_map(|(holding, show)| match show {
            ClaimDisclosure::Value(path) | ClaimDisclosure::Threshold { path, .. } => condition_of(holding, path),
        });
        let implied =
            plan.implied_conditions.iter().filter_map(|implied| condition_of(implied.copy_index, &implied.path));
        Audit { learnt: learnt.collect(), shown: shown.collect(), implied: implied.collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn an_asker_learns_what_the_screen_says_and_nothing_more(query in any_query(), wallet in any_wallet()) {
        let (made, actual): (Vec<Made>, Vec<Hidden>) = wallet.into_iter().unzip();
        let world = World { query: &query, made: &made, checked: true };
        let Some(plan) = world.plan(&actual) else { return Ok(()) };
        let visible = world.visible(&plan);
        let consistent = world.consistent(&actual, &visible, &tried());
        let screened = world.screened(&plan, &actual, &visible, &tried());
        // Nothing that the screen leaves open can be ruled out.
        prop_assert!(screened.iter().all(|hidden| consistent.contains(hidden)));
        // The screen names exactly the conditions that the answer depends on.
        let audit = world.audit(&plan, &actual);
        prop_assert_eq!(audit.unsaid(), BTreeSet::new());
        prop_assert_eq!(audit.said_for_nothing(), BTreeSet::new());
        // Where each condition is betrayed by itself, the screen says all that there is to learn.
        let payload = |hidden: &[Hidden], implied: &ImpliedCondition| document(made[implied.copy_index], hidden[implied.copy_index]);
        let meets = |hidden: &[Hidden], implied: &ImpliedCondition| met(implied, &payload(hidden, implied));
        if plan.implied_conditions.iter().all(|implied| !consistent.iter().any(|hidden| meets(hidden, implied))) {
            prop_assert_eq!(&consistent, &screened);
        }
    }

    /// Silence tells no more than the outcome of the conditions that were asked.
    #[test]
    fn silence_tells_nothing_but_the_outcome_of_the_bounds(query in any_query(), wallet in any_wallet()) {
        let (made, actual): (Vec<Made>, Vec<Hidden>) = wallet.into_iter().unzip();
        let world = World { query: &query, made: &made, checked: true };
        prop_assume!(world.plan(&actual).is_none());
        let all: Vec<usize> = (0..made.len()).collect();
        let outcomes = |hidden: &[Hidden]| -> Vec<bool> {
            let claims = || query.credentials.iter().flat_map(|asked| &asked.claims);
            let each = made.iter().zip(hidden).map(|(made, hidden)| document(*made, *hidden));
            each.flat_map(|payload| {
                claims().map(|claim| values_at(&payload, &claim.path).iter().any(|(_, v)| claim.accepts(v))).collect::<Vec<_>>()
            }).collect()
        };
        let consistent = world.consistent(&actual, &all, &tried());
        let alike = assignments(&actual, &all, &tried()).into_iter().filter(|hidden| outcomes(hidden) == outcomes(&actual));
        for hidden in alike {
            prop_assert!(consistent.contains(&hidden));
        }
    }
}

const PERMIT: Made = Made { kind: "Permit", known: true, proves: true };

fn hidden(until: u16) -> Hidden {
    Hidden { until, born: 0, country: 0 }
}

/// A query of 64 claim sets for one bound, and the same with other bounds, which no verifier's query can have.
fn ladder(bound: impl Fn(u16) -> u16) -> Query {
    let path = json!(["credentialSubject", "until"]);
    let claims = (0..64).map(|index| json!({"id": format!("c{index}"), "path": path, "carnet_at_least": 40}));
    let sets: Value = (0..64).map(|index| json!([format!("c{index}")])).collect();
    let mut query = query(json!([credential("p", "Permit", claims.collect(), sets)]), Value::Null);
    for (index, claim) in (0..).zip(&mut query.credentials[0].claims) {
        claim.threshold = Some(Threshold::new(Direction::AtLeast, bound(index).into()).unwrap());
    }
    query
}

#[test]
fn an_asker_with_many_bounds_would_learn_the_value() {
    let tried: Vec<Hidden> = (0..64).map(hidden).collect();
    let learns = |query: &Query, checked: bool| {
        let world = World { query, made: &[PERMIT], checked };
        let actual = [hidden(40)];
        // The proved bounds, and nothing besides.
        let plan = DisclosurePlan { implied_conditions: Vec::new(), ..world.plan(&actual).unwrap() };
        let of = |known: Vec<Vec<Hidden>>| known.iter().map(|hidden| hidden[0].until).collect::<Vec<_>>();
        let consistent = of(world.consistent(&actual, &[0], &tried));
        (consistent, of(world.screened(&plan, &actual, &[0], &tried)))
    };
    let (learnt, shown) = learns(&ladder(|_| 40), true);
    assert_eq!((learnt.clone(), learnt), (shown, (40..64).collect()));
    // With the check switched off: the tightest bound that holds is proved, and the next one fails.
    let tight = ladder(|index| 63 - index);
    let (learnt, shown) = learns(&tight, false);
    assert_eq!((learnt, shown.len()), (vec![40], 24));
    assert!(World { query: &tight, made: &[PERMIT], checked: true }.plan(&[hidden(40)]).is_none());
    assert_eq!(Query::parse(&tight.to_json()).unwrap_err().code, Code::QueryMalformed);
}

#[test]
fn an_asker_learns_from_the_other_choice_and_the_screen_says_so() {
    let bound = json!({"id": "a", "path": ["credentialSubject", "until"], "carnet_at_least": 2});
    let claims = json!([bound, claim("b", "name")]);
    let query = query(json!([credential("p", "Permit", claims, json!([["a"], ["b"]]))]), Value::Null);
    let world = World { query: &query, made: &[PERMIT], checked: true };
    let tried: Vec<Hidden> = (0..4).map(hidden).collect();
    let plan = world.plan(&[hidden(1)]).unwrap();
    assert_eq!((shown(&plan), plan.implied_conditions.len()), (vec!["name".to_owned()], 1));
    let learnt = world.consistent(&[hidden(1)], &[0], &tried);
    assert_eq!(learnt, world.screened(&plan, &[hidden(1)], &[0], &tried));
    assert_eq!(learnt, [[hidden(0)], [hidden(1)]]);
    // If the screen did not name it, the verifier would learn more than the screen shows.
    let unsaid = DisclosurePlan { implied_conditions: Vec::new(), ..plan };
    assert_eq!(world.screened(&unsaid, &[hidden(1)], &[0], &tried).len(), 4);
    // A choice that does not depend on the value tells nothing, and the screen names nothing.
    let reached = world.plan(&[hidden(3)]).unwrap();
    assert_eq!((shown(&reached), reached.implied_conditions), (vec!["until>".to_owned()], Vec::new()));
    let weights = DisclosureWeights { threshold: 40, ..weights() };
    let payload = document(PERMIT, hidden(1));
    let ordered = provable();
    let plan = query.plan(&[holding(0, &payload, &ordered)], &Named, &weights).unwrap();
    assert_eq!((shown(&plan), plan.implied_conditions), (vec!["name".to_owned()], Vec::new()));
}

/// Two conditions that are betrayed only together: a rule that looks at single ones says nothing of them.
#[test]
fn an_asker_learns_from_two_conditions_together_and_the_screen_says_both() {
    let until = json!({"id": "a", "path": ["credentialSubject", "until"], "carnet_at_least": 2});
    let born = json!({"id": "b", "path": ["credentialSubject", "born"], "carnet_at_most": 1});
    let claims = json!([until, born, claim("c", "name")]);
    let query = query(json!([credential("p", "Permit", claims, json!([["a", "b"], ["c"]]))]), Value::Null);
    let world = World { query: &query, made: &[PERMIT], checked: true };
    let with = |until: u16, born: u16| [Hidden { until, born, country: 0 }];
    let plan = world.plan(&with(1, 2)).unwrap();
    assert_eq!((shown(&plan), plan.implied_conditions.len()), (vec!["name".to_owned()], 2));
    let audit = world.audit(&plan, &with(1, 2));
    assert_eq!((audit.unsaid(), audit.said_for_nothing()), (BTreeSet::new(), BTreeSet::new()));
    // Neither is ruled out by itself, so single conditions change nothing; the verifier still learns something.
    for one in [with(3, 2), with(1, 0)] {
        assert_eq!(shown(&world.plan(&one).unwrap()), ["name"]);
    }
    let singles = DisclosurePlan { implied_conditions: Vec::new(), ..plan };
    assert_eq!(world.audit(&singles, &with(1, 2)).unsaid(), BTreeSet::from([(0, 0), (0, 1)]));
}

#[test]
fn two_types_of_one_document_would_tell_two_bounds() {
    let asked = |id: &str, kind: &str, bound: u16| {
        let bound = json!({"id": "a", "path": ["credentialSubject", "until"], "carnet_at_least": bound});
        credential(id, kind, json!([bound]), Value::Null)
    };
    let credentials = json!([
        asked("p", "Permit", 3),
        asked("q", "Visa", 2),
        credential("r", "Permit", json!([claim("b", "name")]), Value::Null)
    ]);
    let query = query(credentials, json!([{"options": [["p"], ["q"], ["r"]]}]));
    let both = |until: u16| {
        let mut payload = document(PERMIT, hidden(until));
        payload.insert("type".to_owned(), json!(["VerifiableCredential", "Permit", "Visa"]));
        payload
    };
    let ordered = provable();
    let shows = |until: u16, checked: bool| {
        let payload = both(until);
        let holdings = [holding(0, &payload, &ordered)];
        let contested = if checked { query.contested_claims(&holdings) } else { BTreeSet::new() };
        let plan = query.plan_without(&contested, &holdings, &Named, &weights()).unwrap();
        plan.answers.iter().map(|part| (part.query_id.clone(), part.disclosures.clone())).collect::<Vec<_>>()
    };
    assert!((0..4).all(|until| shows(until, true) == shows(0, true)));
    // Without the check each side of both bounds looks different.
    assert!(shows(1, false) != shows(2, false) && shows(2, false) != shows(3, false));
}
