//! Claims that a verifier retains in addition to the result, with purposes and retention periods (credential-types.md
//! section 7).

use std::collections::BTreeMap;

use carnet_core::{
    query::{CredentialQuery, Query},
    secure::sd_jwt::ClaimPath,
};
use serde::Deserialize;

use crate::{claims, display::FALLBACK_LANGUAGE};

/// Maximum retention period of a claim, in days: ten years.
const MAX_RETENTION_DAYS: u32 = 3_650;

/// Claim whose value the verifier retains, with purpose and period.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionRule {
    /// Id of the credential query that requests the claim.
    pub query_id: String,
    /// Path of the claim, as in that query.
    pub path: ClaimPath,
    /// Purpose, by language tag; English is required.
    pub purpose: BTreeMap<String, String>,
    /// Retention period, in days from the creation of the request: 1 to 3,650.
    pub retention_days: u32,
}

/// `[[keep]]` as written in a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionToml {
    credential: String,
    path: String,
    days: u32,
    why: BTreeMap<String, String>,
}

impl RetentionRule {
    /// Parses the retained claims of a template, which its query must request. An error is a sentence about one of
    /// them.
    pub(crate) fn read_all(texts: Vec<RetentionToml>, query: &Query) -> Result<Vec<Self>, String> {
        let mut kept: Vec<Self> = Vec::with_capacity(texts.len());
        for RetentionToml { credential, path, days, why } in texts {
            let wrong = |what: &str| Err(format!("[[keep]] \"{path}\" of \"{credential}\" {what}"));
            let asked = query.credential(&credential).zip(claims::parse_path(&path, &[]));
            let Some((asked, steps)) = asked.filter(|(asked, steps)| asks_for_value(asked, steps)) else {
                return wrong("is not a claim whose value the query asks for");
            };
            if asked.multiple {
                return wrong(
                    "is in a credential that may be presented more than once, so its values could not be told apart",
                );
            }
            if !(1..=MAX_RETENTION_DAYS).contains(&days) {
                return wrong("has a retention that is not 1 to 3,650 days");
            }
            if why.get(FALLBACK_LANGUAGE).is_none_or(|text| text.trim().is_empty()) {
                return wrong("lacks a reason in English");
            }
            if kept.iter().any(|other| other.query_id == asked.id && other.path == steps) {
                return wrong("occurs twice");
            }
            kept.push(Self { path: steps, query_id: credential, purpose: why, retention_days: days });
        }
        Ok(kept)
    }
}

/// Returns whether a credential query requests the value at a path, and not only a threshold proof.
fn asks_for_value(query: &CredentialQuery, path: &ClaimPath) -> bool {
    query.claims.iter().any(|claim| claim.path == *path && claim.threshold.is_none())
}
