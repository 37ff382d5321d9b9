//! Keys: signatures through the trait [`Signer`], and public keys as JWK (RFC 7517, RFC 8037) and Multikey (Controlled
//! Identifiers 1.0 section 2.2.2).

use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use self::ecdsa::{p256, p384};
use crate::{Code, Problem, Rng};

mod ecdsa;
mod ed25519;
mod jwk;
mod multikey;
#[cfg(test)]
mod tests;

/// Signature algorithm, by its JOSE name (RFC 8037, RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// Ed25519, strict verification.
    EdDsa,
    /// ECDSA on P-256 with SHA-256, 64-byte r||s.
    Es256,
    /// ECDSA on P-384 with SHA-384, 96-byte r||s: only for Data Integrity, never for a JWS or CWT.
    Es384,
}

impl SignatureAlgorithm {
    /// Returns the JOSE name: `EdDSA`, `ES256` or `ES384`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// Returns the length of a signature, in bytes.
    #[must_use]
    pub const fn signature_length(self) -> usize {
        match self {
            Self::EdDsa | Self::Es256 => 64,
            Self::Es384 => 96,
        }
    }

    /// Parses the `alg` value of a JWS.
    ///
    /// # Errors
    /// `algorithm_forbidden` for anything but `EdDSA` and `ES256`, in particular for `none` and HMACs.
    pub fn parse(alg: &str) -> Result<Self, Problem> {
        match alg {
            "EdDSA" => Ok(Self::EdDsa),
            "ES256" => Ok(Self::Es256),
            _ => Err(Code::AlgorithmForbidden.into()),
        }
    }
}

/// Public key that verifies signatures. Two values are equal if they are the same key, in whichever encoding it was
/// given.
///
/// It can only be created through the checks of [`Self::from_jwk`], [`Self::from_multikey`] and [`Self::from_bytes`],
/// or from a secret key: an Ed25519 key is canonically encoded and not of small order, a P-256 or P-384 key is on the
/// curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKeyKind);

/// Key by algorithm, with its point decompressed, so that this is not done at each verification.
#[derive(Debug, Clone, PartialEq, Eq)]
enum VerifyingKeyKind {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(::p256::ecdsa::VerifyingKey),
    P384(::p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Returns the algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            VerifyingKeyKind::Ed25519(_) => SignatureAlgorithm::EdDsa,
            VerifyingKeyKind::P256(_) => SignatureAlgorithm::Es256,
            VerifyingKeyKind::P384(_) => SignatureAlgorithm::Es384,
        }
    }

    /// Verifies a signature of [`SignatureAlgorithm::signature_length`] over the message (not its hash): for Ed25519 strictly
    /// (RFC 8032, with small-order points refused), for P-256 and P-384 as `r||s`.
    ///
    /// For P-256 and P-384, a signature with `s` and one with `-s` are both accepted, as in RFC 7518: other
    /// implementations create either, and Carnet never identifies anything by the bytes of a signature. Carnet itself
    /// creates the one with the lower `s`.
    ///
    /// # Errors
    /// `signature_invalid`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
        match &self.0 {
            VerifyingKeyKind::Ed25519(key) => ed25519::verify(key, message, signature),
            VerifyingKeyKind::P256(key) => p256::verify(key, message, signature),
            VerifyingKeyKind::P384(key) => p384::verify(key, message, signature),
        }
    }

    /// Parses a raw key: 32 bytes of Ed25519, 33 or 65 of P-256, or 49 or 97 of P-384 (SEC 1).
    ///
    /// # Errors
    /// `key_invalid`.
    pub fn from_bytes(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Self, Problem> {
        match algorithm {
            SignatureAlgorithm::EdDsa => ed25519::public(bytes).map(VerifyingKeyKind::Ed25519),
            SignatureAlgorithm::Es256 => p256::public(bytes).map(VerifyingKeyKind::P256),
            SignatureAlgorithm::Es384 => p384::public(bytes).map(VerifyingKeyKind::P384),
        }
        .map(Self)
    }

    /// Returns the raw key: 32 bytes for Ed25519, 33 for P-256, or 49 for P-384 (SEC 1, compressed).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            VerifyingKeyKind::Ed25519(key) => key.as_bytes().to_vec(),
            VerifyingKeyKind::P256(key) => key.to_encoded_point(true).as_bytes().to_vec(),
            VerifyingKeyKind::P384(key) => key.to_encoded_point(true).as_bytes().to_vec(),
        }
    }

    /// Returns the public JWK: `kty`, `crv`, `x` and, for P-256 and P-384, `y`.
    ///
    /// # Examples
    /// ```
    /// use carnet_core::keys::{SignatureAlgorithm, PublicKey, SecretKey, Signer};
    ///
    /// let key = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[7; 32])?.public_key();
    /// let jwk = key.to_jwk();
    /// assert_eq!(jwk["crv"], "P-256");
    /// assert_eq!(PublicKey::from_jwk(&jwk.into())?.thumbprint(), key.thumbprint());
    /// # Ok::<(), carnet_core::Problem>(())
    /// ```
    #[must_use]
    pub fn to_jwk(&self) -> Map<String, Value> {
        jwk::members(self).into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }

    /// Parses a public JWK. `use`, `key_ops` and `alg` must permit verification with the key's algorithm, if they are
    /// present. Other members that do not define the key (`kid`, `x5t`, unknown ones) are ignored.
    ///
    /// # Errors
    /// `key_invalid`, `private_key_exposed`, `algorithm_mismatch` (its `alg` is for another kind of key).
    pub fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        jwk::parse(jwk)
    }

    /// Returns the Multikey, which begins with `z6Mk` (Ed25519), `zDn` (P-256) or `z82` (P-384).
    #[must_use]
    pub fn to_multikey(&self) -> String {
        multikey::encode(self)
    }

    /// Parses a Multikey. P-256 and P-384 keys must be compressed.
    ///
    /// # Errors
    /// `invalid_encoding` (not base58btc multibase), `key_invalid`, `private_key_exposed`.
    pub fn from_multikey(text: &str) -> Result<Self, Problem> {
        multikey::decode(text)
    }

    /// Returns the JWK thumbprint with SHA-256 in base64url (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        jwk::thumbprint(self)
    }

    /// Returns the JWK as text in the order of RFC 7638, which is also its canonical form (RFC 8785).
    pub(crate) fn to_jwk_text(&self) -> String {
        jwk::text(self)
    }
}

/// Signing key, in memory or in a hardware module.
pub trait Signer: Send + Sync {
    /// Returns the public key.
    fn public_key(&self) -> PublicKey;

    /// Signs the message (not its hash). The signature has [`SignatureAlgorithm::signature_length`] bytes.
    ///
    /// # Errors
    /// `proof_generation`.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem>;

    /// Returns the signature algorithm.
    fn algorithm(&self) -> SignatureAlgorithm {
        self.public_key().algorithm()
    }
}

/// Secret key in memory. It is zeroized on drop by the libraries that hold it; `Debug` does not print it.
pub struct SecretKey(SigningKeyKind);

enum SigningKeyKind {
    Ed25519(ed25519_dalek::SigningKey),
    P256(::p256::ecdsa::SigningKey),
    P384(::p384::ecdsa::SigningKey),
}

impl SecretKey {
    /// Generates a new key with `rng`.
    pub fn generate(algorithm: SignatureAlgorithm, mut rng: Rng<'_>) -> Self {
        Self(match algorithm {
            SignatureAlgorithm::EdDsa => SigningKeyKind::Ed25519(ed25519_dalek::SigningKey::generate(rng)),
            SignatureAlgorithm::Es256 => SigningKeyKind::P256(::p256::ecdsa::SigningKey::random(&mut rng)),
            SignatureAlgorithm::Es384 => SigningKeyKind::P384(::p384::ecdsa::SigningKey::random(&mut rng)),
        })
    }

    /// Creates a key from its secret bytes: 48 for P-384, 32 otherwise.
    ///
    /// # Errors
    /// `key_invalid`: wrong length, or for P-256 and P-384 a scalar that is zero or not below the group's order.
    pub fn from_bytes(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Self, Problem> {
        match algorithm {
            SignatureAlgorithm::EdDsa => ed25519::secret(bytes).map(SigningKeyKind::Ed25519),
            SignatureAlgorithm::Es256 => p256::secret(bytes).map(SigningKeyKind::P256),
            SignatureAlgorithm::Es384 => p384::secret(bytes).map(SigningKeyKind::P384),
        }
        .map(Self)
    }

    /// Returns the secret bytes, which must be stored encrypted: 48 for P-384, 32 otherwise.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        match &self.0 {
            SigningKeyKind::Ed25519(key) => Zeroizing::new(Zeroizing::new(key.to_bytes()).to_vec()),
            SigningKeyKind::P256(key) => Zeroizing::new(Zeroizing::new(<[u8; 32]>::from(key.to_bytes())).to_vec()),
            SigningKeyKind::P384(key) => {
                let mut bytes = key.to_bytes();
                let secret = Zeroizing::new(bytes.to_vec());
                bytes.as_mut_slice().zeroize();
                secret
            }
        }
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(match &self.0 {
            SigningKeyKind::Ed25519(key) => VerifyingKeyKind::Ed25519(key.verifying_key()),
            SigningKeyKind::P256(key) => VerifyingKeyKind::P256(*key.verifying_key()),
            SigningKeyKind::P384(key) => VerifyingKeyKind::P384(*key.verifying_key()),
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        match &self.0 {
            SigningKeyKind::Ed25519(key) => ed25519::sign(key, message),
            SigningKeyKind::P256(key) => p256::sign(key, message),
            SigningKeyKind::P384(key) => p384::sign(key, message),
        }
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            SigningKeyKind::Ed25519(_) => SignatureAlgorithm::EdDsa,
            SigningKeyKind::P256(_) => SignatureAlgorithm::Es256,
            SigningKeyKind::P384(_) => SignatureAlgorithm::Es384,
        }
    }
}

fn invalid(what: &str) -> Problem {
    Problem::new(Code::KeyInvalid, what)
}
