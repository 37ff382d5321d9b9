//! Restoration of a store from a backup, or repair of the existing one, while the service is stopped.
//!
//! The store is prepared in the subdirectory `restoring` and then renamed into place. After a power failure, there is
//! the earlier store, the restored one, or none; with none, no service starts.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use carnet_core::time::Timestamp;
use sqlx::migrate::Migrator;

use super::{
    Database, STORE_FILE, WriteTransaction, backup,
    identity::{self, StoreFile, StoreIdentity, StoreMark},
    open_file, opening,
};
use crate::{config::StartError, disk, time};

const STAGING_FOLDER: &str = "restoring";
const WAL_FILE: &str = "store.sqlite-wal";
const SHM_FILE: &str = "store.sqlite-shm";
const PREVIOUS_STORE_FILE: &str = "store.sqlite.before-restore";

/// Copy of a store that is prepared to replace the store of a directory, which is locked meanwhile.
#[derive(Debug)]
pub struct StagedStore {
    data: PathBuf,
    identity: Option<StoreIdentity>,
    former: Vec<String>,
    mark: Option<StoreMark>,
    folder: StagingDirectory,
    _lock: File,
}

/// Staging directory, removed on drop, since it contains personal data.
#[derive(Debug)]
struct StagingDirectory(PathBuf);

impl Drop for StagingDirectory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Result of a restore.
#[derive(Debug)]
pub struct RestoreResult {
    /// Identity of the restored store.
    pub identity: StoreIdentity,
    /// Path to which the earlier store was moved; `None` if there was none.
    pub previous_store: Option<PathBuf>,
}

/// Change number of an outdated store, and the newest known one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLag {
    /// Change number of the store.
    pub found: i64,
    /// Newest known change number.
    pub newest: i64,
}

impl StagedStore {
    /// Copies a backup (`from`), or the existing store of the directory, with its write-ahead log if any, to the
    /// staging directory. Checks that it is a store, and the directory's own; its integrity is checked when it is put
    /// in place.
    ///
    /// # Errors
    /// The store is in use; the backup is missing, empty or unreadable, or belongs to another store.
    pub async fn stage(data: &Path, from: Option<&Path>) -> Result<Self, StartError> {
        let lock = opening::lock_exclusive(data)?;
        let mark = StoreMark::load(data)?;
        let own = data.join(STORE_FILE);
        let source = from.unwrap_or(&own);
        let folder = StagingDirectory(data.join(STAGING_FOLDER));
        copy_store(source, &folder.0).map_err(|error| {
            StartError::new(
                format!("{} cannot be copied: {error}. Nothing was changed.", source.display()),
                "Check the path, that this user may read it, and that the disk of the data directory has room.",
            )
            .input_missing()
        })?;
        let staged = folder.0.join(STORE_FILE);
        let (identity, former) = match identity::inspect_file(&staged).await? {
            StoreFile::Named { identity, former } => (Some(identity), former),
            StoreFile::Unnamed => (None, Vec::new()),
            StoreFile::Missing | StoreFile::Empty => {
                return Err(StartError::new(
                    format!("{} is empty. Nothing was changed.", source.display()),
                    "Name a file that `backup` wrote.",
                ));
            }
        };
        let staged = Self { data: data.to_owned(), identity, former, mark, folder, _lock: lock };
        staged.require_own(source)?;
        Ok(staged)
    }

    fn require_own(&self, source: &Path) -> Result<(), StartError> {
        match (&self.mark, &self.identity) {
            (Some(mark), Some(identity))
                if mark.number > 0 && !self.has_id(&mark.store) && !mark.former.contains(&identity.id) =>
            {
                Err(StartError::new(
                    format!(
                        "{} is a backup of another store: its id is {}, and the store of {} has the id {}. Nothing \
                         was changed.",
                        source.display(),
                        identity.id,
                        self.data.display(),
                        mark.store
                    ),
                    "Name a backup of this directory's store. `store.json` next to the keys has its id.",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Returns the identity of the staged store; `None` for a store of an older version without an id.
    #[must_use]
    pub const fn identity(&self) -> Option<&StoreIdentity> {
        self.identity.as_ref()
    }

    /// Returns whether `id` is the staged store's id or a former one.
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.id == id)
            || self.former.iter().any(|former| former == id)
    }

    /// Returns whether `id` is an id, current or former, of the staged store or of the directory's store.
    #[must_use]
    pub fn belongs_to_directory(&self, id: &str) -> bool {
        let marked = self.mark.as_ref().is_some_and(|mark| mark.store == id || mark.former.iter().any(|old| old == id));
        marked || self.has_id(id)
    }

    /// Returns whether the directory has a mark, `store.json`.
    #[must_use]
    pub const fn has_mark(&self) -> bool {
        self.mark.is_some()
    }

    /// Returns the change numbers of the staged store and of the mark; `None` unless the store is older than the mark.
    #[must_use]
    pub fn lag(&self) -> Option<StoreLag> {
        let found = self.identity.as_ref().map_or(0, |identity| identity.number);
        let newest = self.mark.as_ref().map_or(0, |mark| mark.number);
        (found < newest).then_some(StoreLag { found, newest })
    }

    /// Migrates the staged store, checks its integrity, and puts it in place. The caller has checked that it is not
    /// older than the mark. A store without an id gets one.
    ///
    /// # Errors
    /// The store is damaged, migration failed, or a file cannot be written; then the earlier store is in its place or
    /// next to it.
    pub async fn install(self, migrator: &Migrator) -> Result<RestoreResult, StartError> {
        let database = self.open(migrator).await?;
        let named = self.assign_id(&database).await;
        self.finish(database, named).await
    }

    /// Puts an older store in place, with a new id and with numbers above all known ones, after `go_on` has ended
    /// everything in it that must not continue. `publication` is the newest known publication number.
    ///
    /// # Errors
    /// Those of [`StagedStore::install`]; those of `go_on`.
    pub async fn install_older(
        self,
        migrator: &Migrator,
        publication: i64,
        go_on: impl AsyncFnOnce(&mut WriteTransaction, Timestamp) -> Result<(), sqlx::Error>,
    ) -> Result<RestoreResult, StartError> {
        let database = self.open(migrator).await?;
        let renamed = self.assign_new_identity(&database, publication, go_on).await;
        self.finish(database, renamed).await
    }

    async fn open(&self, migrator: &Migrator) -> Result<Database, StartError> {
        let database = open_file(&self.folder.0, migrator).await?;
        let checked = match database.readers().acquire().await {
            Ok(mut connection) => backup::check_integrity(&mut connection).await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await;
                Err(StartError::new(
                    format!("The backup is damaged: {error}. Nothing was changed."),
                    "Restore another backup.",
                ))
            }
        }
    }

    /// Gives a store without an id that of the mark, or a new random one.
    async fn assign_id(&self, database: &Database) -> Result<StoreIdentity, sqlx::Error> {
        let id = self.mark.as_ref().map_or_else(identity::generate_store_id, |mark| mark.store.clone());
        identity::assign_id(database, &id).await
    }

    async fn assign_new_identity(
        &self,
        database: &Database,
        publication: i64,
        go_on: impl AsyncFnOnce(&mut WriteTransaction, Timestamp) -> Result<(), sqlx::Error>,
    ) -> Result<StoreIdentity, sqlx::Error> {
        let now = time::now();
        let before = self.assign_id(database).await?;
        let known = self.mark.clone().unwrap_or_else(|| StoreMark::new(&before, Vec::new()));
        let mut tx = database.begin("restore_older").await?;
        let both = [(&before.id, before.number, before.publication), (&known.store, known.number, known.publication)];
        for (id, number, publication) in both.into_iter().chain(known.former.iter().map(|id| (id, 0, 0))) {
            sqlx::query(
                "INSERT INTO former_stores (id, number, publication, restored_at) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (id) DO UPDATE SET number = max(number, excluded.number), \
                 publication = max(publication, excluded.publication)",
            )
            .bind(id)
            .bind(number)
            .bind(publication)
            .bind(now.unix())
            .execute(&mut *tx)
            .await?;
        }
        let next = |numbers: [i64; 3]| numbers.into_iter().max().unwrap_or_default().saturating_add(1);
        sqlx::query("UPDATE store_identity SET id = ?, number = ?, publication = ?")
            .bind(identity::generate_store_id())
            .bind(next([before.number, known.number, 0]))
            .bind(next([before.publication, known.publication, publication]))
            .execute(&mut *tx)
            .await?;
        go_on(&mut tx, now).await?;
        tx.commit().await?;
        identity::read(database.readers()).await
    }

    /// Closes the staged store, and, if its preparation (`done`) succeeded, puts it in place of the earlier one and
    /// writes the mark.
    async fn finish(
        self,
        database: Database,
        done: Result<StoreIdentity, sqlx::Error>,
    ) -> Result<RestoreResult, StartError> {
        let done = match done {
            Ok(identity) => identity::read_former_ids(database.readers()).await.map(|former| (identity, former)),
            Err(error) => Err(error),
        };
        let emptied = match &done {
            Ok(_) => database.checkpoint().await.map_err(|error| error.to_string()),
            Err(_) => Ok(()),
        };
        database.close().await;
        let failed = |error: String| {
            StartError::new(
                format!(
                    "The backup could not be restored: {error}. The previous store is in its place, or next to it as \
                     {PREVIOUS_STORE_FILE}."
                ),
                "Check that the disk has room and that this user may write in the data directory, then run it again.",
            )
        };
        let (identity, former) = done.map_err(|error| failed(error.to_string()))?;
        emptied.map_err(failed)?;
        let aside = self.replace_store().map_err(|error| failed(error.to_string()))?;
        // Written after the store: after a power failure, a new mark would refuse the earlier store.
        StoreMark::new(&identity, former).save_for_command(&self.data)?;
        Ok(RestoreResult { identity, previous_store: aside })
    }

    fn replace_store(&self) -> io::Result<Option<PathBuf>> {
        let staged = self.folder.0.join(STORE_FILE);
        File::open(&staged)?.sync_all()?;
        let aside = self.set_aside()?;
        fs::rename(staged, self.data.join(STORE_FILE))?;
        disk::sync_directory(&self.data)?;
        Ok(aside)
    }

    /// Moves the earlier store, with its log, to a free name; returns its path, or `None` if there is no earlier store.
    fn set_aside(&self) -> io::Result<Option<PathBuf>> {
        // SQLite would use a leftover log index for the new store.
        remove(&self.data.join(SHM_FILE))?;
        if !self.data.join(STORE_FILE).exists() {
            remove(&self.data.join(WAL_FILE))?;
            return Ok(None);
        }
        let names = (1..=u32::MAX).map(|number| match number {
            1 => PREVIOUS_STORE_FILE.to_owned(),
            number => format!("{PREVIOUS_STORE_FILE}-{number}"),
        });
        let free = names.map(|name| self.data.join(name)).find(|path| !path.exists());
        let aside = free.ok_or_else(|| io::Error::other("there are too many previous stores"))?;
        let mut log = aside.clone().into_os_string();
        log.push("-wal");
        match fs::rename(self.data.join(WAL_FILE), log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(self.data.join(STORE_FILE), &aside)?;
        Ok(Some(aside))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a store with its log into a new directory that only its owner can read.
fn copy_store(source: &Path, folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut log = source.as_os_str().to_owned();
    log.push("-wal");
    copy_private(source, &folder.join(STORE_FILE))?;
    match copy_private(Path::new(&log), &folder.join(WAL_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn copy_private(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copied = disk::create_new(to, 0o600)?;
    io::copy(&mut source, &mut copied)?;
    copied.sync_all()
}
