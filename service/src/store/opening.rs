//! Creation and opening of the store of a data directory.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::migrate::Migrator;
use tokio::sync::Mutex;

use super::{
    Database, STORE_FILE,
    identity::{self, StoreFile, StoreIdentity, StoreMark},
    open_file,
};
use crate::{config::StartError, disk};

const STORE_LOCK_FILE: &str = "store.lock";
/// File locked by the one service that runs on a directory.
const SERVICE_LOCK_FILE: &str = "service.lock";
/// Interval at which a running service updates the mark.
const MARK_INTERVAL: Duration = Duration::from_secs(2);

/// Open store of a data directory, locked against replacement by `restore`.
#[derive(Debug, Clone)]
pub struct OpenStore {
    /// Connections to the database.
    pub database: Database,
    mark: Arc<Mutex<StoreMark>>,
    data: PathBuf,
    /// Held, not used: closing it lets go of the lock.
    _lock: Arc<File>,
}

/// Opens the store of a directory for its service, and locks the directory: no other service can run on it until the
/// returned file is closed.
///
/// # Errors
/// Another service runs on the directory; those of [`open_store`].
pub async fn open_store_for_service(data: &Path, migrator: &Migrator) -> Result<(OpenStore, File), StartError> {
    // Before the store: a second service changes nothing, not even the schema.
    let (lock, locked) = lock_file(data, SERVICE_LOCK_FILE, File::try_lock)?;
    if !locked {
        return Err(StartError::new(
            format!(
                "A service is already running on {}. This one was not started, and nothing was changed.",
                data.display()
            ),
            "Stop the other one first, or give this one a data directory of its own.",
        )
        .retryable());
    }
    Ok((open_store(data, migrator).await?, lock))
}

/// Creates the store of a new data directory, with a new random id, and its [`StoreMark`].
///
/// # Errors
/// A store or its mark already exists; a file cannot be written.
pub async fn create_store(data: &Path, migrator: &Migrator) -> Result<(), StartError> {
    let _lock = lock_shared(data)?;
    if StoreMark::load(data)?.is_some() || identity::inspect_file(&data.join(STORE_FILE)).await? != StoreFile::Missing {
        return Err(StartError::new(
            format!("There is already a store in {}, or its mark. It is unchanged.", data.display()),
            "Use another data directory, or use this one as it is, without `init`.",
        ));
    }
    let mark = StoreMark::with_new_id();
    mark.save_for_command(data)?;
    let database = open_file(data, migrator).await?;
    let named = identity::assign_id_and_mark(data, &mark, &database).await;
    database.close().await;
    named.map(drop)
}

/// Opens the store of a directory, and runs its migrations. A store of an older version without an id gets one.
///
/// # Errors
/// The store is missing, empty, has another id, or is older than its mark; its mark is missing or cannot be written; it
/// is being replaced by `restore`; it cannot be opened or migrated. The stored data is unchanged.
pub async fn open_store(data: &Path, migrator: &Migrator) -> Result<OpenStore, StartError> {
    let lock = lock_shared(data)?;
    let mark = StoreMark::load(data)?;
    let found = identity::inspect_file(&data.join(STORE_FILE)).await?;
    identity::require_newest(data, mark.as_ref(), &found)?;
    let mark = match mark {
        Some(mark) => mark,
        None => {
            // Written before the store gets the id: a store with an id but without a mark is refused.
            let mark = StoreMark::with_new_id();
            mark.save_for_command(data)?;
            mark
        }
    };
    let database = open_file(data, migrator).await?;
    let mark = match identity::assign_id_and_mark(data, &mark, &database).await {
        Ok(mark) => mark,
        Err(error) => {
            database.close().await;
            return Err(error);
        }
    };
    Ok(OpenStore { database, mark: Arc::new(Mutex::new(mark)), data: data.to_owned(), _lock: Arc::new(lock) })
}

impl OpenStore {
    /// Writes the mark for the store's committed state, if it has changed, and returns the store's identity. To be
    /// called before that state is published.
    ///
    /// # Errors
    /// Errors of the database; the mark could not be written, and the earlier one stays.
    pub async fn update_mark(&self) -> Result<StoreIdentity, MarkError> {
        let mut mark = self.mark.lock().await;
        let identity = identity::read(self.database.readers()).await?;
        let next = StoreMark::new(&identity, mark.former.clone());
        if *mark != next {
            let (data, written) = (self.data.clone(), next.clone());
            tokio::task::spawn_blocking(move || written.save(&data)).await.map_err(std::io::Error::other)??;
            *mark = next;
        }
        Ok(identity)
    }

    /// Updates the mark every two seconds, until the future is dropped. Errors are logged, and do not end it.
    pub async fn update_mark_regularly(self) {
        let mut failed = false;
        loop {
            tokio::time::sleep(MARK_INTERVAL).await;
            match self.update_mark().await {
                Ok(_) => failed = false,
                Err(error) if !failed => {
                    failed = true;
                    tracing::error!(
                        %error,
                        "the mark next to the keys could not be written, so an outdated store would go unnoticed; \
                         retrying"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Writes the [`StoreMark`] a last time, and closes the store. If the mark cannot be written, the error is only
    /// logged.
    pub async fn close(&self) {
        if let Err(error) = self.update_mark().await {
            tracing::error!(%error, "the mark next to the keys could not be written; the next start writes it");
        }
        self.database.close().await;
    }
}

/// Error in updating the mark.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The store could not be read.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The mark could not be written.
    #[error("store.json: {0}")]
    Disk(#[from] std::io::Error),
}

/// Locks the store against replacement while it is open.
pub(super) fn lock_shared(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock_shared)?;
    if locked { Ok(file) } else { Err(busy("A backup is being restored into this directory.")) }
}

/// Locks the store for its replacement; fails while a program has it open.
pub(super) fn lock_exclusive(data: &Path) -> Result<File, StartError> {
    let (file, locked) = lock(data, File::try_lock)?;
    if locked { Ok(file) } else { Err(busy("A program has this store open. Nothing was changed.")) }
}

fn busy(what: &str) -> StartError {
    StartError::new(what, "Stop the service, run this again, and start the service.").retryable()
}

fn lock(data: &Path, how: impl Fn(&File) -> Result<(), std::fs::TryLockError>) -> Result<(File, bool), StartError> {
    lock_file(data, STORE_LOCK_FILE, how)
}

fn lock_file(
    data: &Path,
    name: &str,
    how: impl Fn(&File) -> Result<(), std::fs::TryLockError>,
) -> Result<(File, bool), StartError> {
    let path = data.join(name);
    disk::lock_file(&path, how).map_err(|error| {
        StartError::new(
            format!("{} could not be used: {error}. Nothing was changed.", path.display()),
            "Check that the directory exists and that this user may write in it.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_service_on_a_directory_is_refused_and_commands_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        let migrations = migrator(&[("1_identity.sql", IDENTITY)]).await;
        create_store(data, &migrations).await.unwrap();
        let (first, lock) = open_store_for_service(data, &migrations).await.unwrap();
        let refused = open_store_for_service(data, &migrations).await.unwrap_err();
        assert!(refused.message.contains("running") && refused.is_retryable, "{refused:?}");
        open_store(data, &migrations).await.unwrap().close().await;
        first.close().await;
        drop(lock);
        assert!(open_store_for_service(data, &migrations).await.is_ok());
    }

    const IDENTITY: &str = "CREATE TABLE former_stores (id TEXT PRIMARY KEY, number INTEGER NOT NULL, \
        publication INTEGER NOT NULL, restored_at INTEGER NOT NULL); CREATE TABLE store_identity (one INTEGER PRIMARY KEY, id TEXT, number INTEGER NOT NULL DEFAULT 0, \
        publication INTEGER NOT NULL DEFAULT 0); INSERT INTO store_identity (one) VALUES (1); CREATE TABLE acts (x INTEGER); \
        CREATE TRIGGER act_counts AFTER INSERT ON acts BEGIN UPDATE store_identity SET number = number + 1; END;";

    async fn migrator(migrations: &[(&str, &str)]) -> Migrator {
        let dir = tempfile::tempdir().unwrap();
        for (name, sql) in migrations {
            std::fs::write(dir.path().join(name), sql).unwrap();
        }
        Migrator::new(dir.path()).await.unwrap()
    }

    async fn current() -> Migrator {
        migrator(&[("1_first.sql", "CREATE TABLE a (x TEXT);"), ("2_identity.sql", IDENTITY)]).await
    }

    async fn act(store: &OpenStore) {
        let mut tx = store.database.begin("act").await.unwrap();
        sqlx::query("INSERT INTO acts VALUES (1)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The store's file and its log, as they are now.
    fn files(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let names = [STORE_FILE, "store.sqlite-wal"].map(|name| data.join(name));
        names.into_iter().filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
    }

    fn put(data: &Path, files: &[(PathBuf, Vec<u8>)]) {
        for name in [STORE_FILE, "store.sqlite-wal", "store.sqlite-shm"] {
            std::fs::remove_file(data.join(name)).ok();
        }
        for (path, bytes) in files {
            std::fs::write(path, bytes).unwrap();
        }
    }

    #[tokio::test]
    async fn row_99_a_missing_or_empty_store_is_refused_and_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let migrator = current().await;
        for with_mark in [false, true] {
            if with_mark {
                create_store(dir.path(), &migrator).await.unwrap();
                open_store(dir.path(), &migrator).await.unwrap().close().await;
            }
            put(dir.path(), &[]);
            let missing = open_store(dir.path(), &migrator).await.unwrap_err();
            assert!(missing.message.contains("is missing") && missing.hint.contains("restore --from"), "{missing}");
            assert!(!dir.path().join(STORE_FILE).exists());
            std::fs::write(dir.path().join(STORE_FILE), "").unwrap();
            let empty = open_store(dir.path(), &migrator).await.unwrap_err();
            assert!(empty.message.contains("is empty"), "{empty}");
            std::fs::remove_file(dir.path().join(STORE_FILE)).unwrap();
        }
        assert!(create_store(dir.path(), &migrator).await.is_err(), "the mark says that there was one");
    }

    #[tokio::test]
    async fn row_99_an_older_store_and_another_one_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let migrator = current().await;
        create_store(dir.path(), &migrator).await.unwrap();
        let store = open_store(dir.path(), &migrator).await.unwrap();
        act(&store).await;
        store.close().await;
        let before = files(dir.path());
        let store = open_store(dir.path(), &migrator).await.unwrap();
        act(&store).await;
        assert_eq!(store.update_mark().await.unwrap().number, 3);
        // A plain copy of the file, without the data that is only in its log.
        let plain: Vec<_> = files(dir.path()).into_iter().take(1).collect();
        let whole = files(dir.path());
        assert_eq!(whole.len(), 2);
        store.close().await;
        for older in [&before, &plain] {
            put(dir.path(), older);
            let refused = open_store(dir.path(), &migrator).await.unwrap_err();
            assert!(refused.message.contains("number 2, and number 3"), "{refused}");
        }
        let other = tempfile::tempdir().unwrap();
        create_store(other.path(), &migrator).await.unwrap();
        std::fs::copy(other.path().join(STORE_FILE), dir.path().join(STORE_FILE)).unwrap();
        assert!(open_store(dir.path(), &migrator).await.unwrap_err().message.contains("does not belong to these keys"));
        // The twin: the same file with its log.
        put(dir.path(), &whole);
        let store = open_store(dir.path(), &migrator).await.unwrap();
        assert_eq!(store.update_mark().await.unwrap().number, 3);
    }

    /// The power may go after a commit and before the mark: the mark lags, and the store is good.
    #[tokio::test]
    async fn a_mark_that_lags_refuses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let migrator = current().await;
        create_store(dir.path(), &migrator).await.unwrap();
        let store = open_store(dir.path(), &migrator).await.unwrap();
        let lagging = std::fs::read(dir.path().join("store.json")).unwrap();
        act(&store).await;
        store.close().await;
        std::fs::write(dir.path().join("store.json"), lagging).unwrap();
        let store = open_store(dir.path(), &migrator).await.unwrap();
        assert_eq!(store.update_mark().await.unwrap().number, 2);
        assert_eq!(StoreMark::load(dir.path()).unwrap().unwrap().number, 2);
    }

    #[tokio::test]
    async fn a_store_from_before_there_were_ids_gets_one_once_whenever_the_power_goes() {
        let dir = tempfile::tempdir().unwrap();
        let old = migrator(&[("1_first.sql", "CREATE TABLE a (x TEXT);")]).await;
        open_file(dir.path(), &old).await.unwrap().close().await;
        let unnamed = files(dir.path());
        let migrator = current().await;
        open_store(dir.path(), &migrator).await.unwrap().close().await;
        let mark = StoreMark::load(dir.path()).unwrap().unwrap();
        assert_eq!(mark.number, 1);
        let named = files(dir.path());
        // It is older now, and a store without a mark is refused.
        put(dir.path(), &unnamed);
        assert!(open_store(dir.path(), &migrator).await.unwrap_err().message.contains("is older than"));
        put(dir.path(), &named);
        std::fs::remove_file(dir.path().join("store.json")).unwrap();
        assert!(open_store(dir.path(), &migrator).await.unwrap_err().message.contains("store.json is missing"));
        // A power cut before the store had its id, and after it.
        for cut in [&unnamed, &named] {
            put(dir.path(), cut);
            StoreMark::with_new_id().save(dir.path()).unwrap();
            let store = open_store(dir.path(), &migrator).await.unwrap();
            assert_eq!(store.update_mark().await.unwrap().number, 1);
            assert_eq!(StoreMark::load(dir.path()).unwrap().unwrap().number, 1);
        }
    }

    #[tokio::test]
    async fn the_mark_follows_the_store_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let migrator = current().await;
        create_store(dir.path(), &migrator).await.unwrap();
        let store = open_store(dir.path(), &migrator).await.unwrap();
        let keeping = tokio::spawn(store.clone().update_mark_regularly());
        act(&store).await;
        while StoreMark::load(dir.path()).unwrap().unwrap().number < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        keeping.abort();
    }

    #[tokio::test]
    async fn a_store_that_is_open_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let migrator = current().await;
        create_store(dir.path(), &migrator).await.unwrap();
        let store = open_store(dir.path(), &migrator).await.unwrap();
        // Others may open it beside.
        open_store(dir.path(), &migrator).await.unwrap().close().await;
        assert!(lock_exclusive(dir.path()).unwrap_err().is_retryable);
        drop(store);
        let _held = lock_exclusive(dir.path()).unwrap();
        assert!(open_store(dir.path(), &migrator).await.unwrap_err().is_retryable);
    }
}
