//! Entitlements: their number is drawn, once for all copies (spec/entitlement.md section 1).

use std::collections::BTreeSet;

use carnet_core::secure::sd_jwt::SdJwt;
use carnet_proto::issuer::v1 as proto;
use carnet_service::wire;
use serde_json::json;

use super::harness::{Running, holder_keys, offer_request, reason, start};

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
    let given = "given-by-another-system-1";
    assert_eq!(numbers(&issuer, voucher("c", 3, Some(given))).await, [given.to_owned()].into());
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

#[test]
fn a_voucher_is_not_renewed() {
    let catalogue = carnet_spec::Catalogue::embedded().unwrap();
    let fault = |name: &str| {
        let policy = serde_json::from_value(json!({"window_days": 30, "days": 30, "most": 1})).unwrap();
        crate::renewal::fault(&[(name.to_owned(), policy)].into(), &catalogue)
    };
    assert_eq!(fault("LanguageCertificateCredential"), None);
    assert!(fault("EntitlementCredential").is_some_and(|fault| fault.contains("entitlementId")));
}
