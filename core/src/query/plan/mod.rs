//! The least-disclosure plan: of all answers to a query that a wallet could give, the one that discloses least.
//!
//! The weight of a disclosure is data ([`DisclosureWeights`], `spec/weights.toml`); the catalogue classifies claims
//! ([`SensitivityClasses`]). A claim weighs as much as its parts. Metadata weighs nothing, a claim in the clear as much
//! as one that is disclosed, and a disclosure that answers two queries with one document weighs once.
//!
//! The plan is exact: it is found by branch and bound over all combinations of credential sets, documents and claim
//! sets, after dominated documents were left out. It is deterministic: among answers of equal weight, it is the one
//! with the fewest documents that a verifier refused, then the one whose credential set the verifier prefers, then the
//! one that discloses fewer claims, then the first in the verifier's order of claim sets, then the first in the
//! wallet's order. No answer has two copies of one document: they could be linked.
//!
//! A query has one bound for each type, path and direction (spec/at-least.md 5.2). If a document has two types for
//! which a query has different bounds on one claim, the document does not answer for that claim.
//! [`DisclosurePlan::implied_conditions`] lists the conditions that the verifier can infer to be unmet.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use self::{
    candidates::{CandidateAnswer, CandidateAnswers, Condition, copy_weights},
    explain::PlanBuilder,
    search::{LeastAnswer, Search},
};
use super::{ClaimQuery, Query, QueryCandidate, Threshold, path_to_text};
use crate::{
    Code, Problem,
    secure::sd_jwt::{ClaimPath, ClearClaim, OrderedClaim, Step},
};

mod candidates;
mod dominance;
mod explain;
mod implied;
mod search;
#[cfg(test)]
mod tests;

/// Maximum number of combinations of a query's credential sets.
const MAX_COMBINATIONS: usize = 4_096;

/// Copy of a credential that the wallet could present.
#[derive(Debug, Clone, Copy)]
pub struct AvailableCopy<'a> {
    /// Index of the credential (document) in the wallet; all its copies have the same index.
    pub document: usize,
    /// Format and payload of the copy, with all claims disclosed.
    pub candidate: QueryCandidate<'a>,
    /// Claims whose thresholds this copy can prove. A claim that was already proved for another threshold with this
    /// copy is not included (spec/at-least.md 4.5).
    pub provable_claims: &'a [OrderedClaim],
    /// Claims that the issuer left in the clear (not selectively disclosable). Each is readable whenever the disclosure
    /// that contains it is disclosed.
    pub clear_claims: &'a [ClearClaim],
    /// Verifiers to which this copy was presented before.
    pub exposure: CopyExposure,
    /// `true` if any copy of the document was presented to this verifier; the same for all copies of a document.
    pub seen_by_verifier: bool,
    /// `true` if a verifier refused the document as suspended or revoked, without later evidence of the contrary; the
    /// same for all copies of a document. Such a document costs as much as a new one, and ranks last among answers of
    /// equal weight.
    pub refused_before: bool,
}

/// Verifiers to which a copy was presented before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyExposure {
    /// No verifier.
    NoVerifier,
    /// Only this verifier.
    SameVerifier,
    /// This number of other verifiers, which could link the presentations.
    OtherVerifiers(usize),
}

/// Sensitivity of a claim, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Boolean that the issuer computed, such as `rightToWork`, so that the underlying value need not be disclosed.
    Computed,
    /// Value that many people share, such as a country or a level.
    WidelyShared,
    /// Any other value.
    Ordinary,
    /// Value that identifies a person or is sensitive, such as a name.
    Identifying,
}

/// Source of the sensitivity of claims: the catalogue of credential types.
pub trait SensitivityClasses {
    /// Returns the sensitivity of the claim at `path` of a copy.
    fn sensitivity(&self, holding: &AvailableCopy<'_>, path: &[Step]) -> Sensitivity;
}

/// Weights of disclosures; the plan with the least total is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisclosureWeights {
    /// Weight of a boolean that the issuer computed, such as `rightToWork`.
    pub computed: u32,
    /// Weight of a threshold proof.
    pub threshold: u32,
    /// Weight of a value that many people share.
    pub coarse: u32,
    /// Weight of any other value.
    pub value: u32,
    /// Weight of the value of an identifying claim: one listed under `fine` in the type, such as a name.
    pub fine: u32,
    /// Weight of a document, which reveals its issuer, type and validity dates.
    pub document: u32,
    /// Additional weight of a document that was never presented to this verifier, or was refused as suspended or
    /// revoked.
    pub new_document: u32,
    /// Weight of a copy that was presented to no verifier: the number of such copies is limited.
    pub unused_copy: u32,
    /// Weight for each other verifier to which the copy was presented, and which could link the presentations.
    pub shared_copy: u32,
}

/// Answer to the query that discloses least.
#[derive(Debug, Clone, PartialEq)]
pub struct DisclosurePlan {
    /// Answered credential queries, in the order of the query.
    pub answers: Vec<PlannedAnswer>,
    /// Total weight of the presented documents, copies and disclosures.
    pub weight: u64,
    /// Explanation of the plan: what is disclosed, at what weight, and the alternatives.
    pub explanation: Vec<ExplanationLine>,
    /// Conditions that the verifier can infer to be unmet from this answer.
    pub implied_conditions: Vec<ImpliedCondition>,
}

/// Condition of the query that a document does not meet, as the verifier can infer from the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpliedCondition {
    /// Id of the credential query with the condition.
    pub query_id: String,
    /// Index of a copy of the document, in the list given to [`Query::plan`].
    pub copy_index: usize,
    /// Path of the claim, which is not disclosed.
    pub path: ClaimPath,
    /// Threshold that the claim does not reach; `None` for a condition on values.
    pub threshold: Option<Threshold>,
    /// Requested values, none of which the claim has; empty for a condition on a threshold.
    pub values: Vec<Value>,
}

/// Answer of least weight, with the candidate answers that it was chosen from.
struct Solution {
    offered: Vec<Vec<CandidateAnswer>>,
    /// Weights of the document and of the copy, by copy index.
    costs: Vec<(u64, u64)>,
    unmet: BTreeSet<Condition>,
    answer: LeastAnswer,
    /// Number of steps taken to find the answer: claims examined, answers weighed, copies compared with queries.
    work: u64,
}

/// Answer to one credential query.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedAnswer {
    /// Id of the credential query.
    pub query_id: String,
    /// Index of the copy, in the list given to [`Query::plan`].
    pub copy_index: usize,
    /// Disclosures, ordered by path: in an SD-JWT format those that the query needs, otherwise all claims of the copy.
    pub disclosures: Vec<ClaimDisclosure>,
}

/// Disclosure of one claim.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimDisclosure {
    /// Disclosure of the value at a concrete path.
    Value(ClaimPath),
    /// Proof that the claim reaches a threshold, without the value.
    Threshold {
        /// Path of the claim.
        path: ClaimPath,
        /// Proved threshold.
        threshold: Threshold,
    },
}

/// Line of the explanation of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplanationLine {
    /// Id of the credential query.
    pub query_id: String,
    /// Disclosure or alternative that the line is about.
    pub item: PlanItem,
    /// Weight of the item; 0 if an earlier line includes it. The weights of all lines, except those about alternatives,
    /// add up to the weight of the plan.
    pub weight: u64,
}

/// Disclosure or alternative that a line of the explanation describes.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanItem {
    /// Presentation of a credential, in whichever copy.
    Document {
        /// Index of the copy, in the list given to [`Query::plan`].
        copy_index: usize,
        /// `true` if the document was presented to this verifier before.
        known: bool,
    },
    /// Use of a copy, with the verifiers to which it was presented before.
    Copy(CopyExposure),
    /// Disclosure of a claim's value.
    Value(ClaimPath, Sensitivity),
    /// Threshold proof in place of a value.
    Threshold(ClaimPath),
    /// Next-best answer to this credential query, with another credential or other claims. It would raise the weight of
    /// the complete answer, or rank lower among answers of equal weight.
    Alternative {
        /// Index of the copy that the alternative would use.
        copy_index: usize,
    },
}

impl Query {
    /// Returns the answer that discloses least. Optional credential sets are left unanswered.
    ///
    /// # Errors
    /// `query_unmet` if a required credential query cannot be answered, or only with two copies of one document: then
    /// nothing is disclosed. `too_large` if there are too many combinations to examine; no approximate answer is
    /// returned.
    pub fn plan(
        &self,
        holdings: &[AvailableCopy<'_>],
        classes: &dyn SensitivityClasses,
        weights: &DisclosureWeights,
    ) -> Result<DisclosurePlan, Problem> {
        self.plan_without(&self.contested_claims(holdings), holdings, classes, weights)
    }

    /// Returns the answer that discloses least, where copies do not answer for their `contested` claims.
    fn plan_without(
        &self,
        contested: &BTreeSet<(usize, ClaimPath)>,
        holdings: &[AvailableCopy<'_>],
        classes: &dyn SensitivityClasses,
        weights: &DisclosureWeights,
    ) -> Result<DisclosurePlan, Problem> {
        let solve = |assumed: &BTreeSet<Condition>| {
            self.solve(holdings, weights, CandidateAnswers::new(classes, weights, contested, assumed))
        };
        let solved = solve(&BTreeSet::new())?;
        let implied = implied::implied_conditions(self, holdings, &solved, solve);
        let choice = PlanBuilder { query: self, holdings, candidate_answers: &solved.offered, costs: &solved.costs };
        Ok(DisclosurePlan { implied_conditions: implied, ..choice.build_plan(solved.answer.clone()) })
    }

    /// Returns the answer of least weight among the candidate answers of the copies.
    fn solve(
        &self,
        holdings: &[AvailableCopy<'_>],
        weights: &DisclosureWeights,
        mut offers: CandidateAnswers<'_>,
    ) -> Result<Solution, Problem> {
        let each = self.credentials.iter().enumerate();
        let offered: Vec<Vec<CandidateAnswer>> =
            each.map(|(at, credential)| offers.for_query(at, credential, holdings)).collect::<Result<_, _>>()?;
        // Checks first whether the query can be answered, for an error that names what is missing.
        let each = self.credentials.iter().zip(&offered);
        let can_be_met: BTreeSet<&str> =
            each.filter(|(_, offers)| !offers.is_empty()).map(|(credential, _)| credential.id.as_str()).collect();
        self.required_ids(|id| can_be_met.contains(id))?;
        let costs: Vec<(u64, u64)> = holdings.iter().map(|holding| copy_weights(holding, weights)).collect();
        let kept = dominance::undominated_copies(&offered, holdings, |index| {
            let cost = costs.get(index).map_or(u64::MAX, |(document, copy)| document.saturating_add(*copy));
            (cost, holdings.get(index).is_some_and(|holding| holding.refused_before))
        });
        let mut search = Search::new(&offered, &kept, holdings, &costs);
        let mut lightest: Vec<(BTreeSet<usize>, LeastAnswer)> = Vec::new();
        for wanted in self.combinations(&can_be_met)? {
            let Some(answer) = search.least_answer(&wanted)? else { continue };
            let least = lightest.first().map(|(_, least)| least.weight());
            if least.is_none_or(|least| answer.weight() <= least) {
                lightest.retain(|(_, other)| other.weight() <= answer.weight());
                lightest.push((wanted, answer));
            }
        }
        // Among answers of equal weight, the verifier's first choice, unless it answers more credential queries than
        // another.
        let fewer = |wanted: &BTreeSet<usize>| {
            lightest.iter().any(|(other, _)| other.len() < wanted.len() && other.is_subset(wanted))
        };
        let first = lightest.iter().find(|(wanted, _)| !fewer(wanted));
        let answer = first
            .map(|(_, answer)| answer.clone())
            .ok_or_else(|| Problem::new(Code::QueryUnmet, "the query would need two copies of one document"))?;
        let fits = u64::try_from(holdings.len().saturating_mul(self.credentials.len())).unwrap_or(u64::MAX);
        let work = fits.saturating_add(offers.examined).saturating_add(search.steps);
        Ok(Solution { offered, costs, unmet: offers.unmet, answer, work })
    }

    /// Returns the combinations of credential queries that answer the query, as sets of indices, in the verifier's
    /// order of preference and without repetition.
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

impl fmt::Display for ExplanationLine {
    /// Writes the line in English, for a terminal; a wallet has its own texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.query_id)?;
        match &self.item {
            PlanItem::Document { known: true, .. } => f.write_str("a document that this verifier has seen before")?,
            PlanItem::Document { known: false, .. } => f.write_str("a document that is new to this verifier")?,
            PlanItem::Copy(CopyExposure::NoVerifier) => f.write_str("a copy that nobody has seen")?,
            PlanItem::Copy(CopyExposure::SameVerifier) => f.write_str("the copy that this verifier has seen")?,
            PlanItem::Copy(CopyExposure::OtherVerifiers(others)) => {
                write!(f, "a copy that {others} other verifiers have seen")?
            }
            PlanItem::Value(path, class) => {
                let class = match class {
                    Sensitivity::Computed => "a computed yes or no",
                    Sensitivity::WidelyShared => "a coarse value",
                    Sensitivity::Ordinary => "a value",
                    Sensitivity::Identifying => "a value that tells much",
                };
                write!(f, "{}, {class}", path_to_text(path))?;
            }
            PlanItem::Threshold(path) => write!(f, "{} reaches a threshold, and stays hidden", path_to_text(path))?,
            PlanItem::Alternative { .. } => return write!(f, "the next best answer would cost {}", self.weight),
        }
        write!(f, " ({})", self.weight)
    }
}
