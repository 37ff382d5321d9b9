//! Verification of credentials and presentations, with a report of named checks.
//!
//! Verification (proof, data model, binding) and validation (validity period, status, schema, trust) are reported
//! separately (VCDM 2.0 section 7). A value is [`Verified`] only if all checks passed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    Code, Problem,
    credential::Credential,
    did::Resolve,
    format::CredentialFormat,
    query::{CredentialQuery, Query, QueryCandidate, VerifiedThreshold},
    secure::{
        data_integrity::Cryptosuites,
        sd_jwt::{ClaimPath, Step},
    },
    time::Timestamp,
};

mod common;
mod data_integrity;
mod holders;
mod profile;
mod report;
mod sd_jwt;
mod status;

use holders::Presented;
pub use profile::VerificationProfile;
pub use report::{
    CheckName, IssuerMessage, PresentedCredential, VerificationCheck, VerificationOutcome, VerificationReport, Verified,
};
pub use status::{StatusLists, StatusPolicy};

/// Maximum number of presentations in one response, which limits the work for an unknown sender.
pub const MAX_PRESENTATIONS: usize = 32;

/// Policy for the acceptance of issuers.
pub trait IssuerPolicy: Send + Sync {
    /// Checks that the issuer is accepted for the credential: for its type, its time of issue and its disclosed claims.
    /// Called once for each credential, in the order of the `issuer_trust` checks.
    ///
    /// # Errors
    /// `issuer_untrusted` if it is not.
    fn check_issuer(&self, held: &VerifiedCredential) -> Result<(), Problem>;
}

/// Catalogue of credential types: the functions that verification needs.
pub trait TypeCatalogue: Send + Sync {
    /// Returns the name of a credential's type in the catalogue, given its types and its `vct`.
    ///
    /// # Errors
    /// `type_unknown` if the catalogue has no such type, or the two name different ones.
    fn type_name(&self, types: &[&str], vct: Option<&str>) -> Result<String, Problem>;

    /// Checks the disclosed part of a payload against the schema of the type.
    ///
    /// # Errors
    /// `schema_violation`, `schema_indeterminate`, `context_unknown`
    fn check_schema(&self, type_name: &str, disclosed: &Map<String, Value>) -> Result<(), Problem>;

    /// Returns whether the type declares the claim at this path of the secured payload as always disclosed, so that it
    /// may be in the clear although it was not requested. The default implementation returns `false`.
    fn is_always_disclosed(&self, _type_name: &str, _format: CredentialFormat, _path: &[Step]) -> bool {
        false
    }

    /// Returns the requirements on credentials of a type ([`Self::type_name`]) by an issuer, both as the unverified
    /// credential states them. The default is that of Carnet's own types.
    fn profile(&self, _type_name: &str, _issuer: &str) -> &VerificationProfile {
        VerificationProfile::DEFAULT
    }
}

/// Time, policies and registries for verification.
#[derive(Clone, Copy)]
pub struct VerificationEnvironment<'a> {
    /// Time of verification.
    pub now: Timestamp,
    /// Tolerated clock skew, in seconds.
    pub skew: i64,
    /// Resolver for the DIDs of issuers and holders.
    pub resolver: &'a dyn Resolve,
    /// Accepted Data Integrity cryptosuites.
    pub suites: &'a Cryptosuites,
    /// Policy for the acceptance of issuers.
    pub issuer_policy: &'a dyn IssuerPolicy,
    /// Catalogue of credential types.
    pub types: &'a dyn TypeCatalogue,
    /// Source of credential statuses.
    pub status_policy: StatusPolicy<'a>,
}

/// Presentation request to which the presentation must be bound.
#[derive(Debug, Clone, Copy)]
pub struct PresentationContext<'a> {
    /// Query of the request.
    pub query: &'a Query,
    /// Nonce of the request.
    pub nonce: &'a str,
    /// Verifier's client identifier, including its prefix.
    pub audience: &'a str,
    /// Maximum age of a key-binding JWT or of the proof of a presentation, in seconds.
    pub max_age: i64,
}

/// Verified credential with its disclosed claims.
#[derive(Debug, Clone)]
pub struct VerifiedCredential {
    /// Disclosed credential. A `dc+sd-jwt` is converted to a VCDM credential, with its claims in `credentialSubject`.
    pub credential: Credential,
    /// Name of its type in the catalogue.
    pub type_name: String,
    /// Readable claims, by their paths in the secured payload: disclosed ones, and those that the issuer left in the
    /// clear.
    pub disclosed_paths: Vec<ClaimPath>,
    /// Thresholds that the claims reach according to verified proofs; the values may be hidden.
    pub proved_thresholds: Vec<VerifiedThreshold>,
    /// Format in which the credential was secured.
    pub format: CredentialFormat,
}

/// Verifies a credential without a presentation: an SD-JWT, or a JSON document with Data Integrity proofs. The format
/// is detected. Returns the report, and the credential if no check failed.
///
/// # Examples
/// ```
/// use carnet_core::{
///     Code, Problem,
///     did::SelfContainedResolver,
///     secure::{data_integrity::Cryptosuites, sd_jwt::Step},
///     time::Timestamp,
///     verify::{self, VerificationEnvironment, VerifiedCredential, IssuerPolicy, StatusPolicy, TypeCatalogue},
/// };
/// use serde_json::{Map, Value};
///
/// struct NoIssuer;
/// impl IssuerPolicy for NoIssuer {
///     fn check_issuer(&self, _held: &VerifiedCredential) -> Result<(), Problem> {
///         Err(Code::IssuerUntrusted.into())
///     }
/// }
/// struct NoType;
/// impl TypeCatalogue for NoType {
///     fn type_name(&self, _types: &[&str], _vct: Option<&str>) -> Result<String, Problem> {
///         Err(Code::TypeUnknown.into())
///     }
///     fn check_schema(&self, _type_name: &str, _disclosed: &Map<String, Value>) -> Result<(), Problem> {
///         Err(Code::TypeUnknown.into())
///     }
/// }
///
/// let environment = VerificationEnvironment {
///     now: Timestamp::parse("2026-11-18T09:30:00Z")?,
///     skew: 60,
///     resolver: &SelfContainedResolver,
///     suites: &Cryptosuites::jcs(),
///     issuer_policy: &NoIssuer,
///     types: &NoType,
///     status_policy: StatusPolicy::NotChecked("an example"),
/// };
/// let (report, verified) = verify::verify_credential(br#"{"issuer": "did:web:university.example"}"#, &environment);
/// assert!(verified.is_none());
/// assert!(report.first_failure().is_some());
/// # Ok::<(), Problem>(())
/// ```
#[must_use]
pub fn verify_credential(
    bytes: &[u8],
    env: &VerificationEnvironment<'_>,
) -> (VerificationReport, Option<Verified<VerifiedCredential>>) {
    let mut report = VerificationReport::default();
    let held = match text(bytes) {
        Ok(text) if text.starts_with('{') => data_integrity::verify_text(&mut report, "", text.as_bytes(), env),
        Ok(text) => sd_jwt::verify_sd_jwt(&mut report, "", text, None, env),
        Err(problem) => report.record(CheckName::Format, "", Err(problem)),
    };
    let verified = report.to_verified(held.map(|shown| shown.held));
    (report, verified)
}

/// Verified credentials of a response, by credential query id.
pub type VerifiedCredentials = BTreeMap<String, Vec<VerifiedCredential>>;

/// Verifies the response to a request. `vp_token` maps credential query ids to presentations, each the text of an
/// SD-JWT+KB or the JSON of a VerifiablePresentation (OpenID4VP 1.0 section 8.1). Returns the report, and the
/// credentials if no check failed.
///
/// Nonce and audience come from the caller, never from the presentation; if one is empty, verification fails.
#[must_use]
pub fn verify_presentation(
    vp_token: &BTreeMap<String, Vec<String>>,
    asked: &PresentationContext<'_>,
    env: &VerificationEnvironment<'_>,
) -> (VerificationReport, Option<Verified<VerifiedCredentials>>) {
    let mut report = VerificationReport::default();
    if let Err(problem) = check_admissible(vp_token, asked) {
        report.record::<()>(CheckName::Query, "", Err(problem));
        return (report, None);
    }
    let mut presented_here = Vec::new();
    for (id, presentations) in vp_token {
        for presented in presentations {
            let shown = if presented.trim_start().starts_with('{') {
                data_integrity::verify_presented(&mut report, id, presented.as_bytes(), asked, env)
            } else {
                sd_jwt::verify_sd_jwt(&mut report, id, presented, Some(asked), env)
            };
            let Some(shown) = shown else { continue };
            let matched = asked.query.credential(id).ok_or_else(|| Problem::from(Code::ClaimUnrequested));
            report.record(CheckName::Query, id, matched.and_then(|query| check_answer(query, &shown, env.types)));
            presented_here.push(Presented { query_id: id, text: presented, shown });
        }
    }
    // Rules across credentials are not checked if one of them is invalid.
    if presented_here.len() == vp_token.values().map(Vec::len).sum::<usize>() {
        holders::check_holders(&mut report, asked.query, &presented_here);
    }
    let ids: Vec<&str> = vp_token.keys().map(String::as_str).collect();
    report.record(CheckName::Query, "", asked.query.check_presented_ids(&ids));
    let mut answer: VerifiedCredentials = BTreeMap::new();
    for one in presented_here {
        answer.entry(one.query_id.to_owned()).or_default().push(one.shown.held);
    }
    let verified = report.to_verified(Some(answer));
    (report, verified)
}

/// Checks a response before any credential in it is examined: the nonce and the audience are not empty, and the number
/// of presentations is permitted.
fn check_admissible(vp_token: &BTreeMap<String, Vec<String>>, asked: &PresentationContext<'_>) -> Result<(), Problem> {
    if asked.nonce.is_empty() {
        return Err(Problem::new(Code::ChallengeMissing, "no nonce is given to bind to"));
    }
    if asked.audience.is_empty() {
        return Err(Problem::new(Code::DomainMissing, "no audience is given to bind to"));
    }
    if vp_token.is_empty() {
        // Even if the query requires nothing: an empty response proves nothing.
        return Err(Problem::new(Code::QueryUnmet, "nothing was presented"));
    }
    let mut count = 0_usize;
    for (id, presentations) in vp_token {
        let query = asked
            .query
            .credential(id)
            .ok_or_else(|| Problem::new(Code::ClaimUnrequested, "an unrequested credential was presented"))?;
        if presentations.is_empty() {
            return Err(Problem::new(Code::QueryUnmet, format!("{id} comes with no presentation")));
        }
        if presentations.len() > 1 && !query.multiple {
            return Err(Problem::new(Code::ClaimUnrequested, format!("{id} comes more than once")));
        }
        count = count.saturating_add(presentations.len());
    }
    if count > MAX_PRESENTATIONS {
        return Err(Problem::new(Code::TooLarge, format!("there are more than {MAX_PRESENTATIONS} presentations")));
    }
    Ok(())
}

/// Checks that the credential answers the query and, if its claims are disclosed one by one, that no unrequested claim
/// is readable.
fn check_answer(
    query: &CredentialQuery,
    shown: &sd_jwt::CheckedCredential,
    types: &dyn TypeCatalogue,
) -> Result<(), Problem> {
    let format = shown.held.format;
    let selective = format.is_sd_jwt();
    // If elements are undisclosed, later ones move up, so that another element may be at the requested index.
    let by_index = |path: &ClaimPath| path.iter().any(|step| matches!(step, Step::Index(_)));
    if selective && query.claims.iter().any(|claim| by_index(&claim.path)) {
        return Err(Problem::new(Code::QueryMalformed, "an array element is requested by its index"));
    }
    let profile = sd_jwt::profile(&shown.payload.0, format, types);
    let may_be_clear = |path: &ClaimPath| {
        // `sub` is the holder's key, which is checked separately.
        let is_sub = matches!(path.as_slice(), [Step::Name(name)] if name == "sub");
        is_sub || profile.is_visible(path) || types.is_always_disclosed(&shown.held.type_name, format, path)
    };
    let is_wanted =
        |path: &ClaimPath| query.requests_path(path) || shown.clear_paths.contains(path) && may_be_clear(path);
    if selective && let Some(path) = shown.held.disclosed_paths.iter().find(|path| !is_wanted(path)) {
        let clear = if shown.clear_paths.contains(path) { ", which the issuer left in the clear" } else { "" };
        let path = crate::query::path_to_text(path);
        return Err(Problem::new(Code::ClaimUnrequested, format!("{path}{clear} was not requested")));
    }
    let asked =
        |proved: &VerifiedThreshold| query.claims.iter().any(|claim| claim.is_proved_by(std::slice::from_ref(proved)));
    if let Some(proved) = shown.held.proved_thresholds.iter().find(|proved| !asked(proved)) {
        let path = crate::query::path_to_text(&proved.path);
        return Err(Problem::new(Code::ClaimUnrequested, format!("this threshold of {path} was not requested")));
    }
    match query.matching_paths(QueryCandidate {
        format,
        payload: &shown.payload.0,
        thresholds: &shown.held.proved_thresholds,
    }) {
        Some(_) => Ok(()),
        None => Err(Problem::new(Code::QueryUnmet, format!("the presentation does not answer {}", query.id))),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| Problem::new(Code::InvalidUnicode, "the input is not UTF-8"))
}

#[cfg(test)]
mod tests;
