//! Changes due whenever a wallet file is opened: a file restored from a copy is recognised by its rollback mark
//! (spec/log.md section 8), and log entries past the owner's retention period are deleted.

use std::path::Path;

use age::secrecy::SecretString;
use carnet_core::time::Timestamp;

use crate::{
    failure::Failure,
    freshness::forget_stale,
    store::{
        WalletContents, WalletFile, WalletPart,
        mark::{FileAge, MarkFolders},
        read_only,
    },
};

/// Changes made to a wallet when it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpeningChanges {
    /// `true` if the file was restored from a copy: all its copies count as shown, and the log records it.
    pub restored: bool,
    /// Number of log entries past the retention period, and the first instant that is kept.
    pub forgotten: Option<(usize, Timestamp)>,
}

/// Makes the changes that are due, and saves each at once.
///
/// # Errors
/// The wallet cannot be saved.
pub fn bring_up_to_date(
    wallet: &mut WalletFile,
    marks: MarkFolders,
    now: Timestamp,
) -> Result<OpeningChanges, Failure> {
    let mut changes = OpeningChanges::default();
    // Expired statements on copies are erased from the file with the next change.
    forget_stale(&mut wallet.contents, now);
    if wallet.keep_mark(marks) != FileAge::Newest {
        wallet.contents.record_restore(now);
        wallet.save()?;
        changes.restored = true;
    }
    changes.forgotten = forget_old(&mut wallet.contents, now);
    if changes.forgotten.is_some() {
        // The entries would reappear otherwise.
        wallet.save()?;
    }
    Ok(changes)
}

/// Creates a wallet from a copy of its file. Later presentations are not in the copy, so all credential copies in it
/// count as presented, and the new file gets its own rollback mark. Returns the contents, and the time of the last log
/// entry in the copy.
///
/// # Errors
/// The copy cannot be opened; the wallet exists or cannot be written.
pub fn restore(
    copy: &Path,
    wallet: &Path,
    passphrase: SecretString,
    now: Timestamp,
) -> Result<(WalletContents, Option<Timestamp>), Failure> {
    let mut contents = read_only(copy, &passphrase, WalletPart::Whole)?;
    let last = contents.log.entries().last().map(|entry| entry.at);
    contents.record_restore(now);
    contents.mark = None;
    WalletFile::create_with(wallet, passphrase, &mut contents)?;
    Ok((contents, last))
}

/// Returns whether opening the wallet would change it.
#[must_use]
pub fn is_change_due(contents: &WalletContents, marks: &MarkFolders, now: Timestamp) -> bool {
    let is_old = |start| contents.log.before(start) > 0;
    contents.age(marks) != FileAge::Newest || contents.retention_start(now).is_some_and(is_old)
}

/// Changes contents as the next opening of their file will, for a file that cannot be changed now.
pub fn preview(contents: &mut WalletContents, marks: &MarkFolders, now: Timestamp) -> OpeningChanges {
    let restored = contents.age(marks) != FileAge::Newest;
    if restored {
        contents.record_restore(now);
    }
    OpeningChanges { restored, forgotten: forget_old(contents, now) }
}

/// Deletes the log entries past the retention period. An invalid log is left unchanged; `check_log` reports the fault.
fn forget_old(contents: &mut WalletContents, now: Timestamp) -> Option<(usize, Timestamp)> {
    let start = contents.retention_start(now)?;
    let count = contents.forget(start, now).unwrap_or_default();
    (count > 0).then_some((count, start))
}
