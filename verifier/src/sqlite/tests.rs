//! The tests of every store, and those of SQLite's own.

use carnet_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    recording::commit_verdict,
    redemption::reconciliation::reconcile,
    requests::store_request,
    retention::erase_expired,
    store::{
        ReadRequests as _,
        suite::{TestStore, request, store_suite, verdict},
    },
};

impl SqliteStore {
    async fn write(&self, statement: &'static str) {
        let mut transaction = self.0.begin("a test").await.unwrap();
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Refuses new trust lists from now on, as a full disk does.
    pub(crate) async fn refuse_trust_lists(&self) {
        self.write("CREATE TRIGGER full BEFORE INSERT ON trust_lists BEGIN SELECT RAISE(ABORT, 'disk full'); END")
            .await;
    }

    /// Accepts new trust lists again.
    pub(crate) async fn accept_trust_lists(&self) {
        self.write("DROP TRIGGER full").await;
    }
}

struct SqliteTest {
    dir: TempDir,
    store: SqliteStore,
}

impl TestStore for SqliteTest {
    type Store = SqliteStore;

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        carnet_service::store::create_store(dir.path(), &MIGRATIONS).await.unwrap();
        let database = carnet_service::store::open_store(dir.path(), &MIGRATIONS).await.unwrap().database;
        Self { dir, store: SqliteStore::new(database) }
    }

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn has_on_disk(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.is_file())
            .any(|path| std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

store_suite! { SqliteTest:
    the_same_request_id_gives_the_same_request,
    an_accepting_verdict_counts_once,
    what_must_be_kept_is_kept_until_its_end_and_no_longer,
    an_answer_that_does_not_count_leaves_no_claim,
    erasing_leaves_an_id_and_a_time,
    what_was_asked_is_erased_when_it_can_no_longer_be_answered,
    wrong_answers_leave_it_open_until_there_were_too_many,
    time_closes_it_before_and_after_the_sweep,
    lists_are_newest_first_and_go_on_where_a_page_ended,
    another_call_with_the_same_request_id_is_refused,
    transactions_follow_each_other,
    a_dropped_transaction_changes_nothing,
    uses_desks_and_totals_are_read_as_they_were_written,
    an_import_is_whole_or_nothing,
    a_trust_list_is_replaced_by_a_newer_one_or_one_to_accept_once,
    the_floor_of_the_clock_falls_by_the_operator_only,
}

#[tokio::test]
async fn a_row_that_this_version_does_not_write_is_an_error_and_no_verdict() {
    let SqliteTest { dir: _dir, store } = SqliteTest::new().await;
    let new = request(None);
    let id = store_request(&store, new).await.unwrap().0;
    commit_verdict(&store, &id, &verdict(true), &[]).await.unwrap();
    let mut transaction = store.database().begin("a test").await.unwrap();
    sqlx::query("UPDATE requests SET verdict = '{\"accepted\":true,\"name\":\"x\"}'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(matches!(store.read().await.unwrap().request(&id).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_sweep_lets_others_write_between_its_steps() {
    let SqliteTest { dir: _dir, store } = SqliteTest::new().await;
    let database = store.database().clone();
    let mut first = database.begin("first").await.unwrap();
    sqlx::query(
        "INSERT INTO requests (id, parameters_digest, template, query, audience, nonce, request_object, created_at, \
         expires_at, keep_until, state) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
         SELECT printf('%021dA', i), zeroblob(32), 't', 'q', 'a', 'n', 'o', 0, CASE WHEN i <= 240 THEN 1 ELSE 9 END, 99, \
         'open' FROM n",
    )
    .execute(&mut *first)
    .await
    .unwrap();
    first.commit().await.unwrap();
    let first = database.begin("first").await.unwrap();
    let sweep = tokio::spawn(async move { erase_expired(&store, Timestamp::from_unix(5)).await.unwrap().len() });
    // On one thread, it runs until it waits for its turn; each of its steps queues behind other writers.
    tokio::task::yield_now().await;
    let mut left = Vec::new();
    let mut next = Some(first);
    while let Some(tx) = next.take() {
        let queued = tokio::spawn({
            let database = database.clone();
            async move { database.begin("beside it").await.unwrap() }
        });
        tokio::task::yield_now().await;
        drop(tx);
        let mut tx = queued.await.unwrap();
        let open: i64 =
            sqlx::query_scalar("SELECT count(*) FROM requests WHERE state = 'open'").fetch_one(&mut *tx).await.unwrap();
        left.push(open);
        next = (open > 10).then_some(tx);
    }
    // A step is acknowledged with those that share its commit, so that the next one may queue behind one more.
    left.dedup();
    assert_eq!(left, [150, 50, 10]);
    assert_eq!(sweep.await.unwrap(), 240);
}

/// More rows of each kind than one step erases, and a claim that is erased with its request.
#[tokio::test]
async fn a_sweep_erases_all_that_is_due_of_every_kind() {
    let SqliteTest { dir: _dir, store } = SqliteTest::new().await;
    let mut tx = store.database().begin("a test").await.unwrap();
    for sql in [
        "INSERT INTO requests (id, parameters_digest, template, query, audience, nonce, request_object, created_at, \
         expires_at, keep_until, state) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
         SELECT printf('%021dA', i), zeroblob(32), 't', 'q', 'a', 'n', 'o', 0, 1, CASE WHEN i <= 240 THEN 3 ELSE 99 END, \
         'open' FROM n",
        "INSERT INTO kept_claims (request, query_id, path, value, erase_at) \
         SELECT number, 'q', 'p', '1', CASE WHEN number <= 230 THEN 3 ELSE 99 END FROM requests",
        "INSERT INTO redemptions (desk, sequence, entitlement, uses, marked_at, erase_at) \
         SELECT '', number, zeroblob(32), 1000, 1, keep_until FROM requests",
    ] {
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    erase_expired(&store, Timestamp::from_unix(5)).await.unwrap();
    for (sql, left) in [
        ("SELECT count(*) FROM requests", 10),
        ("SELECT count(*) FROM kept_claims", 10),
        ("SELECT count(*) FROM redemptions", 10),
        ("SELECT count(*) FROM requests WHERE nonce <> ''", 0),
    ] {
        let counted: i64 = sqlx::query_scalar(sql).fetch_one(store.database().readers()).await.unwrap();
        assert_eq!(counted, left, "{sql}");
    }
}

/// Excess marks in a store of an earlier version are found, and deleted with the last of them.
#[tokio::test]
async fn double_uses_of_before_are_found_until_their_marks_end() {
    let (dir, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap() < "0010" {
            std::fs::copy(&path, old.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let migrator = sqlx::migrate::Migrator::new(old.path()).await.unwrap();
    let file =
        sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("store.sqlite")).create_if_missing(true);
    let before = sqlx::SqlitePool::connect_with(file).await.unwrap();
    migrator.run(&before).await.unwrap();
    let mut tx = before.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO redemptions (desk, sequence, entitlement, uses, marked_at, erase_at) VALUES \
         ('', 1, zeroblob(32), 1, 1, 9), ('east', 1, zeroblob(32), 1, 2, 9), \
         ('', 2, randomblob(32), 1, 3, 9), ('east', 2, randomblob(32), 1, 4, 9)",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    before.close().await;
    let store = SqliteStore::new(carnet_service::store::open_store(dir.path(), &MIGRATIONS).await.unwrap().database);
    let double = reconcile(&store, "west", &[], &[], Timestamp::from_unix(5)).await.unwrap().overused;
    assert_eq!(double.iter().map(|double| (double.uses, double.marks.len())).collect::<Vec<_>>(), [(1, 2)]);
    let left = async || -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM overused_entitlements");
        count.fetch_one(store.database().readers()).await.unwrap()
    };
    assert_eq!(left().await, 1);
    erase_expired(&store, Timestamp::from_unix(9)).await.unwrap();
    assert_eq!(left().await, 0);
    assert!(reconcile(&store, "west", &[], &[], Timestamp::from_unix(9)).await.unwrap().overused.is_empty());
}

#[tokio::test]
async fn every_migration_is_embedded_as_its_file_is() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    assert_eq!(carnet_service::store::differing_migrations(&MIGRATIONS, folder).await.unwrap(), [0; 0]);
}
