//! Log of a did:webvh DID in the data directory: `did.jsonl`, with an entry for each change of the document.

use std::path::Path;

use carnet_core::{
    Problem,
    did::{
        Did, DidMethod,
        webvh::{self, LogUpdate, NewWebVhDid, UnwitnessedLog, WebVhLog},
    },
    keys::{PublicKey, SecretKey, SignatureAlgorithm},
    time::{CLOCK_SKEW, Timestamp},
};
use serde_json::Value;

use super::{
    KeysConfig, comparison, keyring,
    register::{self, KeyRegister},
    updater::UpdateKey,
};
use crate::{config::StartError, disk, time};

const DID_LOG_FILE: &str = "did.jsonl";

/// Creates a did:webvh DID: its keys, its register, and its log with one entry. `place` is host and path as in a
/// did:web DID; `document` returns the first DID document for the DID and its public key. Returns the DID and the
/// document as in the log; the caller writes `did.json`.
///
/// # Errors
/// Keys already exist; `place` is malformed; the keys cannot be created, encrypted or written.
pub fn create_webvh(
    data: &Path,
    place: &str,
    algorithm: SignatureAlgorithm,
    config: &KeysConfig,
    document: &dyn Fn(&Did, &PublicKey) -> Value,
) -> Result<(Did, Value), StartError> {
    let _lock = register::lock_exclusive(data)?;
    keyring::require_no_keys(data)?;
    let (public, secret) = keyring::create_key(algorithm, config)?;
    let updater = new_updater(config)?;
    let now = time::now();
    // This key signs only the first entry, so it is not stored; the next entry is signed with the committed key.
    let first = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    let inception = NewWebVhDid {
        location: place,
        version_time: now,
        update_key: &first,
        next_update_keys: std::slice::from_ref(&updater.public),
        ttl: None,
    };
    let (did, text) =
        webvh::create_did(&inception, &|did| document(did, &public)).map_err(|problem| refused(data, &problem))?;
    let state = last_state(&verify_log(&did, text.as_bytes(), now).map_err(|problem| refused(data, &problem))?);
    let mut register = KeyRegister::new(public, secret, now);
    register.log = Some(updater);
    register.save(data)?;
    write(data, &text)?;
    Ok((did, state))
}

/// Refuses a register that is older than the log in the data directory, for a DID with a log.
///
/// # Errors
/// The log's document states something about a key that the register lacks; the log is missing or does not verify.
pub(super) fn require_not_older(data: &Path, did: &Did, register: &KeyRegister) -> Result<(), StartError> {
    if !has_log(did) {
        return Ok(());
    }
    let path = data.join(DID_LOG_FILE);
    let text = std::fs::read(&path).map_err(|error| unwritten(data, &error))?;
    let log = verify_log(did, &text, time::now()).map_err(|problem| refused(data, &problem))?;
    let document = log.document().map_err(|problem| refused(data, &problem))?;
    comparison::require_newest(data, &path.display().to_string(), did, &document, register)
}

/// Appends an entry to the log, for a DID with one, if its last document is not `document`, and rotates the update key (pre-rotation).
/// `held` states that the caller holds the exclusive lock of the keys; without it, nothing is written. Returns whether
/// an entry was appended.
///
/// # Errors
/// A missing entry, without the lock; the log is missing or does not verify; the update key is missing or cannot be
/// decrypted; the register or the log cannot be written.
pub(super) fn update_log(
    data: &Path,
    did: &Did,
    document: &Value,
    register: &mut KeyRegister,
    config: &KeysConfig,
    held: bool,
) -> Result<bool, StartError> {
    if !has_log(did) {
        return Ok(false);
    }
    let problem = |problem: Problem| refused(data, &problem);
    let text = std::fs::read_to_string(data.join(DID_LOG_FILE)).map_err(|error| unwritten(data, &error))?;
    let now = time::now();
    let log = verify_log(did, text.as_bytes(), now).map_err(problem)?;
    let settled = last_state(&log) == *document;
    if !held {
        return if settled { Ok(false) } else { Err(in_use()) };
    }
    // The log was written but not the register: the key that signed the last entry must not be used again.
    let used = register.log.as_ref().is_some_and(|updater| {
        !log.may_sign_next(&updater.public)
            && updater.following.as_ref().is_some_and(|next| log.may_sign_next(&next.public))
    });
    if used {
        promote_next_key(data, register)?;
    }
    if settled {
        return Ok(false);
    }
    let Some(updater) = register.log.as_mut().filter(|updater| log.may_sign_next(&updater.public)) else {
        return Err(StartError::new(
            format!("None of the keys in {} may extend the DID log. The log is unchanged.", data.display()),
            "Restore keys.json and did.jsonl from a backup of the same time.",
        ));
    };
    let update = keyring::open_signer(&updater.secret, &updater.public, config)?;
    let current = updater.public.clone();
    let next = match &updater.following {
        Some(next) => next.public.clone(),
        None => updater.following.insert(Box::new(new_updater(config)?)).public.clone(),
    };
    // Before its hash is published: if the key were lost, nobody could ever change the document again.
    register.save(data)?;
    let last = log.versions().last().map_or(now, |version| version.version_time().plus(1));
    let change = LogUpdate {
        version_time: now.max(last),
        state: document,
        update_keys: Some(std::slice::from_ref(&current)),
        next_update_keys: Some(std::slice::from_ref(&next)),
        deactivate: false,
    };
    let longer = webvh::append(&log, &text, &change, update.as_ref()).map_err(problem)?;
    write(data, &longer)?;
    promote_next_key(data, register)?;
    Ok(true)
}

fn has_log(did: &Did) -> bool {
    did.method() == DidMethod::WebVh
}

fn new_updater(config: &KeysConfig) -> Result<UpdateKey, StartError> {
    let (public, secret) = keyring::create_key(SignatureAlgorithm::EdDsa, config)?;
    Ok(UpdateKey { public, secret, following: None })
}

/// Replaces the used update key with the committed next one, and saves the register without the used key's secret.
fn promote_next_key(data: &Path, register: &mut KeyRegister) -> Result<(), StartError> {
    if let Some(next) = register.log.as_mut().and_then(|updater| updater.following.take()) {
        register.log = Some(*next);
        register.save(data)?;
    }
    Ok(())
}

fn verify_log(did: &Did, text: &[u8], now: Timestamp) -> Result<WebVhLog, Problem> {
    UnwitnessedLog::verify_entries(did, text, now, CLOCK_SKEW)?.verify_witnesses(None, now, CLOCK_SKEW)
}

fn last_state(log: &WebVhLog) -> Value {
    log.versions().last().map(|version| version.state().clone()).unwrap_or_default()
}

fn write(data: &Path, text: &str) -> Result<(), StartError> {
    disk::replace_file(&data.join(DID_LOG_FILE), text.as_bytes(), 0o644).map_err(|error| unwritten(data, &error))
}

fn unwritten(data: &Path, error: &std::io::Error) -> StartError {
    StartError::new(
        format!("The DID log {} cannot be read or written: {error}.", data.join(DID_LOG_FILE).display()),
        "Correct that and run `keys check`: it adds the missing entries to the log.",
    )
}

fn in_use() -> StartError {
    StartError::new(
        "The DID log lacks the last change of the document, and a program is using the keys. The log is unchanged.",
        "Stop the service, run `keys check`, and start the service.",
    )
    .retryable()
}

fn refused(data: &Path, problem: &Problem) -> StartError {
    StartError::new(
        format!("The DID log {} is invalid: {problem}. It is unchanged.", data.join(DID_LOG_FILE).display()),
        "Check the DID's host and path; if the file was changed, restore the published version.",
    )
}
