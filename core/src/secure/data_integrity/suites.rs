//! Registry of cryptosuites.

use std::{fmt, sync::Arc};

use super::{Cryptosuite, ecdsa_jcs::EcdsaJcs2019, eddsa_jcs::EddsaJcs2022};
use crate::{Code, Problem, format::CredentialFormat, keys::SignatureAlgorithm};

/// Cryptosuites that a program supports, by name. A program builds the registry once and passes it to everything that
/// creates or verifies proofs.
#[derive(Clone, Default)]
pub struct Cryptosuites(Vec<Arc<dyn Cryptosuite>>);

impl Cryptosuites {
    /// Returns a registry without cryptosuites: every proof is refused.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns a registry of the cryptosuites of this crate, which use JCS: eddsa-jcs-2022 and ecdsa-jcs-2019.
    #[must_use]
    pub fn jcs() -> Self {
        Self::only(EddsaJcs2022).with(EcdsaJcs2019)
    }

    /// Returns a registry of one cryptosuite, for documents whose specification requires it.
    #[must_use]
    pub fn only(suite: impl Cryptosuite + 'static) -> Self {
        Self::empty().with(suite)
    }

    /// Returns the registry with one more cryptosuite, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, suite: impl Cryptosuite + 'static) -> Self {
        self.0.retain(|other| other.name() != suite.name());
        self.0.push(Arc::new(suite));
        self
    }

    /// Returns the cryptosuite with this `cryptosuite` value.
    ///
    /// # Errors
    /// `cryptosuite_unknown` if it is not registered.
    pub fn by_name(&self, name: &str) -> Result<&dyn Cryptosuite, Problem> {
        self.iter().find(|suite| suite.name() == name).ok_or_else(|| Code::CryptosuiteUnknown.into())
    }

    /// Returns the first cryptosuite that secures credentials of a format with keys of an algorithm; `None` if there is
    /// none.
    #[must_use]
    pub fn for_signing(&self, format: CredentialFormat, algorithm: SignatureAlgorithm) -> Option<&dyn Cryptosuite> {
        self.iter().find(|suite| suite.format() == format && suite.supports_algorithm(algorithm))
    }

    /// Returns whether credentials of a format can be verified: the SD-JWT formats always, the others with a registered
    /// cryptosuite.
    #[must_use]
    pub fn can_verify(&self, format: CredentialFormat) -> bool {
        format.is_sd_jwt() || self.iter().any(|suite| suite.format() == format)
    }

    fn iter(&self) -> impl Iterator<Item = &(dyn Cryptosuite + 'static)> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Cryptosuites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|suite| suite.name())).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::keys::{PublicKey, Signer};

    /// Cryptosuite over RDF that neither makes nor verifies a proof.
    struct Rdf(&'static str);

    impl Cryptosuite for Rdf {
        fn name(&self) -> &'static str {
            self.0
        }

        fn format(&self) -> CredentialFormat {
            CredentialFormat::LdpVc
        }

        fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
            algorithm == SignatureAlgorithm::EdDsa
        }

        fn create_proof(
            &self,
            _: &Map<String, Value>,
            _: Map<String, Value>,
            _: &dyn Signer,
        ) -> Result<Map<String, Value>, Problem> {
            Err(Code::ProofGeneration.into())
        }

        fn verify_proof(
            &self,
            _: &Map<String, Value>,
            _: &Map<String, Value>,
            _: &PublicKey,
        ) -> Result<Map<String, Value>, Problem> {
            Err(Code::SignatureInvalid.into())
        }
    }

    #[test]
    fn a_cryptosuite_is_found_by_its_name_and_by_format_and_key() {
        let name =
            |suites: &Cryptosuites, format, algorithm| suites.for_signing(format, algorithm).map(|suite| suite.name());
        let (jcs, ldp) = (CredentialFormat::DiVcJcs, CredentialFormat::LdpVc);
        let own = Cryptosuites::jcs();
        assert_eq!(name(&own, jcs, SignatureAlgorithm::EdDsa), Some("eddsa-jcs-2022"));
        assert_eq!(name(&own, ldp, SignatureAlgorithm::EdDsa), None);
        assert!(own.can_verify(jcs) && own.can_verify(CredentialFormat::VcSdJwt) && !own.can_verify(ldp));
        let more = own.with(Rdf("eddsa-rdfc-2022"));
        assert_eq!(name(&more, ldp, SignatureAlgorithm::EdDsa), Some("eddsa-rdfc-2022"));
        assert_eq!(name(&more, ldp, SignatureAlgorithm::Es256), None);
        assert!(more.can_verify(ldp) && more.by_name("eddsa-rdfc-2022").is_ok());
        for unknown in ["", "eddsa-rdfc-2023", "EDDSA-RDFC-2022"] {
            assert_eq!(more.by_name(unknown).map(|_| ()).unwrap_err().code, Code::CryptosuiteUnknown, "{unknown}");
        }
        assert!(Cryptosuites::empty().by_name("eddsa-jcs-2022").is_err());
    }

    #[test]
    fn a_later_cryptosuite_of_one_name_replaces_the_earlier_one() {
        let suites = Cryptosuites::only(EddsaJcs2022).with(Rdf("eddsa-jcs-2022"));
        assert_eq!(format!("{suites:?}"), r#"["eddsa-jcs-2022"]"#);
        assert_eq!(suites.by_name("eddsa-jcs-2022").unwrap().format(), CredentialFormat::LdpVc);
    }
}
