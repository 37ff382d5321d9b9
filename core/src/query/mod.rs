//! DCQL (OpenID4VP 1.0 section 6): parse a query, match it against credentials.

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    at_least::{Direction, Ordered},
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
pub use path::{parse_path, path_to_json, path_to_text, values_at};
pub use threshold::{Threshold, commitments_path};

/// The most credentials, claims, sets or options that a query may have.
pub const MAX_ENTRIES: usize = 64;

/// A query that was parsed and found well-formed.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The credentials asked for; ids are unique.
    pub credentials: Vec<CredentialQuery>,
    /// The combinations that answer; empty: all credentials are needed.
    pub credential_sets: Vec<CredentialSet>,
    /// Rule for the holders of the credentials; `None` if the verifier states none.
    pub holder: Option<HolderRule>,
}

/// One credential that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialQuery {
    /// Its name in the query and in the answer.
    pub id: String,
    /// Its format.
    pub format: RequestedFormat,
    /// `meta` of an unknown format, as it was written; empty for a known one.
    pub foreign_meta: Map<String, Value>,
    /// For `dc+sd-jwt`: the `vct` values that are accepted.
    pub vct_values: Vec<String>,
    /// For the W3C formats: sets of types, one of which the credential must have all of.
    pub type_values: Vec<Vec<String>>,
    /// `true` if more than one credential may be presented.
    pub multiple: bool,
    /// The claims in which those that are presented for this query have to differ, taken together.
    pub distinct: Vec<ClaimPath>,
    /// `require_cryptographic_holder_binding`; a verifier of Carnet always demands it.
    pub holder_binding: bool,
    /// Constraints on the issuer, of which one has to be met (OpenID4VP 1.0 section 6.1.1); empty: none.
    pub trusted_authorities: Vec<TrustedAuthority>,
    /// The claims asked for; none: no disclosable claim.
    pub claims: Vec<ClaimQuery>,
    /// Combinations of claims (by id) that answer, best first. If empty, all claims are needed.
    pub claim_sets: Vec<Vec<String>>,
}

/// A constraint on the issuer of a credential. No type of constraint is understood here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAuthority {
    /// Its type, such as `aki`.
    pub kind: String,
    /// The values of that type, of which one has to fit.
    pub values: Vec<String>,
}

/// One claim that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimQuery {
    /// Its name, for claim sets.
    pub id: Option<String>,
    /// Path of the claim, from the credential's root.
    pub path: ClaimPath,
    /// The values that are accepted; empty: any.
    pub values: Vec<Value>,
    /// Threshold that the claim must reach; its value need not be shown then.
    pub threshold: Option<Threshold>,
}

/// A set of alternatives.
#[derive(Debug, Clone, PartialEq)]
pub struct CredentialSet {
    /// Alternatives, best first; each a list of credential query ids.
    pub options: Vec<Vec<String>>,
    /// `true` if one of the options is needed.
    pub required: bool,
}

/// One credential to be matched: in a wallet with all of its claims open, in a verifier as it was shown.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its format.
    pub format: CredentialFormat,
    /// Its payload with the disclosed claims in their places.
    pub payload: &'a Map<String, Value>,
    /// The thresholds that a witness was verified for; in a wallet, where the values are open, none.
    pub proved: &'a [Proved],
}

/// A threshold that was proved of a claim whose value may stay hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The claim, not its array of commitments.
    pub path: ClaimPath,
    /// Side of the bound to prove.
    pub direction: Direction,
    /// The bound, as a number.
    pub bound: Ordered,
}

impl Query {
    /// The credential query with this id.
    #[must_use]
    pub fn credential(&self, id: &str) -> Option<&CredentialQuery> {
        self.credentials.iter().find(|credential| credential.id == id)
    }

    /// Checks that the presented credentials, by query id, are the ones that the query needs and asks for.
    ///
    /// # Errors
    /// `claim_unrequested` for an id that the query does not have; `query_unmet` if a required part is missing.
    pub fn satisfied_by(&self, presented: &[&str]) -> Result<(), Problem> {
        if presented.iter().any(|id| self.credential(id).is_none()) {
            return Err(Problem::new(Code::ClaimUnrequested, "an unrequested credential was presented"));
        }
        self.needed(|id| presented.contains(&id)).map(|_| ())
    }

    /// Returns the credential query ids of a complete response, given the ids that can be answered.
    fn needed(&self, met: impl Fn(&str) -> bool) -> Result<Vec<&str>, Problem> {
        let unmet = |ids: &[&str]| {
            let asked = ids.iter().filter_map(|id| self.credential(id));
            let reasons = asked.filter_map(|asked| Some(format!("; {}: {}", asked.id, asked.unanswerable()?)));
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
    /// Returns the reason that no credential can answer it here: its format or its constraint on the issuer is not
    /// understood (spec/elements.md). Neither may be ignored: that would answer another question.
    #[must_use]
    pub fn unanswerable(&self) -> Option<String> {
        if self.format.known().is_none() {
            return Some(format!("the format {} is not supported", self.format));
        }
        let kinds: Vec<&str> = self.trusted_authorities.iter().map(|authority| authority.kind.as_str()).collect();
        (!kinds.is_empty()).then(|| format!("trusted_authorities of type {} are not supported", kinds.join(", ")))
    }

    /// Returns whether the candidate has the requested format and type, and this library supports every requirement.
    #[must_use]
    pub fn fits(&self, candidate: Candidate<'_>) -> bool {
        if self.format != candidate.format || self.unanswerable().is_some() {
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

    /// The concrete paths that answer it, from the first claim set that the candidate meets; `None` if it meets none.
    #[must_use]
    pub fn paths_in(&self, candidate: Candidate<'_>) -> Option<Vec<ClaimPath>> {
        if !self.fits(candidate) {
            return None;
        }
        if self.claim_sets.is_empty() {
            return self.claims.iter().map(|claim| claim.paths_in(candidate)).collect::<Option<Vec<_>>>().map(flat);
        }
        self.claim_sets.iter().find_map(|set| {
            let claims = set.iter().map(|id| self.claims.iter().find(|claim| claim.id.as_deref() == Some(id)));
            claims.map(|claim| claim?.paths_in(candidate)).collect::<Option<Vec<_>>>().map(flat)
        })
    }

    /// Returns whether a disclosed path was asked for: it is one of the query's, leads to one, or lies below one.
    #[must_use]
    pub fn asks_for(&self, path: &[Step]) -> bool {
        self.claims.iter().any(|claim| path::overlaps(&claim.path, path) || claim.asks_for_commitments(path))
    }
}

impl ClaimQuery {
    /// Returns the paths of the claim in a document that has an accepted value; `None` if there is none. A proved
    /// threshold answers the claim without a value, and so without a path.
    fn paths_in(&self, candidate: Candidate<'_>) -> Option<Vec<ClaimPath>> {
        if self.is_proved_by(candidate.proved) {
            return Some(Vec::new());
        }
        let paths: Vec<ClaimPath> = values_at(candidate.payload, &self.path)
            .into_iter()
            .filter(|(_, value)| self.accepts(value))
            .map(|(path, _)| path)
            .collect();
        (!paths.is_empty()).then_some(paths)
    }

    /// Returns whether a disclosed value answers the claim.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        (self.values.is_empty() || self.values.iter().any(|accepted| same(accepted, value)))
            && self.threshold.as_ref().is_none_or(|threshold| threshold.is_met_by(value))
    }

    /// Returns `true` if it accepts some value of this form.
    pub(crate) fn could_accept(&self, value: &Value) -> bool {
        match &self.threshold {
            Some(threshold) => threshold.is_comparable_with(value),
            None => !value.is_object() && !value.is_array(),
        }
    }

    /// Returns whether exactly its threshold was proved. A witness for another threshold is no answer, even for a
    /// higher one.
    pub(crate) fn is_proved_by(&self, proved: &[Proved]) -> bool {
        self.threshold.as_ref().is_some_and(|threshold| {
            proved.iter().any(|proved| {
                proved.direction == threshold.direction()
                    && proved.bound == threshold.number()
                    && proved.path == self.path
            })
        })
    }

    /// Returns whether a disclosed path is that of the commitments that prove its threshold.
    fn asks_for_commitments(&self, path: &[Step]) -> bool {
        self.threshold
            .as_ref()
            .and_then(|threshold| commitments_path(&self.path, threshold.direction()))
            .is_some_and(|commitments| path::overlaps(&commitments, path))
    }
}

fn flat(paths: Vec<Vec<ClaimPath>>) -> Vec<ClaimPath> {
    let mut flat: Vec<ClaimPath> = paths.into_iter().flatten().collect();
    flat.sort();
    flat.dedup();
    flat
}

/// Equality of strings, booleans and whole numbers; numbers by value, in any spelling.
fn same(a: &Value, b: &Value) -> bool {
    match (json::whole(a), json::whole(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
