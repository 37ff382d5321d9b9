//! Steps that the JCS cryptosuites share: section 3.3 of Data Integrity EdDSA Cryptosuites 1.0 and of Data Integrity
//! ECDSA Cryptosuites 1.0. A cryptosuite adds its name and its algorithms.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384};

use super::{Cryptosuite, PROOF_TYPE, decode_proof_value, encode_proof_value, malformed};
use crate::{
    Code, Problem, json,
    keys::{PublicKey, SignatureAlgorithm, Signer},
};

pub(super) type HashFunction = fn(&[u8]) -> Vec<u8>;

/// Returns the hash function that the cryptosuite uses with a key algorithm.
pub(super) fn hash_function(algorithm: SignatureAlgorithm) -> HashFunction {
    match algorithm {
        SignatureAlgorithm::Es384 => |bytes| Sha384::digest(bytes).to_vec(),
        SignatureAlgorithm::Es256 | SignatureAlgorithm::EdDsa => |bytes| Sha256::digest(bytes).to_vec(),
    }
}

/// Adds the document's contexts to the proof options (section 3.3.1, step 2).
pub(super) fn complete_options(document: &Map<String, Value>, mut options: Map<String, Value>) -> Map<String, Value> {
    if let Some(context) = document.get("@context") {
        options.insert("@context".to_owned(), context.clone());
    }
    options
}

/// Creates a proof of a document from the proof options (section 3.3.1).
pub(super) fn create(
    suite: &dyn Cryptosuite,
    document: &Map<String, Value>,
    options: Map<String, Value>,
    signer: &dyn Signer,
) -> Result<Map<String, Value>, Problem> {
    if options.contains_key("proofValue") {
        return Err(Problem::new(Code::ProofGeneration, "the proof options already have a proofValue"));
    }
    check_kind(suite, &options).map_err(|problem| Problem::new(Code::ProofGeneration, problem.detail))?;
    if !suite.supports_algorithm(signer.algorithm()) {
        return Err(Code::AlgorithmMismatch.into());
    }
    let mut options = complete_options(document, options);
    let signature = signer.sign(&hash_data(signer.algorithm(), document, &options)?)?;
    options.insert("proofValue".to_owned(), encode_proof_value(&signature).into());
    Ok(options)
}

/// Verifies a proof (section 3.3.2), and returns the signed document. As the Recommendations require, contexts that
/// were appended after signing are removed from it; [`super::verify`] refuses a document that differs from the result.
pub(super) fn verify(
    suite: &dyn Cryptosuite,
    document: &Map<String, Value>,
    proof: &Map<String, Value>,
    key: &PublicKey,
) -> Result<Map<String, Value>, Problem> {
    check_kind(suite, proof)?;
    if !suite.supports_algorithm(key.algorithm()) {
        return Err(Code::AlgorithmMismatch.into());
    }
    let signature = decode_proof_value(proof, key.algorithm().signature_length())?;
    let mut options = proof.clone();
    options.remove("proofValue");
    let mut document = document.clone();
    if let Some(signed) = proof.get("@context") {
        if !starts_with(document.get("@context"), signed) {
            return Err(Code::ProofContext.into());
        }
        document.insert("@context".to_owned(), signed.clone());
    }
    key.verify(&hash_data(key.algorithm(), &document, &options)?, &signature)?;
    Ok(document)
}

fn check_kind(suite: &dyn Cryptosuite, proof: &Map<String, Value>) -> Result<(), Problem> {
    let is = |name: &str, value: &str| proof.get(name).and_then(Value::as_str) == Some(value);
    if is("type", PROOF_TYPE) && is("cryptosuite", suite.name()) {
        Ok(())
    } else {
        Err(malformed("the proof is for another cryptosuite"))
    }
}

/// Returns the bytes to sign: the hash of the proof options, then that of the document (section 3.3.4).
fn hash_data(
    algorithm: SignatureAlgorithm,
    document: &Map<String, Value>,
    options: &Map<String, Value>,
) -> Result<Vec<u8>, Problem> {
    let canonical = |members| {
        json::canonicalize_object(members).map_err(|problem| Problem::new(Code::Transformation, problem.detail))
    };
    let hash = hash_function(algorithm);
    let mut hashes = hash(&canonical(options)?);
    hashes.extend(hash(&canonical(document)?));
    Ok(hashes)
}

/// Returns whether the document's contexts begin with all signed contexts, in their order.
fn starts_with(context: Option<&Value>, signed: &Value) -> bool {
    let as_list = |value: &'_ Value| match value {
        Value::Array(entries) => entries.clone(),
        one => vec![one.clone()],
    };
    context.is_some_and(|context| as_list(context).starts_with(&as_list(signed)))
}
