//! Requirements on credentials that are stricter than the standards.

use crate::{
    query,
    secure::sd_jwt::{ClaimPath, Step},
};

/// Requirements on the credentials of a type that are stricter than the standards. The default is the profile of
/// Carnet's own types; [`TypeCatalogue::profile`](super::TypeCatalogue::profile) relaxes it for a type and its issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationProfile {
    /// `kid` is a complete DID URL. If `false`, it may be a fragment (`#0`), which is resolved against the issuer's
    /// DID.
    pub requires_absolute_kid: bool,
    /// The validity period has an end: `exp` or `validUntil`.
    pub requires_end: bool,
    /// Claims, and members of the metadata such as `cnf.jwk.kid`, that may be in the clear although they were not
    /// requested. They count as disclosed.
    pub visible: Vec<ClaimPath>,
}

impl VerificationProfile {
    /// Profile of Carnet's own types.
    pub const DEFAULT: &'static Self = &Self { requires_absolute_kid: true, requires_end: true, visible: Vec::new() };

    /// Returns whether a claim, or one that contains it, may be in the clear although it was not requested.
    #[must_use]
    pub fn is_visible(&self, path: &[Step]) -> bool {
        self.visible.iter().any(|known| query::contains(known, path))
    }
}

impl Default for VerificationProfile {
    fn default() -> Self {
        Self::DEFAULT.clone()
    }
}
