//! Log of the wallet: its events and the parties involved, in a hash chain (spec/log.md).

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{
    at_least::Direction,
    json::canonicalize,
    receipt::DisclosedThreshold,
    time::Timestamp,
    trust::registration::{ReceiptKeyState, SupervisoryAuthority},
};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::thresholds::direction;

mod checkpoint;
mod instant;

pub use checkpoint::Checkpoint;

/// Number of random bytes in the salt of each entry.
const SALT: usize = 16;
/// Text whose digest stands for the predecessor of the first entry.
const BEGINNING: &[u8] = b"carnet-log-v1";

/// Kind of event of a log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogEntryKind {
    /// Copies were received.
    Received,
    /// A credential was offered and not stored.
    ReceiveFailed,
    /// A valid request was received; entries about its outcome refer to this one.
    Requested,
    /// A request was invalid, could not be answered, or got no clear decision of the holder. Nothing was sent.
    RequestFailed,
    /// The holder declined a request. Nothing was sent.
    #[serde(rename = "refused_by_owner")]
    DeclinedByHolder,
    /// A presentation was approved and is about to be sent; entries about its outcome refer to this one.
    Sending,
    /// The verifier accepted the presentation.
    Accepted,
    /// The verifier refused the presentation.
    #[serde(rename = "refused_by_asker")]
    RefusedByVerifier,
    /// No response arrived. The verifier may have received the presentation.
    Unanswered,
    /// The verifier sent a valid receipt for the presentation.
    Receipt,
    /// The verifier sent no receipt.
    ReceiptMissing,
    /// The verifier's receipt is invalid, or does not match the presentation.
    #[serde(rename = "receipt_false")]
    ReceiptInvalid,
    /// An erasure request is about to be sent to the verifier.
    ErasureRequested,
    /// The verifier confirmed the erasure.
    #[serde(rename = "erased")]
    ErasureConfirmed,
    /// The verifier did not confirm the erasure, or the confirmation is invalid.
    ErasureFailed,
    /// A credential was deleted.
    Deleted,
    /// A copy of a credential was exported with its key. The party is the issuer.
    Exported,
    /// A copy of a credential was imported with its key. The party is the issuer.
    Imported,
    /// A deleted credential was taken back.
    Undeleted,
    /// A picture of a paper was added.
    PaperAdded,
    /// A copy of a picture of a paper was given to somebody.
    PaperShared,
    /// A picture of a paper was deleted.
    PaperDeleted,
    /// A registrar was pinned.
    RegistrarAdded,
    /// A registrar was unpinned.
    RegistrarRemoved,
    /// A trust list was pinned.
    TrustListAdded,
    /// A trust list was unpinned.
    TrustListRemoved,
    /// The wallet was restored from a backup.
    Restored,
}

impl LogEntryKind {
    /// Returns the name used in JSON, in the file and in message ids.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::ReceiveFailed => "receive_failed",
            Self::Requested => "requested",
            Self::RequestFailed => "request_failed",
            Self::DeclinedByHolder => "refused_by_owner",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::RefusedByVerifier => "refused_by_asker",
            Self::Unanswered => "unanswered",
            Self::Receipt => "receipt",
            Self::ReceiptMissing => "receipt_missing",
            Self::ReceiptInvalid => "receipt_false",
            Self::ErasureRequested => "erasure_requested",
            Self::ErasureConfirmed => "erased",
            Self::ErasureFailed => "erasure_failed",
            Self::Deleted => "deleted",
            Self::Exported => "exported",
            Self::Imported => "imported",
            Self::Undeleted => "undeleted",
            Self::PaperAdded => "paper_added",
            Self::PaperShared => "paper_shared",
            Self::PaperDeleted => "paper_deleted",
            Self::RegistrarAdded => "registrar_added",
            Self::RegistrarRemoved => "registrar_removed",
            Self::TrustListAdded => "trust_list_added",
            Self::TrustListRemoved => "trust_list_removed",
            Self::Restored => "restored",
        }
    }
}

/// Entry of the log. It contains no claim values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletLogEntry {
    /// Number, from 1, set by [`WalletLog::push`].
    pub number: u64,
    /// base64url SHA-256 of the RFC 8785 text of the preceding entry, set by [`WalletLog::push`].
    pub previous: String,
    /// Random text, so that the digest cannot confirm a guess after the entry is deleted; empty in entries of older
    /// versions. Set by [`WalletLog::push`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
    /// Time of the event.
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// Kind of the event.
    pub kind: LogEntryKind,
    /// Number of the earlier entry to which this one refers; `None`: it refers to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "of")]
    pub refers_to: Option<u64>,
    /// Client id of the verifier, or DID of the other party; empty: none.
    pub party: String,
    /// Registered name of the other party, otherwise its own display name; may be empty.
    pub party_name: String,
    /// Contacts of the verifier, for erasure requests and complaints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "asker")]
    pub verifier: Option<VerifierContacts>,
    /// Digest of the request object (spec/receipts.md 1.2); empty: no request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[serde(rename = "request")]
    pub request_digest: String,
    /// Digest of the presentation (spec/receipts.md 1.2); empty except in the entry written before sending.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[serde(rename = "presentation")]
    pub presentation_digest: String,
    /// Digest by which the answer was approved (spec/protocol.md 5.2); empty: no answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[serde(rename = "approval")]
    pub approval_digest: String,
    /// Id of the intended use that the verifier states; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub intended_use: String,
    /// Purpose, as registered for the intended use or else as stated by the verifier.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// Stable reason code of a failure or refusal; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Requested items that exceed the registration, as `query_id: path`; the path `*` is the credential as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "beyond")]
    pub excess: Vec<String>,
    /// Credential type requested by each query in [`Self::excess`], by query id: its name in the catalogue, if known.
    /// Empty in entries of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beyond_types: BTreeMap<String, String>,
    /// Requested bounds of claims, proved or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "bounds")]
    pub requested_bounds: Vec<RequestedBound>,
    /// Credentials that the event is about, with the disclosures of a presentation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(rename = "parts")]
    pub credentials: Vec<LoggedCredential>,
    /// Signed receipt, or signed confirmation of an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<StoredStatement>,
}

impl WalletLogEntry {
    /// Creates an entry with only time, kind and party.
    pub fn new(at: Timestamp, kind: LogEntryKind, party: &str) -> Self {
        Self {
            number: 0,
            previous: String::new(),
            salt: String::new(),
            at,
            kind,
            refers_to: None,
            party: party.to_owned(),
            party_name: String::new(),
            verifier: None,
            request_digest: String::new(),
            presentation_digest: String::new(),
            approval_digest: String::new(),
            intended_use: String::new(),
            purpose: String::new(),
            reason: String::new(),
            excess: Vec::new(),
            beyond_types: BTreeMap::new(),
            requested_bounds: Vec::new(),
            credentials: Vec::new(),
            statement: None,
        }
    }

    /// Creates an entry that refers to `earlier` and has the same party.
    pub fn referring_to(earlier: &Self, at: Timestamp, kind: LogEntryKind) -> Self {
        Self {
            refers_to: Some(earlier.number),
            party_name: earlier.party_name.clone(),
            ..Self::new(at, kind, &earlier.party)
        }
    }

    /// Returns the DID of the party: its identifier without the client id prefix `decentralized_identifier:`.
    pub fn did(&self) -> &str {
        self.party.strip_prefix("decentralized_identifier:").unwrap_or(&self.party)
    }

    /// Returns the SHA-256 of the entry as canonical JSON (RFC 8785), in base64url. The next entry contains it as
    /// `previous`.
    pub fn digest(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        // Core canonicalises every text that a strict parser accepts; the fallback ensures that no entry lacks a
        // digest.
        digest(&canonicalize(&value).unwrap_or_else(|_| value.to_string().into_bytes()))
    }
}

/// Contact data of a verifier, from its request and its registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierContacts {
    /// URL of the verifier's service.
    pub endpoint: String,
    /// DID of the registrar that states the following members; `None`: the verifier counted as unregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// Contact for erasure requests: an https or mailto URI; `None` for an unregistered verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<String>,
    /// Data protection authority that supervises the verifier; `None` for an unregistered verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<SupervisoryAuthority>,
}

/// Bound of a claim's value that a verifier requested (spec/at-least.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedBound {
    /// Credential types that the query accepts, by their names in the catalogue if it has them.
    pub types: Vec<String>,
    /// Path of the claim below the subject.
    pub claim: String,
    /// Direction: at least or at most the bound.
    #[serde(with = "direction")]
    pub direction: Direction,
    /// Bound as requested: a number, or a date as text.
    pub bound: Value,
}

/// Credential in a log entry, with its disclosures if it was presented.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedCredential {
    /// Local identifier of the credential.
    pub id: String,
    /// Name of the credential type.
    pub type_name: String,
    /// Id of the credential query that it answers; empty if it was not presented.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query_id: String,
    /// Paths of the disclosed claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Proved thresholds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<DisclosedThreshold>,
    /// Thumbprint (RFC 7638) of the holder key that signed the presentation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

impl LoggedCredential {
    /// Creates a reference to a credential without disclosures.
    pub fn without_disclosures(id: &str, type_name: &str) -> Self {
        Self { id: id.to_owned(), type_name: type_name.to_owned(), ..Self::default() }
    }
}

/// Receipt or confirmation of a verifier, with the key that verified it on arrival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredStatement {
    /// Signed document, as received.
    pub document: Map<String, Value>,
    /// Public key that verified it, as a Multikey.
    pub key: String,
    /// Relation of the key to the verifier's registration on arrival; `None` for unregistered verifiers, and for
    /// statements of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "registered")]
    pub key_standing: Option<ReceiptKeyState>,
}

/// Log with a hash chain. Entries are only appended, and deleted only from the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletLog {
    head: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Checkpoint>,
    entries: Vec<WalletLogEntry>,
}

/// First inconsistency in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError {
    /// Number that the entry should have by its position, whatever number it states.
    pub number: u64,
    /// Description of the inconsistency.
    pub description: String,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.number, self.description)
    }
}

impl Default for WalletLog {
    fn default() -> Self {
        Self { head: digest(BEGINNING), checkpoint: None, entries: Vec::new() }
    }
}

impl WalletLog {
    /// Appends an entry, and returns its number. Number, salt and predecessor of `entry` are replaced.
    pub fn push(&mut self, entry: WalletLogEntry) -> u64 {
        let number = self.number(self.entries.len());
        let mut salt = [0; SALT];
        OsRng.fill_bytes(&mut salt);
        let entry = WalletLogEntry { number, previous: self.head.clone(), salt: URL_SAFE_NO_PAD.encode(salt), ..entry };
        self.head = entry.digest();
        self.entries.push(entry);
        number
    }

    /// Returns the entries, oldest first.
    pub fn entries(&self) -> &[WalletLogEntry] {
        &self.entries
    }

    /// Returns the newest entry; `None` if the log has no entries.
    pub fn newest(&self) -> Option<&WalletLogEntry> {
        self.entries.last()
    }

    /// Returns the entry with a number; `None` if it was deleted or does not exist.
    pub fn entry(&self, number: u64) -> Option<&WalletLogEntry> {
        let index = number.checked_sub(self.deleted_count())?.checked_sub(1)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Returns the number of the entry at an index.
    fn number(&self, index: usize) -> u64 {
        self.deleted_count().saturating_add(number(index))
    }

    /// Returns the entries of a kind that refer to the entry with a number, oldest first.
    pub fn entries_about(&self, number: u64, kind: LogEntryKind) -> impl Iterator<Item = &WalletLogEntry> {
        self.entries.iter().filter(move |entry| entry.refers_to == Some(number) && entry.kind == kind)
    }

    /// Returns the digest of the newest entry. A holder who writes it down can later check that no earlier entry was
    /// changed.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Recomputes the hash chain, and verifies the checkpoint that replaces deleted entries.
    ///
    /// # Errors
    /// The first entry that was moved, changed or removed; or an invalid checkpoint.
    pub fn check_chain(&self) -> Result<(), LogError> {
        let mut previous = self.check_checkpoint()?.map_or_else(|| digest(BEGINNING), str::to_owned);
        for (index, entry) in self.entries.iter().enumerate() {
            let at = self.number(index);
            let broken = |number: u64, what: &str| Err(LogError { number, description: what.to_owned() });
            if entry.number != at {
                return broken(at, "the entry is not the original one: an entry was removed, inserted or moved");
            }
            if entry.previous != previous {
                return broken(at.saturating_sub(1).max(1), "the next entry does not continue it");
            }
            if entry.refers_to.is_some_and(|of| of == 0 || of >= at) {
                return broken(at, "it refers to an entry that is not before it");
            }
            previous = entry.digest();
        }
        if previous == self.head {
            return Ok(());
        }
        let what = "it is not the newest entry, or it was changed".to_owned();
        Err(LogError { number: self.number(self.entries.len()).saturating_sub(1), description: what })
    }
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
}

fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
