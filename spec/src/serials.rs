//! Serials of a credential with several uses: one selectively disclosable array element per use (entitlement.md section
//! 1).

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    json,
    query::values_at,
    secure::sd_jwt::{ClaimPath, PaddedArray, Step},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ClaimError;

/// Names of the claims of a type whose credentials have one serial per use, and the size of the array of serials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SerialClaims {
    /// Array of serials, which the issuer generates unless the offer contains them. A wallet discloses one element at a
    /// time.
    pub claim: String,
    /// Claim with the number of serials.
    pub uses: String,
    /// Claim with the DID of the only verifier to which wallets disclose a serial.
    pub redeemer: String,
    /// Claim with the service for which the uses are; issuers count issued uses by it.
    pub service: String,
    /// Number of digests that the array has in each copy, including decoys.
    pub digests: usize,
}

/// Returns the path of a claim of the subject in the payload of a copy.
fn subject_path(format: CredentialFormat, claim: &str) -> ClaimPath {
    let subject = format.subject_member().map(|name| Step::Name(name.to_owned()));
    subject.into_iter().chain([Step::Name(claim.to_owned())]).collect()
}

impl SerialClaims {
    /// Returns the path of the array of serials in the payload of a copy.
    #[must_use]
    pub fn array_path(&self, format: CredentialFormat) -> ClaimPath {
        subject_path(format, &self.claim)
    }

    /// Returns the path of the redeemer claim in the payload of a copy.
    #[must_use]
    pub fn redeemer_path(&self, format: CredentialFormat) -> ClaimPath {
        subject_path(format, &self.redeemer)
    }

    /// Returns the serials in the payload of a copy, in order; `None` if the payload has no array of serials.
    #[must_use]
    pub fn serials_in(&self, format: CredentialFormat, payload: &Map<String, Value>) -> Option<Vec<String>> {
        let found = values_at(payload, &self.array_path(format)).pop()?;
        let items = found.1.as_array()?.iter();
        Some(items.filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Returns the number of uses stated in claims; `None` if it is absent, malformed or greater than
    /// [`Self::digests`].
    #[must_use]
    pub fn stated_count(&self, claims: &Map<String, Value>) -> Option<usize> {
        let uses = claims.get(&self.uses).and_then(json::as_unsigned_integer)?;
        usize::try_from(uses).ok().filter(|uses| *uses <= self.digests)
    }

    /// Returns the array of serials as a padded array for issuance.
    #[must_use]
    pub fn padded_array(&self, format: CredentialFormat) -> PaddedArray {
        PaddedArray { path: self.array_path(format), digest_count: self.digests }
    }

    /// Returns the error for claims that state more uses than a copy can have serials; `None` if there is no error.
    pub(crate) fn count_error(&self, claims: &Map<String, Value>) -> Option<ClaimError> {
        let uses = claims.get(&self.uses).and_then(json::as_unsigned_integer)?;
        let most = u64::try_from(self.digests).unwrap_or(u64::MAX);
        (uses > most).then(|| ClaimError {
            path: self.uses.clone(),
            given_form: Some(format!("the number {uses}")),
            expected: format!("wanted is a whole number from 1 to {most}; for more uses make several offers"),
            nearest: None,
        })
    }

    /// Checks that the number of serials in claims is the stated number of uses.
    pub(crate) fn check_count(&self, claims: &Map<String, Value>) -> Result<(), Problem> {
        let serials = claims.get(&self.claim).and_then(Value::as_array).map(Vec::len);
        if serials.is_some() && serials == self.stated_count(claims) {
            return Ok(());
        }
        let Self { claim, uses, .. } = self;
        Err(Problem::new(
            Code::SchemaViolation,
            format!("the claim {claim} does not have as many elements as {uses} states"),
        ))
    }

    /// Returns a sentence about an error in the definition; `None` if there is none.
    pub(crate) fn definition_error(&self, disclosable: &[String], required: &[String]) -> Option<String> {
        let Self { claim, uses, redeemer, service, digests } = self;
        let element = format!("{claim}[]");
        if let Some(name) = [claim, &element].into_iter().find(|name| !disclosable.contains(name)) {
            return Some(format!("[serials] needs \"{name}\" among disclosable"));
        }
        if let Some(name) = [claim, uses, redeemer, service].into_iter().find(|name| !required.contains(name)) {
            return Some(format!("[serials] names \"{name}\", which is not required_at_issuance"));
        }
        (!(1..=256).contains(digests)).then(|| "[serials] has digests that are not from 1 to 256".to_owned())
    }
}
