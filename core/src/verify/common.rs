//! Checks shared by all formats.

use serde_json::{Map, Value};

use super::{CheckName, TypeCatalogue, VerificationEnvironment, VerificationReport, VerifiedCredential, status};
use crate::{
    Code, Problem,
    credential::{BASE_TYPE, id_of, types_of},
    did::Did,
    status::ListValidity,
    time::Timestamp,
};

/// Converts the error for a key that the issuer's DID document lacks to `issuer_key_unknown` if the document is
/// published on the web: the copy at hand may be older than the key (spec/status.md 5.17).
pub(super) fn as_unknown_key(problem: Problem, issuer: &str) -> Problem {
    let published = || Did::parse(issuer).is_ok_and(|did| did.has_published_document());
    if problem.code == Code::MethodUnknown && published() { Code::IssuerKeyUnknown.into() } else { problem }
}

/// Payload with its disclosed claims. It is wiped when dropped.
pub(super) struct VerifiedDocument(pub(super) Map<String, Value>);

impl Drop for VerifiedDocument {
    fn drop(&mut self) {
        self.0.values_mut().for_each(crate::wipe);
    }
}

/// Returns the issuer and the type that a document of VCDM 2.0 states.
pub(super) fn stated_issuer_and_type(
    document: &Map<String, Value>,
    types: &dyn TypeCatalogue,
) -> Result<(String, String), Problem> {
    let issuer = id_of(document.get("issuer"), "issuer")?;
    let stated = types_of(document, BASE_TYPE)?;
    let own: Vec<&str> = stated.iter().map(String::as_str).filter(|name| *name != BASE_TYPE).collect();
    Ok((issuer, types.type_name(&own, None)?))
}

/// Validity period of a credential, by all of its members that state one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ValidityPeriod {
    pub(super) from: Option<Timestamp>,
    /// `None`: the profile of the type permits credentials without an end.
    pub(super) until: Option<Timestamp>,
}

/// Checks validity, status, schema and trust. They are independent of each other, so all of them are reported; `None`
/// if one failed.
pub(super) fn check_validity_and_trust(
    report: &mut VerificationReport,
    about: &str,
    held: &VerifiedCredential,
    payload: &Map<String, Value>,
    (times, stapled): (ValidityPeriod, Option<Result<ListValidity, Problem>>),
    env: &VerificationEnvironment<'_>,
) -> Option<()> {
    let valid = report.record(CheckName::Validity, about, validity(times, env));
    let status = status::check_status(report, about, &held.credential, stapled, env);
    let schema = report.record(CheckName::Schema, about, env.types.check_schema(&held.type_name, payload));
    let trust = report.record(CheckName::IssuerTrust, about, env.issuer_policy.check_issuer(held));
    valid.and(status).and(schema).and(trust)
}

fn validity(times: ValidityPeriod, env: &VerificationEnvironment<'_>) -> Result<(), Problem> {
    if times.from.is_some_and(|from| env.now.plus(env.skew) < from) {
        return Err(Problem::new(Code::NotYetValid, "the credential is not valid yet"));
    }
    // `validUntil` is the last instant at which the credential is valid.
    if times.until.is_some_and(|until| env.now.plus(env.skew.saturating_neg()) > until) {
        return Err(Problem::new(Code::Expired, "the credential is past its end"));
    }
    Ok(())
}
