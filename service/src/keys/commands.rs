//! Commands `keys list`, `check`, `rotate`, `activate`, `retire`, `seal`, `unseal`, shared by both services.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use carnet_core::{
    Code,
    did::{Did, DidDocument, VerificationRelationship},
    keys::SignatureAlgorithm,
    time::Timestamp,
};
use carnet_fetch::HttpsFetcher;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Kek, KeysConfig, SecretSource, comparison, document, keyring,
    register::{self, KeyEntry, KeyRegister, KeyState},
    seal::{self, SecretForm, StoredSecret},
    watch,
};
use crate::{config::StartError, directory::DirectoryArgs, time};

/// Signature algorithm on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KeyAlgorithm {
    /// Ed25519; needed for the formats with a Data Integrity proof.
    Eddsa,
    /// ECDSA on P-256; SD-JWT formats only.
    Es256,
}

impl From<KeyAlgorithm> for SignatureAlgorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Eddsa => Self::EdDsa,
            KeyAlgorithm::Es256 => Self::Es256,
        }
    }
}

/// Commands for keys. Those that change keys require that the service is stopped.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys, the oldest first.
    List {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// Also list the changes of the keys.
        #[arg(long)]
        history: bool,
    },
    /// Update did.json from the keys, and compare the published document with them.
    Check {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// Adopt the information about the keys that the published document has and keys.json lacks, after an older
        /// keys.json was restored.
        #[arg(long)]
        adopt: bool,
    },
    /// Create the next key and add it to did.json. It does not sign yet.
    Rotate {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// Algorithm of the new key; by default that of the key that signs.
        #[arg(long, value_enum)]
        algorithm: Option<KeyAlgorithm>,
    },
    /// Activate the next key, once it has been in the published document for long enough; the previous key is retired.
    Activate {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// Do not wait until verifiers have fetched the new document; until they have, they refuse new credentials.
        #[arg(long)]
        at_once: bool,
    },
    /// Retire a next key that is not wanted; with --compromised, mark any key that another party may have.
    Retire {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// The key, such as key-1.
        key: String,
        /// Mark the key as compromised: its signatures are no longer valid on their own. This cannot be undone.
        #[arg(long)]
        compromised: bool,
        /// Reason, for the history.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Seal the keys as configured under `[keys]`: with the key-encryption key, otherwise with the passphrase.
    Seal {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
        /// Key-encryption key with which the keys are sealed now, if the configuration already has another one.
        #[arg(long, value_name = "SOURCE")]
        old_kek: Option<Kek>,
        /// Source of the passphrase with which the keys are sealed now, if the configuration already has another
        /// secret.
        #[arg(long, value_name = "SOURCE", conflicts_with = "old_kek")]
        old_passphrase: Option<SecretSource>,
    },
    /// Store the keys in plain text, to seal them with another secret.
    Unseal {
        /// Data directory.
        #[command(flatten)]
        place: DirectoryArgs,
    },
}

/// Service that owns the keys.
#[derive(Debug)]
pub struct KeyOwner {
    /// DID of the service.
    pub did: Did,
    /// Configuration `[keys]`.
    pub config: KeysConfig,
    /// Fetcher for the published document.
    pub fetcher: HttpsFetcher,
}

impl KeysCommand {
    /// Returns the arguments with the data directory.
    #[must_use]
    pub const fn directory_args(&self) -> &DirectoryArgs {
        match self {
            Self::List { place, .. }
            | Self::Check { place, .. }
            | Self::Rotate { place, .. }
            | Self::Activate { place, .. }
            | Self::Seal { place, .. }
            | Self::Unseal { place }
            | Self::Retire { place, .. } => place,
        }
    }
}

/// Runs a command and prints its output.
///
/// # Errors
/// The command was refused, the keys are in use, or a file or document could not be read, written or fetched. For `keys
/// check`, also if the published document does not match the keys.
pub async fn run(verb: KeysCommand, owner: KeyOwner) -> Result<(), StartError> {
    let place = verb.directory_args().clone();
    let said = match verb {
        KeysCommand::List { history, .. } => list(&place.data, history)?,
        KeysCommand::Check { adopt, .. } => owner.check(&place.data, adopt).await?,
        KeysCommand::Rotate { algorithm, .. } => {
            owner.rotate(&place.data, algorithm.map(SignatureAlgorithm::from)).await?
        }
        KeysCommand::Activate { at_once, .. } => owner.activate(&place.data, at_once).await?,
        KeysCommand::Seal { old_kek, old_passphrase, .. } => {
            let now = owner.config.clone();
            let opened_by = KeysConfig {
                kek: old_kek.or(now.kek.clone()),
                passphrase: old_passphrase.or(now.passphrase.clone()),
                ..now
            };
            owner.seal(&place.data, &opened_by, false)?
        }
        KeysCommand::Unseal { .. } => owner.seal(&place.data, &owner.config, true)?,
        KeysCommand::Retire { key, compromised, reason, .. } => {
            owner.retire(&place.data, &key, compromised, reason.as_deref())?
        }
    };
    let is_published = said.0.get("published") != Some(&Value::Bool(false));
    if is_published || !place.json {
        carnet_console::print_line(if place.json { said.0.to_string() } else { said.1 });
    } else {
        carnet_console::set_error_members(said.0);
    }
    if !is_published {
        let hint = "Publish it unchanged, then run this again.";
        return Err(StartError::new("The published document does not match the keys.", hint).retryable());
    }
    Ok(())
}

/// Output of a command, as JSON and as text.
type CommandOutput = (Value, String);

fn list(data: &Path, history: bool) -> Result<CommandOutput, StartError> {
    let register = KeyRegister::load(data)?;
    let keys: Vec<Value> = register.keys().iter().map(key_json).collect();
    let mut lines: Vec<String> = register.keys().iter().map(key_line).collect();
    if !history {
        return Ok((json!({ "keys": keys }), lines.join("\n")));
    }
    lines.push(String::new());
    lines.extend(register.history().iter().map(super::KeyEvent::to_line));
    let value = json!({ "keys": keys, "history": register.history() });
    Ok((value, lines.join("\n")))
}

fn key_line(key: &KeyEntry) -> String {
    let at = |what: &str, at: Option<Timestamp>| at.map(|at| format!(", {what} {at}")).unwrap_or_default();
    let secret = key.secret.as_ref().map(|secret| format!(", {}", secret.description())).unwrap_or_default();
    format!(
        "{}  {}  {}{secret}{}{}{}{}{}",
        key.name,
        key.state.as_str(),
        key.public.algorithm().as_str(),
        at("made", key.created),
        at("published", key.published),
        at("active since", key.activated),
        at("retired", key.retired),
        at("compromised", key.compromised),
    )
}

fn key_json(key: &KeyEntry) -> Value {
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "name": key.name,
        "state": key.state.as_str(),
        "algorithm": key.public.algorithm().as_str(),
        "public_key": key.public.to_multikey(),
        "secret": key.secret.as_ref().map(StoredSecret::description),
        "created": at(key.created),
        "published": at(key.published),
        "activated": at(key.activated),
        "retired": at(key.retired),
        "compromised": at(key.compromised),
    })
}

/// Register that is locked for a change by this command.
struct LockedRegister<'a> {
    data: &'a Path,
    owner: &'a KeyOwner,
    register: KeyRegister,
    _lock: std::fs::File,
}

impl KeyOwner {
    /// Returns the path of the file that the operator publishes.
    fn published_file(&self, data: &Path) -> PathBuf {
        data.join(watch::published_name(&self.did, &self.fetcher))
    }

    /// Locks and loads the register, to add keys or change their states, and completes an interrupted change. Refuses a
    /// DID that contains its key.
    fn begin_change<'a>(&'a self, data: &'a Path) -> Result<LockedRegister<'a>, StartError> {
        if !self.did.has_published_document() {
            return Err(StartError::new(
                format!("{} contains its key, so a new key would be a new DID. Nothing was changed.", self.did),
                "Only a did:web or did:webvh can change its keys; create a new data directory with one, and register \
                 it.",
            ));
        }
        let mut change = self.lock_register(data)?;
        // Completes a change that a power failure interrupted.
        change.update_document()?;
        Ok(change)
    }

    fn lock_register<'a>(&'a self, data: &'a Path) -> Result<LockedRegister<'a>, StartError> {
        let lock = register::lock_exclusive(data)?;
        Ok(LockedRegister { data, owner: self, register: KeyRegister::load(data)?, _lock: lock })
    }

    /// Encrypts all keys in the form of the configuration, or, with `unsealing`, stores them in plain text. `opened_by`
    /// is the configuration with which they can be decrypted now. All keys are changed, or none.
    fn seal(&self, data: &Path, opened_by: &KeysConfig, unsealing: bool) -> Result<CommandOutput, StartError> {
        let form = if unsealing { SecretForm::Plain } else { self.config.secret_form() };
        if form == SecretForm::Plain && !unsealing {
            return Err(StartError::new(
                "The configuration names no secret to seal the keys with. Nothing was changed.",
                "Put passphrase = \"file:PATH\" or kek = \"file:PATH\" (or env:NAME, fd:NUMBER; kek also pkcs11:LABEL) under [keys] in config.toml.",
            ));
        }
        let mut change = self.lock_register(data)?;
        if !unsealing {
            seal::ensure_token_kek(&self.config)?;
        }
        let mut names = Vec::new();
        for key in &mut change.register.keys {
            let Some(secret) = key.secret.as_mut().filter(|secret| !matches!(secret, StoredSecret::Token(_))) else {
                continue;
            };
            *secret = StoredSecret::seal(&secret.open(&key.public, opened_by)?, form, &self.config)?;
            names.push(key.name.clone());
        }
        let mut updater = change.register.log.as_mut();
        while let Some(key) = updater {
            if !matches!(key.secret, StoredSecret::Token(_)) {
                key.secret = StoredSecret::seal(&key.secret.open(&key.public, opened_by)?, form, &self.config)?;
            }
            updater = key.following.as_deref_mut();
        }
        let act = if unsealing { "unseal" } else { "seal" };
        for name in &names {
            change.register.record_event(time::now(), act, name, None);
        }
        change.register.save(data)?;
        let how = form.description();
        let value = json!({ "keys": names, "form": how });
        let text = match names.as_slice() {
            [] => "There is nothing to do: the data directory contains no key.".to_owned(),
            names => format!(
                "{} now {how}. Earlier copies may remain in backups and in freed blocks of the disk.",
                names.join(", ")
            ),
        };
        Ok((value, text))
    }

    async fn check(&self, data: &Path, adopt: bool) -> Result<CommandOutput, StartError> {
        // A running service does not read did.json. A new log entry changes the register, and needs the lock.
        let lock = if adopt { Some(register::lock_exclusive(data)?) } else { register::lock_exclusive(data).ok() };
        let mut register = KeyRegister::load(data)?;
        let adopted = if adopt { self.adopt(data, &mut register).await? } else { Vec::new() };
        let written = document::update_document(data, &self.did, &mut register, &self.config, lock.is_some())?;
        drop(lock);
        let differences = self.published_differences(data, &register).await?;
        let value = json!({
            "did_document_written": written, "published": differences.is_empty(), "differences": differences,
            "adopted": adopted,
        });
        let mut text = match adopted.as_slice() {
            [] => String::new(),
            names => format!("Adopted from the published document: {}.\n", names.join(", ")),
        };
        text.push_str(if written { "did.json was updated to match the keys.\n" } else { "" });
        if register.key_in_state(KeyState::Active).is_none() {
            text.push_str(&format!("{}\n", no_active_key_advice(&register)));
        }
        text.push_str(&if differences.is_empty() {
            "The published document matches the keys.".to_owned()
        } else {
            format!(
                "Publish {}: in the published document {}.",
                self.published_file(data).display(),
                differences.join("; ")
            )
        });
        Ok((value, text))
    }

    /// Adopts the published document's information about the keys; returns the names of the changed ones.
    async fn adopt(&self, data: &Path, register: &mut KeyRegister) -> Result<Vec<String>, StartError> {
        let document = self.fetch().await?;
        let mut adopted = Vec::new();
        let known: Vec<String> = register.keys().iter().map(|key| key.name.clone()).collect();
        for name in known.into_iter().chain(register.unused_names()) {
            let Ok(method) = self.did.with_fragment(&name) else { continue };
            let own = register.keys().iter().find(|key| key.name == name).map(|key| key.public.clone());
            // The key may be marked as revoked under another method id.
            let revoked = document.revoked_at(&method).or_else(|| document.key_revoked_at(own.as_ref()?));
            let public = match (own, revoked) {
                (Some(own), Some(_)) => Ok(own),
                (None, Some(_)) => document.revoked_assertion_key(&method),
                (_, None) => document.key_for(&method, VerificationRelationship::AssertionMethod),
            };
            if public.is_ok_and(|public| register.adopt_key(&name, &public, revoked, time::now())) {
                adopted.push(name);
            }
        }
        if !adopted.is_empty() {
            register.save(data)?;
        }
        Ok(adopted)
    }

    /// Lists the differences between the published document and the register; fails if the document is newer.
    async fn published_differences(&self, data: &Path, register: &KeyRegister) -> Result<Vec<String>, StartError> {
        let document = self.fetch().await?;
        comparison::require_newest(data, "the published document", &self.did, &document, register)?;
        Ok(comparison::document_differences(&self.did, &document, register))
    }

    async fn fetch(&self) -> Result<Arc<DidDocument>, StartError> {
        watch::fetch_published_document(&self.did, &self.fetcher).await.map_err(|problem| {
            let hint = if problem.code == Code::AddressForbidden {
                "If that address is correct, add the host to private_hosts under [serve] in config.toml, and try again."
            } else {
                "Publish did.json, check that it can be fetched from this machine (extra_ca under [serve] in \
                 config.toml names your own certificate authority), and try again."
            };
            StartError::new(format!("The published document of {} could not be fetched: {problem}.", self.did), hint)
                .retryable()
        })
    }

    async fn rotate(&self, data: &Path, algorithm: Option<SignatureAlgorithm>) -> Result<CommandOutput, StartError> {
        let mut change = self.begin_change(data)?;
        // Best effort: a register from an old backup would give the new key the name of another one.
        if let Ok(document) = self.fetch().await {
            comparison::require_newest(data, "the published document", &self.did, &document, &change.register)?;
        }
        change.register.new_key_name()?;
        let signing = change.register.key_in_state(KeyState::Active).map(|key| key.public.algorithm());
        let (public, secret) =
            keyring::create_key(algorithm.or(signing).unwrap_or(SignatureAlgorithm::EdDsa), &self.config)?;
        let name = change.register.add_next_key(public, secret, time::now())?;
        change.commit()?;
        Ok((
            json!({ "key": name, "did_document": self.published_file(data).display().to_string() }),
            format!(
                "{name} was created, and does not sign yet. Publish {}, start the service, and after at least {} \
                 hours\n stop it and run `keys activate`. If another key leaked or is lost, do not wait: \
                 docs/a-key-leaked.md.",
                self.published_file(data).display(),
                self.config.overlap_hours
            ),
        ))
    }

    async fn activate(&self, data: &Path, at_once: bool) -> Result<CommandOutput, StartError> {
        let mut change = self.begin_change(data)?;
        if change.register.key_in_state(KeyState::Next).is_none() {
            return Err(register::KeyChangeError::NoNext.into());
        }
        let differences = self.published_differences(data, &change.register).await?;
        if !differences.is_empty() {
            return Err(StartError::new(
                format!("Nothing was changed: in the published document {}.", differences.join("; ")),
                format!("Publish {} unchanged, then run this again.", self.published_file(data).display()),
            )
            .retryable());
        }
        let now = time::now();
        let since = change.register.record_published(now)?;
        let from = since.plus(i64::from(self.config.overlap_hours).saturating_mul(3600));
        if now < from && !at_once {
            let meanwhile = match change.register.key_in_state(KeyState::Active) {
                Some(active) => format!("{} keeps signing.", active.name),
                None => "No key signs until then.".to_owned(),
            };
            change.commit()?;
            return Err(StartError::new(
                format!(
                    "The new key has been published since {since}, and some verifiers may not have fetched it yet. \
                     {meanwhile}"
                ),
                format!("Run this again at or after {from}, or use --at-once."),
            )
            .retryable());
        }
        let (name, label) = change.register.activate_next_key(now)?;
        change.commit()?;
        let erased = self.destroy_and_describe(label.as_deref());
        Ok((
            json!({ "key": name }),
            format!("{name} signs from the next start. The previous key is retired, and {erased}."),
        ))
    }

    fn retire(
        &self,
        data: &Path,
        key: &str,
        compromised: bool,
        reason: Option<&str>,
    ) -> Result<CommandOutput, StartError> {
        if reason.is_some_and(|reason| reason.trim().is_empty() || reason.chars().any(char::is_control)) {
            let hint = "Describe in one line what happened, or omit --reason: it stays in the history.";
            return Err(StartError::new("The reason is empty, or longer than one line. Nothing was changed.", hint));
        }
        let mut change = self.begin_change(data)?;
        let now = time::now();
        let label = if compromised {
            change.register.mark_compromised(key, reason, now)?
        } else {
            change.register.retire_key(key, reason, now)?
        };
        change.commit()?;
        let erased = self.destroy_and_describe(label.as_deref());
        let signing = change.register.key_in_state(KeyState::Active).map(|key| key.name.clone());
        let state = if compromised { "compromised" } else { "retired" };
        let next = match &signing {
            Some(active) => format!("{active} keeps signing."),
            None => no_active_key_advice(&change.register),
        };
        let value = json!({ "key": key, "state": state, "active": signing });
        Ok((value, format!("{key} is {state}, and {erased}. Publish {}. {next}", self.published_file(data).display())))
    }

    /// Destroys an unneeded key in its token, and describes the state of its secret in words. `None`: the secret was in
    /// the register, and is erased.
    fn destroy_and_describe(&self, label: Option<&str>) -> String {
        let Some(label) = label else { return "its secret erased".to_owned() };
        match keyring::destroy_token_key(&self.config, label) {
            Ok(()) => "destroyed in its token".to_owned(),
            Err(error) => {
                tracing::warn!(%error, label, "a key could not be destroyed in its token");
                format!("still in its token as {label}; delete it there")
            }
        }
    }
}

/// Returns the advice for a register without an active key.
fn no_active_key_advice(register: &KeyRegister) -> String {
    let first = if register.key_in_state(KeyState::Next).is_some() { "" } else { "make one with `keys rotate`, " };
    format!("No key is active now: {first}publish it, then run `keys activate --at-once`.")
}

impl LockedRegister<'_> {
    /// Saves the register, then updates the document from it. If the second step is interrupted, the next command
    /// completes it.
    fn commit(&mut self) -> Result<(), StartError> {
        self.register.save(self.data)?;
        self.update_document()
    }

    fn update_document(&mut self) -> Result<(), StartError> {
        document::update_document(self.data, &self.owner.did, &mut self.register, &self.owner.config, true).map(drop)
    }
}
