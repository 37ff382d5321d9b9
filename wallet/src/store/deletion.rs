//! Deletion of log entries with all dependent data, including the verifiers' names in copies.

use std::collections::BTreeSet;

use carnet_core::{day, keys::Signer as _, time::Timestamp};

use super::{
    CredentialCopy, HolderKey, LogEntryKind, WalletContents, WalletLogEntry,
    log::LogError,
    presentations::{keys_for_erasure, thumbprint},
};

/// Placeholder in a copy's list of verifiers for one that the wallet has forgotten or cannot know.
pub const UNKNOWN_VERIFIER: &str = "unknown";

impl CredentialCopy {
    /// Records that an unknown verifier may have seen the copy.
    fn seen_by_unknown(&mut self) {
        if !self.presented_to.iter().any(|seen| seen == UNKNOWN_VERIFIER) {
            self.presented_to.push(UNKNOWN_VERIFIER.to_owned());
        }
    }
}

impl WalletContents {
    /// Returns the start of the first day within the retention period of the log; `None`: unlimited.
    pub fn retention_start(&self, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(self.log_retention_days?);
        Some(now.plus(days.saturating_mul(day::SECONDS).saturating_neg()).start_of_day())
    }

    /// Deletes the log before an instant: entries, their request objects, the keys for erasure requests, and the names
    /// of verifiers in copies. A presented copy still counts as presented. Returns the number of deleted entries.
    ///
    /// # Errors
    /// The hash chain of the log is invalid, or the log key is damaged.
    pub fn delete_log_before(&mut self, before: Timestamp, now: Timestamp) -> Result<usize, LogError> {
        if self.log.count_before(before) == 0 {
            return Ok(0);
        }
        let damaged = |problem: carnet_core::Problem| LogError { number: 0, description: problem.to_string() };
        let key = self.log_key.get_or_insert_with(HolderKey::generate).decode().map_err(damaged)?;
        let count = self.log.delete_before(before, now, &key)?;
        self.requests.retain_with_receipt(&self.log);
        self.forget_verifiers();
        self.delete_unneeded_keys();
        Ok(count)
    }

    /// Replaces the names of verifiers in copies and vouchers with `unknown` if the log no longer has the presentation.
    fn forget_verifiers(&mut self) {
        let sent = self.log.entries().iter().filter(|entry| entry.kind == LogEntryKind::Sending);
        let known: BTreeSet<(&str, &str)> = sent
            .flat_map(|sent| sent.credentials.iter().map(|part| (sent.party.as_str(), part.key.as_str())))
            .collect();
        let sent_to: BTreeSet<(&str, &str)> = self
            .log
            .entries()
            .iter()
            .filter(|entry| entry.kind == LogEntryKind::Sending)
            .flat_map(|sent| sent.credentials.iter().map(|part| (sent.party.as_str(), part.id.as_str())))
            .collect();
        for held in &mut self.credentials {
            for serial in held.serials.iter_mut().flat_map(|serials| &mut serials.disclosed) {
                if !sent_to.contains(&(serial.client_id.as_str(), held.id.as_str())) {
                    UNKNOWN_VERIFIER.clone_into(&mut serial.client_id);
                }
            }
            let issuer = held.issuer.as_str();
            for copy in held.copies.iter_mut().filter(|copy| !copy.presented_to.is_empty()) {
                let key = thumbprint(&copy.key).unwrap_or_default();
                let before = copy.presented_to.len();
                copy.presented_to.retain(|seen| seen == issuer || known.contains(&(seen.as_str(), key.as_str())));
                if copy.presented_to.len() < before {
                    copy.seen_by_unknown();
                }
            }
        }
    }

    /// Deletes the keys that are no longer needed for erasure requests: those of deleted copies, and copies of which
    /// only the key was kept. Returns whether any were deleted.
    pub fn delete_unneeded_keys(&mut self) -> bool {
        let needed = keys_for_erasure(&self.log);
        let is_needed = |key: &HolderKey| thumbprint(key).is_some_and(|thumbprint| needed.contains(&thumbprint));
        let count = |contents: &Self| {
            let copies = contents.credentials.iter().map(|held| held.copies.len());
            copies.fold(contents.erasure_keys.len(), usize::saturating_add)
        };
        let before = count(self);
        self.erasure_keys.retain(is_needed);
        for held in &mut self.credentials {
            held.copies.retain(|copy| copy.is_presentable() || is_needed(&copy.key));
        }
        count(self) < before
    }

    /// Logs that the wallet was restored from a backup, and marks every copy as presented to an unknown verifier.
    /// Thresholds are no longer proved with these copies.
    pub fn record_restore(&mut self, now: Timestamp) {
        self.suspect_copies();
        self.log.push(WalletLogEntry::new(now, LogEntryKind::Restored, ""));
    }

    /// Marks every copy as presented to an unknown verifier, and makes it unusable for threshold proofs: a newer file
    /// existed, with which each copy may have been presented for another threshold (spec/at-least.md 4.5).
    fn suspect_copies(&mut self) {
        let copies = self.stored_credentials_mut().flat_map(|held| &mut held.copies);
        for copy in copies.filter(|copy| copy.is_presentable()) {
            copy.seen_by_unknown();
            copy.commitments.clear();
        }
    }
}

/// Returns the public key that signs checkpoints of the log, as a Multikey. `None` if the wallet has none or it is
/// damaged.
pub fn log_public_key(contents: &WalletContents) -> Option<String> {
    Some(contents.log_key.as_ref()?.decode().ok()?.public_key().to_multikey())
}
