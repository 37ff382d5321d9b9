//! The least-disclosure plan: the answer to a query that discloses least, of all that a wallet could give.
//!
//! The weight of a disclosure is data ([`Weights`], `spec/weights.toml`); the catalogue classifies claims
//! ([`Classes`]). A claim weighs as much as its parts. Metadata weighs nothing, a claim in the clear as much as one
//! that is disclosed, and a disclosure that answers two queries with one document weighs once.
//!
//! The plan is exact: it is found by branch and bound over all combinations of credential sets, documents and claim
//! sets, after dominated documents were left out. It is deterministic: of answers of equal weight it is the one with
//! the fewest documents that a verifier refused, then the one whose credential set the verifier prefers, then the one
//! that shows fewer claims, then the verifier's order of claim sets, then the wallet's order. No answer has two copies
//! of one document: they could be joined.
//!
//! A query has one bound for each type, path and direction (spec/at-least.md 5.2). A document of two types for which
//! a query still has two bounds on one claim does not answer for that claim. [`Plan::implied`] lists the bounds that
//! the verifier can conclude from an answer without proof.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use self::{
    explain::Choice,
    offer::{Condition, Offer, Offers, holding_cost},
    search::{LeastAnswer, Search},
};
use super::{Candidate, ClaimQuery, Query, Threshold, path_to_text};
use crate::{
    Code, Problem,
    secure::sd_jwt::{ClaimPath, ClearClaim, OrderedClaim, Step},
};

mod dominance;
mod explain;
mod implied;
mod offer;
mod search;
#[cfg(test)]
mod tests;

/// The most combinations of a query's credential sets.
const MAX_COMBINATIONS: usize = 4_096;

/// One copy that could be shown.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// Index of the document in the wallet: two copies of one credential are one document.
    pub document: usize,
    /// Its format and its payload, with all claims open.
    pub candidate: Candidate<'a>,
    /// The claims whose thresholds this copy can prove. One that was opened for another threshold before is not among
    /// them (spec/at-least.md 4.5).
    pub provable: &'a [OrderedClaim],
    /// Claims that the issuer left in the clear: each is disclosed with any disclosure that contains it.
    pub clear: &'a [ClearClaim],
    /// Verifiers that have seen this copy.
    pub exposure: Exposure,
    /// `true` if this verifier has seen the document, in any copy: the same for all of its copies.
    pub known: bool,
    /// True if a verifier refused the document as suspended or revoked, and nobody has contradicted it since; the same
    /// for all of its copies. It weighs as if nobody had seen it, and ranks last among answers of equal weight.
    pub refused: bool,
}

/// Earlier recipients of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exposure {
    /// Nobody.
    Nobody,
    /// This verifier, and nobody else.
    SameAsker,
    /// So many other verifiers, who could collude.
    Others(usize),
}

/// Sensitivity of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A yes or no that the issuer computed so that nothing more need be shown.
    Computed,
    /// Shared by many people: a country, a level.
    Coarse,
    /// Any other value.
    Value,
    /// Singles a person out, or tells what few need to know.
    Fine,
}

/// Sensitivity of claims, from the catalogue.
pub trait Classes {
    /// Returns the sensitivity of the claim at `path` of a holding.
    fn class(&self, holding: &Holding<'_>, path: &[Step]) -> Class;
}

/// Weight of each kind of disclosure; the plan with the least sum is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// A computed yes or no.
    pub computed: u32,
    /// Proof that a hidden value reaches a threshold.
    pub threshold: u32,
    /// A coarse value.
    pub coarse: u32,
    /// A value.
    pub value: u32,
    /// Weight of the value of an identifying claim: one listed under `fine` in the type, such as a name.
    pub fine: u32,
    /// A document: its issuer, type and dates are seen.
    pub document: u32,
    /// A document that this verifier has not seen before, in addition.
    pub new_document: u32,
    /// A copy that nobody has seen: their number is limited.
    pub fresh_copy: u32,
    /// Each other verifier that saw the copy, and could collude.
    pub shared_copy: u32,
}

/// Answer to the query that discloses least.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One for each credential query that is answered, in the query's order.
    pub parts: Vec<Part>,
    /// Weight of the plan.
    pub cost: u64,
    /// Reasons for choosing this plan.
    pub lines: Vec<Line>,
    /// Conditions that the verifier can conclude to be unmet from this answer.
    pub implied: Vec<Implied>,
}

/// A condition of the query that a document does not meet, as its verifier can conclude from the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Implied {
    /// The credential query that has the condition.
    pub query_id: String,
    /// The index of a holding of the document.
    pub holding: usize,
    /// The claim, which is not shown.
    pub path: ClaimPath,
    /// The threshold that it does not reach.
    pub threshold: Option<Threshold>,
    /// The values that it does not have; empty where it is a threshold.
    pub values: Vec<Value>,
}

/// An answer, with all that there was to choose from.
struct Solved {
    offered: Vec<Vec<Offer>>,
    /// Weights of each holding's document and copy.
    costs: Vec<(u64, u64)>,
    unmet: BTreeSet<Condition>,
    answer: LeastAnswer,
    /// Work that finding it took: claims looked at, ways weighed, holdings compared with queries.
    work: u64,
}

/// One credential query, and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The credential query's id.
    pub query_id: String,
    /// The index of the holding.
    pub holding: usize,
    /// Disclosures, in the order of paths; empty for a query that asks for no claim.
    pub shows: Vec<Show>,
}

/// One claim, and how it is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// Its value, at a concrete path.
    Value(ClaimPath),
    /// Proof that the claim reaches a threshold; the value stays hidden.
    Threshold {
        /// The claim.
        path: ClaimPath,
        /// Threshold that is proved.
        threshold: Threshold,
    },
}

/// One line of a plan's explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The credential query that it is about.
    pub query_id: String,
    /// Item that is disclosed or used.
    pub what: What,
    /// Weight of the item; 0 if an earlier line counted it. Except for the lines about alternatives, the costs add up
    /// to the plan's cost.
    pub cost: u64,
}

/// Subject of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A document is shown; `known` says if this verifier has seen it before.
    Document {
        /// The index of the holding.
        holding: usize,
        /// `true` if this verifier has seen it.
        known: bool,
    },
    /// A copy of it is used.
    Copy(Exposure),
    /// A claim's value is shown.
    Value(ClaimPath, Class),
    /// A threshold is proved, in place of a value.
    Threshold(ClaimPath),
    /// Next-best answer to this credential query, with another credential or other claims. It would raise the weight of
    /// the complete answer, or lose the tie-break.
    PassedOver {
        /// The index of the holding that it would have shown.
        holding: usize,
    },
}

impl Query {
    /// Returns the answer that discloses least. Sets that are not required are left unanswered.
    ///
    /// # Errors
    /// `query_unmet` if a required part cannot be met: then nothing is disclosed at all. `too_large` for a query and
    /// a wallet with too many combinations to examine, rather than an answer that is not the least.
    pub fn plan(&self, holdings: &[Holding<'_>], classes: &dyn Classes, weights: &Weights) -> Result<Plan, Problem> {
        self.plan_without(&self.contested(holdings), holdings, classes, weights)
    }

    /// The same, where holdings do not answer for claims that are `contested`.
    fn plan_without(
        &self,
        contested: &BTreeSet<(usize, ClaimPath)>,
        holdings: &[Holding<'_>],
        classes: &dyn Classes,
        weights: &Weights,
    ) -> Result<Plan, Problem> {
        let solve = |assumed: &BTreeSet<Condition>| {
            self.solve(holdings, weights, Offers::new(classes, weights, contested, assumed))
        };
        let solved = solve(&BTreeSet::new())?;
        let implied = implied::implied(self, holdings, &solved, solve);
        let choice = Choice { query: self, holdings, offered: &solved.offered, costs: &solved.costs };
        Ok(Plan { implied, ..choice.plan(solved.answer.clone()) })
    }

    /// Returns the lightest answer from the offers of the holdings.
    fn solve(&self, holdings: &[Holding<'_>], weights: &Weights, mut offers: Offers<'_>) -> Result<Solved, Problem> {
        let each = self.credentials.iter().enumerate();
        let offered: Vec<Vec<Offer>> =
            each.map(|(at, credential)| offers.of(at, credential, holdings)).collect::<Result<_, _>>()?;
        // The query decides if there is an answer at all, and what is missing if there is none.
        let each = self.credentials.iter().zip(&offered);
        let can_be_met: BTreeSet<&str> =
            each.filter(|(_, offers)| !offers.is_empty()).map(|(credential, _)| credential.id.as_str()).collect();
        self.needed(|id| can_be_met.contains(id))?;
        let costs: Vec<(u64, u64)> = holdings.iter().map(|holding| holding_cost(holding, weights)).collect();
        let kept = dominance::undominated(&offered, holdings, |index| {
            let cost = costs.get(index).map_or(u64::MAX, |(document, copy)| document.saturating_add(*copy));
            (cost, holdings.get(index).is_some_and(|holding| holding.refused))
        });
        let mut search = Search::new(&offered, &kept, holdings, &costs);
        let mut lightest: Vec<(BTreeSet<usize>, LeastAnswer)> = Vec::new();
        for wanted in self.combinations(&can_be_met)? {
            let Some(answer) = search.answer(&wanted)? else { continue };
            let least = lightest.first().map(|(_, least)| least.weight());
            if least.is_none_or(|least| answer.weight() <= least) {
                lightest.retain(|(_, other)| other.weight() <= answer.weight());
                lightest.push((wanted, answer));
            }
        }
        // Of answers of equal weight the verifier's first choice, but for one that answers more than another.
        let fewer = |wanted: &BTreeSet<usize>| {
            lightest.iter().any(|(other, _)| other.len() < wanted.len() && other.is_subset(wanted))
        };
        let first = lightest.iter().find(|(wanted, _)| !fewer(wanted));
        let answer = first
            .map(|(_, answer)| answer.clone())
            .ok_or_else(|| Problem::new(Code::QueryUnmet, "the query would need two copies of one document"))?;
        let fits = u64::try_from(holdings.len().saturating_mul(self.credentials.len())).unwrap_or(u64::MAX);
        let work = fits.saturating_add(offers.looks).saturating_add(search.steps);
        Ok(Solved { offered, costs, unmet: offers.unmet, answer, work })
    }

    /// Returns the combinations of credential queries that answer, as indices in the query's order, in the verifier's
    /// order of preference, each once.
    fn combinations(&self, can_be_met: &BTreeSet<&str>) -> Result<Vec<BTreeSet<usize>>, Problem> {
        if self.credential_sets.is_empty() {
            return Ok(vec![(0..self.credentials.len()).collect()]);
        }
        let index = |id: &String| self.credentials.iter().position(|credential| credential.id == *id);
        let mut combinations: Vec<BTreeSet<usize>> = vec![BTreeSet::new()];
        for set in self.credential_sets.iter().filter(|set| set.required) {
            let options = set.options.iter().filter(|option| option.iter().all(|id| can_be_met.contains(id.as_str())));
            let options: Vec<BTreeSet<usize>> =
                options.map(|option| option.iter().filter_map(index).collect()).collect();
            if combinations.len().saturating_mul(options.len()) > MAX_COMBINATIONS {
                return Err(Problem::new(Code::TooLarge, "the query's sets have too many combinations"));
            }
            let mut seen = BTreeSet::new();
            let longer = combinations.iter().flat_map(|combination| {
                options.iter().map(|option| combination.union(option).copied().collect::<BTreeSet<usize>>())
            });
            combinations = longer.filter(|longer| seen.insert(longer.clone())).collect();
        }
        Ok(combinations)
    }
}

impl fmt::Display for Line {
    /// In English, for a terminal; a wallet has its own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.query_id)?;
        match &self.what {
            What::Document { known: true, .. } => f.write_str("a document that this verifier has seen before")?,
            What::Document { known: false, .. } => f.write_str("a document that is new to this verifier")?,
            What::Copy(Exposure::Nobody) => f.write_str("a copy that nobody has seen")?,
            What::Copy(Exposure::SameAsker) => f.write_str("the copy that this verifier has seen")?,
            What::Copy(Exposure::Others(others)) => write!(f, "a copy that {others} other verifiers have seen")?,
            What::Value(path, class) => {
                let class = match class {
                    Class::Computed => "a computed yes or no",
                    Class::Coarse => "a coarse value",
                    Class::Value => "a value",
                    Class::Fine => "a value that tells much",
                };
                write!(f, "{}, {class}", path_to_text(path))?;
            }
            What::Threshold(path) => write!(f, "{} reaches a threshold, and stays hidden", path_to_text(path))?,
            What::PassedOver { .. } => return write!(f, "the next best answer would cost {}", self.cost),
        }
        write!(f, " ({})", self.cost)
    }
}
