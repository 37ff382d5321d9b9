//! Dates of copies, rounded down to an epoch, and the resulting cohorts.

use carnet_core::{
    day,
    epoch::Epoch,
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
    secure::sd_jwt::SdJwt,
    time::Timestamp,
};
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use rand_core::OsRng;
use serde_json::{Map, Value, json};

use super::harness::{DID, NOW, Running, exchanged, holder_keys, offer_request, reason, start, start_rounding};
use super::status::{REINSTATE, REVOKE, SUSPEND, change};
use crate::policy::cohorts::CohortPolicy;

const DAY: i64 = 86_400;
const PERMIT: &str = "ResidencePermitCredential";

fn rounding(epoch: Epoch) -> CohortPolicy {
    CohortPolicy { epoch, ..CohortPolicy::default() }
}

fn until(id: &str, day: &str) -> proto::CreateOfferRequest {
    let valid_until = Some(wire::to_timestamp(day::parse_end(day).unwrap()));
    proto::CreateOfferRequest { valid_until, ..offer_request(id) }
}

/// Collects one copy of a new offer, and returns its payload and its key.
async fn issued(issuer: &Running, request: proto::CreateOfferRequest) -> (Map<String, Value>, String, SecretKey) {
    let offer = issuer.create(request).await;
    let key = holder_keys(1).remove(0);
    let text = issuer.receive(&offer, std::slice::from_ref(&key)).await.unwrap().credentials[0].credential.clone();
    (payload(&text), text, key)
}

fn payload(text: &str) -> Map<String, Value> {
    if text.starts_with('{') {
        return serde_json::from_str(text).unwrap();
    }
    SdJwt::parse(text).unwrap().jws().payload().clone()
}

/// Returns the dates of a payload, in any format.
fn days(payload: &Map<String, Value>) -> (String, String) {
    let text = |name: &str, number: &str| match payload.get(number) {
        Some(at) => day::format_start(Timestamp::from_unix(at.as_i64().unwrap())),
        None => day::format_start(Timestamp::parse(payload[name].as_str().unwrap()).unwrap()),
    };
    (text("validFrom", "nbf"), text("validUntil", "exp"))
}

impl Running {
    async fn refill_of(&self, text: &str, key: &SecretKey) -> String {
        let (nonce, keys) = (self.nonce().await, holder_keys(1));
        let presentation = exchanged(&SdJwt::parse(text).unwrap(), key, &keys, (DID, &nonce, self.now()));
        let request = proto::RefillCredentialsRequest { presentation, proofs: self.proofs(&keys, &nonce) };
        let answer = self.issuance.clone().refill_credentials(request).await.unwrap().into_inner();
        answer.credentials[0].credential.clone()
    }

    async fn renewal_of(&self, text: &str, key: &SecretKey) -> String {
        let (nonce, keys) = (self.nonce().await, holder_keys(1));
        let presentation = exchanged(&SdJwt::parse(text).unwrap(), key, &keys, (DID, &nonce, self.now()));
        let request = proto::RenewCredentialsRequest { presentation, proofs: self.proofs(&keys, &nonce) };
        let answer = self.issuance.clone().renew_credentials(request).await.unwrap().into_inner();
        answer.credentials[0].credential.clone()
    }

    /// Returns the cohorts of a type, as first day, end and number of holders.
    async fn cohorts_of(&self, kind: &str) -> Vec<(String, String, u64)> {
        let answer = self.staff().read_cohorts(proto::ReadCohortsRequest {}).await.unwrap().into_inner();
        let of = answer.types.into_iter().filter(|of| of.credential_type == kind).flat_map(|of| of.cohorts);
        let day = |at: Option<prost_types::Timestamp>| day::format_start(wire::from_timestamp(&at.unwrap()).unwrap());
        of.map(|cohort| (day(cohort.valid_from), day(cohort.valid_until), cohort.holders)).collect()
    }
}

#[tokio::test]
async fn copies_of_every_format_have_the_days_of_the_epoch() {
    for (epoch, from, end) in [
        (Epoch::Week, "2026-11-16", "2028-02-14"),
        (Epoch::Month, "2026-11-01", "2028-02-01"),
        (Epoch::Quarter, "2026-10-01", "2028-01-01"),
        (Epoch::Day, "2026-11-22", "2028-02-16"),
    ] {
        let issuer =
            start_rounding(Box::new(SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng)), rounding(epoch)).await;
        let metadata = issuer.issuance.clone().read_metadata(proto::ReadMetadataRequest {}).await.unwrap().into_inner();
        let named = crate::grpc::values::epoch_to_wire(epoch);
        assert!(metadata.configurations.iter().all(|configuration| configuration.validity_epoch() == named));
        for format in
            [proto::CredentialFormat::VcSdJwt, proto::CredentialFormat::DcSdJwt, proto::CredentialFormat::DiVcJcs]
        {
            let request = until(&format!("{format:?}"), "2028-02-15");
            let (payload, ..) = issued(&issuer, proto::CreateOfferRequest { format: format.into(), ..request }).await;
            assert_eq!(days(&payload), (from.to_owned(), end.to_owned()), "{epoch} {format:?}");
            if let Some(proof) = payload.get("proof") {
                assert_eq!(proof["created"], json!(format!("{from}T00:00:00Z")), "{epoch}");
            }
        }
    }
}

#[tokio::test]
async fn those_of_one_month_have_one_pair_of_days_and_the_offer_says_it() {
    let issuer = start().await;
    let mut seen = Vec::new();
    for (day, end) in [(1, "2028-02-01"), (2, "2028-02-15"), (5, "2028-02-28")] {
        let made = issuer.staff().create_offer(until(&format!("{day}"), end)).await.unwrap().into_inner();
        assert!(made.offer_uri.contains("2028-02-01T00%3A00%3A00Z"), "{}", made.offer_uri);
        let said = made.warnings.iter().any(|said| said.contains("valid until 2028-01-31, not until"));
        assert!(said, "{:?}", made.warnings);
        let (payload, ..) = issued(&issuer, until(&format!("{day}-issued"), end)).await;
        seen.push(days(&payload));
        issuer.pass(day * DAY);
    }
    assert_eq!(seen, vec![("2026-11-01".to_owned(), "2028-02-01".to_owned()); 3]);
    assert_eq!(
        issuer.cohorts_of("QualificationCredential").await,
        [("2026-11-01".to_owned(), "2028-02-01".to_owned(), 3)]
    );
    // Collected in the month after the offer, it is valid from that month.
    let offer = issuer.create(until("late", "2028-02-15")).await;
    issuer.pass(3 * DAY);
    let text = issuer.receive(&offer, &holder_keys(1)).await.unwrap().credentials[0].credential.clone();
    assert_eq!(days(&payload(&text)), ("2026-12-01".to_owned(), "2028-02-01".to_owned()));
}

#[tokio::test]
async fn an_offer_of_which_rounding_leaves_nothing_is_refused_in_words_that_help() {
    let issuer = start().await;
    let refused = async |request: proto::CreateOfferRequest| {
        let refused = issuer.staff().create_offer(request).await.unwrap_err();
        let message = refused.message().to_owned();
        assert_eq!(reason::<()>(Err(refused)), "INVALID_ARGUMENT");
        message
    };
    let from = |day: &str| Some(wire::to_timestamp(day::parse_start(day).unwrap()));
    let said = refused(until("a", "2026-11-29")).await;
    assert!(said.starts_with("valid_until") && said.contains("give 2026-11-30 or a later day"), "{said}");
    assert!(said.contains("cohorts.epochs"), "{said}");
    // Also if it started long ago.
    let said = refused(proto::CreateOfferRequest { valid_from: from("2025-01-01"), ..until("b", "2026-11-29") }).await;
    assert!(said.contains("give 2026-11-30"), "{said}");
    // A future first day would be rounded to an earlier one.
    let said = refused(proto::CreateOfferRequest { valid_from: from("2026-12-10"), ..until("c", "2027-12-31") }).await;
    assert!(said.starts_with("valid_from") && said.contains("2026-12-01 or 2027-01-01"), "{said}");
    // The valid cases.
    for (id, first, last) in
        [("d", None, "2026-11-30"), ("e", from("2026-12-01"), "2027-12-31"), ("f", from("2026-11-10"), "2027-12-31")]
    {
        issuer.staff().create_offer(proto::CreateOfferRequest { valid_from: first, ..until(id, last) }).await.unwrap();
    }
}

/// The offers can be redeemed for seven days.
#[tokio::test]
async fn an_end_that_rounding_moves_before_the_last_day_of_redemption_is_refused() {
    let issuer = start().await;
    issuer.pass(day::parse_start("2026-11-30").unwrap().unix() + 3_600 - issuer.now());
    let refused = async |request: proto::CreateOfferRequest| {
        let refused = issuer.staff().create_offer(request).await.unwrap_err();
        let message = refused.message().to_owned();
        assert_eq!(reason::<()>(Err(refused)), "INVALID_ARGUMENT");
        message
    };
    for (id, end) in [("a", "2026-12-30"), ("b", "2026-12-02")] {
        let said = refused(until(id, end)).await;
        assert!(said.starts_with("valid_until") && said.contains("the last day is 2026-11-30"), "{said}");
        assert!(said.contains("until 2026-12-07T01:00:00Z") && said.contains("give 2026-12-31 or a later"), "{said}");
    }
    let long = proto::CreateOfferRequest { offer_ttl_seconds: 40 * 86_400, ..until("c", "2027-01-05") };
    assert!(refused(long).await.contains("give 2027-01-31 or a later"));
    // The named end, the end as it was asked for, one that has passed, and a redemption time that ends earlier.
    let short = proto::CreateOfferRequest { offer_ttl_seconds: 3_600, ..until("d", "2026-12-30") };
    let past = proto::CreateOfferRequest {
        valid_from: Some(wire::to_timestamp(day::parse_start("2020-01-10").unwrap())),
        ..until("e", "2024-01-20")
    };
    for request in [until("f", "2026-12-31"), until("g", "2026-11-30"), short, past] {
        let made = issuer.staff().create_offer(request).await.unwrap().into_inner();
        assert!(!made.offer_uri.is_empty());
    }
}

#[tokio::test]
async fn copies_of_before_are_rounded_by_a_refill_unless_nothing_would_be_left() {
    let signer = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let same = || Box::new(SecretKey::from_bytes(signer.algorithm(), &signer.to_bytes()).unwrap());
    let before = start_rounding(same(), rounding(Epoch::Day)).await;
    let (long, short) = (until("a", "2028-02-15"), until("b", "2026-11-28"));
    let ((_, long, long_key), (_, short, short_key)) = (issued(&before, long).await, issued(&before, short).await);
    assert_eq!(days(&payload(&long)), ("2026-11-22".to_owned(), "2028-02-16".to_owned()));
    let offered = before.create(until("c", "2028-02-15")).await;
    let issuer = before.restarted_rounding(same(), CohortPolicy::default()).await;
    let refilled = issuer.refill_of(&long, &long_key).await;
    assert_eq!(days(&payload(&refilled)), ("2026-11-01".to_owned(), "2028-02-01".to_owned()));
    let refilled = issuer.refill_of(&short, &short_key).await;
    assert_eq!(days(&payload(&refilled)), ("2026-11-22".to_owned(), "2026-11-29".to_owned()));
    // An offer from before epochs is collected with the dates of the epoch.
    let text = issuer.receive(&offered, &holder_keys(1)).await.unwrap().credentials[0].credential.clone();
    assert_eq!(days(&payload(&text)), ("2026-11-01".to_owned(), "2028-02-01".to_owned()));
    // The holder of the first offer counts in the cohort of their newest copies.
    let cohorts = issuer.cohorts_of("QualificationCredential").await;
    let expected = [("2026-11-22", "2026-11-29", 1), ("2026-11-01", "2028-02-01", 2)];
    assert_eq!(cohorts, expected.map(|(from, until, holders)| (from.to_owned(), until.to_owned(), holders)));
}

#[tokio::test]
async fn a_cohort_stays_whole_whenever_each_of_it_is_renewed() {
    let issuer = start().await;
    let mut people = Vec::new();
    for end in ["2027-01-31", "2027-02-10", "2027-02-27"] {
        let (_, text, key) = issued(&issuer, until(end, end)).await;
        people.push((text, key));
        issuer.pass(2 * DAY);
    }
    let first = ("2026-11-01".to_owned(), "2027-02-01".to_owned(), 3);
    assert_eq!(issuer.cohorts_of("QualificationCredential").await, [first]);
    issuer.pass(day::parse_start("2027-01-05").unwrap().unix() - issuer.now());
    let mut renewed = Vec::new();
    for (text, key) in &people {
        renewed.push(days(&payload(&issuer.renewal_of(text, key).await)));
        // A lost response is requested again, and counts once.
        issuer.renewal_of(text, key).await;
        issuer.pass(9 * DAY);
    }
    let second = ("2027-01-01".to_owned(), "2028-02-01".to_owned());
    assert_eq!(renewed, vec![second.clone(); 3]);
    assert_eq!(issuer.cohorts_of("QualificationCredential").await, [(second.0, second.1, 3)]);
}

#[tokio::test]
async fn cohorts_are_counted_by_type_and_forgotten_at_their_end() {
    let issuer = start().await;
    let permit = |id: &str, format: proto::CredentialFormat| {
        let catalogue = carnet_spec::Catalogue::embedded().unwrap();
        let claims = catalogue.credential_type(PERMIT).unwrap().example_claims();
        proto::CreateOfferRequest {
            credential_type: PERMIT.to_owned(),
            format: format.into(),
            claims: Some(wire::to_struct(&claims)),
            ..offer_request(id)
        }
    };
    let read = async || issuer.staff().read_cohorts(proto::ReadCohortsRequest {}).await.unwrap().into_inner();
    assert!(read().await.types.is_empty());
    issuer.create(permit("uncollected", proto::CredentialFormat::VcSdJwt)).await;
    for id in ["a", "b"] {
        issued(&issuer, permit(id, proto::CredentialFormat::VcSdJwt)).await;
    }
    issued(&issuer, permit("c", proto::CredentialFormat::DcSdJwt)).await;
    issued(&issuer, until("d", "2026-11-30")).await;
    let answer = read().await;
    assert_eq!(answer.least, 10);
    let of: Vec<_> = answer
        .types
        .iter()
        .map(|of| (of.credential_type.as_str(), of.holders, of.smallest, of.median, of.below))
        .collect();
    assert_eq!(of, [("QualificationCredential", 1, 1, 1, 1), (PERMIT, 3, 1, 2, 3)]);
    // Expired cohorts are not counted, and the sweep deletes their rows.
    issuer.pass(Epoch::Month.next_start(Timestamp::from_unix(NOW)).unix() + 61 - issuer.now());
    assert_eq!(read().await.types.len(), 1);
    issuer.issuer.erase_expired(Timestamp::from_unix(issuer.now())).await.unwrap();
    assert_eq!(issuer.probe().await.cohort_rows().await, 2);
}

/// Sizes of the cohorts of qualifications, from the smallest on, with the list of each.
async fn sizes(issuer: &Running) -> Vec<(u64, String)> {
    let answer = issuer.staff().read_cohorts(proto::ReadCohortsRequest {}).await.unwrap().into_inner();
    let cohorts = answer.types.into_iter().flat_map(|of| of.cohorts);
    let list = |cohort: &proto::Cohort| cohort.status_list.rsplit('/').next().unwrap_or_default().to_owned();
    cohorts
        .inspect(|cohort| assert_eq!(cohort.kid, issuer.issuer.kid))
        .map(|cohort| (cohort.holders, list(&cohort)))
        .collect()
}

#[tokio::test]
async fn only_holders_with_a_usable_copy_count_and_those_on_another_list_apart() {
    let issuer = start().await;
    let format = proto::CredentialFormat::VcSdJwt;
    let mut offers = Vec::new();
    for _ in 0..3 {
        offers.push(issuer.issue(format, 2).await.0);
    }
    let of = |holders: u64| vec![(holders, "0".to_owned())];
    assert_eq!(sizes(&issuer).await, of(3));
    issuer.change(change(SUSPEND, &[&offers[0]])).await.unwrap();
    assert_eq!(sizes(&issuer).await, of(2));
    issuer.change(change(REINSTATE, &[&offers[0]])).await.unwrap();
    assert_eq!(sizes(&issuer).await, of(3));
    // One copy of two, and then the other.
    let request = proto::ReadStatusRequest { id: offers[1].clone() };
    let copies = issuer.statuses().read_status(request).await.unwrap().into_inner().copies;
    issuer.change(change(REVOKE, &[&copies[0].issued_id])).await.unwrap();
    assert_eq!(sizes(&issuer).await, of(3));
    issuer.change(change(REVOKE, &[&copies[1].issued_id])).await.unwrap();
    assert_eq!(sizes(&issuer).await, of(2));
    // The list is full, and whoever comes now is on the next one.
    issuer.probe().await.fill_lists(0).await;
    let (late, _) = issuer.issue(format, 1).await;
    assert_eq!(sizes(&issuer).await, [(1, "1".to_owned()), (2, "0".to_owned())]);
    for offer in [&offers[0], &offers[2], &late] {
        issuer.change(change(SUSPEND, &[offer])).await.unwrap();
    }
    assert!(sizes(&issuer).await.is_empty());
}
