//! Erasure: a request with the receipt and a key that presented, and the signed answer.

use super::*;
use crate::secure::jose;

const MAX_AGE: i64 = 300;

fn header(key: &SecretKey) -> Map<String, Value> {
    json!({"typ": ERASURE_TYP, "jwk": key.public_key().to_jwk()}).as_object().unwrap().clone()
}

fn payload() -> Map<String, Value> {
    let receipt = receipt();
    json!({"aud": receipt.verifier(), "iat": now().unix(), "receipt_digest": receipt.digest()})
        .as_object()
        .unwrap()
        .clone()
}

fn request() -> String {
    ErasureRequest::sign(&receipt(), &holder(), now()).unwrap()
}

fn verify_at(token: &str, now: Timestamp) -> Result<ErasureRequest, Problem> {
    ErasureRequest::verify(token, &receipt(), now, MAX_AGE, SKEW)
}

/// A request with something else in its header or payload, signed in earnest; without the change it holds.
#[track_caller]
fn with(
    signer: &SecretKey,
    change: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>),
) -> Result<ErasureRequest, Problem> {
    let (mut header, mut payload) = (header(&holder()), payload());
    verify_at(&jose::sign(header.clone(), &payload, &holder()).unwrap(), now()).unwrap();
    change(&mut header, &mut payload);
    verify_at(&jose::sign(header, &payload, signer).unwrap(), now())
}

#[test]
fn erasure_is_asked_for_and_confirmed() {
    let asked = verify_at(&request(), now()).unwrap();
    assert_eq!((asked.receipt_digest(), asked.issued_at()), (receipt().digest(), now()));
    let issued = ErasureConfirmation::issue(&receipt(), now(), &kid(&verifier()), &verifier(), now()).unwrap();
    let read = ErasureConfirmation::verify(issued.document(), &receipt(), now(), SKEW, &SelfContainedResolver).unwrap();
    assert_eq!(read, issued);
    assert_eq!((read.receipt_digest(), read.request_id(), read.erased_at()), (receipt().digest(), "r-1", now()));
}

#[test]
fn a_key_that_did_not_present_cannot_ask() {
    ErasureRequest::sign(&receipt(), &holder(), now()).unwrap();
    refused(ErasureRequest::sign(&receipt(), &secret(9), now()), Code::ErasureUnproven);
    // With its own key in the header, with the holder's key there, or without any.
    refused(with(&secret(9), |h, _| *h = header(&secret(9))), Code::ErasureUnproven);
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[9; 32]).unwrap();
    refused(with(&p256, |_, _| {}), Code::SignatureInvalid);
    refused(with(&holder(), |h, _| drop(h.remove("jwk"))), Code::ErasureUnproven);
    refused(
        with(&holder(), |h, _| {
            h.remove("jwk");
            h.insert("kid".to_owned(), json!(kid(&holder()).to_string()));
        }),
        Code::ErasureUnproven,
    );
}

#[test]
fn a_request_for_another_receipt_or_verifier_is_refused() {
    let other = Receipt::issue(
        ReceiptContent { request_id: "r-2".to_owned(), ..content() },
        &kid(&verifier()),
        &verifier(),
        now(),
    );
    let token = ErasureRequest::sign(&other.unwrap(), &holder(), now()).unwrap();
    verify_at(&request(), now()).unwrap();
    refused(verify_at(&token, now()), Code::ErasureUnproven);
    refused(with(&holder(), |_, p| drop(p.remove("receipt_digest"))), Code::ErasureUnproven);
    refused(with(&holder(), |_, p| p["aud"] = json!("did:web:other.example")), Code::DomainMismatch);
    refused(with(&holder(), |_, p| p["aud"] = json!([p["aud"]])), Code::DomainMismatch);
    refused(with(&holder(), |_, p| drop(p.remove("aud"))), Code::DomainMissing);
}

#[test]
fn a_request_has_the_members_of_its_form_alone() {
    with(&holder(), |_, _| {}).unwrap();
    // One of them an end that nobody would check.
    for name in ["exp", "nbf", "jti", "x"] {
        refused(with(&holder(), |_, p| drop(p.insert(name.to_owned(), json!(0)))), Code::MalformedValue);
        refused(with(&holder(), |h, _| drop(h.insert(name.to_owned(), json!(0)))), Code::MalformedValue);
    }
}

#[test]
fn row_04_an_erasure_request_of_another_typ() {
    for typ in ["kb+jwt", "openid4vci-proof+jwt", "JWT", "Carnet-Erasure+jwt"] {
        refused(with(&holder(), |h, _| h["typ"] = json!(typ)), Code::TokenType);
    }
    refused(with(&holder(), |h, _| drop(h.remove("typ"))), Code::TokenType);
}

#[test]
fn row_48_a_stale_erasure_request() {
    for good in [now().plus(-SKEW), now(), now().plus(MAX_AGE + SKEW)] {
        verify_at(&request(), good).unwrap();
    }
    refused(verify_at(&request(), now().plus(-SKEW - 1)), Code::NotYetValid);
    refused(verify_at(&request(), now().plus(MAX_AGE + SKEW + 1)), Code::Expired);
    refused(with(&holder(), |_, p| drop(p.remove("iat"))), Code::ClaimMissing);
    refused(with(&holder(), |_, p| p["iat"] = json!("2026-11-22")), Code::MalformedValue);
}

fn confirmation() -> Map<String, Value> {
    let issued = ErasureConfirmation::issue(&receipt(), now(), &kid(&verifier()), &verifier(), now()).unwrap();
    issued.document().clone()
}

fn confirmed(document: &Map<String, Value>) -> Result<ErasureConfirmation, Problem> {
    ErasureConfirmation::verify(document, &receipt(), now(), SKEW, &SelfContainedResolver)
}

#[test]
fn a_confirmation_by_another_or_altered_is_refused() {
    let document = confirmation();
    confirmed(&document).unwrap();
    let other = secret(9);
    refused(ErasureConfirmation::issue(&receipt(), now(), &kid(&other), &other, now()), Code::ReceiptMismatch);
    let content = &document["credentialSubject"];
    let by_other = erasure::CONFIRMATION.sign(content, (now(), None), &kid(&other), &other).unwrap();
    refused(confirmed(&by_other), Code::ReceiptMismatch);
    refused(
        confirmed(&signed_by(&document, &kid(&other), &other, VerificationRelationship::AssertionMethod)),
        Code::MethodOfOther,
    );
    let swapped = signed_by(&document, &kid(&verifier()), &verifier(), VerificationRelationship::Authentication);
    refused(confirmed(&swapped), Code::ProofPurpose);
    let later = |d: &mut Map<String, Value>| d["credentialSubject"]["erased_at"] = json!("2026-11-22T12:00:01Z");
    refused(confirmed(&changed(&document, later)), Code::SignatureInvalid);
    // A receipt is no confirmation, nor the other way round.
    refused(confirmed(receipt().document()), Code::ReceiptInvalid);
    refused(verify(&document), Code::ReceiptInvalid);
}

#[test]
fn a_confirmation_for_another_receipt_is_refused() {
    let sign = |change: fn(&mut Value)| {
        let mut subject = confirmation()["credentialSubject"].clone();
        change(&mut subject);
        confirmed(&erasure::CONFIRMATION.sign(&subject, (now(), None), &kid(&verifier()), &verifier()).unwrap())
    };
    sign(|_| {}).unwrap();
    refused(sign(|s| s["receipt_digest"] = json!(request_digest("another"))), Code::ReceiptMismatch);
    refused(sign(|s| s["request"] = json!("r-2")), Code::ReceiptMismatch);
    refused(sign(|s| s["erased_at"] = json!("2026-11-22T11:59:59Z")), Code::ReceiptInvalid);
    refused(sign(|s| s["erased_at"] = json!("2026-11-22T12:01:01Z")), Code::NotYetValid);
    refused(sign(|s| s["value"] = json!(1)), Code::ReceiptInvalid);
}

#[test]
fn erasure_lies_between_the_verification_and_its_confirmation() {
    let issue = |erased_at| ErasureConfirmation::issue(&receipt(), erased_at, &kid(&verifier()), &verifier(), now());
    issue(now()).unwrap();
    refused(issue(now().plus(-1)), Code::ReceiptInvalid);
    refused(issue(now().plus(1)), Code::ReceiptInvalid);
}
