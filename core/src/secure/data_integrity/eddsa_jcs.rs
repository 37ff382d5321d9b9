//! eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0, section 3.3).

use serde_json::{Map, Value};

use super::{Cryptosuite, jcs};
use crate::{
    Problem,
    format::CredentialFormat,
    keys::{PublicKey, SignatureAlgorithm, Signer},
};

/// Cryptosuite eddsa-jcs-2022: Ed25519 with SHA-256.
#[derive(Debug, Clone, Copy, Default)]
pub struct EddsaJcs2022;

impl Cryptosuite for EddsaJcs2022 {
    fn name(&self) -> &'static str {
        "eddsa-jcs-2022"
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::DiVcJcs
    }

    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        algorithm == SignatureAlgorithm::EdDsa
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
