//! Promises of the writer's queue, the readers and checkpoints.

use std::{path::Path, time::Duration};

use sqlx::{
    Row as _, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

use super::*;
use crate::store::{STORE_FILE, open_file};

const SECRET: &str = "Amina-Okafor-1999";

async fn database(dir: &Path) -> Database {
    let migrations = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE a (x TEXT); CREATE TABLE b (y INTEGER PRIMARY KEY);";
    std::fs::write(migrations.path().join("1_first.sql"), sql).unwrap();
    open_file(dir, &Migrator::new(migrations.path()).await.unwrap()).await.unwrap()
}

async fn write(database: &Database, sql: &'static str) {
    let mut tx = database.begin("a test").await.unwrap();
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// The connections of another process.
async fn other_process(dir: &Path) -> SqlitePool {
    let connect = SqliteConnectOptions::new().filename(dir.join(STORE_FILE)).busy_timeout(Duration::ZERO);
    SqlitePool::connect_with(connect).await.unwrap()
}

async fn count(database: &Database) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM b").fetch_one(database.readers()).await.unwrap()
}

fn on_disk(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    })
}

#[tokio::test]
async fn the_settings_hold_on_every_connection() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let pragmas = [("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("trusted_schema", 0)];
    let require = async |query_only: i64, connection: &mut SqliteConnection| {
        for (pragma, wanted) in pragmas.into_iter().chain([("query_only", query_only)]) {
            let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let row = sqlx::query(sql).fetch_one(&mut *connection).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), wanted, "{pragma}");
        }
    };
    require(0, &mut *database.begin("a test").await.unwrap()).await;
    let mut readers = Vec::new();
    for _ in 0..MAX_READERS {
        readers.push(database.readers.acquire().await.unwrap());
    }
    for reader in &mut readers {
        require(1, &mut **reader).await;
    }
}

#[tokio::test]
async fn a_statement_that_writes_fails_on_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    for sql in [
        "INSERT INTO b VALUES (1)",
        "UPDATE b SET y = 2",
        "DELETE FROM b",
        "CREATE TABLE c (z TEXT)",
        "DROP TABLE a",
        "CREATE TEMP TABLE d (z TEXT)",
        "VACUUM",
    ] {
        let refused = sqlx::query(sql).execute(database.readers()).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{sql}: {refused}");
    }
    // The mode of the file holds also where the setting is taken back.
    let mut reader = database.readers().acquire().await.unwrap();
    sqlx::query("PRAGMA query_only = OFF").execute(&mut *reader).await.unwrap();
    sqlx::query("INSERT INTO b VALUES (1)").execute(&mut *reader).await.unwrap_err();
    drop(reader);
    write(&database, "INSERT INTO b VALUES (1)").await;
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let mut tx = database.begin("a test").await.unwrap();
    sqlx::query("INSERT INTO b VALUES (1)").execute(&mut *tx).await.unwrap();
    let waiting = tokio::spawn({
        let database = database.clone();
        async move { write(&database, "INSERT INTO b VALUES (2)").await }
    });
    // Fewer writers than this would be enough to find a reader that waits for one.
    for _ in 0..2 * MAX_READERS {
        assert_eq!(count(&database).await, 0, "it reads what was committed");
    }
    assert!(!waiting.is_finished());
    tx.commit().await.unwrap();
    assert!(count(&database).await >= 1, "what was acknowledged is read");
    waiting.await.unwrap();
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn writers_take_turns_in_the_order_in_which_they_came_and_a_drop_rolls_back() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let first = database.begin("first").await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..20_i64 {
        let database = database.clone();
        tasks.push(tokio::spawn(async move {
            let mut tx = database.begin("count").await.unwrap();
            let row = sqlx::query("SELECT count(*) FROM b").fetch_one(&mut *tx).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), number);
            sqlx::query("INSERT INTO b VALUES (?)").bind(number).execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        }));
        // On one thread, it runs until it waits for its turn.
        tokio::task::yield_now().await;
    }
    drop(first);
    for task in tasks {
        task.await.unwrap();
    }
    let mut dropped = database.begin("dropped").await.unwrap();
    sqlx::query("INSERT INTO b VALUES (99)").execute(&mut *dropped).await.unwrap();
    drop(dropped);
    write(&database, "INSERT INTO b VALUES (20)").await;
    assert_eq!(count(&database).await, 21);
}

/// Polls a future so many times, then drops it: a caller that is cancelled there.
async fn cancelled_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
        if let std::task::Poll::Ready(done) = poll {
            return Some(done);
        }
        tokio::time::sleep(Duration::from_micros(50)).await;
    }
    None
}

/// Drops a caller at any instant: the writer is outside of a transaction afterwards and takes the next one.
#[tokio::test]
async fn a_cancelled_call_leaves_the_writer_free() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let (mut done, mut cancelled) = (0, 0);
    for polls in 0..60 {
        let call = async {
            let mut tx = database.begin("cancelled").await.unwrap();
            sqlx::query("INSERT INTO a VALUES ('x')").execute(&mut *tx).await.unwrap();
            sqlx::query("INSERT INTO a VALUES ('x')").execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        };
        match cancelled_after(polls, call).await {
            Some(()) => done += 1,
            None => cancelled += 1,
        }
        cancelled_after(polls, database.checkpoint()).await;
        write(&database, "INSERT INTO b VALUES (NULL)").await;
        let half: i64 = sqlx::query_scalar("SELECT count(*) FROM a").fetch_one(database.readers()).await.unwrap();
        assert_eq!(half % 2, 0, "after {polls} polls");
    }
    assert!(done > 0 && cancelled > 0, "{done} {cancelled}");
    // Callers that are cancelled while they wait for their turn block nobody behind them.
    let tx = database.begin("first").await.unwrap();
    for polls in 0..3 {
        assert!(cancelled_after(polls, database.begin("queued")).await.is_none());
        assert!(cancelled_after(polls, database.checkpoint()).await.is_none());
    }
    drop(tx);
    write(&database, "INSERT INTO b VALUES (NULL)").await;
    database.checkpoint().await.unwrap();
    assert_eq!(count(&database).await, 61);
}

#[tokio::test]
async fn what_was_erased_is_in_no_file_after_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    write(&database, "INSERT INTO a VALUES ('Amina-Okafor-1999')").await;
    database.checkpoint().await.unwrap();
    assert!(on_disk(dir.path()));
    write(&database, "DELETE FROM a").await;
    database.checkpoint().await.unwrap();
    assert!(!on_disk(dir.path()));
}

/// Erasures that come together are taken out of the log together, and soon.
#[tokio::test]
async fn what_was_erased_is_soon_in_no_file_without_waiting_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    write(&database, "INSERT INTO a VALUES ('Amina-Okafor-1999')").await;
    database.checkpoint().await.unwrap();
    let before = *database.checkpoints.served.lock().await;
    write(&database, "DELETE FROM a").await;
    for _ in 0..20 {
        database.checkpoint_soon();
    }
    assert!(on_disk(dir.path()), "nobody waits for it");
    let begin = Instant::now();
    while on_disk(dir.path()) {
        assert!(begin.elapsed() < Duration::from_secs(60), "it stays in the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*database.checkpoints.served.lock().await, before + 1, "one checkpoint for all");
    // One that is too late for the store is no fault.
    database.checkpoint_soon();
    database.close().await;
}

/// Each call that returns finds its own erasure removed, also if several share a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_are_asked_for_together_serve_all() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let mut tasks = Vec::new();
    for number in 0..12 {
        let (database, dir) = (database.clone(), dir.path().to_owned());
        tasks.push(tokio::spawn(async move {
            let secret = format!("Amina-Okafor-{number:04}-");
            for sql in ["INSERT INTO a VALUES (?)", "DELETE FROM a WHERE x = ?"] {
                let mut tx = database.begin("a test").await.unwrap();
                sqlx::query(sql).bind(&secret).execute(&mut *tx).await.unwrap();
                tx.commit().await.unwrap();
            }
            database.checkpoint().await.unwrap();
            for entry in std::fs::read_dir(dir).unwrap() {
                let bytes = std::fs::read(entry.unwrap().path()).unwrap();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let served = *database.checkpoints.served.lock().await;
    assert_eq!(served, 12);
}

/// A reader keeps the log in use: that is an error, and another try after its end succeeds.
#[tokio::test]
async fn a_checkpoint_that_left_something_in_the_log_says_so_and_others_write_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    write(&database, "INSERT INTO a VALUES ('Amina-Okafor-1999')").await;
    let mut reader = database.readers().begin().await.unwrap();
    sqlx::query("SELECT x FROM a").fetch_all(&mut *reader).await.unwrap();
    write(&database, "DELETE FROM a").await;

    let waiting = tokio::spawn({
        let database = database.clone();
        async move { database.checkpoint().await }
    });
    while !waiting.is_finished() {
        write(&database, "INSERT INTO b VALUES (NULL)").await;
    }
    let refused = waiting.await.unwrap();
    assert!(matches!(refused, Err(CheckpointError::Busy)), "{refused:?}");
    assert!(count(&database).await > 1);
    assert!(on_disk(dir.path()));

    reader.rollback().await.unwrap();
    database.checkpoint().await.unwrap();
    assert!(!on_disk(dir.path()));
}

/// Another program on the same store, such as a staff verb, is waited for.
#[tokio::test]
async fn a_writer_waits_for_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let database = database(dir.path()).await;
    let other = other_process(dir.path()).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let waiting = tokio::spawn({
        let database = database.clone();
        async move { write(&database, "INSERT INTO b VALUES (1)").await }
    });
    // Longer than the first pauses between its attempts.
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waiting.is_finished());
    lock.rollback().await.unwrap();
    waiting.await.unwrap();
    assert_eq!(count(&database).await, 1);
}
