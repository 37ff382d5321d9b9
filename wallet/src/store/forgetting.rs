//! Deletion of log entries with everything that only they need, and of the verifiers' names at copies.

use std::collections::BTreeSet;

use carnet_core::{day, keys::Signer as _, time::Timestamp};

use super::{
    Contents, Copy, Entry, EntryKind, HolderKey,
    log::Broken,
    presentations::{keys_for_erasure, thumbprint},
};

/// Entry in the list of a copy's verifiers for one that the wallet no longer knows, or cannot know.
pub const UNKNOWN_PARTY: &str = "unknown";

impl Copy {
    /// Records that an unknown verifier may have seen the copy.
    fn seen_by_unknown(&mut self) {
        if !self.shown_to.iter().any(|seen| seen == UNKNOWN_PARTY) {
            self.shown_to.push(UNKNOWN_PARTY.to_owned());
        }
    }
}

impl Contents {
    /// Returns the start of the first day in the retention period; `None` if the log is kept forever.
    pub fn kept_from(&self, now: Timestamp) -> Option<Timestamp> {
        let days = i64::from(self.log_days?);
        Some(now.plus(days.saturating_mul(day::SECONDS).saturating_neg()).start_of_day())
    }

    /// Forgets the log before an instant: the entries, the requests kept with them, the keys for requesting erasure,
    /// and the verifiers that saw the copies. A shown copy still counts as shown. Returns the number of deleted
    /// entries.
    ///
    /// # Errors
    /// If the hash chain is invalid.
    pub fn forget(&mut self, before: Timestamp, now: Timestamp) -> Result<usize, Broken> {
        if self.log.before(before) == 0 {
            return Ok(0);
        }
        let damaged = |problem: carnet_core::Problem| Broken { number: 0, what: problem.to_string() };
        let key = self.log_key.get_or_insert_with(HolderKey::draw).open().map_err(damaged)?;
        let count = self.log.forget(before, now, &key)?;
        self.requests.retain_of(&self.log);
        self.forget_askers();
        self.drop_keys();
        Ok(count)
    }

    /// Replaces the names of verifiers that the log no longer contains.
    fn forget_askers(&mut self) {
        let sent = self.log.entries().iter().filter(|entry| entry.kind == EntryKind::Sending);
        let known: BTreeSet<(&str, &str)> =
            sent.flat_map(|sent| sent.parts.iter().map(|part| (sent.party.as_str(), part.key.as_str()))).collect();
        let sent_to: BTreeSet<(&str, &str)> = self
            .log
            .entries()
            .iter()
            .filter(|entry| entry.kind == EntryKind::Sending)
            .flat_map(|sent| sent.parts.iter().map(|part| (sent.party.as_str(), part.id.as_str())))
            .collect();
        for held in &mut self.credentials {
            for serial in held.serials.iter_mut().flat_map(|serials| &mut serials.shown) {
                if !sent_to.contains(&(serial.to.as_str(), held.id.as_str())) {
                    UNKNOWN_PARTY.clone_into(&mut serial.to);
                }
            }
            let issuer = held.issuer.as_str();
            for copy in held.copies.iter_mut().filter(|copy| !copy.shown_to.is_empty()) {
                let key = thumbprint(&copy.key).unwrap_or_default();
                let before = copy.shown_to.len();
                copy.shown_to.retain(|seen| seen == issuer || known.contains(&(seen.as_str(), key.as_str())));
                if copy.shown_to.len() < before {
                    copy.seen_by_unknown();
                }
            }
        }
    }

    /// Deletes the keys that no request needs any more: of deleted copies, and of copies reduced to their key. Returns
    /// true if there were any.
    pub fn drop_keys(&mut self) -> bool {
        let needed = keys_for_erasure(&self.log);
        let is_needed = |key: &HolderKey| thumbprint(key).is_some_and(|thumbprint| needed.contains(&thumbprint));
        let count = |contents: &Self| {
            let copies = contents.credentials.iter().map(|held| held.copies.len());
            copies.fold(contents.retired.len(), usize::saturating_add)
        };
        let before = count(self);
        self.retired.retain(is_needed);
        for held in &mut self.credentials {
            held.copies.retain(|copy| copy.is_kept() || is_needed(&copy.key));
        }
        count(self) < before
    }

    /// Logs that the wallet was restored from a copy, and marks its copies.
    pub fn restored(&mut self, now: Timestamp) {
        self.suspect_copies();
        self.log.push(Entry::new(now, EntryKind::Restored, ""));
    }

    /// Marks every copy as shown to an unknown verifier, and no longer proves thresholds with it: a newer file exists,
    /// with which each copy may have been shown and opened for another threshold (spec/at-least.md 4.5).
    fn suspect_copies(&mut self) {
        for copy in self.credentials.iter_mut().flat_map(|held| &mut held.copies).filter(|copy| copy.is_kept()) {
            copy.seen_by_unknown();
            copy.commitments.clear();
        }
    }
}

/// Returns the thumbprint of the log key for the screen; `None` if it is missing or damaged.
pub fn log_key(contents: &Contents) -> Option<String> {
    Some(contents.log_key.as_ref()?.open().ok()?.public_key().to_multikey())
}
