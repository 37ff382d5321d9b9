//! ecdsa-jcs-2019 (Data Integrity ECDSA Cryptosuites 1.0, section 3.3).

use serde_json::{Map, Value};

use super::{Cryptosuite, jcs};
use crate::{
    Problem,
    format::CredentialFormat,
    keys::{PublicKey, SignatureAlgorithm, Signer},
};

/// Cryptosuite ecdsa-jcs-2019: P-256 with SHA-256, or P-384 with SHA-384.
#[derive(Debug, Clone, Copy, Default)]
pub struct EcdsaJcs2019;

impl Cryptosuite for EcdsaJcs2019 {
    fn name(&self) -> &'static str {
        "ecdsa-jcs-2019"
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::DiVcJcs
    }

    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        matches!(algorithm, SignatureAlgorithm::Es256 | SignatureAlgorithm::Es384)
    }

    fn complete_options(&self, document: &Map<String, Value>, options: Map<String, Value>) -> Map<String, Value> {
        jcs::complete_options(document, options)
    }

    fn create_proof(
        &self,
        document: &Map<String, Value>,
        options: Map<String, Value>,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        jcs::create(self, document, options, signer)
    }

    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        jcs::verify(self, document, proof, key)
    }
}

#[cfg(test)]
mod tests;
