//! Keyring: the active key of a running service, and the public keys of all others.

use std::{fs::File, path::Path, sync::Arc};

use carnet_core::{
    Problem,
    did::{Did, DidDocument},
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer},
};

use super::{
    Kek, KeysConfig, merging,
    register::{self, KeyEntry, KeyRegister, KeyState},
    seal::{SecretForm, StoredSecret},
};
use crate::{config::StartError, time};

/// Keys of a running service, which signs with the active one. It holds a shared lock: no command can change the keys
/// while it exists.
pub struct Keyring {
    register: Arc<KeyRegister>,
    /// Fragment of the active key's DID URL.
    name: String,
    signer: Box<dyn Signer>,
    /// `true` if the active key is in memory, where a signature takes microseconds.
    in_memory: bool,
    /// Lock of the keys, released on drop; `None` for keys that are not stored.
    _lock: Option<File>,
}

impl Keyring {
    /// Creates the register of a new service with one key, and returns its public key. Existing keys are never
    /// overwritten.
    ///
    /// # Errors
    /// Keys already exist, or cannot be encrypted or written.
    pub fn create_register(
        data: &Path,
        algorithm: SignatureAlgorithm,
        config: &KeysConfig,
    ) -> Result<PublicKey, StartError> {
        let _lock = register::lock_exclusive(data)?;
        require_no_keys(data)?;
        let (public, secret) = create_key(algorithm, config)?;
        KeyRegister::new(public.clone(), secret, time::now()).save(data)?;
        Ok(public)
    }

    /// Opens the keys of a service, and decrypts only the active one. Warns if it is stored unencrypted.
    ///
    /// # Errors
    /// The keys are missing, damaged or locked by a command; no key is active; the active key cannot be decrypted.
    pub fn open(data: &Path, config: &KeysConfig) -> Result<Self, StartError> {
        let lock = register::lock_shared(data)?;
        let mut register = KeyRegister::load(data)?;
        let Some(KeyEntry { name, public, secret: Some(secret), .. }) = register.key_in_state(KeyState::Active) else {
            return Err(StartError::new(
                "The signing key is compromised or lost, and no other key is active.",
                "If `keys list` shows no next key, make one with `keys rotate`. Publish it, then run `keys activate --at-once`.",
            ).nothing_started());
        };
        let signer = open_signer(secret, public, config)?;
        if matches!(secret, StoredSecret::Plain(_)) {
            tracing::warn!(key = name, "the signing key is on the disk unencrypted; encrypt it with `keys seal`");
        }
        let (name, in_memory) = (name.clone(), !matches!(secret, StoredSecret::Token(_)));
        // The signer has its secret, and nothing else needs one.
        for key in &mut register.keys {
            key.secret = None;
        }
        register.log = None;
        Ok(Self { name, signer, in_memory, register: Arc::new(register), _lock: Some(lock) })
    }

    /// Creates a keyring with one key that is not stored, for tests and external signers.
    #[must_use]
    pub fn from_signer(signer: Box<dyn Signer>) -> Self {
        let register = KeyRegister::without_secret(signer.public_key());
        let name = register::FIRST_KEY_NAME.to_owned();
        Self { name, signer, in_memory: false, register: Arc::new(register), _lock: None }
    }

    /// Returns the fragment of the active key's DID URL.
    #[must_use]
    pub fn active_fragment(&self) -> &str {
        &self.name
    }

    /// Returns whether the active key is in memory. One in a token, or of an external signer, may be slow or not respond.
    #[must_use]
    pub fn signs_in_memory(&self) -> bool {
        self.in_memory
    }

    /// Returns all keys, including retired and compromised ones, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[KeyEntry] {
        self.register.keys()
    }

    pub(super) fn register(&self) -> &KeyRegister {
        &self.register
    }

    /// Returns the register, which contains no secrets.
    pub(super) fn shared_register(&self) -> Arc<KeyRegister> {
        Arc::clone(&self.register)
    }

    /// Returns a DID document with the service's keys, to verify the service's own signatures. Compromised keys are
    /// marked as revoked.
    ///
    /// # Errors
    /// `did_document_invalid`
    pub fn own_document(&self, did: &Did) -> Result<DidDocument, Problem> {
        DidDocument::parse(did, &merging::merge_keys(did, None, &self.register))
    }
}

impl Signer for Keyring {
    fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        self.signer.sign(message)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.algorithm()
    }
}

/// Refuses a data directory that already has keys, so that they are never overwritten.
pub(super) fn require_no_keys(data: &Path) -> Result<(), StartError> {
    if !KeyRegister::has_keys(data) {
        return Ok(());
    }
    Err(StartError::new(
        format!("There are already keys in {}. They are unchanged.", data.display()),
        "Use another data directory, or use this one as it is, without `init`.",
    ))
}

/// Creates a key in the form required by the configuration: in the token, encrypted, or in plain text.
pub(super) fn create_key(
    algorithm: SignatureAlgorithm,
    config: &KeysConfig,
) -> Result<(PublicKey, StoredSecret), StartError> {
    if config.creates_keys_in_token() {
        #[cfg(feature = "pkcs11")]
        return super::token::generate_key_pair(config, algorithm)
            .map(|(label, public)| (public, StoredSecret::Token(label)));
        #[cfg(not(feature = "pkcs11"))]
        return Err(super::seal::no_tokens());
    }
    let key = SecretKey::generate(algorithm, &mut rand_core::OsRng);
    let secret = StoredSecret::seal(&key, config.secret_form(), config)?;
    Ok((key.public_key(), secret))
}

/// Destroys a key in its token, by its label.
pub(super) fn destroy_token_key(_config: &KeysConfig, _label: &str) -> Result<(), StartError> {
    #[cfg(feature = "pkcs11")]
    return super::token::destroy_key_pair(_config, _label);
    #[cfg(not(feature = "pkcs11"))]
    Err(super::seal::no_tokens())
}

/// Creates the signer for a stored secret, which is decrypted, or found in its token.
pub(super) fn open_signer(
    secret: &StoredSecret,
    public: &PublicKey,
    config: &KeysConfig,
) -> Result<Box<dyn Signer>, StartError> {
    if let StoredSecret::Token(_label) = secret {
        #[cfg(feature = "pkcs11")]
        return super::token::TokenKey::open(config, _label, public).map(|key| Box::new(key) as Box<dyn Signer>);
        #[cfg(not(feature = "pkcs11"))]
        return Err(super::seal::no_tokens());
    }
    Ok(Box::new(secret.open(public, config)?))
}

impl KeysConfig {
    /// Returns whether new keys are created in a token. Keys that are only encrypted with a key in a token are not.
    pub(super) const fn creates_keys_in_token(&self) -> bool {
        self.module.is_some() && !matches!(self.kek, Some(Kek::Token(_)))
    }

    /// Returns the form in which new secrets are stored, according to the configuration.
    pub(super) const fn secret_form(&self) -> SecretForm {
        match (&self.kek, &self.passphrase) {
            (Some(_), _) => SecretForm::Kek,
            (None, Some(_)) => SecretForm::Age(SecretForm::WORK_FACTOR),
            (None, None) => SecretForm::Plain,
        }
    }
}

impl SecretForm {
    /// Binary logarithm of scrypt's work factor for new secrets; takes about a second.
    pub(super) const WORK_FACTOR: u8 = 18;
}
