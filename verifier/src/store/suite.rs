//! Tests of a store, generic over the port: each database runs all of them, by [`store_suite`].

use carnet_core::{time::Timestamp, trust::list::AcceptedList, verify::VerificationReport};
use rand_core::OsRng;

use super::*;
use crate::{
    clock::{lower_stored_floor, raise_stored_floor, stored_floor},
    disclosed::KeptClaim,
    error::Error,
    ids::RequestId,
    recording::{RunningAttempts, admit_attempt, commit_verdict, count_attempt},
    redemption::reconciliation::{create_export, reconcile},
    request::{ClosedReason, MAX_ATTEMPTS, NewRequest, RequestState, StoredRequest},
    requests::store_request,
    retention::{erase_expired, erase_presentation_data},
    trust::stored::{record_accept_once, store_list, stored_list},
    verdicts::Verdict,
};

/// New store of one kind of database.
pub(crate) trait TestStore: Sized {
    type Store: Store;

    fn new() -> impl Future<Output = Self>;

    fn store(&self) -> &Self::Store;

    /// Returns whether a text is in any file of the database.
    fn has_on_disk(&self, text: &str) -> bool;
}

/// Makes a test of each function of the suite.
macro_rules! store_suite {
    ($store:ty: $($name:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            $crate::store::suite::$name::<$store>().await;
        })+
    };
}
pub(crate) use store_suite;

pub(crate) const START: Timestamp = Timestamp::from_unix(1_795_305_600);

pub(crate) fn request(request_id: Option<&str>) -> NewRequest {
    NewRequest {
        id: RequestId::generate(&mut OsRng),
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

pub(crate) fn verdict(accepted: bool) -> Verdict {
    let (refused, _) = Verdict::for_credential(&VerificationReport::default(), None, START);
    let text = refused.to_json().unwrap();
    Verdict::from_json(&text.replace("\"accepted\":false", &format!("\"accepted\":{accepted}"))).unwrap()
}

async fn create<S: Store>(store: &S, new: &NewRequest) -> RequestId {
    let copy = NewRequest {
        id: new.id.clone(),
        request_id: new.request_id.clone(),
        template: new.template.clone(),
        query: new.query.clone(),
        audience: new.audience.clone(),
        nonce: new.nonce.clone(),
        request_object: new.request_object.clone(),
        ..*new
    };
    store_request(store, copy).await.unwrap().0
}

async fn read<S: Store>(store: &S, id: &RequestId) -> Option<StoredRequest> {
    store.read().await.unwrap().request(id).await.unwrap()
}

async fn kept_claims<S: Store>(store: &S, number: i64, after: Timestamp) -> Result<Vec<KeptClaim>, StoreError> {
    store.read().await.unwrap().kept_claims(number, after).await
}

async fn admitted<S: Store>(store: &S, id: &RequestId, now: Timestamp) -> Result<(), ClosedReason> {
    match admit_attempt(store, &RunningAttempts::default(), id, now).await {
        Ok(_) => Ok(()),
        Err(Error::RequestClosed(closed)) => Err(closed),
        Err(error) => panic!("{error}"),
    }
}

fn kept(path: &str, days: i64) -> KeptClaim {
    let erase_at = START.plus(days.saturating_mul(86_400));
    KeptClaim::from_json_value("q".to_owned(), path.to_owned(), "\"Okonkwo\"", erase_at).unwrap()
}

pub(crate) async fn the_same_request_id_gives_the_same_request<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let (first, second) = (request(Some("r-1")), request(Some("r-1")));
    assert!(create(store, &first).await == first.id);
    assert!(create(store, &second).await == first.id);
    assert!(read(store, &second.id).await.is_none());
    // Without a request_id each call creates a request.
    for _ in 0..2 {
        let new = request(None);
        assert!(create(store, &new).await == new.id);
    }
}

pub(crate) async fn an_accepting_verdict_counts_once<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    create(store, &new).await;
    assert_eq!(admitted(store, &new.id, START).await, Ok(()));
    assert_eq!(admitted(store, &new.id, START).await, Ok(()));
    assert!(commit_verdict(store, &new.id, &verdict(true), &[]).await.unwrap());
    assert!(!commit_verdict(store, &new.id, &verdict(true), &[]).await.unwrap());
    assert!(!commit_verdict(store, &new.id, &verdict(false), &[]).await.unwrap());
    assert_eq!(admitted(store, &new.id, START).await, Err(ClosedReason::Answered));
    let stored = read(store, &new.id).await.unwrap();
    assert_eq!(
        (stored.state(START), stored.nonce.as_str(), stored.request_object.as_str()),
        (RequestState::Accepted, "", "")
    );
}

pub(crate) async fn what_must_be_kept_is_kept_until_its_end_and_no_longer<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = NewRequest { keep_until: START.plus(2_592_000), ..request(None) };
    create(store, &new).await;
    assert!(commit_verdict(store, &new.id, &verdict(true), &[kept("a.b", 10), kept("a.c", 20)]).await.unwrap());
    let number = read(store, &new.id).await.unwrap().number;
    let paths = async |now: Timestamp| {
        kept_claims(store, number, now).await.unwrap().iter().map(|claim| claim.path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(START).await, ["a.b", "a.c"]);
    assert!(test.has_on_disk("Okonkwo"));
    // Due claims are not returned whether or not a sweep has run, and a sweep removes them from the files.
    let first_end = START.plus(864_000);
    assert_eq!(paths(first_end.plus(-1)).await, ["a.b", "a.c"]);
    assert_eq!(paths(first_end).await, ["a.c"]);
    erase_expired(store, START.plus(1_728_000)).await.unwrap();
    assert_eq!(paths(START).await, Vec::<String>::new());
    store.purge_log().await;
    assert!(!test.has_on_disk("Okonkwo"));
    assert!(read(store, &new.id).await.unwrap().verdict.is_some());
}

pub(crate) async fn an_answer_that_does_not_count_leaves_no_claim<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    create(store, &new).await;
    assert!(commit_verdict(store, &new.id, &verdict(true), &[]).await.unwrap());
    assert!(!commit_verdict(store, &new.id, &verdict(true), &[kept("a.b", 10)]).await.unwrap());
    let number = read(store, &new.id).await.unwrap().number;
    assert!(kept_claims(store, number, START).await.unwrap().is_empty());
}

pub(crate) async fn erasing_leaves_an_id_and_a_time<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(Some("r-1"));
    create(store, &new).await;
    commit_verdict(store, &new.id, &verdict(true), &[kept("a.b", 10)]).await.unwrap();
    // The receipt of an earlier refused answer, or of an older one, erases nothing.
    let accepted = (true, verdict(true).verified_at());
    for other in [(false, accepted.1), (true, accepted.1.plus(-1))] {
        assert_eq!(erase_presentation_data(store, &new.id, other, START.plus(5)).await.unwrap(), None);
        let stored = read(store, &new.id).await.unwrap();
        assert!(stored.verdict.is_some() && stored.erased_at.is_none());
        assert_eq!(kept_claims(store, stored.number, START).await.unwrap().len(), 1);
    }
    assert_eq!(erase_presentation_data(store, &new.id, accepted, START.plus(5)).await.unwrap(), Some(START.plus(5)));
    // A second erasure keeps the first time.
    assert_eq!(erase_presentation_data(store, &new.id, accepted, START.plus(9)).await.unwrap(), Some(START.plus(5)));
    let stored = read(store, &new.id).await.unwrap();
    assert_eq!((stored.state(START), stored.erased_at), (RequestState::Erased, Some(START.plus(5))));
    assert!(stored.verdict.is_none() && stored.template.is_empty() && stored.query.is_empty());
    assert!(kept_claims(store, stored.number, START).await.unwrap().is_empty());
    store.purge_log().await;
    assert!(!test.has_on_disk("Okonkwo") && !test.has_on_disk("job-right-to-work"));
    assert_eq!(admitted(store, &new.id, START).await, Err(ClosedReason::Answered));
    assert_eq!(erase_presentation_data(store, &RequestId::generate(&mut OsRng), accepted, START).await.unwrap(), None);
}

pub(crate) async fn what_was_asked_is_erased_when_it_can_no_longer_be_answered<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let (answered, expired) = (request(None), request(None));
    for new in [&answered, &expired] {
        create(store, new).await;
        assert_eq!(read(store, &new.id).await.unwrap().query, "{}");
    }
    commit_verdict(store, &answered.id, &verdict(true), &[]).await.unwrap();
    erase_expired(store, START.plus(600)).await.unwrap();
    for new in [&answered, &expired] {
        assert_eq!(read(store, &new.id).await.unwrap().query, "");
    }
}

pub(crate) async fn wrong_answers_leave_it_open_until_there_were_too_many<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    create(store, &new).await;
    let asked = async || {
        let stored = read(store, &new.id).await.unwrap();
        [stored.query, stored.nonce, stored.request_object]
    };
    for _ in 0..MAX_ATTEMPTS {
        assert_eq!(asked().await, ["{}", "the-nonce", "a.b.c"]);
        assert_eq!(admitted(store, &new.id, START).await, Ok(()));
        assert!(commit_verdict(store, &new.id, &verdict(false), &[]).await.unwrap());
    }
    assert_eq!(asked().await, ["", "", ""]);
    assert_eq!(admitted(store, &new.id, START).await, Err(ClosedReason::Exhausted));
    let stored = read(store, &new.id).await.unwrap();
    assert_eq!(stored.state(START), RequestState::Refused);
    assert!(stored.is_final(START));
}

pub(crate) async fn time_closes_it_before_and_after_the_sweep<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    create(store, &new).await;
    let end = START.plus(600);
    assert!(erase_expired(store, end.plus(-1)).await.unwrap().is_empty());
    assert_eq!(admitted(store, &new.id, end.plus(-1)).await, Ok(()));
    assert_eq!(admitted(store, &new.id, end).await, Err(ClosedReason::Expired));
    assert_eq!(read(store, &new.id).await.unwrap().state(end), RequestState::Expired);
    assert!(erase_expired(store, end).await.unwrap() == vec![new.id.clone()]);
    assert!(erase_expired(store, end).await.unwrap().is_empty());
    assert_eq!(admitted(store, &new.id, end).await, Err(ClosedReason::Expired));
    // A verdict after the request's end does not count.
    assert!(!commit_verdict(store, &new.id, &verdict(true), &[]).await.unwrap());
    erase_expired(store, START.plus(86_400)).await.unwrap();
    assert!(read(store, &new.id).await.is_none());
}

pub(crate) async fn lists_are_newest_first_and_go_on_where_a_page_ended<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let new = request(None);
        create(store, &new).await;
        ids.insert(0, new.id);
    }
    let first = store.read().await.unwrap().requests(i64::MAX, 3).await.unwrap();
    let rest = store.read().await.unwrap().requests(first[2].number, 3).await.unwrap();
    let listed: Vec<RequestId> = first.into_iter().chain(rest).map(|stored| stored.id).collect();
    assert!(listed == ids);
}

pub(crate) async fn another_call_with_the_same_request_id_is_refused<T: TestStore>() {
    let test = T::new().await;
    create(test.store(), &request(Some("r-1"))).await;
    let other = NewRequest { parameters_digest: [8; 32], ..request(Some("r-1")) };
    assert!(matches!(store_request(test.store(), other).await, Err(Error::RequestIdReused)));
}

/// Of concurrent accepting verdicts exactly one counts, and of concurrent attempts none is lost: neither of those that
/// are being verified, nor of those that end with a result or with an error.
pub(crate) async fn transactions_follow_each_other<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    create(store, &new).await;
    let running = RunningAttempts::default();
    let admit = || admit_attempt(store, &running, &new.id, START);
    let mut verifying = Vec::new();
    for _ in 0..MAX_ATTEMPTS {
        verifying.push(admit().await.unwrap().1);
    }
    assert!(matches!(admit().await, Err(Error::RequestClosed(ClosedReason::Exhausted))));
    let (refused, failed) = (verifying.pop(), verifying.pop());
    let refusal = verdict(false);
    let (counts, counted) = tokio::join!(commit_verdict(store, &new.id, &refusal, &[]), count_attempt(store, &new.id));
    assert!(counts.unwrap() && counted.is_ok());
    drop((refused, failed));
    assert_eq!(read(store, &new.id).await.unwrap().attempts, 2);
    // The two are counted once, whether they are verified or have ended.
    assert!(matches!(admit().await, Err(Error::RequestClosed(ClosedReason::Exhausted))));
    drop(verifying);
    assert_eq!(admit().await.unwrap().0.attempts, 2);
    let accepted = verdict(true);
    let conclude = || commit_verdict(store, &new.id, &accepted, &[]);
    let (one, two, three) = tokio::join!(conclude(), conclude(), conclude());
    let counting = [one, two, three].into_iter().filter(|counts| *counts.as_ref().unwrap()).count();
    assert_eq!(counting, 1);
}

/// A transaction that is dropped changes nothing, and the next one begins.
pub(crate) async fn a_dropped_transaction_changes_nothing<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let new = request(None);
    let mut transaction = store.begin("a test").await.unwrap();
    transaction.insert_request(&new).await.unwrap();
    assert!(transaction.request(&new.id).await.unwrap().is_some(), "a transaction sees its own changes");
    assert!(read(store, &new.id).await.is_none(), "nobody else does");
    drop(transaction);
    assert!(create(store, &new).await == new.id);
}

pub(crate) async fn uses_desks_and_totals_are_read_as_they_were_written<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let mark = |voucher, at| UseMark {
        entitlement: [voucher; 32],
        uses: 2,
        marked_at: START.plus(at),
        erase_at: START.plus(600),
    };
    let west = DeskRow {
        last_mark: 1,
        last_export: 7,
        imported_own_export: 3,
        written_off: Some((START, 9)),
        ..DeskRow::unknown("west")
    };
    let total = MonthlyTotal { template: "museum-visit".to_owned(), uses: 1, ..MonthlyTotal::default() };
    let total = MonthlyTotal { month: "2026-11".to_owned(), ..total };
    let mut transaction = store.begin("a test").await.unwrap();
    assert_eq!(transaction.desk("west").await.unwrap(), DeskRow::unknown("west"));
    for desk in [&DeskRow::unknown("west"), &west] {
        transaction.put_desk(desk).await.unwrap();
    }
    for (desk, sequence, mark) in
        [("west", 1, mark(1, 2)), (OWN_DESK, 1, mark(1, 1)), (OWN_DESK, 2, mark(1, 3)), (OWN_DESK, 3, mark(2, 4))]
    {
        transaction.insert_mark(desk, sequence, &mark).await.unwrap();
    }
    for _ in 0..2 {
        transaction.add_to_total(&total).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let mut rows = store.read().await.unwrap();
    assert_eq!((rows.desk("west").await.unwrap(), rows.desks().await.unwrap()), (west.clone(), vec![west]));
    assert_eq!(rows.mark_count(&[1; 32]).await.unwrap(), 3);
    assert_eq!(rows.mark(OWN_DESK, 3).await.unwrap(), Some(mark(2, 4)));
    assert_eq!(rows.mark("west", 3).await.unwrap(), None);
    let own: Vec<u64> = rows.marks(OWN_DESK, 2).await.unwrap().iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(own, [1, 2]);
    let overused: Vec<String> = rows.overused_marks().await.unwrap().into_iter().map(|(desk, _)| desk).collect();
    assert_eq!(overused, [OWN_DESK, "west", OWN_DESK], "the oldest first, and only of the voucher with too many");
    assert_eq!(rows.totals().await.unwrap(), [MonthlyTotal { uses: 2, ..total }]);
    drop(rows);
    erase_expired(store, START.plus(600)).await.unwrap();
    let mut rows = store.read().await.unwrap();
    assert_eq!((rows.mark_count(&[1; 32]).await.unwrap(), rows.overused_marks().await.unwrap().len()), (0, 0));
}

/// Desks that import each other's marks are reconciled by a newer export only, and two marks under one number import
/// nothing.
pub(crate) async fn an_import_is_whole_or_nothing<T: TestStore>() {
    let (east, west) = (T::new().await, T::new().await);
    let mark = UseMark { entitlement: [1; 32], uses: 1, marked_at: START, erase_at: START.plus(600) };
    for test in [&east, &west] {
        let mut transaction = test.store().begin("a test").await.unwrap();
        transaction.put_desk(&DeskRow { last_mark: 1, ..DeskRow::unknown(OWN_DESK) }).await.unwrap();
        transaction.insert_mark(OWN_DESK, 1, &mark).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let others = ["west".to_owned()];
    let exported = create_export(west.store(), "west", START).await.unwrap();
    assert_eq!((exported.number, exported.last_mark, exported.unreconciled_uses()), (1, 1, 1));
    let mut wrong = create_export(west.store(), "west", START).await.unwrap();
    wrong.marks.push((1, UseMark { uses: 2, ..mark.clone() }));
    assert!(reconcile(east.store(), "east", &others, &[wrong], START).await.is_err());
    assert_eq!(east.store().read().await.unwrap().mark_count(&[1; 32]).await.unwrap(), 1);
    let exports = [exported];
    let first = reconcile(east.store(), "east", &others, &exports, START).await.unwrap();
    assert!(first.is_complete && first.overused.len() == 1 && first.overused[0].marks.len() == 2);
    let again = reconcile(east.store(), "east", &others, &exports, START).await.unwrap();
    assert!(!again.is_complete && again.newer_exports.is_empty() && again.overused == first.overused);
}

pub(crate) async fn a_trust_list_is_replaced_by_a_newer_one_or_one_to_accept_once<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    let seen = |sequence, digest: &str| AcceptedList {
        sequence,
        digest: digest.to_owned(),
        has_history: true,
        timestamped: false,
        operators: None,
    };
    let put = async |sequence, digest: &str| {
        store_list(store, "a", seen(sequence, digest), digest.to_owned(), None).await.unwrap().digest
    };
    assert!(!record_accept_once(store, "a", "x").await.unwrap(), "there is none yet");
    assert_eq!(
        (put(2, "two").await, put(2, "other").await, put(1, "one").await),
        ("two".into(), "two".into(), "two".into())
    );
    assert!(record_accept_once(store, "a", "one").await.unwrap());
    assert_eq!((put(2, "two").await, put(1, "one").await), ("two".into(), "one".into()));
    let stored = stored_list(store, "a").await.unwrap().unwrap();
    assert_eq!(
        (stored.document.as_str(), stored.state.accept_once, stored.state.accepted),
        ("one", None, seen(1, "one"))
    );
    assert_eq!(put(3, "three").await, "three");
    assert!(stored_list(store, "b").await.unwrap().is_none());
}

pub(crate) async fn the_floor_of_the_clock_falls_by_the_operator_only<T: TestStore>() {
    let test = T::new().await;
    let store = test.store();
    assert_eq!(stored_floor(store).await.unwrap().unix(), 0);
    for (at, floor) in [(START, START), (START.plus(-1), START), (START.plus(9), START.plus(9))] {
        raise_stored_floor(store, at).await.unwrap();
        assert_eq!(stored_floor(store).await.unwrap(), floor);
    }
    assert!(lower_stored_floor(store, START).await.unwrap());
    assert!(!lower_stored_floor(store, START).await.unwrap());
    assert_eq!(stored_floor(store).await.unwrap(), START);
}
