//! Verified did:webvh log: its versions and their keys.

use std::sync::Arc;

use serde_json::Value;

use super::{
    MAX_LOG_BYTES, MAX_LOG_ENTRIES,
    entry::{self, LogEntry},
    invalid,
    parameters::{LogParameters, Witnesses},
    parts, witness,
};
use crate::{
    Code, Problem,
    did::{Did, DidDocument, ResolvedDid},
    keys::PublicKey,
    time::Timestamp,
};

/// Version of a DID's document: an entry of the log.
#[derive(Debug, Clone)]
pub struct DocumentVersion {
    id: String,
    at: Timestamp,
    /// DID of this version's document. It differs from the current one before the DID moved.
    did: Did,
    document: DidDocument,
    state: Value,
    deactivated: bool,
    /// Witnesses for this entry; `None` if none are required.
    pub(super) witnesses: Option<Witnesses>,
}

impl DocumentVersion {
    /// Returns `versionId`: the number, a dash and the entry's hash.
    #[must_use]
    pub fn version_id(&self) -> &str {
        &self.id
    }

    /// Returns `versionTime`: the time from which this version is valid, as stated by its controller.
    #[must_use]
    pub fn version_time(&self) -> Timestamp {
        self.at
    }

    /// Returns the DID document of this version, without the keys of earlier versions.
    #[must_use]
    pub fn document(&self) -> &DidDocument {
        &self.document
    }

    /// Returns the DID document as published: the `state` of the entry.
    #[must_use]
    pub fn state(&self) -> &Value {
        &self.state
    }
}

/// Log whose entries are verified, and whose witness proofs are not verified yet.
#[derive(Debug, Clone)]
pub struct UnwitnessedLog {
    pub(super) log: WebVhLog,
}

/// Verified did:webvh log: its entries and, where they are required, its witness proofs.
#[derive(Debug, Clone)]
pub struct WebVhLog {
    did: Did,
    pub(super) versions: Vec<DocumentVersion>,
    pub(super) parameters: LogParameters,
}

impl UnwitnessedLog {
    /// Verifies the text of a log (`did.jsonl`), entry by entry: form, parameters, SCID, hash, time, signer,
    /// pre-rotation, and the document of each version. The last entry may be at most `skew` seconds ahead of `now`.
    /// `did` must be the DID of the last entry: a DID that has moved is refused under its former name.
    ///
    /// # Errors
    /// `did_log_invalid`; `proof_missing` (an entry is not signed), `method_of_other` (signed with a key that is not an
    /// update key) and those of [`data_integrity::verify`](crate::secure::data_integrity::verify); `too_large` (more
    /// than 1 MiB or 256 entries); `not_yet_valid`; `did_document_invalid`, `private_key_exposed`; `did_malformed`,
    /// `did_unsupported`.
    pub fn verify_entries(did: &Did, text: &[u8], now: Timestamp, skew: i64) -> Result<Self, Problem> {
        let (scid, _) = parts(did)?;
        if text.len() > MAX_LOG_BYTES {
            return Err(Problem::new(Code::TooLarge, format!("a log has at most {MAX_LOG_BYTES} bytes")));
        }
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut read: Option<WebVhLog> = None;
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let number = at.saturating_add(1);
            if number > MAX_LOG_ENTRIES {
                return Err(Problem::new(Code::TooLarge, format!("a log has at most {MAX_LOG_ENTRIES} entries")));
            }
            let numbered = |problem: Problem| Problem::new(problem.code, format!("entry {number}: {}", problem.detail));
            let entry = LogEntry::parse(line).map_err(numbered)?;
            let added = match read.take() {
                None => first(did, scid, &entry, now, skew),
                Some(log) => log.verify_next_entry(&entry, number, now, skew),
            };
            read = Some(added.map_err(numbered)?);
        }
        let log = read.ok_or_else(|| invalid("the log is empty"))?;
        let last = log.last()?;
        if last.at > now.plus(skew) {
            return Err(Problem::new(Code::NotYetValid, "the log's last entry is from the future"));
        }
        if last.did != *did {
            return Err(invalid("the DID has moved; it is valid under its new name only"));
        }
        Ok(Self { log })
    }

    /// Returns whether any entry requires witness proofs; [`Self::verify_witnesses`] then needs the witness file.
    #[must_use]
    pub fn needs_witnesses(&self) -> bool {
        self.log.versions.iter().any(|version| version.witnesses.is_some())
    }

    /// Verifies the witness file (`did-witness.json`), and returns the log if each entry that requires witnesses has
    /// enough valid witness proofs. The file is ignored if no entry requires witnesses. Invalid proofs in it are
    /// ignored.
    ///
    /// # Errors
    /// `did_log_witness`: too few proofs, no file, or a file that is not an array or has more than 512 elements;
    /// `too_large` and the other errors of parsing JSON.
    pub fn verify_witnesses(self, file: Option<&[u8]>, now: Timestamp, skew: i64) -> Result<WebVhLog, Problem> {
        if self.needs_witnesses() {
            let file = file.ok_or_else(|| Problem::new(Code::DidLogWitness, "the log's witness file is missing"))?;
            let versions: Vec<_> =
                self.log.versions.iter().map(|version| (version.version_id(), version.witnesses.as_ref())).collect();
            witness::verify(&versions, file, now, skew)?;
        }
        Ok(self.log)
    }
}

fn first(did: &Did, scid: &str, entry: &LogEntry, now: Timestamp, skew: i64) -> Result<WebVhLog, Problem> {
    let said = entry.parameters().ok_or_else(|| invalid("an entry has no parameters"))?;
    let (parameters, own) = LogParameters::from_first_entry(said)?;
    if own != scid || entry.compute_scid(&own)? != own {
        return Err(invalid("the first entry does not make the DID's SCID"));
    }
    check_version(entry, 1, scid)?;
    entry.verify_proofs(&parameters.update_keys, now, skew)?;
    let version = version(scid, entry, &parameters, parameters.witness.clone())?;
    Ok(WebVhLog { did: did.clone(), versions: vec![version], parameters })
}

fn check_version(entry: &LogEntry, number: usize, before: &str) -> Result<(), Problem> {
    if entry.version_id == format!("{number}-{}", entry.entry_hash(before)?) {
        return Ok(());
    }
    Err(invalid("the versionId does not match the entry's number and hash chain"))
}

fn version(
    scid: &str,
    entry: &LogEntry,
    parameters: &LogParameters,
    witnesses: Option<Witnesses>,
) -> Result<DocumentVersion, Problem> {
    let state = entry.state();
    let did = state.get("id").and_then(Value::as_str).ok_or_else(|| invalid("the document has no id"))?;
    let did = Did::parse(did)?;
    if parts(&did)?.0 != scid {
        return Err(invalid("the document's id has another SCID"));
    }
    Ok(DocumentVersion {
        id: entry.version_id.clone(),
        at: entry.version_time,
        document: DidDocument::parse(&did, state)?,
        did,
        state: state.clone(),
        deactivated: parameters.deactivated,
        witnesses,
    })
}

impl WebVhLog {
    /// Verifies one more entry, and returns the log with it.
    fn verify_next_entry(
        mut self,
        entry: &LogEntry,
        number: usize,
        now: Timestamp,
        skew: i64,
    ) -> Result<Self, Problem> {
        let last = self.last()?;
        let said = entry.parameters().ok_or_else(|| invalid("an entry has no parameters"))?;
        let (parameters, signers) = self.parameters.apply_next_entry(said)?;
        if entry.version_time <= last.at {
            return Err(invalid("the versionTime is not after that of the entry before"));
        }
        check_version(entry, number, &last.id)?;
        entry.verify_proofs(&signers, now, skew)?;
        // New witnesses begin at once where there were none, and otherwise after the entry that names them.
        let witnesses = self.parameters.witness.clone().or_else(|| parameters.witness.clone());
        let version = version(parts(&self.did)?.0, entry, &parameters, witnesses)?;
        if version.did != last.did {
            let known_as = version.state.get("alsoKnownAs").and_then(Value::as_array);
            let names_it =
                known_as.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(last.did.as_str())));
            if !self.parameters.portable || !names_it {
                return Err(invalid("the DID moved although it is not portable, or without naming its previous DID"));
            }
        }
        self.versions.push(version);
        self.parameters = parameters;
        Ok(self)
    }

    fn last(&self) -> Result<&DocumentVersion, Problem> {
        self.versions.last().ok_or_else(|| invalid("the log is empty"))
    }

    /// Returns the DID whose log this is.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// Returns all versions, oldest first.
    #[must_use]
    pub fn versions(&self) -> &[DocumentVersion] {
        &self.versions
    }

    /// Returns the time for which the document may be cached, in seconds: as stated by its controller, or one hour.
    #[must_use]
    pub fn ttl(&self) -> u64 {
        self.parameters.ttl
    }

    /// Returns the version with this `versionId`; `None` if the log has no such version.
    #[must_use]
    pub fn version_by_id(&self, id: &str) -> Option<&DocumentVersion> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Returns the version that was in force at a time: the last one whose `versionTime` is not later; `None` before
    /// the first one.
    #[must_use]
    pub fn version_at(&self, at: Timestamp) -> Option<&DocumentVersion> {
        self.versions.iter().rev().find(|version| version.at <= at)
    }

    /// Returns the current document. [`DidDocument::with_history`] adds the keys of earlier versions to it.
    ///
    /// # Errors
    /// `did_deactivated`; `did_document_invalid` (more than 1,000 keys that only earlier versions had).
    pub fn document(&self) -> Result<Arc<DidDocument>, Problem> {
        if self.last()?.deactivated {
            return Err(Code::DidDeactivated.into());
        }
        let versions: Vec<(Timestamp, DidDocument)> =
            self.versions.iter().map(|version| (version.at, version.document.clone())).collect();
        DidDocument::from_versions(&versions).map(Arc::new)
    }

    /// Returns the current document, its cache time, and the ids of all versions.
    pub(super) fn resolved(&self) -> ResolvedDid {
        let versions = self.versions.iter().map(|version| version.id.clone()).collect();
        ResolvedDid { document: self.document(), ttl: Some(self.ttl()), versions }
    }

    /// Returns whether this key may sign the next entry: an update key or, with pre-rotation, a key that the last entry
    /// committed to. No key may sign for a deactivated DID, which cannot have another entry.
    #[must_use]
    pub fn may_sign_next(&self, key: &PublicKey) -> bool {
        if self.last().is_ok_and(|version| version.deactivated) {
            return false;
        }
        let (key, committed) = (key.to_multikey(), &self.parameters.next_key_hashes);
        if committed.is_empty() {
            return self.parameters.update_keys.contains(&key);
        }
        committed.contains(&entry::hash(key.as_bytes()))
    }

    /// Returns the `versionId` of the last entry. A caller that stores it can detect with [`Self::require_version`] a
    /// log that does not continue this one.
    ///
    /// # Errors
    /// `did_log_invalid` for a log without entries, which a verified log never is.
    pub fn last_version_id(&self) -> Result<&str, Problem> {
        self.last().map(DocumentVersion::version_id)
    }

    /// Checks that this log contains the entry `last_seen`, the [`Self::last_version_id`] of a log that was verified before. If
    /// not, entries were removed or replaced. A `versionId` contains the number of the entry and a hash that covers all
    /// entries before it.
    ///
    /// # Errors
    /// `did_log_forked`.
    pub fn require_version(&self, last_seen: &str) -> Result<(), Problem> {
        if self.version_by_id(last_seen).is_some() { Ok(()) } else { Err(Code::DidLogForked.into()) }
    }
}
