//! Compact JWE (RFC 7516) with direct key agreement: ECDH-ES on P-256 (RFC 7518 section 4.6) and AES-GCM (section 5.3).
//!
//! `zip`, encrypted keys and critical extensions are not supported. The caller passes the recipient's key and the
//! permitted content encryptions.

use aes_gcm::{AeadInPlace as _, Aes128Gcm, Aes256Gcm, KeyInit as _, aead::generic_array::GenericArray};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::jose::decode_base64url;
use crate::{
    Code, Problem, Rng,
    json::{self, Limits},
    keys::{PublicKey, SignatureAlgorithm},
};

#[cfg(test)]
mod tests;

/// `alg` of the key agreement (RFC 7518 section 4.6).
pub const ECDH_ES: &str = "ECDH-ES";

/// Length of an initialisation vector, in bytes (RFC 7518 section 5.3).
const IV_BYTES: usize = 12;
/// Length of an authentication tag, in bytes.
const TAG_BYTES: usize = 16;
/// Members of a JWK that state its use, besides the key itself.
const KEY_USE: [&str; 4] = ["use", "key_ops", "alg", "kid"];

/// Content encryption, by its JOSE name (RFC 7518 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentEncryption {
    /// AES in Galois/Counter Mode with a key of 128 bits.
    A128Gcm,
    /// AES in Galois/Counter Mode with a key of 256 bits.
    A256Gcm,
}

impl ContentEncryption {
    /// All content encryptions, the strongest first.
    pub const ALL: [Self; 2] = [Self::A256Gcm, Self::A128Gcm];

    /// Returns the value of `enc`: `A128GCM` or `A256GCM`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// Parses the value of `enc`.
    ///
    /// # Errors
    /// `algorithm_forbidden` for any other value.
    pub fn parse(enc: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|known| known.as_str() == enc).ok_or_else(|| Code::AlgorithmForbidden.into())
    }

    const fn key_bits(self) -> u32 {
        match self {
            Self::A128Gcm => 128,
            Self::A256Gcm => 256,
        }
    }
}

/// Recipient's public key on P-256, with its `kid` if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    key: p256::PublicKey,
    kid: Option<String>,
}

impl EncryptionKey {
    /// Parses a public JWK for ECDH-ES: its `use`, `key_ops` and `alg`, where present, must permit that (RFC 7517
    /// section 4).
    ///
    /// # Errors
    /// `key_invalid`: wrong kind of key, or wrong use. `private_key_exposed`. `algorithm_mismatch`: another `alg`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        let invalid = |what: &str| Problem::new(Code::KeyInvalid, what);
        let mut bare = jwk.as_object().cloned().ok_or_else(|| invalid("a JWK is not an object"))?;
        let [purpose, operations, algorithm, kid] = KEY_USE.map(|name| bare.remove(name));
        if purpose.is_some_and(|purpose| purpose != "enc") {
            return Err(invalid("a JWK is not meant for encryption"));
        }
        let allows = |operation: &Value| ["deriveKey", "deriveBits"].iter().any(|known| operation == known);
        match operations {
            None => {}
            Some(Value::Array(operations)) if operations.is_empty() || operations.iter().any(allows) => {}
            Some(_) => return Err(invalid("a JWK's key_ops have no key agreement")),
        }
        if algorithm.is_some_and(|algorithm| algorithm != ECDH_ES) {
            return Err(Code::AlgorithmMismatch.into());
        }
        let kid = match kid {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return Err(invalid("a JWK's kid is not a string")),
        };
        let public = PublicKey::from_jwk(&Value::Object(bare))?;
        if public.algorithm() != SignatureAlgorithm::Es256 {
            return Err(invalid("a JWK is not on P-256"));
        }
        let key = p256::PublicKey::from_sec1_bytes(&public.to_bytes());
        Ok(Self { key: key.map_err(|_| invalid("a JWK is not a point on P-256"))?, kid })
    }

    /// Returns the public JWK, with `use` `enc`, `alg` `ECDH-ES` and the `kid`, if there is one.
    #[must_use]
    pub fn to_jwk(&self) -> Map<String, Value> {
        let mut jwk = bare_jwk(&self.key);
        jwk.insert("use".to_owned(), "enc".into());
        jwk.insert("alg".to_owned(), ECDH_ES.into());
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), kid.as_str().into());
        }
        jwk
    }

    /// Returns the `kid`; `None` if the key has none.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

/// Recipient's private key on P-256, with its `kid`.
pub struct DecryptionKey {
    key: p256::SecretKey,
    kid: String,
}

impl std::fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptionKey(redacted)")
    }
}

impl DecryptionKey {
    /// Generates a key. Its `kid` is its thumbprint (RFC 7638).
    pub fn generate(mut rng: Rng<'_>) -> Self {
        Self::from_secret(p256::SecretKey::random(&mut rng))
    }

    /// Creates a key from its 32 secret bytes.
    ///
    /// # Errors
    /// `key_invalid`: not 32 bytes, or a scalar that is zero or not below the group's order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let invalid = || Problem::new(Code::KeyInvalid, "a P-256 secret is out of range");
        if bytes.len() != 32 {
            return Err(invalid());
        }
        p256::SecretKey::from_slice(bytes).map(Self::from_secret).map_err(|_| invalid())
    }

    fn from_secret(key: p256::SecretKey) -> Self {
        let kid = thumbprint(&key.public_key());
        Self { key, kid }
    }

    /// Returns the 32 secret bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> EncryptionKey {
        EncryptionKey { key: self.key.public_key(), kid: Some(self.kid.clone()) }
    }
}

/// Plaintext of a JWE, and the ephemeral key that it was encrypted with.
pub struct DecryptedJwe {
    /// Decrypted content.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Thumbprint (RFC 7638) of the sender's ephemeral key, by which the caller detects replays.
    pub ephemeral_thumbprint: String,
}

impl std::fmt::Debug for DecryptedJwe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecryptedJwe(redacted)")
    }
}

/// Encrypts bytes with a fresh ephemeral key, and returns the compact JWE. The header contains `alg`, `enc`, `epk`, the
/// recipient's `kid` if the key has one (OpenID4VP 1.0 section 8.3), and `apv` if it is not empty.
///
/// # Errors
/// `proof_generation` if it cannot be serialised or encrypted.
pub fn encrypt(
    plaintext: &[u8],
    recipient: &EncryptionKey,
    encryption: ContentEncryption,
    apv: &[u8],
    mut rng: Rng<'_>,
) -> Result<String, Problem> {
    let ephemeral = p256::SecretKey::random(&mut rng);
    let mut nonce = [0; IV_BYTES];
    rng.fill_bytes(&mut nonce);
    encrypt_with(plaintext, recipient, encryption, apv, (&ephemeral, nonce))
}

fn encrypt_with(
    plaintext: &[u8],
    recipient: &EncryptionKey,
    encryption: ContentEncryption,
    apv: &[u8],
    (ephemeral, nonce): (&p256::SecretKey, [u8; IV_BYTES]),
) -> Result<String, Problem> {
    let mut header = json!({"alg": ECDH_ES, "enc": encryption.as_str(), "epk": bare_jwk(&ephemeral.public_key())});
    if let Some(members) = header.as_object_mut() {
        if let Some(kid) = &recipient.kid {
            members.insert("kid".to_owned(), kid.as_str().into());
        }
        if !apv.is_empty() {
            members.insert("apv".to_owned(), URL_SAFE_NO_PAD.encode(apv).into());
        }
    }
    let written = |_| Problem::new(Code::ProofGeneration, "the token could not be encrypted");
    let header = URL_SAFE_NO_PAD.encode(json::canonicalize(&header).map_err(written)?);
    let key = agree(ephemeral, &recipient.key, encryption, &[], apv);
    let mut content = Zeroizing::new(plaintext.to_vec());
    let tag = seal(encryption, &key, &nonce, header.as_bytes(), &mut content)
        .ok_or_else(|| Problem::from(Code::ProofGeneration))?;
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    Ok(format!("{header}..{}.{}.{}", part(&nonce), part(&content), part(&tag)))
}

/// Decrypts a compact JWE of at most `most` bytes that is encrypted to this key, has its `kid`, and uses one of the
/// given content encryptions.
///
/// # Errors
/// `too_large`: the token is longer than `most` bytes. `token_malformed`, `invalid_encoding`, those of [`json::parse`].
/// `algorithm_forbidden`: another `alg` or `enc`, or `zip`. `header_critical`. `key_invalid`: `epk` is invalid or the
/// recipient's own key. `private_key_exposed`. `header_key_unanchored`: another `kid`. `decryption_failed`.
pub fn decrypt(
    token: &str,
    key: &DecryptionKey,
    encryptions: &[ContentEncryption],
    most: usize,
) -> Result<DecryptedJwe, Problem> {
    if token.len() > most {
        return Err(Code::TooLarge.into());
    }
    let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
    let mut parts = token.split('.');
    let (Some(encoded), Some(encrypted_key), Some(nonce), Some(content), Some(tag), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("a compact JWE has five parts"));
    };
    let header = json::parse_object(&decode_base64url(encoded, "header")?, Limits::SMALL)?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    if text("alg") != Some(ECDH_ES) || header.contains_key("zip") {
        return Err(Code::AlgorithmForbidden.into());
    }
    let encryption = ContentEncryption::parse(text("enc").unwrap_or_default())?;
    if !encryptions.contains(&encryption) {
        return Err(Code::AlgorithmForbidden.into());
    }
    if header.contains_key("crit") {
        return Err(Code::HeaderCritical.into());
    }
    if text("kid") != Some(key.kid.as_str()) {
        return Err(Problem::new(Code::HeaderKeyUnanchored, "the token is encrypted to another key"));
    }
    if !encrypted_key.is_empty() {
        return Err(malformed("direct key agreement has no encrypted key"));
    }
    let epk = header.get("epk").ok_or_else(|| Problem::new(Code::KeyInvalid, "the token has no ephemeral key"))?;
    let epk = EncryptionKey::from_jwk(epk)?.key;
    if epk == key.key.public_key() {
        return Err(Problem::new(Code::KeyInvalid, "the ephemeral key is the recipient's own"));
    }
    let party = |name: &str| match header.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(info)) => decode_base64url(info, name),
        Some(_) => Err(malformed("apu or apv is not a string")),
    };
    let shared = agree(&key.key, &epk, encryption, &party("apu")?, &party("apv")?);
    let nonce: [u8; IV_BYTES] = decode_base64url(nonce, "nonce")?
        .try_into()
        .map_err(|_| malformed("the initialisation vector is not 12 bytes long"))?;
    let tag: [u8; TAG_BYTES] =
        decode_base64url(tag, "tag")?.try_into().map_err(|_| malformed("the tag is not 16 bytes long"))?;
    let mut plaintext = Zeroizing::new(decode_base64url(content, "ciphertext")?);
    open(encryption, &shared, &nonce, encoded.as_bytes(), &mut plaintext, &tag)
        .ok_or_else(|| Problem::from(Code::DecryptionFailed))?;
    Ok(DecryptedJwe { plaintext, ephemeral_thumbprint: thumbprint(&epk) })
}

/// Derives the content encryption key: Concat KDF with SHA-256, of which one round is enough for at most 256 bits (RFC
/// 7518 section 4.6.2).
fn agree(
    secret: &p256::SecretKey,
    public: &p256::PublicKey,
    encryption: ContentEncryption,
    apu: &[u8],
    apv: &[u8],
) -> Zeroizing<Vec<u8>> {
    use p256::elliptic_curve::{point::AffineCoordinates as _, sec1::ToEncodedPoint as _};
    // As in elliptic_curve::ecdh: in constant time. Neither factor can be zero, so the product is not the identity.
    let point = std::ops::Mul::mul(public.to_projective(), *secret.to_nonzero_scalar()).to_affine();
    debug_assert!(!point.to_encoded_point(false).is_identity());
    let mut z = point.x();
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(z);
    z.as_mut_slice().zeroize();
    for part in [encryption.as_str().as_bytes(), apu, apv] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(encryption.key_bits().to_be_bytes());
    let mut derived = hash.finalize();
    let bytes = usize::try_from(encryption.key_bits() / 8).unwrap_or_default();
    let key = Zeroizing::new(derived.iter().copied().take(bytes).collect());
    derived.as_mut_slice().zeroize();
    key
}

/// Encrypts in place with AES-GCM, and returns the tag.
fn seal(encryption: ContentEncryption, key: &[u8], nonce: &[u8], aad: &[u8], text: &mut [u8]) -> Option<Vec<u8>> {
    let nonce = GenericArray::from_slice(nonce);
    let tag = match encryption {
        ContentEncryption::A128Gcm => Aes128Gcm::new_from_slice(key).ok()?.encrypt_in_place_detached(nonce, aad, text),
        ContentEncryption::A256Gcm => Aes256Gcm::new_from_slice(key).ok()?.encrypt_in_place_detached(nonce, aad, text),
    };
    tag.ok().map(|tag| tag.to_vec())
}

/// Decrypts in place with AES-GCM; `None` if the tag does not match.
fn open(
    encryption: ContentEncryption,
    key: &[u8],
    nonce: &[u8; IV_BYTES],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    let (nonce, tag) = (GenericArray::from_slice(nonce), GenericArray::from_slice(tag));
    match encryption {
        ContentEncryption::A128Gcm => {
            Aes128Gcm::new_from_slice(key).ok()?.decrypt_in_place_detached(nonce, aad, text, tag)
        }
        ContentEncryption::A256Gcm => {
            Aes256Gcm::new_from_slice(key).ok()?.decrypt_in_place_detached(nonce, aad, text, tag)
        }
    }
    .ok()
}

fn bare_jwk(key: &p256::PublicKey) -> Map<String, Value> {
    public_key(key).map(|key| key.to_jwk()).unwrap_or_default()
}

fn thumbprint(key: &p256::PublicKey) -> String {
    public_key(key).map(|key| key.thumbprint()).unwrap_or_default()
}

/// Converts the key to one of [`crate::keys`], which serialises JWKs. It accepts every point that p256 accepts.
fn public_key(key: &p256::PublicKey) -> Option<PublicKey> {
    use p256::elliptic_curve::sec1::ToEncodedPoint as _;
    PublicKey::from_bytes(SignatureAlgorithm::Es256, key.to_encoded_point(true).as_bytes()).ok()
}
