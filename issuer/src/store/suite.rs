//! Tests that every store passes, generic over the port. A store's adapter runs each of them on a new store of its own.

// Where something does not hold, a test ends.
#![allow(clippy::arithmetic_side_effects)]

use carnet_core::{format::CredentialFormat, time::Timestamp};
use zeroize::Zeroizing;

use super::{
    PageSlice, Store, StoreTx, StoredClaims,
    expiry::{ExpiringRows, ExpiryRows as _},
    issuances::{
        CopyIdentifiers, IndexRows as _, IssuanceRows as _, IssuanceState, NewCopy, NewIssuance, ReissueTerms,
        SealedResponse, SigningResult,
    },
    offers::{MAX_PIN_FAILURES, NewAccessToken, NewOffer, OfferFilter, OfferRows as _, OfferState, UniqueClaim},
    records::{IssuedFilter, RecordRows as _, VoucherTotal},
    renewal::{NewPendingRenewal, NewRenewal, RenewalRows as _, RenewalState, StaffDecision},
    status::{
        ChangedEntry, IssuancePeriodFilter, NewStatusAct, StatusAction, StatusIndex, StatusRows as _, StatusState,
    },
};
use crate::{nonces::Nonce, secrets::Sha256Hash};

/// Number of entries of the lists.
const ENTRIES: i64 = 131_072;
const ALL: PageSlice = PageSlice { before: i64::MAX, limit: 100 };

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

const fn hash(number: u8) -> Sha256Hash {
    [number; 32]
}

fn new_offer(number: u8) -> NewOffer {
    NewOffer {
        offer_id: format!("offer-{number}"),
        request_id: format!("request-{number}"),
        terms: "terms".to_owned(),
        credential_type: "T".to_owned(),
        format: CredentialFormat::VcSdJwt,
        claims: StoredClaims(Zeroizing::new(format!("{{\"n\":{number}}}"))),
        unique_claims: Vec::new(),
        valid_from: at(0),
        valid_until: at(1_000),
        code_hash: hash(number),
        pin_hash: Some(hash(99)),
        deferred: false,
        created_at: at(10),
        expires_at: at(100),
        reference: format!("reference-{number}"),
        created_by: "clerk".to_owned(),
    }
}

/// Writes in one transaction.
async fn write<S: Store, R>(store: &S, work: impl AsyncFnOnce(&mut S::Tx) -> R) -> R {
    let mut tx = store.begin("a test").await.unwrap();
    let done = work(&mut tx).await;
    tx.commit().await.unwrap();
    done
}

/// Stores a redeemed offer with one copy under the next index of a new list; returns collection and status index.
async fn copy<T: StoreTx>(tx: &mut T, number: u8) -> (i64, i64) {
    let offer = new_offer(number);
    tx.insert_offer(&offer).await.unwrap();
    let token = NewAccessToken {
        token_hash: hash(number),
        token_until: at(60),
        challenge_and_salt: Some((hash(1), hash(2))),
        keep_claims_until: at(60),
    };
    tx.mark_offer_redeemed(&offer.offer_id, &token).await.unwrap();
    let collection = collect(tx, number, IssuanceState::Intended, None).await;
    let index = copy_in(tx, collection, number, number).await;
    (collection, index)
}

async fn collect<T: StoreTx>(tx: &mut T, number: u8, state: IssuanceState, reissue: Option<(u8, ReissueTerms)>) -> i64 {
    let digest = reissue.map_or(number, |(digest, _)| digest);
    let deferred = state == IssuanceState::Deferred;
    tx.insert_issuance(&NewIssuance {
        offer_id: &format!("offer-{number}"),
        request_digest: &hash(digest),
        state,
        transaction_hash: deferred.then_some(&hash(digest)),
        notification_hash: &hash(digest),
        holder_keys: deferred.then_some("[]"),
        reissue: reissue.map(|(_, terms)| terms),
    })
    .await
    .unwrap()
}

async fn copy_in<T: StoreTx>(tx: &mut T, collection: i64, number: u8, key: u8) -> i64 {
    if tx.unused_entries().await.unwrap() == 0 {
        tx.open_list(ENTRIES, &[7; 32], at(0)).await.unwrap();
    }
    let draw = tx.draw_index().await.unwrap().unwrap();
    let status_index = i64::try_from(draw.first_index + draw.draw_number).unwrap();
    let (issued_id, offer_id) = (format!("copy-{status_index}"), format!("offer-{number}"));
    tx.insert_copy(&NewCopy {
        issued_id: &issued_id,
        offer_id: &offer_id,
        collection,
        position: 0,
        status_index,
        thumbprint: &format!("key-{key}"),
        now: at(20),
    })
    .await
    .unwrap();
    status_index
}

fn names(number: u8) -> CopyIdentifiers {
    CopyIdentifiers { digest: hash(number), handle_hash: hash(number) }
}

/// Signs a copy, and collects its offer.
async fn sign<T: StoreTx>(tx: &mut T, collection: i64, number: u8) {
    assert!(tx.mark_offer_collected(&format!("offer-{number}")).await.unwrap());
    let response = Some(SealedResponse { ciphertext: vec![number], keep_until: at(50) });
    let signature = SigningResult { kid: "#key", response, validity: Some((at(5), at(900))) };
    tx.mark_issuance_signed(collection, &signature).await.unwrap();
    assert!(tx.mark_copy_issued(collection, 0, Some(&names(number)), at(30)).await.unwrap());
}

pub(crate) async fn a_transaction_that_is_dropped_changes_nothing<S: Store>(store: S) {
    let mut tx = store.begin("dropped").await.unwrap();
    tx.insert_offer(&new_offer(1)).await.unwrap();
    assert!(tx.offer("offer-1").await.unwrap().is_some(), "it sees what it wrote");
    drop(tx);
    assert!(store.begin("next").await.unwrap().offer("offer-1").await.unwrap().is_none());
    write(&store, async |tx| tx.insert_offer(&new_offer(1)).await.unwrap()).await;
    assert!(store.read().await.unwrap().offer("offer-1").await.unwrap().is_some());
}

pub(crate) async fn a_reader_waits_for_no_writer_and_cannot_write<S: Store>(store: S) {
    let mut writer = store.begin("writer").await.unwrap();
    writer.insert_offer(&new_offer(1)).await.unwrap();
    let mut reader = store.read().await.unwrap();
    assert!(reader.offer("offer-1").await.unwrap().is_none(), "nothing is committed");
    writer.commit().await.unwrap();
    assert!(reader.offer("offer-1").await.unwrap().is_none(), "it reads as of one instant");
    assert!(reader.set_pin_failures("offer-1", 1).await.is_err());
    drop(reader);
    assert!(store.read().await.unwrap().offer("offer-1").await.unwrap().is_some());
}

pub(crate) async fn writers_take_turns_in_order<S: Store>(store: S) {
    let first = store.begin("first").await.unwrap();
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let store = store.clone();
        waiting.push(tokio::spawn(async move {
            let mut tx = store.begin("waiting").await.unwrap();
            let before = tx.offers(&OfferFilter::default(), ALL).await.unwrap().rows.len();
            tx.insert_offer(&new_offer(number)).await.unwrap();
            tx.commit().await.unwrap();
            before
        }));
        // On one thread, it runs until it waits for its turn.
        tokio::task::yield_now().await;
    }
    first.commit().await.unwrap();
    for (turn, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(waiting.await.unwrap(), turn);
    }
}

pub(crate) async fn a_nonce_is_used_once<S: Store>(store: S) {
    let nonce = Nonce { hash: hash(1), expires_at: at(9) };
    let mut tx = store.begin("dropped").await.unwrap();
    assert!(tx.store_used_nonce(&nonce).await.unwrap());
    drop(tx);
    write(&store, async |tx| {
        assert!(tx.store_used_nonce(&nonce).await.unwrap());
        assert!(!tx.store_used_nonce(&nonce).await.unwrap());
    })
    .await;
    assert!(!store.begin("again").await.unwrap().store_used_nonce(&nonce).await.unwrap());
}

pub(crate) async fn an_offer_is_found_by_its_names_and_secrets<S: Store>(store: S) {
    write(&store, async |tx| tx.insert_offer(&new_offer(1)).await.unwrap()).await;
    let mut tx = store.begin("a test").await.unwrap();
    let known = tx.offer_by_request("request-1").await.unwrap().unwrap();
    assert_eq!((known.terms.as_str(), known.claims.unwrap().0.as_str()), ("terms", "{\"n\":1}"));
    assert_eq!((known.offer.state, known.offer.reference.as_str()), (OfferState::Open, "reference-1"));
    assert!(!known.is_repeatable && !known.released && !known.rejected && known.keep_claims_until.is_none());
    let access = tx.offer_by_code(&hash(1)).await.unwrap().unwrap();
    assert_eq!((access.pin_hash, access.pin_failures, access.token_until), (Some(hash(99)), 0, None));
    assert!(tx.offer_by_code(&hash(2)).await.unwrap().is_none());
    let token = NewAccessToken {
        token_hash: hash(8),
        token_until: at(60),
        challenge_and_salt: None,
        keep_claims_until: at(70),
    };
    tx.mark_offer_redeemed("offer-1", &token).await.unwrap();
    assert!(tx.offer_by_token(&hash(8), at(60)).await.unwrap().is_none(), "a token has ended at its end");
    let known = tx.offer_by_token(&hash(8), at(59)).await.unwrap().unwrap();
    assert_eq!((known.offer.state, known.keep_claims_until), (OfferState::Redeemed, Some(at(70))));
    // An end is never moved forward.
    tx.retain_claims_until("offer-1", at(65)).await.unwrap();
    tx.extend_token("offer-1", at(90)).await.unwrap();
    let known = tx.offer_by_token(&hash(8), at(89)).await.unwrap().unwrap();
    assert_eq!((known.keep_claims_until, known.is_repeatable), (Some(at(90)), false));
}

pub(crate) async fn a_closed_offer_has_no_claims<S: Store>(store: S) {
    let unique = [UniqueClaim { name: "serial".to_owned(), digest: hash(1) }];
    let mut tx = store.begin("a test").await.unwrap();
    for number in 1..=2 {
        tx.insert_offer(&new_offer(number)).await.unwrap();
    }
    assert_eq!(tx.insert_unique_claims("offer-1", &unique).await.unwrap(), None);
    assert_eq!(tx.insert_unique_claims("offer-2", &unique).await.unwrap().as_deref(), Some("serial"));
    tx.set_pin_failures("offer-1", MAX_PIN_FAILURES).await.unwrap();
    tx.close_offer("offer-1", OfferState::Locked).await.unwrap();
    let closed = tx.offer("offer-1").await.unwrap().unwrap();
    assert_eq!((closed.offer.state, closed.claims.is_some()), (OfferState::Locked, false));
    assert_eq!(tx.insert_unique_claims("offer-2", &unique).await.unwrap(), None, "it was never issued");
    assert!(!tx.mark_offer_collected("offer-2").await.unwrap(), "it is not redeemed");
    tx.close_offer("offer-2", OfferState::Expired).await.unwrap();
    let state = |state| OfferFilter { state: Some(state), ..OfferFilter::default() };
    let locked = tx.offers(&state(OfferState::Locked), ALL).await.unwrap().rows;
    let expired = tx.offers(&state(OfferState::Expired), ALL).await.unwrap().rows;
    assert_eq!([locked[0].offer_id.as_str(), expired[0].offer_id.as_str()], ["offer-1", "offer-2"]);
    assert_eq!((locked.len(), expired.len()), (1, 1));
}

pub(crate) async fn pages_follow_each_other<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    for number in 1..=5 {
        tx.insert_offer(&new_offer(number)).await.unwrap();
    }
    let (mut before, mut seen) = (Some(i64::MAX), Vec::new());
    while let Some(from) = before {
        let page = tx.offers(&OfferFilter::default(), PageSlice { before: from, limit: 2 }).await.unwrap();
        seen.extend(page.rows.into_iter().map(|offer| offer.offer_id));
        before = page.next;
    }
    assert_eq!(seen, ["offer-5", "offer-4", "offer-3", "offer-2", "offer-1"]);
}

pub(crate) async fn a_collection_keeps_its_response_until_it_is_acknowledged<S: Store>(store: S) {
    let (collection, _) = write(&store, async |tx| copy(tx, 1).await).await;
    let mut tx = store.begin("a test").await.unwrap();
    assert!(tx.has_issuance("offer-1", IssuanceState::Intended).await.unwrap());
    assert!(!tx.has_signed_copy("key-1").await.unwrap(), "what was not signed does not count");
    assert_eq!(tx.request_digest_by_notification(&hash(1)).await.unwrap(), None);
    sign(&mut tx, collection, 1).await;
    assert!(!tx.mark_offer_collected("offer-1").await.unwrap());
    let signed = tx.issuance_by_request("offer-1", &hash(1)).await.unwrap().unwrap();
    assert_eq!((signed.state, signed.has_transaction), (IssuanceState::Signed, false));
    assert_eq!(signed.unexpired_response(at(49)), Some(vec![1]));
    assert_eq!(tx.issuance(collection).await.unwrap().unwrap().unexpired_response(at(50)), None);
    assert!(tx.has_signed_copy("key-1").await.unwrap());
    assert_eq!(tx.request_digest_by_notification(&hash(1)).await.unwrap(), Some(hash(1)));
    let known = tx.copy_by_digest(&hash(1)).await.unwrap().unwrap();
    assert_eq!((known.valid_from, known.valid_until, known.generation), (at(5), at(900), 0));
    assert_eq!((known.offer_id.as_str(), known.state), ("offer-1", StatusState::Valid));
    tx.store_notification(&hash(1), 2).await.unwrap();
    assert!(tx.issuance(collection).await.unwrap().unwrap().response.is_none());
    let issued = tx.issued_copies(&IssuedFilter::default(), ALL).await.unwrap().rows;
    assert_eq!((issued.len(), issued[0].notification, issued[0].valid_until), (1, 2, at(900)));
}

pub(crate) async fn a_key_has_one_copy<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    let (first, _) = copy(&mut tx, 1).await;
    sign(&mut tx, first, 1).await;
    let terms = ReissueTerms { valid_from: at(0), valid_until: at(900), generation: 0 };
    let again = collect(&mut tx, 1, IssuanceState::Intended, Some((2, terms))).await;
    copy_in(&mut tx, again, 1, 1).await;
    assert!(!tx.mark_copy_issued(again, 0, Some(&names(2)), at(30)).await.unwrap());
}

pub(crate) async fn no_index_is_drawn_twice<S: Store>(store: S) {
    let draw = async || {
        write(&store, async |tx| {
            if tx.unused_entries().await.unwrap() == 0 {
                tx.open_list(ENTRIES, &[7; 32], at(0)).await.unwrap();
            }
            tx.draw_index().await.unwrap().unwrap()
        })
        .await
    };
    assert!(store.begin("none").await.unwrap().draw_index().await.unwrap().is_none());
    let drawn = [draw().await, draw().await, draw().await];
    assert_eq!(drawn.map(|draw| (draw.first_index, draw.draw_number)), [(0, 0), (0, 1), (0, 2)]);
    let mut dropped = store.begin("dropped").await.unwrap();
    assert_eq!(dropped.draw_index().await.unwrap().unwrap().draw_number, 3);
    drop(dropped);
    assert_eq!(draw().await.draw_number, 3, "nothing was stored under it");
    write(&store, async |tx| {
        assert_eq!(tx.unused_entries().await.unwrap(), ENTRIES - 4);
        assert_eq!(tx.open_list(ENTRIES, &[8; 32], at(0)).await.unwrap(), 1);
        assert_eq!(tx.unused_entries().await.unwrap(), 2 * ENTRIES - 4);
        let lists = tx.status_lists().await.unwrap();
        assert_eq!(lists.iter().map(|list| list.list).collect::<Vec<_>>(), [0, 1]);
    })
    .await;
}

pub(crate) async fn refills_are_counted_by_time_and_renewal<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    let (first, _) = copy(&mut tx, 1).await;
    sign(&mut tx, first, 1).await;
    assert_eq!(tx.refill_count("offer-1", 0, None).await.unwrap(), 0, "first copies do not count");
    let terms = |generation| ReissueTerms { valid_from: at(0), valid_until: at(900), generation };
    for (digest, generation) in [(2, 0), (3, 1)] {
        let refill = collect(&mut tx, 1, IssuanceState::Intended, Some((digest, terms(generation)))).await;
        copy_in(&mut tx, refill, 1, digest).await;
    }
    assert_eq!(tx.refill_count("offer-1", 0, None).await.unwrap(), 1);
    assert_eq!(tx.refill_count("offer-1", 1, Some(at(20))).await.unwrap(), 0, "since then");
    assert_eq!(tx.refill_times("offer-1", at(19)).await.unwrap(), [at(20), at(20)]);
    assert_eq!(tx.last_replacement_time("offer-1").await.unwrap(), None);
}

async fn ask_to_renew<T: StoreTx>(tx: &mut T, number: u8) {
    let waiting = NewPendingRenewal {
        transaction_hash: hash(number),
        claims: vec![number],
        holder_keys: "[]".to_owned(),
        wait_until: at(500),
    };
    tx.insert_renewal(&NewRenewal {
        renewal_id: &format!("renewal-{number}"),
        offer_id: "offer-1",
        terms: ReissueTerms { valid_from: at(800), valid_until: at(2_000), generation: 1 },
        request_digest: &hash(number),
        notification_hash: &hash(number),
        thumbprints: &["a".to_owned(), "b".to_owned()],
        pending: Some(&waiting),
        now: at(40),
    })
    .await
    .unwrap();
}

pub(crate) async fn a_renewal_waits_and_is_decided_once<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    copy(&mut tx, 1).await;
    ask_to_renew(&mut tx, 7).await;
    let times = tx.pending_renewals("offer-1").await.unwrap();
    assert_eq!((times.len(), times[0].asked_at, times[0].wait_until), (1, at(40), at(500)));
    assert!(!tx.mark_renewal_issued("renewal-7").await.unwrap(), "it is not approved");
    let decision =
        |approve| StaffDecision { approve, reason: "why".to_owned(), staff_name: "clerk".to_owned(), now: at(45) };
    tx.store_renewal_decision("renewal-7", &decision(true)).await.unwrap();
    let waiting = tx.renewal_by_transaction(&hash(7)).await.unwrap().unwrap();
    assert_eq!((waiting.record.state, waiting.claims), (RenewalState::Approved, Some(vec![7])));
    assert_eq!((waiting.thumbprints, waiting.terms.valid_until), (vec!["a".to_owned(), "b".to_owned()], at(2_000)));
    assert_eq!(waiting.record.decided_by.as_deref(), Some("clerk"));
    assert!(tx.mark_renewal_issued("renewal-7").await.unwrap());
    assert!(!tx.mark_renewal_issued("renewal-7").await.unwrap());
    ask_to_renew(&mut tx, 8).await;
    tx.store_renewal_decision("renewal-8", &decision(false)).await.unwrap();
    let refused = tx.renewal_by_transaction(&hash(8)).await.unwrap().unwrap();
    assert_eq!((refused.record.state, refused.claims), (RenewalState::Rejected, None));
    ask_to_renew(&mut tx, 9).await;
    tx.lapse_renewals("offer-1").await.unwrap();
    let states: Vec<RenewalState> =
        tx.renewals(None, ALL).await.unwrap().into_iter().map(|record| record.state).collect();
    assert_eq!(states, [RenewalState::Lapsed, RenewalState::Rejected, RenewalState::Issued]);
    assert_eq!(tx.deferred_renewal_request_times("offer-1", 2).await.unwrap(), [at(40), at(40)]);
}

async fn act<T: StoreTx>(tx: &mut T, number: u8, verb: StatusAction) -> i64 {
    tx.insert_act(&NewStatusAct {
        request_id: &format!("act-{number}"),
        request_digest: &hash(number),
        verb,
        reason: "why",
        staff_name: "clerk",
        urgent: true,
        now: at(40),
        credentials: 1,
        copies: 1,
        changed: 1,
    })
    .await
    .unwrap()
}

pub(crate) async fn acts_change_states_and_lists<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    let (collection, index) = copy(&mut tx, 1).await;
    sign(&mut tx, collection, 1).await;
    assert_eq!(
        (tx.last_act_number().await.unwrap(), tx.most_severe_state("offer-1").await.unwrap()),
        (0, StatusState::Valid)
    );
    let first = act(&mut tx, 1, StatusAction::Suspend).await;
    tx.set_state(first, (index, StatusState::Valid, StatusState::Suspended)).await.unwrap();
    assert_eq!(
        (tx.last_act_number().await.unwrap(), tx.most_severe_state("offer-1").await.unwrap()),
        (first, StatusState::Suspended)
    );
    let place = StatusIndex { list: 0, position: 0 };
    let seen = |entries: Vec<ChangedEntry>| -> Vec<_> {
        entries.iter().map(|entry| (entry.status_index, entry.state, entry.deferred)).collect()
    };
    assert_eq!(seen(tx.entries_changed_since(0, 60).await.unwrap()), [(place, StatusState::Suspended, None)]);
    // A deferred change is told as such, and is found when it is released.
    let second = act(&mut tx, 2, StatusAction::Revoke).await;
    tx.defer_publication(index, StatusState::Suspended, at(41)).await.unwrap();
    tx.set_state(second, (index, StatusState::Suspended, StatusState::Revoked)).await.unwrap();
    let waits = Some((StatusState::Suspended, at(41)));
    assert_eq!(seen(tx.entries_changed_since(first, 60).await.unwrap()), [(place, StatusState::Revoked, waits)]);
    assert!(!tx.has_deferred_changes(at(41)).await.unwrap() && tx.has_deferred_changes(at(42)).await.unwrap());
    assert_eq!(tx.last_change(index).await.unwrap().unwrap().waits_since, Some(at(41)));
    assert_eq!(seen(tx.release_deferred(at(42), 60).await.unwrap()), [(place, StatusState::Revoked, None)]);
    assert!(tx.entries_changed_since(second, 60).await.unwrap().is_empty());
    // Acts of both kinds share one sequence.
    let third = act(&mut tx, 3, StatusAction::Message(4)).await;
    tx.set_message(third, (index, 0, 4)).await.unwrap();
    assert_eq!([second - first, third - second], [1, 1]);
    let acts: Vec<i64> = tx.status_acts("offer-1", ALL).await.unwrap().into_iter().map(|record| record.seq).collect();
    assert_eq!(acts, [third, second, first]);
    let (request, record) = tx.act_by_request("act-3").await.unwrap().unwrap();
    assert_eq!((request, record.verb, record.seq), (hash(3), StatusAction::Message(4), third));
    assert_eq!(tx.copy_format_and_message(index).await.unwrap(), Some((CredentialFormat::VcSdJwt, 4)));
    let standing = tx.holder_status_by_handle(&hash(1)).await.unwrap().unwrap();
    assert_eq!((standing.state, standing.message, standing.should_replace), (StatusState::Revoked, 4, true));
    assert_eq!(tx.last_replacement_time("offer-1").await.unwrap(), Some(at(40)));
    let changed = tx.copies_changed_by(second, ALL).await.unwrap();
    assert_eq!((changed.len(), changed[0].is_whole_offer), (1, true));
    let status = tx.copy_statuses("offer-1").await.unwrap();
    assert_eq!(
        (status[0].state, status[0].status_index, status[0].last_act),
        (StatusState::Revoked, place, Some(second))
    );
}

pub(crate) async fn credentials_are_selected_by_type_and_time<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    let (collection, index) = copy(&mut tx, 1).await;
    sign(&mut tx, collection, 1).await;
    tx.insert_offer(&new_offer(2)).await.unwrap();
    let within = |credential_type, from, until| IssuancePeriodFilter { credential_type, from, until };
    for (selection, copies, open) in [
        (within(None, None, None), 1, 1),
        (within(Some("T"), Some(at(30)), Some(at(30))), 1, 0),
        (within(Some("U"), None, None), 0, 0),
        (within(None, Some(at(31)), None), 0, 0),
        (within(None, Some(at(10)), Some(at(10))), 0, 1),
    ] {
        assert_eq!(tx.copies_matching(selection).await.unwrap().len(), copies, "{selection:?}");
        assert_eq!(tx.count_open_offers(selection).await.unwrap(), open, "{selection:?}");
    }
    let named = tx.copy_by_id(&format!("copy-{index}")).await.unwrap().unwrap();
    assert_eq!((named.status_index, named.offer_id.as_str()), (index, "offer-1"));
    assert!(!tx.is_list_expired(0, at(2_000)).await.unwrap(), "the list is not full");
}

pub(crate) async fn meanings_of_used_messages_stay<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    for (number, text) in [(1, "lost"), (2, "newer"), (1, "other")] {
        tx.insert_message(number, text, 0).await.unwrap();
    }
    act(&mut tx, 1, StatusAction::Message(1)).await;
    tx.delete_unused_messages(0).await.unwrap();
    assert_eq!(tx.message_texts().await.unwrap(), [(1, "lost".to_owned())]);
}

pub(crate) async fn what_expired_is_erased_in_steps<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    for number in 1..=3 {
        tx.insert_offer(&new_offer(number)).await.unwrap();
        assert!(tx.store_used_nonce(&Nonce { hash: hash(number), expires_at: at(number.into()) }).await.unwrap());
    }
    assert!(tx.expired_offers(at(99), 2).await.unwrap().is_empty());
    assert_eq!(tx.expired_offers(at(100), 2).await.unwrap().len(), 2);
    for erased in [2, 1, 0] {
        assert_eq!(tx.erase(ExpiringRows::Nonces, at(3), 2).await.unwrap(), erased);
    }
    let (collection, _) = copy(&mut tx, 4).await;
    sign(&mut tx, collection, 4).await;
    for (rows, before, until) in [(ExpiringRows::Responses, 49, 50), (ExpiringRows::Copies, 900, 2_000)] {
        assert_eq!(tx.erase(rows, at(before), 9).await.unwrap(), 0, "{rows:?}");
        assert_eq!(tx.erase(rows, at(until), 9).await.unwrap(), 1, "{rows:?}");
    }
    assert!(tx.copy_by_digest(&hash(4)).await.unwrap().is_none());
    assert!(tx.issuance(collection).await.unwrap().unwrap().response.is_none());
}

pub(crate) async fn a_forgotten_record_is_in_no_list<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    tx.insert_offer(&new_offer(1)).await.unwrap();
    assert_eq!(tx.offer_ends("offer-1").await.unwrap().state, OfferState::Open);
    tx.close_offer("offer-1", OfferState::Cancelled).await.unwrap();
    let ends = tx.offer_ends("offer-1").await.unwrap();
    let end = ends.collect_until;
    assert_eq!((ends.state, end), (OfferState::Cancelled, at(100)));
    assert!(ends.copies_until.is_none() && !ends.renewing);
    tx.set_retention_start("offer-1", end).await.unwrap();
    assert!(tx.expired_records(at(99), 9).await.unwrap().is_empty());
    assert_eq!(tx.expired_records(at(100), 9).await.unwrap(), ["offer-1"]);
    tx.erase_record("offer-1").await.unwrap();
    assert!(tx.offers(&OfferFilter::default(), ALL).await.unwrap().rows.is_empty());
    let record = tx.offer("offer-1").await.unwrap().unwrap().offer;
    assert!(record.is_erased && record.reference.is_empty() && record.created_by.is_empty());
    assert!(tx.expired_records(at(9_999), 9).await.unwrap().is_empty());
}

pub(crate) async fn vouchers_add_up_by_month<S: Store>(store: S) {
    let total = |month: &str, uses| VoucherTotal {
        service: "meals".to_owned(),
        redeemer: "did:web:canteen.example".to_owned(),
        month: month.to_owned(),
        vouchers: 1,
        uses,
    };
    let mut tx = store.begin("a test").await.unwrap();
    for (month, uses) in [("2026-12", 3), ("2026-11", 5), ("2026-11", 2)] {
        tx.add_to_voucher_totals(&total(month, uses)).await.unwrap();
    }
    let sums = [VoucherTotal { vouchers: 2, ..total("2026-11", 7) }, total("2026-12", 3)];
    assert_eq!(tx.voucher_totals().await.unwrap(), sums);
}

pub(crate) async fn the_publication_rises_with_changes_alone<S: Store>(store: S) {
    let mut tx = store.begin("a test").await.unwrap();
    let before = tx.publication_record().await.unwrap();
    tx.insert_offer(&new_offer(1)).await.unwrap();
    copy(&mut tx, 2).await;
    tx.raise_publication_number(at(86_400)).await.unwrap();
    let once = tx.publication_record().await.unwrap();
    tx.raise_publication_number(at(86_400)).await.unwrap();
    let after = tx.publication_record().await.unwrap();
    assert!(once.number > before.number, "it changed");
    assert_eq!((after.number, after.raised_at), (once.number, at(86_400)));
    assert_eq!((after.store_id, tx.former_store_ids().await.unwrap().len()), (before.store_id, 0));
}
