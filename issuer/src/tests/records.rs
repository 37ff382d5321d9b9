//! Deletion of records: staff's references are deleted with them, and valid copies keep their own data.

use carnet_core::time::Timestamp;
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;

use super::{
    entitlements::voucher,
    harness::{Running, holder_keys, offer_request, reason, start},
    refilling::refill_once,
};
use crate::store::{PageSlice, Store as _, records::RecordRows as _, renewal::RenewalRows as _};

const REFERENCE: &str = "GZ-4711/2026-113";
const DAY: i64 = 86_400;

impl Running {
    /// Returns the listed offers, and the offers of the listed issued copies.
    async fn on_record(&self) -> (Vec<String>, Vec<String>) {
        let mut staff = self.staff();
        let offers = staff.list_offers(proto::ListOffersRequest::default()).await.unwrap().into_inner().offers;
        let issued = staff.list_issued(proto::ListIssuedRequest::default()).await.unwrap().into_inner().issued;
        let mut of_issued: Vec<String> = issued.into_iter().map(|record| record.offer_id).collect();
        of_issued.dedup();
        (offers.into_iter().map(|offer| offer.offer_id).collect(), of_issued)
    }

    async fn sweep(&self, at: Timestamp) {
        self.issuer.erase_expired(at).await.unwrap();
    }
}

fn referenced(request_id: &str, until: Timestamp) -> proto::CreateOfferRequest {
    let valid_until = Some(wire::to_timestamp(until));
    proto::CreateOfferRequest { valid_until, reference: REFERENCE.to_owned(), ..offer_request(request_id) }
}

#[tokio::test]
async fn a_record_is_forgotten_so_many_days_after_its_last_copy_ended_and_not_before() {
    let issuer = start().await;
    let end = issuer.soon();
    let short = issuer.create(referenced("short", end)).await;
    let long = issuer.create(offer_request("long")).await;
    issuer.receive(&short, &holder_keys(2)).await.unwrap();
    issuer.receive(&long, &holder_keys(1)).await.unwrap();
    let first = proto::ListIssuedRequest { offer_id: short.id.clone(), ..Default::default() };
    let issued = issuer.staff().list_issued(first).await.unwrap().into_inner().issued;
    let read = || proto::ReadIssuedRequest { issued_id: issued[0].issued_id.clone() };
    let all = (vec![long.id.clone(), short.id.clone()], vec![long.id.clone(), short.id.clone()]);

    issuer.sweep(end.plus(365 * DAY - 1)).await;
    assert_eq!(issuer.on_record().await, all);
    // As long as there is a record, the offer can be found and revoked.
    let revoke = super::status::change(proto::StatusVerb::Revoke, &[&short.id]);
    assert_eq!(issuer.change(revoke).await.unwrap().changed, 2);
    assert!(issuer.staff().read_issued(read()).await.is_ok() && issuer.on_disk(REFERENCE));

    issuer.sweep(end.plus(365 * DAY)).await;
    assert_eq!(issuer.on_record().await, (vec![long.id.clone()], vec![long.id.clone()]));
    assert_eq!(reason(issuer.staff().read_issued(read()).await), "NOT_FOUND");
    assert!(issuer.forgotten(REFERENCE).await);
    // Its status in the lists remains.
    assert_eq!(issuer.states(&short.id).await, [proto::CredentialStatus::Revoked; 2]);
    // The other copy ends later than its offer.
    issuer.sweep(end.plus(400 * DAY)).await;
    assert_eq!(issuer.on_record().await.0, [long.id]);
}

#[tokio::test]
async fn a_record_stays_for_copies_that_were_renewed_and_ends_without_any() {
    let issuer = start().await;
    let (begin, end) = (Timestamp::from_unix(issuer.now()), issuer.soon());
    let renewed = issuer.create(referenced("renewed", end)).await;
    issuer.receive(&renewed, &holder_keys(1)).await.unwrap();
    issuer.probe().await.set_copies_end(&renewed.id, end.plus(50 * DAY)).await;
    let cancelled = issuer.create(referenced("cancelled", end)).await;
    let cancel = proto::CancelOfferRequest { offer_id: cancelled.id.clone(), request_id: "cancel".to_owned() };
    issuer.staff().cancel_offer(cancel).await.unwrap();

    // An offer waits for seven days.
    issuer.sweep(begin.plus(372 * DAY - 1)).await;
    assert_eq!(issuer.on_record().await.0, [cancelled.id.clone(), renewed.id.clone()]);
    issuer.sweep(begin.plus(372 * DAY)).await;
    assert_eq!(issuer.on_record().await.0, std::slice::from_ref(&renewed.id));
    for (days, left) in [(414_i64, 1), (415, 0)] {
        issuer.sweep(end.plus(days.saturating_mul(DAY))).await;
        assert_eq!(issuer.on_record().await.0.len(), left, "{days}");
    }
    assert!(issuer.forgotten(REFERENCE).await);
}

#[tokio::test]
async fn a_record_stays_while_a_renewal_waits_and_who_decided_is_forgotten_with_it() {
    const REASON: &str = "The-Reason-Of-A-Decision";
    let issuer = start().await;
    let end = issuer.soon();
    let offer = issuer.create(referenced("waits", end)).await;
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    let probe = issuer.probe().await;
    probe.insert_rejected_renewal(&offer.id, end).await;
    probe.insert_pending_renewal(&offer.id, end.plus(400 * DAY)).await;
    let listed = async || {
        let slice = PageSlice { before: i64::MAX, limit: 10 };
        issuer.issuer.store.read().await.unwrap().renewals(None, slice).await.unwrap().len()
    };

    // A pending renewal may still lead to valid copies.
    issuer.sweep(end.plus(399 * DAY)).await;
    assert_eq!((issuer.on_record().await.0.len(), listed().await), (1, 2));
    assert!(issuer.on_disk(REFERENCE) && issuer.on_disk(REASON));
    issuer.sweep(end.plus((399 + 365) * DAY)).await;
    assert_eq!((issuer.on_record().await.0.len(), listed().await), (0, 0));
    for text in [REFERENCE, REASON, "Clerk-Who-Decided"] {
        assert!(issuer.forgotten(text).await, "{text}");
    }
}

#[tokio::test]
async fn a_deferred_offer_has_its_record_for_as_long_as_it_waits() {
    let issuer = start().await;
    let deferred = issuer.create(proto::CreateOfferRequest { deferred: true, ..offer_request("deferred") }).await;
    issuer.receive(&deferred, &holder_keys(1)).await.unwrap();
    let far = Timestamp::from_unix(issuer.now()).plus(2_000 * DAY);
    issuer.probe().await.set_collection_end(&deferred.id, far).await;
    issuer.sweep(far.plus(-1)).await;
    assert_eq!(issuer.on_record().await.0, [deferred.id]);
}

#[tokio::test]
async fn cohorts_totals_and_serials_stay_right_when_a_record_is_forgotten() {
    const SERIALS: [&str; 2] = ["given-by-another-system-1", "given-by-another-system-2"];
    let issuer = start().await;
    let end = issuer.soon();
    let until = |at, request| proto::CreateOfferRequest { valid_until: Some(wire::to_timestamp(at)), ..request };
    let gone = issuer.create(until(end, voucher("gone", 2, &SERIALS))).await;
    issuer.receive(&gone, &holder_keys(2)).await.unwrap();
    let other = issuer.create(until(end, offer_request("other"))).await;
    issuer.receive(&other, &holder_keys(1)).await.unwrap();
    // Two holders whose copies end later, and look alike.
    let (far, keys, mut copies) = (end.plus(1_000 * DAY), holder_keys(2), Vec::new());
    for (id, key) in [("one", &keys[..1]), ("two", &keys[1..])] {
        let offer = issuer.create(until(far, offer_request(id))).await;
        copies.push(issuer.receive(&offer, key).await.unwrap().credentials[0].credential.clone());
    }
    let holders = async || {
        let answer = issuer.staff().read_cohorts(proto::ReadCohortsRequest {}).await.unwrap().into_inner();
        let cohorts = answer.types.into_iter().flat_map(|of| of.cohorts);
        let mut holders: Vec<u64> = cohorts.map(|cohort| cohort.holders).collect();
        holders.sort_unstable();
        holders
    };
    let totals = issuer.issuer.store.read().await.unwrap().voucher_totals().await.unwrap();
    assert_eq!((holders().await, totals.len()), (vec![1, 1, 2], 1));

    issuer.sweep(end.plus(365 * DAY)).await;
    let left = issuer.on_record().await.0;
    assert!(left.len() == 2 && !left.contains(&gone.id) && !left.contains(&other.id), "{left:?}");
    assert_eq!(holders().await, [2]);
    assert_eq!(issuer.issuer.store.read().await.unwrap().voucher_totals().await.unwrap(), totals);
    // Issued serials belong to nobody else, and new copies count instead of the old ones.
    let taken = issuer.staff().create_offer(voucher("again", 2, &SERIALS)).await;
    assert_eq!(reason(taken), "CLAIM_NOT_UNIQUE");
    refill_once(&issuer, &copies[0], &keys[0]).await;
    assert_eq!(holders().await, [2]);
}
