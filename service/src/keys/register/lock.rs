//! Lock on the keys of a service.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use crate::{config::StartError, disk};

const LOCK_FILE: &str = "keys.lock";

/// Locks the keys against changes, while a service signs with them.
pub(in crate::keys) fn lock_shared(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock_shared)?;
    if locked { Ok(file) } else { Err(busy("Another program is changing these keys.")) }
}

/// Locks the keys for a change; fails while a service signs with them.
pub(in crate::keys) fn lock_exclusive(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock)?;
    if locked { Ok(file) } else { Err(busy("A program is using these keys. Nothing was changed.")) }
}

fn busy(what: &str) -> StartError {
    StartError::new(what, "Stop the service, run this again, and start the service.").retryable()
}

fn lock(data: &Path, how: impl Fn(&File) -> Result<(), TryLockError>) -> Result<(File, bool), StartError> {
    let path = data.join(LOCK_FILE);
    let failed = |error: std::io::Error| {
        StartError::new(
            format!("{} could not be used: {error}. Nothing was changed.", path.display()),
            "Check that the directory exists and that this user may write in it.",
        )
    };
    disk::lock_file(&path, how).map_err(failed)
}
