//! Registry of cryptosuites.

use std::{fmt, sync::Arc};

use super::{Cryptosuite, ecdsa_jcs::EcdsaJcs2019, eddsa_jcs::EddsaJcs2022};
use crate::{Code, Problem, format::CredentialFormat, keys::Algorithm};

/// Cryptosuites that a program supports, by their names. A program builds the registry once and passes it to whatever
/// makes or verifies proofs.
#[derive(Clone, Default)]
pub struct Suites(Vec<Arc<dyn Cryptosuite>>);

impl Suites {
    /// Returns a registry without cryptosuites: every proof is refused.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the cryptosuites of this crate, all of them over JCS.
    #[must_use]
    pub fn jcs() -> Self {
        Self::only(EddsaJcs2022).with(EcdsaJcs2019)
    }

    /// Returns a registry of one cryptosuite, for documents whose specification names it.
    #[must_use]
    pub fn only(suite: impl Cryptosuite + 'static) -> Self {
        Self::none().with(suite)
    }

    /// Adds a cryptosuite. It replaces an earlier one of the same name.
    #[must_use]
    pub fn with(mut self, suite: impl Cryptosuite + 'static) -> Self {
        self.0.retain(|other| other.name() != suite.name());
        self.0.push(Arc::new(suite));
        self
    }

    /// Returns the cryptosuite of a proof.
    ///
    /// # Errors
    /// `cryptosuite_unknown`
    pub fn named(&self, name: &str) -> Result<&dyn Cryptosuite, Problem> {
        self.iter().find(|suite| suite.name() == name).ok_or_else(|| Code::CryptosuiteUnknown.into())
    }

    /// Returns the cryptosuite that secures credentials in a format with a key of an algorithm; `None` if there is none.
    #[must_use]
    pub fn signing(&self, format: CredentialFormat, algorithm: Algorithm) -> Option<&dyn Cryptosuite> {
        self.iter().find(|suite| suite.format() == format && suite.takes(algorithm))
    }

    /// Returns `true` if credentials in a format can be verified: the SD-JWT formats, which need no cryptosuite, and
    /// those of the cryptosuites.
    #[must_use]
    pub fn supports(&self, format: CredentialFormat) -> bool {
        format.is_sd_jwt() || self.iter().any(|suite| suite.format() == format)
    }

    fn iter(&self) -> impl Iterator<Item = &dyn Cryptosuite> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Suites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Cryptosuite::name)).finish()
    }
}
