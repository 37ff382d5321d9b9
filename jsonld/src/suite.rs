//! eddsa-rdfc-2022 (Data Integrity EdDSA Cryptosuites 1.0, section 3.2).

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    keys::{PublicKey, SignatureAlgorithm, Signer},
    secure::data_integrity::{Cryptosuite, Cryptosuites},
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{canonical::canonicalize, contexts::Contexts, rdf::to_quads};

const NAME: &str = "eddsa-rdfc-2022";
const PROOF_TYPE: &str = "DataIntegrityProof";
const SIGNATURE_BYTES: usize = 64;
/// Maximum length of `proofValue`: 64 bytes are at most 88 digits of base58. Longer text is not decoded.
const LONGEST_PROOF_VALUE: usize = 89;

/// Adds the cryptosuites of this crate to a registry, with these contexts, as [`EddsaRdfc2022::new`] takes them.
///
/// # Errors
/// Those of [`EddsaRdfc2022::new`].
pub fn register_suites(suites: Cryptosuites, contexts: Vec<(String, String, String)>) -> Result<Cryptosuites, Problem> {
    Ok(suites.with(EddsaRdfc2022::new(contexts)?))
}

/// Cryptosuite eddsa-rdfc-2022: Ed25519 over the SHA-256 of the canonical proof options and that of the canonical
/// document.
///
/// The document that [`Cryptosuite::verify`] returns is its input; the crate's documentation explains why it is exactly
/// the signed one. Arrays are sets in RDF unless their context says otherwise, so their order is not signed; neither is
/// the difference between a value and an array of that one value.
#[derive(Clone)]
pub struct EddsaRdfc2022 {
    contexts: Contexts,
}

impl std::fmt::Debug for EddsaRdfc2022 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EddsaRdfc2022").finish_non_exhaustive()
    }
}

impl EddsaRdfc2022 {
    /// Creates the suite with the VCDM 2.0 base context and these others: (URL, JSON text, SHA-256 of the text in hex).
    ///
    /// # Errors
    /// `context_tampered`: a text does not have its digest, is no context, or has a URL that occurs twice (the base
    /// context cannot be replaced). `context_unknown`: a URL is malformed.
    pub fn new(contexts: Vec<(String, String, String)>) -> Result<Self, Problem> {
        Ok(Self { contexts: Contexts::new(&contexts)? })
    }

    /// Returns the canonical N-Quads (RDFC-1.0) of a document: the input of the hash.
    ///
    /// # Errors
    /// `context_missing`, `context_unknown`, `context_nested`, `term_undefined`, `transformation`, `too_large`,
    /// `too_deep`
    pub fn canonical_n_quads(&self, document: &Map<String, Value>) -> Result<String, Problem> {
        canonicalize(&to_quads(document, &self.contexts)?)
    }

    /// Returns the bytes to sign: SHA256(canonical proof options) || SHA256(canonical document), sections 3.2.4 and
    /// 3.2.5.
    fn hash_data(&self, document: &Map<String, Value>, options: &Map<String, Value>) -> Result<[u8; 64], Problem> {
        let mut config = options.clone();
        config.remove("proofValue");
        match (config.get("@context"), document.get("@context")) {
            (Some(own), of_document) if Some(own) != of_document => return Err(Code::ProofContext.into()),
            (_, Some(of_document)) => {
                let of_document = of_document.clone();
                config.insert("@context".to_owned(), of_document);
            }
            (_, None) => return Err(Code::ContextMissing.into()),
        }
        let options_hash = Sha256::digest(self.canonical_n_quads(&config)?);
        let document_hash = Sha256::digest(self.canonical_n_quads(document)?);
        let mut data = [0; 64];
        let (first, second) = data.split_at_mut(32);
        first.copy_from_slice(&options_hash);
        second.copy_from_slice(&document_hash);
        Ok(data)
    }
}

impl Cryptosuite for EddsaRdfc2022 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::LdpVc
    }

    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        algorithm == SignatureAlgorithm::EdDsa
    }

    fn create_proof(
        &self,
        document: &Map<String, Value>,
        options: Map<String, Value>,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        if signer.algorithm() != SignatureAlgorithm::EdDsa {
            return Err(Problem::new(Code::AlgorithmMismatch, "eddsa-rdfc-2022 needs an Ed25519 key"));
        }
        let mut proof = options;
        proof.insert("type".to_owned(), PROOF_TYPE.into());
        proof.insert("cryptosuite".to_owned(), NAME.into());
        let signature = signer.sign(&self.hash_data(document, &proof)?)?;
        let proof_value = format!("z{}", bs58::encode(signature).into_string());
        proof.insert("proofValue".to_owned(), proof_value.into());
        Ok(proof)
    }

    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        let says = |name: &str, expected: &str| proof.get(name).and_then(Value::as_str) == Some(expected);
        if !says("type", PROOF_TYPE) || !says("cryptosuite", NAME) {
            return Err(Problem::new(Code::ProofMalformed, "the proof is not an eddsa-rdfc-2022 DataIntegrityProof"));
        }
        let signature = signature(proof)?;
        if key.algorithm() != SignatureAlgorithm::EdDsa {
            return Err(Problem::new(Code::AlgorithmMismatch, "eddsa-rdfc-2022 needs an Ed25519 key"));
        }
        key.verify(&self.hash_data(document, proof)?, &signature)?;
        Ok(document.clone())
    }
}

/// Returns the 64 bytes of `proofValue`, which is in base58btc multibase (`z`).
fn signature(proof: &Map<String, Value>) -> Result<[u8; SIGNATURE_BYTES], Problem> {
    let malformed = |what: &str| Problem::new(Code::ProofMalformed, format!("proofValue {what}"));
    let text = proof.get("proofValue").and_then(Value::as_str).ok_or_else(|| malformed("is missing"))?;
    let digits = text
        .strip_prefix('z')
        .filter(|_| text.len() <= LONGEST_PROOF_VALUE)
        .ok_or_else(|| malformed("is not 64 bytes in base58btc (z...)"))?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| malformed("is not base58"))?;
    bytes.try_into().map_err(|_| malformed("is not 64 bytes long"))
}
