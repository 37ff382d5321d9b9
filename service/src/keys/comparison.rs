//! Comparison of a DID document with the key register.

use std::path::Path;

use carnet_core::did::{Did, DidDocument, VerificationRelationship};

use super::register::{KeyRegister, KeyState};
use crate::config::StartError;

/// Lists the differences between a document and the register, as text; empty if the document has every key of the
/// register in its current state. Retired and next keys must be listed too.
pub(super) fn document_differences(did: &Did, document: &DidDocument, register: &KeyRegister) -> Vec<String> {
    let mut differences = Vec::new();
    for key in register.keys() {
        let Ok(method) = did.with_fragment(&key.name) else { continue };
        let difference = match (key.state, document.key_for(&method, VerificationRelationship::AssertionMethod)) {
            (KeyState::Compromised, _) if document.revoked_at(&method).is_some() => continue,
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
fn newer_facts(did: &Did, document: &DidDocument, register: &KeyRegister) -> Vec<String> {
    let method = |name: &str| did.with_fragment(name).ok();
    let listed = |name: &str| {
        let method = method(name)?;
        let known = document.revoked_at(&method).is_some()
            || document.key_for(&method, VerificationRelationship::AssertionMethod).is_ok();
        known.then_some(method)
    };
    let mut found = Vec::new();
    for key in register.keys() {
        let Some(method) = method(&key.name) else { continue };
        let revoked = document.revoked_at(&method).or_else(|| document.key_revoked_at(&key.public));
        if key.state != KeyState::Compromised && revoked.is_some() {
            found.push(format!("{} is revoked there", key.name));
        } else if document
            .key_for(&method, VerificationRelationship::AssertionMethod)
            .is_ok_and(|there| there != key.public)
        {
            found.push(format!("{} is a different key there", key.name));
        }
    }
    let later = register.unused_names().filter(|name| listed(name).is_some());
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
    let ahead = newer_facts(did, document, register);
    if ahead.is_empty() {
        return Ok(());
    }
    Err(StartError::new(
        format!("The keys in {} are older than {place}: {}.", data.display(), ahead.join("; ")),
        "Restore the newest keys.json, and publish nothing from this directory before that: it would undo the \
         revocation of a key. If there is no newer one, run `keys check --adopt`: it adopts the published document.",
    )
    .nothing_changed())
}
