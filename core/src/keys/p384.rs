//! ECDSA on P-384 with SHA-384, for the cryptosuite ecdsa-jcs-2019.

use p384::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};

use super::invalid;
use crate::{Code, Problem};

/// From a SEC 1 point, compressed or not.
pub(super) fn public(bytes: &[u8]) -> Result<VerifyingKey, Problem> {
    // The library would take SEC 1's compact form too, which leaves out the sign of y.
    match (bytes.first(), bytes.len()) {
        (Some(2 | 3), 49) | (Some(4), 97) => VerifyingKey::from_sec1_bytes(bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| invalid("a P-384 key is not a point on the curve"))
}

pub(super) fn secret(bytes: &[u8]) -> Result<SigningKey, Problem> {
    // The library would pad shorter secrets with zeros.
    if bytes.len() != 48 {
        return Err(invalid("a P-384 secret is not 48 bytes long"));
    }
    SigningKey::from_slice(bytes).map_err(|_| invalid("a P-384 secret is out of range"))
}

pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
    let signature = Signature::from_slice(signature).map_err(|_| Code::SignatureInvalid)?;
    key.verify(message, &signature).map_err(|_| Code::SignatureInvalid.into())
}

/// Deterministic (RFC 6979), with the lower of the two `s`.
pub(super) fn sign(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Problem> {
    let signature: Signature = key.try_sign(message).map_err(|_| Code::ProofGeneration)?;
    Ok(signature.normalize_s().unwrap_or(signature).to_bytes().to_vec())
}
