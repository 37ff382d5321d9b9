//! Candidate answers of each copy to each credential query.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ClaimDisclosure, CopyExposure, DisclosureWeights, Holding, Sensitivity, SensitivityClasses};
use crate::{
    Code, Problem,
    at_least::{Direction, OrderedValue},
    query::{Candidate, ClaimQuery, CredentialQuery, values_at},
    secure::sd_jwt::{ClaimPath, Step},
    shown,
};

/// Maximum number of claims without parts that are examined to find the candidate answers. Real wallets and requests
/// stay below a tenth of it.
const MAX_LOOKS: u64 = 2_000_000;

/// Answer to a credential query with one copy and one claim set.
#[derive(Debug, Clone)]
pub(super) struct CandidateAnswer {
    /// Index of the copy.
    pub(super) holding: usize,
    /// Index of the claim set, in the verifier's order.
    pub(super) set: usize,
    /// Disclosures, in the order of paths.
    pub(super) shows: Vec<OfferedDisclosure>,
    /// Further readable claims, which the issuer left in the clear.
    pub(super) clear: Vec<OfferedDisclosure>,
    /// Facts that its disclosures reveal: their numbers, with their weights.
    pub(super) told: BTreeMap<usize, u64>,
}

/// Threshold or list of accepted values that a document may or may not meet: indices of the document, the credential
/// query and the claims query in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    pub(super) document: usize,
    pub(super) query: usize,
    pub(super) claim: usize,
}

/// Disclosure and the facts that it reveals: the numbers of the [`Told`], with their weights.
#[derive(Debug, Clone)]
pub(super) struct OfferedDisclosure {
    pub(super) show: ClaimDisclosure,
    pub(super) class: Sensitivity,
    pub(super) told: BTreeMap<usize, u64>,
}

/// Fact that a disclosure reveals. A claim with parts reveals a fact for each part, so that it weighs the same whether
/// the query requests the whole or its parts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
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
    told: BTreeMap<Told, usize>,
    pub(super) looks: u64,
}

/// Returns the weights of the document and of the copy, without claims. A refused document has no advantage from having
/// been presented before.
pub(super) fn holding_cost(holding: &Holding<'_>, weights: &DisclosureWeights) -> (u64, u64) {
    let new = if holding.known && !holding.refused { 0 } else { u64::from(weights.new_document) };
    let copy = match holding.exposure {
        CopyExposure::SameAsker if !holding.refused => 0,
        CopyExposure::Nobody | CopyExposure::SameAsker => u64::from(weights.fresh_copy),
        CopyExposure::Others(others) => {
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
        Self { classes, weights, contested, assumed, unmet: BTreeSet::new(), told: BTreeMap::new(), looks: 0 }
    }

    /// Returns the candidate answers of the copies to a credential query: of each copy one for each claim set that it
    /// meets, without those that reveal all that another one of the same copy reveals, and more.
    ///
    /// # Errors
    /// `too_large` if more than [`MAX_LOOKS`] claims would have to be examined.
    pub(super) fn of(
        &mut self,
        at: usize,
        query: &CredentialQuery,
        holdings: &[Holding<'_>],
    ) -> Result<Vec<CandidateAnswer>, Problem> {
        let sets = sets(query);
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
            let whole = if holding.candidate.format.is_sd_jwt() { None } else { Some(self.whole(holding)?) };
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
                    self.look(shown.told.len())?;
                    told.extend(shown.told.iter().map(|(told, cost)| (*told, *cost)));
                }
                own.push(CandidateAnswer { holding: index, set, shows, clear, told });
            }
            self.look(own.len().saturating_mul(own.len()))?;
            let tells_more = |offer: &CandidateAnswer| {
                own.iter().any(|less| {
                    less.told.len() < offer.told.len() && less.told.keys().all(|told| offer.told.contains_key(told))
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
        holding: &Holding<'_>,
        claim: &ClaimQuery,
        condition: Condition,
    ) -> Result<Option<Vec<OfferedDisclosure>>, Problem> {
        let found = values_at(holding.candidate.payload, &claim.path);
        let mut met: Vec<(ClaimPath, &Value)> =
            found.iter().filter(|(_, value)| claim.accepts(value)).cloned().collect();
        self.look(met.len())?;
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
                .provable
                .iter()
                .any(|ordered| ordered.path == claim.path && ordered.direction == threshold.direction())
        });
        if let Some(threshold) = provable {
            let path = claim.path.clone();
            let told = self.number(Told::Reaches(path.clone(), threshold.direction(), threshold.number()));
            let class = self.classes.class(holding, &path);
            let show = ClaimDisclosure::Threshold { path, threshold: threshold.clone() };
            let told = BTreeMap::from([(told, u64::from(self.weights.threshold))]);
            return Ok(Some(vec![OfferedDisclosure { show, class, told }]));
        }
        met.into_iter().map(|(path, value)| self.value(holding, path, value)).collect::<Result<_, _>>().map(Some)
    }

    /// Returns the claims in the clear that become readable with these disclosures and are not part of them.
    fn clear(&mut self, holding: &Holding<'_>, shows: &[OfferedDisclosure]) -> Vec<OfferedDisclosure> {
        let values = || {
            shows.iter().filter_map(|shown| match &shown.show {
                ClaimDisclosure::Value(path) => Some(path),
                ClaimDisclosure::Threshold { .. } => None,
            })
        };
        let readable = holding.clear.iter().filter(|claim| claim.is_readable_with(values()));
        let besides = readable.filter(|claim| !values().any(|path| claim.shown.starts_with(path)));
        besides
            .map(|claim| {
                let class = self.classes.class(holding, &claim.shown);
                let told = self.number(Told::Value(claim.shown.clone()));
                let told = BTreeMap::from([(told, self.weight(class))]);
                OfferedDisclosure { show: ClaimDisclosure::Value(claim.shown.clone()), class, told }
            })
            .collect()
    }

    fn weight(&self, class: Sensitivity) -> u64 {
        let weight = match class {
            Sensitivity::Computed => self.weights.computed,
            Sensitivity::Coarse => self.weights.coarse,
            Sensitivity::Value => self.weights.value,
            Sensitivity::Fine => self.weights.fine,
        };
        weight.into()
    }

    /// Returns the disclosure of a value with all its parts. Metadata among them reveals nothing.
    fn value(&mut self, holding: &Holding<'_>, path: ClaimPath, value: &Value) -> Result<OfferedDisclosure, Problem> {
        let mut parts = Vec::new();
        parts_of(path.clone(), value, &mut parts);
        self.look(parts.len())?;
        let mut told = BTreeMap::new();
        let mut most = None;
        for part in parts.into_iter().filter(|part| !shown::is_metadata_at(holding.candidate.format, part, value)) {
            let class = self.classes.class(holding, &part);
            most = most.max(Some(class));
            told.insert(self.number(Told::Value(part)), self.weight(class));
        }
        let class = most.unwrap_or_else(|| self.classes.class(holding, &path));
        Ok(OfferedDisclosure { show: ClaimDisclosure::Value(path), class, told })
    }

    /// Returns the disclosures of all claims, for a format without selective disclosure.
    fn whole(&mut self, holding: &Holding<'_>) -> Result<Vec<OfferedDisclosure>, Problem> {
        let Candidate { format, payload, .. } = holding.candidate;
        let claims = shown::claims_disclosed_as_whole(format, payload);
        let values = claims.iter().flat_map(|path| values_at(payload, path));
        values.map(|(path, value)| self.value(holding, path, value)).collect()
    }

    fn number(&mut self, told: Told) -> usize {
        let next = self.told.len();
        *self.told.entry(told).or_insert(next)
    }

    fn look(&mut self, at: usize) -> Result<(), Problem> {
        self.looks = self.looks.saturating_add(u64::try_from(at).unwrap_or(u64::MAX)).saturating_add(1);
        if self.looks > MAX_LOOKS {
            return Err(Problem::new(Code::TooLarge, "the query is too large to compare its answers"));
        }
        Ok(())
    }
}

/// Returns the indices of the claims of each claim set; `None` for a set that names an unknown claim.
fn sets(query: &CredentialQuery) -> Vec<Option<BTreeSet<usize>>> {
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
    let path_of = |shown: &'s OfferedDisclosure| match &shown.show {
        ClaimDisclosure::Value(path) => (path.as_slice(), None),
        ClaimDisclosure::Threshold { path, threshold } => {
            (path.as_slice(), Some((threshold.direction(), threshold.number())))
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
