//! The store's ground: SQLite in WAL mode, migrations, named transactions.
//!
//! What a commit acknowledged survives a power cut (`synchronous = FULL`), and what is erased is
//! overwritten in the file (`secure_delete`); [`checkpoint`] takes it out of the write-ahead log too.

use std::{
    fs::{DirBuilder, OpenOptions},
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::config::StartError;

const FILE: &str = "store.sqlite";
/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Creates the data directory, mode 0700, unless it is there.
///
/// # Errors
/// It cannot be created.
fn create_directory(data: &Path) -> Result<(), StartError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data).map_err(|error| {
        StartError::new(
            format!("The data directory {} cannot be created: {error}.", data.display()),
            "Check the path and that this user may write there. Nothing was changed.",
        )
    })
}

/// Opens `DIR/store.sqlite` (directory created 0700, file created 0600) and runs the migrations.
///
/// # Errors
/// The file cannot be opened, is not a database, or has a schema that this version does not know;
/// in each case what is stored stays as it was.
pub async fn open(data: &Path, migrator: &Migrator) -> Result<SqlitePool, StartError> {
    create_directory(data)?;
    let path = data.join(FILE);
    // Made here and not by SQLite, which would leave the mode to the umask; its log files inherit it.
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
        .busy_timeout(PATIENCE)
        .pragma("secure_delete", "ON")
        .pragma("trusted_schema", "OFF");
    let pool = SqlitePoolOptions::new()
        .max_connections(8)
        .acquire_timeout(PATIENCE)
        .connect_with(connect)
        .await
        .map_err(|error| unopened(&path, &error))?;
    if let Err(error) = migrator.run(&pool).await {
        pool.close().await;
        return Err(unmigrated(&path, &error));
    }
    Ok(pool)
}

fn unopened(path: &Path, error: &dyn std::error::Error) -> StartError {
    StartError::new(
        format!("The store {} cannot be opened: {error}. What is stored was not changed.", path.display()),
        "Check that this user may read and write it and that the disk has room; if the file is damaged, restore a backup.",
    )
}

fn unmigrated(path: &Path, error: &MigrateError) -> StartError {
    let path = path.display();
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => StartError::new(
            format!(
                "The store {path} has schema version {version}, which this program does not know. What is stored was not changed."
            ),
            "It was written by a newer version: start that one, or restore the backup that was made before the upgrade.",
        ),
        MigrateError::VersionMismatch(version) => StartError::new(
            format!(
                "The store {path} has another schema version {version} than this program. What is stored was not changed."
            ),
            "It was written by a development version: start that one, or begin with a new data directory.",
        ),
        other => StartError::new(
            format!(
                "The store {path} could not be brought to this version's schema: {other}. The change was rolled back."
            ),
            "Check that the disk has room and that no other process uses the store, then start again.",
        ),
    }
}

/// Begins an immediate (write) transaction under a name, for logs; commit it with `.commit()`, drop it to roll back.
///
/// It takes the write lock at once: a transaction that reads first and writes later could
/// otherwise find that another one wrote in between, and fail where waiting would have done.
///
/// # Errors
/// The pool is closed, or the lock was not to be had within ten seconds.
pub async fn begin(pool: &SqlitePool, name: &'static str) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
    let start = Instant::now();
    let begun = pool.begin_with("BEGIN IMMEDIATE").await;
    let waited_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &begun {
        Ok(_) => tracing::debug!(transaction = name, waited_ms, "begun"),
        Err(error) => tracing::warn!(transaction = name, waited_ms, %error, "could not begin"),
    }
    begun
}

/// Why what was erased may still stand in the write-ahead log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A reader, a writer or another checkpoint kept the log in use.
    #[error("the write-ahead log is in use")]
    Busy,
    /// The database's.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Moves the write-ahead log into the file and empties it, so that what was erased is nowhere any more. Call it after
/// erasures, and now and then.
///
/// # Errors
/// [`CheckpointError::Busy`]: the log was not emptied, and what was erased may still be in it; the database's.
pub async fn checkpoint(pool: &SqlitePool) -> Result<(), CheckpointError> {
    empty_log(pool, || tokio::time::sleep(Duration::from_millis(25))).await
}

/// Tries to empty the log, with a pause before each further try.
///
/// SQLite waits for readers and writers, as long as for any lock, but not for another checkpoint: two calls may erase at
/// the same time, and SQLite begins one of its own when the log is long.
async fn empty_log<F: Future<Output = ()>>(
    pool: &SqlitePool,
    mut pause: impl FnMut() -> F,
) -> Result<(), CheckpointError> {
    const TRIES: usize = 20;
    const LONGEST: Duration = Duration::from_secs(2);
    let start = Instant::now();
    for _ in 0..TRIES {
        // SQLite answers with a row, and calls that success, also where the log stays as it was.
        let (busy, _in_log, _moved): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(pool).await?;
        if busy == 0 {
            return Ok(());
        }
        if start.elapsed() > LONGEST {
            break;
        }
        pause().await;
    }
    Err(CheckpointError::Busy)
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

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
        open(&data, &migrator(&[FIRST]).await).await.unwrap().close().await;
        open(&data, &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;
        let error = open(&data, &migrator(&[FIRST]).await).await.unwrap_err();
        assert!(error.message.contains("schema version 2"), "{error}");
        open(&data, &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn a_changed_migration_a_broken_one_and_a_foreign_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &migrator(&[FIRST]).await).await.unwrap().close().await;
        let changed = migrator(&[("1_first.sql", "CREATE TABLE d (x TEXT);")]).await;
        assert!(open(dir.path(), &changed).await.unwrap_err().message.contains("another schema version 1"));
        let broken = migrator(&[FIRST, ("2_bad.sql", "CREATE TABLE c (z TEXT); NONSENSE;")]).await;
        assert!(open(dir.path(), &broken).await.unwrap_err().message.contains("rolled back"));
        open(dir.path(), &migrator(&[FIRST, SECOND]).await).await.unwrap().close().await;

        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join(FILE), "this is a letter and no database".repeat(100)).unwrap();
        assert!(open(other.path(), &migrator(&[FIRST]).await).await.unwrap_err().message.contains("not changed"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_directory_and_its_files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let pool = open(&data, &migrator(&[FIRST]).await).await.unwrap();
        sqlx::query("INSERT INTO a VALUES ('x')").execute(&pool).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        for name in [FILE, "store.sqlite-wal", "store.sqlite-shm"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn the_settings_hold_on_every_connection() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(dir.path(), &migrator(&[FIRST]).await).await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..3 {
            connections.push(pool.acquire().await.unwrap());
        }
        for connection in &mut connections {
            for (pragma, wanted) in [
                ("PRAGMA synchronous", 2),
                ("PRAGMA foreign_keys", 1),
                ("PRAGMA secure_delete", 1),
                ("PRAGMA trusted_schema", 0),
            ] {
                let row = sqlx::query(pragma).fetch_one(&mut **connection).await.unwrap();
                assert_eq!(row.get::<i64, _>(0), wanted, "{pragma}");
            }
        }
    }

    #[tokio::test]
    async fn writers_wait_for_one_another_and_a_drop_rolls_back() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(dir.path(), &migrator(&[FIRST]).await).await.unwrap();
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                let mut tx = begin(&pool, "count").await.unwrap();
                let row = sqlx::query("SELECT count(*) FROM b").fetch_one(&mut *tx).await.unwrap();
                sqlx::query("INSERT INTO b VALUES (?)").bind(row.get::<i64, _>(0)).execute(&mut *tx).await.unwrap();
                tx.commit().await.unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let mut dropped = begin(&pool, "dropped").await.unwrap();
        sqlx::query("INSERT INTO b VALUES (99)").execute(&mut *dropped).await.unwrap();
        drop(dropped);
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM b").fetch_one(&pool).await.unwrap();
        assert_eq!(count, 20);
    }

    const SECRET: &str = "Amina-Okafor-1999";

    fn on_disk(dir: &Path) -> bool {
        std::fs::read_dir(dir).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        })
    }

    #[tokio::test]
    async fn what_was_erased_is_in_no_file_after_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(dir.path(), &migrator(&[FIRST]).await).await.unwrap();
        sqlx::query("INSERT INTO a VALUES (?)").bind(SECRET).execute(&pool).await.unwrap();
        checkpoint(&pool).await.unwrap();
        assert!(on_disk(dir.path()));
        sqlx::query("DELETE FROM a").execute(&pool).await.unwrap();
        checkpoint(&pool).await.unwrap();
        assert!(!on_disk(dir.path()));
    }

    /// A reader keeps the log in use: that is an error, and a further try after it has gone succeeds.
    #[tokio::test]
    async fn a_checkpoint_that_left_something_in_the_log_says_so_and_tries_again() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(dir.path(), &migrator(&[FIRST]).await).await.unwrap();
        sqlx::query("INSERT INTO a VALUES (?)").bind(SECRET).execute(&pool).await.unwrap();
        // Waits for nobody, so that the test does not either.
        let connect = SqliteConnectOptions::new().filename(dir.path().join(FILE)).busy_timeout(Duration::ZERO);
        let impatient = SqlitePool::connect_with(connect).await.unwrap();
        let mut reader = pool.begin().await.unwrap();
        sqlx::query("SELECT x FROM a").fetch_all(&mut *reader).await.unwrap();
        sqlx::query("DELETE FROM a").execute(&pool).await.unwrap();

        let mut pauses = 0;
        let refused = empty_log(&impatient, || {
            pauses += 1;
            std::future::ready(())
        })
        .await;
        assert!(matches!(refused, Err(CheckpointError::Busy)), "{refused:?}");
        assert!(pauses > 1);
        assert!(on_disk(dir.path()));

        let mut reader = Some(reader);
        empty_log(&impatient, || {
            let reader = reader.take();
            async move { reader.unwrap().rollback().await.unwrap() }
        })
        .await
        .unwrap();
        assert!(!on_disk(dir.path()));
    }
}
