//! Codes, PINs, tokens and identifiers: their generation, their stored hashes, and the encryption of stored responses.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _},
};
use rand_core::{OsRng, RngCore as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// SHA-256 hash, mostly of a secret that the store must not contain.
pub(crate) type Sha256Hash = [u8; 32];

const NONCE_BYTES: usize = 24;

/// Purpose of a hash, which is part of its input: the same secret has a different hash for each purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HashPurpose {
    Code,
    Pin,
    AccessToken,
    Nonce,
    RequestDigest,
    TransactionId,
    TransactionHash,
    NotificationId,
    NotificationHash,
    ResponseKey,
    StatusAct,
    RedemptionChallenge,
    RepeatableToken,
    UniqueClaim,
    FreshnessHandle,
    ImportRequestId,
    ImportCode,
    ImportPin,
}

impl HashPurpose {
    /// Returns the text that identifies the purpose in the hash's input.
    const fn tag(self) -> &'static str {
        match self {
            Self::Code => "carnet-issuer-code/1",
            Self::Pin => "carnet-issuer-pin/1",
            Self::AccessToken => "carnet-issuer-access-token/1",
            Self::Nonce => "carnet-issuer-nonce/1",
            Self::RequestDigest => "carnet-issuer-request/1",
            Self::TransactionId => "carnet-issuer-transaction-id/1",
            Self::TransactionHash => "carnet-issuer-transaction-hash/1",
            Self::NotificationId => "carnet-issuer-notification-id/1",
            Self::NotificationHash => "carnet-issuer-notification-hash/1",
            Self::ResponseKey => "carnet-issuer-answer/1",
            Self::StatusAct => "carnet-issuer-status-act/1",
            Self::RedemptionChallenge => "carnet-issuer-redemption-challenge/1",
            Self::RepeatableToken => "carnet-issuer-repeatable-token/1",
            Self::UniqueClaim => "carnet-issuer-unique-claim/1",
            Self::FreshnessHandle => "carnet-issuer-freshness-handle/1",
            Self::ImportRequestId => "carnet-issuer-import-request-id/1",
            Self::ImportCode => "carnet-issuer-import-code/1",
            Self::ImportPin => "carnet-issuer-import-pin/1",
        }
    }
}

/// Returns SHA-256 over the purpose's tag and the parts, each part preceded by its length in eight bytes.
///
/// The hashed secrets have 256 bits of entropy, so that a fast hash suffices. A PIN has 20 bits; it is hashed together
/// with its offer's code, which is not stored.
pub(crate) fn purpose_hash(what: HashPurpose, parts: &[&[u8]]) -> Sha256Hash {
    let mut hasher = Sha256::new();
    hasher.update(what.tag());
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Generates a secret of 256 bits, in base64url.
pub(crate) fn random_secret() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    OsRng.fill_bytes(bytes.as_mut());
    Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// Generates 256 random bits that are not secret.
pub(crate) fn random_salt() -> Sha256Hash {
    let mut salt = [0u8; 32];
    OsRng.fill_bytes(&mut salt);
    salt
}

/// Derives the access token of a repeatable redemption from the offer's code, the wallet's challenge and the stored
/// salt. The store has only hashes of code and challenge, so it cannot derive the token.
pub(crate) fn derive_repeatable_token(code: &str, challenge: &[u8; 32], salt: &Sha256Hash) -> Zeroizing<String> {
    let token = Zeroizing::new(purpose_hash(HashPurpose::RepeatableToken, &[code.as_bytes(), challenge, salt]));
    Zeroizing::new(URL_SAFE_NO_PAD.encode(token.as_slice()))
}

/// Generates a public identifier of 128 random bits, in base64url. It never starts with a hyphen.
pub(crate) fn random_id() -> String {
    loop {
        let mut bytes = [0u8; 16];
        OsRng.fill_bytes(&mut bytes);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        // On a command line, an id with a leading hyphen would be taken for an option.
        if !text.starts_with('-') {
            return text;
        }
    }
}

/// Generates a serial of 128 random bits, in base64url. It becomes a claim of a credential.
pub(crate) fn random_serial() -> String {
    let mut bytes = [0u8; 16];
    OsRng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Generates a uniformly distributed number below `bound`; 0 if `bound` is 0.
pub(crate) fn random_below(bound: u32) -> u32 {
    // The last, incomplete block of `bound` numbers would make small results more likely.
    let Some(excess) = u32::MAX.checked_rem(bound) else { return 0 };
    loop {
        let number = OsRng.next_u32();
        if number < u32::MAX.saturating_sub(excess) {
            return number.checked_rem(bound).unwrap_or_default();
        }
    }
}

/// Number of digits of a PIN.
pub(crate) const PIN_DIGITS: usize = 6;

/// Generates a PIN of six digits.
pub(crate) fn random_pin() -> Zeroizing<String> {
    Zeroizing::new(format!("{:0PIN_DIGITS$}", random_below(1_000_000)))
}

/// Compares two byte strings in constant time; `false` if their lengths differ.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Derives a secret, in base64url, from another secret and a request's digest, so that a repeated request yields the
/// same secret.
pub(crate) fn derive_secret(what: HashPurpose, secret: &str, request: &Sha256Hash) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(purpose_hash(what, &[secret.as_bytes(), request])))
}

/// Encrypts a response (XChaCha20-Poly1305) with a key derived from a secret of the wallet and the request's digest:
/// the store alone cannot decrypt it. The nonce precedes the ciphertext. `None` if the encryption fails.
pub(crate) fn encrypt_response(secret: &str, request: &Sha256Hash, answer: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0u8; NONCE_BYTES];
    OsRng.fill_bytes(&mut nonce);
    let sealed = response_cipher(secret, request).encrypt(&XNonce::from(nonce), answer).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

/// Decrypts the output of [`encrypt_response`]; `None` for another secret or request, or altered data.
pub(crate) fn decrypt_response(secret: &str, request: &Sha256Hash, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    response_cipher(secret, request).decrypt(&XNonce::from(nonce), body).ok().map(Zeroizing::new)
}

fn response_cipher(secret: &str, request: &Sha256Hash) -> XChaCha20Poly1305 {
    let key = Zeroizing::new(purpose_hash(HashPurpose::ResponseKey, &[secret.as_bytes(), request]));
    XChaCha20Poly1305::new(key.as_slice().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_have_six_digits_and_spread() {
        let mut first_digits = [0u32; 10];
        for _ in 0..2000 {
            let pin = random_pin();
            assert_eq!(pin.len(), 6);
            first_digits[usize::from(pin.as_bytes()[0] - b'0')] += 1;
        }
        assert!(first_digits.iter().all(|n| *n > 100), "{first_digits:?}");
    }

    #[test]
    fn an_answer_opens_with_its_secret_and_request_alone() {
        let sealed = encrypt_response("secret", &[1; 32], b"answer").unwrap();
        assert_eq!(decrypt_response("secret", &[1; 32], &sealed).unwrap().as_slice(), b"answer");
        assert!(decrypt_response("other", &[1; 32], &sealed).is_none());
        assert!(decrypt_response("secret", &[2; 32], &sealed).is_none());
        assert!(decrypt_response("secret", &[1; 32], &sealed[..10]).is_none());
    }

    #[test]
    fn digests_keep_uses_and_parts_apart() {
        assert_ne!(purpose_hash(HashPurpose::Code, &[b"a"]), purpose_hash(HashPurpose::Nonce, &[b"a"]));
        assert_ne!(purpose_hash(HashPurpose::Pin, &[b"ab", b"c"]), purpose_hash(HashPurpose::Pin, &[b"a", b"bc"]));
    }

    #[test]
    fn no_id_looks_like_an_option() {
        // One in 64 would start with a hyphen, so 1,000 ids without one are no coincidence.
        assert!((0..1000).all(|_| !random_id().starts_with('-')));
    }
}
