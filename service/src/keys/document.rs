//! DID document in the data directory: the operator publishes it, and the key commands keep it consistent with the key
//! register.

use std::path::Path;

use carnet_core::{
    did::{Did, DidDocument, DidMethod, VerificationRelationship},
    json::{self, Limits},
};
use serde_json::{Map, Value, json};

use super::{
    KeysConfig, log,
    register::{KeyRegister, KeyState},
};
use crate::{config::StartError, disk};

const FILE: &str = "did.json";
/// Member of a DID document with the public keys.
const METHODS: &str = "verificationMethod";
const PURPOSES: [VerificationRelationship; 2] =
    [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication];

/// Updates `DIR/did.json` so that it lists the keys of the register in their current states. Its other content is kept.
/// For a did:webvh DID, also appends an entry to the log, which changes the register; this needs the exclusive lock of
/// the keys, and `held` states that the caller holds it. Returns whether anything was written.
///
/// # Errors
/// The document is of another DID, is not JSON, is newer than the register, or cannot be written; the log lacks an
/// entry, and the lock is not held.
pub(super) fn settle(
    data: &Path,
    did: &Did,
    register: &mut KeyRegister,
    config: &KeysConfig,
    held: bool,
) -> Result<bool, StartError> {
    let path = data.join(FILE);
    if did.method() == DidMethod::WebVh {
        log::require_newest(data, did, register)?;
    }
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
    let after = merged(did, before.as_ref().and_then(Value::as_object), register);
    // The log first: if it cannot continue, the document is not changed either.
    let logged = did.method() == DidMethod::WebVh && log::settle(data, did, &after, register, config, held)?;
    if before.as_ref() == Some(&after) {
        return Ok(logged);
    }
    disk::replace(&path, format!("{after:#}\n").as_bytes(), 0o644).map_err(|error| refused(error.to_string()))?;
    Ok(true)
}

/// Returns the DID document with the register's keys, and with the content of `before` that does not concern them.
/// Compromised keys are marked as revoked, and are not listed for authentication.
pub(super) fn merged(did: &Did, before: Option<&Map<String, Value>>, register: &KeyRegister) -> Value {
    let keys: Vec<_> = register.keys().iter().map(|key| (key.name.clone(), key.public.clone())).collect();
    let mut fresh = DidDocument::render(did, &keys);
    for key in register.keys() {
        let id = format!("{did}#{}", key.name);
        let method = entries(&mut fresh, METHODS).find(|method| names(method, did, &id));
        if let (Some(at), Some(Value::Object(method))) = (key.compromised, method) {
            method.insert("revoked".to_owned(), json!(at.to_string()));
        }
        // Someone with a stolen key must not be able to impersonate the service.
        if key.state == KeyState::Compromised
            && let Some(Value::Array(listed)) = fresh.get_mut(VerificationRelationship::Authentication.as_str())
        {
            listed.retain(|entry| entry.as_str() != Some(&id));
        }
    }
    let Some(before) = before else { return fresh };
    let mut document = before.clone();
    let ours = |entry: &Value| register.keys().iter().any(|key| names(entry, did, &format!("{did}#{}", key.name)));
    for member in [METHODS, PURPOSES[0].as_str(), PURPOSES[1].as_str()] {
        let mut listed: Vec<Value> = entries(&mut fresh, member).map(|entry| entry.take()).collect();
        let others = document.get(member).and_then(Value::as_array).into_iter().flatten();
        listed.extend(others.filter(|entry| !ours(entry)).cloned());
        document.insert(member.to_owned(), Value::Array(listed));
    }
    Value::Object(document)
}

fn entries<'a>(document: &'a mut Value, member: &str) -> impl Iterator<Item = &'a mut Value> {
    document.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Returns whether an entry is the verification method with this id, or an absolute or relative reference to it.
fn names(entry: &Value, did: &Did, id: &str) -> bool {
    let named = entry.as_str().or_else(|| entry.get("id").and_then(Value::as_str)).unwrap_or_default();
    named == id || (named.starts_with('#') && format!("{did}{named}") == id)
}

/// Returns a DID document with the keys of the register in the data directory, to verify the service's own signatures.
/// Compromised keys are marked as revoked.
///
/// # Errors
/// The register cannot be loaded; the document would be invalid for the DID.
pub fn own_document(data: &Path, did: &Did) -> Result<DidDocument, StartError> {
    let register = KeyRegister::load(data)?;
    DidDocument::parse(did, &merged(did, None, &register)).map_err(|problem| {
        StartError::new(format!("The keys do not match the DID {did}: {problem}."), "Check `did` in the configuration.")
    })
}

/// Lists the differences between a document and the register, as text; empty if the document has every key of the
/// register in its current state. Retired and next keys must be listed too.
pub(super) fn differences(did: &Did, document: &DidDocument, register: &KeyRegister) -> Vec<String> {
    let mut differences = Vec::new();
    for key in register.keys() {
        let Ok(method) = did.with_fragment(&key.name) else { continue };
        let difference = match (key.state, document.key_for(&method, VerificationRelationship::AssertionMethod)) {
            (KeyState::Compromised, _) if document.revoked(&method).is_some() => continue,
            (KeyState::Compromised, _) => "is not marked as revoked",
            (_, Ok(found)) if found == key.public => continue,
            (_, Ok(_)) => "is a different key there",
            (_, Err(_)) => "is not listed",
        };
        differences.push(format!("{} {difference}", key.name));
    }
    differences
}

/// Lists the facts about the service's keys that a document states and the register lacks, as text: revocations, other
/// public keys, and later keys.
fn ahead(did: &Did, document: &DidDocument, register: &KeyRegister) -> Vec<String> {
    let method = |name: &str| did.with_fragment(name).ok();
    let listed = |name: &str| {
        let method = method(name)?;
        let known = document.revoked(&method).is_some()
            || document.key_for(&method, VerificationRelationship::AssertionMethod).is_ok();
        known.then_some(method)
    };
    let mut found = Vec::new();
    for key in register.keys() {
        let Some(method) = method(&key.name) else { continue };
        let revoked = document.revoked(&method).or_else(|| document.revoked_key(&key.public));
        if key.state != KeyState::Compromised && revoked.is_some() {
            found.push(format!("{} is revoked there", key.name));
        } else if document
            .key_for(&method, VerificationRelationship::AssertionMethod)
            .is_ok_and(|there| there != key.public)
        {
            found.push(format!("{} is a different key there", key.name));
        }
    }
    let later = register.names_to_come().filter(|name| listed(name).is_some());
    found.extend(later.map(|name| format!("{name} is not in keys.json")));
    found
}

/// Refuses a register that is older than a document: it would sign with revoked keys, undo the revocation, and assign a
/// key name twice. `place` names the document in the error.
///
/// # Errors
/// The document states something about a key that the register lacks.
pub(super) fn require_newest(
    data: &Path,
    place: &str,
    did: &Did,
    document: &DidDocument,
    register: &KeyRegister,
) -> Result<(), StartError> {
    let ahead = ahead(did, document, register);
    if ahead.is_empty() {
        return Ok(());
    }
    Err(StartError::new(
        format!("The keys in {} are older than {place}: {}.", data.display(), ahead.join("; ")),
        "Restore the newest keys.json, and publish nothing from this directory before that: it would undo the \
         revocation of a key. If there is no newer one, run `keys check --adopt`: it adopts the published document.",
    )
    .unchanged())
}

/// Lists the differences between the published document and the keys in a data directory, as text; empty if there are
/// none.
///
/// # Errors
/// The register cannot be loaded; the document has newer information about a key than the register.
pub fn compare_published(data: &Path, did: &Did, document: &DidDocument) -> Result<Vec<String>, StartError> {
    let register = KeyRegister::load(data)?;
    require_newest(data, "the published document", did, document, &register)?;
    Ok(differences(did, document, &register))
}

/// Checks that the DID document in the data directory lists every key of the register in its current state, before the
/// service starts.
///
/// # Errors
/// The document, or the log of a did:webvh DID, is missing or invalid, is for another DID, or is newer than the
/// register; or the document differs from the register.
pub fn require_listed(data: &Path, did: &Did, keys: &super::Keyring) -> Result<(), StartError> {
    let path = data.join(FILE);
    if did.method() == DidMethod::WebVh {
        log::require_newest(data, did, keys.register())?;
    }
    let read = || -> Option<DidDocument> {
        let text = std::fs::read(&path).ok()?;
        DidDocument::parse(did, &json::parse(&text, Limits::DOCUMENT).ok()?).ok()
    };
    let differences = match read() {
        Some(document) => {
            require_newest(data, &path.display().to_string(), did, &document, keys.register())?;
            differences(did, &document, keys.register())
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
    .unstarted())
}
