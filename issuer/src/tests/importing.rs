//! Imports: a batch is stored as a whole, each refused row says why, and a repeated one has the same link and PIN.

use carnet_proto::issuer::v1::{self as proto, offer_service_client::OfferServiceClient};
use carnet_service::wire;
use proto::{import_offers_request::Message, import_outcome::Outcome};
use serde_json::json;
use tonic::{Code, Status};

use super::{
    entitlements::voucher,
    harness::{CLERK, MARK, Running, claims, reason, start},
};

const SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";

fn terms() -> proto::ImportTerms {
    proto::ImportTerms {
        import_id: "year-2026".to_owned(),
        secret: SECRET.to_vec(),
        credential_type: "QualificationCredential".to_owned(),
        format: proto::CredentialFormat::VcSdJwt.into(),
        with_pin: true,
        ..Default::default()
    }
}

fn row(key: &str) -> proto::ImportRow {
    let claims = Some(wire::to_struct(&claims()));
    proto::ImportRow { key: key.to_owned(), claims, reference: key.to_owned(), ..Default::default() }
}

/// Row of a voucher with these serials.
fn serial_row(key: &str, serials: &[&str]) -> proto::ImportRow {
    proto::ImportRow { claims: voucher("", 1, serials).claims, ..row(key) }
}

fn terms_message(terms: proto::ImportTerms) -> proto::ImportOffersRequest {
    proto::ImportOffersRequest { message: Some(Message::Terms(terms)) }
}

fn rows_message(rows: &[proto::ImportRow]) -> proto::ImportOffersRequest {
    proto::ImportOffersRequest { message: Some(Message::Rows(proto::ImportRows { rows: rows.to_vec() })) }
}

/// Sends messages on one stream, and returns all answers.
async fn send(
    issuer: &Running,
    messages: Vec<proto::ImportOffersRequest>,
) -> Result<Vec<proto::ImportOffersResponse>, Status> {
    let mut stream = issuer.staff().import_offers(tokio_stream::iter(messages)).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

/// Imports one batch.
async fn import(
    issuer: &Running,
    terms: proto::ImportTerms,
    rows: &[proto::ImportRow],
) -> Vec<Result<proto::ImportedOffer, proto::ImportError>> {
    let answers = send(issuer, vec![terms_message(terms), rows_message(rows)]).await.unwrap();
    assert_eq!(answers.len(), 1);
    let outcomes = answers.into_iter().flat_map(|answer| answer.outcomes);
    let outcome = |outcome: proto::ImportOutcome| match outcome.outcome.unwrap() {
        Outcome::Offer(offer) => Ok(offer),
        Outcome::Error(error) => Err(error),
    };
    outcomes.map(outcome).collect()
}

fn refusal(outcome: &Result<proto::ImportedOffer, proto::ImportError>) -> &str {
    &outcome.as_ref().unwrap_err().reason
}

#[tokio::test]
async fn a_repeated_row_has_the_same_offer_link_and_pin() {
    let issuer = start().await;
    let first = import(&issuer, terms(), &[row("a"), row("b")]).await;
    let again = import(&issuer, terms(), &[row("b"), row("c"), row("a")]).await;
    let all = |of: &[Result<proto::ImportedOffer, _>], at: usize| {
        let offer = of[at].clone().unwrap();
        (offer.offer.unwrap().offer_id, offer.offer_uri, offer.offer_reference_uri, offer.pin)
    };
    assert_eq!((all(&first, 0), all(&first, 1)), (all(&again, 2), all(&again, 0)));
    assert_ne!(all(&first, 0).1, all(&first, 1).1);
    let existed: Vec<bool> = again.iter().map(|offer| offer.as_ref().unwrap().existed).collect();
    assert_eq!(existed, [true, false, true]);
    let listed = issuer.offer(&all(&first, 0).0).await;
    assert_eq!((listed.reference.as_str(), listed.created_by.as_str()), ("a", CLERK));
    // Nothing of the secret, the codes and the PINs is in the store.
    let code = all(&first, 0).1.split("pre-authorized_code%22%3A%22").nth(1).unwrap()[..43].to_owned();
    assert!(!issuer.on_disk(&code) && !issuer.on_disk(std::str::from_utf8(&SECRET).unwrap()) && issuer.on_disk(MARK));
    // The code and the PIN work.
    let pin = all(&first, 0).3;
    assert!(pin.len() == 6 && !pin.starts_with('0'), "{pin}");
    assert_eq!(reason(issuer.redeem_with(&code, Some("000000")).await), "INVALID_GRANT");
    issuer.redeem_with(&code, Some(&pin)).await.unwrap();
}

#[tokio::test]
async fn another_secret_content_or_import_is_told_from_a_repetition() {
    let issuer = start().await;
    import(&issuer, terms(), &[row("a")]).await[0].as_ref().unwrap();
    let other_secret = proto::ImportTerms { secret: SECRET.iter().rev().copied().collect(), ..terms() };
    assert_eq!(refusal(&import(&issuer, other_secret, &[row("a")]).await[0]), "IMPORT_SECRET_DIFFERS");
    let mut changed = claims();
    changed.insert("familyName".to_owned(), json!("Other"));
    let changed = proto::ImportRow { claims: Some(wire::to_struct(&changed)), ..row("a") };
    assert_eq!(refusal(&import(&issuer, terms(), &[changed]).await[0]), "REQUEST_ID_REUSED");
    let without_pin = proto::ImportTerms { with_pin: false, ..terms() };
    assert_eq!(refusal(&import(&issuer, without_pin, &[row("a")]).await[0]), "REQUEST_ID_REUSED");
    // The same secret in another import has other codes.
    let other_import = proto::ImportTerms { import_id: "other".to_owned(), ..terms() };
    assert!(!import(&issuer, other_import, &[row("a")]).await[0].as_ref().unwrap().existed);
    // A cancelled offer keeps its row, without a link.
    let offer = import(&issuer, terms(), &[row("a")]).await[0].clone().unwrap().offer.unwrap();
    let cancel = proto::CancelOfferRequest { offer_id: offer.offer_id, request_id: String::new() };
    issuer.staff().cancel_offer(cancel).await.unwrap();
    let cancelled = import(&issuer, terms(), &[row("a")]).await[0].clone().unwrap();
    assert!(cancelled.existed && cancelled.offer_uri.is_empty() && cancelled.pin.is_empty(), "{cancelled:?}");
}

#[tokio::test]
async fn a_refused_row_changes_nothing_for_the_others() {
    let issuer = start().await;
    let vouchers = proto::ImportTerms { credential_type: "EntitlementCredential".to_owned(), ..terms() };
    let mut wrong = claims();
    wrong.insert("uses".to_owned(), json!("three"));
    let serial = ["given-by-another-system-1"];
    let rows = [
        serial_row("a", &serial),
        serial_row("b", &serial),
        proto::ImportRow { claims: Some(wire::to_struct(&wrong)), ..row("c") },
        proto::ImportRow { reference: " d".to_owned(), ..serial_row("d", &["given-by-another-system-2"]) },
        serial_row("", &[]),
        proto::ImportRow { claims: None, ..row("f") },
        serial_row("g", &["given-by-another-system-3"]),
    ];
    // A dry run finds the same, and stores nothing.
    for dry_run in [true, false] {
        let outcomes = import(&issuer, proto::ImportTerms { dry_run, ..vouchers.clone() }, &rows).await;
        let stored = outcomes[0].as_ref().unwrap();
        assert_eq!((stored.existed, stored.offer_uri.is_empty()), (false, dry_run));
        assert_eq!(refusal(&outcomes[1]), "CLAIM_NOT_UNIQUE");
        assert_eq!(refusal(&outcomes[2]), "CLAIMS_INVALID");
        let fields = &outcomes[2].as_ref().unwrap_err().fields;
        assert!(fields.iter().any(|at| at.field == "claims.uses"), "{fields:?}");
        let fields = |at: usize| outcomes[at].as_ref().unwrap_err().fields[0].field.clone();
        assert_eq!((fields(3), fields(4), fields(5)), ("reference".into(), "key".into(), "claims".into()));
        assert!(outcomes[6].is_ok());
        let listed = issuer.staff().list_offers(proto::ListOffersRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.offers.len(), if dry_run { 0 } else { 2 });
    }
}

#[tokio::test]
async fn a_dry_run_finds_a_unique_claim_of_an_earlier_batch() {
    let issuer = start().await;
    let vouchers = proto::ImportTerms { credential_type: "EntitlementCredential".to_owned(), ..terms() };
    let serials = |key, serial| rows_message(&[serial_row(key, &[serial])]);
    for dry_run in [true, false] {
        let terms = terms_message(proto::ImportTerms { dry_run, ..vouchers.clone() });
        let batches = [serials("a", "given-by-another-system-1"), serials("b", "given-by-another-system-1")];
        let third = serials("c", "given-by-another-system-2");
        // A row that is sent twice is no second one.
        let repeated = serials("a", "given-by-another-system-1");
        let mut messages = vec![terms];
        messages.extend(batches);
        messages.push(third);
        messages.extend((!dry_run).then_some(repeated));
        let answers = send(&issuer, messages).await.unwrap();
        let refused: Vec<bool> = answers
            .iter()
            .map(|answer| match answer.outcomes[0].outcome.as_ref().unwrap() {
                Outcome::Offer(_) => false,
                Outcome::Error(error) => {
                    assert_eq!(error.reason, "CLAIM_NOT_UNIQUE");
                    true
                }
            })
            .collect();
        let expected: &[bool] = if dry_run { &[false, true, false] } else { &[false, true, false, false] };
        assert_eq!(refused, expected, "{dry_run}");
    }
}

#[tokio::test]
async fn claims_are_returned_in_a_dry_run_without_those_that_are_drawn() {
    let issuer = start().await;
    let preview = proto::ImportTerms {
        credential_type: "EntitlementCredential".to_owned(),
        dry_run: true,
        return_claims: true,
        ..terms()
    };
    let offer = import(&issuer, preview.clone(), &[serial_row("a", &[])]).await[0].clone().unwrap();
    let shown = wire::from_struct(&offer.claims.unwrap()).unwrap();
    assert_eq!((shown.get("uses"), shown.get("serials")), (Some(&json!(1)), None), "{shown:?}");
    let not_dry = proto::ImportTerms { dry_run: false, ..preview };
    let refused = send(&issuer, vec![terms_message(not_dry)]).await;
    assert_eq!(reason(refused), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_stream_out_of_order_or_of_strangers_is_refused() {
    let issuer = start().await;
    let rows = rows_message(&[row("a")]);
    let none = proto::ImportOffersRequest { message: None };
    let many = vec![row("a"); 101];
    let with = |change: proto::ImportTerms| vec![terms_message(change), rows.clone()];
    for messages in [
        vec![rows.clone()],
        vec![none.clone()],
        vec![terms_message(terms()), terms_message(terms())],
        vec![terms_message(terms()), rows_message(&[])],
        vec![terms_message(terms()), rows_message(&many)],
        with(proto::ImportTerms { secret: vec![7; 32], ..terms() }),
        with(proto::ImportTerms { secret: SECRET[1..].to_vec(), ..terms() }),
        with(proto::ImportTerms { import_id: String::new(), ..terms() }),
        with(proto::ImportTerms { format: 0, ..terms() }),
    ] {
        let refused = send(&issuer, messages).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    // A batch before the wrong message is stored and answered.
    let messages = vec![terms_message(terms()), rows.clone(), none];
    let mut staff = issuer.staff();
    let mut stream = staff.import_offers(tokio_stream::iter(messages)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().outcomes.len(), 1);
    assert_eq!(stream.message().await.unwrap_err().code(), Code::InvalidArgument);
    let stranger = OfferServiceClient::new(issuer.channel.clone())
        .import_offers(tokio_stream::iter(vec![terms_message(terms()), rows]))
        .await;
    assert_eq!(reason(stranger), "TOKEN_MISSING");
    let unknown = proto::ImportTerms { credential_type: "Qualification".to_owned(), ..terms() };
    assert_eq!(refusal(&import(&issuer, unknown, &[row("b")]).await[0]), "TYPE_UNKNOWN");
}
