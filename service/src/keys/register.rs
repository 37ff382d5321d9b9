//! Key register: the keys, their states, and their history, in one file that is replaced atomically.

pub(super) mod jwk;

use std::{
    fs::{File, TryLockError},
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
    log::Updater,
    seal::{SealedForm, StoredSecret},
    single,
};
use crate::{config::StartError, disk, time::at};

const FILE: &str = "keys.json";
const LOCK: &str = "keys.lock";
const VERSION: u32 = 1;
/// Far above the size of a register of [`MOST_KEYS`].
const MAX_BYTES: u64 = 1 << 20;
/// A DID document has room for 100 methods.
const MOST_KEYS: usize = 64;
/// Fragment of a service's first key.
pub const FIRST: &str = "key-1";

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
    /// Returns the name in the register.
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
    /// The fragment of its DID URL. Never given to another key.
    pub(super) name: String,
    pub(super) state: KeyState,
    #[serde(with = "jwk")]
    pub(super) public: PublicKey,
    /// Time of creation; unknown for keys that predate the register.
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Timestamp>,
    /// Time at which it was first seen in the published document.
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) activated: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<Timestamp>,
    #[serde(default, with = "at", skip_serializing_if = "Option::is_none")]
    pub(super) compromised: Option<Timestamp>,
    /// `None` once it no longer signs: an erased secret cannot leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<StoredSecret>,
}

impl KeyEntry {
    /// Returns the fragment of its DID URL.
    #[must_use]
    pub fn name(&self) -> &str {
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

    /// Erases its secret. Returns its label in a token, where the key remains until it is destroyed there.
    fn forget(&mut self) -> Option<String> {
        match self.secret.take() {
            Some(StoredSecret::Token(label)) => Some(label),
            _ => None,
        }
    }

    /// Returns the time from which its signatures are not valid on their own.
    #[must_use]
    pub const fn compromised(&self) -> Option<Timestamp> {
        self.compromised
    }
}

/// Change of a key: an entry of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEvent {
    #[serde(with = "at")]
    at: Option<Timestamp>,
    /// The verb.
    act: String,
    /// The key's name.
    key: String,
    /// Reason, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The label that the key had in a token, once it is no longer needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl KeyEvent {
    /// Returns time, command and key on one line of text.
    #[must_use]
    pub fn line(&self) -> String {
        let at = self.at.map(|at| at.to_string()).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason:?})")).unwrap_or_default();
        let token = self.token.as_ref().map(|label| format!(", in the token {label}")).unwrap_or_default();
        format!("{at}  {} {}{reason}{token}", self.act, self.key)
    }
}

/// Reason that a register was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0} is already waiting to be the next key")]
    NextThere(String),
    #[error("there is no next key")]
    NoNext,
    #[error("there is no key {0}")]
    Unknown(String),
    #[error("{0} is the key that signs")]
    Active(String),
    #[error("{0} is already {1}")]
    Already(String, &'static str),
    #[error("there are already {MOST_KEYS} keys")]
    Full,
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        let hint = match &refused {
            Refused::NextThere(_) => "Publish did.json and run `keys activate`, or `keys retire` it.",
            Refused::NoNext => "Make one with `keys rotate`.",
            Refused::Unknown(_) | Refused::Already(..) => "See `keys list`.",
            Refused::Active(_) => "Make another with `keys rotate` first.",
            Refused::Full => "The DID document has no room for more; start with a new DID.",
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
    /// Of a did:webvh DID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Updater>,
}

impl KeyRegister {
    /// A register of one key, which is active.
    pub(super) fn new(public: PublicKey, secret: StoredSecret, now: Timestamp) -> Self {
        let mut register = Self::without_secret(public);
        if let Some(key) = register.keys.first_mut() {
            (key.created, key.activated, key.secret) = (Some(now), Some(now), Some(secret));
        }
        register.note(now, "init", FIRST, None);
        register
    }

    /// A register of one key, whose secret is elsewhere.
    pub(super) fn without_secret(public: PublicKey) -> Self {
        let first = KeyEntry {
            name: FIRST.to_owned(),
            state: KeyState::Active,
            public,
            created: None,
            published: None,
            activated: None,
            retired: None,
            compromised: None,
            secret: None,
        };
        Self { version: VERSION, keys: vec![first], history: Vec::new(), log: None }
    }

    /// Returns all keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[KeyEntry] {
        &self.keys
    }

    /// Returns the changes of keys, oldest first.
    #[must_use]
    pub fn history(&self) -> &[KeyEvent] {
        &self.history
    }

    /// Returns the key in this state; at most one is active, and at most one is next.
    pub(super) fn in_state(&self, state: KeyState) -> Option<&KeyEntry> {
        self.keys.iter().find(|key| key.state == state)
    }

    fn named(&mut self, name: &str) -> Result<&mut KeyEntry, Refused> {
        self.keys.iter_mut().find(|key| key.name == name).ok_or_else(|| Refused::Unknown(name.to_owned()))
    }

    /// The name that the next key will have.
    ///
    /// # Errors
    /// [`Refused::NextThere`], [`Refused::Full`]
    pub(super) fn next_name(&self) -> Result<String, Refused> {
        if let Some(next) = self.in_state(KeyState::Next) {
            return Err(Refused::NextThere(next.name.clone()));
        }
        if self.keys.len() >= MOST_KEYS {
            return Err(Refused::Full);
        }
        // Keys are never removed, so that no name is used twice.
        Ok(format!("key-{}", self.keys.len().saturating_add(1)))
    }

    /// The names that keys can still get.
    pub(super) fn names_to_come(&self) -> impl Iterator<Item = String> + use<> {
        (self.keys.len().saturating_add(1)..=MOST_KEYS).map(|number| format!("key-{number}"))
    }

    /// Adopts a document's knowledge about a key that this register lacks: its revocation; or a key that was made
    /// since, whose secret is lost. Returns whether there was any.
    pub(super) fn adopt(&mut self, name: &str, public: &PublicKey, revoked: Option<Timestamp>, now: Timestamp) -> bool {
        if let Ok(key) = self.named(name) {
            if revoked.is_none() || key.state == KeyState::Compromised {
                return false;
            }
            (key.state, key.compromised) = (KeyState::Compromised, revoked);
            let label = key.forget();
            self.note(now, "adopted", name, None);
            self.note_label(label);
            return true;
        }
        if self.keys.len() >= MOST_KEYS || format!("key-{}", self.keys.len().saturating_add(1)) != name {
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
        self.note(now, "adopted", name, None);
        true
    }

    /// Takes in a new key, which does not sign yet.
    pub(super) fn add(&mut self, public: PublicKey, secret: StoredSecret, now: Timestamp) -> Result<String, Refused> {
        let name = self.next_name()?;
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
        self.note(now, "rotate", &name, None);
        Ok(name)
    }

    /// Notes that the published document has the next key; since when it has.
    pub(super) fn seen(&mut self, now: Timestamp) -> Result<Timestamp, Refused> {
        let next = self.keys.iter_mut().find(|key| key.state == KeyState::Next).ok_or(Refused::NoNext)?;
        if let Some(since) = next.published {
            return Ok(since);
        }
        next.published = Some(now);
        let name = next.name.clone();
        self.note(now, "published", &name, None);
        Ok(now)
    }

    /// Lets the next key sign from now on; the one before it is retired, and its secret erased.
    /// Gives its label, if it is in a token.
    pub(super) fn activate(&mut self, now: Timestamp) -> Result<(String, Option<String>), Refused> {
        let name = self.in_state(KeyState::Next).ok_or(Refused::NoNext)?.name.clone();
        let mut label = None;
        for key in &mut self.keys {
            match key.state {
                KeyState::Active => {
                    (key.state, key.retired) = (KeyState::Retired, Some(now));
                    label = key.forget();
                }
                KeyState::Next => (key.state, key.activated) = (KeyState::Active, Some(now)),
                KeyState::Retired | KeyState::Compromised => {}
            }
        }
        self.note(now, "activate", &name, None);
        self.note_label(label.clone());
        Ok((name, label))
    }

    /// Retires a key that does not sign, such as an unwanted next one. Returns its label, if it is in a token.
    pub(super) fn retire(
        &mut self,
        name: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, Refused> {
        let key = self.named(name)?;
        match key.state {
            KeyState::Active => return Err(Refused::Active(name.to_owned())),
            KeyState::Retired | KeyState::Compromised => {
                return Err(Refused::Already(name.to_owned(), key.state.as_str()));
            }
            KeyState::Next => {}
        }
        (key.state, key.retired) = (KeyState::Retired, Some(now));
        let label = key.forget();
        self.note(now, "retire", name, reason);
        self.note_label(label.clone());
        Ok(label)
    }

    /// Marks a key that somebody else may have. If it is the active one, there has to be a next one; until that is
    /// activated, nothing signs. Returns its label, if it is in a token.
    pub(super) fn compromise(
        &mut self,
        name: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<String>, Refused> {
        let next = self.in_state(KeyState::Next).is_some();
        let key = self.named(name)?;
        match key.state {
            KeyState::Active if !next => return Err(Refused::Active(name.to_owned())),
            KeyState::Compromised => return Err(Refused::Already(name.to_owned(), key.state.as_str())),
            KeyState::Active | KeyState::Next | KeyState::Retired => {}
        }
        (key.state, key.compromised) = (KeyState::Compromised, Some(now));
        let label = key.forget();
        self.note(now, "compromised", name, reason);
        self.note_label(label.clone());
        Ok(label)
    }

    /// Records in the last act the label of a token key that is no longer needed.
    fn note_label(&mut self, label: Option<String>) {
        if let Some(act) = self.history.last_mut() {
            act.token = label;
        }
    }

    pub(super) fn note(&mut self, now: Timestamp, act: &str, key: &str, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.history.push(KeyEvent { at: Some(now), act: act.to_owned(), key: key.to_owned(), reason, token: None });
    }

    /// Returns whether the content of the register is consistent.
    fn holds(&self) -> bool {
        let count = |state: KeyState| self.keys.iter().filter(|key| key.state == state).count();
        self.version == VERSION
            && !self.keys.is_empty()
            && self.keys.len() <= MOST_KEYS
            && self.keys.iter().zip(1..).all(|(key, number)| key.name == format!("key-{number}"))
            && count(KeyState::Active) <= 1
            && count(KeyState::Next) <= 1
            && self
                .keys
                .iter()
                .all(|key| matches!(key.state, KeyState::Active | KeyState::Next) == key.secret.is_some())
    }

    /// Returns whether a directory has keys.
    pub(super) fn exists(data: &Path) -> bool {
        data.join(FILE).exists() || data.join(single::FILE).exists()
    }

    /// Loads `DIR/keys.json`, or converts the `DIR/key.json` of an older directory.
    ///
    /// # Errors
    /// The file is missing, is readable by other users, or is damaged.
    pub fn load(data: &Path) -> Result<Self, StartError> {
        let path = data.join(FILE);
        if !path.exists() && data.join(single::FILE).exists() {
            return Self::of_single(&single::load(data)?);
        }
        let text = read(&path)?;
        // The parser's own error is dropped: it could quote its input.
        let register: Self = serde_json::from_slice(&text).ok().filter(Self::holds).ok_or_else(|| {
            StartError::new(
                format!("The keys in {} are damaged. Nothing was changed.", path.display()),
                "Restore the file from a backup. Credentials signed with these keys remain valid.",
            )
        })?;
        // The power went before it was removed: it would lie there in plain text beside a key that is sealed.
        let left = data.join(single::FILE).exists().then(|| single::load(data).ok()).flatten();
        if left.is_some_and(|left| register.keys.iter().any(|key| key.public == left.public_key())) {
            remove_single(data)?;
        }
        Ok(register)
    }

    fn of_single(key: &SecretKey) -> Result<Self, StartError> {
        let secret = StoredSecret::of(key, SealedForm::Plain, &super::KeysConfig::default())?;
        let mut register = Self::without_secret(key.public_key());
        if let Some(key) = register.keys.first_mut() {
            key.secret = Some(secret);
        }
        Ok(register)
    }

    /// Writes the register as a whole. Removes an older `key.json`, whose key it has.
    ///
    /// # Errors
    /// It could not be written; then the register is as it was.
    pub(super) fn save(&self, data: &Path) -> Result<(), StartError> {
        let path = data.join(FILE);
        let failed = |error: std::io::Error| {
            StartError::new(
                format!("{} could not be written: {error}. The keys are as they were.", path.display()),
                "Check that the disk has room and that this user may write there, then run it again.",
            )
        };
        // Reserved at once, so that no copy of a secret is left behind by growth.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
        serde_json::to_writer_pretty(&mut *text, self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        if text.len() as u64 >= MAX_BYTES {
            return Err(failed(std::io::Error::other("it would be too long")));
        }
        disk::replace(&path, &text, 0o600).map_err(failed)?;
        remove_single(data)
    }
}

/// Removes the file of an older directory, whose key the register has, through to the disk.
fn remove_single(data: &Path) -> Result<(), StartError> {
    match std::fs::remove_file(data.join(single::FILE)).and_then(|()| disk::sync_directory(data)) {
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

/// Keeps the keys as they are while a service signs with them.
pub(super) fn lock_shared(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock_shared)?;
    if locked { Ok(file) } else { Err(busy("Another program is changing these keys.")) }
}

/// Locks the keys for a change, while nothing signs with them.
pub(super) fn lock_exclusive(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock)?;
    if locked { Ok(file) } else { Err(busy("A program is using these keys. Nothing was changed.")) }
}

fn busy(what: &str) -> StartError {
    StartError::new(what, "Stop the service, run this again, and start the service.").retryable()
}

fn lock(data: &Path, how: impl Fn(&File) -> Result<(), TryLockError>) -> Result<(File, bool), StartError> {
    let path = data.join(LOCK);
    let failed = |error: std::io::Error| {
        StartError::new(
            format!("{} could not be used: {error}. Nothing was changed.", path.display()),
            "Check that the directory exists and that this user may write in it.",
        )
    };
    disk::lock(&path, how).map_err(failed)
}
