//! ECDSA: on P-256 with SHA-256 (`ES256`, RFC 7518 section 3.4), and on P-384 with SHA-384 for the cryptosuite
//! ecdsa-jcs-2019.

/// Defines the functions of a curve, from the name of its crate, its own name and the length of a coordinate in bytes.
macro_rules! curve {
    ($curve:ident, $name:literal, $bytes:literal) => {
        pub(super) mod $curve {
            use ::$curve::ecdsa::{
                Signature, SigningKey, VerifyingKey,
                signature::{Signer as _, Verifier as _},
            };

            use crate::{Code, Problem, keys::invalid};

            const COMPRESSED: usize = $bytes + 1;
            const UNCOMPRESSED: usize = 2 * $bytes + 1;

            /// Parses a SEC 1 point, compressed or uncompressed.
            pub(in crate::keys) fn public(bytes: &[u8]) -> Result<VerifyingKey, Problem> {
                // The library would take SEC 1's compact form too, which leaves out the sign of y.
                match (bytes.first(), bytes.len()) {
                    (Some(2 | 3), COMPRESSED) | (Some(4), UNCOMPRESSED) => VerifyingKey::from_sec1_bytes(bytes).ok(),
                    _ => None,
                }
                .ok_or_else(|| invalid(concat!("a ", $name, " key is not a point on the curve")))
            }

            pub(in crate::keys) fn secret(bytes: &[u8]) -> Result<SigningKey, Problem> {
                // The library would pad shorter secrets with zeros.
                if bytes.len() != $bytes {
                    return Err(invalid(concat!("a ", $name, " secret is not ", $bytes, " bytes long")));
                }
                SigningKey::from_slice(bytes).map_err(|_| invalid(concat!("a ", $name, " secret is out of range")))
            }

            pub(in crate::keys) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
                let signature = Signature::from_slice(signature).map_err(|_| Code::SignatureInvalid)?;
                key.verify(message, &signature).map_err(|_| Code::SignatureInvalid.into())
            }

            /// Signs deterministically (RFC 6979), with the lower of the two possible `s`.
            pub(in crate::keys) fn sign(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Problem> {
                let signature: Signature = key.try_sign(message).map_err(|_| Code::ProofGeneration)?;
                Ok(signature.normalize_s().unwrap_or(signature).to_bytes().to_vec())
            }
        }
    };
}

curve!(p256, "P-256", 32);
curve!(p384, "P-384", 48);
