//! Promises of group commit: what is acknowledged is durable, and no transaction undoes another.

use sqlx::{Row as _, sqlite::SqliteConnectOptions};

use super::*;

async fn connect(dir: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(dir.join("store.sqlite"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .busy_timeout(Duration::ZERO);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn queue(dir: &std::path::Path) -> WriteQueue {
    let mut connection = connect(dir).await;
    connection.execute("CREATE TABLE a (x INTEGER PRIMARY KEY)").await.unwrap();
    WriteQueue::start(connection)
}

async fn begin(queue: &WriteQueue) -> WriteTransaction {
    queue.begin(Instant::now()).await.unwrap()
}

async fn insert(tx: &mut WriteTransaction, number: i64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO a VALUES (?)").bind(number).execute(&mut **tx).await.map(drop)
}

/// Numbers that another connection reads: those that are committed.
async fn committed(dir: &std::path::Path) -> Vec<i64> {
    let rows = sqlx::query("SELECT x FROM a ORDER BY x").fetch_all(&mut connect(dir).await).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Begins a transaction after `first` in the same group: it waits when that ends.
async fn queued(queue: &WriteQueue) -> tokio::task::JoinHandle<WriteTransaction> {
    let queue = queue.clone();
    let waiting = tokio::spawn(async move { begin(&queue).await });
    // On one thread, it runs until it waits for its turn.
    tokio::task::yield_now().await;
    waiting
}

#[tokio::test]
async fn transactions_that_wait_share_a_commit_and_none_is_acknowledged_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path()).await;
    let mut first = begin(&queue).await;
    insert(&mut first, 1).await.unwrap();
    let second = queued(&queue).await;
    let first = tokio::spawn(first.commit());
    let mut second = second.await.unwrap();
    // The first has ended, and its commit is still to come.
    let rows = sqlx::query("SELECT x FROM a").fetch_all(&mut *second).await.unwrap();
    assert_eq!(rows.len(), 1, "the second reads what the first wrote");
    assert_eq!((first.is_finished(), committed(dir.path()).await), (false, Vec::new()));
    insert(&mut second, 2).await.unwrap();
    second.commit().await.unwrap();
    assert_eq!(committed(dir.path()).await, [1, 2]);
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_fails_or_is_dropped_undoes_nothing_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path()).await;
    let mut first = begin(&queue).await;
    insert(&mut first, 1).await.unwrap();
    let second = queued(&queue).await;
    let third = queued(&queue).await;
    let first = tokio::spawn(first.commit());
    let mut second = second.await.unwrap();
    insert(&mut second, 2).await.unwrap();
    insert(&mut second, 1).await.unwrap_err();
    drop(second);
    let mut third = third.await.unwrap();
    insert(&mut third, 3).await.unwrap();
    third.commit().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(committed(dir.path()).await, [1, 3]);
    // The last of a group is dropped: the others are committed all the same.
    let mut first = begin(&queue).await;
    insert(&mut first, 4).await.unwrap();
    let second = queued(&queue).await;
    let first = tokio::spawn(first.commit());
    drop(second.await.unwrap());
    first.await.unwrap().unwrap();
    assert_eq!(committed(dir.path()).await, [1, 3, 4]);
}

/// SQLite ends the whole transaction at some errors, such as a full disk.
#[tokio::test]
async fn a_group_that_sqlite_rolled_back_is_acknowledged_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path()).await;
    for commits in [false, true] {
        let mut first = begin(&queue).await;
        insert(&mut first, 1).await.unwrap();
        let second = queued(&queue).await;
        let third = queued(&queue).await;
        let first = tokio::spawn(first.commit());
        let mut second = second.await.unwrap();
        insert(&mut second, 2).await.unwrap();
        second.execute("ROLLBACK").await.unwrap();
        let second = async move { if commits { second.commit().await.map(|()| "committed") } else { Ok("dropped") } };
        let second = tokio::spawn(second);
        // The third is in a group of its own.
        let mut third = third.await.unwrap();
        insert(&mut third, 3).await.unwrap();
        third.commit().await.unwrap();
        first.await.unwrap().unwrap_err();
        assert_eq!(second.await.unwrap().is_err(), commits);
        assert_eq!(committed(dir.path()).await, [3]);
        let mut tx = begin(&queue).await;
        tx.execute("DELETE FROM a").await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let mut connection = connect(dir.path()).await;
    let tables = "PRAGMA foreign_keys = ON; CREATE TABLE a (x INTEGER PRIMARY KEY); \
                  CREATE TABLE b (x INTEGER REFERENCES a (x) DEFERRABLE INITIALLY DEFERRED)";
    connection.execute(tables).await.unwrap();
    let queue = WriteQueue::start(connection);
    let mut first = begin(&queue).await;
    insert(&mut first, 1).await.unwrap();
    let second = queued(&queue).await;
    let first = tokio::spawn(first.commit());
    let mut second = second.await.unwrap();
    second.execute("INSERT INTO b VALUES (7)").await.unwrap();
    let refused = second.commit().await.unwrap_err();
    assert!(refused.to_string().contains("FOREIGN KEY"), "{refused}");
    first.await.unwrap().unwrap_err();
    assert!(committed(dir.path()).await.is_empty());
    let mut next = begin(&queue).await;
    insert(&mut next, 2).await.unwrap();
    next.commit().await.unwrap();
    assert_eq!(committed(dir.path()).await, [2]);
}

#[tokio::test]
async fn a_group_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path()).await;
    let first = begin(&queue).await;
    let mut waiting = Vec::new();
    for _ in 0..=MAX_GROUP {
        waiting.push(queued(&queue).await);
    }
    let first = tokio::spawn(first.commit());
    let mut ended = Vec::new();
    for (number, next) in (0_i64..).zip(waiting) {
        let mut next = next.await.unwrap();
        insert(&mut next, number).await.unwrap();
        ended.push(tokio::spawn(next.commit()));
        if ended.len() == MAX_GROUP {
            // The group has the first and all but one of these; the last began after its commit.
            first.await.unwrap().unwrap();
            assert_eq!(committed(dir.path()).await.len(), MAX_GROUP - 1);
            break;
        }
    }
}

#[tokio::test]
async fn a_closed_queue_serves_those_before_and_refuses_those_after() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path()).await;
    let mut tx = begin(&queue).await;
    insert(&mut tx, 1).await.unwrap();
    let closing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.close().await }
    });
    tokio::task::yield_now().await;
    tx.commit().await.unwrap();
    closing.await.unwrap();
    assert!(matches!(queue.begin(Instant::now()).await, Err(sqlx::Error::PoolClosed)));
    assert!(matches!(queue.truncate_log().await, Err(sqlx::Error::PoolClosed)));
    assert_eq!(committed(dir.path()).await, [1]);
}
