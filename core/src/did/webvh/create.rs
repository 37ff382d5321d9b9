//! Creation of a did:webvh log, and new entries, for the controller of the DID.

use serde_json::{Map, Value, json};

use super::{
    METHOD, PLACEHOLDER, entry, invalid,
    log::{UnwitnessedLog, WebVhLog},
};
use crate::{
    Problem,
    did::{Did, VerificationRelationship},
    keys::{PublicKey, Signer},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

/// Parameters of a new did:webvh DID and its first log entry.
#[derive(Clone, Copy)]
pub struct NewWebVhDid<'a> {
    /// Host and path as in a did:web DID: `university.example`, `localhost%3A8443:issuer`.
    pub location: &'a str,
    /// `versionTime` of the first version.
    pub version_time: Timestamp,
    /// Ed25519 key that signs the first entry and, if `next` is empty, may sign the second one. It is best kept apart
    /// from the keys that sign credentials.
    pub update_key: &'a dyn Signer,
    /// Keys to which the first entry commits as permitted update keys of the next one (pre-rotation); empty: no
    /// commitment.
    pub next_update_keys: &'a [PublicKey],
    /// Time for which the document may be cached, in seconds; `None`: one hour.
    pub ttl: Option<u64>,
}

/// Changes in a new log entry.
#[derive(Clone, Copy)]
pub struct LogUpdate<'a> {
    /// `versionTime` of the new version, later than that of the previous one.
    pub version_time: Timestamp,
    /// DID document of the new version, as published.
    pub state: &'a Value,
    /// New update keys; `None`: unchanged. With pre-rotation they are required, and the previous entry must have
    /// committed to them.
    pub update_keys: Option<&'a [PublicKey]>,
    /// Keys to which this entry commits as permitted update keys of the next one (pre-rotation). `None` and an empty
    /// list commit to no keys, which ends pre-rotation.
    pub next_update_keys: Option<&'a [PublicKey]>,
    /// `true` deactivates the DID permanently.
    pub deactivate: bool,
}

fn multikeys(keys: &[PublicKey]) -> Value {
    keys.iter().map(PublicKey::to_multikey).collect()
}

fn hashes(keys: &[PublicKey]) -> Value {
    keys.iter().map(|key| entry::hash(key.to_multikey().as_bytes())).collect()
}

/// Creates a DID, and its log with one entry. Returns the DID and the text of the log.
///
/// The DID contains a hash of its first document, which itself contains the DID. `document` is called with a
/// provisional DID, which is replaced in the result.
///
/// # Errors
/// Those of [`UnwitnessedLog::verify_entries`] for the new log; `algorithm_mismatch` (an update key other than Ed25519), and
/// those of the signer.
pub fn create_did(inception: &NewWebVhDid<'_>, document: &dyn Fn(&Did) -> Value) -> Result<(Did, String), Problem> {
    let provisional = entry::hash(PLACEHOLDER.as_bytes());
    let at_place = |scid: &str| Did::parse(&format!("did:webvh:{scid}:{}", inception.location));
    let state = document(&at_place(&provisional)?);
    let mut parameters = Map::new();
    parameters.insert("method".to_owned(), METHOD.into());
    parameters.insert("scid".to_owned(), PLACEHOLDER.into());
    parameters.insert("updateKeys".to_owned(), multikeys(&[inception.update_key.public_key()]));
    if !inception.next_update_keys.is_empty() {
        parameters.insert("nextKeyHashes".to_owned(), hashes(inception.next_update_keys));
    }
    if let Some(ttl) = inception.ttl {
        parameters.insert("ttl".to_owned(), ttl.into());
    }
    let entry = json!({
        "versionId": PLACEHOLDER,
        "versionTime": inception.version_time.to_string(),
        "parameters": parameters,
        "state": entry::replace_text(&state, &provisional, PLACEHOLDER),
    });
    let scid = entry::hash(&crate::json::canonicalize(&entry)?);
    let Value::Object(mut members) = entry::replace_text(&entry, PLACEHOLDER, &scid) else {
        return Err(invalid("the entry is not an object"));
    };
    members.insert("versionId".to_owned(), scid.as_str().into());
    let did = at_place(&scid)?;
    let line = finish(members, 1, inception.version_time, inception.update_key)?;
    UnwitnessedLog::verify_entries(&did, line.as_bytes(), inception.version_time, 0)?;
    Ok((did, line))
}

/// Returns the text of a log with one more entry. `log` is the verified log of `text`; `update` signs the entry, and is
/// one of the current update keys or, with pre-rotation, one of the new ones.
///
/// The result is verified before it is returned, except for its witness proofs.
///
/// # Errors
/// Those of [`create_did`]; `did_log_forked` if `text` lacks the last entry of `log`.
pub fn append(log: &WebVhLog, text: &str, change: &LogUpdate<'_>, update: &dyn Signer) -> Result<String, Problem> {
    let before = log.versions.last().ok_or_else(|| invalid("the log is empty"))?;
    let mut parameters = Map::new();
    if let Some(keys) = change.update_keys {
        parameters.insert("updateKeys".to_owned(), multikeys(keys));
    }
    match change.next_update_keys {
        Some(next) => drop(parameters.insert("nextKeyHashes".to_owned(), hashes(next))),
        None if log.parameters.next_key_hashes.is_empty() => {}
        None => drop(parameters.insert("nextKeyHashes".to_owned(), json!([]))),
    }
    if change.deactivate {
        parameters.insert("deactivated".to_owned(), true.into());
    }
    let mut members = Map::new();
    members.insert("versionId".to_owned(), before.version_id().into());
    members.insert("versionTime".to_owned(), change.version_time.to_string().into());
    members.insert("parameters".to_owned(), Value::Object(parameters));
    members.insert("state".to_owned(), change.state.clone());
    let number = log.versions.len().saturating_add(1);
    let mut text = text.strip_suffix('\n').unwrap_or(text).to_owned();
    text.push('\n');
    text.push_str(&finish(members, number, change.version_time, update)?);
    UnwitnessedLog::verify_entries(log.did(), text.as_bytes(), change.version_time, 0)?
        .log
        .require_version(before.version_id())?;
    Ok(text)
}

/// Completes an entry whose `versionId` is still that of the previous entry: sets its own, signs it, and returns it as
/// a line of canonical JSON.
fn finish(
    mut members: Map<String, Value>,
    number: usize,
    at: Timestamp,
    update: &dyn Signer,
) -> Result<String, Problem> {
    let hash = entry::hash(&entry::canonical(&members)?);
    members.insert("versionId".to_owned(), format!("{number}-{hash}").into());
    let key = Did::did_key(&update.public_key());
    let options = ProofOptions {
        verification_method: &format!("{key}#{}", key.method_specific_id()),
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(at),
        expires: None,
        challenge: None,
        domain: None,
    };
    let mut secured = data_integrity::add_proof(&members, &EddsaJcs2022, &options, update)?;
    if let Some(proof) = secured.remove("proof") {
        secured.insert("proof".to_owned(), json!([proof]));
    }
    let mut line = entry::canonical(&secured)?;
    line.push(b'\n');
    String::from_utf8(line).map_err(|_| invalid("the entry is not UTF-8"))
}
