//! Keys of VC-JOSE-COSE: those of [`crate::keys`], and P-521, which only its test suite uses.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p521::ecdsa::{
    Signature, SigningKey as P521SecretKey, VerifyingKey as P521PublicKey,
    signature::{RandomizedSigner as _, Verifier as _},
};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    Code, Problem, Rng,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
};

/// Length of a coordinate and of a secret of P-521, in bytes.
const P521_BYTES: usize = 66;

/// Algorithm of a JWS or COSE_Sign1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoseAlgorithm {
    /// Algorithm of the product's keys, of which `ES384` is one for Data Integrity alone there.
    Core(SignatureAlgorithm),
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

impl JoseAlgorithm {
    /// Returns the `alg` value: `EdDSA`, `ES256`, `ES384` or `ES512`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core(algorithm) => algorithm.as_str(),
            Self::Es512 => "ES512",
        }
    }

    /// Returns the COSE algorithm identifier (RFC 9053 section 2).
    #[must_use]
    pub const fn cose_id(self) -> i64 {
        match self {
            Self::Core(SignatureAlgorithm::EdDsa) => -8,
            Self::Core(SignatureAlgorithm::Es256) => -7,
            Self::Core(SignatureAlgorithm::Es384) => -35,
            Self::Es512 => -36,
        }
    }
}

/// Public key that verifies a JWS or COSE_Sign1.
#[derive(Clone)]
pub enum VerificationKey {
    /// Key of the product's kinds.
    Core(PublicKey),
    /// Key on P-521.
    P521(Box<P521PublicKey>),
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("VerificationKey").field(&self.algorithm()).finish()
    }
}

impl VerificationKey {
    /// Parses a public JWK.
    ///
    /// # Errors
    /// `key_invalid`, `private_key_exposed`, `algorithm_mismatch`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        if !is_p521(jwk) {
            return PublicKey::from_jwk(jwk).map(Self::Core);
        }
        if jwk.get("d").is_some() {
            return Err(Code::PrivateKeyExposed.into());
        }
        let mut point = vec![4];
        for name in ["x", "y"] {
            point.extend_from_slice(&coordinate(jwk, name)?);
        }
        P521PublicKey::from_sec1_bytes(&point).map(|key| Self::P521(Box::new(key))).map_err(|_| invalid())
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> JoseAlgorithm {
        match self {
            Self::Core(key) => JoseAlgorithm::Core(key.algorithm()),
            Self::P521(_) => JoseAlgorithm::Es512,
        }
    }

    /// Verifies a signature over a message, for ECDSA in the form `r||s`.
    ///
    /// # Errors
    /// `signature_invalid`
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Core(key) => key.verify(message, signature),
            Self::P521(key) => Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| Code::SignatureInvalid.into()),
        }
    }
}

/// Key that signs a JWS or COSE_Sign1. The libraries that hold it zeroize it on drop.
pub enum SigningKey<'a> {
    /// Key of the product's kinds.
    Core(&'a dyn Signer),
    /// Key on P-521.
    P521(Box<P521SecretKey>),
}

impl std::fmt::Debug for SigningKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

impl SigningKey<'_> {
    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> JoseAlgorithm {
        match self {
            Self::Core(signer) => JoseAlgorithm::Core(signer.algorithm()),
            Self::P521(_) => JoseAlgorithm::Es512,
        }
    }

    /// Signs a message. Only a key on P-521 draws from `rng`.
    ///
    /// # Errors
    /// `proof_generation`
    pub fn sign(&self, message: &[u8], mut rng: Rng<'_>) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Core(signer) => signer.sign(message),
            Self::P521(key) => {
                let signature: Signature =
                    key.try_sign_with_rng(&mut rng, message).map_err(|_| Problem::from(Code::ProofGeneration))?;
                Ok(signature.to_bytes().to_vec())
            }
        }
    }
}

/// Secret key of a JWK.
pub enum SecretJwk {
    /// Key of the product's kinds.
    Core(SecretKey),
    /// Key on P-521.
    P521(Box<P521SecretKey>),
}

impl std::fmt::Debug for SecretJwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretJwk(redacted)")
    }
}

impl SecretJwk {
    /// Parses a secret JWK. The public key in it is not compared with the secret.
    ///
    /// # Errors
    /// `key_invalid`
    pub fn from_jwk(jwk: &Value) -> Result<Self, Problem> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let secret = text("d").and_then(|d| URL_SAFE_NO_PAD.decode(d).ok()).map(Zeroizing::new).ok_or_else(invalid)?;
        let algorithm = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => SignatureAlgorithm::EdDsa,
            (Some("EC"), Some("P-256")) => SignatureAlgorithm::Es256,
            (Some("EC"), Some("P-384")) => SignatureAlgorithm::Es384,
            (Some("EC"), Some("P-521")) => {
                let key = P521SecretKey::from_slice(&secret).map_err(|_| invalid())?;
                return Ok(Self::P521(Box::new(key)));
            }
            _ => return Err(invalid()),
        };
        SecretKey::from_bytes(algorithm, &secret).map(Self::Core)
    }

    /// Returns the key for signing.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey<'_> {
        match self {
            Self::Core(key) => SigningKey::Core(key),
            Self::P521(key) => SigningKey::P521(key.clone()),
        }
    }

    /// Returns the public key.
    #[must_use]
    pub fn verification_key(&self) -> VerificationKey {
        match self {
            Self::Core(key) => VerificationKey::Core(key.public_key()),
            Self::P521(key) => VerificationKey::P521(Box::new(P521PublicKey::from(key.as_ref()))),
        }
    }
}

/// Returns the public JWK of a key on P-521.
#[must_use]
pub(super) fn p521_jwk(key: &P521PublicKey) -> Map<String, Value> {
    let point = key.to_encoded_point(false);
    let text = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.unwrap_or_default());
    let (x, y) = (text(point.x().map(AsRef::as_ref)), text(point.y().map(AsRef::as_ref)));
    let Value::Object(jwk) = json!({"kty": "EC", "crv": "P-521", "x": x, "y": y}) else { return Map::new() };
    jwk
}

fn is_p521(jwk: &Value) -> bool {
    jwk.get("crv").and_then(Value::as_str) == Some("P-521")
}

fn coordinate(jwk: &Value, name: &str) -> Result<Vec<u8>, Problem> {
    jwk.get(name)
        .and_then(Value::as_str)
        .filter(|text| text.len() == P521_BYTES.saturating_mul(4).div_ceil(3))
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|bytes| bytes.len() == P521_BYTES)
        .ok_or_else(invalid)
}

fn invalid() -> Problem {
    Problem::new(Code::KeyInvalid, "a JWK is malformed, or of a kind that is not accepted")
}
