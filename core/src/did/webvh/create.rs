//! The controller's side: a log's first entry, and the next ones.

use serde_json::{Map, Value, json};

use super::{
    METHOD, PLACEHOLDER, entry, invalid,
    log::{Chain, Log},
};
use crate::{
    Problem,
    did::{Did, Purpose},
    keys::{PublicKey, Signer},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

/// A DID to be made.
#[derive(Clone, Copy)]
pub struct Inception<'a> {
    /// Host and path as in a did:web DID: `university.example`, `localhost%3A8443:issuer`.
    pub place: &'a str,
    /// From when it holds.
    pub at: Timestamp,
    /// Signs the first entry, and may sign the next. Ed25519; better kept away from where credentials are signed.
    pub update: &'a dyn Signer,
    /// Keys of which the next entry's update keys must be some (pre-rotation); empty: none is committed to.
    pub next: &'a [PublicKey],
    /// Seconds that the document may be kept; none: an hour.
    pub ttl: Option<u64>,
}

/// Changes that a new entry makes.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// From when it holds; after the entry before.
    pub at: Timestamp,
    /// The new document.
    pub state: &'a Value,
    /// The new update keys; none: they stay. With pre-rotation they must be given, and have been committed to.
    pub update_keys: Option<&'a [PublicKey]>,
    /// The keys that the entry after this one must use. `None` keeps the earlier ones, or ends pre-rotation.
    pub next: Option<&'a [PublicKey]>,
    /// Gives the DID up for ever.
    pub deactivate: bool,
}

fn multikeys(keys: &[PublicKey]) -> Value {
    keys.iter().map(PublicKey::to_multikey).collect()
}

fn hashes(keys: &[PublicKey]) -> Value {
    keys.iter().map(|key| entry::hash(key.to_multikey().as_bytes())).collect()
}

/// Makes a DID and its log. `document` renders the first document for the DID it is given, which is a provisional one:
/// the DID depends on the document.
///
/// # Errors
/// Those of [`Chain::verify`] for the new log; `algorithm_mismatch` (an update key other than Ed25519), and those of
/// the signer.
pub fn create(inception: &Inception<'_>, document: &dyn Fn(&Did) -> Value) -> Result<(Did, String), Problem> {
    let provisional = entry::hash(PLACEHOLDER.as_bytes());
    let at_place = |scid: &str| Did::parse(&format!("did:webvh:{scid}:{}", inception.place));
    let state = document(&at_place(&provisional)?);
    let mut parameters = Map::new();
    parameters.insert("method".to_owned(), METHOD.into());
    parameters.insert("scid".to_owned(), PLACEHOLDER.into());
    parameters.insert("updateKeys".to_owned(), multikeys(&[inception.update.public_key()]));
    if !inception.next.is_empty() {
        parameters.insert("nextKeyHashes".to_owned(), hashes(inception.next));
    }
    if let Some(ttl) = inception.ttl {
        parameters.insert("ttl".to_owned(), ttl.into());
    }
    let entry = json!({
        "versionId": PLACEHOLDER,
        "versionTime": inception.at.to_string(),
        "parameters": parameters,
        "state": entry::replaced(&state, &provisional, PLACEHOLDER),
    });
    let scid = entry::hash(&crate::json::canonicalize(&entry)?);
    let Value::Object(mut members) = entry::replaced(&entry, PLACEHOLDER, &scid) else {
        return Err(invalid("the entry is not an object"));
    };
    members.insert("versionId".to_owned(), scid.as_str().into());
    let did = at_place(&scid)?;
    let line = finish(members, 1, inception.at, inception.update)?;
    Chain::verify(&did, line.as_bytes(), inception.at, 0)?;
    Ok((did, line))
}

/// The log with one more entry, signed by `update`: one of the current update keys, or with pre-rotation one of the
/// new.
///
/// # Errors
/// As [`create`]: nothing is handed out that would not verify, its witnesses aside.
pub fn append(log: &Log, text: &str, change: &Change<'_>, update: &dyn Signer) -> Result<String, Problem> {
    let before = log.versions.last().ok_or_else(|| invalid("the log is empty"))?;
    let mut parameters = Map::new();
    if let Some(keys) = change.update_keys {
        parameters.insert("updateKeys".to_owned(), multikeys(keys));
    }
    match change.next {
        Some(next) => drop(parameters.insert("nextKeyHashes".to_owned(), hashes(next))),
        None if log.parameters.next_key_hashes.is_empty() => {}
        None => drop(parameters.insert("nextKeyHashes".to_owned(), json!([]))),
    }
    if change.deactivate {
        parameters.insert("deactivated".to_owned(), true.into());
    }
    let mut members = Map::new();
    members.insert("versionId".to_owned(), before.id().into());
    members.insert("versionTime".to_owned(), change.at.to_string().into());
    members.insert("parameters".to_owned(), Value::Object(parameters));
    members.insert("state".to_owned(), change.state.clone());
    let number = log.versions.len().saturating_add(1);
    let mut text = text.strip_suffix('\n').unwrap_or(text).to_owned();
    text.push('\n');
    text.push_str(&finish(members, number, change.at, update)?);
    Chain::verify(log.did(), text.as_bytes(), change.at, 0)?.log.require_follows(before.id())?;
    Ok(text)
}

/// A line: the members, whose `versionId` is that of the entry before, with their own and with a proof.
fn finish(
    mut members: Map<String, Value>,
    number: usize,
    at: Timestamp,
    update: &dyn Signer,
) -> Result<String, Problem> {
    let hash = entry::hash(&entry::canonical(&members)?);
    members.insert("versionId".to_owned(), format!("{number}-{hash}").into());
    let key = Did::key(&update.public_key());
    let options = ProofOptions {
        verification_method: &format!("{key}#{}", key.id()),
        purpose: Purpose::AssertionMethod,
        created: Some(at),
        expires: None,
        challenge: None,
        domain: None,
    };
    let mut secured = data_integrity::secure(&members, &EddsaJcs2022, &options, update)?;
    if let Some(proof) = secured.remove("proof") {
        secured.insert("proof".to_owned(), json!([proof]));
    }
    let mut line = entry::canonical(&secured)?;
    line.push(b'\n');
    String::from_utf8(line).map_err(|_| invalid("the entry is not UTF-8"))
}
