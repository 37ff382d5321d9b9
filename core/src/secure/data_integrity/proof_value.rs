//! `proofValue` of cryptosuites with one signature: base58btc multibase, `z` (Data Integrity EdDSA Cryptosuites 1.0 and
//! Data Integrity ECDSA Cryptosuites 1.0, section 2.2).

use serde_json::{Map, Value};

use super::malformed;
use crate::Problem;

/// Encodes a signature as `proofValue`.
#[must_use]
pub fn encode_proof_value(signature: &[u8]) -> String {
    format!("z{}", bs58::encode(signature).into_string())
}

/// Decodes the signature in the `proofValue` of a proof. `length`: that of the signature, in bytes.
///
/// # Errors
/// `proof_malformed`: it is missing, no base58btc, or has another length.
pub fn decode_proof_value(proof: &Map<String, Value>, length: usize) -> Result<Vec<u8>, Problem> {
    let refused = |what: String| malformed(format!("proofValue {what}"));
    let text = proof.get("proofValue").and_then(Value::as_str).ok_or_else(|| refused("is missing".to_owned()))?;
    // Base58 has 1.37 characters for a byte. Longer text is not decoded, since that takes quadratic time.
    let most = length.saturating_mul(7).div_ceil(5).saturating_add(1);
    let digits = text
        .strip_prefix('z')
        .filter(|_| text.len() <= most)
        .ok_or_else(|| refused(format!("is not {length} bytes in base58btc (z...)")))?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| refused("is not base58".to_owned()))?;
    if bytes.len() == length { Ok(bytes) } else { Err(refused(format!("is not {length} bytes long"))) }
}
