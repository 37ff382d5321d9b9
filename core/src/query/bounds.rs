//! Limit of one bound for each claim in a query (spec/at-least.md 5.2).
//!
//! A verifier that lists bounds as alternatives, the tightest first, would learn from the proved one that the earlier
//! bounds are not reached, and could so determine a hidden value. Therefore a query may have only one bound for each
//! type, path and direction, and no `values` for the same claim, which would have the same effect.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{ClaimQuery, CredentialQuery, Query, path_to_text, plan::AvailableCopy};
use crate::{
    Code, Problem,
    format::CredentialFormat,
    secure::sd_jwt::{ClaimPath, Step},
};

/// Type that every credential of the W3C data model has.
const BASE_TYPE: &str = "VerifiableCredential";

/// Types that a credential query accepts.
enum AcceptedTypes<'a> {
    Vct(HashSet<&'a str>),
    /// Type names besides `VerifiableCredential`; `None` if a set has no other name, so that every credential has it.
    Names(Option<HashSet<&'a str>>),
}

impl<'a> AcceptedTypes<'a> {
    /// Collects the accepted types; `None` for a credential query that this library does not support.
    fn from_query(query: &'a CredentialQuery) -> Option<Self> {
        if query.unsupported_reason().is_some() {
            return None;
        }
        if query.format == CredentialFormat::DcSdJwt {
            return Some(Self::Vct(query.vct_values.iter().map(String::as_str).collect()));
        }
        let own = |set: &'a Vec<String>| set.iter().map(String::as_str).filter(|name| *name != BASE_TYPE);
        if query.type_values.iter().any(|set| own(set).next().is_none()) {
            return Some(Self::Names(None));
        }
        Some(Self::Names(Some(query.type_values.iter().flat_map(own).collect())))
    }

    /// Returns `false` only if the names show that no document, in any format, has types that both accept.
    fn may_overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Vct(one), Self::Vct(other)) | (Self::Names(Some(one)), Self::Names(Some(other))) => {
                !one.is_disjoint(other)
            }
            // A `vct` does not show which type names the same document has.
            (Self::Names(_), _) | (_, Self::Names(_)) => true,
        }
    }
}

/// Returns whether the answers to two claims queries for one claim can reveal two bounds in one direction: the queries
/// have different bounds, or one has a bound and the other accepted values.
fn reveals_two_bounds(one: &ClaimQuery, other: &ClaimQuery) -> bool {
    match (&one.threshold, &other.threshold) {
        (Some(first), Some(second)) => first.direction() == second.direction() && first != second,
        (Some(_), None) => !other.values.is_empty(),
        (None, Some(_)) => !one.values.is_empty(),
        (None, None) => false,
    }
}

fn is_conditional(claim: &ClaimQuery) -> bool {
    claim.threshold.is_some() || !claim.values.is_empty()
}

/// Claim, independent of the format: `true` if it belongs to the subject, and its path below the subject, or else from
/// the root.
type RequestedClaim<'a> = (bool, &'a [Step]);

fn claim_of<'a>(query: &CredentialQuery, claim: &'a ClaimQuery) -> RequestedClaim<'a> {
    match claim.path.split_first() {
        Some((Step::Name(name), rest)) if query.format != CredentialFormat::DcSdJwt && name == "credentialSubject" => {
            (true, rest)
        }
        _ => (query.format == CredentialFormat::DcSdJwt, claim.path.as_slice()),
    }
}

impl Query {
    /// Checks that the query does not request, for one claim of one type, two bounds in one direction, or a bound and
    /// values.
    pub(super) fn check_bounds(&self) -> Result<(), Problem> {
        let mut asked: BTreeMap<RequestedClaim<'_>, Vec<(usize, &ClaimQuery)>> = BTreeMap::new();
        for (index, credential) in self.credentials.iter().enumerate() {
            for claim in credential.claims.iter().filter(|claim| is_conditional(claim)) {
                asked.entry(claim_of(credential, claim)).or_default().push((index, claim));
            }
        }
        asked.retain(|_, claims| claims.iter().any(|(_, claim)| claim.threshold.is_some()));
        let types: Vec<Option<AcceptedTypes<'_>>> = self.credentials.iter().map(AcceptedTypes::from_query).collect();
        let of = |index: &usize| types.get(*index).and_then(Option::as_ref);
        for claims in asked.values() {
            for (at, (index, claim)) in claims.iter().enumerate() {
                let narrowed = claims.iter().skip(at.saturating_add(1)).find(|(other, beside)| {
                    reveals_two_bounds(claim, beside)
                        && of(index).zip(of(other)).is_some_and(|(one, other)| one.may_overlap(other))
                });
                if let Some((other, _)) = narrowed {
                    let id = |index: &usize| self.credentials.get(*index).map_or("", |credential| &credential.id);
                    let detail = format!(
                        "{} and {} ask for {} of one type with two bounds, or with a bound and values",
                        id(index),
                        id(other),
                        path_to_text(&claim.path)
                    );
                    return Err(Problem::new(Code::QueryMalformed, detail));
                }
            }
        }
        Ok(())
    }

    /// Returns the claims, each with the index of its copy, for which the query requests two bounds in one direction,
    /// or a bound and values, of the same copy. This occurs if the copy has two types that different credential queries
    /// name.
    pub(super) fn contested_claims(&self, holdings: &[AvailableCopy<'_>]) -> BTreeSet<(usize, ClaimPath)> {
        let mut contested = BTreeSet::new();
        for (index, holding) in holdings.iter().enumerate() {
            let fitting =
                self.credentials.iter().filter(|credential| credential.matches_format_and_type(holding.candidate));
            let claims = fitting.flat_map(|credential| &credential.claims);
            let mut first: BTreeMap<&ClaimPath, Vec<&ClaimQuery>> = BTreeMap::new();
            for claim in claims.filter(|claim| is_conditional(claim)) {
                let known = first.entry(&claim.path).or_default();
                if known.iter().any(|other| reveals_two_bounds(claim, other)) {
                    contested.insert((index, claim.path.clone()));
                } else if !known.contains(&claim) {
                    known.push(claim);
                }
            }
        }
        contested
    }
}

#[cfg(test)]
mod tests;
