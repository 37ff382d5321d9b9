//! Offers: authorisation, validation, and single use.

use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::wire;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::harness::{CLERK, HolderOffer, MARK, NOW, Running, claims, holder_keys, offer_request, reason, start};

#[tokio::test]
async fn a_type_that_is_not_issued_is_named_with_the_nearest_one() {
    let issuer = start().await;
    let said = |name: &str| issuer.issuer.credential_type(name).unwrap_err().to_string();
    let near = said("QualificationCredentials");
    assert!(near.contains("no type \"QualificationCredentials\"; the nearest is QualificationCredential"), "{near}");
    let far = said(&"x".repeat(5_000));
    assert!(far.contains("it issues ") && far.contains("ResidencePermitCredential") && far.len() < 1_000, "{far}");
    assert!(issuer.issuer.credential_type("QualificationCredential").is_ok(), "the twin");
}

#[tokio::test]
async fn staff_calls_need_the_token() {
    let issuer = start().await;
    let mut without = OfferServiceClient::new(issuer.channel.clone());
    let refused = without.create_offer(offer_request("a")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut wrong = OfferServiceClient::with_interceptor(issuer.channel.clone(), |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", "Bearer carnet_staff_wrong".parse().unwrap());
        Ok(request)
    });
    let refused = wrong.list_issued(proto::ListIssuedRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(!issuer.on_disk(MARK));
    issuer.create(offer_request("a")).await;
    assert!(issuer.on_disk(MARK));
}

#[tokio::test]
async fn row_79_an_offers_code_works_once() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    assert!(issuer.redeem(&offer).await.is_ok());
    let again = issuer.redeem(&offer).await;
    assert_eq!(again.as_ref().unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(reason(again), "OFFER_ALREADY_USED");

    let offer = issuer.create(offer_request("b")).await;
    issuer.receive(&offer, &holder_keys(1)).await.unwrap();
    assert_eq!(reason(issuer.redeem(&offer).await), "OFFER_ALREADY_USED");
    assert_eq!(reason(issuer.redeem_with("no-such-code", None).await), "INVALID_GRANT");
    assert_eq!(reason(issuer.redeem_with("", None).await), "INVALID_GRANT");
}

#[tokio::test]
async fn row_79_two_at_the_same_time_get_one_token() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let (a, b) = tokio::join!(issuer.redeem(&offer), issuer.redeem(&offer));
    assert!(a.is_ok() != b.is_ok());
}

#[tokio::test]
async fn row_80_a_pin_cannot_be_guessed() {
    let issuer = start().await;
    let with_pin = |id: &str| proto::CreateOfferRequest { with_pin: true, ..offer_request(id) };
    let offer = issuer.create(with_pin("a")).await;
    assert!(offer.has_tx_code);
    let pin = offer.pin.clone().unwrap();
    let wrong = if pin == "000000" { "000001" } else { "000000" };
    for _ in 0..4 {
        assert_eq!(reason(issuer.redeem_with(&offer.code, Some(wrong)).await), "INVALID_GRANT");
    }
    assert!(issuer.on_disk(MARK));
    assert_eq!(reason(issuer.redeem_with(&offer.code, Some(wrong)).await), "OFFER_LOCKED");
    assert_eq!(reason(issuer.redeem(&offer).await), "OFFER_LOCKED");
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Locked);
    assert!(!issuer.on_disk(MARK));
    for (state, listed) in [(proto::OfferState::Locked, 1), (proto::OfferState::Expired, 0)] {
        let filter = proto::ListOffersRequest { state: state.into(), ..Default::default() };
        assert_eq!(found(&issuer, filter).await.len(), listed, "{state:?}");
    }

    let twin = issuer.create(with_pin("b")).await;
    let pin = twin.pin.clone().unwrap();
    let wrong = if pin == "000000" { "000001" } else { "000000" };
    for _ in 0..4 {
        assert!(issuer.redeem_with(&twin.code, Some(wrong)).await.is_err());
    }
    assert!(issuer.redeem(&twin).await.is_ok());
}

#[tokio::test]
async fn a_missing_or_unexpected_pin_is_an_invalid_request_and_no_guess() {
    let issuer = start().await;
    let with = issuer.create(proto::CreateOfferRequest { with_pin: true, ..offer_request("a") }).await;
    for _ in 0..6 {
        assert_eq!(reason(issuer.redeem_with(&with.code, None).await), "INVALID_REQUEST");
    }
    assert!(issuer.redeem(&with).await.is_ok());
    let without = issuer.create(offer_request("b")).await;
    assert!(!without.has_tx_code);
    assert_eq!(reason(issuer.redeem_with(&without.code, Some("123456")).await), "INVALID_REQUEST");
    assert!(issuer.redeem(&without).await.is_ok());
}

#[tokio::test]
async fn a_pin_of_another_form_is_no_guess_and_one_of_another_script_is_the_pin() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { with_pin: true, ..offer_request("a") }).await;
    for form in ["", "12345", "1234567", "12345a", "123-456", "six digits", &"1".repeat(5_000)] {
        for _ in 0..6 {
            let refused = issuer.redeem_with(&offer.code, Some(form)).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{form}");
        }
    }
    let pin = offer.pin.clone().unwrap();
    let arabic = |c: char| char::from_u32(u32::from(c) - u32::from('0') + u32::from('٠')).unwrap();
    let written: String = pin
        .chars()
        .map(arabic)
        .collect::<Vec<_>>()
        .chunks(3)
        .map(|half| format!(" {}", half.iter().collect::<String>()))
        .collect();
    assert!(issuer.redeem_with(&offer.code, Some(&written)).await.is_ok(), "{written}");
}

#[tokio::test]
async fn an_expired_offer_is_refused_and_erased() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { offer_ttl_seconds: 60, ..offer_request("a") }).await;
    issuer.pass(60);
    assert_eq!(reason(issuer.redeem(&offer).await), "INVALID_GRANT");
    assert!(!issuer.on_disk(MARK));
    assert_eq!(issuer.state(&offer.id).await, proto::OfferState::Expired);
    let twin = issuer.create(proto::CreateOfferRequest { offer_ttl_seconds: 60, ..offer_request("b") }).await;
    issuer.pass(59);
    assert!(issuer.redeem(&twin).await.is_ok());
}

#[tokio::test]
async fn the_same_request_id_gives_the_same_offer() {
    let issuer = start().await;
    let mut staff = issuer.staff();
    let first = staff.create_offer(offer_request("a")).await.unwrap().into_inner();
    let again = staff.create_offer(offer_request("a")).await.unwrap().into_inner();
    assert_eq!(first.offer, again.offer);
    assert!(!first.offer_uri.is_empty() && again.offer_uri.is_empty());

    let mut other_claims = claims();
    other_claims.insert("givenName".to_owned(), json!("Other"));
    for other in [
        proto::CreateOfferRequest { claims: Some(wire::to_struct(&other_claims)), ..offer_request("a") },
        proto::CreateOfferRequest { deferred: true, ..offer_request("a") },
        proto::CreateOfferRequest { format: proto::CredentialFormat::DcSdJwt.into(), ..offer_request("a") },
    ] {
        let refused = staff.create_offer(other).await;
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::AlreadyExists);
        assert_eq!(reason(refused), "REQUEST_ID_REUSED");
    }
    let listed = staff.list_offers(proto::ListOffersRequest::default()).await.unwrap().into_inner().offers;
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_bad_offer_is_refused_with_its_field_and_not_stored() {
    let issuer = start().await;
    let with_claims = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut claims = claims();
        change(&mut claims);
        proto::CreateOfferRequest { claims: Some(wire::to_struct(&claims)), ..offer_request("a") }
    };
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let today = NOW - NOW % 86_400;
    let cases = [
        ("request_id", proto::CreateOfferRequest { request_id: String::new(), ..offer_request("a") }),
        ("request_id", offer_request(&"x".repeat(129))),
        ("credential_type", proto::CreateOfferRequest { credential_type: "Nothing".into(), ..offer_request("a") }),
        ("format", proto::CreateOfferRequest { format: 0, ..offer_request("a") }),
        ("format", proto::CreateOfferRequest { format: 99, ..offer_request("a") }),
        ("claims", proto::CreateOfferRequest { claims: None, ..offer_request("a") }),
        ("claims", with_claims(&|claims| claims.clear())),
        ("claims", with_claims(&|claims| drop(claims.insert("unknownClaim".to_owned(), json!(1))))),
        ("claims", with_claims(&|claims| drop(claims.insert("eqfLevel".to_owned(), json!(MARK))))),
        ("claims", with_claims(&|claims| drop(claims.insert("id".to_owned(), json!("did:example:x"))))),
        ("offer_ttl_seconds", proto::CreateOfferRequest { offer_ttl_seconds: u32::MAX, ..offer_request("a") }),
        (
            "valid_until",
            proto::CreateOfferRequest { valid_from: at(today), valid_until: at(today), ..offer_request("a") },
        ),
        ("valid_from", proto::CreateOfferRequest { valid_from: at(NOW), ..offer_request("a") }),
        ("valid_until", proto::CreateOfferRequest { valid_until: at(today + 86_399), ..offer_request("a") }),
        (
            "valid_until",
            proto::CreateOfferRequest {
                valid_until: Some(prost_types::Timestamp { seconds: today + 86_400, nanos: 1 }),
                ..offer_request("a")
            },
        ),
        ("reference", proto::CreateOfferRequest { reference: "x".repeat(129), ..offer_request("a") }),
        ("reference", proto::CreateOfferRequest { reference: " 2026/1".to_owned(), ..offer_request("a") }),
        ("reference", proto::CreateOfferRequest { reference: "2026\u{200b}/1".to_owned(), ..offer_request("a") }),
        ("reference", proto::CreateOfferRequest { reference: "2026\n1".to_owned(), ..offer_request("a") }),
        ("valid_until", proto::CreateOfferRequest { valid_until: at(i64::MAX), ..offer_request("a") }),
    ];
    for (field, request) in cases {
        let refused = issuer.staff().create_offer(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused:?}");
        assert!(refused.message().starts_with(field), "{field}: {}", refused.message());
        assert!(!refused.message().contains(MARK));
    }
    assert!(!issuer.on_disk(MARK));
    // A record of past validity is accepted on request.
    let past = proto::CreateOfferRequest {
        valid_from: at(today - 60 * 86_400),
        valid_until: at(today - 25 * 86_400),
        ..offer_request("a")
    };
    assert!(issuer.staff().create_offer(past).await.is_ok());
}

#[tokio::test]
async fn every_bad_claim_is_named_in_a_violation_of_its_own_and_odd_ones_are_warned_of() {
    let issuer = start().await;
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims();
        claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        proto::CreateOfferRequest { claims: Some(wire::to_struct(&claims)), ..offer_request("a") }
    };
    let bad = with(&[("credits", json!(-5)), ("dateOfBirth", json!("31/12/1998")), ("tittle", json!("x"))]);
    let refused = issuer.staff().create_offer(bad).await.unwrap_err();
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    let mut fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["claims.credits", "claims.dateOfBirth", "claims.tittle"]);
    assert!(refused.message().ends_with("Nothing was stored."), "{}", refused.message());
    assert_eq!(reason(Err::<(), _>(refused)), "CLAIMS_INVALID");

    let odd = with(&[("awardingDate", json!("2099-01-01"))]);
    let warnings = issuer.staff().create_offer(odd).await.unwrap().into_inner().warnings;
    assert_eq!(warnings, ["awardingDate is in the future."]);
    let fine = issuer.staff().create_offer(offer_request("b")).await.unwrap().into_inner();
    assert_eq!(fine.warnings, [""; 0]);
}

#[tokio::test]
async fn a_message_over_its_limit_is_refused() {
    let issuer = start().await;
    let mut claims = claims();
    claims.insert("title".to_owned(), json!("x".repeat(2_000_000)));
    let request = proto::CreateOfferRequest { claims: Some(wire::to_struct(&claims)), ..offer_request("a") };
    let refused = issuer.staff().create_offer(request).await.unwrap_err();
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
}

#[tokio::test]
async fn cancelling_erases_and_is_idempotent() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let cancel = || proto::CancelOfferRequest { offer_id: offer.id.clone(), request_id: "c".to_owned() };
    for _ in 0..2 {
        let cancelled = issuer.staff().cancel_offer(cancel()).await.unwrap().into_inner().offer.unwrap();
        assert_eq!(cancelled.state(), proto::OfferState::Cancelled);
    }
    assert!(!issuer.on_disk(MARK));
    assert_eq!(reason(issuer.redeem(&offer).await), "OFFER_CANCELLED");
    // The claims are erased, so the request_id is compared by the rest of the request.
    assert!(issuer.staff().create_offer(offer_request("a")).await.is_ok());

    let collected = issuer.create(offer_request("b")).await;
    issuer.receive(&collected, &holder_keys(1)).await.unwrap();
    let late = proto::CancelOfferRequest { offer_id: collected.id, request_id: String::new() };
    assert_eq!(reason(issuer.staff().cancel_offer(late).await), "OFFER_STATE");
    let unknown = proto::CancelOfferRequest { offer_id: "nothing".to_owned(), request_id: String::new() };
    assert_eq!(reason(issuer.staff().cancel_offer(unknown).await), "NOT_FOUND");
}

#[tokio::test]
async fn cancelling_a_redeemed_offer_stops_its_token() {
    let issuer = start().await;
    let offer = issuer.create(offer_request("a")).await;
    let token = issuer.redeem(&offer).await.unwrap();
    let cancel = proto::CancelOfferRequest { offer_id: offer.id.clone(), request_id: String::new() };
    issuer.staff().cancel_offer(cancel).await.unwrap();
    let proofs = issuer.proofs(&holder_keys(1), &issuer.nonce().await);
    assert_eq!(reason(issuer.collect(&token, &offer.configuration, proofs).await), "OFFER_CANCELLED");
    assert!(!issuer.on_disk(MARK));
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let issuer = start().await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(issuer.create(offer_request(&format!("r{number}"))).await.id);
    }
    issuer
        .staff()
        .cancel_offer(proto::CancelOfferRequest { offer_id: made[0].clone(), request_id: String::new() })
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListOffersRequest { page_size: 2, page_token, ..Default::default() };
        let page = issuer.staff().list_offers(request).await.unwrap().into_inner();
        assert!(page.offers.len() <= 2);
        seen.extend(page.offers.into_iter().map(|offer| offer.offer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    made.reverse();
    assert_eq!(seen, made);
    let open = proto::ListOffersRequest { state: proto::OfferState::Open.into(), ..Default::default() };
    assert_eq!(issuer.staff().list_offers(open).await.unwrap().into_inner().offers.len(), 4);
    let bad = proto::ListOffersRequest { page_token: "x".to_owned(), ..Default::default() };
    assert_eq!(issuer.staff().list_offers(bad).await.unwrap_err().code(), Code::InvalidArgument);
    let bad = proto::ListOffersRequest { state: 77, ..Default::default() };
    assert_eq!(issuer.staff().list_offers(bad).await.unwrap_err().code(), Code::InvalidArgument);
}

/// Returns the ids of all offers that match a filter, page by page.
async fn found(issuer: &Running, filter: proto::ListOffersRequest) -> Vec<String> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListOffersRequest { page_size: 1, page_token, ..filter.clone() };
        let page = issuer.staff().list_offers(request).await.unwrap().into_inner();
        assert!(page.offers.len() <= 1);
        ids.extend(page.offers.into_iter().map(|offer| offer.offer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

#[tokio::test]
async fn an_offer_is_found_by_its_reference_its_maker_its_type_and_its_day() {
    let issuer = start().await;
    let with =
        |id: &str, reference: &str| proto::CreateOfferRequest { reference: reference.to_owned(), ..offer_request(id) };
    let first = issuer.create(with("a", "2026/0113")).await;
    issuer.pass(86_400);
    let second = issuer.create(with("b", "2026/0114")).await;
    let third = issuer.create(with("c", "")).await;
    let all = || proto::ListOffersRequest::default();
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let id = |offer: &HolderOffer| offer.id.clone();
    for (filter, ids) in [
        (all(), vec![id(&third), id(&second), id(&first)]),
        (proto::ListOffersRequest { reference: "2026/0113".to_owned(), ..all() }, vec![id(&first)]),
        (proto::ListOffersRequest { reference: "2026/01".to_owned(), ..all() }, vec![]),
        (proto::ListOffersRequest { created_by: CLERK.to_owned(), ..all() }, vec![id(&third), id(&second), id(&first)]),
        (proto::ListOffersRequest { created_by: "nobody".to_owned(), ..all() }, vec![]),
        (proto::ListOffersRequest { credential_type: "ResidencePermitCredential".to_owned(), ..all() }, vec![]),
        (proto::ListOffersRequest { created_until: at(NOW), ..all() }, vec![id(&first)]),
        (proto::ListOffersRequest { created_from: at(NOW + 1), ..all() }, vec![id(&third), id(&second)]),
    ] {
        assert_eq!(found(&issuer, filter.clone()).await, ids, "{filter:?}");
    }
    let offer = issuer.offer(&first.id).await;
    assert_eq!((offer.reference.as_str(), offer.created_by.as_str()), ("2026/0113", CLERK));

    // The same for the copies issued from it; the reference remains when the claims are erased.
    issuer.receive(&first, &holder_keys(2)).await.unwrap();
    issuer.receive(&third, &holder_keys(1)).await.unwrap();
    assert_eq!(issuer.offer(&first.id).await.reference, "2026/0113");
    for (filter, count) in [
        (proto::ListIssuedRequest::default(), 3),
        (proto::ListIssuedRequest { reference: "2026/0113".to_owned(), ..Default::default() }, 2),
        (proto::ListIssuedRequest { reference: "2026/0114".to_owned(), ..Default::default() }, 0),
        (proto::ListIssuedRequest { created_by: CLERK.to_owned(), ..Default::default() }, 3),
        (proto::ListIssuedRequest { credential_type: "Other".to_owned(), ..Default::default() }, 0),
        (proto::ListIssuedRequest { issued_until: at(NOW), ..Default::default() }, 0),
        (proto::ListIssuedRequest { issued_from: at(NOW + 86_400), ..Default::default() }, 3),
    ] {
        let issued = issuer.staff().list_issued(filter.clone()).await.unwrap().into_inner().issued;
        assert_eq!(issued.len(), count, "{filter:?}");
    }

    // A repetition has the same reference; otherwise it is a different request.
    let repeat = issuer.staff().create_offer(with("a", "2026/0113")).await;
    assert_eq!(repeat.unwrap().into_inner().offer.unwrap().offer_id, first.id);
    assert_eq!(reason(issuer.staff().create_offer(with("a", "2026/0114")).await), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn secrets_are_stored_hashed_only() {
    let issuer = start().await;
    let offer = issuer.create(proto::CreateOfferRequest { with_pin: true, ..offer_request("a") }).await;
    let HolderOffer { code, .. } = &offer;
    assert!(!issuer.on_disk(code));
    let token = issuer.redeem(&offer).await.unwrap();
    assert!(!issuer.on_disk(&token));
    let nonce = issuer.nonce().await;
    let proofs = issuer.proofs(&holder_keys(1), &nonce);
    issuer.collect(&token, &offer.configuration, proofs).await.unwrap();
    assert!(!issuer.on_disk(&nonce));
}
