//! DID document in the data directory: the operator publishes it, and the key commands keep it consistent with the key
//! register.

use std::path::Path;

use carnet_core::{
    did::{Did, DidDocument},
    json::{self, Limits},
};
use serde_json::Value;

use super::{
    KeysConfig,
    comparison::{document_differences, require_newest},
    log,
    merging::merge_keys,
    register::KeyRegister,
};
use crate::{config::StartError, disk};

const DID_DOCUMENT_FILE: &str = "did.json";

/// Updates `DIR/did.json` so that it lists the keys of the register in their current states. Its other content is kept.
/// For a did:webvh DID, also appends an entry to the log, which changes the register; this needs the exclusive lock of
/// the keys, and `held` states that the caller holds it. Returns whether anything was written.
///
/// # Errors
/// The document is of another DID, is not JSON, is newer than the register, or cannot be written; the log lacks an
/// entry, and the lock is not held.
pub(super) fn update_document(
    data: &Path,
    did: &Did,
    register: &mut KeyRegister,
    config: &KeysConfig,
    held: bool,
) -> Result<bool, StartError> {
    let path = data.join(DID_DOCUMENT_FILE);
    log::require_not_older(data, did, register)?;
    let refused = |why: String| {
        StartError::new(
            format!("{} could not be updated to match the keys: {why}.", path.display()),
            "Correct that and run `keys check`: it writes the document for the keys.",
        )
    };
    let before = match std::fs::read(&path) {
        Ok(text) => {
            let value = json::parse(&text, Limits::DOCUMENT).map_err(|problem| refused(problem.to_string()))?;
            let document = DidDocument::parse(did, &value).map_err(|problem| refused(problem.to_string()))?;
            require_newest(data, &path.display().to_string(), did, &document, register)?;
            Some(value)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(refused(error.to_string())),
    };
    let after = merge_keys(did, before.as_ref().and_then(Value::as_object), register);
    // The log first: if it cannot continue, the document is not changed either.
    let logged = log::update_log(data, did, &after, register, config, held)?;
    if before.as_ref() == Some(&after) {
        return Ok(logged);
    }
    disk::replace_file(&path, format!("{after:#}\n").as_bytes(), 0o644).map_err(|error| refused(error.to_string()))?;
    Ok(true)
}

/// Returns a DID document with the keys of the register in the data directory, to verify the service's own signatures.
/// Compromised keys are marked as revoked.
///
/// # Errors
/// The register cannot be loaded; the document would be invalid for the DID.
pub fn own_document(data: &Path, did: &Did) -> Result<DidDocument, StartError> {
    let register = KeyRegister::load(data)?;
    DidDocument::parse(did, &merge_keys(did, None, &register)).map_err(|problem| {
        StartError::new(format!("The keys do not match the DID {did}: {problem}."), "Check `did` in the configuration.")
    })
}

/// Lists the differences between the published document and the keys in a data directory, as text; empty if there are
/// none.
///
/// # Errors
/// The register cannot be loaded; the document has newer information about a key than the register.
pub fn compare_published(data: &Path, did: &Did, document: &DidDocument) -> Result<Vec<String>, StartError> {
    let register = KeyRegister::load(data)?;
    require_newest(data, "the published document", did, document, &register)?;
    Ok(document_differences(did, document, &register))
}

/// Checks that the DID document in the data directory lists every key of the register in its current state, before the
/// service starts.
///
/// # Errors
/// The document, or the log of a did:webvh DID, is missing or invalid, is for another DID, or is newer than the
/// register; or the document differs from the register.
pub fn require_listed(data: &Path, did: &Did, keys: &super::Keyring) -> Result<(), StartError> {
    let path = data.join(DID_DOCUMENT_FILE);
    log::require_not_older(data, did, keys.register())?;
    let read = || -> Option<DidDocument> {
        let text = std::fs::read(&path).ok()?;
        DidDocument::parse(did, &json::parse(&text, Limits::DOCUMENT).ok()?).ok()
    };
    let differences = match read() {
        Some(document) => {
            require_newest(data, &path.display().to_string(), did, &document, keys.register())?;
            document_differences(did, &document, keys.register())
        }
        None => vec!["it is missing, damaged, or for another DID".to_owned()],
    };
    if differences.is_empty() {
        return Ok(());
    }
    Err(StartError::new(
        format!("{} does not match this service's keys and its DID {did}: {}.", path.display(), differences.join("; ")),
        "Set `did` in the configuration to the DID given to init, and run `keys check`: it writes the document.",
    )
    .nothing_started())
}
