//! Conformance tests of a store. A second backend runs the same tests.

use carnet_core::verify::Report;
use rand_core::OsRng;
use tempfile::TempDir;

use super::*;

const START: Timestamp = Timestamp::from_unix(1_795_305_600);

async fn store() -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    carnet_service::store::create(dir.path(), &MIGRATIONS).await.unwrap();
    let database = carnet_service::store::open(dir.path(), &MIGRATIONS).await.unwrap().database;
    (dir, Sqlite::new(database))
}

fn request(request_id: Option<&str>) -> NewRequest {
    NewRequest {
        id: RequestId::draw(&mut OsRng),
        request_id: request_id.map(str::to_owned),
        parameters_digest: [7; 32],
        template: "job-right-to-work".to_owned(),
        query: "{}".to_owned(),
        audience: "decentralized_identifier:did:web:a.example".to_owned(),
        nonce: "the-nonce".to_owned(),
        request_object: "a.b.c".to_owned(),
        created_at: START,
        expires_at: START.plus(600),
        keep_until: START.plus(86_400),
    }
}

fn verdict(accepted: bool) -> Verdict {
    let (refused, _) = Verdict::on_credential(&Report::default(), None, START);
    let text = refused.to_stored().unwrap();
    Verdict::from_stored(&text.replace("\"accepted\":false", &format!("\"accepted\":{accepted}"))).unwrap()
}

async fn admitted(store: &Sqlite, id: &RequestId, now: Timestamp) -> Result<(), Closed> {
    match store.begin_answer(id, now).await.unwrap() {
        Admission::Admitted(_) => Ok(()),
        Admission::Closed(closed) => Err(closed),
        Admission::Unknown => panic!("the request is gone"),
    }
}

#[tokio::test]
async fn the_same_request_id_gives_the_same_request() {
    let (_dir, store) = store().await;
    let (first, second) = (request(Some("r-1")), request(Some("r-1")));
    assert!(store.create_request(&first).await.unwrap().is_none());
    let known = store.create_request(&second).await.unwrap().unwrap();
    assert!(known.id == first.id);
    assert!(store.request(&second.id).await.unwrap().is_none());
    // Without a request_id each call creates a request.
    for _ in 0..2 {
        assert!(store.create_request(&request(None)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_accepting_verdict_counts_once() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    assert_eq!(admitted(&store, &new.id, START).await, Ok(()));
    assert_eq!(admitted(&store, &new.id, START).await, Ok(()));
    assert!(store.conclude(&new.id, &verdict(true), &[]).await.unwrap());
    assert!(!store.conclude(&new.id, &verdict(true), &[]).await.unwrap());
    assert!(!store.conclude(&new.id, &verdict(false), &[]).await.unwrap());
    assert_eq!(admitted(&store, &new.id, START).await, Err(Closed::Answered));
    let stored = store.request(&new.id).await.unwrap().unwrap();
    assert_eq!((stored.state(START), stored.nonce.as_str(), stored.request_object.as_str()), (State::Accepted, "", ""));
}

fn kept(path: &str, days: i64) -> KeptClaim {
    let erase_at = START.plus(days.saturating_mul(86_400));
    KeptClaim::from_stored("q".to_owned(), path.to_owned(), "\"Okonkwo\"", erase_at).unwrap()
}

/// Tests if a text is in any file of the store.
fn on_disk(dir: &TempDir, text: &str) -> bool {
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .any(|path| std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn what_must_be_kept_is_kept_until_its_end_and_no_longer() {
    let (dir, store) = store().await;
    let new = NewRequest { keep_until: START.plus(2_592_000), ..request(None) };
    store.create_request(&new).await.unwrap();
    assert!(store.conclude(&new.id, &verdict(true), &[kept("a.b", 10), kept("a.c", 20)]).await.unwrap());
    let number = store.request(&new.id).await.unwrap().unwrap().number;
    let paths = async |now: Timestamp| {
        store.kept(number, now).await.unwrap().iter().map(|claim| claim.path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(START).await, ["a.b", "a.c"]);
    assert!(on_disk(&dir, "Okonkwo"));
    // Due claims are not returned whether or not a sweep has run, and a sweep removes them from the files.
    let first_end = START.plus(864_000);
    assert_eq!(paths(first_end.plus(-1)).await, ["a.b", "a.c"]);
    assert_eq!(paths(first_end).await, ["a.c"]);
    store.sweep(START.plus(1_728_000)).await.unwrap();
    assert_eq!(paths(START).await, Vec::<String>::new());
    store.settle().await;
    assert!(!on_disk(&dir, "Okonkwo"));
    assert!(store.request(&new.id).await.unwrap().unwrap().verdict.is_some());
}

#[tokio::test]
async fn an_answer_that_does_not_count_leaves_no_claim() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    assert!(store.conclude(&new.id, &verdict(true), &[]).await.unwrap());
    assert!(!store.conclude(&new.id, &verdict(true), &[kept("a.b", 10)]).await.unwrap());
    let number = store.request(&new.id).await.unwrap().unwrap().number;
    assert!(store.kept(number, START).await.unwrap().is_empty());
}

#[tokio::test]
async fn erasing_leaves_an_id_and_a_time() {
    let (dir, store) = store().await;
    let new = request(Some("r-1"));
    store.create_request(&new).await.unwrap();
    store.conclude(&new.id, &verdict(true), &[kept("a.b", 10)]).await.unwrap();
    // The receipt of an earlier refused answer, or of an older one, erases nothing.
    let accepted = (true, verdict(true).verified_at());
    for other in [(false, accepted.1), (true, accepted.1.plus(-1))] {
        assert_eq!(store.erase(&new.id, other, START.plus(5)).await.unwrap(), None);
        let stored = store.request(&new.id).await.unwrap().unwrap();
        assert!(stored.verdict.is_some() && stored.erased_at.is_none());
        assert_eq!(store.kept(stored.number, START).await.unwrap().len(), 1);
    }
    assert_eq!(store.erase(&new.id, accepted, START.plus(5)).await.unwrap(), Some(START.plus(5)));
    // A second erasure keeps the first time.
    assert_eq!(store.erase(&new.id, accepted, START.plus(9)).await.unwrap(), Some(START.plus(5)));
    let stored = store.request(&new.id).await.unwrap().unwrap();
    assert_eq!((stored.state(START), stored.erased_at), (State::Erased, Some(START.plus(5))));
    assert!(stored.verdict.is_none() && stored.template.is_empty() && stored.query.is_empty());
    assert!(store.kept(stored.number, START).await.unwrap().is_empty());
    store.settle().await;
    assert!(!on_disk(&dir, "Okonkwo") && !on_disk(&dir, "job-right-to-work"));
    assert_eq!(admitted(&store, &new.id, START).await, Err(Closed::Answered));
    assert_eq!(store.erase(&RequestId::draw(&mut OsRng), accepted, START).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_asked_is_erased_when_it_can_no_longer_be_answered() {
    let (_dir, store) = store().await;
    let (answered, expired) = (request(None), request(None));
    for new in [&answered, &expired] {
        store.create_request(new).await.unwrap();
        assert_eq!(store.request(&new.id).await.unwrap().unwrap().query, "{}");
    }
    store.conclude(&answered.id, &verdict(true), &[]).await.unwrap();
    store.sweep(START.plus(600)).await.unwrap();
    for new in [&answered, &expired] {
        assert_eq!(store.request(&new.id).await.unwrap().unwrap().query, "");
    }
}

#[tokio::test]
async fn wrong_answers_leave_it_open_until_there_were_too_many() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    let asked = async || {
        let stored = store.request(&new.id).await.unwrap().unwrap();
        [stored.query, stored.nonce, stored.request_object]
    };
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(asked().await, ["{}", "the-nonce", "a.b.c"]);
        assert_eq!(admitted(&store, &new.id, START).await, Ok(()));
        assert!(store.conclude(&new.id, &verdict(false), &[]).await.unwrap());
    }
    assert_eq!(asked().await, ["", "", ""]);
    assert_eq!(admitted(&store, &new.id, START).await, Err(Closed::Exhausted));
    let stored = store.request(&new.id).await.unwrap().unwrap();
    assert_eq!(stored.state(START), State::Refused);
    assert!(stored.is_final(START));
}

#[tokio::test]
async fn time_closes_it_before_and_after_the_sweep() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    let end = START.plus(600);
    assert!(store.sweep(end.plus(-1)).await.unwrap().is_empty());
    assert_eq!(admitted(&store, &new.id, end.plus(-1)).await, Ok(()));
    assert_eq!(admitted(&store, &new.id, end).await, Err(Closed::Expired));
    assert_eq!(store.request(&new.id).await.unwrap().unwrap().state(end), State::Expired);
    assert!(store.sweep(end).await.unwrap() == vec![new.id.clone()]);
    assert!(store.sweep(end).await.unwrap().is_empty());
    assert_eq!(admitted(&store, &new.id, end).await, Err(Closed::Expired));
    // A verdict after the request's end does not count.
    assert!(!store.conclude(&new.id, &verdict(true), &[]).await.unwrap());
    store.sweep(START.plus(86_400)).await.unwrap();
    assert!(store.request(&new.id).await.unwrap().is_none());
}

#[tokio::test]
async fn lists_are_newest_first_and_go_on_where_a_page_ended() {
    let (_dir, store) = store().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let new = request(None);
        store.create_request(&new).await.unwrap();
        ids.insert(0, new.id);
    }
    let first = store.requests(i64::MAX, 3).await.unwrap();
    let rest = store.requests(first[2].number, 3).await.unwrap();
    let listed: Vec<RequestId> = first.into_iter().chain(rest).map(|stored| stored.id).collect();
    assert!(listed == ids);
}

#[tokio::test]
async fn a_row_that_this_version_does_not_write_is_an_error_and_no_verdict() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    store.conclude(&new.id, &verdict(true), &[]).await.unwrap();
    let mut transaction = store.database().begin("a test").await.unwrap();
    sqlx::query("UPDATE requests SET verdict = '{\"accepted\":true,\"name\":\"x\"}'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(matches!(store.request(&new.id).await, Err(StoreError::Unreadable)));
}

#[tokio::test]
async fn a_sweep_lets_others_write_between_its_steps() {
    let (_dir, store) = store().await;
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
    let sweep = tokio::spawn(async move { store.sweep(Timestamp::from_unix(5)).await.unwrap().len() });
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
        tx.rollback().await.unwrap();
        let mut tx = queued.await.unwrap();
        let open: i64 =
            sqlx::query_scalar("SELECT count(*) FROM requests WHERE state = 'open'").fetch_one(&mut *tx).await.unwrap();
        left.push(open);
        next = (open > 10).then_some(tx);
    }
    assert_eq!(left, [150, 50, 10]);
    assert_eq!(sweep.await.unwrap(), 240);
}

/// More rows of each kind than one step erases, and a claim that is erased with its request.
#[tokio::test]
async fn a_sweep_erases_all_that_is_due_of_every_kind() {
    let (_dir, store) = store().await;
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
    store.sweep(Timestamp::from_unix(5)).await.unwrap();
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
    let store = Sqlite::new(carnet_service::store::open(dir.path(), &MIGRATIONS).await.unwrap().database);
    let double = store.take("west", &[], &[], Timestamp::from_unix(5)).await.unwrap().double;
    assert_eq!(double.iter().map(|double| (double.uses, double.marks.len())).collect::<Vec<_>>(), [(1, 2)]);
    let left = async || -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM overused_entitlements");
        count.fetch_one(store.database().readers()).await.unwrap()
    };
    assert_eq!(left().await, 1);
    store.sweep(Timestamp::from_unix(9)).await.unwrap();
    assert_eq!(left().await, 0);
    assert!(store.take("west", &[], &[], Timestamp::from_unix(9)).await.unwrap().double.is_empty());
}

#[tokio::test]
async fn every_migration_is_embedded_as_its_file_is() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    assert_eq!(carnet_service::store::not_as_files(&MIGRATIONS, folder).await.unwrap(), [0; 0]);
}
