//! eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0, section 3.3).

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Cryptosuite, PROOF_TYPE, malformed};
use crate::{
    Code, Problem, json,
    keys::{Algorithm, PublicKey, Signer},
};

const NAME: &str = "eddsa-jcs-2022";
/// 64 bytes have at most 88 characters in base58. Longer text is not decoded, since that takes quadratic time.
const MAX_PROOF_VALUE: usize = 89;

/// The cryptosuite.
#[derive(Debug, Clone, Copy, Default)]
pub struct EddsaJcs2022;

impl Cryptosuite for EddsaJcs2022 {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The document's contexts are the proof's as well (section 3.3.1, step 2).
    fn complete_options(&self, document: &Map<String, Value>, mut options: Map<String, Value>) -> Map<String, Value> {
        if let Some(context) = document.get("@context") {
            options.insert("@context".to_owned(), context.clone());
        }
        options
    }

    /// Section 3.3.1.
    fn create(
        &self,
        document: &Map<String, Value>,
        options: Map<String, Value>,
        signer: &dyn Signer,
    ) -> Result<Map<String, Value>, Problem> {
        if options.contains_key("proofValue") {
            return Err(Problem::new(Code::ProofGeneration, "the proof options already have a proofValue"));
        }
        check_kind(&options).map_err(|problem| Problem::new(Code::ProofGeneration, problem.detail))?;
        if signer.algorithm() != Algorithm::EdDsa {
            return Err(Code::AlgorithmMismatch.into());
        }
        let mut options = self.complete_options(document, options);
        let signature = signer.sign(&hash_data(document, &options)?)?;
        options.insert("proofValue".to_owned(), format!("z{}", bs58::encode(signature).into_string()).into());
        Ok(options)
    }

    /// Section 3.3.2. As the Recommendation has it, contexts that were appended after signing are cut off the
    /// document that is handed back; [`super::verify`] refuses a document that differs from it.
    fn verify(
        &self,
        document: &Map<String, Value>,
        proof: &Map<String, Value>,
        key: &PublicKey,
    ) -> Result<Map<String, Value>, Problem> {
        check_kind(proof)?;
        if key.algorithm() != Algorithm::EdDsa {
            return Err(Code::AlgorithmMismatch.into());
        }
        let mut options = proof.clone();
        let signature = signature(options.remove("proofValue").as_ref())?;
        let mut document = document.clone();
        if let Some(signed) = proof.get("@context") {
            if !starts_with(document.get("@context"), signed) {
                return Err(Code::ProofContext.into());
            }
            document.insert("@context".to_owned(), signed.clone());
        }
        key.verify(&hash_data(&document, &options)?, &signature)?;
        Ok(document)
    }
}

fn check_kind(proof: &Map<String, Value>) -> Result<(), Problem> {
    let is = |name: &str, value: &str| proof.get(name).and_then(Value::as_str) == Some(value);
    if is("type", PROOF_TYPE) && is("cryptosuite", NAME) {
        Ok(())
    } else {
        Err(malformed("the proof is for another cryptosuite"))
    }
}

/// Returns the bytes to sign: the hash of the proof's configuration, then that of the document (section 3.3.4).
fn hash_data(document: &Map<String, Value>, options: &Map<String, Value>) -> Result<[u8; 64], Problem> {
    let canonical = |members| {
        json::canonicalize_object(members).map_err(|problem| Problem::new(Code::Transformation, problem.detail))
    };
    let mut hashes = [0; 64];
    let (first, second) = hashes.split_at_mut(32);
    first.copy_from_slice(&Sha256::digest(canonical(options)?));
    second.copy_from_slice(&Sha256::digest(canonical(document)?));
    Ok(hashes)
}

fn signature(value: Option<&Value>) -> Result<Vec<u8>, Problem> {
    value
        .and_then(Value::as_str)
        .filter(|text| text.len() <= MAX_PROOF_VALUE)
        .and_then(|text| text.strip_prefix('z'))
        .and_then(|base58| bs58::decode(base58).into_vec().ok())
        .filter(|bytes| bytes.len() == 64)
        .ok_or_else(|| malformed("proofValue is not 64 bytes in base58btc multibase"))
}

/// Returns whether the document's contexts begin with all signed contexts, in their order.
fn starts_with(context: Option<&Value>, signed: &Value) -> bool {
    let as_list = |value: &'_ Value| match value {
        Value::Array(entries) => entries.clone(),
        one => vec![one.clone()],
    };
    context.is_some_and(|context| as_list(context).starts_with(&as_list(signed)))
}
