//! Claims of a presentation that count as a use of an entitlement (entitlement.md section 2).

use carnet_core::{
    query::{CredentialQuery, Query},
    secure::sd_jwt::{ClaimPath, Step},
};
use serde::Deserialize;

use crate::claims;

/// Claims by which an accepted presentation counts as a use of an entitlement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedemptionClaims {
    /// Id of the credential query that requests the entitlement.
    pub query_id: String,
    /// Path of the serials, of which a presentation discloses exactly one; `None` if only entitlements without serials
    /// are accepted.
    pub serials: Option<ClaimPath>,
    /// Claims by which uses of an entitlement without serials are counted; `None` if only entitlements with serials are
    /// accepted.
    pub counted_claims: Option<CountedClaims>,
    /// Path of the claim with the DID of the verifier that may redeem.
    pub redeemer: ClaimPath,
    /// Path of the claim with the service, for which a total is kept; `None`: one total for all services.
    pub service: Option<ClaimPath>,
}

/// Claims by which the uses of an entitlement without serials are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CountedClaims {
    /// Path of the claim with the id that all uses share.
    pub id: ClaimPath,
    /// Path of the claim with the total number of uses.
    pub uses: ClaimPath,
}

/// `[redeem]` as written in a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedemptionToml {
    credential: String,
    redeemer: String,
    service: Option<String>,
    serial: Option<String>,
    id: Option<String>,
    uses: Option<String>,
}

impl RedemptionClaims {
    /// Parses `[redeem]` and checks it against the query: one credential answers it, and each claim set contains the
    /// redeemer, the service if it is named, and either a serial or the shared id and the total number of uses. An
    /// error is a sentence about it.
    pub(crate) fn read(text: RedemptionToml, query: &Query) -> Result<Self, String> {
        let RedemptionToml { credential, redeemer, service, serial, id, uses } = text;
        let Some(asked) = query.credential(&credential) else {
            return Err(format!("[redeem] names \"{credential}\", which the query does not ask for"));
        };
        if asked.multiple || !query.credential_sets.is_empty() {
            return Err("[redeem] needs a query that one credential answers: no multiple or credential_sets".to_owned());
        }
        let path = |name: &str, text: &str, elements: usize| {
            let fits = |path: &ClaimPath| {
                let all = path.iter().filter(|step| **step == Step::All).count();
                all == elements && asked.claims.iter().any(|claim| claim.path == *path && claim.threshold.is_none())
            };
            claims::parse_path(text, &[]).filter(fits).ok_or_else(|| {
                format!("[redeem] {name} \"{text}\" is not a claim whose value the query asks for, once")
            })
        };
        let serial = serial.map(|text| path("serial", &text, 1)).transpose()?;
        let counted = match (id, uses) {
            (Some(id), Some(uses)) => Some(CountedClaims { id: path("id", &id, 0)?, uses: path("uses", &uses, 0)? }),
            (None, None) => None,
            _ => return Err("[redeem] has one of id and uses, and needs both or neither".to_owned()),
        };
        let service = service.map(|text| path("service", &text, 0)).transpose()?;
        let redeem = Self {
            redeemer: path("redeemer", &redeemer, 0)?,
            query_id: credential,
            serials: serial,
            counted_claims: counted,
            service,
        };
        if claim_set_paths(asked).iter().all(|set| redeem.can_be_counted(set)) {
            return Ok(redeem);
        }
        Err("[redeem] needs the redeemer, the service if it names one, and a serial or id and uses, in every claim set of the query".to_owned())
    }

    /// Returns whether a presentation with these claims can be counted as a use.
    fn can_be_counted(&self, set: &[&ClaimPath]) -> bool {
        let has = |path: &ClaimPath| set.contains(&path);
        let by_number = self.counted_claims.as_ref().is_some_and(|counted| has(&counted.id) && has(&counted.uses));
        let by_service = self.service.as_ref().is_none_or(has);
        has(&self.redeemer) && by_service && (self.serials.as_ref().is_some_and(has) || by_number)
    }
}

/// Returns the claims of each claim set; without claim sets, one set of all claims.
fn claim_set_paths(asked: &CredentialQuery) -> Vec<Vec<&ClaimPath>> {
    if asked.claim_sets.is_empty() {
        return vec![asked.claims.iter().map(|claim| &claim.path).collect()];
    }
    let in_set = |set: &Vec<String>, id: &Option<String>| id.as_ref().is_some_and(|id| set.contains(id));
    let of_set = |set| asked.claims.iter().filter(|claim| in_set(set, &claim.id)).map(|claim| &claim.path).collect();
    asked.claim_sets.iter().map(of_set).collect()
}
