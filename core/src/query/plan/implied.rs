//! Implied conditions: unmet conditions of the query whose outcome the verifier can infer from the answer, although
//! nothing about them is disclosed.
//!
//! The verifier knows the query, the algorithm and the documents that are visible to it, but not the outcome of the
//! open conditions. For a set S of conditions that are assumed to be met, the wallet chooses the first of all complete
//! answers that are then available, in an order that does not depend on S: weight, then combination, fewer disclosures,
//! claim sets, copies. A candidate answer or copy that is left out before the search ranks after an available one
//! whenever they are compared, so leaving it out changes no choice.
//!
//! Let F be the family of the sets S under which the given answer is chosen. The verifier learns that the set of met
//! conditions is one of F. As a larger S only adds answers, F is closed under subsets: an added condition changes the
//! choice if and only if it completes an answer that ranks earlier, and that answer stays available. An answer that
//! rests on an assumed condition is never mistaken for the given one: it proves a threshold that the other does not, or
//! discloses a value that is absent.
//!
//! A condition is implied if F depends on it, that is, if it is in a minimal set outside F. While the implied
//! conditions are unmet, all others can be met or not, in any combination, and the answer is the same. That also holds
//! for conditions that are met and not disclosed: without them, there would be fewer answers to choose from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    AvailableCopy, ClaimDisclosure, ClaimQuery, ImpliedCondition, Solution,
    candidates::{CandidateAnswer, Condition},
};
use crate::{
    Problem,
    at_least::{Direction, OrderedValue},
    query::{Query, values_at},
    secure::sd_jwt::ClaimPath,
};

/// Maximum number of answers that are tried. If they do not suffice, every open condition counts as implied.
const MAX_TRIALS: u32 = 128;

/// Maximum work of all trials together, in the units of [`Solution::work`]; the last trial may exceed it.
const MAX_WORK: u64 = 1_000_000;

/// Maximum number of conditions whose combinations are tried, of those that are implied only together with others.
const MAX_JOINT: usize = 6;

/// Finds the unmet conditions that the verifier can infer from the answer. `solve` returns the answer that would be
/// given if a set of conditions were met.
pub(super) fn implied_conditions(
    query: &Query,
    holdings: &[AvailableCopy<'_>],
    solved: &Solution,
    solve: impl Fn(&BTreeSet<Condition>) -> Result<Solution, Problem>,
) -> Vec<ImpliedCondition> {
    // A condition on a document is one entry, even if several credential queries state it.
    let mut open: BTreeMap<DocumentCondition<'_>, BTreeSet<Condition>> = BTreeMap::new();
    for condition in open_conditions(query, holdings, solved) {
        if let Some((_, claim)) = claim_of(query, condition) {
            open.entry(DocumentCondition::new(condition.document, claim)).or_default().insert(condition);
        }
    }
    let open: Vec<BTreeSet<Condition>> = open.into_values().collect();
    let mut trials = Trials { open: &open, given: solved.chosen(), solve, count: 0, work: 0 };
    let betrayed = trials.implied_indices();
    let conditions = betrayed.iter().filter_map(|index| open.get(*index)?.first().copied());
    let said = |condition: Condition| {
        let (query_id, claim) = claim_of(query, condition)?;
        Some(ImpliedCondition {
            query_id: query_id.to_owned(),
            copy_index: holdings.iter().position(|holding| holding.document == condition.document)?,
            path: claim.path.clone(),
            threshold: claim.threshold.clone(),
            values: claim.values.clone(),
        })
    };
    let mut conditions: Vec<Condition> = conditions.collect();
    conditions.sort_unstable();
    conditions.into_iter().filter_map(said).collect()
}

/// Condition on a document, which several credential queries may state.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct DocumentCondition<'a> {
    document: usize,
    path: &'a ClaimPath,
    threshold: Option<(Direction, OrderedValue)>,
    /// The accepted values as JSON.
    values: String,
}

impl<'a> DocumentCondition<'a> {
    fn new(document: usize, claim: &'a ClaimQuery) -> Self {
        let threshold = claim.threshold.as_ref().map(|threshold| (threshold.direction(), threshold.comparable_bound()));
        let values = claim.values.iter().map(Value::to_string).collect::<Vec<_>>().join(",");
        Self { document, path: &claim.path, threshold, values }
    }
}

/// Test of sets of conditions for membership in F (see the module), by solving the query, within a budget. Conditions
/// are identified by their indices in `open`.
struct Trials<'a, S> {
    open: &'a [BTreeSet<Condition>],
    given: Vec<(usize, usize, usize)>,
    solve: S,
    count: u32,
    work: u64,
}

impl<S: Fn(&BTreeSet<Condition>) -> Result<Solution, Problem>> Trials<'_, S> {
    /// Returns the conditions on which F depends, or all open conditions if the budget does not suffice.
    fn implied_indices(&mut self) -> BTreeSet<usize> {
        // Conditions that lead outside F alone are in no other minimal set outside F.
        let (mut alone, mut joint) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let settled = |one: &usize| alone.contains(one) || joint.contains(one);
            let rest: Vec<usize> = (0..self.open.len()).filter(|one| !settled(one)).collect();
            match self.next_dependency(&joint, &rest) {
                Some(found) if found.is_empty() => return alone.union(&joint).copied().collect(),
                Some(found) => {
                    let by_itself = found.len() == 1 && self.differs(&found) == Some(true);
                    if by_itself { &mut alone } else { &mut joint }.extend(found);
                }
                None => return (0..self.open.len()).collect(),
            }
        }
    }

    /// Finds conditions of `rest` on which F depends; empty if it depends on none of them, `None` if the budget is
    /// spent. A minimal set outside F that has one of them consists of a set S of `joint` that is in F, and some of
    /// `rest`: S with all of `rest` is outside too.
    fn next_dependency(&mut self, joint: &BTreeSet<usize>, rest: &[usize]) -> Option<Vec<usize>> {
        if joint.len() > MAX_JOINT {
            return None;
        }
        for subset in 0_u32..1 << joint.len() {
            let chosen = joint.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
            let chosen: Vec<usize> = chosen.map(|(_, one)| *one).collect();
            if self.differs(&[&chosen, rest].concat())? && !self.differs(&chosen)? {
                return self.minimal(chosen, rest);
            }
        }
        Some(Vec::new())
    }

    /// Returns a minimal list of conditions of `rest` that, with `chosen`, is outside F; `chosen` itself is in F. The
    /// last condition of the shortest prefix of `rest` that leads outside F is one of them. `None` if the budget is
    /// spent.
    fn minimal(&mut self, mut chosen: Vec<usize>, mut rest: &[usize]) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        while !self.differs(&chosen)? {
            // With the first `inside` conditions the answer is the same; with the first `outside` it differs.
            let (mut inside, mut outside) = (0, rest.len());
            while outside.saturating_sub(inside) > 1 {
                let middle = usize::midpoint(inside, outside);
                let tried = [chosen.as_slice(), rest.get(..middle)?].concat();
                if self.differs(&tried)? { outside = middle } else { inside = middle }
            }
            let one = *rest.get(inside)?;
            found.push(one);
            chosen.push(one);
            rest = rest.get(..inside)?;
        }
        Some(found)
    }

    /// Returns whether the answer would differ if these conditions were met; `None` if the budget is spent.
    fn differs(&mut self, assumed: &[usize]) -> Option<bool> {
        if assumed.is_empty() {
            return Some(false);
        }
        if self.count >= MAX_TRIALS || self.work > MAX_WORK {
            return None;
        }
        let assumed = assumed.iter().filter_map(|index| self.open.get(*index)).flatten().copied().collect();
        let other = (self.solve)(&assumed).ok()?;
        self.count = self.count.saturating_add(1);
        self.work = self.work.saturating_add(other.work);
        Some(other.chosen() != self.given)
    }
}

/// Returns the unmet conditions on documents that the verifier knows of, and whose values are not disclosed. The
/// verifier knows of a document if it is presented, was presented to it before, or could have answered a credential
/// query that is left unanswered.
fn open_conditions(query: &Query, holdings: &[AvailableCopy<'_>], solved: &Solution) -> Vec<Condition> {
    let mut shown: BTreeMap<usize, Vec<&CandidateAnswer>> = BTreeMap::new();
    for (_, offer) in solved.offers() {
        if let Some(holding) = holdings.get(offer.copy_index) {
            shown.entry(holding.document).or_default().push(offer);
        }
    }
    let answered: BTreeSet<usize> = solved.offers().map(|(at, _)| at).collect();
    let missed: Vec<_> = query.credentials.iter().enumerate().filter(|(at, _)| !answered.contains(at)).collect();
    let is_visible = |holding: &&AvailableCopy<'_>| {
        let misses = || missed.iter().any(|(_, asked)| asked.matches_format_and_type(holding.candidate));
        holding.seen_by_verifier || shown.contains_key(&holding.document) || misses()
    };
    let visible: BTreeSet<usize> = holdings.iter().filter(is_visible).map(|holding| holding.document).collect();
    let is_open = |condition: &Condition| {
        let told = |offers: &Vec<&CandidateAnswer>| {
            offers.iter().any(|offer| is_disclosed(query, holdings, offer, *condition))
        };
        visible.contains(&condition.document) && !shown.get(&condition.document).is_some_and(told)
    };
    solved.unmet.iter().copied().filter(is_open).collect()
}

/// Returns whether a candidate answer discloses all values that a condition on its document is about.
fn is_disclosed(query: &Query, holdings: &[AvailableCopy<'_>], offer: &CandidateAnswer, condition: Condition) -> bool {
    let claim = claim_of(query, condition).map(|(_, claim)| claim).zip(holdings.get(offer.copy_index));
    claim.is_some_and(|(claim, holding)| {
        let is_shown = |path: &ClaimPath| {
            offer
                .disclosures
                .iter()
                .any(|shown| matches!(&shown.disclosure, ClaimDisclosure::Value(whole) if path.starts_with(whole)))
        };
        let values = values_at(holding.candidate.payload, &claim.path);
        !values.is_empty() && values.iter().all(|(path, _)| is_shown(path))
    })
}

fn claim_of(query: &Query, condition: Condition) -> Option<(&str, &ClaimQuery)> {
    let credential = query.credentials.get(condition.query)?;
    Some((&credential.id, credential.claims.get(condition.claim)?))
}

impl Solution {
    /// Returns the chosen candidate answers, each with the index of its credential query.
    fn offers(&self) -> impl Iterator<Item = (usize, &CandidateAnswer)> {
        let chosen = self.answer.chosen.iter();
        chosen.filter_map(|(at, index)| Some((*at, self.offered.get(*at)?.get(*index)?)))
    }

    /// Returns the chosen answer as indices: credential query, copy and claim set of each part.
    fn chosen(&self) -> Vec<(usize, usize, usize)> {
        self.offers().map(|(at, offer)| (at, offer.copy_index, offer.claim_set)).collect()
    }
}
