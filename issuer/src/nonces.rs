//! Nonces for proofs of possession (OpenID4VCI 1.0 section 7); an unused nonce takes no storage.
//!
//! Anyone may request a nonce, so issuing one must not use a limited resource. A nonce is the base64url of
//!
//! | bytes | content |
//! |---|---|
//! | 8 | its expiry, in Unix seconds, big endian |
//! | 16 | random |
//! | 16 | left half of HMAC-SHA-256 over both, under a key of this process |
//!
//! The store keeps the digest of a used nonce until the nonce's expiry, so that it works once. The key is in memory
//! only: a restart invalidates all nonces, and wallets request new ones.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::time::Timestamp;
use hmac::{Hmac, Mac as _};
use rand_core::{OsRng, RngCore as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secrets::{self, HashPurpose, Sha256Hash};

const RANDOM_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Length of a nonce: 40 bytes in base64url.
const TEXT_BYTES: usize = 54;

/// Creates and checks nonces for proofs of possession, with an HMAC key.
pub(crate) struct NonceIssuer {
    /// HMAC key, as long as a block of SHA-256.
    key: Zeroizing<[u8; 64]>,
}

/// Nonce that this process issued and that had not expired when it was verified. It may have been used: only the store
/// knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce {
    pub(crate) hash: Sha256Hash,
    /// Expiry, up to which the store keeps the hash of a used nonce.
    pub(crate) expires_at: Timestamp,
}

impl NonceIssuer {
    pub(crate) fn new() -> Self {
        let mut key = Zeroizing::new([0; 64]);
        OsRng.fill_bytes(key.as_mut());
        Self { key }
    }

    /// Returns a new nonce that expires at `until`.
    pub(crate) fn issue_nonce(&self, until: Timestamp) -> Zeroizing<String> {
        let until = until.unix().to_be_bytes();
        let mut random = [0; RANDOM_BYTES];
        OsRng.fill_bytes(&mut random);
        let tag = self.mac(&until, &random).finalize().into_bytes();
        let bytes: Vec<u8> = until.iter().chain(&random).chain(tag.iter().take(TAG_BYTES)).copied().collect();
        Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Verifies a nonce from [`Self::issue_nonce`], with a comparison in constant time; `None` if it is malformed, from
    /// another process, or expired. It does not check whether the nonce was used.
    pub(crate) fn verify_nonce(&self, nonce: &str, now: Timestamp) -> Option<Nonce> {
        if nonce.len() != TEXT_BYTES {
            return None;
        }
        // The decoder accepts exactly one text for the same bytes, so that no other spelling works a second time.
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (until, rest) = bytes.split_first_chunk::<8>()?;
        let (random, tag) = rest.split_first_chunk::<RANDOM_BYTES>()?;
        let tag: &[u8; TAG_BYTES] = tag.try_into().ok()?;
        self.mac(until, random).verify_truncated_left(tag).ok()?;
        let until = Timestamp::from_unix(i64::from_be_bytes(*until));
        (now < until)
            .then(|| Nonce { hash: secrets::purpose_hash(HashPurpose::Nonce, &[nonce.as_bytes()]), expires_at: until })
    }

    fn mac(&self, until: &[u8; 8], random: &[u8; RANDOM_BYTES]) -> Hmac<Sha256> {
        let key: &[u8; 64] = &self.key;
        Hmac::new(key.into()).chain_update(until).chain_update(random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_348_800);
    const END: Timestamp = Timestamp::from_unix(1_795_349_100);

    #[test]
    fn a_nonce_holds_until_its_end_in_its_own_process() {
        let nonces = NonceIssuer::new();
        let nonce = nonces.issue_nonce(END);
        assert_eq!(nonce.len(), TEXT_BYTES);
        assert_eq!(nonces.verify_nonce(&nonce, NOW).unwrap().expires_at, END);
        assert!(nonces.verify_nonce(&nonce, END.plus(-1)).is_some());
        assert!(nonces.verify_nonce(&nonce, END).is_none());
        assert!(NonceIssuer::new().verify_nonce(&nonce, NOW).is_none());
        let other = nonces.issue_nonce(END);
        assert_ne!(nonces.verify_nonce(&nonce, NOW), nonces.verify_nonce(&other, NOW));
    }

    #[test]
    fn a_nonce_with_any_bit_changed_is_not_known() {
        let nonces = NonceIssuer::new();
        let nonce = nonces.issue_nonce(END);
        let bytes = URL_SAFE_NO_PAD.decode(nonce.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(nonces.verify_nonce(&URL_SAFE_NO_PAD.encode(&bent), NOW).is_none(), "bit {bit}");
        }
        assert!(nonces.verify_nonce(&nonce, NOW).is_some());
    }

    #[test]
    fn a_nonce_has_one_spelling() {
        let nonces = NonceIssuer::new();
        let nonce = nonces.issue_nonce(END);
        // With 40 bytes, two bits of the last character are unused.
        let (start, last) = nonce.split_at(TEXT_BYTES - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let known: Vec<String> = alphabet
            .chars()
            .map(|end| format!("{start}{end}"))
            .filter(|text| nonces.verify_nonce(text, NOW).is_some())
            .collect();
        assert_eq!(known, [format!("{start}{last}")]);
        for other in [format!("{}=", *nonce), format!("{}==", *nonce), format!(" {start}"), start.to_owned()] {
            assert!(nonces.verify_nonce(&other, NOW).is_none(), "{other}");
        }
        assert!(nonces.verify_nonce("", NOW).is_none());
        assert!(nonces.verify_nonce(&"ä".repeat(TEXT_BYTES / 2), NOW).is_none());
    }
}
