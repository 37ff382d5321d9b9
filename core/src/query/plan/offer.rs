//! What each holding offers for each credential query.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Class, Classes, Exposure, Holding, Show, Weights};
use crate::{
    query::{ClaimQuery, CredentialQuery, values_at},
    secure::sd_jwt::{ClaimPath, Step},
};

/// The formats in which claims are disclosed one by one; in any other a credential is shown as a whole.
const SELECTIVE: [&str; 2] = ["vc+sd-jwt", "dc+sd-jwt"];

/// One way to answer a credential query.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    /// The index of the holding.
    pub(super) holding: usize,
    /// Which claim set, in the asker's order.
    pub(super) set: usize,
    /// What is shown, with its weight, by path and kind, so that what two queries ask of one copy counts once.
    pub(super) shows: BTreeMap<Key, Weighed>,
}

/// A claim and the kind of showing; a threshold is told apart by its direction and bound.
pub(super) type Key = (ClaimPath, Option<String>);

/// A showing and what it weighs.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub(super) show: Show,
    pub(super) class: Class,
    pub(super) cost: u64,
}

impl Offer {
    /// What its claims weigh.
    pub(super) fn claims_cost(&self) -> u64 {
        self.shows.values().fold(0, |sum, weighed| sum.saturating_add(weighed.cost))
    }
}

/// What using a holding at all weighs, without its claims.
pub(super) fn holding_cost(holding: &Holding<'_>, weights: &Weights) -> (u64, u64) {
    let new = if holding.known { 0 } else { u64::from(weights.new_document) };
    let copy = match holding.exposure {
        Exposure::Nobody => u64::from(weights.fresh_copy),
        Exposure::SameAsker => 0,
        Exposure::Others(others) => {
            u64::from(weights.shared_copy).saturating_mul(u64::try_from(others).unwrap_or(u64::MAX))
        }
    };
    (u64::from(weights.document).saturating_add(new), copy)
}

/// Every way in which a holding answers a query: one for each claim set that it meets.
pub(super) fn offers(
    query: &CredentialQuery,
    index: usize,
    holding: &Holding<'_>,
    classes: &dyn Classes,
    weights: &Weights,
) -> Vec<Offer> {
    if !query.fits(holding.candidate) {
        return Vec::new();
    }
    let all: Vec<&ClaimQuery> = query.claims.iter().collect();
    let named = |set: &Vec<String>| -> Option<Vec<&ClaimQuery>> {
        set.iter().map(|id| query.claims.iter().find(|claim| claim.id.as_deref() == Some(id))).collect()
    };
    let sets: Vec<Vec<&ClaimQuery>> = if query.claim_sets.is_empty() {
        vec![all]
    } else {
        query.claim_sets.iter().map(|set| named(set).unwrap_or_default()).collect()
    };
    let weigh = |show: Show, path: &ClaimPath| {
        let class = classes.class(holding, path);
        let cost = match (&show, class) {
            (Show::Threshold { .. }, _) => weights.threshold,
            (_, Class::Computed) => weights.computed,
            (_, Class::Coarse) => weights.coarse,
            (_, Class::Value) => weights.value,
            (_, Class::Fine) => weights.fine,
        };
        Weighed { show, class, cost: cost.into() }
    };
    let mut offers = Vec::new();
    for (set, claims) in sets.into_iter().enumerate() {
        let Some(mut shows) = showing(holding, &claims) else { continue };
        if !SELECTIVE.contains(&holding.candidate.format) {
            // Whatever was asked for, everything goes.
            shows = leaves(holding);
        }
        let shows = shows
            .into_iter()
            .map(|show| match &show {
                Show::Value(path) => ((path.clone(), None), weigh(show.clone(), path)),
                Show::Threshold { path, threshold } => {
                    let bound = format!("{} {}", threshold.direction().as_str(), threshold.bound());
                    ((path.clone(), Some(bound)), weigh(show.clone(), path))
                }
            })
            .collect();
        offers.push(Offer { holding: index, set, shows });
    }
    offers
}

/// How a holding shows some claims; `None` if it lacks one.
fn showing(holding: &Holding<'_>, claims: &[&ClaimQuery]) -> Option<Vec<Show>> {
    let mut shows = Vec::new();
    for claim in claims {
        let met: Vec<(ClaimPath, &Value)> = values_at(holding.candidate.payload, &claim.path)
            .into_iter()
            .filter(|(_, value)| claim.accepts(value))
            .collect();
        if met.is_empty() {
            return None;
        }
        let provable = claim.threshold.as_ref().filter(|threshold| {
            holding
                .provable
                .iter()
                .any(|ordered| ordered.path == claim.path && ordered.direction == threshold.direction())
        });
        match provable {
            Some(threshold) => {
                shows.push(Show::Threshold { path: claim.path.clone(), threshold: threshold.clone() });
            }
            None => shows.extend(met.into_iter().map(|(path, _)| Show::Value(path))),
        }
    }
    Some(shows)
}

/// Every claim of a credential that can hide none.
fn leaves(holding: &Holding<'_>) -> Vec<Show> {
    let subject = holding.candidate.payload.get("credentialSubject").and_then(Value::as_object);
    let names = subject.into_iter().flatten().map(|(name, _)| name).filter(|name| *name != "id");
    names.map(|name| Show::Value(vec![Step::Name("credentialSubject".to_owned()), Step::Name(name.clone())])).collect()
}
