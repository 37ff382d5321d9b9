//! Key register: the keys of a service, their states and their history, in one file that is replaced atomically.

pub(super) mod jwk;
mod lock;

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
};

use carnet_core::{
    keys::{PublicKey, SecretKey, Signer as _},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    seal::{SecretForm, StoredSecret},
    single_key_file,
    updater::UpdateKey,
};
pub(super) use lock::{lock_exclusive, lock_shared};

use crate::{config::StartError, disk, time::at};

const REGISTER_FILE: &str = "keys.json";
const FORMAT_VERSION: u32 = 1;
/// Maximum size of the file, in bytes; far more than a register of [`MAX_KEYS`] needs.
const MAX_BYTES: u64 = 1 << 20;
/// Maximum number of keys, former ones included. A DID document may have 100 verification methods.
const MAX_KEYS: usize = 64;
/// Fragment of the DID URL of a service's first key.
pub const FIRST_KEY_NAME: &str = "key-1";

/// State of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, and not yet used for signing.
    Next,
    /// Used for signing.
    Active,
    /// No longer used for signing; its signatures remain valid.
    Retired,
    /// Possibly known to others: its signatures are valid only with a freshness statement signed with another key.
    Compromised,
}

impl KeyState {
    /// Returns the name of the state in the register's file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Compromised => "compromised",
        }
    }
}

/// Entry of the key register: a public key, its state, the times of its changes, and its secret key or token reference
/// while it may sign.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Fragment of its DID URL. Never given to another key.
    pub(super) name: String,
    pub(super) state: KeyState,
    #[serde(with = "jwk")]
    pub(super) public: PublicKey,
    /// Time of creation; unknown for keys that predate the register.
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Timestamp>,
    /// Time at which it was first seen in the published document; `None`: not yet.
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) activated: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) compromised: Option<Timestamp>,
    /// Secret key or its label in a token; `None` once it no longer signs: an erased secret cannot leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<StoredSecret>,
}

impl KeyEntry {
    /// Returns the fragment of the key's DID URL, such as `key-1`.
    #[must_use]
    pub fn fragment(&self) -> &str {
        &self.name
    }

    /// Returns the state.
    #[must_use]
    pub const fn state(&self) -> KeyState {
        self.state
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Erases the secret. Returns the key's label if it is in a token, where it remains until it is destroyed there.
    fn erase_secret(&mut self) -> Option<String> {
        match self.secret.take() {
            Some(StoredSecret::Token(label)) => Some(label),
            _ => None,
        }
    }

    /// Returns the time from which signatures of the key are not valid on their own; `None` if the key is not
    /// compromised.
    #[must_use]
    pub const fn compromised_at(&self) -> Option<Timestamp> {
        self.compromised
    }
}

/// Entry of the history: a change of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEvent {
    #[serde(with = "at")]
    at: Option<Timestamp>,
    /// Command or event, such as `rotate`.
    act: String,
    /// Fragment of the key's DID URL.
    key: String,
    /// Reason, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Label of the key in a token, where it is no longer needed and can be destroyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl KeyEvent {
    /// Returns the entry as one line of text: time, command, key, and the reason and token label if any.
    #[must_use]
    pub fn to_line(&self) -> String {
        let at = self.at.map(|at| at.to_string()).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason:?})")).unwrap_or_default();
        let token = self.token.as_ref().map(|label| format!(", in the token {label}")).unwrap_or_default();
        format!("{at}  {} {}{reason}{token}", self.act, self.key)
    }
}

/// Reason for which a change of the register was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyChangeError {
    #[error("{0} is already waiting to be the next key")]
    NextExists(String),
    #[error("there is no next key")]
    NoNext,
    #[error("there is no key {0}")]
    UnknownKey(String),
    #[error("{0} is the key that signs")]
    KeyIsActive(String),
    #[error("{0} is already {1}")]
    AlreadyInState(String, &'static str),
    #[error("there are already {MAX_KEYS} keys")]
    TooManyKeys,
}

impl From<KeyChangeError> for StartError {
    fn from(refused: KeyChangeError) -> Self {
        let hint = match &refused {
            KeyChangeError::NextExists(_) => "Publish did.json and run `keys activate`, or `keys retire` it.",
            KeyChangeError::NoNext => "Make one with `keys rotate`.",
            KeyChangeError::UnknownKey(_) | KeyChangeError::AlreadyInState(..) => "See `keys list`.",
            KeyChangeError::KeyIsActive(_) => "Make another with `keys rotate` first.",
            KeyChangeError::TooManyKeys => "The DID document has no room for more; start with a new DID.",
        };
        Self::new(format!("Nothing was changed: {refused}."), hint)
    }
}

/// Key register of a service: all keys, oldest first, and their history.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRegister {
    version: u32,
    pub(super) keys: Vec<KeyEntry>,
    pub(super) history: Vec<KeyEvent>,
    /// Update key of the DID log; `None` if the DID is not a did:webvh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<UpdateKey>,
}

impl KeyRegister {
    /// Creates a register with one key, which is active.
    pub(super) fn new(public: PublicKey, secret: StoredSecret, now: Timestamp) -> Self {
        let mut register = Self::without_secret(public);
        if let Some(key) = register.keys.first_mut() {
            (key.created, key.activated, key.secret) = (Some(now), Some(now), Some(secret));
        }
        register.record_event(now, "init", FIRST_KEY_NAME, None);
        register
    }

    /// Creates a register with one active key whose secret is not in it.
    pub(super) fn without_secret(public: PublicKey) -> Self {
        let first = KeyEntry {
            name: FIRST_KEY_NAME.to_owned(),
            state: KeyState::Active,
            public,
            created: None,
            published: None,
            activated: None,
            retired: None,
            compromised: None,
            secret: None,
        };
        Self { version: FORMAT_VERSION, keys: vec![first], history: Vec::new(), log: None }
    }

    /// Returns all keys, including retired and compromised ones, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[KeyEntry] {
        &self.keys
    }

    /// Returns the changes of keys, oldest first.
    #[must_use]
    pub fn history(&self) -> &[KeyEvent] {
        &self.history
    }

    /// Returns the first key in this state. At most one key is active, and at most one is next.
    pub(super) fn key_in_state(&self, state: KeyState) -> Option<&KeyEntry> {
        self.keys.iter().find(|key| key.state == state)
    }

    fn key_mut(&mut self, name: &str) -> Result<&mut KeyEntry, KeyChangeError> {
        self.keys.iter_mut().find(|key| key.name == name).ok_or_else(|| KeyChangeError::UnknownKey(name.to_owned()))
    }

    /// Returns the name for a new key.
    ///
    /// # Errors
    /// [`KeyChangeError::NextExists`], [`KeyChangeError::TooManyKeys`]
    pub(super) fn new_key_name(&self) -> Result<String, KeyChangeError> {
        if let Some(next) = self.key_in_state(KeyState::Next) {
            return Err(KeyChangeError::NextExists(next.name.clone()));
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(KeyChangeError::TooManyKeys);
        }
        // Keys are never removed, so that no name is used twice.
        Ok(format!("key-{}", self.keys.len().saturating_add(1)))
    }

    /// Returns the names that new keys can still get, in order.
    pub(super) fn unused_names(&self) -> impl Iterator<Item = String> + use<> {
        (self.keys.len().saturating_add(1)..=MAX_KEYS).map(|number| format!("key-{number}"))
    }

    /// Adopts information from a document that this register lacks: the revocation of a key, or a later key, whose
    /// secret is lost (it becomes retired, or compromised if it is revoked). Returns whether anything changed.
    pub(super) fn adopt_key(
        &mut self,
        name: &str,
        public: &PublicKey,
        revoked: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        if let Ok(key) = self.key_mut(name) {
            if revoked.is_none() || key.state == KeyState::Compromised {
                return false;
            }
            (key.state, key.compromised) = (KeyState::Compromised, revoked);
            let label = key.erase_secret();
            self.record_event(now, "adopted", name, None);
            self.record_token_label(label);
            return true;
        }
        if self.keys.len() >= MAX_KEYS || format!("key-{}", self.keys.len().saturating_add(1)) != name {
            return false;
        }
        let state = if revoked.is_some() { KeyState::Compromised } else { KeyState::Retired };
        self.keys.push(KeyEntry {
            name: name.to_owned(),
            state,
            public: public.clone(),
            created: None,
            published: Some(now),
            activated: None,
            retired: Some(now),
            compromised: revoked,
            secret: None,
        });
        self.record_event(now, "adopted", name, None);
        true
    }

    /// Adds a new key in the state `Next`, and returns its name.
    pub(super) fn add_next_key(
        &mut self,
        public: PublicKey,
        secret: StoredSecret,
        now: Timestamp,
    ) -> Result<String, KeyChangeError> {
        let name = self.new_key_name()?;
        self.keys.push(KeyEntry {
            name: name.clone(),
            state: KeyState::Next,
            public,
            created: Some(now),
            published: None,
            activated: None,
            retired: None,
            compromised: None,
            secret: Some(secret),
        });
        self.record_event(now, "rotate", &name, None);
        Ok(name)
    }

    /// Records that the published document lists the next key. Returns the time since which it is known to be listed.
    pub(super) fn record_published(&mut self, now: Timestamp) -> Result<Timestamp, KeyChangeError> {
        let next = self.keys.iter_mut().find(|key| key.state == KeyState::Next).ok_or(KeyChangeError::NoNext)?;
        if let Some(since) = next.published {
            return Ok(since);
        }
        next.published = Some(now);
        let name = next.name.clone();
        self.record_event(now, "published", &name, None);
        Ok(now)
    }

    /// Activates the next key, retires the active one, and erases its secret. Returns the new key's name, and the
    /// retired key's label if it is in a token.
    pub(super) fn activate_next_key(&mut self, now: Timestamp) -> Result<(String, Option<String>), KeyChangeError> {
        let name = self.key_in_state(KeyState::Next).ok_or(KeyChangeError::NoNext)?.name.clone();
        let mut label = None;
        for key in &mut self.keys {
            match key.state {
                KeyState::Active => {
                    (key.state, key.retired) = (KeyState::Retired, Some(now));
                    label = key.erase_secret();
                }
                KeyState::Next => (key.state, key.activated) = (KeyState::Active, Some(now)),
                KeyState::Retired | KeyState::Compromised => {}
            }
        }
        self.record_event(now, "activate", &name, None);
        self.record_token_label(label.clone());
        Ok((name, label))
    }

    /// Retires a key in the state `Next`, which is unwanted. Returns its label if it is in a token.
    pub(super) fn retire_key(
        &mut self,
        name: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, KeyChangeError> {
        let key = self.key_mut(name)?;
        match key.state {
            KeyState::Active => return Err(KeyChangeError::KeyIsActive(name.to_owned())),
            KeyState::Retired | KeyState::Compromised => {
                return Err(KeyChangeError::AlreadyInState(name.to_owned(), key.state.as_str()));
            }
            KeyState::Next => {}
        }
        (key.state, key.retired) = (KeyState::Retired, Some(now));
        let label = key.erase_secret();
        self.record_event(now, "retire", name, reason);
        self.record_token_label(label.clone());
        Ok(label)
    }

    /// Marks a key as compromised, and erases its secret. The active key can be marked only if there is a next key;
    /// until that is activated, no key signs. Returns the key's label if it is in a token.
    pub(super) fn mark_compromised(
        &mut self,
        name: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, KeyChangeError> {
        let next = self.key_in_state(KeyState::Next).is_some();
        let key = self.key_mut(name)?;
        match key.state {
            KeyState::Active if !next => return Err(KeyChangeError::KeyIsActive(name.to_owned())),
            KeyState::Compromised => return Err(KeyChangeError::AlreadyInState(name.to_owned(), key.state.as_str())),
            KeyState::Active | KeyState::Next | KeyState::Retired => {}
        }
        (key.state, key.compromised) = (KeyState::Compromised, Some(now));
        let label = key.erase_secret();
        self.record_event(now, "compromised", name, reason);
        self.record_token_label(label.clone());
        Ok(label)
    }

    /// Records in the last history entry the label of a token key that is no longer needed.
    fn record_token_label(&mut self, label: Option<String>) {
        if let Some(act) = self.history.last_mut() {
            act.token = label;
        }
    }

    pub(super) fn record_event(&mut self, now: Timestamp, act: &str, key: &str, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.history.push(KeyEvent { at: Some(now), act: act.to_owned(), key: key.to_owned(), reason, token: None });
    }

    /// Returns whether the content of the register is consistent.
    fn is_consistent(&self) -> bool {
        let count = |state: KeyState| self.keys.iter().filter(|key| key.state == state).count();
        self.version == FORMAT_VERSION
            && !self.keys.is_empty()
            && self.keys.len() <= MAX_KEYS
            && self.keys.iter().zip(1..).all(|(key, number)| key.name == format!("key-{number}"))
            && count(KeyState::Active) <= 1
            && count(KeyState::Next) <= 1
            && self
                .keys
                .iter()
                .all(|key| matches!(key.state, KeyState::Active | KeyState::Next) == key.secret.is_some())
    }

    /// Returns whether a directory has keys, in the current or the older format.
    pub(super) fn has_keys(data: &Path) -> bool {
        data.join(REGISTER_FILE).exists() || data.join(single_key_file::SINGLE_KEY_FILE).exists()
    }

    /// Loads `DIR/keys.json`, or converts the `DIR/key.json` of an older directory. Removes a `key.json` whose key is
    /// in `keys.json` too.
    ///
    /// # Errors
    /// The file is missing, accessible to other users, or damaged; an old `key.json` cannot be removed.
    pub fn load(data: &Path) -> Result<Self, StartError> {
        let path = data.join(REGISTER_FILE);
        if !path.exists() && data.join(single_key_file::SINGLE_KEY_FILE).exists() {
            return Self::from_single_key(&single_key_file::load(data)?);
        }
        let text = read(&path)?;
        // The parser's own error is dropped: it could quote its input.
        let register: Self = serde_json::from_slice(&text).ok().filter(Self::is_consistent).ok_or_else(|| {
            StartError::new(
                format!("The keys in {} are damaged. Nothing was changed.", path.display()),
                "Restore the file from a backup. Credentials signed with these keys remain valid.",
            )
        })?;
        // A power failure may have prevented its removal: the key would remain in plain text next to the sealed one.
        let left =
            data.join(single_key_file::SINGLE_KEY_FILE).exists().then(|| single_key_file::load(data).ok()).flatten();
        if left.is_some_and(|left| register.keys.iter().any(|key| key.public == left.public_key())) {
            remove_single(data)?;
        }
        Ok(register)
    }

    fn from_single_key(key: &SecretKey) -> Result<Self, StartError> {
        let secret = StoredSecret::seal(key, SecretForm::Plain, &super::KeysConfig::default())?;
        let mut register = Self::without_secret(key.public_key());
        if let Some(key) = register.keys.first_mut() {
            key.secret = Some(secret);
        }
        Ok(register)
    }

    /// Writes the file atomically. Removes an older `key.json`, whose key the register contains.
    ///
    /// # Errors
    /// The register could not be written, and is unchanged; or `key.json` could not be removed.
    pub(super) fn save(&self, data: &Path) -> Result<(), StartError> {
        let path = data.join(REGISTER_FILE);
        let failed = |error: std::io::Error| {
            StartError::new(
                format!("{} could not be written: {error}. The keys are as they were.", path.display()),
                "Check that the disk has room and that this user may write there, then run it again.",
            )
        };
        // Capacity for the whole file: reallocation would leave copies of secrets in memory.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
        serde_json::to_writer_pretty(&mut *text, self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        if text.len() as u64 >= MAX_BYTES {
            return Err(failed(std::io::Error::other("it would be too long")));
        }
        disk::replace_file(&path, &text, 0o600).map_err(failed)?;
        remove_single(data)
    }
}

/// Removes the `key.json` of an older directory, and syncs the directory.
fn remove_single(data: &Path) -> Result<(), StartError> {
    match std::fs::remove_file(data.join(single_key_file::SINGLE_KEY_FILE)).and_then(|()| disk::sync_directory(data)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StartError::new(
            format!("The keys are now in keys.json, but the old key.json could not be removed: {error}."),
            "Remove key.json yourself.",
        )),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StartError> {
    let unreadable = |error: std::io::Error| {
        let hint = if error.kind() == ErrorKind::NotFound {
            "Run `init` with this data directory first, or check the path."
        } else {
            "Check that this user may read the file."
        };
        StartError::new(format!("The keys {} cannot be read: {error}. Nothing was changed.", path.display()), hint)
    };
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&file.metadata().map_err(unreadable)?) & 0o077 != 0 {
        return Err(StartError::new(
            format!("The keys {} can be read or written by other users, so they were not used.", path.display()),
            format!(
                "Make sure that nobody else has read them, then run `chmod 600 {}`. If someone may have, make a new \
                 key.",
                path.display()
            ),
        ));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}
