//! Secrets in a wallet: holder keys, and secret texts.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    Code, Problem,
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
};
use rand_core::OsRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

/// Secret text in the wallet. It is zeroized on drop, and `Debug` does not print it.
#[derive(Clone)]
pub struct WalletSecret(Zeroizing<String>);

impl WalletSecret {
    /// Wraps a secret text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the secret text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WalletSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WalletSecret(redacted)")
    }
}

impl Serialize for WalletSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WalletSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Signature algorithm of a holder key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HolderAlgorithm {
    /// Ed25519.
    #[default]
    EdDsa,
    /// ECDSA on P-256, for issuers that require it.
    Es256,
}

/// Prefix of the text of a P-256 key. Keys without it are Ed25519 keys.
const P256: &str = "ES256:";

/// Secret key of one copy: 32 bytes in base64url, with a prefix for P-256; without a prefix Ed25519.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderKey(WalletSecret);

impl HolderKey {
    /// Generates an Ed25519 key.
    pub fn generate() -> Self {
        Self::generate_for(HolderAlgorithm::EdDsa)
    }

    /// Generates a key for a signature algorithm.
    pub fn generate_for(algorithm: HolderAlgorithm) -> Self {
        let (mark, algorithm) = match algorithm {
            HolderAlgorithm::EdDsa => ("", SignatureAlgorithm::EdDsa),
            HolderAlgorithm::Es256 => (P256, SignatureAlgorithm::Es256),
        };
        let key = SecretKey::generate(algorithm, &mut OsRng);
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(mark);
        URL_SAFE_NO_PAD.encode_string(key.to_bytes().as_slice(), &mut text);
        Self(WalletSecret(text))
    }

    /// Parses a private key as JWK (RFC 7517, RFC 8037): Ed25519 or P-256.
    ///
    /// # Errors
    /// `key_invalid` for another kind of key, a malformed one, or one whose public part is not that of its private part;
    /// those of [`PublicKey::from_jwk`].
    pub fn from_private_jwk(mut jwk: Value) -> Result<Self, Problem> {
        let invalid = |why: &str| Problem::new(Code::KeyInvalid, why);
        let private = jwk.as_object_mut().and_then(|members| members.remove("d"));
        let Some(Value::String(private)) = private else { return Err(invalid("it has no private part")) };
        let private = Zeroizing::new(private);
        let public = PublicKey::from_jwk(&jwk)?;
        let mark = match public.algorithm() {
            SignatureAlgorithm::EdDsa => "",
            SignatureAlgorithm::Es256 => P256,
            SignatureAlgorithm::Es384 => return Err(invalid("it is neither an Ed25519 nor a P-256 key")),
        };
        let key = Self(WalletSecret::new(format!("{mark}{}", private.as_str())));
        if key.decode()?.public_key() == public { Ok(key) } else { Err(invalid("its public part is another key's")) }
    }

    /// Returns the private key as JWK.
    ///
    /// # Errors
    /// `key_invalid` if the text is damaged.
    pub fn to_private_jwk(&self) -> Result<Zeroizing<String>, Problem> {
        let key = self.decode()?;
        let public = Value::Object(key.public_key().to_jwk()).to_string();
        let public = public.strip_suffix('}').unwrap_or(&public);
        let mut jwk = Zeroizing::new(String::with_capacity(public.len().saturating_add(64)));
        jwk.push_str(public);
        jwk.push_str(",\"d\":\"");
        URL_SAFE_NO_PAD.encode_string(key.to_bytes().as_slice(), &mut jwk);
        jwk.push_str("\"}");
        Ok(jwk)
    }

    /// Decodes the key.
    ///
    /// # Errors
    /// `key_invalid` if the text is damaged.
    pub fn decode(&self) -> Result<SecretKey, Problem> {
        let text = self.0.expose();
        let (algorithm, text) =
            text.strip_prefix(P256).map_or((SignatureAlgorithm::EdDsa, text), |text| (SignatureAlgorithm::Es256, text));
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        URL_SAFE_NO_PAD
            .decode_vec(text, &mut bytes)
            .map_err(|_| Problem::new(Code::KeyInvalid, "a holder key in the wallet is damaged"))?;
        SecretKey::from_bytes(algorithm, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_jwk_comes_back_as_the_same_key() {
        for algorithm in [HolderAlgorithm::EdDsa, HolderAlgorithm::Es256] {
            let key = HolderKey::generate_for(algorithm);
            let jwk: Value = serde_json::from_str(&key.to_private_jwk().unwrap()).unwrap();
            let read = |jwk: &Value| HolderKey::from_private_jwk(jwk.clone());
            assert_eq!(read(&jwk).unwrap().0.expose(), key.0.expose());
            let mut other = jwk.clone();
            other["d"] = serde_json::from_str::<Value>(&HolderKey::generate_for(algorithm).to_private_jwk().unwrap())
                .unwrap()["d"]
                .clone();
            assert_eq!(read(&other).err().map(|problem| problem.code), Some(Code::KeyInvalid));
            for (name, value) in [("d", Value::Null), ("d", "AAAA".into()), ("kty", "RSA".into()), ("x", Value::Null)] {
                let mut wrong = jwk.clone();
                wrong[name] = value;
                assert!(read(&wrong).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = WalletSecret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn a_holder_key_comes_back_with_its_algorithm() {
        for (wanted, algorithm) in
            [(HolderAlgorithm::EdDsa, SignatureAlgorithm::EdDsa), (HolderAlgorithm::Es256, SignatureAlgorithm::Es256)]
        {
            let key = HolderKey::generate_for(wanted);
            let stored = serde_json::to_string(&key).unwrap();
            let read: HolderKey = serde_json::from_str(&stored).unwrap();
            assert_eq!(read.decode().unwrap().public_key(), key.decode().unwrap().public_key());
            assert_eq!(read.decode().unwrap().algorithm(), algorithm);
        }
        // The form in wallets from before P-256: 43 characters and no mark.
        let old: HolderKey = serde_json::from_str(&format!("\"{}\"", "A".repeat(43))).unwrap();
        assert_eq!(old.decode().unwrap().algorithm(), SignatureAlgorithm::EdDsa);
        let damaged: HolderKey = serde_json::from_str("\"ES256:AAAA\"").unwrap();
        assert!(damaged.decode().is_err());
    }
}
