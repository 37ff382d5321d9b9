//! Copies of a credential type that the catalogue does not have (spec/foreign-types.md section 5).

use carnet_core::{
    Code, Problem,
    did::Did,
    secure::sd_jwt::SdJwt,
    verify::{TypeCatalogue, VerificationProfile},
};
use serde_json::{Map, Value};

/// Names of the checks that are skipped for copies of a foreign type.
pub const UNCHECKED: [&str; 5] = ["form", "signing_key", "status_lists", "valid_from", "valid_until"];

/// Profile of a foreign type that the holder accepted: what its issuer issues, a verifier may refuse.
static PROFILE: VerificationProfile =
    VerificationProfile { requires_absolute_kid: false, requires_end: false, visible: Vec::new() };

/// Rules for the copies of one foreign type, whose name is its `vct`.
pub(super) struct ForeignTypeRules<'a> {
    pub(super) vct: &'a str,
}

impl TypeCatalogue for ForeignTypeRules<'_> {
    fn type_name(&self, types: &[&str], vct: Option<&str>) -> Result<String, Problem> {
        if types.is_empty() && vct == Some(self.vct) {
            return Ok(self.vct.to_owned());
        }
        Err(Problem::new(Code::TypeUnknown, "the vct is not the offered one"))
    }

    fn check_schema(&self, _type_name: &str, _disclosed: &Map<String, Value>) -> Result<(), Problem> {
        Ok(())
    }

    fn profile(&self, vct: &str, _issuer: &str) -> &VerificationProfile {
        if vct == self.vct { &PROFILE } else { VerificationProfile::DEFAULT }
    }
}

/// Returns the DID that the first copy names as its issuer. It is unverified until the copy is.
///
/// # Errors
/// `claim_missing` without a copy or an `iss`; those of [`SdJwt::parse`] and [`Did::parse`].
pub fn issuer_of_copies(copies: &[String]) -> Result<Did, Problem> {
    let missing = || Problem::new(Code::ClaimMissing, "the copy does not name its issuer");
    let token = SdJwt::parse(copies.first().ok_or_else(missing)?.trim())?;
    Did::parse(token.jws().payload().get("iss").and_then(Value::as_str).ok_or_else(missing)?)
}
