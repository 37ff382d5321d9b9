//! The log of a did:webvh DID beside the keys: `did.jsonl`, with one more entry for each change of the document.

use std::path::Path;

use carnet_core::{
    Problem,
    did::{
        Did,
        webvh::{self, Chain, Change, Inception, Log},
    },
    keys::{Algorithm, PublicKey},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    KeysConfig,
    register::{self, Register},
    ring,
    seal::Secret,
};
use crate::{config::StartError, disk, time};

const FILE: &str = "did.jsonl";
/// How far the last entry may be ahead of this clock, in seconds: entries are a second apart at least.
const SKEW: i64 = 60;

/// The key that signs the log's entries, and nothing else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Updater {
    #[serde(with = "register::jwk")]
    pub(super) public: PublicKey,
    pub(super) secret: Secret,
}

/// Begins a did:webvh DID: its keys, and its log with one entry. `place` is host and path as in a did:web DID; `document`
/// renders the first document for a DID and its key. The DID, and the document as it stands in the log.
///
/// # Errors
/// There are keys already; the place is none; the keys cannot be made, sealed or written.
pub fn begin(
    data: &Path,
    place: &str,
    algorithm: Algorithm,
    config: &KeysConfig,
    document: &dyn Fn(&Did, &PublicKey) -> Value,
) -> Result<(Did, Value), StartError> {
    let _lock = register::lock_exclusive(data)?;
    ring::require_none(data)?;
    let (public, secret) = ring::make(algorithm, config)?;
    let (update, update_secret) = ring::make(Algorithm::EdDsa, config)?;
    let now = time::now();
    let signer = ring::signer(&update_secret, &update, config)?;
    let inception = Inception { place, at: now, update: signer.as_ref(), next: &[], ttl: None };
    let (did, text) =
        webvh::create(&inception, &|did| document(did, &public)).map_err(|problem| refused(data, &problem))?;
    let state = last_state(&verified(&did, text.as_bytes(), now).map_err(|problem| refused(data, &problem))?);
    let mut register = Register::new(public, secret, now);
    register.log = Some(Updater { public: update, secret: update_secret });
    register.save(data)?;
    write(data, &text)?;
    Ok((did, state))
}

/// Adds an entry to the log if its last version is not this document.
///
/// # Errors
/// The log is missing or does not verify; the update key cannot be opened; the log cannot be written.
pub(super) fn settle(
    data: &Path,
    did: &Did,
    document: &Value,
    register: &Register,
    config: &KeysConfig,
) -> Result<bool, StartError> {
    let problem = |problem: Problem| refused(data, &problem);
    let text = std::fs::read_to_string(data.join(FILE)).map_err(|error| unwritten(data, &error))?;
    let now = time::now();
    let log = verified(did, text.as_bytes(), now).map_err(problem)?;
    if last_state(&log) == *document {
        return Ok(false);
    }
    let Some(updater) = &register.log else {
        return Err(StartError::new(
            format!(
                "The keys in {} have none that may add to the DID's log. Nothing was changed in it.",
                data.display()
            ),
            "Restore keys.json from a backup.",
        ));
    };
    let update = ring::signer(&updater.secret, &updater.public, config)?;
    let last = log.versions().last().map_or(now, |version| version.at().plus(1));
    let change = Change { at: now.max(last), state: document, update_keys: None, next: None, deactivate: false };
    let longer = webvh::append(&log, &text, &change, update.as_ref()).map_err(problem)?;
    write(data, &longer)?;
    Ok(true)
}

fn verified(did: &Did, text: &[u8], now: Timestamp) -> Result<Log, Problem> {
    Chain::verify(did, text, now, SKEW)?.witnessed(None, now, SKEW)
}

fn last_state(log: &Log) -> Value {
    log.versions().last().map(|version| version.state().clone()).unwrap_or_default()
}

fn write(data: &Path, text: &str) -> Result<(), StartError> {
    disk::replace(&data.join(FILE), text.as_bytes(), 0o644).map_err(|error| unwritten(data, &error))
}

fn unwritten(data: &Path, error: &std::io::Error) -> StartError {
    StartError::new(
        format!("The DID's log {} cannot be read or written: {error}.", data.join(FILE).display()),
        "Correct that and run `keys check`: it adds to the log what is missing in it.",
    )
}

fn refused(data: &Path, problem: &Problem) -> StartError {
    StartError::new(
        format!("The DID's log {} is refused: {problem}. Nothing was changed in it.", data.join(FILE).display()),
        "Check the DID's host and path; if the file was changed, restore it as it is published.",
    )
}
