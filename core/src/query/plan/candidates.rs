//! Candidate answers of each copy to each credential query.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{AvailableCopy, ClaimDisclosure, CopyExposure, DisclosureWeights, Sensitivity, SensitivityClasses};
use crate::{
    Code, Problem,
    at_least::{Direction, OrderedValue},
    query::{ClaimQuery, CredentialQuery, QueryCandidate, values_at},
    readable,
    secure::sd_jwt::{ClaimPath, Step},
};

/// Maximum number of claims without parts that are examined to find the candidate answers. Real wallets and requests
/// stay below a tenth of it.
const MAX_EXAMINED: u64 = 2_000_000;

/// Answer to a credential query with one copy and one claim set.
#[derive(Debug, Clone)]
pub(super) struct CandidateAnswer {
    /// Index of the copy.
    pub(super) copy_index: usize,
    /// Index of the claim set, in the verifier's order.
    pub(super) claim_set: usize,
    /// Disclosures, in the order of paths.
    pub(super) disclosures: Vec<OfferedDisclosure>,
    /// Further readable claims, which the issuer left in the clear.
    pub(super) clear_claims: Vec<OfferedDisclosure>,
    /// Facts that its disclosures reveal: their numbers, with their weights.
    pub(super) facts: BTreeMap<usize, u64>,
}

/// Threshold or list of accepted values that a document may or may not meet: indices of the document, the credential
/// query and the claims query in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    pub(super) document: usize,
    pub(super) query: usize,
    pub(super) claim: usize,
}

/// Disclosure and the facts that it reveals: the numbers of the [`Fact`], with their weights.
#[derive(Debug, Clone)]
pub(super) struct OfferedDisclosure {
    pub(super) disclosure: ClaimDisclosure,
    pub(super) class: Sensitivity,
    pub(super) facts: BTreeMap<usize, u64>,
}

/// Fact that a disclosure reveals. A claim with parts reveals a fact for each part, so that it weighs the same whether
/// the query requests the whole or its parts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    /// Value of a claim without parts.
    Value(ClaimPath),
    /// Proof that a claim reaches a threshold.
    Reaches(ClaimPath, Direction, OrderedValue),
}

/// Finds candidate answers, and numbers the facts that they reveal.
pub(super) struct CandidateAnswers<'a> {
    classes: &'a dyn SensitivityClasses,
    weights: &'a DisclosureWeights,
    /// Claims, by copy index, for which the query has two bounds: the copy does not answer for them.
    contested: &'a BTreeSet<(usize, ClaimPath)>,
    /// Conditions that count as met, for any value.
    assumed: &'a BTreeSet<Condition>,
    /// Conditions that the values of the documents do not meet.
    pub(super) unmet: BTreeSet<Condition>,
    facts: BTreeMap<Fact, usize>,
    pub(super) examined: u64,
}

/// Returns the weights of the document and of the copy, without claims. A refused document has no advantage from having
/// been presented before.
pub(super) fn copy_weights(holding: &AvailableCopy<'_>, weights: &DisclosureWeights) -> (u64, u64) {
    let new = if holding.seen_by_verifier && !holding.refused_before { 0 } else { u64::from(weights.new_document) };
    let copy = match holding.exposure {
        CopyExposure::SameVerifier if !holding.refused_before => 0,
        CopyExposure::NoVerifier | CopyExposure::SameVerifier => u64::from(weights.unused_copy),
        CopyExposure::OtherVerifiers(others) => {
            u64::from(weights.shared_copy).saturating_mul(u64::try_from(others).unwrap_or(u64::MAX))
        }
    };
    (u64::from(weights.document).saturating_add(new), copy)
}

impl<'a> CandidateAnswers<'a> {
    pub(super) fn new(
        classes: &'a dyn SensitivityClasses,
        weights: &'a DisclosureWeights,
        contested: &'a BTreeSet<(usize, ClaimPath)>,
        assumed: &'a BTreeSet<Condition>,
    ) -> Self {
        Self { classes, weights, contested, assumed, unmet: BTreeSet::new(), facts: BTreeMap::new(), examined: 0 }
    }

    /// Returns the candidate answers of the copies to a credential query: of each copy one for each claim set that it
    /// meets, without those that reveal all that another one of the same copy reveals, and more.
    ///
    /// # Errors
    /// `too_large` if more than [`MAX_EXAMINED`] claims would have to be examined.
    pub(super) fn for_query(
        &mut self,
        at: usize,
        query: &CredentialQuery,
        holdings: &[AvailableCopy<'_>],
    ) -> Result<Vec<CandidateAnswer>, Problem> {
        let sets = claim_set_indices(query);
        let mut offers = Vec::new();
        for (index, holding) in
            holdings.iter().enumerate().filter(|(_, holding)| query.matches_format_and_type(holding.candidate))
        {
            let own_claims = query.claims.iter().enumerate().map(|(number, claim)| {
                if self.contested.contains(&(index, claim.path.clone())) {
                    return Ok(None);
                }
                let condition = Condition { document: holding.document, query: at, claim: number };
                self.claim(holding, claim, condition)
            });
            let claims: Vec<Option<Vec<OfferedDisclosure>>> = own_claims.collect::<Result<_, _>>()?;
            // Without selective disclosure, the whole credential is disclosed, whatever the query requests.
            let whole = if holding.candidate.format.is_sd_jwt() { None } else { Some(self.all_disclosures(holding)?) };
            let mut own: Vec<CandidateAnswer> = Vec::new();
            for (set, asked) in sets.iter().enumerate() {
                let Some(asked) = asked else { continue };
                let met: Option<Vec<&Vec<OfferedDisclosure>>> =
                    asked.iter().map(|claim| claims.get(*claim).and_then(Option::as_ref)).collect();
                let Some(met) = met else { continue };
                let shows = match &whole {
                    Some(whole) => whole.clone(),
                    None => without_repetition(met.into_iter().flatten()),
                };
                let clear = if whole.is_none() { self.clear(holding, &shows) } else { Vec::new() };
                let mut told = BTreeMap::new();
                for shown in shows.iter().chain(&clear) {
                    self.count_examined(shown.facts.len())?;
                    told.extend(shown.facts.iter().map(|(told, cost)| (*told, *cost)));
                }
                own.push(CandidateAnswer {
                    copy_index: index,
                    claim_set: set,
                    disclosures: shows,
                    clear_claims: clear,
                    facts: told,
                });
            }
            self.count_examined(own.len().saturating_mul(own.len()))?;
            let tells_more = |offer: &CandidateAnswer| {
                own.iter().any(|less| {
                    less.facts.len() < offer.facts.len() && less.facts.keys().all(|told| offer.facts.contains_key(told))
                })
            };
            let least: Vec<bool> = own.iter().map(|offer| !tells_more(offer)).collect();
            offers.extend(own.into_iter().zip(least).filter(|(_, least)| *least).map(|(offer, _)| offer));
        }
        Ok(offers)
    }

    /// Returns the disclosures that answer a claims query; `None` if the copy cannot answer it.
    fn claim(
        &mut self,
        holding: &AvailableCopy<'_>,
        claim: &ClaimQuery,
        condition: Condition,
    ) -> Result<Option<Vec<OfferedDisclosure>>, Problem> {
        let found = values_at(holding.candidate.payload, &claim.path);
        let mut met: Vec<(ClaimPath, &Value)> =
            found.iter().filter(|(_, value)| claim.accepts(value)).cloned().collect();
        self.count_examined(met.len())?;
        if met.is_empty() && found.iter().any(|(_, value)| claim.could_accept(value)) {
            self.unmet.insert(condition);
            if self.assumed.contains(&condition) {
                met = found.into_iter().take(1).collect();
            }
        }
        if met.is_empty() {
            return Ok(None);
        }
        let provable = claim.threshold.as_ref().filter(|threshold| {
            holding
                .provable_claims
                .iter()
                .any(|ordered| ordered.path == claim.path && ordered.direction == threshold.direction())
        });
        if let Some(threshold) = provable {
            let path = claim.path.clone();
            let told =
                self.fact_number(Fact::Reaches(path.clone(), threshold.direction(), threshold.comparable_bound()));
            let class = self.classes.sensitivity(holding, &path);
            let show = ClaimDisclosure::Threshold { path, threshold: threshold.clone() };
            let told = BTreeMap::from([(told, u64::from(self.weights.threshold))]);
            return Ok(Some(vec![OfferedDisclosure { disclosure: show, class, facts: told }]));
        }
        met.into_iter().map(|(path, value)| self.value(holding, path, value)).collect::<Result<_, _>>().map(Some)
    }

    /// Returns the claims in the clear that become readable with these disclosures and are not part of them.
    fn clear(&mut self, holding: &AvailableCopy<'_>, shows: &[OfferedDisclosure]) -> Vec<OfferedDisclosure> {
        let values = || {
            shows.iter().filter_map(|shown| match &shown.disclosure {
                ClaimDisclosure::Value(path) => Some(path),
                ClaimDisclosure::Threshold { .. } => None,
            })
        };
        let readable = holding.clear_claims.iter().filter(|claim| claim.is_readable_with(values()));
        let besides = readable.filter(|claim| !values().any(|path| claim.payload_path.starts_with(path)));
        besides
            .map(|claim| {
                let class = self.classes.sensitivity(holding, &claim.payload_path);
                let told = self.fact_number(Fact::Value(claim.payload_path.clone()));
                let told = BTreeMap::from([(told, self.weight(class))]);
                OfferedDisclosure { disclosure: ClaimDisclosure::Value(claim.payload_path.clone()), class, facts: told }
            })
            .collect()
    }

    fn weight(&self, class: Sensitivity) -> u64 {
        let weight = match class {
            Sensitivity::Computed => self.weights.computed,
            Sensitivity::WidelyShared => self.weights.coarse,
            Sensitivity::Ordinary => self.weights.value,
            Sensitivity::Identifying => self.weights.fine,
        };
        weight.into()
    }

    /// Returns the disclosure of a value with all its parts. Metadata among them reveals nothing.
    fn value(
        &mut self,
        holding: &AvailableCopy<'_>,
        path: ClaimPath,
        value: &Value,
    ) -> Result<OfferedDisclosure, Problem> {
        let mut parts = Vec::new();
        parts_of(path.clone(), value, &mut parts);
        self.count_examined(parts.len())?;
        let mut told = BTreeMap::new();
        let mut most = None;
        for part in parts.into_iter().filter(|part| !readable::is_metadata_at(holding.candidate.format, part, value)) {
            let class = self.classes.sensitivity(holding, &part);
            most = most.max(Some(class));
            told.insert(self.fact_number(Fact::Value(part)), self.weight(class));
        }
        let class = most.unwrap_or_else(|| self.classes.sensitivity(holding, &path));
        Ok(OfferedDisclosure { disclosure: ClaimDisclosure::Value(path), class, facts: told })
    }

    /// Returns the disclosures of all claims, for a format without selective disclosure.
    fn all_disclosures(&mut self, holding: &AvailableCopy<'_>) -> Result<Vec<OfferedDisclosure>, Problem> {
        let QueryCandidate { format, payload, .. } = holding.candidate;
        let claims = readable::paths_without_selective_disclosure(format, payload);
        let values = claims.iter().flat_map(|path| values_at(payload, path));
        values.map(|(path, value)| self.value(holding, path, value)).collect()
    }

    fn fact_number(&mut self, told: Fact) -> usize {
        let next = self.facts.len();
        *self.facts.entry(told).or_insert(next)
    }

    fn count_examined(&mut self, at: usize) -> Result<(), Problem> {
        self.examined = self.examined.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)).saturating_add(1);
        if self.examined > MAX_EXAMINED {
            return Err(Problem::new(Code::TooLarge, "the query is too large to compare its answers"));
        }
        Ok(())
    }
}

/// Returns the indices of the claims of each claim set; `None` for a set that names an unknown claim.
fn claim_set_indices(query: &CredentialQuery) -> Vec<Option<BTreeSet<usize>>> {
    if query.claim_sets.is_empty() {
        return vec![Some((0..query.claims.len()).collect())];
    }
    let by_id: BTreeMap<&str, usize> =
        query.claims.iter().enumerate().filter_map(|(index, claim)| Some((claim.id.as_deref()?, index))).collect();
    query.claim_sets.iter().map(|set| set.iter().map(|id| by_id.get(id.as_str()).copied()).collect()).collect()
}

/// Removes repeated disclosures, and those that another one contains: a value contains its parts, and makes the proof
/// of a threshold that it reaches unnecessary.
fn without_repetition<'s>(shows: impl Iterator<Item = &'s OfferedDisclosure>) -> Vec<OfferedDisclosure> {
    let path_of = |shown: &'s OfferedDisclosure| match &shown.disclosure {
        ClaimDisclosure::Value(path) => (path.as_slice(), None),
        ClaimDisclosure::Threshold { path, threshold } => {
            (path.as_slice(), Some((threshold.direction(), threshold.comparable_bound())))
        }
    };
    let once: BTreeMap<_, &OfferedDisclosure> = shows.map(|shown| (path_of(shown), shown)).collect();
    let is_within_another = |path: &[Step], or_same: bool| {
        let lengths = 1..path.len().saturating_add(usize::from(or_same));
        lengths.filter_map(|length| path.get(..length)).any(|around| once.contains_key(&(around, None)))
    };
    once.iter()
        .filter(|((path, threshold), _)| !is_within_another(path, threshold.is_some()))
        .map(|(_, shown)| (*shown).clone())
        .collect()
}

/// Appends the paths of the claims without parts that a value consists of.
fn parts_of(path: ClaimPath, value: &Value, parts: &mut Vec<ClaimPath>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                parts_of(below(&path, Step::Name(name.clone())), value, parts);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                parts_of(below(&path, Step::Index(index)), value, parts);
            }
        }
        _ => parts.push(path),
    }
}

fn below(path: &[Step], step: Step) -> ClaimPath {
    path.iter().cloned().chain([step]).collect()
}
