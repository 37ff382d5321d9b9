//! Ed25519 (RFC 8032).

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::invalid;
use crate::{Code, Problem};

pub(super) fn public(bytes: &[u8]) -> Result<VerifyingKey, Problem> {
    let bytes: &[u8; 32] = bytes.try_into().map_err(|_| invalid("an Ed25519 key is not 32 bytes long"))?;
    if !is_canonical(bytes) {
        return Err(invalid("an Ed25519 key is not canonically encoded"));
    }
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| invalid("an Ed25519 key is not on the curve"))?;
    // With a key of small order, one signature holds for many messages.
    if key.is_weak() { Err(invalid("an Ed25519 key is of small order")) } else { Ok(key) }
}

/// Returns whether y is below p = 2^255 - 19 (RFC 8032 section 5.1.3): the same key must not have two encodings.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

pub(super) fn secret(bytes: &[u8]) -> Result<SigningKey, Problem> {
    let bytes =
        Zeroizing::new(<[u8; 32]>::try_from(bytes).map_err(|_| invalid("an Ed25519 secret is not 32 bytes long"))?);
    Ok(SigningKey::from_bytes(&bytes))
}

pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
    let signature = Signature::from_slice(signature).map_err(|_| Code::SignatureInvalid)?;
    key.verify_strict(message, &signature).map_err(|_| Code::SignatureInvalid.into())
}

pub(super) fn sign(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Problem> {
    key.try_sign(message).map(|signature| signature.to_bytes().to_vec()).map_err(|_| Code::ProofGeneration.into())
}
