//! Permitted top-level members of a signed payload, by format (spec/credential-types.md section 4).
//!
//! A member that one format defines and another ignores is refused in the latter: the signer would have stated
//! something, such as the end of validity, that no reader would apply.

use serde_json::{Map, Value};

use crate::{Code, Problem};

/// Table of permitted members for one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopLevel {
    /// Credential with embedded proofs.
    DataIntegrity,
    /// Payload of a `vc+sd-jwt`.
    VcSdJwt,
    /// Payload of a `dc+sd-jwt`.
    DcSdJwt,
    /// Presentation with embedded proofs.
    Presentation,
}

impl TopLevel {
    /// Refuses a document with a top-level member that its format does not permit.
    ///
    /// # Errors
    /// `claim_forbidden`
    pub(crate) fn check(self, members: &Map<String, Value>) -> Result<(), Problem> {
        match members.keys().find(|name| !self.admits(name)) {
            None => Ok(()),
            Some(name) => Err(Problem::new(
                Code::ClaimForbidden,
                format!("{} is not allowed at the top level of {}", shown(name), self.title()),
            )),
        }
    }

    fn admits(self, name: &str) -> bool {
        match self {
            Self::DataIntegrity => is_vcdm(name) || name == "proof",
            Self::VcSdJwt => is_vcdm(name) || is_jwt(name),
            // The claims of the type are at the top, and its schema lists them.
            Self::DcSdJwt => !is_foreign_to_sd_jwt_vc(name),
            Self::Presentation => {
                matches!(name, "@context" | "id" | "type" | "holder" | "verifiableCredential" | "termsOfUse" | "proof")
            }
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::DataIntegrity => "a credential with Data Integrity proofs",
            Self::VcSdJwt => "a vc+sd-jwt",
            Self::DcSdJwt => "a dc+sd-jwt",
            Self::Presentation => "a presentation",
        }
    }
}

/// The members of a credential that VCDM 2.0 defines (its context, `VerifiableCredential`), but `proof`.
fn is_vcdm(name: &str) -> bool {
    matches!(
        name,
        "@context"
            | "id"
            | "type"
            | "name"
            | "description"
            | "issuer"
            | "validFrom"
            | "validUntil"
            | "credentialSubject"
            | "credentialStatus"
            | "credentialSchema"
            | "refreshService"
            | "termsOfUse"
            | "evidence"
            | "relatedResource"
            | "confidenceMethod"
            | "renderMethod"
    )
}

/// Returns whether a name is a claim of JWT or SD-JWT that is read beside a VCDM document. `_sd` and `_sd_alg` are
/// removed by then.
fn is_jwt(name: &str) -> bool {
    matches!(name, "iss" | "sub" | "iat" | "nbf" | "exp" | "cnf" | "status")
}

/// Returns whether a name means something in the other formats, or to a JWT library, and nothing in an SD-JWT VC.
/// `type`, `name`, `description`, `validFrom` and `validUntil` are not among them: types have claims of these names.
fn is_foreign_to_sd_jwt_vc(name: &str) -> bool {
    let may_be_claimed = matches!(name, "type" | "name" | "description" | "validFrom" | "validUntil");
    (is_vcdm(name) && !may_be_claimed) || matches!(name, "proof" | "verifiableCredential" | "vc" | "vp" | "aud" | "jti")
}

/// Returns whether a credential type may define a claim of this name. A claim is in `credentialSubject`, and in a
/// `dc+sd-jwt` at the top level, where it must not clash with a registered member.
#[must_use]
pub fn may_name_claim(name: &str) -> bool {
    !is_foreign_to_sd_jwt_vc(name) && !is_jwt(name) && !matches!(name, "vct" | "vct#integrity")
}

/// A name that is safe to print: one of those that the formats have, or none.
fn shown(name: &str) -> &str {
    let known = is_vcdm(name) || is_jwt(name) || is_foreign_to_sd_jwt_vc(name) || matches!(name, "vct" | "holder");
    if known { name } else { "an unknown member" }
}
