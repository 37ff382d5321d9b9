//! Maximum age of freshness statements in a request (spec/freshness.md 2.6, 2.7).

use carnet_core::{status::freshness, time::Timestamp};
use serde_json::Value;

use crate::{error::Error, verifier::Verifier};

/// Checks that the maximum age of freshness statements is in the permitted range; `None` passes.
///
/// # Errors
/// `FRESHNESS_OUT_OF_RANGE`
pub(crate) fn check_max_statement_age(seconds: Option<u32>) -> Result<(), Error> {
    if seconds.is_none_or(|seconds| freshness::LIFETIME_RANGE.contains(&seconds)) {
        return Ok(());
    }
    let (least, most) = (freshness::LIFETIME_RANGE.start(), freshness::LIFETIME_RANGE.end());
    let description = format!("must be from {least} to {most} seconds, or left out to ask for no statement");
    Err(Error::invalid("FRESHNESS_OUT_OF_RANGE", "query.freshness_seconds_max", description))
}

impl<S> Verifier<S> {
    /// Adds the maximum age of freshness statements to a request object: the given one, or the default if an accepted
    /// issuer has a revoked key; otherwise none.
    pub(crate) fn add_max_statement_age(&self, payload: &mut Value, own: Option<u32>, now: Timestamp) {
        // If an issuer's key has leaked, nothing else shows that honest holders' copies are genuine.
        let leaked = self.verification.issuers.any_issuer_key_revoked(now).then_some(freshness::DEFAULT_LIFETIME);
        let carnet = payload.get_mut("carnet").and_then(Value::as_object_mut);
        if let (Some(seconds), Some(carnet)) = (own.map(i64::from).or(leaked), carnet) {
            carnet.insert(freshness::MAX_AGE_MEMBER.to_owned(), seconds.into());
        }
    }
}
