use serde_json::{Value, json};

use super::*;
use crate::{
    did::{Did, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm},
    query::parse_path,
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
};

mod erasing;
mod evidence;

const SKEW: i64 = 60;
const REQUEST_OBJECT: &str = "header.payload.signature";

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap()
}

fn did(key: &SecretKey) -> Did {
    Did::did_key(&key.public_key())
}

fn kid(key: &SecretKey) -> DidUrl {
    did(key).with_fragment(did(key).method_specific_id()).unwrap()
}

fn verifier() -> SecretKey {
    secret(1)
}

/// The key of the copy that was presented; copies may have either kind of key.
fn holder() -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::Es256, &[2; 32]).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn subject() -> Value {
    json!({
        "request": "r-1", "request_digest": request_digest(REQUEST_OBJECT), "intended_use": "job-right-to-work",
        "purpose": {"en": "To check that you may work."}, "accepted": true,
        "shown": [{
            "query_id": "permit", "type": "ResidencePermitCredential", "issuer": "did:web:authority.example",
            "paths": ["credentialSubject.rightToWork"],
            "thresholds": [{"path": "credentialSubject.validUntil", "at_least": "2026-11-22"}]
        }],
        "holder_keys": [holder().public_key().thumbprint()],
        "verified_at": "2026-11-22T12:00:00Z", "erase_at": "2027-11-22T12:00:00Z"
    })
}

fn content() -> ReceiptContent {
    serde_json::from_value(subject()).unwrap()
}

fn receipt() -> Receipt {
    Receipt::issue(content(), &kid(&verifier()), &verifier(), now()).unwrap()
}

/// A receipt that says anything at all, signed in earnest.
fn signed(subject: &Value) -> Map<String, Value> {
    RECEIPT.sign(subject, (now(), None), &kid(&verifier()), &verifier()).unwrap()
}

fn verify_as(
    document: &Map<String, Value>,
    verifier: &str,
    request_object: &str,
    now: Timestamp,
) -> Result<Receipt, Problem> {
    let request_digest = request_digest(request_object);
    let expected =
        ExpectedReceipt { verifier, request_digest: &request_digest, presentation_digest: None, now, skew: SKEW };
    Receipt::verify(document, &expected, &SelfContainedResolver)
}

fn verify(document: &Map<String, Value>) -> Result<Receipt, Problem> {
    verify_as(document, did(&verifier()).as_str(), REQUEST_OBJECT, now())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

/// A document with something changed after it was signed.
fn changed(document: &Map<String, Value>, change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let mut document = document.clone();
    change(&mut document);
    document
}

/// A document with a new proof, by another key or for another purpose.
fn signed_by(
    document: &Map<String, Value>,
    kid: &DidUrl,
    signer: &SecretKey,
    purpose: VerificationRelationship,
) -> Map<String, Value> {
    let document = changed(document, |d| drop(d.remove("proof")));
    let options = ProofOptions {
        verification_method: &kid.to_string(),
        purpose,
        created: Some(now()),
        expires: None,
        challenge: None,
        domain: None,
    };
    data_integrity::add_proof(&document, &EddsaJcs2022, &options, signer).unwrap()
}

#[test]
fn a_receipt_is_given_and_kept() {
    let issued = receipt();
    assert_eq!(issued.content(), &content());
    assert_eq!(issued.verifier(), did(&verifier()).as_str());
    // It can go over the wire and come back, and is the same receipt.
    let text = serde_json::to_vec(issued.document()).unwrap();
    let read = crate::json::parse_object(&text, crate::json::Limits::DOCUMENT).unwrap();
    assert_eq!(verify(&read).unwrap(), issued);
    let recognised = Receipt::verify_own(&read, issued.verifier(), now(), SKEW, &SelfContainedResolver).unwrap();
    assert_eq!(recognised.digest(), issued.digest());
    // Years later it still proves which claims were taken.
    verify_as(&read, issued.verifier(), REQUEST_OBJECT, now().plus(10 * 366 * 86_400)).unwrap();
}

#[test]
fn a_receipt_for_another_request_or_by_another_verifier_is_refused() {
    let receipt = receipt();
    let did = did(&verifier());
    verify_as(receipt.document(), did.as_str(), REQUEST_OBJECT, now()).unwrap();
    refused(verify_as(receipt.document(), did.as_str(), "another.request.object", now()), Code::ReceiptMismatch);
    refused(verify_as(receipt.document(), "did:web:o.example", REQUEST_OBJECT, now()), Code::ReceiptMismatch);
    refused(
        Receipt::verify_own(receipt.document(), "did:web:o.example", now(), SKEW, &SelfContainedResolver),
        Code::ReceiptMismatch,
    );
}

fn vp_token(presentations: &[&str]) -> BTreeMap<String, Vec<String>> {
    [("permit".to_owned(), presentations.iter().map(|&text| text.to_owned()).collect())].into()
}

#[test]
fn a_receipt_names_the_presentation_and_no_other() {
    // SHA-256 of {"permit":["a.b~c","d\"e"]}, made with another program.
    let sent = presentation_digest(&vp_token(&["a.b~c", "d\"e"])).unwrap();
    assert_eq!(sent, "oH58E0IqyxsbYQPF85NFCnNaTsQQITdF63X3WAkSbgo");
    let swapped = presentation_digest(&vp_token(&["d\"e", "a.b~c"])).unwrap();
    assert_ne!(sent, swapped);
    let digest = request_digest(REQUEST_OBJECT);
    let did = did(&verifier());
    let verify = |named: Option<&str>, expected: Option<&str>| {
        let content = ReceiptContent { presentation_digest: named.map(str::to_owned), ..content() };
        let receipt = Receipt::issue(content, &kid(&verifier()), &verifier(), now()).unwrap();
        let expected = ExpectedReceipt {
            verifier: did.as_str(),
            request_digest: &digest,
            presentation_digest: expected,
            now: now(),
            skew: SKEW,
        };
        Receipt::verify(receipt.document(), &expected, &SelfContainedResolver)
    };
    for (named, expected) in [(Some(&sent), Some(&sent)), (None, Some(&sent)), (Some(&sent), None), (None, None)] {
        verify(named.map(String::as_str), expected.map(String::as_str)).unwrap();
    }
    refused(verify(Some(&swapped), Some(&sent)), Code::ReceiptMismatch);
}

#[test]
fn row_12_a_receipt_from_the_future() {
    let did = did(&verifier());
    let at = |now: Timestamp| verify_as(receipt().document(), did.as_str(), REQUEST_OBJECT, now);
    at(now().plus(-SKEW)).unwrap();
    refused(at(now().plus(-SKEW - 1)), Code::NotYetValid);
    // Nor may it speak of a verification that is yet to come.
    let mut subject = subject();
    subject["verified_at"] = json!("2026-11-22T12:01:00Z");
    verify(&signed(&subject)).unwrap();
    subject["verified_at"] = json!("2026-11-22T12:01:01Z");
    refused(verify(&signed(&subject)), Code::NotYetValid);
}

#[test]
fn row_16_a_receipt_by_the_key_of_another_did() {
    let (document, purpose) = (receipt().document().clone(), VerificationRelationship::AssertionMethod);
    verify(&signed_by(&document, &kid(&verifier()), &verifier(), purpose)).unwrap();
    refused(verify(&signed_by(&document, &kid(&secret(9)), &secret(9), purpose)), Code::MethodOfOther);
    refused(verify(&signed_by(&document, &kid(&verifier()), &secret(9), purpose)), Code::SignatureInvalid);
}

#[test]
fn row_19_a_receipt_with_another_proof_purpose() {
    let document = receipt().document().clone();
    verify(&signed_by(&document, &kid(&verifier()), &verifier(), VerificationRelationship::AssertionMethod)).unwrap();
    let other = signed_by(&document, &kid(&verifier()), &verifier(), VerificationRelationship::Authentication);
    refused(verify(&other), Code::ProofPurpose);
}

#[test]
fn an_altered_receipt_is_refused() {
    let document = receipt().document().clone();
    verify(&document).unwrap();
    let faults: [fn(&mut Map<String, Value>); 5] = [
        |d| d["credentialSubject"]["accepted"] = json!(false),
        |d| d["credentialSubject"]["shown"][0]["paths"] = json!([]),
        |d| d["credentialSubject"]["shown"][0]["thresholds"][0]["at_least"] = json!("2026-11-23"),
        |d| d["credentialSubject"]["erase_at"] = json!("2026-11-23T00:00:00Z"),
        |d| d["credentialSubject"]["holder_keys"][0] = json!(secret(9).public_key().thumbprint()),
    ];
    for fault in faults {
        refused(verify(&changed(&document, fault)), Code::SignatureInvalid);
    }
    refused(verify(&changed(&document, |d| drop(d.remove("proof")))), Code::ProofMissing);
}

#[test]
fn there_is_no_place_for_a_value() {
    verify(&signed(&subject())).unwrap();
    let faults: [fn(&mut Value); 6] = [
        |s| s["claims"] = json!({"rightToWork": true}),
        |s| s["shown"][0]["values"] = json!([true]),
        |s| s["shown"][0]["disclosed"] = json!({"rightToWork": true}),
        |s| s["shown"][0]["paths"] = json!([{"path": "rightToWork", "value": true}]),
        |s| s["shown"][0]["thresholds"][0]["value"] = json!("2027-03-01"),
        |s| s["keeps"] = json!([{"path": "a", "erase_at": "2027-01-01T00:00:00Z", "value": 1}]),
    ];
    for fault in faults {
        let mut faulty = subject();
        fault(&mut faulty);
        refused(verify(&signed(&faulty)), Code::ReceiptInvalid);
    }
}

#[test]
fn a_receipt_is_held_to_its_form() {
    let faults: [fn(&mut Value); 20] = [
        |s| s["request"] = json!(""),
        |s| s["request_digest"] = json!("AAAA"),
        |s| s["request_digest"] = json!("=".repeat(43)),
        |s| s["presentation_digest"] = json!("AAAA"),
        |s| s["intended_use"] = json!("job right"),
        |s| s["purpose"] = json!({"de": "Zweck"}),
        |s| s["accepted"] = json!(false),
        |s| s["reason"] = json!("expired"),
        |s| s["shown"][0]["query_id"] = json!("a b"),
        |s| s["shown"][0]["type"] = json!(""),
        |s| s["shown"][0]["issuer"] = json!("authority"),
        |s| s["shown"][0]["paths"] = json!([""]),
        |s| s["shown"][0]["thresholds"][0]["at_most"] = json!("2026-11-22"),
        |s| s["shown"][0]["thresholds"][0] = json!({"path": "a"}),
        |s| s["shown"][0]["thresholds"][0]["at_least"] = json!({"a": 1}),
        |s| s["shown"] = json!(vec![s["shown"][0].clone(); 33]),
        |s| s["holder_keys"] = json!(["key"]),
        |s| s["verified_at"] = json!("2026-11-22T12:00:00"),
        |s| s["erase_at"] = json!("2026-11-22T11:59:59Z"),
        |s| s["keeps"] = json!([{"path": "a", "erase_at": "2026-11-22T11:59:59Z"}]),
    ];
    for (at, fault) in faults.iter().enumerate() {
        let mut faulty = subject();
        verify(&signed(&faulty)).unwrap();
        fault(&mut faulty);
        refused(verify(&signed(&faulty)).map(|_| at), Code::ReceiptInvalid);
    }
    // Such a one is not even signed.
    let issue = |content| Receipt::issue(content, &kid(&verifier()), &verifier(), now());
    refused(issue(ReceiptContent { erase_at: now().plus(-1), ..content() }), Code::ReceiptInvalid);
}

#[test]
fn a_refusal_gets_a_receipt_too() {
    let refusal = ReceiptContent { accepted: false, reason: Some("expired".to_owned()), ..content() };
    let receipt = Receipt::issue(refusal.clone(), &kid(&verifier()), &verifier(), now()).unwrap();
    assert_eq!(verify(receipt.document()).unwrap().content(), &refusal);
}

#[test]
fn what_is_kept_is_said() {
    let kept = RetainedClaim { path: "credentialSubject.title".to_owned(), erase_at: now().plus(86_400) };
    let content = ReceiptContent { retained: vec![kept.clone()], ..content() };
    let receipt = Receipt::issue(content, &kid(&verifier()), &verifier(), now()).unwrap();
    assert_eq!(verify(receipt.document()).unwrap().content().retained, [kept]);
}

#[test]
fn a_threshold_is_written_as_it_was_asked_for() {
    let path = parse_path(&json!(["credentialSubject", "dateOfBirth"])).unwrap();
    let threshold = Threshold::new(Direction::AtMost, json!("2008-11-22")).unwrap();
    let shown = DisclosedThreshold::new(&path, &threshold);
    let json = serde_json::to_value(&shown).unwrap();
    assert_eq!(json, json!({"path": "credentialSubject.dateOfBirth", "at_most": "2008-11-22"}));
    assert_eq!((shown.path(), shown.threshold().unwrap()), ("credentialSubject.dateOfBirth", threshold));
}

#[test]
fn a_use_is_one_of_as_many_as_there_are_and_of_what_was_shown() {
    let query_id = content().disclosed[0].query_id.clone();
    let with = |query_id: &str, number, of| {
        let redeemed = Some(RedeemedUse { query_id: query_id.to_owned(), number: Some(number), total: Some(of) });
        Receipt::issue(ReceiptContent { redeemed, ..content() }, &kid(&verifier()), &verifier(), now())
    };
    for (number, of) in [(1, 1), (3, 3), (1, MAX_USES)] {
        let receipt = verify(with(&query_id, number, of).unwrap().document()).unwrap();
        let said = receipt.content().redeemed.as_ref().unwrap();
        assert_eq!((said.number, said.total), (Some(number), Some(of)));
    }
    for (number, of) in [(0, 1), (2, 1), (1, 0), (0, 0), (1, MAX_USES + 1)] {
        refused(with(&query_id, number, of), Code::ReceiptInvalid);
    }
    refused(with("another", 1, 1), Code::ReceiptInvalid);
    // Of a use by its serial neither is known; one without the other says nothing.
    for (number, of, holds) in [(None, None, true), (Some(1), None, false), (None, Some(1), false)] {
        let redeemed = Some(RedeemedUse { query_id: query_id.clone(), number, total: of });
        let issued = Receipt::issue(ReceiptContent { redeemed, ..content() }, &kid(&verifier()), &verifier(), now());
        assert_eq!(issued.map(|receipt| verify(receipt.document()).unwrap()).is_ok(), holds);
    }
    let redeemed = Some(RedeemedUse { query_id, number: Some(1), total: Some(1) });
    let refusal = ReceiptContent { accepted: false, reason: Some("expired".to_owned()), redeemed, ..content() };
    refused(Receipt::issue(refusal, &kid(&verifier()), &verifier(), now()), Code::ReceiptInvalid);
}
