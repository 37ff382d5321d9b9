//! Items that a query requests, their names on the command line, and the query without those that the holder withholds.

use carnet_core::{
    at_least::Direction,
    format::CredentialFormat,
    query::{ClaimQuery, CredentialQuery, Query, Threshold, path_to_text},
    secure::sd_jwt::{ClaimPath, Step},
    trust::registration::{ExceededLimit, RegistrationExcess},
};
use serde_json::Value;

use crate::{
    failure::{Failure, FailureReason, Sentence},
    sanitise::sanitise,
};

/// Item that a verifier requests: a claim's value, a threshold of a claim, or the credential as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestedItem {
    /// Id of the credential query.
    pub query_id: String,
    /// Path of the claim; `None`: the whole credential.
    pub path: Option<ClaimPath>,
    /// Requested threshold; `None`: the value is requested.
    pub threshold: Option<Threshold>,
    /// Limit of the verifier's registration that the item exceeds; `None`: within the registration.
    pub exceeded_limit: Option<ExceededLimit>,
    /// `true` if the holder must approve it separately: it exceeds the registration, and is not covered by items for
    /// claims below it.
    pub needs_approval: bool,
}

/// Claim of a credential query, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedClaimPath {
    /// Id of the credential query.
    pub query_id: String,
    /// Path of the claim.
    pub path: ClaimPath,
}

impl RequestedClaimPath {
    /// Returns whether this is the claim at `path` of the credential query `query_id`.
    pub(super) fn matches(&self, query_id: &str, path: &[Step]) -> bool {
        self.query_id == query_id && self.path == path
    }
}

/// Returns the items of a query without duplicates: for each credential query the credential as a whole, then its
/// claims. Items in `excess` exceed the registration.
pub fn requested_items(query: &Query, excess: &[RegistrationExcess]) -> Vec<RequestedItem> {
    let beyond = |id: &str, path: Option<&ClaimPath>, direction: Option<Direction>| {
        let same = |excess: &&RegistrationExcess| {
            excess.query_id == id && excess.path.as_ref() == path && excess.threshold == direction
        };
        excess.iter().find(same).map(|excess| excess.exceeded_limit)
    };
    let mut all = Vec::new();
    for credential in &query.credentials {
        let itself = beyond(&credential.id, None, None);
        all.push(RequestedItem {
            query_id: credential.id.clone(),
            path: None,
            threshold: None,
            exceeded_limit: itself,
            // The owner approves the claims one by one, so the credential itself needs approval only if it is disclosed
            // as a whole.
            needs_approval: itself.is_some() && (credential.claims.is_empty() || !selective(credential)),
        });
        for claim in &credential.claims {
            let direction = claim.threshold.as_ref().map(Threshold::direction);
            let beyond = beyond(&credential.id, Some(&claim.path), direction);
            let asked = RequestedItem {
                query_id: credential.id.clone(),
                path: Some(claim.path.clone()),
                threshold: claim.threshold.clone(),
                exceeded_limit: beyond,
                needs_approval: beyond.is_some(),
            };
            if !all.contains(&asked) {
                all.push(asked);
            }
        }
    }
    all
}

impl RequestedItem {
    /// Returns the name by which the command line refers to the item, such as `residence`,
    /// `residence:credentialSubject.rightToWork` or `residence:credentialSubject.validUntil >= 2026-11-22`.
    pub fn name(&self) -> String {
        match (&self.path, &self.threshold) {
            (None, _) => self.query_id.clone(),
            (Some(path), None) => format!("{}:{}", self.query_id, path_to_text(path)),
            (Some(path), Some(threshold)) => format!("{}:{}", self.query_id, threshold_text(path, threshold)),
        }
    }

    /// Returns the name without the threshold.
    fn short_name(&self) -> String {
        Self { threshold: None, ..self.clone() }.name()
    }

    /// Returns whether withholding this item also withholds `claim`: it is the same claim, or requires the withheld
    /// value.
    fn covers(&self, claim: &ClaimQuery) -> bool {
        self.path.as_ref().is_some_and(|path| {
            let same = *path == claim.path && self.threshold == claim.threshold;
            same || (self.threshold.is_none() && claim.threshold.is_none() && overlaps(path, &claim.path))
        })
    }
}

/// Returns the items with the given names. A name without a threshold matches the claim's value and all its thresholds.
/// With `exact`, an item with exactly this name is the only match, and a name must match one item only.
///
/// # Errors
/// `claim_unknown` if a name matches no item; with `exact`, `claim_ambiguous` if it matches several.
pub fn items_by_name(all: &[RequestedItem], names: &[String], exact: bool) -> Result<Vec<RequestedItem>, Failure> {
    let mut found = Vec::new();
    for name in names {
        let full: Vec<&RequestedItem> = all.iter().filter(|asked| asked.name() == *name).collect();
        let short: Vec<&RequestedItem> = all.iter().filter(|asked| asked.short_name() == *name).collect();
        if short.is_empty() && full.is_empty() {
            let known: Vec<String> = all.iter().map(|asked| format!("\"{}\"", sanitise(&asked.name()))).collect();
            let message = Sentence::new("error-claim-unknown").with("name", sanitise(name));
            let hint = Sentence::new("hint-claims-asked").with("claims", known.join(", "));
            return Err(Failure::usage(FailureReason::ClaimUnknown, message, hint));
        }
        if exact && short.len() > 1 && full.len() != 1 {
            let known: Vec<String> = short.iter().map(|asked| format!("\"{}\"", sanitise(&asked.name()))).collect();
            let message = Sentence::new("error-claim-ambiguous").with("name", sanitise(name));
            let hint = Sentence::new("hint-name-one").with("claims", known.join(", "));
            return Err(Failure::usage(FailureReason::ClaimAmbiguous, message, hint));
        }
        // A name without a threshold withholds the claim in every form.
        let meant = if exact && !full.is_empty() { full } else { full.into_iter().chain(short).collect() };
        found.extend(meant.into_iter().cloned());
    }
    Ok(found)
}

/// Returns the query without the withheld items. Claim sets that contain a withheld claim are removed. A credential
/// query matches no credential any more if it has no claim set left, if a claim of it is withheld and it has no claim
/// sets, if its format discloses whole credentials, or if the credential itself is withheld.
pub fn query_without(query: &Query, withheld: &[RequestedItem]) -> Query {
    let mut query = query.clone();
    for credential in &mut query.credentials {
        let own: Vec<&RequestedItem> = withheld.iter().filter(|asked| asked.query_id == credential.id).collect();
        if own.is_empty() {
            continue;
        }
        let gone: Vec<&ClaimQuery> =
            credential.claims.iter().filter(|claim| own.iter().any(|asked| asked.covers(claim))).collect();
        let whole = own.iter().any(|asked| asked.path.is_none()) || !selective(credential);
        let unmet = if credential.claim_sets.is_empty() {
            whole || !gone.is_empty()
        } else {
            let gone: Vec<String> = gone.iter().filter_map(|claim| claim.id.clone()).collect();
            credential.claim_sets.retain(|set| !set.iter().any(|id| gone.contains(id)));
            whole || credential.claim_sets.is_empty()
        };
        if unmet {
            // Without type values, no credential matches.
            credential.type_values.clear();
            credential.vct_values.clear();
        }
    }
    query
}

/// Formats a threshold, such as `credentialSubject.validUntil >= 2026-11-22`.
pub fn threshold_text(path: &[Step], threshold: &Threshold) -> String {
    let sign = match threshold.direction() {
        Direction::AtLeast => ">=",
        Direction::AtMost => "<=",
    };
    format!("{} {sign} {}", path_to_text(path), bound_text(threshold))
}

/// Formats the bound of a threshold: a text as it is, a number as JSON.
pub fn bound_text(threshold: &Threshold) -> String {
    match threshold.bound() {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn selective(credential: &CredentialQuery) -> bool {
    credential.format.known().is_some_and(CredentialFormat::is_sd_jwt)
}

/// Returns whether one path is a prefix of the other; an array wildcard matches any element.
fn overlaps(one: &[Step], other: &[Step]) -> bool {
    one.iter().zip(other).all(|(a, b)| match (a, b) {
        (Step::All, Step::Index(_)) | (Step::Index(_), Step::All) => true,
        (a, b) => a == b,
    })
}
