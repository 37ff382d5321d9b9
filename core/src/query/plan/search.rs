//! Branch and bound search over documents and claim sets, for credential queries that share documents of the wallet.

use std::collections::{BTreeMap, BTreeSet};

use super::{AvailableCopy, candidates::CandidateAnswer};
use crate::{Code, Problem};

/// Maximum number of items that the search weighs: documents, copies and facts. Real wallets and requests stay below a
/// tenth of it (see the tests).
const MAX_STEPS: u64 = 5_000_000;

/// Item whose weight counts once, however many credential queries it answers.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Document(usize),
    Copy(usize),
    /// Document, and number of a fact about it.
    Fact(usize, usize),
}

/// Candidate answer, reduced to the members that the search compares.
struct SearchCandidate {
    /// Index among the candidate answers to its credential query.
    offer: usize,
    holding: usize,
    document: usize,
    refused: bool,
    set: usize,
    items: Vec<usize>,
}

/// Answer of least weight to some credential queries.
#[derive(Debug, Clone)]
pub(super) struct LeastAnswer {
    pub(super) cost: u64,
    /// Number of its parts whose document was refused.
    pub(super) refused_count: usize,
    /// Chosen candidate answers: index of the credential query, and of the candidate answer to it.
    pub(super) chosen: Vec<(usize, usize)>,
}

impl LeastAnswer {
    /// Returns the first two criteria of the ranking: weight, and number of refused documents.
    pub(super) const fn weight(&self) -> (u64, usize) {
        (self.cost, self.refused_count)
    }
}

/// Finds the answer of least weight to sets of credential queries.
pub(super) struct Search {
    /// Candidate answers, by credential query.
    ways: Vec<Vec<SearchCandidate>>,
    /// Weight of each item.
    costs: Vec<u64>,
    /// Credential queries that share a possible document with each credential query.
    joined: Vec<BTreeSet<usize>>,
    /// Answers found so far, by the set of credential queries; `None` if there is no answer.
    found: BTreeMap<Vec<usize>, Option<LeastAnswer>>,
    pub(super) steps: u64,
}

impl Search {
    /// Creates a search over the copies with the indices in `kept`; `costs` are the weights of the document and of the
    /// copy, by copy index.
    pub(super) fn new(
        offered: &[Vec<CandidateAnswer>],
        kept: &BTreeSet<usize>,
        holdings: &[AvailableCopy<'_>],
        costs: &[(u64, u64)],
    ) -> Self {
        let mut items: BTreeMap<Item, usize> = BTreeMap::new();
        let mut weights = Vec::new();
        let mut numbered = |item: Item, cost: u64| {
            *items.entry(item).or_insert_with(|| {
                weights.push(cost);
                weights.len().saturating_sub(1)
            })
        };
        let mut ways = Vec::with_capacity(offered.len());
        let mut documents: Vec<BTreeSet<usize>> = Vec::with_capacity(offered.len());
        for offers in offered {
            let mut own = Vec::new();
            let mut shown = BTreeSet::new();
            for (index, offer) in offers.iter().enumerate().filter(|(_, offer)| kept.contains(&offer.copy_index)) {
                let Some(holding) = holdings.get(offer.copy_index) else { continue };
                let (document, refused) = (holding.document, holding.refused_before);
                let (of_document, of_copy) = costs.get(offer.copy_index).copied().unwrap_or((u64::MAX, 0));
                shown.insert(document);
                let frame = [(Item::Document(document), of_document), (Item::Copy(offer.copy_index), of_copy)];
                let told = offer.facts.iter().map(|(told, cost)| (Item::Fact(document, *told), *cost));
                let items = frame.into_iter().chain(told).map(|(item, cost)| numbered(item, cost)).collect();
                own.push(SearchCandidate {
                    offer: index,
                    holding: offer.copy_index,
                    document,
                    refused,
                    set: offer.claim_set,
                    items,
                });
            }
            ways.push(own);
            documents.push(shown);
        }
        let joined = documents
            .iter()
            .map(|one| {
                let others = documents.iter().enumerate();
                others.filter(|(_, other)| !one.is_disjoint(other)).map(|(index, _)| index).collect()
            })
            .collect();
        Self { ways, costs: weights, joined, found: BTreeMap::new(), steps: 0 }
    }

    /// Returns the answer of least weight to these credential queries; `None` if there is none without two copies of
    /// one document. Groups of queries that share no document are searched independently.
    ///
    /// # Errors
    /// `too_large` if the search takes more than [`MAX_STEPS`] steps.
    pub(super) fn least_answer(&mut self, wanted: &BTreeSet<usize>) -> Result<Option<LeastAnswer>, Problem> {
        let mut whole = LeastAnswer { cost: 0, refused_count: 0, chosen: Vec::with_capacity(wanted.len()) };
        for group in self.groups(wanted) {
            let part = match self.found.get(&group) {
                Some(found) => found.clone(),
                None => {
                    let mut branch = Branch::new(self, &group);
                    branch.descend(0, 0, 0)?;
                    let (best, steps) = (branch.best.map(|best| best.answer), branch.steps);
                    self.steps = steps;
                    self.found.insert(group, best.clone());
                    best
                }
            };
            let Some(part) = part else { return Ok(None) };
            whole.cost = whole.cost.saturating_add(part.cost);
            whole.refused_count = whole.refused_count.saturating_add(part.refused_count);
            whole.chosen.extend(part.chosen);
        }
        whole.chosen.sort_unstable();
        Ok(Some(whole))
    }

    /// Divides the credential queries into groups, such that no document can answer queries of two groups.
    fn groups(&self, wanted: &BTreeSet<usize>) -> Vec<Vec<usize>> {
        let mut left = wanted.clone();
        let mut groups = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut group = BTreeSet::from([first]);
            let mut open = vec![first];
            while let Some(query) = open.pop() {
                for joined in self.joined.get(query).into_iter().flatten() {
                    if left.remove(joined) {
                        group.insert(*joined);
                        open.push(*joined);
                    }
                }
            }
            groups.push(group.into_iter().collect());
        }
        groups
    }
}

/// Best answer of a group so far, with its ranking among answers of equal weight.
struct Best {
    answer: LeastAnswer,
    /// Number of items of its candidate answers; an item of two of them counts twice.
    told: usize,
    /// Indices of the claim sets, by credential query, in the verifier's order.
    sets: Vec<usize>,
    /// Indices of the copies, by credential query, in the wallet's order.
    holdings: Vec<usize>,
}

/// Search for the best answer of one group of credential queries.
struct Branch<'s> {
    search: &'s Search,
    group: &'s [usize],
    /// For each credential query of the group, the share of each candidate answer: its weight, if the weight of each
    /// item is split evenly between the queries that can use it. An answer weighs no less than the sum of the shares of
    /// its parts.
    shares: Vec<Vec<u64>>,
    /// For each credential query, the least sum of shares of that query and the later ones.
    ahead: Vec<u64>,
    /// For each credential query, the least number of items of that query and the later ones.
    told_ahead: Vec<usize>,
    /// First claim set that can be met, for each credential query.
    first_sets: Vec<usize>,
    /// Number of times that each item was chosen.
    used: Vec<u32>,
    chosen: Vec<&'s SearchCandidate>,
    best: Option<Best>,
    steps: u64,
}

impl<'s> Branch<'s> {
    fn new(search: &'s Search, group: &'s [usize]) -> Self {
        let ways = |query: &usize| search.ways.get(*query).map(Vec::as_slice).unwrap_or_default();
        let mut sharers = vec![0_u64; search.costs.len()];
        for query in group {
            let items: BTreeSet<usize> = ways(query).iter().flat_map(|way| way.items.iter().copied()).collect();
            for item in items {
                if let Some(sharers) = sharers.get_mut(item) {
                    *sharers = sharers.saturating_add(1);
                }
            }
        }
        let share = |way: &SearchCandidate| {
            way.items.iter().fold(0_u64, |sum, item| {
                let cost = search.costs.get(*item).copied().unwrap_or_default();
                let sharers = sharers.get(*item).copied().unwrap_or(1).max(1);
                sum.saturating_add(cost.checked_div(sharers).unwrap_or_default())
            })
        };
        let shares: Vec<Vec<u64>> = group.iter().map(|query| ways(query).iter().map(share).collect()).collect();
        let mut ahead = vec![0_u64];
        for shares in shares.iter().rev() {
            let least = shares.iter().copied().min().unwrap_or_default();
            ahead.push(least.saturating_add(ahead.last().copied().unwrap_or_default()));
        }
        ahead.reverse();
        let mut told_ahead = vec![0_usize];
        for query in group.iter().rev() {
            let least = ways(query).iter().map(|way| way.items.len()).min().unwrap_or_default();
            told_ahead.push(least.saturating_add(told_ahead.last().copied().unwrap_or_default()));
        }
        told_ahead.reverse();
        let first_set = |query| ways(query).iter().map(|way| way.set).min().unwrap_or_default();
        Self {
            search,
            group,
            shares,
            ahead,
            told_ahead,
            first_sets: group.iter().map(first_set).collect(),
            used: vec![0; search.costs.len()],
            chosen: Vec::with_capacity(group.len()),
            best: None,
            steps: search.steps,
        }
    }

    /// Tries every candidate answer to the query at `depth` that may lead to a better answer. `cost` is the weight of
    /// the candidate answers chosen before it, `shared` the sum of their shares.
    fn descend(&mut self, depth: usize, cost: u64, shared: u64) -> Result<(), Problem> {
        let Some(query) = self.group.get(depth) else {
            self.record_if_better(cost);
            return Ok(());
        };
        let search = self.search;
        let ways = search.ways.get(*query).map(Vec::as_slice).unwrap_or_default();
        let ahead = self.ahead.get(depth.saturating_add(1)).copied().unwrap_or_default();
        let shares = self.shares.get(depth).cloned().unwrap_or_default();
        let mut open = Vec::with_capacity(ways.len());
        for (way, share) in ways.iter().zip(shares) {
            self.steps = self.steps.saturating_add(u64::try_from(way.items.len()).unwrap_or(u64::MAX));
            // An answer has at most one copy of each document.
            let excludes = |other: &&SearchCandidate| other.document == way.document && other.holding != way.holding;
            if self.chosen.iter().any(excludes) {
                continue;
            }
            let cost = cost.saturating_add(self.added_weight(way));
            let shared = shared.saturating_add(share);
            let bound = cost.max(shared.saturating_add(ahead));
            open.push(((bound, way.refused, way.set, way.holding), cost, shared, way));
        }
        if self.steps > MAX_STEPS {
            return Err(Problem::new(Code::TooLarge, "the query has too many possible answers to compare"));
        }
        // The most promising candidates first, so that the rest can soon be compared with a good answer.
        open.sort_unstable_by_key(|(order, ..)| *order);
        for ((bound, ..), cost, shared, way) in open {
            self.chosen.push(way);
            if self.may_be_better(bound) {
                self.count(way, |used| used.saturating_add(1));
                self.descend(depth.saturating_add(1), cost, shared)?;
                self.count(way, |used| used.saturating_sub(1));
            }
            self.chosen.pop();
        }
        Ok(())
    }

    /// Returns the weight that one more candidate answer adds: an item that is already used does not count again.
    fn added_weight(&self, way: &SearchCandidate) -> u64 {
        let unused = way.items.iter().filter(|item| self.used.get(**item) == Some(&0));
        unused.fold(0, |sum, item| sum.saturating_add(self.search.costs.get(*item).copied().unwrap_or_default()))
    }

    fn count(&mut self, way: &SearchCandidate, change: impl Fn(u32) -> u32) {
        for item in &way.items {
            if let Some(used) = self.used.get_mut(*item) {
                *used = change(*used);
            }
        }
    }

    /// Returns whether an answer that begins with the chosen candidate answers and weighs at least `bound` can rank
    /// before the best one.
    fn may_be_better(&self, bound: u64) -> bool {
        let Some(best) = &self.best else { return true };
        if bound != best.answer.cost {
            return bound < best.answer.cost;
        }
        // At best it has the same weight. Then the answer with fewer refused documents ranks first.
        let refused = self.refused();
        if refused != best.answer.refused_count {
            return refused < best.answer.refused_count;
        }
        // Then the answer that reveals less: a candidate left out because another one reveals less would not be chosen
        // either (see `implied`). Then the verifier's order, then the wallet's.
        let told = self.told().saturating_add(self.told_ahead.get(self.chosen.len()).copied().unwrap_or_default());
        if told != best.told {
            return told < best.told;
        }
        let ahead = self.first_sets.iter().skip(self.chosen.len()).copied();
        let sets = self.chosen.iter().map(|way| way.set).chain(ahead);
        match sets.cmp(best.sets.iter().copied()) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => {
                let known = best.holdings.iter().take(self.chosen.len());
                self.chosen.iter().map(|way| &way.holding).cmp(known).is_le()
            }
        }
    }

    fn refused(&self) -> usize {
        self.chosen.iter().filter(|way| way.refused).count()
    }

    fn told(&self) -> usize {
        self.chosen.iter().fold(0, |sum, way| sum.saturating_add(way.items.len()))
    }

    /// Records a complete answer, if it ranks before the best one.
    fn record_if_better(&mut self, cost: u64) {
        let sets: Vec<usize> = self.chosen.iter().map(|way| way.set).collect();
        let holdings: Vec<usize> = self.chosen.iter().map(|way| way.holding).collect();
        let (told, refused) = (self.told(), self.refused());
        let key = ((cost, refused), told, &sets, &holdings);
        if self.best.as_ref().is_none_or(|best| key < (best.answer.weight(), best.told, &best.sets, &best.holdings)) {
            let chosen = self.group.iter().copied().zip(self.chosen.iter().map(|way| way.offer)).collect();
            self.best =
                Some(Best { answer: LeastAnswer { cost, refused_count: refused, chosen }, told, sets, holdings });
        }
    }
}
