//! Branch and bound over credential sets, documents and claim sets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Classes, Holding, Line, Part, Plan, Weights, What,
    offer::{Key, Offer, holding_cost, offers},
};
use crate::{Code, Problem, query::Query};

/// The most combinations that are looked at. What people have and agencies ask stays below a hundredth of it.
const MAX_NODES: u32 = 200_000;

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
    let mut search = Search { holdings, costs, offered: undominated(offered, holdings, weights), best: None, nodes: 0 };
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
    for set in query.credential_sets.iter().filter(|set| set.required) {
        let options = set.options.iter().filter(|option| option.iter().all(|id| can_be_met.contains(&id.as_str())));
        let options: Vec<BTreeSet<usize>> = options.map(|option| option.iter().filter_map(index).collect()).collect();
        let mut longer: Vec<BTreeSet<usize>> = Vec::new();
        for combination in &combinations {
            for option in &options {
                let both: BTreeSet<usize> = combination.union(option).copied().collect();
                if !longer.contains(&both) {
                    longer.push(both);
                }
            }
        }
        if longer.len() > 4_096 {
            return Err(Problem::new(Code::TooLarge, "the query's sets have too many combinations"));
        }
        combinations = longer;
    }
    Ok(combinations)
}

/// Leaves out holdings that offer nothing which another one does not offer for as little: whatever answer has
/// one of them weighs no less than the same answer with the other.
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
    let mut kept: Vec<(&Shape<'_>, usize)> = Vec::new();
    for (index, shape) in &shapes {
        match kept.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, best)) if cost(*index) < cost(*best) => *best = *index,
            Some(_) => {}
            None => kept.push((shape, *index)),
        }
    }
    let kept: BTreeSet<usize> = kept.into_iter().map(|(_, index)| index).collect();
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
    nodes: u32,
}

impl Search<'_> {
    fn assign(&mut self, wanted: &BTreeSet<usize>, state: &mut State) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(Problem::new(Code::TooLarge, "the query can be answered in too many ways to compare them all"));
        }
        // What was chosen only gets heavier; of two that weigh the same the earlier one stays.
        if self.best.as_ref().is_some_and(|best| state.cost >= best.cost) {
            return Ok(());
        }
        let Some(next) = wanted.iter().copied().find(|at| !state.chosen.iter().any(|(done, _)| done == at)) else {
            self.best = Some(state.clone());
            return Ok(());
        };
        let count = self.offered.get(next).map_or(0, Vec::len);
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
