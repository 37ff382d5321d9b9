//! Identity of a store: its id and its change number, in the store and, as a mark, next to the keys (spec/store.md).
//! The mark detects a store that was replaced by an older one.
//!
//! The mark is written after a commit, never before, so that after a power failure its number is at most that of the
//! store. A store with a lower number than the mark is older than one that was in use here.

use std::{collections::HashSet, io::ErrorKind, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use sqlx::{
    Connection as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteExecutor},
};

use super::{Database, STORE_FILE, unopened};
use crate::{config::StartError, disk};

const MARK_FILE: &str = "store.json";
const VERSION: u32 = 1;

/// Identity of a store, as recorded in the store itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreIdentity {
    /// Random id from the creation of the store, or from its restoration from an older backup.
    pub id: String,
    /// Change number: incremented by each transaction whose loss would matter.
    pub number: i64,
    /// Publication number: incremented by each publication of an issuer; 0 in a verifier's store.
    pub publication: i64,
}

/// Mark next to the keys, `store.json`: the identity of the newest store that was in use in this directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreMark {
    version: u32,
    /// Id of the store.
    pub store: String,
    /// Change number of the store when the mark was written; 0 until the store has an id.
    pub number: i64,
    /// Publication number of the store when the mark was written.
    pub publication: i64,
    /// Former ids of the store, from before it was restored from older backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<String>,
}

/// Content of the file `store.sqlite`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreFile {
    /// There is no file.
    Missing,
    /// The file contains no store: it has no bytes, or no schema.
    Empty,
    /// A store of an older version, without an id.
    Unnamed,
    /// A store with an id, and with its former ids.
    Named { identity: StoreIdentity, former: Vec<String> },
}

impl StoreMark {
    /// Creates the mark of a store.
    pub(super) fn new(identity: &StoreIdentity, former: Vec<String>) -> Self {
        let StoreIdentity { id, number, publication } = identity.clone();
        Self { version: VERSION, store: id, number, publication, former }
    }

    /// Creates the mark for a store that is about to get an id: a new random one.
    pub(super) fn with_new_id() -> Self {
        Self { version: VERSION, store: generate_store_id(), number: 0, publication: 0, former: Vec::new() }
    }

    /// Loads `DIR/store.json`; `None` if there is no such file.
    ///
    /// # Errors
    /// The file is unreadable or damaged.
    pub fn load(data: &Path) -> Result<Option<Self>, StartError> {
        let path = data.join(MARK_FILE);
        let failed = |what: String| {
            StartError::new(
                format!("{} {what}.", path.display()),
                "It names the store that belongs to these keys. Restore it from a backup of the directory. If there \
                 is none, move it away and run `restore --in-place`, which checks the store in this directory.",
            )
            .nothing_changed()
        };
        match std::fs::read(&path) {
            Ok(text) => {
                let mark: Option<Self> = serde_json::from_slice(&text).ok();
                let mark = mark.filter(|mark| mark.version == VERSION && mark.number >= 0 && mark.publication >= 0);
                mark.ok_or_else(|| failed("is damaged".to_owned())).map(Some)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(format!("cannot be read: {error}"))),
        }
    }

    /// Writes `DIR/store.json` atomically, and syncs it to disk.
    pub(super) fn save(&self, data: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        disk::replace_file(&data.join(MARK_FILE), format!("{text}\n").as_bytes(), 0o600)
    }

    /// Saves the mark as [`Self::save`], with the error for an operator.
    pub(super) fn save_for_command(&self, data: &Path) -> Result<(), StartError> {
        self.save(data).map_err(|error| {
            StartError::new(
                format!("{} could not be written: {error}. The store is unchanged.", data.join(MARK_FILE).display()),
                "Check that the disk has room and that this user may write there, then run it again.",
            )
        })
    }
}

pub(super) fn generate_store_id() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the identity of an open store.
///
/// # Errors
/// Errors of the database; the store has no id.
pub async fn read(store: impl SqliteExecutor<'_>) -> Result<StoreIdentity, sqlx::Error> {
    let row = sqlx::query("SELECT id, number, publication FROM store_identity").fetch_one(store).await?;
    Ok(StoreIdentity {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        publication: row.try_get("publication")?,
    })
}

/// Reads the former ids of a store, oldest first.
pub(super) async fn read_former_ids(store: impl SqliteExecutor<'_>) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM former_stores ORDER BY number, id").fetch_all(store).await
}

/// Determines the content of a file, without changing its schema.
pub(super) async fn inspect_file(path: &Path) -> Result<StoreFile, StartError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(StoreFile::Missing),
        Err(error) => return Err(unopened(path, &error)),
        // SQLite would treat it as a database without tables.
        Ok(file) if file.len() == 0 => return Ok(StoreFile::Empty),
        Ok(_) => {}
    }
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(super::LOCK_TIMEOUT);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| unopened(path, &error))?;
    let looked = inspect_database(&mut connection).await.map_err(|error| unopened(path, &error));
    connection.close().await.map_err(|error| unopened(path, &error))?;
    looked
}

async fn inspect_database(connection: &mut SqliteConnection) -> Result<StoreFile, sqlx::Error> {
    let mut tables = HashSet::new();
    for row in sqlx::query("PRAGMA table_list").fetch_all(&mut *connection).await? {
        tables.insert(row.try_get::<String, _>("name")?);
    }
    if !tables.contains("_sqlx_migrations") {
        return Ok(StoreFile::Empty);
    }
    let migrated: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM _sqlx_migrations)").fetch_one(&mut *connection).await?;
    if !migrated {
        return Ok(StoreFile::Empty);
    }
    if !tables.contains("store_identity") {
        return Ok(StoreFile::Unnamed);
    }
    let id: Option<String> = sqlx::query_scalar("SELECT id FROM store_identity").fetch_one(&mut *connection).await?;
    if id.is_none() {
        return Ok(StoreFile::Unnamed);
    }
    Ok(StoreFile::Named { identity: read(&mut *connection).await?, former: read_former_ids(connection).await? })
}

/// Gives a store this id, unless it has one, and returns its identity.
///
/// # Errors
/// Errors of the database.
pub(super) async fn assign_id(database: &Database, id: &str) -> Result<StoreIdentity, sqlx::Error> {
    let mut tx = database.begin("name_store").await?;
    sqlx::query(
        "UPDATE store_identity SET id = ?, number = max(number, 1), publication = max(publication, 1) WHERE id IS NULL",
    )
    .bind(id)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    read(database.readers()).await
}

/// Gives a store the id of the mark, unless it has one, and saves and returns the mark of the store.
pub(super) async fn assign_id_and_mark(
    data: &Path,
    mark: &StoreMark,
    database: &Database,
) -> Result<StoreMark, StartError> {
    let named = async {
        let identity = assign_id(database, &mark.store).await?;
        Ok::<_, sqlx::Error>(StoreMark::new(&identity, read_former_ids(database.readers()).await?))
    };
    let mark = named.await.map_err(|error| unopened(&data.join(STORE_FILE), &error))?;
    mark.save_for_command(data)?;
    Ok(mark)
}

/// Refuses a store that does not belong to its directory, or is not the newest.
///
/// # Errors
/// The store is missing, empty, another one, or older than the mark; or it has an id and the mark is missing.
pub(super) fn require_newest(data: &Path, mark: Option<&StoreMark>, found: &StoreFile) -> Result<(), StartError> {
    let path = data.join(STORE_FILE);
    match (mark, found) {
        (_, StoreFile::Missing) => Err(missing(&path, "is missing")),
        (_, StoreFile::Empty) => Err(missing(&path, "is empty: nothing was ever stored in it")),
        // A store of an older version, or one whose naming was interrupted by a power failure.
        (None, StoreFile::Unnamed) => Ok(()),
        (Some(mark), _) if mark.number == 0 => Ok(()),
        (Some(mark), StoreFile::Unnamed) => Err(older(&path, 0, mark.number)),
        (None, StoreFile::Named { .. }) => Err(StartError::new(
            format!(
                "{} is missing, so it is unknown whether the store next to it is the newest.",
                data.join(MARK_FILE).display()
            ),
            "Restore store.json with the rest of the directory. If it is lost and this store is the newest, run \
             `restore --in-place`.",
        )
        .nothing_changed()),
        // A power failure may have interrupted a restore before it wrote the mark.
        (Some(mark), StoreFile::Named { identity: found, former })
            if found.id != mark.store && !former.contains(&mark.store) =>
        {
            Err(StartError::new(
                format!(
                    "The store {} does not belong to these keys: its id is {}, and {} names {}.",
                    path.display(),
                    found.id,
                    data.join(MARK_FILE).display(),
                    mark.store
                ),
                "Put the store of this directory back, or restore a backup of it with `restore --from FILE`.",
            )
            .nothing_changed())
        }
        (Some(mark), StoreFile::Named { identity: found, .. }) if found.number < mark.number => {
            Err(older(&path, found.number, mark.number))
        }
        (Some(_), StoreFile::Named { .. }) => Ok(()),
    }
}

fn missing(path: &Path, what: &str) -> StartError {
    StartError::new(
        format!(
            "The store {} {what}. A new one would lose every issued, revoked, suspended or used credential. Nothing \
             was started or created.",
            path.display()
        ),
        "If its disk is not mounted, mount it. Otherwise restore the newest backup: `restore --from FILE`. Only \
         `init` creates a store, in a new directory. See docs/a-lost-store.md.",
    )
}

fn older(path: &Path, found: i64, newest: i64) -> StartError {
    StartError::new(
        format!(
            "The store {} is older than the one used here before: its last change is number {found}, and number \
             {newest} was written. Everything in between is missing from it: revocations, suspensions, uses. Nothing \
             was started or changed.",
            path.display()
        ),
        "A copy of store.sqlite without its log, store.sqlite-wal, is outdated in this way: copy with `backup`. \
         Restore the newest backup: `restore --from FILE`. If there is no newer one, `restore --in-place \
         --accept-loss` lists the loss. See docs/a-lost-store.md.",
    )
}
