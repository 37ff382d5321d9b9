//! Deletion by the holder: credentials with their keys, and log entries before a day or past the retention period.

use carnet_core::{day, time::Timestamp};

use crate::{
    failure::{Failure, FailureReason, Sentence},
    sanitise::sanitise,
    store::{
        HeldCredential, LogEntryKind, LoggedCredential, Wallet, WalletContents, WalletLogEntry, WalletStore,
        contents::BinnedCredential,
        log::LogError,
        presentations::{PresentationRecord, keys_for_erasure, presentations, thumbprint},
    },
};

/// Deletes the credential at an index, and logs it. It is kept in the bin for 30 days; with `permanently` it is not, and
/// its keys are gone. The log is kept, and so are the keys that are needed for erasure requests. Returns the id of the
/// credential.
///
/// # Errors
/// There is no credential at the index; the wallet cannot be saved.
pub fn delete_credential(
    wallet: &mut Wallet<impl WalletStore>,
    index: usize,
    permanently: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    if index >= wallet.contents.credentials.len() {
        return Err(Failure::new(
            FailureReason::NotFound,
            Sentence::new("error-no-document"),
            Sentence::new("hint-list"),
        ));
    }
    let held = wallet.contents.credentials.remove(index);
    keep_erasure_keys(&mut wallet.contents, &held);
    let id = held.id.clone();
    record(&mut wallet.contents, LogEntryKind::Deleted, &held, now);
    if !permanently {
        wallet.contents.bin.push(BinnedCredential { deleted_at: now, credential: held });
    }
    wallet.save()?;
    Ok(id)
}

/// Takes a deleted credential out of the bin, and logs it: the one whose id begins with `id`, otherwise the one that was
/// deleted last. Returns its id and the name of its type.
///
/// # Errors
/// `nothing_to_undo` if the bin has no such credential; the wallet cannot be saved.
pub fn undo_deletion(
    wallet: &mut Wallet<impl WalletStore>,
    id: Option<&str>,
    now: Timestamp,
) -> Result<(String, String), Failure> {
    let is_meant = |binned: &BinnedCredential| id.is_none_or(|id| binned.credential.id.starts_with(id));
    let Some(index) = wallet.contents.bin.iter().rposition(is_meant) else {
        let message = Sentence::new("error-nothing-to-undo");
        return Err(Failure::new(FailureReason::NothingToUndo, message, Sentence::new("hint-list")));
    };
    let held = wallet.contents.bin.remove(index).credential;
    // Its own copies have these keys again.
    let own: Vec<String> = held.copies.iter().filter_map(|copy| thumbprint(&copy.key)).collect();
    wallet.contents.erasure_keys.retain(|key| thumbprint(key).is_none_or(|key| !own.contains(&key)));
    record(&mut wallet.contents, LogEntryKind::Undeleted, &held, now);
    let undone = (held.id.clone(), held.type_name.clone());
    wallet.contents.credentials.push(held);
    wallet.save()?;
    Ok(undone)
}

/// Logs an event of one credential.
fn record(contents: &mut WalletContents, kind: LogEntryKind, held: &HeldCredential, now: Timestamp) {
    contents.log.push(WalletLogEntry {
        party_name: held.issuer_name.clone(),
        credentials: vec![LoggedCredential::without_disclosures(&held.id, &held.type_name)],
        ..WalletLogEntry::new(now, kind, &held.issuer)
    });
}

/// Keeps the keys of the deleted copies with which erasure can still be requested: there is a receipt and no
/// confirmation of erasure.
fn keep_erasure_keys(contents: &mut WalletContents, deleted: &HeldCredential) {
    let open = keys_for_erasure(&contents.log);
    let keys = deleted.copies.iter().map(|copy| &copy.key);
    contents.erasure_keys.extend(keys.filter(|key| thumbprint(key).is_some_and(|key| open.contains(&key))).cloned());
}

/// Deletion of log entries that the holder is asked to confirm.
pub struct LogDeletionPlan {
    /// Instant before which all entries are deleted.
    pub before: Timestamp,
    /// Number of entries to be deleted.
    pub count: usize,
    /// Log entries of the presentations whose erasure can no longer be requested afterwards.
    pub erasure_lost: Vec<WalletLogEntry>,
}

impl LogDeletionPlan {
    /// Returns the plan for deleting the log before an instant. Nothing is deleted yet.
    ///
    /// # Errors
    /// `nothing_to_forget` if there are no such entries.
    pub fn before_instant(contents: &WalletContents, before: Timestamp) -> Result<Self, Failure> {
        let count = contents.log.count_before(before);
        if count == 0 {
            let message = Sentence::new("error-nothing-to-forget").with("day", day::format_start(before));
            return Err(Failure::new(FailureReason::NothingToForget, message, Sentence::new("hint-see-log")));
        }
        Ok(Self { before, count, erasure_lost: erasure_lost(contents, before) })
    }

    /// Deletes the entries, saves the wallet, and returns the number of deleted entries.
    ///
    /// # Errors
    /// `log_broken` if the hash chain is invalid; the wallet cannot be saved.
    pub fn execute(&self, wallet: &mut Wallet<impl WalletStore>, now: Timestamp) -> Result<usize, Failure> {
        let count = wallet.contents.delete_log_before(self.before, now).map_err(|broken| log_broken(&broken))?;
        wallet.save()?;
        Ok(count)
    }
}

/// Result of setting the retention period of the log.
pub struct RetentionChange {
    /// Instant before which entries were deleted; `None`: unlimited retention.
    pub start: Option<Timestamp>,
    /// Number of deleted entries.
    pub deleted: usize,
    /// Log entries of the presentations whose erasure can no longer be requested.
    pub erasure_lost: Vec<WalletLogEntry>,
}

/// Sets the retention period of the log in days (`None`: unlimited), deletes the entries past it, and saves the wallet.
///
/// # Errors
/// `log_broken` if the hash chain is invalid; the wallet cannot be saved.
pub fn set_retention(
    wallet: &mut Wallet<impl WalletStore>,
    days: Option<u32>,
    now: Timestamp,
) -> Result<RetentionChange, Failure> {
    wallet.contents.log_retention_days = days;
    let start = wallet.contents.retention_start(now);
    let erasure_lost = start.map(|start| erasure_lost(&wallet.contents, start)).unwrap_or_default();
    let forgotten = match start {
        Some(start) => wallet.contents.delete_log_before(start, now).map_err(|broken| log_broken(&broken))?,
        None => 0,
    };
    wallet.save()?;
    Ok(RetentionChange { start, deleted: forgotten, erasure_lost })
}

/// Returns the presentations whose receipt is in the log before an instant, and whose erasure could still be requested.
fn erasure_lost(contents: &WalletContents, before: Timestamp) -> Vec<WalletLogEntry> {
    let count = contents.log.count_before(before);
    let last = contents.log.entries().get(..count).and_then(|gone| gone.last()).map_or(0, |entry| entry.number);
    let open = |known: &PresentationRecord<'_>| {
        known.valid_receipt().is_some_and(|entry| entry.number <= last) && known.can_request_erasure()
    };
    presentations(&contents.log).into_iter().filter(open).map(|known| known.sent.clone()).collect()
}

fn log_broken(broken: &LogError) -> Failure {
    let message = Sentence::new("error-log-broken-kept").with_details(sanitise(&broken.to_string()));
    Failure::new(FailureReason::LogBroken, message, Sentence::new("hint-log-verify"))
}
