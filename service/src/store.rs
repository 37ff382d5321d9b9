//! SQLite store: WAL mode, migrations, named transactions.
//!
//! A committed transaction survives a power cut (`synchronous = FULL`), and erased data is overwritten in the file
//! (`secure_delete`); [`Database::checkpoint`] also removes it from the write-ahead log.

pub mod arguments;
mod backup;
mod database;
mod identity;
mod migrations;
mod opening;
mod restore;
mod writer;

use std::{fs::OpenOptions, path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{config::StartError, error::StoreError};

pub use backup::{StoreBackup, back_up};
pub use database::{CheckpointError, Database};
pub use identity::{StoreIdentity, StoreMark, read as read_identity};
pub use migrations::{differing_migrations, migrator};
pub use opening::{MarkError, OpenStore, create_store, open_store, open_store_for_service};
pub use restore::{RestoreResult, StagedStore, StoreLag};
pub use writer::WriteTransaction;

const STORE_FILE: &str = "store.sqlite";
/// Maximum wait in the queue of writers, and for a lock of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let busy = match &error {
            sqlx::Error::PoolTimedOut => true,
            // SQLITE_BUSY and SQLITE_LOCKED, with their extended codes.
            sqlx::Error::Database(inner) => {
                matches!(inner.code().as_deref(), Some("5" | "6" | "261" | "517" | "262" | "518" | "773"))
            }
            _ => false,
        };
        if busy { Self::Busy } else { Self::Failed(Box::new(error)) }
    }
}

/// Creates the data directory with mode 0700, and its parents, unless it exists.
///
/// # Errors
/// It cannot be created.
fn create_directory(data: &Path) -> Result<(), StartError> {
    carnet_disk::create_private_directory(data).map_err(|error| {
        StartError::new(
            format!("The data directory {} cannot be created: {error}.", data.display()),
            "Check the path and that this user may write there. Nothing was changed.",
        )
    })
}

/// Opens or creates `DIR/store.sqlite` (a new directory gets mode 0700, a new file 0600), and runs the migrations. The
/// callers, [`create_store`] and [`open_store`], decide whether it may be created, and whether it is the store of this
/// directory.
///
/// # Errors
/// The file cannot be opened, is not a database, or has a schema that this version does not know. The stored data is
/// unchanged in each case.
async fn open_file(data: &Path, migrator: &Migrator) -> Result<Database, StartError> {
    create_directory(data)?;
    let path = data.join(STORE_FILE);
    // Created here and not by SQLite, which would leave the mode to the umask; SQLite's log files inherit the mode.
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(|error| unopened(&path, &error))?;

    let connect = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(LOCK_TIMEOUT)
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF");
    // A separate connection, since it waits for other processes in SQLite.
    let mut migrating = connect.clone().connect().await.map_err(|error| unopened(&path, &error))?;
    let database = match migrator.run(&mut migrating).await {
        Ok(()) => Database::connect(connect).await.map_err(|error| unopened(&path, &error)),
        Err(error) => Err(unmigrated(&path, &error)),
    };
    // The migrations are committed, and the database is open: nothing is lost if this connection cannot be closed.
    migrating.close().await.ok();
    database
}

fn unopened(path: &Path, error: &dyn std::error::Error) -> StartError {
    StartError::new(
        format!("The store {} cannot be opened: {error}. The stored data is unchanged.", path.display()),
        "Check that this user may read and write it and that the disk has room; if the file is damaged, restore a backup.",
    )
}

fn unmigrated(path: &Path, error: &MigrateError) -> StartError {
    let path = path.display();
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => StartError::new(
            format!(
                "The store {path} has schema version {version}, which this program does not support. The stored data \
                 is unchanged."
            ),
            "A newer version wrote it: start that version, or restore the backup from before the upgrade.",
        ),
        MigrateError::VersionMismatch(version) => StartError::new(
            format!(
                "The schema version {version} of the store {path} differs from this program's. The stored data is \
                 unchanged."
            ),
            "A development version wrote it: start that version, or use a new data directory.",
        ),
        other => StartError::new(
            format!("The schema of the store {path} could not be upgraded: {other}. The change was rolled back."),
            "Check that the disk has room and that no other process uses the store, then start again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn migrator(migrations: &[(&str, &str)]) -> Migrator {
        let dir = tempfile::tempdir().unwrap();
        for (name, sql) in migrations {
            std::fs::write(dir.path().join(name), sql).unwrap();
        }
        Migrator::new(dir.path()).await.unwrap()
    }

    const FIRST: (&str, &str) = ("1_first.sql", "CREATE TABLE a (x TEXT); CREATE TABLE b (y INTEGER PRIMARY KEY);");
    const SECOND: (&str, &str) = ("2_second.sql", "CREATE TABLE c (z TEXT);");

    #[tokio::test]
    async fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        open_file(&data, &migrator(&[FIRST]).await).await.unwrap().close().await;
        open_file(&data, &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;
        let error = open_file(&data, &migrator(&[FIRST]).await).await.unwrap_err();
        assert!(error.message.contains("schema version 2"), "{error}");
        open_file(&data, &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn a_changed_migration_a_broken_one_and_a_foreign_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        open_file(dir.path(), &migrator(&[FIRST]).await).await.unwrap().close().await;
        let changed = migrator(&[("1_first.sql", "CREATE TABLE d (x TEXT);")]).await;
        assert!(open_file(dir.path(), &changed).await.unwrap_err().message.contains("schema version 1 of"));
        let broken = migrator(&[FIRST, ("2_bad.sql", "CREATE TABLE c (z TEXT); NONSENSE;")]).await;
        assert!(open_file(dir.path(), &broken).await.unwrap_err().message.contains("rolled back"));
        open_file(dir.path(), &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;

        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join(STORE_FILE), "this is a letter and no database".repeat(100)).unwrap();
        assert!(open_file(other.path(), &migrator(&[FIRST]).await).await.unwrap_err().message.contains("is unchanged"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_directory_and_its_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let database = open_file(&data, &migrator(&[FIRST]).await).await.unwrap();
        let mut tx = database.begin("a test").await.unwrap();
        sqlx::query("INSERT INTO a VALUES ('x')").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        for name in [STORE_FILE, "store.sqlite-wal", "store.sqlite-shm"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
    }
}
