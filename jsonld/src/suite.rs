//! Cryptosuites over RDF: eddsa-rdfc-2022 (Data Integrity EdDSA Cryptosuites 1.0 section 3.2) and ecdsa-rdfc-2019 (Data
//! Integrity ECDSA Cryptosuites 1.0 section 3.2), which differ in their keys and their hash.

use std::sync::Arc;

use carnet_core::{
    Code, Problem,
    format::CredentialFormat,
    keys::{PublicKey, SignatureAlgorithm, Signer},
    secure::data_integrity::{Cryptosuite, Cryptosuites, decode_proof_value, encode_proof_value},
};
use serde_json::{Map, Value};

use crate::{
    canonical::{HashAlgorithm, canonicalize},
    contexts::Contexts,
    rdf::to_quads,
};

const PROOF_TYPE: &str = "DataIntegrityProof";

/// Adds the cryptosuites of this crate to a registry, with these contexts, as [`RdfcCryptosuite::eddsa_2022`] takes
/// them.
///
/// # Errors
/// Those of [`RdfcCryptosuite::eddsa_2022`].
pub fn register_suites(suites: Cryptosuites, contexts: Vec<(String, String, String)>) -> Result<Cryptosuites, Problem> {
    Ok(suites.with(RdfcCryptosuite::eddsa_2022(contexts)?))
}

/// Cryptosuite over RDF: a signature over the hash of the canonical proof options and that of the canonical document.
///
/// The document that [`Cryptosuite::verify_proof`] returns is its input; the crate's documentation explains why it is
/// exactly the signed one. Arrays are sets in RDF unless their context says otherwise, so their order is not signed;
/// neither is the difference between a value and an array of that one value.
#[derive(Clone)]
pub struct RdfcCryptosuite {
    name: &'static str,
    algorithms: &'static [SignatureAlgorithm],
    contexts: Arc<Contexts>,
}

impl std::fmt::Debug for RdfcCryptosuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RdfcCryptosuite").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RdfcCryptosuite {
    /// Creates eddsa-rdfc-2022 (Ed25519 with SHA-256) with the VCDM 2.0 base context and these others: (URL, JSON text,
    /// SHA-256 of the text in hex).
    ///
    /// # Errors
    /// `context_tampered`: a text does not have its digest, is no context, or has a URL that occurs twice (the base
    /// context cannot be replaced). `context_unknown`: a URL is malformed.
    pub fn eddsa_2022(contexts: Vec<(String, String, String)>) -> Result<Self, Problem> {
        Ok(Self::eddsa_2022_over(Arc::new(Contexts::new(&contexts)?)))
    }

    /// Creates eddsa-rdfc-2022 over contexts that are shared.
    pub(crate) fn eddsa_2022_over(contexts: Arc<Contexts>) -> Self {
        Self { name: "eddsa-rdfc-2022", algorithms: &[SignatureAlgorithm::EdDsa], contexts }
    }

    /// Creates ecdsa-rdfc-2019 over contexts that are shared: P-256 with SHA-256, or P-384 with SHA-384, also in the
    /// canonicalisation (section 3.2.3).
    #[cfg(feature = "conformance")]
    pub(crate) fn ecdsa_2019_over(contexts: Arc<Contexts>) -> Self {
        let algorithms = &[SignatureAlgorithm::Es256, SignatureAlgorithm::Es384];
        Self { name: "ecdsa-rdfc-2019", algorithms, contexts }
    }

    /// Returns the canonical N-Quads (RDFC-1.0, with SHA-256) of a document: the input of the hash.
    ///
    /// # Errors
    /// `context_missing`, `context_unknown`, `context_nested`, `term_undefined`, `transformation`, `too_large`,
    /// `too_deep`
    pub fn canonical_n_quads(&self, document: &Map<String, Value>) -> Result<String, Problem> {
        canonicalize(&to_quads(document, &self.contexts)?, HashAlgorithm::Sha256)
    }
}

impl Cryptosuite for RdfcCryptosuite {
    fn name(&self) -> &'static str {
        self.name
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::LdpVc
    }

    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Creates a proof (section 3.2.1 of both specifications).
    fn create_proof(
        &self,
        document: &Map<String, Value>,
        options: Map<String, Value>,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        require_algorithm(self, signer.algorithm())?;
        let mut proof = options;
        proof.insert("type".to_owned(), PROOF_TYPE.into());
        proof.insert("cryptosuite".to_owned(), self.name.into());
        let signature = signer.sign(&hash_data(&self.contexts, signer.algorithm(), document, &proof)?)?;
        proof.insert("proofValue".to_owned(), encode_proof_value(&signature).into());
        Ok(proof)
    }

    /// Verifies a proof (section 3.2.2), and returns the document.
    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        let says = |name: &str, expected: &str| proof.get(name).and_then(Value::as_str) == Some(expected);
        if !says("type", PROOF_TYPE) || !says("cryptosuite", self.name) {
            let what = format!("the proof is not a DataIntegrityProof of {}", self.name);
            return Err(Problem::new(Code::ProofMalformed, what));
        }
        verify_signature(self, &self.contexts, document, proof, key)
    }
}

/// Suite Ed25519Signature2020 (Data Integrity EdDSA Cryptosuites 1.0 appendix, "Ed25519Signature2020"), the form of
/// eddsa-rdfc-2022 from before Data Integrity 1.0. It only verifies.
#[cfg(feature = "conformance")]
#[derive(Clone)]
pub(crate) struct Ed25519Signature2020 {
    contexts: Arc<Contexts>,
}

#[cfg(feature = "conformance")]
impl Ed25519Signature2020 {
    /// `type` of its proofs, which have no `cryptosuite`.
    const NAME: &'static str = "Ed25519Signature2020";

    pub(crate) fn with_contexts(contexts: Arc<Contexts>) -> Self {
        Self { contexts }
    }
}

#[cfg(feature = "conformance")]
impl Cryptosuite for Ed25519Signature2020 {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn format(&self) -> CredentialFormat {
        CredentialFormat::LdpVc
    }

    fn supports_algorithm(&self, algorithm: SignatureAlgorithm) -> bool {
        algorithm == SignatureAlgorithm::EdDsa
    }

    fn create_proof(
        &self,
        _document: &Map<String, Value>,
        _options: Map<String, Value>,
        _signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        Err(Problem::new(Code::ProofGeneration, "Ed25519Signature2020 is only verified"))
    }

    fn verify_proof(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        if proof.get("type").and_then(Value::as_str) != Some(Self::NAME) || proof.contains_key("cryptosuite") {
            return Err(Problem::new(Code::ProofMalformed, "the proof is not an Ed25519Signature2020"));
        }
        verify_signature(self, &self.contexts, document, proof, key)
    }
}

/// Verifies the signature of a proof, and returns the document.
fn verify_signature(
    suite: &dyn Cryptosuite,
    contexts: &Contexts,
    document: &Map<String, Value>,
    proof: &Map<String, Value>,
    key: &PublicKey,
) -> Result<Map<String, Value>, Problem> {
    let signature = decode_proof_value(proof, key.algorithm().signature_length())?;
    require_algorithm(suite, key.algorithm())?;
    key.verify(&hash_data(contexts, key.algorithm(), document, proof)?, &signature)?;
    Ok(document.clone())
}

fn require_algorithm(suite: &dyn Cryptosuite, algorithm: SignatureAlgorithm) -> Result<(), Problem> {
    if suite.supports_algorithm(algorithm) {
        return Ok(());
    }
    Err(Problem::new(Code::AlgorithmMismatch, format!("{} does not sign with {}", suite.name(), algorithm.as_str())))
}

/// Returns the bytes to sign: the hash of the canonical proof options, then that of the canonical document (sections
/// 3.2.4 and 3.2.5).
fn hash_data(
    contexts: &Contexts,
    algorithm: SignatureAlgorithm,
    document: &Map<String, Value>,
    options: &Map<String, Value>,
) -> Result<Vec<u8>, Problem> {
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
    let hash = match algorithm {
        SignatureAlgorithm::Es384 => HashAlgorithm::Sha384,
        SignatureAlgorithm::EdDsa | SignatureAlgorithm::Es256 => HashAlgorithm::Sha256,
    };
    let digest = |part: &Map<String, Value>| {
        Ok::<_, Problem>(hash.digest(canonicalize(&to_quads(part, contexts)?, hash)?.as_bytes()))
    };
    let mut data = digest(&config)?;
    data.extend(digest(document)?);
    Ok(data)
}
