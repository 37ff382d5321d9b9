//! Storage of a secret key in the register: in plain text, or encrypted with a passphrase (age) or a key-encryption
//! key.

use std::{io::Read as _, io::Write as _, iter};

use age::{Decryptor, Encryptor, secrecy::SecretString};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use carnet_core::keys::{PublicKey, SecretKey, Signer as _};
use carnet_passphrase::{PassphraseIdentity, PassphraseRecipient};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

#[cfg(feature = "pkcs11")]
use super::token::kek as in_token;
/// Encrypted with the key-encryption key.
use super::{Kek, KeysConfig};
use crate::config::StartError;

/// Maximum binary logarithm of scrypt's work factor that is accepted for decryption: 1 GiB of memory.
const MAX_WORK_FACTOR: u8 = 20;
const NONCE_BYTES: usize = 24;
/// Permitted forms of a secret's source, for messages.
const SOURCE_FORMS: &str = "file:PATH, env:NAME or fd:NUMBER";

/// Secret text, zeroized on drop.
pub(super) struct HiddenText(pub(super) Zeroizing<String>);

impl Serialize for HiddenText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HiddenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Secret key as it is stored in the register, or its label in a token.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum StoredSecret {
    /// Secret bytes, base64url.
    Plain(HiddenText),
    /// Secret encrypted by age with a passphrase (scrypt), base64url.
    Age(String),
    /// Nonce and ciphertext of XChaCha20-Poly1305 under the key-encryption key, base64url.
    Kek(String),
    /// Nonce and ciphertext of AES-256-GCM under a key-encryption key in a PKCS#11 token, base64url.
    #[serde(rename = "token_kek")]
    TokenKek(String),
    /// Label of a key in a PKCS#11 token, which it never leaves.
    Token(String),
}

/// Form in which new secrets are stored on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretForm {
    /// Unencrypted.
    Plain,
    /// Encrypted with a passphrase; the number is the binary logarithm of scrypt's work factor.
    Age(u8),
    Kek,
}

impl SecretForm {
    /// Returns the description of the form for lists, such as `in plain text`.
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Plain => PLAIN,
            Self::Age(_) => AGE,
            Self::Kek => KEK,
        }
    }
}

const PLAIN: &str = "in plain text";
const AGE: &str = "sealed with a passphrase";
const KEK: &str = "sealed with a key-encryption key";

impl StoredSecret {
    /// Returns the description of the form for lists, such as `in plain text`.
    pub(super) const fn description(&self) -> &'static str {
        match self {
            Self::Plain(_) => PLAIN,
            Self::Age(_) => AGE,
            Self::Kek(_) | Self::TokenKek(_) => KEK,
            Self::Token(_) => "in a token",
        }
    }

    /// Encrypts a key in the given form, or encodes it in plain text.
    ///
    /// # Errors
    /// The source of the passphrase or key-encryption key is not configured, cannot be read, or is invalid; the token
    /// fails.
    pub(super) fn seal(key: &SecretKey, form: SecretForm, config: &KeysConfig) -> Result<Self, StartError> {
        let bytes = key.to_bytes();
        match form {
            SecretForm::Plain => {
                let mut text = Zeroizing::new(String::with_capacity(64));
                BASE64_URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
                Ok(Self::Plain(HiddenText(text)))
            }
            SecretForm::Age(work_factor) => {
                let sealed = encrypt_with_passphrase(bytes.as_slice(), read_passphrase(config)?, work_factor)
                    .map_err(|error| failed(&error.to_string()))?;
                Ok(Self::Age(BASE64_URL_SAFE_NO_PAD.encode(sealed)))
            }
            SecretForm::Kek => {
                let aad = associated_data(&key.public_key());
                if let Some(Kek::Token(label)) = &config.kek {
                    let sealed = in_token::seal(config, label, bytes.as_slice(), &aad)?;
                    return Ok(Self::TokenKek(BASE64_URL_SAFE_NO_PAD.encode(sealed)));
                }
                let mut nonce = [0; NONCE_BYTES];
                OsRng.fill_bytes(&mut nonce);
                let payload = Payload { msg: bytes.as_slice(), aad: &aad };
                let mut sealed = nonce.to_vec();
                let ciphertext = read_kek(config)?.encrypt(XNonce::from_slice(&nonce), payload);
                sealed.extend(ciphertext.map_err(|_| failed("the cipher refused"))?);
                Ok(Self::Kek(BASE64_URL_SAFE_NO_PAD.encode(sealed)))
            }
        }
    }

    /// Decrypts a key that is not in a token, and checks that it matches the public key.
    ///
    /// # Errors
    /// The passphrase or key-encryption key is missing or wrong; the register is damaged; the key is in a token.
    pub(super) fn open(&self, public: &PublicKey, config: &KeysConfig) -> Result<SecretKey, StartError> {
        let bytes = match self {
            Self::Token(_) => return Err(failed("it is in a token and cannot leave it")),
            Self::Plain(text) => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(64));
                BASE64_URL_SAFE_NO_PAD.decode_vec(&*text.0, &mut bytes).map_err(|_| damaged())?;
                bytes
            }
            Self::Age(text) => {
                let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
                decrypt_with_passphrase(&sealed, read_passphrase(config)?)?
            }
            Self::Kek(text) => {
                let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
                let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
                let payload = Payload { msg: ciphertext, aad: &associated_data(public) };
                let opened = read_kek(config)?.decrypt(XNonce::from_slice(nonce), payload);
                Zeroizing::new(opened.map_err(|_| not_opened("key-encryption key"))?)
            }
            Self::TokenKek(text) => {
                let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
                let Some(Kek::Token(label)) = &config.kek else {
                    return Err(missing("kek", "pkcs11:LABEL"));
                };
                in_token::open(config, label, &sealed, &associated_data(public))?
                    .ok_or_else(|| not_opened("key-encryption key"))?
            }
        };
        let key = SecretKey::from_bytes(public.algorithm(), &bytes).map_err(|_| damaged())?;
        // A secret key that does not match the public key was damaged or swapped: no signature would verify.
        if key.public_key() == *public { Ok(key) } else { Err(damaged()) }
    }
}

/// Returns the associated data of an encrypted key, so that its ciphertext cannot be used for another key.
fn associated_data(public: &PublicKey) -> Vec<u8> {
    format!("carnet-service-key/1 {}", public.thumbprint()).into_bytes()
}

fn encrypt_with_passphrase(bytes: &[u8], passphrase: SecretString, work_factor: u8) -> std::io::Result<Vec<u8>> {
    let recipient = PassphraseRecipient::new(&passphrase, work_factor);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
        .map_err(|_| std::io::Error::other("the passphrase cannot be used"))?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(sealed)
}

fn decrypt_with_passphrase(sealed: &[u8], passphrase: SecretString) -> Result<Zeroizing<Vec<u8>>, StartError> {
    let identity = PassphraseIdentity::new(&passphrase, MAX_WORK_FACTOR);
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| damaged())?;
    let opened = decryptor.decrypt(iter::once(&identity as &dyn age::Identity));
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    opened.map_err(|_| not_opened("passphrase"))?.read_to_end(&mut plain).map_err(|_| damaged())?;
    Ok(plain)
}

fn read_passphrase(config: &KeysConfig) -> Result<SecretString, StartError> {
    let source = config.passphrase.as_ref().ok_or_else(|| missing("passphrase", SOURCE_FORMS))?;
    // A byte-order mark is not removed: a key may have been sealed with it.
    let bytes = source.read_with_mark("passphrase")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| failed("the passphrase is not UTF-8"))?;
    Ok(SecretString::from(text))
}

fn read_kek(config: &KeysConfig) -> Result<XChaCha20Poly1305, StartError> {
    let Some(Kek::Source(source)) = &config.kek else {
        return Err(missing("kek", SOURCE_FORMS));
    };
    let text = source.read("key-encryption key")?;
    let wrong = || failed("the key-encryption key is not 32 bytes in hex (64 digits)");
    let mut key = Zeroizing::new([0_u8; 32]);
    // In constant time, and refused unless it fills the key.
    let read = base16ct::mixed::decode(text.as_slice(), key.as_mut_slice()).map_err(|_| wrong())?;
    if read.len() != 32 {
        return Err(wrong());
    }
    Ok(XChaCha20Poly1305::new(key.as_slice().into()))
}

/// Creates the key-encryption key in the token, if one is configured there and missing.
///
/// # Errors
/// The token cannot be used.
pub(super) fn ensure_token_kek(config: &KeysConfig) -> Result<(), StartError> {
    match &config.kek {
        Some(Kek::Token(label)) => in_token::prepare(config, label),
        _ => Ok(()),
    }
}

#[cfg(not(feature = "pkcs11"))]
mod in_token {
    use zeroize::Zeroizing;

    use super::{KeysConfig, StartError, no_tokens};

    pub(super) fn prepare(_: &KeysConfig, _: &str) -> Result<(), StartError> {
        Err(no_tokens())
    }

    pub(super) fn seal(_: &KeysConfig, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, StartError> {
        Err(no_tokens())
    }

    pub(super) fn open(_: &KeysConfig, _: &str, _: &[u8], _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StartError> {
        Err(no_tokens())
    }
}

#[cfg(not(feature = "pkcs11"))]
pub(super) fn no_tokens() -> StartError {
    StartError::new("This build cannot use keys in a PKCS#11 token.", "Use a build with the feature `pkcs11`.")
        .nothing_changed()
}

/// Returns the error for a passphrase or key-encryption key that is missing in the configuration, or is of another kind
/// than the one with which this key is encrypted.
fn missing(name: &str, kind: &str) -> StartError {
    StartError::new(
        format!("The configuration lacks the {name} for the keys."),
        format!("Put {name} = \"{kind}\" under [keys] in config.toml."),
    )
    .nothing_changed()
}

fn failed(why: &str) -> StartError {
    StartError::new(
        format!("The key could not be sealed or opened: {why}. Nothing was changed."),
        "Correct that and run it again.",
    )
}

fn not_opened(what: &str) -> StartError {
    StartError::new(
        format!("This {what} does not open the signing key."),
        format!("Give the {what} that sealed the key; without it the key is lost, and you need a new one."),
    )
    .nothing_changed()
}

fn damaged() -> StartError {
    StartError::new(
        "The signing key in keys.json is damaged.",
        "Restore keys.json from a backup. Credentials signed with this key remain valid.",
    )
    .nothing_changed()
}

#[cfg(test)]
mod tests {
    use carnet_core::keys::SignatureAlgorithm;

    use super::{super::SecretSource, *};

    fn config(folder: &std::path::Path, passphrase: &str, kek: &str) -> KeysConfig {
        std::fs::write(folder.join("p"), passphrase).unwrap();
        std::fs::write(folder.join("k"), kek).unwrap();
        KeysConfig {
            passphrase: Some(SecretSource::File(folder.join("p"))),
            kek: Some(Kek::Source(SecretSource::File(folder.join("k")))),
            ..KeysConfig::default()
        }
    }

    #[test]
    fn a_sealed_key_opens_with_its_own_secret_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let right = config(folder.path(), "correct horse\n", &"a1".repeat(32));
        for algorithm in [SignatureAlgorithm::EdDsa, SignatureAlgorithm::Es256] {
            let key = SecretKey::generate(algorithm, &mut OsRng);
            let stranger = SecretKey::generate(algorithm, &mut OsRng);
            for form in [SecretForm::Plain, SecretForm::Age(4), SecretForm::Kek] {
                let right = config(folder.path(), "correct horse\n", &"a1".repeat(32));
                let sealed = StoredSecret::seal(&key, form, &right).unwrap();
                let opened = sealed.open(&key.public_key(), &right).unwrap();
                assert_eq!(opened.to_bytes(), key.to_bytes());
                // In place of another key it opens nothing.
                assert!(sealed.open(&stranger.public_key(), &right).is_err());
                let text = serde_json::to_string(&sealed).unwrap();
                let secret = BASE64_URL_SAFE_NO_PAD.encode(key.to_bytes().as_slice());
                assert_eq!(text.contains(&secret), form == SecretForm::Plain);
                if form != SecretForm::Plain {
                    let wrong = config(folder.path(), "correct house\n", &"a2".repeat(32));
                    let said = sealed.open(&key.public_key(), &wrong).unwrap_err();
                    assert!(said.message.contains("does not open"), "{said}");
                    let said = sealed.open(&key.public_key(), &KeysConfig::default()).unwrap_err();
                    assert!(said.hint.contains("[keys]"), "{said}");
                }
            }
        }
        drop(right);
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        for wrong in ["a1", &"zz".repeat(32), &"+1".repeat(32), &"a1".repeat(33)] {
            assert!(StoredSecret::seal(&key, SecretForm::Kek, &config(folder.path(), "x", wrong)).is_err(), "{wrong}");
        }
    }
}
