//! Permitted top-level members of a signed payload, by format (spec/credential-types.md section 4).
//!
//! A member that one format defines and another one ignores is refused in the latter: the signer would have stated
//! something, such as the end of validity, that verifiers would not apply.

use serde_json::{Map, Value};

use crate::{Code, Problem};

/// Set of the permitted top-level members of a kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopLevelMembers {
    /// Credential with embedded proofs.
    DataIntegrity,
    /// Payload of a `vc+sd-jwt`.
    VcSdJwt,
    /// Payload of a `dc+sd-jwt`.
    DcSdJwt,
    /// Presentation with embedded proofs.
    Presentation,
}

impl TopLevelMembers {
    /// Checks that every top-level member of a document is permitted.
    ///
    /// # Errors
    /// `claim_forbidden`
    pub(crate) fn require_permitted(self, members: &Map<String, Value>) -> Result<(), Problem> {
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

/// Returns whether VCDM 2.0 defines a member of a credential with this name. `proof` is not one of them.
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

/// Returns whether a name is a claim of a JWT or SD-JWT that is also read in a `vc+sd-jwt`. `_sd` and `_sd_alg` are
/// removed before this check.
fn is_jwt(name: &str) -> bool {
    matches!(name, "iss" | "sub" | "iat" | "nbf" | "exp" | "cnf" | "status")
}

/// Returns whether a name has a meaning in the other formats, or to JWT libraries, but none in an SD-JWT VC. `type`,
/// `name`, `description`, `validFrom` and `validUntil` are excluded: credential types define claims with these names.
fn is_foreign_to_sd_jwt_vc(name: &str) -> bool {
    let may_be_claimed = matches!(name, "type" | "name" | "description" | "validFrom" | "validUntil");
    (is_vcdm(name) && !may_be_claimed) || matches!(name, "proof" | "verifiableCredential" | "vc" | "vp" | "aud" | "jti")
}

/// Returns whether a credential type may define a claim with this name. Claims are in `credentialSubject`, but in a
/// `dc+sd-jwt` at the top level, where their names must differ from those of registered members.
#[must_use]
pub fn is_permitted_claim_name(name: &str) -> bool {
    !is_foreign_to_sd_jwt_vc(name) && !is_jwt(name) && !matches!(name, "vct" | "vct#integrity")
}

/// Returns the name if a format defines it, and a neutral text otherwise: an unknown name may contain anything.
fn shown(name: &str) -> &str {
    let known = is_vcdm(name) || is_jwt(name) || is_foreign_to_sd_jwt_vc(name) || matches!(name, "vct" | "holder");
    if known { name } else { "an unknown member" }
}
