//! Branch and bound over credential sets, documents and claim sets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Classes, Holding, Line, Part, Plan, Weights, What,
    offer::{Key, Offer, holding_cost, offers},
};
use crate::{Code, Problem, query::Query};

/// The most offers that are weighed on the way. What people have and agencies ask stays below a hundredth of it.
const MAX_STEPS: u64 = 2_000_000;

/// The most combinations of a query's credential sets.
const MAX_COMBINATIONS: usize = 4_096;

pub(super) fn plan(
    query: &Query,
    holdings: &[Holding<'_>],
    classes: &dyn Classes,
    weights: &Weights,
) -> Result<Plan, Problem> {
    let offered: Vec<Vec<Offer>> = query
        .credentials
        .iter()
        .map(|credential| {
            let each = holdings.iter().enumerate();
            each.flat_map(|(index, holding)| offers(credential, index, holding, classes, weights)).collect()
        })
        .collect();
    // That there is an answer at all is the query's own matter, and so is what is missing where there is none.
    let can_be_met: Vec<&str> = query
        .credentials
        .iter()
        .zip(&offered)
        .filter(|(_, offers)| !offers.is_empty())
        .map(|(credential, _)| credential.id.as_str())
        .collect();
    query.needed(|id| can_be_met.contains(&id))?;
    let costs: Vec<(u64, u64)> = holdings.iter().map(|holding| holding_cost(holding, weights)).collect();
    let mut search = Search { holdings, costs, offered: undominated(offered, holdings, weights), best: None, steps: 0 };
    for wanted in wanted(query, &can_be_met)? {
        search.assign(&wanted, &mut State::default())?;
    }
    let best = search.best.take().ok_or(Code::QueryUnmet)?;
    Ok(search.describe(query, best))
}

/// The combinations of credential queries that answer, as indices in the query's order, the asker's first choices first.
fn wanted(query: &Query, can_be_met: &[&str]) -> Result<Vec<BTreeSet<usize>>, Problem> {
    if query.credential_sets.is_empty() {
        return Ok(vec![(0..query.credentials.len()).collect()]);
    }
    let index = |id: &String| query.credentials.iter().position(|credential| credential.id == *id);
    let mut combinations: Vec<BTreeSet<usize>> = vec![BTreeSet::new()];
    let too_many = || Problem::new(Code::TooLarge, "the query's sets have too many combinations");
    for set in query.credential_sets.iter().filter(|set| set.required) {
        let options = set.options.iter().filter(|option| option.iter().all(|id| can_be_met.contains(&id.as_str())));
        let options: Vec<BTreeSet<usize>> = options.map(|option| option.iter().filter_map(index).collect()).collect();
        if combinations.len().saturating_mul(options.len()) > MAX_COMBINATIONS {
            return Err(too_many());
        }
        // In the asker's order, each once.
        let mut seen = BTreeSet::new();
        let mut longer: Vec<BTreeSet<usize>> = Vec::new();
        for combination in &combinations {
            for option in &options {
                let both: BTreeSet<usize> = combination.union(option).copied().collect();
                if seen.insert(both.clone()) {
                    longer.push(both);
                }
            }
        }
        combinations = longer;
    }
    Ok(combinations)
}

/// Leaves out holdings that offer nothing which another one does not offer for as little: whatever answer has
/// one of them weighs no less than the same answer with the other. That is so for two copies of one document, and for
/// documents of which there is one copy each; a document with several copies may be shown for the sake of another copy.
fn undominated(offered: Vec<Vec<Offer>>, holdings: &[Holding<'_>], weights: &Weights) -> Vec<Vec<Offer>> {
    // What a holding offers, whichever holding it is: for each query and claim set what is shown and what it weighs.
    type Shape<'a> = Vec<(usize, usize, Vec<(&'a Key, u64)>)>;
    let mut shapes: BTreeMap<usize, Shape<'_>> = BTreeMap::new();
    for (at, offers) in offered.iter().enumerate() {
        for offer in offers {
            let shows = offer.shows.iter().map(|(key, weighed)| (key, weighed.cost)).collect();
            shapes.entry(offer.holding).or_default().push((at, offer.set, shows));
        }
    }
    let cost = |index: usize| {
        let (document, copy) = holdings.get(index).map_or((u64::MAX, 0), |holding| holding_cost(holding, weights));
        document.saturating_add(copy)
    };
    let document = |index: usize| holdings.get(index).map(|holding| holding.document);
    // The lightest of those that are alike and of one kind; the first in the wallet of those that weigh the same.
    let lightest = |indices: &BTreeSet<usize>, kind: &dyn Fn(usize) -> Option<usize>| -> BTreeSet<usize> {
        let mut kept: BTreeMap<(Option<usize>, Option<&Shape<'_>>), usize> = BTreeMap::new();
        for index in indices {
            let best = kept.entry((kind(*index), shapes.get(index))).or_insert(*index);
            if cost(*index) < cost(*best) {
                *best = *index;
            }
        }
        kept.into_values().collect()
    };
    let kept = lightest(&shapes.keys().copied().collect(), &document);
    let mut copies: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for index in &kept {
        let count = copies.entry(document(*index)).or_default();
        *count = count.saturating_add(1);
    }
    let single = |index: usize| copies.get(&document(index)) == Some(&1);
    // What has other copies is of its own kind.
    let kept = lightest(&kept, &|index| if single(index) { None } else { Some(index) });
    offered
        .into_iter()
        .map(|offers| offers.into_iter().filter(|offer| kept.contains(&offer.holding)).collect())
        .collect()
}

/// What was chosen so far, and what it weighs.
#[derive(Default, Clone)]
struct State {
    /// The query, and which of its offers.
    chosen: Vec<(usize, usize)>,
    cost: u64,
}

struct Search<'a> {
    holdings: &'a [Holding<'a>],
    costs: Vec<(u64, u64)>,
    offered: Vec<Vec<Offer>>,
    best: Option<State>,
    steps: u64,
}

impl Search<'_> {
    fn assign(&mut self, wanted: &BTreeSet<usize>, state: &mut State) -> Result<(), Problem> {
        // What was chosen only gets heavier; of two that weigh the same the earlier one stays.
        if self.best.as_ref().is_some_and(|best| state.cost >= best.cost) {
            return Ok(());
        }
        let Some(next) = wanted.iter().copied().find(|at| !state.chosen.iter().any(|(done, _)| done == at)) else {
            self.best = Some(state.clone());
            return Ok(());
        };
        let count = self.offered.get(next).map_or(0, Vec::len);
        // Weighing an offer looks at what was chosen before.
        let each = u64::try_from(state.chosen.len().saturating_add(1)).unwrap_or(u64::MAX);
        self.steps = self.steps.saturating_add(u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(each));
        if self.steps > MAX_STEPS {
            return Err(Problem::new(Code::TooLarge, "the query can be answered in too many ways to compare them all"));
        }
        let mut ways: Vec<(u64, usize)> = (0..count).map(|offer| (self.added(state, next, offer), offer)).collect();
        ways.sort();
        for (added, offer) in ways {
            let before = state.cost;
            state.cost = before.saturating_add(added);
            state.chosen.push((next, offer));
            self.assign(wanted, state)?;
            state.chosen.pop();
            state.cost = before;
        }
        Ok(())
    }

    /// What one more offer adds: what is shown or used already counts once.
    fn added(&self, state: &State, query: usize, offer: usize) -> u64 {
        let Some(offer) = self.offer(query, offer) else { return u64::MAX };
        let chosen: Vec<&Offer> = state.chosen.iter().filter_map(|(query, offer)| self.offer(*query, *offer)).collect();
        let (document, copy) = self.costs.get(offer.holding).copied().unwrap_or((u64::MAX, 0));
        let of = |offer: &Offer| self.holdings.get(offer.holding).map(|holding| holding.document);
        let mut added = 0_u64;
        if !chosen.iter().any(|other| of(other) == of(offer)) {
            added = added.saturating_add(document);
        }
        if !chosen.iter().any(|other| other.holding == offer.holding) {
            added = added.saturating_add(copy);
        }
        for (key, weighed) in &offer.shows {
            let shown = chosen.iter().any(|other| of(other) == of(offer) && other.shows.contains_key(key));
            if !shown {
                added = added.saturating_add(weighed.cost);
            }
        }
        added
    }

    fn offer(&self, query: usize, offer: usize) -> Option<&Offer> {
        self.offered.get(query)?.get(offer)
    }

    fn describe(&self, query: &Query, best: State) -> Plan {
        let mut parts = Vec::new();
        let mut lines = Vec::new();
        let mut chosen = best.chosen;
        chosen.sort_unstable();
        for (at, index) in chosen {
            let (Some(credential), Some(offer)) = (query.credentials.get(at), self.offer(at, index)) else { continue };
            let Some(holding) = self.holdings.get(offer.holding) else { continue };
            let (document, copy) = self.costs.get(offer.holding).copied().unwrap_or_default();
            let mut say = |what: What, cost: u64| lines.push(Line { query_id: credential.id.clone(), what, cost });
            say(What::Document { holding: offer.holding, known: holding.known }, document);
            say(What::Copy(holding.exposure), copy);
            for ((path, threshold), weighed) in &offer.shows {
                let what = match threshold {
                    Some(_) => What::Threshold(path.clone()),
                    None => What::Value(path.clone(), weighed.class),
                };
                say(what, weighed.cost);
            }
            if let Some((cost, other)) = self.passed_over(at, index) {
                say(What::PassedOver { holding: other }, cost);
            }
            let shows = offer.shows.values().map(|weighed| weighed.show.clone()).collect();
            parts.push(Part { query_id: credential.id.clone(), holding: offer.holding, shows });
        }
        Plan { parts, cost: best.cost, lines }
    }

    /// What the best other way to answer one query alone weighs, and with which holding.
    fn passed_over(&self, query: usize, taken: usize) -> Option<(u64, usize)> {
        let others = self.offered.get(query)?.iter().enumerate().filter(|(index, _)| *index != taken);
        others
            .map(|(_, offer)| {
                let (document, copy) = self.costs.get(offer.holding).copied().unwrap_or((u64::MAX, 0));
                (offer.claims_cost().saturating_add(document).saturating_add(copy), offer.holding)
            })
            .min()
    }
}
