//! Public points as tokens encode them (CKA_EC_POINT).
//!
//! PKCS #11 v3.0 requires a DER OCTET STRING. For Edwards curves v2.40 and the early v3.0 required the raw bytes, some
//! modules return a BIT STRING, and some omit the wrapping on every curve. A raw point can look like a DER header (a
//! raw P-256 point may begin with `04 3f`), so the encoding is determined by curve and length, and the header is
//! checked afterwards.

use carnet_core::keys::{PublicKey, SignatureAlgorithm};

use super::TokenError;

const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;

/// Parses a CKA_EC_POINT as the public key of an algorithm.
///
/// # Errors
/// [`TokenError::Failed`]
pub(super) fn public_key(algorithm: SignatureAlgorithm, attribute: &[u8]) -> Result<PublicKey, TokenError> {
    let failed = |why: &str| TokenError::Failed(format!("it has no public key of this kind ({why})"));
    let point = unwrap_point(algorithm, attribute)
        .ok_or_else(|| failed("its CKA_EC_POINT has an unexpected length or prefix"))?;
    PublicKey::from_bytes(algorithm, point).map_err(|problem| failed(&problem.to_string()))
}

/// Returns the point without its DER wrapping; `None` if length and header fit no known encoding on this curve.
fn unwrap_point(algorithm: SignatureAlgorithm, attribute: &[u8]) -> Option<&[u8]> {
    // Points of P-256 may be compressed. No two encodings on one curve have the same length.
    let lengths: &'static [u8] = match algorithm {
        SignatureAlgorithm::EdDsa => &[32],
        SignatureAlgorithm::Es256 => &[65, 33],
        SignatureAlgorithm::Es384 => &[97, 49],
    };
    let wrapped = |tag: u8, unused: &'static [u8]| {
        lengths.iter().find_map(move |length| {
            let inside = usize::from(*length).checked_add(unused.len())?;
            let head = [tag, u8::try_from(inside).ok()?];
            let content = attribute.strip_prefix(&head).filter(|content| content.len() == inside)?;
            content.strip_prefix(unused)
        })
    };
    if lengths.iter().any(|length| attribute.len() == usize::from(*length)) {
        return Some(attribute);
    }
    wrapped(OCTET_STRING, &[]).or_else(|| wrapped(BIT_STRING, &[0]))
}

#[cfg(test)]
mod tests {
    use carnet_core::keys::{SecretKey, Signer as _};

    use super::*;

    /// A point of each curve in its bytes; of P-256 also compressed.
    fn points() -> Vec<(SignatureAlgorithm, Vec<u8>, PublicKey)> {
        let ed = SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[7; 32]).unwrap().public_key();
        let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[7; 32]).unwrap().public_key();
        vec![
            (SignatureAlgorithm::EdDsa, ed.to_bytes(), ed),
            (SignatureAlgorithm::Es256, p256.to_bytes(), p256.clone()),
            (SignatureAlgorithm::Es256, uncompressed(&p256), p256),
        ]
    }

    fn uncompressed(key: &PublicKey) -> Vec<u8> {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        let point = p256::PublicKey::from_sec1_bytes(&key.to_bytes()).unwrap();
        point.to_encoded_point(false).as_bytes().to_vec()
    }

    fn wrapped(tag: u8, unused: &[u8], point: &[u8]) -> Vec<u8> {
        let length = u8::try_from([unused, point].concat().len()).unwrap();
        [&[tag, length], unused, point].concat()
    }

    #[test]
    fn a_point_is_read_raw_as_octet_string_and_as_bit_string() {
        for (algorithm, point, key) in points() {
            for form in [point.clone(), wrapped(OCTET_STRING, &[], &point), wrapped(BIT_STRING, &[0], &point)] {
                assert_eq!(public_key(algorithm, &form).unwrap(), key, "{form:02x?}");
            }
            for bad in [
                wrapped(BIT_STRING, &[1], &point),
                wrapped(BIT_STRING, &[], &point),
                wrapped(0x30, &[], &point),
                wrapped(OCTET_STRING, &[], &wrapped(OCTET_STRING, &[], &point)),
                [&point[..], &[0]].concat(),
                point[1..].to_vec(),
                Vec::new(),
            ] {
                assert!(public_key(algorithm, &bad).is_err(), "{bad:02x?}");
            }
        }
    }

    /// A raw point of P-256 whose x begins with this byte, so that it looks like the head of an OCTET STRING.
    #[test]
    fn a_raw_point_that_looks_wrapped_is_a_point() {
        let looks_wrapped = (1_u32..).find_map(|seed| {
            let secret = [&[1; 28][..], &seed.to_be_bytes()].concat();
            let key = SecretKey::from_bytes(SignatureAlgorithm::Es256, &secret).unwrap().public_key();
            let point = uncompressed(&key);
            point.starts_with(&[0x04, 0x3f]).then_some((point, key))
        });
        let (point, key) = looks_wrapped.unwrap();
        assert_eq!(public_key(SignatureAlgorithm::Es256, &point).unwrap(), key);
        assert_eq!(public_key(SignatureAlgorithm::Es256, &wrapped(OCTET_STRING, &[], &point)).unwrap(), key);
        // It is not one of the other curve.
        assert!(public_key(SignatureAlgorithm::EdDsa, &point).is_err());
    }
}
