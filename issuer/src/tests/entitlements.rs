//! Entitlements: their number is drawn, once for all copies (spec/entitlement.md section 1).

use std::collections::BTreeSet;

use carnet_core::secure::sd_jwt::SdJwt;
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::json;

use super::{
    harness::{Running, holder_keys, offer_request, reason, start},
    refilling::refill_once,
};
use crate::store::sqlite::MIGRATIONS;

fn voucher(request_id: &str, uses: u32, id: Option<&str>) -> proto::CreateOfferRequest {
    let mut claims = json!({"service": "A meal", "redeemer": "did:web:canteen.example", "uses": uses});
    if let (Some(id), Some(claims)) = (id, claims.as_object_mut()) {
        claims.insert("entitlementId".to_owned(), id.into());
    }
    proto::CreateOfferRequest {
        credential_type: "EntitlementCredential".to_owned(),
        claims: Some(wire::to_struct(claims.as_object().unwrap())),
        ..offer_request(request_id)
    }
}

/// The numbers in the copies of an offer.
async fn numbers(issuer: &Running, request: proto::CreateOfferRequest) -> BTreeSet<String> {
    let offer = issuer.create(request).await;
    let copies = issuer.receive(&offer, &holder_keys(3)).await.unwrap().credentials;
    assert_eq!(copies.len(), 3);
    let number = |copy: &proto::IssuedCopy| {
        let shown = SdJwt::parse(&copy.credential).unwrap().disclosed().unwrap();
        shown.payload["credentialSubject"]["entitlementId"].as_str().map(str::to_owned).unwrap()
    };
    copies.iter().map(number).collect()
}

#[tokio::test]
async fn all_copies_of_a_voucher_have_one_number_and_no_two_vouchers_the_same() {
    let issuer = start().await;
    let (one, two) = (numbers(&issuer, voucher("a", 3, None)).await, numbers(&issuer, voucher("b", 3, None)).await);
    assert_eq!((one.len(), two.len()), (1, 1));
    assert!(one.is_disjoint(&two) && one.iter().chain(&two).all(|number| number.len() == 43));
    // One that staff gives stays.
    assert_eq!(numbers(&issuer, voucher("c", 3, Some(GIVEN))).await, [GIVEN.to_owned()].into());
}

#[tokio::test]
async fn the_same_call_again_gives_the_same_voucher() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let first = staff.create_offer(voucher("a", 3, None)).await.unwrap().into_inner();
    let again = staff.create_offer(voucher("a", 3, None)).await.unwrap().into_inner();
    assert_eq!(first.offer, again.offer);
    assert_eq!(reason(staff.create_offer(voucher("a", 4, None)).await), "REQUEST_ID_REUSED");
    let short = staff.create_offer(voucher("b", 3, Some("short"))).await;
    assert_eq!(short.unwrap_err().code(), tonic::Code::InvalidArgument);
}

const GIVEN: &str = "given-by-another-system-1";

#[tokio::test]
async fn row_100_no_two_offers_have_one_entitlement_id() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let first = issuer.create(voucher("a", 3, Some(GIVEN))).await;
    let mut refused = async |request_id: &str| reason(staff.create_offer(voucher(request_id, 1, Some(GIVEN))).await);
    assert_eq!(refused("b").await, "CLAIM_NOT_UNIQUE");
    let keys = holder_keys(3);
    let copies = issuer.receive(&first, &keys).await.unwrap().credentials;
    assert_eq!((copies.len(), refused("c").await), (3, "CLAIM_NOT_UNIQUE".to_owned()));
    refill_once(&issuer, &copies[0].credential, &keys[0]).await;
    assert_eq!(refused("d").await, "CLAIM_NOT_UNIQUE");
    // The twin: another number, and one that the issuer draws.
    issuer.create(voucher("e", 3, Some("given-by-another-system-2"))).await;
    issuer.create(voucher("f", 3, None)).await;
    // The number itself is nowhere once it was collected.
    assert!(issuer.forgotten(GIVEN).await);
}

#[tokio::test]
async fn row_100_of_two_offers_at_once_one_has_the_number() {
    let issuer = start().await;
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..8 {
        let mut staff = issuer.staff();
        calls.spawn(async move { staff.create_offer(voucher(&format!("call-{call}"), 3, Some(GIVEN))).await.is_ok() });
    }
    let made = calls.join_all().await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
}

#[tokio::test]
async fn a_number_that_nobody_was_given_is_free_again() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let offer = staff.create_offer(voucher("a", 3, Some(GIVEN))).await.unwrap().into_inner().offer.unwrap();
    let cancel = proto::CancelOfferRequest { offer_id: offer.offer_id, request_id: String::new() };
    staff.cancel_offer(cancel).await.unwrap();
    issuer.create(voucher("b", 3, Some(GIVEN))).await;
}

#[tokio::test]
async fn offers_of_before_have_their_numbers_kept_at_the_next_start() {
    let issuer = start().await;
    issuer.create(voucher("a", 3, Some(GIVEN))).await;
    let database = carnet_service::store::open(issuer.data.path(), &MIGRATIONS).await.unwrap().database;
    let mut tx = database.begin("a test").await.unwrap();
    sqlx::query("DELETE FROM unique_claims").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    database.close().await;
    issuer.issuer.settle_unique_claims().await.unwrap();
    let again = issuer.staff().create_offer(voucher("b", 3, Some(GIVEN))).await;
    assert_eq!(reason(again), "CLAIM_NOT_UNIQUE");
}

#[tokio::test]
async fn claims_with_characters_that_nobody_sees_are_refused_by_name() {
    let issuer = start().await;
    let with = |service: &str| {
        let claims = json!({"service": service, "redeemer": "did:web:canteen.example", "uses": 1});
        let claims = Some(wire::to_struct(claims.as_object().unwrap()));
        proto::CreateOfferRequest { claims, ..voucher("a", 1, None) }
    };
    let refused = issuer.staff().create_offer(with("A meal\u{e0101}")).await.unwrap_err();
    assert!(refused.message().contains("\"service\" has U+E0101 as character 7"), "{}", refused.message());
    issuer.create(with("می\u{200c}خواهم")).await;
}

#[test]
fn a_voucher_is_not_renewed() {
    let catalogue = carnet_spec::Catalogue::embedded().unwrap();
    let fault = |name: &str| {
        let policy = serde_json::from_value(json!({"window_days": 30, "days": 30, "most": 1})).unwrap();
        crate::renewal::fault(&[(name.to_owned(), policy)].into(), &catalogue)
    };
    assert_eq!(fault("LanguageCertificateCredential"), None);
    assert!(fault("EntitlementCredential").is_some_and(|fault| fault.message.contains("entitlementId")));
}
