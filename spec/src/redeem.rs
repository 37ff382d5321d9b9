//! Which claims of an answer are counted as a use of an entitlement (entitlement.md section 2).

use carnet_core::{query::Query, secure::sd_jwt::ClaimPath};
use serde::Deserialize;

use crate::claims;

/// What an accepted answer marks a use by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redeem {
    /// The id of the credential query that asks for the entitlement.
    pub credential: String,
    /// The path of what uses are counted by.
    pub id: ClaimPath,
    /// The path of the DID that may count.
    pub redeemer: ClaimPath,
    /// The path of how many uses there are.
    pub uses: ClaimPath,
}

/// `[redeem]` as a template writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemText {
    credential: String,
    id: String,
    redeemer: String,
    uses: String,
}

impl Redeem {
    /// Holds it to the query: an accepted answer must have each of the three claims exactly once. An error is a
    /// sentence about it.
    pub(crate) fn read(text: RedeemText, query: &Query) -> Result<Self, String> {
        let RedeemText { credential, id, redeemer, uses } = text;
        let Some(asked) = query.credential(&credential) else {
            return Err(format!("[redeem] names \"{credential}\", which the query does not ask for"));
        };
        if asked.multiple || !asked.claim_sets.is_empty() || !query.credential_sets.is_empty() {
            return Err("[redeem] needs a query whose every answer has the claims exactly once: no multiple, claim_sets or credential_sets".to_owned());
        }
        let path = |name: &str, text: &str| {
            let asks = |path: &ClaimPath| {
                asked.claims.iter().any(|claim| claim.path == *path && claim.threshold.is_none())
                    && !text.contains("[]")
            };
            claims::parse_path(text, &[])
                .filter(asks)
                .ok_or_else(|| format!("[redeem] {name} \"{text}\" is no claim whose value the query asks for, once"))
        };
        let (id, redeemer, uses) = (path("id", &id)?, path("redeemer", &redeemer)?, path("uses", &uses)?);
        Ok(Self { credential, id, redeemer, uses })
    }
}
