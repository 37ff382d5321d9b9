//! The tests of every store, and those of SQLite and of stores of earlier versions.

use std::path::Path;

use carnet_core::time::Timestamp;
use carnet_service::store::open_store;
use sqlx::{SqlitePool, query, query_scalar, sqlite::SqliteConnectOptions};

use super::*;
use crate::{
    config::RECORD_DAYS,
    indices::open_list_if_low,
    status::changes_since,
    store::status::{StatusRows as _, StatusState},
    sweep::erase_expired,
};

#[tokio::test]
async fn every_migration_is_embedded_as_its_file_is() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    assert_eq!(carnet_service::store::differing_migrations(&MIGRATIONS, folder).await.unwrap(), [0; 0]);
}

/// Runs tests of the suite, each on a new store.
macro_rules! suite {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                carnet_service::store::create_store(folder.path(), &MIGRATIONS).await.unwrap();
                let opened = open_store(folder.path(), &MIGRATIONS).await.unwrap();
                crate::store::suite::$name(SqliteStore(opened)).await;
            }
        )+
    };
}

suite! {
    a_transaction_that_is_dropped_changes_nothing,
    a_reader_waits_for_no_writer_and_cannot_write,
    writers_take_turns_in_order,
    a_nonce_is_used_once,
    an_offer_is_found_by_its_names_and_secrets,
    a_closed_offer_has_no_claims,
    pages_follow_each_other,
    a_collection_keeps_its_response_until_it_is_acknowledged,
    a_key_has_one_copy,
    no_index_is_drawn_twice,
    refills_are_counted_by_time_and_renewal,
    a_renewal_waits_and_is_decided_once,
    acts_change_states_and_lists,
    credentials_are_selected_by_type_and_time,
    meanings_of_used_messages_stay,
    what_expired_is_erased_in_steps,
    a_forgotten_record_is_in_no_list,
    vouchers_add_up_by_month,
    the_publication_rises_with_changes_alone,
}

/// Creates a store of an earlier version, with the migrations before `first` and these rows.
async fn earlier_store(folder: &Path, first: &str, rows: &[&'static str]) {
    let old = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name < first {
            std::fs::copy(&path, old.path().join(name)).unwrap();
        }
    }
    let file = SqliteConnectOptions::new().filename(folder.join("store.sqlite")).create_if_missing(true);
    let pool = SqlitePool::connect_with(file).await.unwrap();
    Migrator::new(old.path()).await.unwrap().run(&pool).await.unwrap();
    for row in rows {
        query(*row).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

/// A store from before lists existed: issued copies keep their indices, and none is used again.
#[tokio::test]
async fn copies_of_before_there_were_lists_keep_their_indices() {
    let data = tempfile::tempdir().unwrap();
    let rows = [
        "INSERT INTO offers (offer_id, request_id, terms, credential_type, format, valid_from, valid_until, code_hash, \
         state, deferred, created_at, expires_at) VALUES ('old', 'r', '', 'T', 'vc+sd-jwt', 0, 9, x'00', 'collected', 0, 0, 0)",
        "INSERT INTO collections (offer_id, request_digest, state, notification_hash) VALUES ('old', x'00', 'signed', x'00')",
        "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at, issued_at) \
         VALUES ('first', 'old', 1, 0, 7, 0, 5), ('second', 'old', 1, 1, 131079, 0, 5)",
    ];
    earlier_store(data.path(), "0004", &rows).await;
    let store = SqliteStore(open_store(data.path(), &MIGRATIONS).await.unwrap());
    let mut tx = store.begin("a test").await.unwrap();
    open_list_if_low(&mut tx, 131_072, Timestamp::from_unix(9)).await.unwrap();
    tx.commit().await.unwrap();
    let lists = changes_since(&store, 0, Timestamp::from_unix(0)).await.unwrap().lists;
    assert_eq!(lists.iter().map(|list| (list.list, list.entries)).collect::<Vec<_>>(), [0, 1, 2].map(|n| (n, 131_072)));
    let copies = store.read().await.unwrap().copy_statuses("old").await.unwrap();
    let places: Vec<_> =
        copies.iter().map(|copy| (copy.status_index.list, copy.status_index.position, copy.state)).collect();
    assert_eq!(places, [(0, 7, StatusState::Valid), (1, 7, StatusState::Valid)]);
}

/// In a store of an earlier version, the sweep erases what earlier sweeps left, and nothing twice.
#[tokio::test]
async fn copies_of_before_are_forgotten_at_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        "INSERT INTO offers (offer_id, request_id, terms, credential_type, format, valid_from, valid_until, code_hash, \
             state, deferred, created_at, expires_at) VALUES \
             ('a', 'a', '', 'T', 'vc+sd-jwt', 0, 1000, x'01', 'collected', 0, 0, 0), \
             ('b', 'b', '', 'T', 'vc+sd-jwt', 0, 1000, x'02', 'collected', 0, 0, 0)",
        "INSERT INTO collections (offer_id, request_digest, state, notification_hash, valid_until) VALUES \
             ('a', x'01', 'signed', x'01', NULL), ('a', x'02', 'signed', x'02', 5000), \
             ('b', x'03', 'signed', x'03', NULL), ('b', x'04', 'signed', x'04', NULL)",
        "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at, issued_at, \
             holder_thumbprint, copy_digest) VALUES ('1', 'a', 1, 0, 1, 0, 5, 'k1', x'01'), \
             ('2', 'a', 2, 0, 2, 0, 5, 'k2', x'02'), ('3', 'b', 3, 0, 3, 0, 5, NULL, x'03'), \
             ('4', 'b', 4, 0, 4, 0, 5, NULL, NULL)",
    ];
    earlier_store(dir.path(), "0010", &rows).await;
    let opened = open_store(dir.path(), &MIGRATIONS).await.unwrap();
    let database = opened.database.clone();
    let known: Vec<Option<i64>> =
        query_scalar("SELECT known_until FROM collections ORDER BY seq").fetch_all(database.readers()).await.unwrap();
    assert_eq!(known, [Some(1000), Some(5000), Some(1000), None]);
    let store = SqliteStore(opened);
    for (now, left) in [(1060, 3), (1061, 1), (5060, 1), (5061, 0)] {
        erase_expired(&store, Timestamp::from_unix(now), RECORD_DAYS).await.unwrap();
        let digests: i64 =
            query_scalar("SELECT count(copy_digest) FROM issued").fetch_one(database.readers()).await.unwrap();
        assert_eq!(digests, left, "{now}");
    }
}

#[tokio::test]
async fn a_sweep_lets_others_write_between_its_steps() {
    let dir = tempfile::tempdir().unwrap();
    carnet_service::store::create_store(dir.path(), &MIGRATIONS).await.unwrap();
    let opened = open_store(dir.path(), &MIGRATIONS).await.unwrap();
    let database = opened.database.clone();
    let rows =
        ["INSERT INTO offers (offer_id, request_id, terms, credential_type, format, claims, valid_from, valid_until, \
           code_hash, state, deferred, created_at, expires_at) \
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
           SELECT 'o' || i, 'r' || i, '', 'T', 'vc+sd-jwt', '{}', 0, 9, CAST('c' || i AS BLOB), 'open', 0, 0, \
           CASE WHEN i <= 240 THEN 1 ELSE 9 END FROM n"];
    StoreProbe::of(database.clone()).write_rows(&rows).await;
    let store = SqliteStore(opened);
    let first = database.begin("first").await.unwrap();
    let sweep = tokio::spawn(async move { erase_expired(&store, Timestamp::from_unix(5), RECORD_DAYS).await.unwrap() });
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
            query_scalar("SELECT count(*) FROM offers WHERE state = 'open'").fetch_one(&mut *tx).await.unwrap();
        left.push(open);
        next = (open > 10).then_some(tx);
    }
    // A step is acknowledged with those that share its commit, so that the next one may queue behind one more.
    left.dedup();
    assert_eq!(left, [150, 50, 10]);
    assert_eq!(sweep.await.unwrap(), 240);
    let claims: i64 = query_scalar("SELECT count(claims) FROM offers").fetch_one(database.readers()).await.unwrap();
    assert_eq!(claims, 10, "what did not end is left alone");
}
