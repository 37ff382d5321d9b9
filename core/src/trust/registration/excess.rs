//! Over-asking: requests that exceed the registration of the verifier (spec/registration.md section 5).

use serde_json::Value;

use super::{IntendedUse, RegisteredClaim, RegisteredCredential};
use crate::{
    at_least::{Direction, RelativeDay},
    day,
    format::{CredentialFormat, RequestedFormat},
    query::{ClaimQuery, CredentialQuery, Query, Threshold},
    secure::sd_jwt::{ClaimPath, Step},
    time::Timestamp,
};

/// Part of a request that exceeds the registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationExcess {
    /// Id of the credential query.
    pub query_id: String,
    /// Path of the claim in the query; `None` for the credential itself.
    pub path: Option<ClaimPath>,
    /// Direction of the requested threshold; `None` if the value is requested.
    pub threshold: Option<Direction>,
    /// Limit that the request exceeds.
    pub exceeded_limit: ExceededLimit,
}

/// Limit of a registration that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExceededLimit {
    /// The verifier has no registration.
    Registration,
    /// The registration does not include this intended use.
    IntendedUse,
    /// The intended use does not include credentials of this type or format.
    Credential,
    /// The intended use does not include the claim.
    Claim,
    /// The intended use includes only threshold proofs of the claim: not its value, or not in this direction.
    ThresholdOnly,
    /// The intended use includes only other bounds of the claim.
    Bound,
}

impl ExceededLimit {
    /// Returns the stable name in `snake_case`, for JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::IntendedUse => "intended_use",
            Self::Credential => "credential",
            Self::Claim => "claim",
            Self::ThresholdOnly => "threshold_only",
            Self::Bound => "bound",
        }
    }
}

/// Returns the excess for a verifier without a registration: everything that it requests.
#[must_use]
pub fn excess_of_unregistered(query: &Query) -> Vec<RegistrationExcess> {
    excess_of_everything(query, ExceededLimit::Registration)
}

pub(super) fn excess_of_everything(query: &Query, beyond: ExceededLimit) -> Vec<RegistrationExcess> {
    query.credentials.iter().flat_map(|credential| all_of(credential, beyond)).collect()
}

/// Returns an excess for the credential itself, and one for each of its claims.
fn all_of(query: &CredentialQuery, beyond: ExceededLimit) -> Vec<RegistrationExcess> {
    let itself = RegistrationExcess { query_id: query.id.clone(), path: None, threshold: None, exceeded_limit: beyond };
    std::iter::once(itself).chain(query.claims.iter().map(|claim| excess_claim(query, claim, beyond))).collect()
}

fn excess_claim(query: &CredentialQuery, claim: &ClaimQuery, beyond: ExceededLimit) -> RegistrationExcess {
    RegistrationExcess {
        query_id: query.id.clone(),
        path: Some(claim.path.clone()),
        threshold: claim.threshold.as_ref().map(|threshold| threshold.direction()),
        exceeded_limit: beyond,
    }
}

impl IntendedUse {
    pub(super) fn excess(&self, query: &Query, now: Timestamp) -> Vec<RegistrationExcess> {
        query.credentials.iter().flat_map(|credential| self.excess_of(credential, now)).collect()
    }

    fn excess_of(&self, query: &CredentialQuery, now: Timestamp) -> Vec<RegistrationExcess> {
        let Some(alternatives) = self.registered_credentials_for(query) else {
            return all_of(query, ExceededLimit::Credential);
        };
        let beyond = |claim: &ClaimQuery| {
            let asked = claim.threshold.as_ref().map(|threshold| (threshold, now));
            alternatives.iter().find_map(|registered| beyond(registered, &claim.path, asked))
        };
        query.claims.iter().filter_map(|claim| beyond(claim).map(|beyond| excess_claim(query, claim, beyond))).collect()
    }

    pub(super) fn permits_value(&self, query: &CredentialQuery, path: &[Step]) -> bool {
        self.registered_credentials_for(query)
            .is_some_and(|alternatives| alternatives.iter().all(|registered| beyond(registered, path, None).is_none()))
    }

    /// Returns the registered credentials for each accepted type of a credential query; `None` if a type has none. A
    /// query for two types requests its claims from both, so the claims must be registered for both.
    fn registered_credentials_for(&self, query: &CredentialQuery) -> Option<Vec<Vec<&RegisteredCredential>>> {
        let fits = |is_meant: &dyn Fn(&RegisteredCredential) -> bool| {
            let fitting: Vec<_> = self
                .credentials
                .iter()
                .filter(|registered| registered.includes_format(&query.format) && is_meant(registered))
                .collect();
            (!fitting.is_empty()).then_some(fitting)
        };
        let alternatives: Vec<_> = if query.format == CredentialFormat::DcSdJwt {
            let of_type = |vct: &String| fits(&|registered| registered.meta.vct_values.contains(vct));
            query.vct_values.iter().map(of_type).collect::<Option<_>>()?
        } else {
            // A credential with all requested types also has each subset of them.
            let within = |set: &[String], types: &[String]| set.iter().all(|name| types.contains(name));
            let of_types = |types: &Vec<String>| {
                fits(&|registered| registered.meta.type_values.iter().any(|set| within(set, types)))
            };
            query.type_values.iter().map(of_types).collect::<Option<_>>()?
        };
        (!alternatives.is_empty()).then_some(alternatives)
    }
}

impl RegisteredCredential {
    /// Returns whether the entry is for a format. Without a format, it is for the SD-JWT formats only: others disclose
    /// a credential as a whole, and must be registered by name.
    fn includes_format(&self, format: &RequestedFormat) -> bool {
        match &self.format {
            Some(registered) => registered == format,
            None => format.known().is_some_and(CredentialFormat::is_sd_jwt),
        }
    }
}

/// Returns the limit that a requested claim exceeds; `None` if it exceeds none. `asked` is the requested threshold,
/// with the time for relative bounds; `None` for a value.
fn beyond(
    registered: &[&RegisteredCredential],
    path: &[Step],
    asked: Option<(&Threshold, Timestamp)>,
) -> Option<ExceededLimit> {
    let claims = registered.iter().flat_map(|credential| &credential.claims);
    let covering: Vec<&RegisteredClaim> = claims.filter(|claim| is_prefix(&claim.path, path)).collect();
    if covering.is_empty() {
        return Some(ExceededLimit::Claim);
    }
    let beyond: Vec<ExceededLimit> = covering.iter().map_while(|claim| claim.beyond(asked)).collect();
    if beyond.len() < covering.len() {
        return None;
    }
    Some(if beyond.contains(&ExceededLimit::Bound) { ExceededLimit::Bound } else { ExceededLimit::ThresholdOnly })
}

impl RegisteredClaim {
    fn beyond(&self, asked: Option<(&Threshold, Timestamp)>) -> Option<ExceededLimit> {
        if !Direction::ALL.into_iter().any(|direction| self.permits_threshold(direction)) {
            return None;
        }
        match asked {
            Some((threshold, now)) if self.permits_threshold(threshold.direction()) => {
                (!self.allows(threshold, now)).then_some(ExceededLimit::Bound)
            }
            _ => Some(ExceededLimit::ThresholdOnly),
        }
    }

    /// Returns whether a bound is registered. A relative bound may be that of this day or of the day before, since a
    /// request made before midnight may be read after it.
    fn allows(&self, threshold: &Threshold, now: Timestamp) -> bool {
        let bounds = self.bounds(threshold.direction());
        let is =
            |bound: &Value| Threshold::new(threshold.direction(), bound.clone()).is_ok_and(|one| one == *threshold);
        let on = |bound: &Value, day: Timestamp| match bound.as_str().map(RelativeDay::parse) {
            Some(Ok(Some(relative))) => relative.date(threshold.direction(), day).is_ok_and(|date| is(&date.into())),
            _ => is(bound),
        };
        bounds.is_empty() || bounds.iter().any(|bound| on(bound, now) || on(bound, now.plus(-day::SECONDS)))
    }
}

/// Returns whether a registered path is the requested one or a prefix of it. `All` includes each element.
fn is_prefix(registered: &[Step], asked: &[Step]) -> bool {
    registered.len() <= asked.len()
        && registered.iter().zip(asked).all(|(registered, asked)| match (registered, asked) {
            (Step::All, Step::Index(_)) => true,
            (registered, asked) => registered == asked,
        })
}
