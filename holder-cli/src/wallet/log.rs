//! The wallet's log: what happened, with whom, in a hash chain to which entries are only ever added (spec/log.md).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    at_least::Direction,
    json::canonicalize,
    receipt::ShownThreshold,
    time::Timestamp,
    trust::registration::{KeyStanding, SupervisoryAuthority},
};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::thresholds::direction;

mod checkpoint;

pub(crate) use checkpoint::Checkpoint;

/// Random bytes in each entry.
const SALT: usize = 16;
/// What the first entry follows.
const BEGINNING: &[u8] = b"carnet-log-v1";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryKind {
    /// A credential was received.
    Received,
    /// A credential was offered and not stored.
    ReceiveFailed,
    /// A request came that is in order; what became of it is in entries that refer to this one.
    Requested,
    /// The request was not in order, or could not be answered. Nothing was sent.
    RequestFailed,
    /// The owner said no. Nothing was sent.
    RefusedByOwner,
    /// A presentation was decided and is about to be sent; what came of it is in an entry that refers to this one.
    Sending,
    /// The asker accepted what was sent.
    Accepted,
    /// The asker refused what was sent.
    RefusedByAsker,
    /// No answer came to what was sent: it may have arrived.
    Unanswered,
    /// The asker's receipt, which says what was sent.
    Receipt,
    /// The asker gave no receipt.
    ReceiptMissing,
    /// The asker's receipt does not hold, or says something else than what was sent.
    ReceiptFalse,
    /// The asker is about to be asked to erase what it has.
    ErasureRequested,
    /// The asker has confirmed that it erased it.
    Erased,
    /// The asker did not erase it, or did not say so in a way that holds.
    ErasureFailed,
    /// A credential was deleted.
    Deleted,
    /// A registrar was pinned.
    RegistrarAdded,
    /// A registrar is no longer pinned.
    RegistrarRemoved,
    /// A trust list was pinned.
    TrustListAdded,
    /// A trust list is no longer pinned.
    TrustListRemoved,
    /// The wallet was put back from a copy.
    Restored,
}

impl EntryKind {
    /// Its name in JSON, and in the names of messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::ReceiveFailed => "receive_failed",
            Self::Requested => "requested",
            Self::RequestFailed => "request_failed",
            Self::RefusedByOwner => "refused_by_owner",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::RefusedByAsker => "refused_by_asker",
            Self::Unanswered => "unanswered",
            Self::Receipt => "receipt",
            Self::ReceiptMissing => "receipt_missing",
            Self::ReceiptFalse => "receipt_false",
            Self::ErasureRequested => "erasure_requested",
            Self::Erased => "erased",
            Self::ErasureFailed => "erasure_failed",
            Self::Deleted => "deleted",
            Self::RegistrarAdded => "registrar_added",
            Self::RegistrarRemoved => "registrar_removed",
            Self::TrustListAdded => "trust_list_added",
            Self::TrustListRemoved => "trust_list_removed",
            Self::Restored => "restored",
        }
    }
}

/// One entry of the log. It has no field that could hold a claim's value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Its number, from 1. [`Log::push`] sets it.
    pub(crate) number: u64,
    /// base64url of SHA-256 over the RFC 8785 text of the entry before. [`Log::push`] sets it.
    pub(crate) previous: String,
    /// Random text, so that the digest confirms no guess once the entry is forgotten; entries of before it have none.
    /// [`Log::push`] draws it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) salt: String,
    /// When.
    #[serde(with = "instant")]
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) kind: EntryKind,
    /// The number of the earlier entry that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u64>,
    /// The other side's client id or DID.
    pub(crate) party: String,
    /// What the other side calls itself, or the name that it is registered by.
    pub(crate) party_name: String,
    /// Where the asker is reached, for erasure and complaints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asker: Option<Asker>,
    /// The digest of the request object (spec/receipts.md 1.2); empty where there was no request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) request: String,
    /// The digest of the presentation that was sent (spec/receipts.md 1.2); in the entry of the sending alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) presentation: String,
    /// The digest of the request and of what was to go, by which it was approved (protocol 5.2).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) approval: String,
    /// The intended use that the asker names.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) intended_use: String,
    /// The purpose that was stated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) purpose: String,
    /// The stable reason, if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// What was asked for beyond what is registered for this intended use, as `query_id: path`; `*` stands for everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) beyond: Vec<String>,
    /// The bounds that were asked for, whatever became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bounds: Vec<AskedBound>,
    /// Which claims of which document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<ShownPart>,
    /// The receipt, or the confirmation of an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<Kept>,
}

impl Entry {
    /// An entry that says when, what and with whom, and nothing more yet.
    pub(crate) fn new(at: Timestamp, kind: EntryKind, party: &str) -> Self {
        Self {
            number: 0,
            previous: String::new(),
            salt: String::new(),
            at,
            kind,
            of: None,
            party: party.to_owned(),
            party_name: String::new(),
            asker: None,
            request: String::new(),
            presentation: String::new(),
            approval: String::new(),
            intended_use: String::new(),
            purpose: String::new(),
            reason: String::new(),
            beyond: Vec::new(),
            bounds: Vec::new(),
            parts: Vec::new(),
            statement: None,
        }
    }

    /// An entry about an earlier one, with the same other side.
    pub(crate) fn about(earlier: &Self, at: Timestamp, kind: EntryKind) -> Self {
        Self { of: Some(earlier.number), party_name: earlier.party_name.clone(), ..Self::new(at, kind, &earlier.party) }
    }

    /// The asker's DID, where the party is named by one.
    pub(crate) fn did(&self) -> &str {
        self.party.strip_prefix("decentralized_identifier:").unwrap_or(&self.party)
    }

    /// base64url of SHA-256 over its RFC 8785 text: what the next one names it by.
    pub(crate) fn digest(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        // Core takes every text that a strict parser let in; the other text is as certain, and no entry goes without a digest.
        digest(&canonicalize(&value).unwrap_or_else(|_| value.to_string().into_bytes()))
    }
}

/// Where an asker is reached, as its request and its registration say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asker {
    /// Where its service is.
    pub(crate) endpoint: String,
    /// The registrar by whose word the rest is so; none: the asker counted as not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registrar: Option<String>,
    /// Where people ask for erasure: an https or mailto URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) support: Option<String>,
    /// Who watches over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authority: Option<SupervisoryAuthority>,
}

/// A bound that an asker wanted a claim to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedBound {
    /// The types that would have answered, by their names in the catalogue where it has them.
    pub(crate) types: Vec<String>,
    /// The claim's path below the subject.
    pub(crate) claim: String,
    /// At least or at most.
    #[serde(with = "direction")]
    pub(crate) direction: Direction,
    /// The bound, as it was asked for.
    pub(crate) bound: Value,
}

/// What of one credential was shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShownPart {
    /// The wallet's id of the credential.
    pub(crate) id: String,
    /// Its type.
    pub(crate) type_name: String,
    /// The credential query that it answers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) query_id: String,
    /// The paths that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<String>,
    /// The thresholds that were proved; a bound is the asker's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) thresholds: Vec<ShownThreshold>,
    /// The thumbprint (RFC 7638) of the key that presented.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) key: String,
}

impl ShownPart {
    /// A credential of which nothing was shown.
    pub(crate) fn named(id: &str, type_name: &str) -> Self {
        Self { id: id.to_owned(), type_name: type_name.to_owned(), ..Self::default() }
    }
}

/// A signed statement, with the key that it was verified with when it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// The document, proof and all.
    pub(crate) document: Map<String, Value>,
    /// The key, as a Multikey.
    pub(crate) key: String,
    /// Word of the asker's registration on the key when a receipt came; none where the asker was not registered, and for
    /// statements of before it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registered: Option<KeyStanding>,
}

/// The log. Entries can be added, and the first of them forgotten.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    head: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
    entries: Vec<Entry>,
}

/// The first entry that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its number; by its place, whatever it says of itself.
    pub(crate) number: u64,
    /// What is wrong with it.
    pub(crate) what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.number, self.what)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { head: digest(BEGINNING), checkpoint: None, entries: Vec::new() }
    }
}

impl Log {
    /// Adds an entry, and gives its number.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        let number = self.number(self.entries.len());
        let mut salt = [0; SALT];
        OsRng.fill_bytes(&mut salt);
        let entry = Entry { number, previous: self.head.clone(), salt: URL_SAFE_NO_PAD.encode(salt), ..entry };
        self.head = entry.digest();
        self.entries.push(entry);
        number
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The newest.
    #[cfg(test)]
    pub(crate) fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// The entry of a number.
    pub(crate) fn entry(&self, number: u64) -> Option<&Entry> {
        let index = number.checked_sub(self.forgotten())?.checked_sub(1)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Number of the entry at an index.
    fn number(&self, index: usize) -> u64 {
        self.forgotten().saturating_add(number(index))
    }

    /// The entries of a kind that are about an entry.
    pub(crate) fn about(&self, number: u64, kind: EntryKind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.of == Some(number) && entry.kind == kind)
    }

    /// The digest of the newest entry: who notes it elsewhere can tell later that nothing before it was changed.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// Recomputes the chain.
    ///
    /// # Errors
    /// The first entry that does not stand where it stood, or does not say what it said.
    pub(crate) fn check_chain(&self) -> Result<(), Broken> {
        let mut previous = self.check_checkpoint()?.map_or_else(|| digest(BEGINNING), str::to_owned);
        for (index, entry) in self.entries.iter().enumerate() {
            let at = self.number(index);
            let broken = |number: u64, what: &str| Err(Broken { number, what: what.to_owned() });
            if entry.number != at {
                return broken(at, "another entry stood here: one was removed, put in, or moved");
            }
            if entry.previous != previous {
                return broken(at.saturating_sub(1).max(1), "it is not what the entry after it follows");
            }
            if entry.of.is_some_and(|of| of == 0 || of >= at) {
                return broken(at, "it is about an entry that is not before it");
            }
            previous = entry.digest();
        }
        if previous == self.head {
            return Ok(());
        }
        let what = "it is not the newest entry that was written, or it was changed".to_owned();
        Err(Broken { number: self.number(self.entries.len()).saturating_sub(1), what })
    }
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}

fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// An instant as text, so that an exported log can be checked as it stands.
mod instant {
    use carnet_core::time::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(|_| D::Error::custom("no instant"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// A log of five entries.
    fn log() -> Log {
        let mut log = Log::default();
        for (kind, party) in [
            (EntryKind::Received, "did:web:a.example"),
            (EntryKind::Requested, "did:web:b.example"),
            (EntryKind::RefusedByOwner, "did:web:b.example"),
            (EntryKind::Received, "did:web:c.example"),
            (EntryKind::Deleted, "did:web:c.example"),
        ] {
            log.push(Entry::new(NOW, kind, party));
        }
        log
    }

    fn first_bad(change: impl FnOnce(&mut Vec<Entry>)) -> u64 {
        let mut log = log();
        assert_eq!(log.check_chain(), Ok(()));
        change(&mut log.entries);
        log.check_chain().unwrap_err().number
    }

    #[test]
    fn a_whole_chain_is_whole_also_when_read_again() {
        assert_eq!(Log::default().check_chain(), Ok(()));
        let log = log();
        log.check_chain().unwrap();
        let read: Log = serde_json::from_value(serde_json::to_value(&log).unwrap()).unwrap();
        read.check_chain().unwrap();
        assert_eq!(read.head(), log.head());
        assert_eq!(log.entry(2).unwrap().kind, EntryKind::Requested);
        assert!(log.entry(0).is_none() && log.entry(6).is_none());
    }

    #[test]
    fn an_altered_entry_is_named() {
        for index in 0..5 {
            let number = number(index);
            assert_eq!(first_bad(|entries| entries[index].party.push('x')), number);
            assert_eq!(first_bad(|entries| entries[index].at = NOW.plus(1)), number);
            assert_eq!(first_bad(|entries| entries[index].kind = EntryKind::Accepted), number);
        }
    }

    #[test]
    fn a_removed_entry_is_named() {
        for index in 0..4 {
            assert_eq!(first_bad(|entries| drop(entries.remove(index))), number(index));
        }
        assert_eq!(first_bad(|entries| drop(entries.pop())), 4);
        assert_eq!(first_bad(Vec::clear), 0);
    }

    #[test]
    fn reordered_entries_are_named() {
        assert_eq!(first_bad(|entries| entries.swap(1, 2)), 2);
        // Also where the numbers were written anew.
        let renumbered = |entries: &mut Vec<Entry>| {
            entries.swap(1, 2);
            (entries[1].number, entries[2].number) = (2, 3);
        };
        assert!(first_bad(renumbered) <= 2);
    }

    #[test]
    fn an_inserted_entry_is_named() {
        let entry = Entry::new(NOW, EntryKind::Accepted, "did:web:x.example");
        assert_eq!(first_bad(|entries| entries.insert(2, entry.clone())), 3);
        assert_eq!(first_bad(|entries| entries.push(entry.clone())), 6);
        let fitted = |entries: &mut Vec<Entry>| {
            let previous = entries[1].digest();
            entries.insert(2, Entry { number: 3, previous, ..entry });
            entries.iter_mut().skip(3).for_each(|entry| entry.number += 1);
        };
        assert_eq!(first_bad(fitted), 3);
    }

    #[test]
    fn an_entry_is_about_one_before_it() {
        let mut log = log();
        log.push(Entry { of: Some(6), ..Entry::new(NOW, EntryKind::Erased, "x") });
        assert_eq!(log.check_chain().unwrap_err().number, 6);
    }

    #[test]
    fn there_is_no_place_for_a_value() {
        let entry = serde_json::to_value(&log().entries[0]).unwrap();
        assert!(serde_json::from_value::<Entry>(entry.clone()).is_ok());
        let faults: [fn(&mut Value); 4] = [
            |entry| entry["value"] = json!("Surgery"),
            |entry| entry["claims"] = json!({"title": "Surgery"}),
            |entry| entry["parts"] = json!([{"id": "a", "type_name": "b", "values": ["Surgery"]}]),
            |entry| entry["parts"] = json!([{"id": "a", "type_name": "b", "paths": [{"title": "Surgery"}]}]),
        ];
        for fault in faults {
            let mut faulty = entry.clone();
            fault(&mut faulty);
            assert!(serde_json::from_value::<Entry>(faulty).is_err());
        }
    }

    #[test]
    fn a_kind_has_one_name() {
        for name in ["received", "refused_by_asker", "erasure_failed", "registrar_removed"] {
            let kind: EntryKind = serde_json::from_value(json!(name)).unwrap();
            assert_eq!(kind.name(), name);
        }
    }
}
