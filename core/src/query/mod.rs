//! DCQL queries (OpenID4VP 1.0 section 6): parsing, and matching against credentials.

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    at_least::{Direction, OrderedValue},
    format::{CredentialFormat, RequestedFormat},
    json,
    secure::sd_jwt::{ClaimPath, Step},
};

mod bounds;
pub mod holder;
mod parse;
mod path;
pub mod plan;
mod threshold;

pub use holder::HolderRule;
pub use path::{contains, parse_path, path_to_json, path_to_text, values_at};
pub use threshold::{Threshold, commitments_path};

/// Maximum number of entries in an array of a query: credential queries, claims queries, accepted values, sets and
/// options.
pub const MAX_ENTRIES: usize = 64;

/// Well-formed DCQL query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Credential queries; their ids are unique.
    pub credentials: Vec<CredentialQuery>,
    /// Combinations of credentials that answer the query; empty: all credential queries must be answered.
    pub credential_sets: Vec<CredentialSet>,
    /// Required relation between the holders of the credentials; `None` if not stated.
    pub holder_rule: Option<HolderRule>,
}

/// Credential query: a request for one kind of credential.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialQuery {
    /// Id in the query and in the response.
    pub id: String,
    /// Requested format.
    pub format: RequestedFormat,
    /// `meta` of an unsupported format, unparsed; empty for a supported one.
    pub unparsed_meta: Map<String, Value>,
    /// Accepted `vct` values, for `dc+sd-jwt`.
    pub vct_values: Vec<String>,
    /// Accepted sets of types, for the W3C formats. A credential must have all types of one set.
    pub type_values: Vec<Vec<String>>,
    /// `true` if several credentials may be presented.
    pub multiple: bool,
    /// Claims whose values, taken together, must differ between any two credentials presented for this query
    /// (`carnet_distinct`).
    pub distinct_claims: Vec<ClaimPath>,
    /// `require_cryptographic_holder_binding`; Carnet's verifier always requires it.
    pub requires_holder_binding: bool,
    /// Constraints on the issuer, one of which must be met (OpenID4VP 1.0 section 6.1.1); empty: none. If there is any,
    /// this library cannot answer the query.
    pub trusted_authorities: Vec<TrustedAuthority>,
    /// Requested claims; empty: no selectively disclosable claim.
    pub claims: Vec<ClaimQuery>,
    /// Combinations of claim ids that answer the query, most preferred first; one of them must be answered. If empty,
    /// all claims are required.
    pub claim_sets: Vec<Vec<String>>,
}

/// Constraint on the issuer of a credential (`trusted_authorities`). This library supports no type of constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Type of constraint, such as `aki`.
    pub authority_type: String,
    /// Accepted values.
    pub values: Vec<String>,
}

/// Requested claim.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimQuery {
    /// Id by which claim sets refer to this claim; required if there are claim sets.
    pub id: Option<String>,
    /// Path of the claim from the root of the credential.
    pub path: ClaimPath,
    /// Accepted values; empty: any.
    pub values: Vec<Value>,
    /// Threshold that the claim must reach. A threshold proof suffices in place of the value.
    pub threshold: Option<Threshold>,
}

/// Set of alternative combinations of credential queries.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialSet {
    /// Alternatives, most preferred first; each is a list of credential query ids.
    pub options: Vec<Vec<String>>,
    /// `true` if one of the options is required.
    pub required: bool,
}

/// Credential to be matched with a query: in a wallet with all claims disclosed, in a verifier as presented.
#[derive(Debug, Clone, Copy)]
pub struct QueryCandidate<'a> {
    /// Format of the credential.
    pub format: CredentialFormat,
    /// Payload with the disclosed claims at their paths.
    pub payload: &'a Map<String, Value>,
    /// Thresholds whose proofs were verified; empty in a wallet, which has the values.
    pub thresholds: &'a [VerifiedThreshold],
}

/// Threshold that a claim reaches according to a verified proof; its value may be hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedThreshold {
    /// Path of the claim, not of its commitments.
    pub path: ClaimPath,
    /// Direction of the proof: the claim is at least, or at most, the bound.
    pub direction: Direction,
    /// Proved bound.
    pub bound: OrderedValue,
}

impl Query {
    /// Returns the credential query with this id; `None` if there is none.
    #[must_use]
    pub fn credential(&self, id: &str) -> Option<&CredentialQuery> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// Checks the ids of the credential queries for which credentials were presented: each is in the query, and
    /// together they answer an option of every required credential set, or every credential query if there are no sets.
    ///
    /// # Errors
    /// `claim_unrequested` for an unknown id; `query_unmet` if a required credential is missing.
    pub fn check_presented_ids(&self, presented: &[&str]) -> Result<(), Problem> {
        if presented.iter().any(|id| self.credential(id).is_none()) {
            return Err(Problem::new(Code::ClaimUnrequested, "an unrequested credential was presented"));
        }
        self.required_ids(|id| presented.contains(&id)).map(|_| ())
    }

    /// Returns the ids of the credential queries that must be answered, given a predicate for those that can be: all
    /// queries, or the first option of each required credential set that can be answered in full.
    ///
    /// # Errors
    /// `query_unmet` if they cannot all be answered.
    fn required_ids(&self, met: impl Fn(&str) -> bool) -> Result<Vec<&str>, Problem> {
        let unmet = |ids: &[&str]| {
            let asked = ids.iter().filter_map(|id| self.credential(id));
            let reasons = asked.filter_map(|asked| Some(format!("; {}: {}", asked.id, asked.unsupported_reason()?)));
            Problem::new(Code::QueryUnmet, format!("nothing answers {}{}", ids.join(", "), reasons.collect::<String>()))
        };
        if self.credential_sets.is_empty() {
            let missing: Vec<&str> = self.credentials.iter().map(|c| c.id.as_str()).filter(|id| !met(id)).collect();
            return if missing.is_empty() {
                Ok(self.credentials.iter().map(|c| c.id.as_str()).collect())
            } else {
                Err(unmet(&missing))
            };
        }
        let mut needed = Vec::new();
        for set in self.credential_sets.iter().filter(|set| set.required) {
            let option = set.options.iter().find(|option| option.iter().all(|id| met(id))).ok_or_else(|| {
                let first: Vec<&str> = set.options.iter().flatten().map(String::as_str).collect();
                unmet(&first)
            })?;
            needed.extend(option.iter().map(String::as_str));
        }
        Ok(needed)
    }
}

impl CredentialQuery {
    /// Returns the reason why this library cannot answer the credential query: an unsupported format, or an unsupported
    /// constraint on the issuer (spec/elements.md). `None` if it can. Neither may be ignored, as the answer would not
    /// match the request.
    #[must_use]
    pub fn unsupported_reason(&self) -> Option<String> {
        if self.format.known().is_none() {
            return Some(format!("the format {} is not supported", self.format));
        }
        let kinds: Vec<&str> =
            self.trusted_authorities.iter().map(|authority| authority.authority_type.as_str()).collect();
        (!kinds.is_empty()).then(|| format!("trusted_authorities of type {} are not supported", kinds.join(", ")))
    }

    /// Returns whether the candidate has the requested format and type. `false` if this library cannot answer the query
    /// ([`Self::unsupported_reason`]). Claims are not compared.
    #[must_use]
    pub fn matches_format_and_type(&self, candidate: QueryCandidate<'_>) -> bool {
        if self.format != candidate.format || self.unsupported_reason().is_some() {
            return false;
        }
        if candidate.format == CredentialFormat::DcSdJwt {
            let vct = candidate.payload.get("vct").and_then(Value::as_str);
            return vct.is_some_and(|vct| self.vct_values.iter().any(|accepted| accepted == vct));
        }
        let has = |name: &str| match candidate.payload.get("type") {
            Some(Value::String(one)) => one == name,
            Some(Value::Array(many)) => many.iter().any(|entry| entry.as_str() == Some(name)),
            _ => false,
        };
        self.type_values.iter().any(|set| set.iter().all(|name| has(name)))
    }

    /// Returns the concrete paths of the requested claims in the candidate: those of the first claim set that it
    /// satisfies, or of all claims if there are no claim sets, sorted and without repetition. A claim answered by a
    /// threshold proof has no path. `None` if the candidate does not answer the query.
    #[must_use]
    pub fn matching_paths(&self, candidate: QueryCandidate<'_>) -> Option<Vec<ClaimPath>> {
        if !self.matches_format_and_type(candidate) {
            return None;
        }
        if self.claim_sets.is_empty() {
            return self
                .claims
                .iter()
                .map(|claim| claim.matching_paths(candidate))
                .collect::<Option<Vec<_>>>()
                .map(flatten_sorted);
        }
        self.claim_sets.iter().find_map(|set| {
            let claims = set.iter().map(|id| self.claims.iter().find(|claim| claim.id.as_deref() == Some(id)));
            claims.map(|claim| claim?.matching_paths(candidate)).collect::<Option<Vec<_>>>().map(flatten_sorted)
        })
    }

    /// Returns whether a disclosed path was requested: it equals a path of a claims query or of the commitments to a
    /// requested threshold, or one is a prefix of the other.
    #[must_use]
    pub fn requests_path(&self, path: &[Step]) -> bool {
        self.claims
            .iter()
            .any(|claim| path::is_prefix_or_extension(&claim.path, path) || claim.requests_commitments(path))
    }
}

impl ClaimQuery {
    /// Returns the concrete paths at which the candidate has an accepted value; `None` if there are none. Empty if the
    /// threshold was proved without the value.
    fn matching_paths(&self, candidate: QueryCandidate<'_>) -> Option<Vec<ClaimPath>> {
        if self.is_proved_by(candidate.thresholds) {
            return Some(Vec::new());
        }
        let paths: Vec<ClaimPath> = values_at(candidate.payload, &self.path)
            .into_iter()
            .filter(|(_, value)| self.accepts(value))
            .map(|(path, _)| path)
            .collect();
        (!paths.is_empty()).then_some(paths)
    }

    /// Returns whether a value equals one of [`ClaimQuery::values`], if there are any, and reaches the threshold, if
    /// there is one.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        (self.values.is_empty() || self.values.iter().any(|accepted| json_values_equal(accepted, value)))
            && self.threshold.as_ref().is_none_or(|threshold| threshold.is_met_by(value))
    }

    /// Returns whether the claims query can be compared with a value: it has the form of the threshold's bound or,
    /// without a threshold, is neither an object nor an array.
    pub(crate) fn could_accept(&self, value: &Value) -> bool {
        match &self.threshold {
            Some(threshold) => threshold.is_comparable_with(value),
            None => !value.is_object() && !value.is_array(),
        }
    }

    /// Returns whether exactly the requested threshold was proved; a proof of another threshold does not count, even of
    /// a stricter one. `false` if the query has no threshold.
    pub(crate) fn is_proved_by(&self, proved: &[VerifiedThreshold]) -> bool {
        self.threshold.as_ref().is_some_and(|threshold| {
            proved.iter().any(|proved| {
                proved.direction == threshold.direction()
                    && proved.bound == threshold.comparable_bound()
                    && proved.path == self.path
            })
        })
    }

    /// Returns whether a disclosed path overlaps that of the array of commitments for the requested threshold.
    fn requests_commitments(&self, path: &[Step]) -> bool {
        self.threshold
            .as_ref()
            .and_then(|threshold| commitments_path(&self.path, threshold.direction()))
            .is_some_and(|commitments| path::is_prefix_or_extension(&commitments, path))
    }
}

fn flatten_sorted(paths: Vec<Vec<ClaimPath>>) -> Vec<ClaimPath> {
    let mut flat: Vec<ClaimPath> = paths.into_iter().flatten().collect();
    flat.sort();
    flat.dedup();
    flat
}

/// Compares two JSON values; integers by value, so that 6.0 equals 6.
fn json_values_equal(a: &Value, b: &Value) -> bool {
    match (json::as_integer(a), json::as_integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
