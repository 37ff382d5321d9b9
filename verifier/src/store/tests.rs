//! What every store has to keep to. A second backend runs the same tests.

use carnet_core::verify::Report;
use rand_core::OsRng;
use tempfile::TempDir;

use super::*;

const START: Timestamp = Timestamp::from_unix(1_795_305_600);

async fn store() -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let pool = carnet_service::store::open(dir.path(), &MIGRATIONS).await.unwrap();
    (dir, Sqlite::new(pool))
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
    let (refused, _) = Verdict::on_presentation(&Report::default(), None, START);
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
    // Without a request_id each call stands for itself.
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
    assert!(store.conclude(&new.id, &verdict(true)).await.unwrap());
    assert!(!store.conclude(&new.id, &verdict(true)).await.unwrap());
    assert!(!store.conclude(&new.id, &verdict(false)).await.unwrap());
    assert_eq!(admitted(&store, &new.id, START).await, Err(Closed::Answered));
    let stored = store.request(&new.id).await.unwrap().unwrap();
    assert_eq!((stored.state(START), stored.nonce.as_str(), stored.request_object.as_str()), (State::Accepted, "", ""));
}

#[tokio::test]
async fn wrong_answers_leave_it_open_until_there_were_too_many() {
    let (_dir, store) = store().await;
    let new = request(None);
    store.create_request(&new).await.unwrap();
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(admitted(&store, &new.id, START).await, Ok(()));
        assert!(store.conclude(&new.id, &verdict(false)).await.unwrap());
    }
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
    // What was verified too late does not count.
    assert!(!store.conclude(&new.id, &verdict(true)).await.unwrap());
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
    store.conclude(&new.id, &verdict(true)).await.unwrap();
    sqlx::query("UPDATE requests SET verdict = '{\"accepted\":true,\"name\":\"x\"}'")
        .execute(store.pool())
        .await
        .unwrap();
    assert!(matches!(store.request(&new.id).await, Err(StoreError::Unreadable)));
}
