//! Backup of a store into one file, which is verified after it was written. The service may be running.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    LOCK_TIMEOUT, STORE_FILE,
    identity::{self, StoreFile, StoreIdentity, StoreMark},
    opening,
};
use crate::{config::StartError, disk};

/// Description of a backup that was written.
#[derive(Debug)]
pub struct StoreBackup {
    /// Identity of the store in the backup.
    pub identity: StoreIdentity,
    /// Size of the file, in bytes.
    pub bytes: u64,
}

/// Writes all committed data of a directory's store, including its write-ahead log, to a new file with mode 0600, and
/// verifies the file. The service may be running.
///
/// # Errors
/// The file already exists; the store is refused; the backup cannot be written, or is incomplete. No file is left then,
/// except an existing one.
pub async fn back_up(data: &Path, out: &Path) -> Result<StoreBackup, StartError> {
    let _lock = opening::lock_shared(data)?;
    let mark = StoreMark::load(data)?;
    let store = data.join(STORE_FILE);
    let found = identity::inspect_file(&store).await?;
    identity::require_newest(data, mark.as_ref(), &found)?;
    if !matches!(found, StoreFile::Named { .. }) {
        return Err(StartError::new(
            "The store has no id yet, and backups need one. Nothing was written.",
            "Start this version of the service once: it assigns the id. Then make the backup.",
        ));
    }
    if out.exists() {
        return Err(StartError::new(
            format!("{} already exists. Nothing was written: a backup is never overwritten.", out.display()),
            "Name another file.",
        ));
    }
    let part = PartialFile::new(out).map_err(|error| unwritten(out, &error))?;
    let written = write_backup(&store, &part.path).await.map_err(|error| unwritten(out, &error))?;
    if mark.is_some_and(|mark| written.id != mark.store || written.number < mark.number) {
        return Err(unwritten(out, &"it is not whole"));
    }
    let bytes = part.finish(out).map_err(|error| unwritten(out, &error))?;
    Ok(StoreBackup { identity: written, bytes })
}

fn unwritten(out: &Path, error: &dyn std::fmt::Display) -> StartError {
    StartError::new(
        format!(
            "The backup {} could not be written: {error}. The store is unchanged, and there is no backup.",
            out.display()
        ),
        "Check that the folder exists, that this user may write in it, and that its disk has room.",
    )
}

async fn write_backup(store: &Path, part: &Path) -> Result<StoreIdentity, sqlx::Error> {
    let mut source = connect(store, false).await?;
    let copied = sqlx::query("VACUUM INTO ?")
        .bind(part.to_str().ok_or_else(|| sqlx::Error::Configuration("its path is not in UTF-8".into()))?)
        .execute(&mut source)
        .await;
    source.close().await?;
    copied?;
    // No other process uses the file, so it can be opened as immutable, without a log.
    let mut written = connect(part, true).await?;
    let checked = check_integrity(&mut written).await;
    let identity = match checked {
        Ok(()) => identity::read(&mut written).await,
        Err(error) => Err(error),
    };
    written.close().await?;
    identity
}

async fn connect(path: &Path, immutable: bool) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(LOCK_TIMEOUT);
    let options = if immutable { options.read_only(true).immutable(true) } else { options };
    SqliteConnection::connect_with(&options).await
}

/// Runs SQLite's integrity check; an error if the database is damaged.
pub(super) async fn check_integrity(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_all(connection).await?;
    if said == ["ok"] {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("the integrity check says: {}", said.join("; "))))
}

/// Temporary file of a backup in progress, removed on drop.
struct PartialFile {
    path: PathBuf,
}

impl PartialFile {
    fn new(out: &Path) -> io::Result<Self> {
        let mut name = out.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        // An incomplete file left by a power failure is replaced.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        disk::create_new(&path, 0o600)?;
        Ok(Self { path })
    }

    /// Syncs the file to disk, gives it its final name unless that exists, and returns its size.
    fn finish(&self, out: &Path) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        // Unlike a rename, it never replaces a file.
        fs::hard_link(&self.path, out)?;
        disk::sync_directory(out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(bytes)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}
