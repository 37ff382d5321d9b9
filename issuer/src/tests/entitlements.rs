//! Vouchers: their serials are drawn, equal in all copies, and unique to the voucher (spec/entitlement.md section 1).

use std::collections::BTreeSet;

use carnet_core::secure::sd_jwt::SdJwt;
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::json;

use super::{
    harness::{Running, holder_keys, offer_request, reason, start},
    refilling::refill_once,
};
use crate::store::{Store as _, records::RecordRows as _};

pub(super) fn voucher(request_id: &str, uses: usize, serials: &[&str]) -> proto::CreateOfferRequest {
    let mut claims = json!({"service": "A meal", "redeemer": "did:web:canteen.example", "uses": uses});
    if let (false, Some(claims)) = (serials.is_empty(), claims.as_object_mut()) {
        claims.insert("serials".to_owned(), json!(serials));
    }
    proto::CreateOfferRequest {
        credential_type: "EntitlementCredential".to_owned(),
        claims: Some(wire::to_struct(claims.as_object().unwrap())),
        ..offer_request(request_id)
    }
}

/// Returns the serials in a copy.
fn serials(copy: &str) -> BTreeSet<String> {
    let shown = SdJwt::parse(copy).unwrap().resolve_disclosures().unwrap();
    let serials = shown.payload["credentialSubject"]["serials"].as_array().unwrap();
    serials.iter().map(|serial| serial.as_str().unwrap().to_owned()).collect()
}

/// Collects an offer, and returns its serials, which are the same in all copies.
async fn collected(issuer: &Running, request: proto::CreateOfferRequest) -> BTreeSet<String> {
    let offer = issuer.create(request).await;
    let copies = issuer.receive(&offer, &holder_keys(3)).await.unwrap().credentials;
    let all: BTreeSet<_> = copies.iter().map(|copy| serials(&copy.credential)).collect();
    assert_eq!((copies.len(), all.len()), (3, 1));
    all.into_iter().next().unwrap()
}

#[tokio::test]
async fn all_copies_of_a_voucher_have_its_serials_and_no_two_vouchers_one() {
    let issuer = start().await;
    let one = collected(&issuer, voucher("a", 3, &[])).await;
    let two = collected(&issuer, voucher("b", 32, &[])).await;
    assert_eq!((one.len(), two.len()), (3, 32));
    assert!(one.is_disjoint(&two) && one.iter().chain(&two).all(|serial| serial.len() == 22));
    // Serials given by staff are kept.
    let given = collected(&issuer, voucher("c", 2, &GIVEN)).await;
    assert_eq!(given, GIVEN.map(str::to_owned).into());
}

#[tokio::test]
async fn an_offer_that_cannot_have_its_serials_is_refused_in_words() {
    let issuer = start().await;
    let refused = async |request| issuer.staff().create_offer(request).await.unwrap_err();
    let many = refused(voucher("a", 33, &[])).await;
    assert!(many.message().contains("from 1 to 32; for more uses make several offers"), "{}", many.message());
    // The number of uses, without duplicates, long enough, and none of the earlier version.
    for serials in [&GIVEN[..1], &[GIVEN[0], GIVEN[0]], &["short", GIVEN[0]]] {
        assert_eq!(refused(voucher("b", 2, serials)).await.code(), tonic::Code::InvalidArgument, "{serials:?}");
    }
    let claims =
        json!({"service": "A meal", "redeemer": "did:web:canteen.example", "uses": 1, "entitlementId": GIVEN[0]});
    let former = proto::CreateOfferRequest {
        claims: Some(wire::to_struct(claims.as_object().unwrap())),
        ..voucher("c", 1, &[])
    };
    assert!(refused(former).await.message().contains("entitlementId"));
    // A format without selective disclosure would show all of them at once.
    let format = proto::CredentialFormat::DiVcJcs.into();
    let whole = refused(proto::CreateOfferRequest { format, ..voucher("d", 1, &[]) }).await;
    assert!(whole.message().contains("shows all serials at once"), "{}", whole.message());
}

#[tokio::test]
async fn the_same_call_again_gives_the_same_voucher() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let first = staff.create_offer(voucher("a", 3, &[])).await.unwrap().into_inner();
    let again = staff.create_offer(voucher("a", 3, &[])).await.unwrap().into_inner();
    assert_eq!(first.offer, again.offer);
    assert_eq!(reason(staff.create_offer(voucher("a", 4, &[])).await), "REQUEST_ID_REUSED");
}

const GIVEN: [&str; 2] = ["given-by-another-system-1", "given-by-another-system-2"];
const OTHER: [&str; 2] = ["given-by-another-system-3", "given-by-another-system-4"];

#[tokio::test]
async fn row_100_no_two_offers_have_one_serial() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let first = issuer.create(voucher("a", 2, &GIVEN)).await;
    // One shared serial is enough.
    let mut refused =
        async |request_id: &str| reason(staff.create_offer(voucher(request_id, 2, &[OTHER[0], GIVEN[1]])).await);
    assert_eq!(refused("b").await, "CLAIM_NOT_UNIQUE");
    let keys = holder_keys(3);
    let copies = issuer.receive(&first, &keys).await.unwrap().credentials;
    assert_eq!((copies.len(), refused("c").await), (3, "CLAIM_NOT_UNIQUE".to_owned()));
    refill_once(&issuer, &copies[0].credential, &keys[0]).await;
    assert_eq!(refused("d").await, "CLAIM_NOT_UNIQUE");
    // The valid case: serials that no refused offer has taken, and some drawn by the issuer.
    issuer.create(voucher("e", 2, &OTHER)).await;
    issuer.create(voucher("f", 3, &[])).await;
    // After the collection, the serials are stored nowhere.
    for serial in GIVEN {
        assert!(issuer.forgotten(serial).await);
    }
}

#[tokio::test]
async fn a_refill_gives_the_same_serials_and_no_more() {
    let issuer = start().await;
    let (offer, keys) = (issuer.create(voucher("a", 3, &[])).await, holder_keys(1));
    let copies = issuer.receive(&offer, &keys).await.unwrap().credentials;
    let fresh = refill_once(&issuer, &copies[0].credential, &keys[0]).await;
    assert_ne!(fresh, copies[0].credential);
    assert_eq!(serials(&fresh), serials(&copies[0].credential));
}

#[tokio::test]
async fn row_100_of_two_offers_at_once_one_has_the_serial() {
    let issuer = start().await;
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..8 {
        let mut staff = issuer.staff();
        calls.spawn(async move { staff.create_offer(voucher(&format!("call-{call}"), 2, &GIVEN)).await.is_ok() });
    }
    let made = calls.join_all().await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
}

#[tokio::test]
async fn a_serial_that_nobody_was_given_is_free_again() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let offer = staff.create_offer(voucher("a", 2, &GIVEN)).await.unwrap().into_inner().offer.unwrap();
    let cancel = proto::CancelOfferRequest { offer_id: offer.offer_id, request_id: String::new() };
    staff.cancel_offer(cancel).await.unwrap();
    issuer.create(voucher("b", 2, &GIVEN)).await;
}

#[tokio::test]
async fn offers_of_before_have_their_serials_kept_at_the_next_start() {
    let issuer = start().await;
    issuer.create(voucher("a", 2, &GIVEN)).await;
    let probe = issuer.probe().await;
    probe.forget_unique_claims().await;
    probe.close().await;
    issuer.issuer.record_unique_claims().await.unwrap();
    let again = issuer.staff().create_offer(voucher("b", 2, &GIVEN)).await;
    assert_eq!(reason(again), "CLAIM_NOT_UNIQUE");
}

#[tokio::test]
async fn claims_with_characters_that_nobody_sees_are_refused_by_name() {
    let issuer = start().await;
    let with = |service: &str| {
        let claims = json!({"service": service, "redeemer": "did:web:canteen.example", "uses": 1});
        let claims = Some(wire::to_struct(claims.as_object().unwrap()));
        proto::CreateOfferRequest { claims, ..voucher("a", 1, &[]) }
    };
    let refused = issuer.staff().create_offer(with("A meal\u{e0101}")).await.unwrap_err();
    assert!(refused.message().contains("claims.service: it has U+E0101 as character 7"), "{}", refused.message());
    issuer.create(with("می\u{200c}خواهم")).await;
}

#[test]
fn a_voucher_is_not_renewed() {
    let catalogue = carnet_spec::Catalogue::embedded().unwrap();
    let fault = |name: &str| {
        let policy = serde_json::from_value(json!({"window_days": 30, "days": 31, "most": 1})).unwrap();
        crate::policy::renewal::first_fault(
            &[(name.to_owned(), policy)].into(),
            &crate::policy::cohorts::CohortPolicy::default(),
            &catalogue,
        )
    };
    assert_eq!(fault("LanguageCertificateCredential"), None);
    assert!(fault("EntitlementCredential").is_some_and(|fault| fault.message.contains("serials")));
}

#[tokio::test]
async fn totals_count_what_was_issued_once_and_no_refill() {
    let issuer = start().await;
    // An offer that nobody collected counts no uses.
    issuer.create(voucher("a", 5, &[])).await;
    for (request, uses) in [("b", 3), ("c", 4)] {
        let (offer, keys) = (issuer.create(voucher(request, uses, &[])).await, holder_keys(2));
        let copies = issuer.receive(&offer, &keys).await.unwrap().credentials;
        refill_once(&issuer, &copies[0].credential, &keys[0]).await;
    }
    let totals = issuer.issuer.store.read().await.unwrap().voucher_totals().await.unwrap();
    let [total] = totals.as_slice() else { panic!("{totals:?}") };
    assert_eq!((total.service.as_str(), total.redeemer.as_str()), ("A meal", "did:web:canteen.example"));
    assert_eq!((total.vouchers, total.uses), (2, 7));
    assert!(issuer.issuer.now().to_string().starts_with(&total.month) && total.month.len() == 7);
}
