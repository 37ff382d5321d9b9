//! Presentations with their outcomes, assembled from log entries.

use std::collections::BTreeSet;

use carnet_core::{keys::Signer as _, receipt::ReceiptContent, time::Timestamp};
use serde_json::{Value, json};

use super::{HolderKey, LogEntryKind, WalletContents, WalletLogEntry, log::WalletLog};
use crate::{
    failure::{Failure, FailureReason, Sentence},
    sanitise::sanitise,
};

/// Presentation in the log, with the entries that refer to it.
#[derive(Debug, Clone)]
pub struct PresentationRecord<'a> {
    /// Entry that was written before sending.
    pub sent: &'a WalletLogEntry,
    /// Entry of the verifier's decision, or that no response arrived; `None` after an interruption.
    pub outcome: Option<&'a WalletLogEntry>,
    /// Entry of the receipt, or that it is missing or invalid; `None` if no response arrived.
    pub receipt: Option<&'a WalletLogEntry>,
    /// Entries of erasure requests, oldest first.
    pub erasure_requests: Vec<&'a WalletLogEntry>,
    /// Entry of the last failed erasure request.
    pub failed_erasure: Option<&'a WalletLogEntry>,
    /// Entry of the verified confirmation of erasure.
    pub erasure: Option<&'a WalletLogEntry>,
}

/// Returns all presentations of a log, oldest first.
pub fn presentations(log: &WalletLog) -> Vec<PresentationRecord<'_>> {
    let sent = log.entries().iter().filter(|entry| entry.kind == LogEntryKind::Sending);
    sent.map(|sent| PresentationRecord::of(log, sent)).collect()
}

/// Returns the thumbprints of the keys of all presentations whose erasure can still be requested.
pub fn keys_for_erasure(log: &WalletLog) -> BTreeSet<String> {
    let open = presentations(log).into_iter().filter(PresentationRecord::can_request_erasure);
    open.flat_map(|presentation| presentation.sent.credentials.iter().map(|part| part.key.clone())).collect()
}

/// Returns the thumbprint (RFC 7638) of a holder key; `None` if the key is damaged.
pub fn thumbprint(key: &HolderKey) -> Option<String> {
    Some(key.decode().ok()?.public_key().thumbprint())
}

impl<'a> PresentationRecord<'a> {
    fn of(log: &'a WalletLog, sent: &'a WalletLogEntry) -> Self {
        let one =
            |number: u64, kinds: &[LogEntryKind]| kinds.iter().find_map(|kind| log.entries_about(number, *kind).last());
        let outcome =
            one(sent.number, &[LogEntryKind::Accepted, LogEntryKind::RefusedByVerifier, LogEntryKind::Unanswered]);
        let receipt =
            one(sent.number, &[LogEntryKind::Receipt, LogEntryKind::ReceiptMissing, LogEntryKind::ReceiptInvalid]);
        let number = receipt.filter(|entry| entry.kind == LogEntryKind::Receipt).map_or(0, |entry| entry.number);
        Self {
            sent,
            outcome,
            receipt,
            erasure_requests: log.entries_about(number, LogEntryKind::ErasureRequested).collect(),
            failed_erasure: one(number, &[LogEntryKind::ErasureFailed]),
            erasure: one(number, &[LogEntryKind::ErasureConfirmed]),
        }
    }

    /// Returns the entry of the receipt, if the receipt was valid on arrival.
    pub fn valid_receipt(&self) -> Option<&'a WalletLogEntry> {
        self.receipt.filter(|entry| entry.kind == LogEntryKind::Receipt)
    }

    /// Returns the content of the receipt; `None` without a valid receipt.
    pub fn receipt_content(&self) -> Option<ReceiptContent> {
        let statement = self.valid_receipt()?.statement.as_ref()?;
        serde_json::from_value(statement.document.get("credentialSubject")?.clone()).ok()
    }

    /// Returns the time by which the verifier promises to have erased all data: the result and every retained claim.
    /// `None` without a valid receipt.
    pub fn erasure_due(&self) -> Option<Timestamp> {
        let content = self.receipt_content()?;
        content.retained.iter().map(|kept| kept.erase_at).chain([content.erase_at]).max()
    }

    /// Returns whether the holder can request erasure: there is a valid receipt that lists a holder key, and no
    /// confirmation of erasure yet.
    pub fn can_request_erasure(&self) -> bool {
        self.erasure.is_none() && self.receipt_content().is_some_and(|content| !content.holder_keys.is_empty())
    }

    /// Returns the presentation as JSON, for `--json`. `now` determines whether the erasure is due.
    pub fn to_json(&self, now: Timestamp) -> Value {
        let text = |entry: Option<&WalletLogEntry>| entry.map(|entry| entry.at.to_string());
        let content = self.receipt_content();
        let keeps = content.as_ref().map(|content| json!(content.retained));
        json!({
            "entry": self.sent.number, "at": self.sent.at.to_string(), "party": self.sent.party,
            "party_name": self.sent.party_name, "intended_use": self.sent.intended_use, "purpose": self.sent.purpose,
            "outcome": self.outcome.map(|entry| entry.kind.as_str()), "parts": self.sent.credentials, "beyond": self.sent.excess,
            "receipt": self.receipt.map(|entry| entry.kind.as_str()), "receipt_entry": self.valid_receipt().map(|entry| entry.number),
            "erase_at": content.map(|content| content.erase_at.to_string()), "keeps": keeps,
            "due": self.erasure_due().map(|due| due.to_string()), "already_due": self.erasure_due().map(|due| due <= now),
            "erasure_failed": self.failed_erasure.filter(|_| self.erasure.is_none()).map(|entry| &entry.reason),
            "erasure_requested_at": text(self.erasure_requests.last().copied()), "erased_at": text(self.erasure),
        })
    }
}

/// Returns the presentations to a verifier, identified by its client id, its DID, or its name if that is unambiguous;
/// or the one presentation to which the log entry with the number `who` belongs.
///
/// # Errors
/// `not_found`, `ambiguous_name`
pub fn presentations_to<'a>(log: &'a WalletLog, who: &str) -> Result<Vec<PresentationRecord<'a>>, Failure> {
    let missing = |message| Failure::new(FailureReason::NotFound, message, Sentence::new("hint-who-saw"));
    let all = presentations(log);
    if let Ok(number) = who.parse::<u64>() {
        let entry = log.entry(number).ok_or_else(|| missing(Sentence::new("error-no-entry").with("number", number)))?;
        // The entry may be the presentation, an entry about it, or one about its receipt.
        let mut entry = Some(entry);
        while let Some(found) = entry.filter(|entry| entry.kind != LogEntryKind::Sending) {
            entry = found.refers_to.filter(|of| *of < found.number).and_then(|of| log.entry(of));
        }
        let other = || missing(Sentence::new("error-entry-other").with("number", number));
        let sent = entry.ok_or_else(other)?;
        return Ok(vec![PresentationRecord::of(log, sent)]);
    }
    let is = |presentation: &&PresentationRecord<'_>| presentation.sent.party == who || presentation.sent.did() == who;
    let mut found: Vec<PresentationRecord<'a>> = all.iter().filter(is).cloned().collect();
    if found.is_empty() {
        let named: Vec<_> = all.into_iter().filter(|presentation| presentation.sent.party_name == who).collect();
        let mut parties: Vec<&str> = named.iter().map(|presentation| presentation.sent.party.as_str()).collect();
        parties.sort_unstable();
        parties.dedup();
        if parties.len() > 1 {
            let hint = Sentence::new("hint-identifier").with("identifiers", sanitise(&parties.join(", ")));
            return Err(Failure::usage(FailureReason::AmbiguousName, Sentence::new("error-ambiguous-name"), hint));
        }
        found = named;
    }
    if found.is_empty() {
        return Err(missing(Sentence::new("error-nothing-shown").with("who", sanitise(who))));
    }
    Ok(found)
}

impl WalletContents {
    /// Returns the holder key with a thumbprint: of a copy in the wallet, or of a deleted copy that was presented.
    /// `None` if the wallet does not have it.
    pub fn key_by_thumbprint(&self, wanted: &str) -> Option<&HolderKey> {
        let copies = self.credentials.iter().flat_map(|held| held.copies.iter().map(|copy| &copy.key));
        copies.chain(&self.erasure_keys).find(|key| thumbprint(key).is_some_and(|thumbprint| thumbprint == wanted))
    }
}
