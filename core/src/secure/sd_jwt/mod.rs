//! SD-JWT (RFC 9901): selective disclosure by salted digests, with key binding.
//!
//! [`issue()`] creates an SD-JWT; [`SdJwt::select_claims`] and [`SdJwt::bind_key`] create a presentation. A verifier must call all
//! three of [`SdJwt::verify_signature`], [`SdJwt::resolve_disclosures`] and [`SdJwt::verify_key_binding`]. Disclosures are hashed
//! as received, and never serialised again.

use std::{fmt, sync::OnceLock};

use serde_json::{Map, Value};

use crate::{Code, Problem, format::CredentialFormat, keys::PublicKey, metadata::PathMember, secure::jose::Jws};

mod binding;
mod issue;
mod parse;
mod rendering;
mod resolution;
#[cfg(test)]
mod tests;
mod thresholds;

pub use binding::{KeyBindingMembers, KeyBindingRequirements};
pub use issue::{IssueOptions, PaddedArray, issue};
pub use resolution::{ClearClaim, ResolvedSdJwt};
pub use thresholds::{CommitmentIndices, OrderedClaim};

pub(crate) use thresholds::verify_threshold_proofs;

use parse::Disclosure;

/// Step of a path: a member of an object, an element of an array, or all elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Member of an object.
    Name(String),
    /// Element of an array, by its index from 0.
    Index(usize),
    /// All elements of an array.
    All,
}

/// Path of a claim from the root of the credential (claims path pointer, OpenID4VP 1.0 section 7).
pub type ClaimPath = Vec<Step>;

/// Maximum nesting depth of a payload with its disclosures in place: that of
/// [`Limits::DOCUMENT`](crate::json::Limits::DOCUMENT).
const MAX_DEPTH: usize = 32;

/// Member that contains an object's digests (RFC 9901 section 4.2.4.1).
const DIGESTS: &str = "_sd";
/// Member of an array element that contains a digest (RFC 9901 section 4.2.4.2).
const ELEMENT_DIGEST: &str = "...";
/// Member that names the digest algorithm (RFC 9901 section 4.1.1).
const DIGEST_ALGORITHM: &str = "_sd_alg";
/// Accepted digest algorithm, which is also the default.
const SHA_256: &str = "sha-256";

/// Claims that must not be selectively disclosable in an SD-JWT VC (draft-ietf-oauth-sd-jwt-vc section 2.2.2.2, and
/// Carnet's profile).
const NEVER_DISCLOSABLE: [&str; 9] =
    ["iss", "nbf", "exp", "iat", "cnf", "vct", "vct#integrity", "status", DIGEST_ALGORITHM];

/// Further claims that must not be selectively disclosable in a VCDM 2.0 credential. They may be in an SD-JWT VC, whose
/// claims are at the top level, where `validUntil` may be a claim of a residence permit.
const NEVER_DISCLOSABLE_VCDM: [&str; 9] =
    ["@context", "id", "proof", "type", "issuer", "validFrom", "validUntil", "credentialStatus", "credentialSchema"];

/// Returns whether a claim must be in the clear in a token of this `typ`: the security of the token depends on it, or
/// it is within such a claim. `true` also for a path that does not begin with a member.
///
/// In the W3C formats, `credentialSubject` itself and its `id` must be in the clear; its other claims may be hidden.
#[must_use]
pub fn must_be_in_clear(typ: Option<&str>, path: &[Step]) -> bool {
    must_be_clear(typ, path.iter().map(PathMember::from))
}

fn must_be_clear<'a>(typ: Option<&str>, mut path: impl Iterator<Item = PathMember<'a>>) -> bool {
    let Some(PathMember::Name(first)) = path.next() else {
        return true;
    };
    let format = typ.and_then(CredentialFormat::parse);
    // `sub` of a credential identifies the holder's key, and is not selectively disclosable. (In a plain SD-JWT it may
    // be.)
    if first == "sub" && format.is_some_and(CredentialFormat::is_sd_jwt) {
        return true;
    }
    if NEVER_DISCLOSABLE.contains(&first) {
        return true;
    }
    if format == Some(CredentialFormat::DcSdJwt) {
        return false;
    }
    if first == "credentialSubject" {
        return match (path.next(), path.next()) {
            (None, _) | (Some(PathMember::Element), None) => true,
            (Some(PathMember::Name(name)), _) | (Some(PathMember::Element), Some(PathMember::Name(name))) => {
                name == "id"
            }
            _ => false,
        };
    }
    NEVER_DISCLOSABLE_VCDM.contains(&first)
}

/// Parsed SD-JWT or SD-JWT+KB. Nothing in it is verified.
#[derive(Clone)]
pub struct SdJwt {
    jws: Jws,
    /// Text up to and including the last tilde: the input of `sd_hash`.
    text: String,
    /// Disclosures, in the order of the text.
    disclosures: Vec<Disclosure>,
    /// Indices into `disclosures`, sorted by digest.
    by_digest: Vec<usize>,
    key_binding: Option<Jws>,
    holder: OnceLock<Result<Option<PublicKey>, Problem>>,
}

impl Drop for SdJwt {
    /// The text has every disclosed claim in it.
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.text);
    }
}

impl SdJwt {
    /// Returns the issuer-signed JWT.
    #[must_use]
    pub fn jws(&self) -> &Jws {
        &self.jws
    }

    /// Returns whether the SD-JWT ends with a key-binding JWT.
    #[must_use]
    pub fn has_key_binding(&self) -> bool {
        self.key_binding.is_some()
    }

    /// Returns the key-binding JWT, unverified; `None` if there is none.
    #[must_use]
    pub fn key_binding(&self) -> Option<&Jws> {
        self.key_binding.as_ref()
    }

    /// Checks that there is no key-binding JWT: a copy from the issuer must not have one (RFC 9901 section 7.2).
    ///
    /// # Errors
    /// `key_binding_unexpected` if there is one.
    pub fn require_no_key_binding(&self) -> Result<(), Problem> {
        if self.has_key_binding() { Err(Code::KeyBindingUnexpected.into()) } else { Ok(()) }
    }

    /// Returns the number of disclosures.
    #[must_use]
    pub fn disclosure_count(&self) -> usize {
        self.disclosures.len()
    }

    /// Verifies the issuer's signature (RFC 9901 section 7.1, step 2).
    ///
    /// # Errors
    /// `algorithm_mismatch`, `signature_invalid`
    pub fn verify_signature(&self, issuer: &PublicKey) -> Result<(), Problem> {
        self.jws.verify(issuer)
    }

    /// Returns the holder's key from `cnf.jwk` (RFC 7800); `None` if there is no `cnf`. It is unverified until the
    /// issuer's signature is.
    ///
    /// # Errors
    /// `claim_missing` (a `cnf` without a `jwk`), `key_invalid`, `private_key_exposed`
    pub fn holder_key(&self) -> Result<Option<PublicKey>, Problem> {
        self.holder.get_or_init(|| holder_key(self.jws.payload())).clone()
    }

    /// Checks that the digest algorithm is SHA-256, which is also the default.
    fn check_digest_algorithm(&self) -> Result<(), Problem> {
        match self.jws.payload().get(DIGEST_ALGORITHM) {
            None => Ok(()),
            Some(Value::String(name)) if name == SHA_256 => Ok(()),
            Some(_) => Err(Code::DigestAlgorithm.into()),
        }
    }
}

fn holder_key(payload: &Map<String, Value>) -> Result<Option<PublicKey>, Problem> {
    let Some(confirmation) = payload.get("cnf") else {
        return Ok(None);
    };
    match confirmation.get("jwk") {
        Some(jwk) => PublicKey::from_jwk(jwk).map(Some),
        None => Err(Problem::new(Code::ClaimMissing, "cnf has no jwk")),
    }
}

impl fmt::Display for SdJwt {
    /// The compact form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.key_binding.as_ref().map_or(Ok(()), |binding| f.write_str(binding.as_str()))
    }
}

impl fmt::Debug for SdJwt {
    /// Shows only the shape: the disclosures are claims, which do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdJwt")
            .field("jws", &self.jws)
            .field("disclosures", &self.disclosures.len())
            .field("key_binding", &self.key_binding)
            .finish_non_exhaustive()
    }
}
