//! Changes that are due whenever a wallet file is opened: a file restored from a copy is recognised by its rollback
//! mark (spec/log.md section 8), and log entries past the retention period and old contents of the bin are deleted.

use std::path::Path;

use age::secrecy::SecretString;
use carnet_core::time::Timestamp;

use crate::{
    failure::Failure,
    freshness::erase_expired_statements,
    store::{
        WalletContents, WalletFile, WalletScope, read_wallet,
        rollback_mark::{MarkComparison, MarkDirectories},
    },
};

/// Changes that were due and made when a wallet was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpeningChanges {
    /// `true` if the file was restored from a copy. All of its copies count as presented then, and the log records the
    /// restoration.
    pub restored: bool,
    /// Number of log entries that were deleted as past the retention period, and the instant before which they were;
    /// `None`: none.
    pub deleted: Option<(usize, Timestamp)>,
    /// Number of credentials that were deleted permanently, 30 days after their holder deleted them.
    pub emptied: usize,
}

/// Makes the changes that are due, and saves the wallet after each. Also erases expired freshness statements, which is
/// saved with the next change, and updates the rollback mark with each save from now on.
///
/// # Errors
/// The wallet cannot be saved.
pub fn apply_due_changes(
    wallet: &mut WalletFile,
    marks: MarkDirectories,
    now: Timestamp,
) -> Result<OpeningChanges, Failure> {
    let mut changes = OpeningChanges::default();
    // Expired statements on copies are erased from the file with the next change.
    erase_expired_statements(&mut wallet.contents, now);
    if wallet.enable_mark(marks) != MarkComparison::Newest {
        wallet.contents.record_restore(now);
        wallet.save()?;
        changes.restored = true;
    }
    changes.deleted = delete_expired_entries(&mut wallet.contents, now);
    changes.emptied = wallet.contents.empty_bin(now);
    if changes.deleted.is_some() || changes.emptied > 0 {
        // The deleted ones would reappear otherwise.
        wallet.save()?;
    }
    Ok(changes)
}

/// Creates the wallet file `wallet` from a copy of a wallet file; never replaces an existing file. Presentations made
/// after the copy are not in it, so all credential copies count as presented. The new file gets its own rollback mark,
/// and the second passphrase; the first one opens the copy.
/// Returns the contents, and the time of the last log entry in the copy.
///
/// # Errors
/// The copy cannot be opened; the wallet exists or cannot be written.
pub fn restore_wallet(
    (copy, opens): (&Path, &SecretString),
    (wallet, passphrase): (&Path, SecretString),
    now: Timestamp,
) -> Result<(WalletContents, Option<Timestamp>), Failure> {
    let mut contents = read_wallet(copy, opens, WalletScope::Whole)?;
    let last = contents.log.entries().last().map(|entry| entry.at);
    contents.record_restore(now);
    contents.mark_id = None;
    WalletFile::create_with_contents(wallet, passphrase, &mut contents)?;
    Ok((contents, last))
}

/// Returns whether [`apply_due_changes`] would record a restoration, delete log entries or empty the bin.
#[must_use]
pub fn is_change_due(contents: &WalletContents, marks: &MarkDirectories, now: Timestamp) -> bool {
    let is_old = |start| contents.log.count_before(start) > 0;
    contents.compare_with_mark(marks) != MarkComparison::Newest
        || contents.retention_start(now).is_some_and(is_old)
        || contents.is_bin_due(now)
}

/// Makes the changes that are due in the contents only, for a file that cannot be changed now because it is locked.
pub fn apply_in_memory(contents: &mut WalletContents, marks: &MarkDirectories, now: Timestamp) -> OpeningChanges {
    let restored = contents.compare_with_mark(marks) != MarkComparison::Newest;
    if restored {
        contents.record_restore(now);
    }
    let deleted = delete_expired_entries(contents, now);
    OpeningChanges { restored, deleted, emptied: contents.empty_bin(now) }
}

/// Deletes the log entries past the retention period, and returns their number and the instant before which they were.
/// An invalid log is left unchanged; its verification reports the fault.
fn delete_expired_entries(contents: &mut WalletContents, now: Timestamp) -> Option<(usize, Timestamp)> {
    let start = contents.retention_start(now)?;
    let count = contents.delete_log_before(start, now).unwrap_or_default();
    (count > 0).then_some((count, start))
}
