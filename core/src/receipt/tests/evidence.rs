//! Receipts that are shown to others.

use std::sync::Arc;

use super::*;
use crate::{
    did::{DidDocument, PinnedKeyResolver},
    secure::jose,
    trust::registration::{ReceiptKey, Registration, RegistrationRequest, RelyingParty},
};

const ASKER: &str = "did:web:jobs.example";

fn asker() -> Did {
    Did::parse(ASKER).unwrap()
}

fn asker_kid(fragment: &str) -> DidUrl {
    asker().with_fragment(fragment).unwrap()
}

fn registrar() -> SecretKey {
    secret(7)
}

/// The verifier's own site, which nobody reads later.
struct Site(Arc<DidDocument>);

impl Resolve for Site {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if *did == asker() { Ok(self.0.clone()) } else { SelfContainedResolver.resolve(did) }
    }
}

fn site() -> Site {
    let keys = [("key-1".to_owned(), verifier().public_key()), ("key-2".to_owned(), secret(3).public_key())];
    Site(Arc::new(DidDocument::parse(&asker(), &DidDocument::json_for_keys(&asker(), &keys)).unwrap()))
}

fn relying_party(keys: &[ReceiptKey]) -> RelyingParty {
    let mut party: RelyingParty = serde_json::from_value(json!({
        "id": ASKER, "name": "City Job Centre", "country": "DE", "privacy_policy": "https://jobs.example/privacy",
        "support_uri": "mailto:data@jobs.example",
        "supervisory_authority": {"name": "Data Protection Authority", "email": "post@dpa.example"},
        "intended_uses": [{
            "id": "job-right-to-work", "purpose": {"en": "To check that you may work."},
            "legal_basis": {"en": "Article 6(1)(c) GDPR"}, "retention_days": 365,
            "credentials": [{"meta": {"type_values": [["ResidencePermitCredential"]]}}]
        }]
    }))
    .unwrap();
    party.receipt_keys = keys.to_vec();
    party
}

fn key_1() -> ReceiptKey {
    ReceiptKey::new(&asker_kid("key-1"), &verifier().public_key())
}

fn registration_of(keys: &[ReceiptKey], by: &SecretKey, days: i64) -> Value {
    let request = RegistrationRequest::sign(&relying_party(keys), &asker_kid("key-1"), &verifier(), now()).unwrap();
    let request = RegistrationRequest::verify(&request, now(), SKEW, &site()).unwrap();
    let until = now().plus(days.saturating_mul(86_400));
    Value::Object(Registration::issue(&request, &kid(by), by, now().plus(-86_400), until).unwrap())
}

fn request_object(registration: Option<Value>, fragment: &str, signer: &SecretKey) -> String {
    let info: Vec<Value> = registration.into_iter().map(|data| json!({"format": "di_vc+jcs", "data": data})).collect();
    let payload = json!({"client_id": format!("{DID_CLIENT_ID_PREFIX}{ASKER}"), "verifier_info": info});
    let header = json!({"typ": REQUEST_TYP, "kid": asker_kid(fragment).to_string()});
    let (Value::Object(header), Value::Object(payload)) = (header, payload) else { unreachable!() };
    jose::sign(header, &payload, signer).unwrap()
}

fn receipt_for(request: &str, fragment: &str, signer: &SecretKey) -> Receipt {
    let content = ReceiptContent { request_digest: request_digest(request), ..content() };
    Receipt::issue(content, &asker_kid(fragment), signer, now()).unwrap()
}

fn export(request: &str, fragment: &str, signer: &SecretKey) -> ExportedReceipt {
    let receipt = receipt_for(request, fragment, signer);
    ExportedReceipt::new(receipt.document().clone(), Some(request.to_owned()), None)
}

fn good() -> ExportedReceipt {
    export(
        &request_object(Some(registration_of(&[key_1()], &registrar(), 365)), "key-1", &verifier()),
        "key-1",
        &verifier(),
    )
}

/// Verifies the export years later, with no network and only the registrar's DID pinned.
fn judged(file: &ExportedReceipt) -> Result<ReceiptEvidence, Problem> {
    // Through the file.
    let file = ExportedReceipt::parse(serde_json::to_string(file).unwrap().as_bytes())?;
    let pinned = did(&registrar());
    let registrars = |did: &str| did == pinned.as_str();
    let now = now().plus(5 * 366 * 86_400);
    ReceiptEvidence::verify(
        &file,
        &EvidenceAnchors { is_pinned_registrar: &registrars, resolver: &SelfContainedResolver, now, skew: SKEW },
    )
}

#[test]
fn a_third_party_needs_the_registrar_alone() {
    let evidence = judged(&good()).unwrap();
    assert_eq!((evidence.signer_proof(), evidence.request_signature_verified()), (SignerProof::Registration, true));
    assert_eq!(evidence.receipt().verifier(), ASKER);
    assert_eq!(evidence.registration().unwrap().relying_party().name, "City Job Centre");
    assert_eq!(evidence.erasure(), None);
}

#[test]
fn a_key_that_no_pinned_registrar_vouches_for_proves_nothing() {
    judged(&good()).unwrap();
    let unproven = |file: &ExportedReceipt| refused(judged(file), Code::ReceiptKeyUnproven);
    // By another registrar; by none; from before keys were named; with another key than the one that signed.
    unproven(&export(
        &request_object(Some(registration_of(&[key_1()], &secret(8), 365)), "key-1", &verifier()),
        "key-1",
        &verifier(),
    ));
    unproven(&export(&request_object(None, "key-1", &verifier()), "key-1", &verifier()));
    unproven(&export(
        &request_object(Some(registration_of(&[], &registrar(), 365)), "key-1", &verifier()),
        "key-1",
        &verifier(),
    ));
    let request = request_object(Some(registration_of(&[key_1()], &registrar(), 365)), "key-1", &verifier());
    unproven(&export(&request, "key-2", &secret(3)));
    // An export that is all forged, but for the registration.
    refused(judged(&export(&request, "key-1", &secret(3))), Code::SignatureInvalid);
    unproven(&ExportedReceipt { request: None, ..good() });
}

#[test]
fn a_request_that_is_not_the_receipts_is_refused() {
    let other = request_object(Some(registration_of(&[key_1()], &registrar(), 364)), "key-1", &verifier());
    refused(judged(&ExportedReceipt { request: Some(other), ..good() }), Code::ReceiptMismatch);
    // A request that somebody else signed in the verifier's name, for which the verifier gave a receipt.
    let registration = registration_of(&[key_1()], &registrar(), 365);
    let forged = request_object(Some(registration.clone()), "key-1", &secret(3));
    refused(judged(&export(&forged, "key-1", &verifier())), Code::SignatureInvalid);
    // With a key that the registration does not name, the receipt vouches for the request.
    let newer = request_object(Some(registration), "key-2", &secret(3));
    assert!(!judged(&export(&newer, "key-1", &verifier())).unwrap().request_signature_verified());
}

#[test]
fn a_registration_that_did_not_hold_then_is_refused() {
    let until = |days| {
        let registration = registration_of(&[key_1()], &registrar(), days);
        judged(&export(&request_object(Some(registration), "key-1", &verifier()), "key-1", &verifier()))
    };
    until(1).unwrap();
    // It ended half a day before the presentation.
    let request =
        RegistrationRequest::sign(&relying_party(&[key_1()]), &asker_kid("key-1"), &verifier(), now()).unwrap();
    let request = RegistrationRequest::verify(&request, now(), SKEW, &site()).unwrap();
    let (from, end) = (now().plus(-86_400), now().plus(-43_200));
    let over = Registration::issue(&request, &kid(&registrar()), &registrar(), from, end).unwrap();
    let request = request_object(Some(Value::Object(over)), "key-1", &verifier());
    refused(judged(&export(&request, "key-1", &verifier())), Code::Expired);
}

#[test]
fn a_did_that_is_made_of_its_key_needs_no_registrar() {
    let file = ExportedReceipt::new(receipt().document().clone(), None, None);
    let evidence = judged(&file).unwrap();
    assert_eq!((evidence.signer_proof(), evidence.registration()), (SignerProof::Did, None));
    let altered = changed(receipt().document(), |d| d["credentialSubject"]["erase_at"] = json!("2026-11-23T00:00:00Z"));
    refused(judged(&ExportedReceipt { receipt: altered, ..file }), Code::SignatureInvalid);
}

#[test]
fn an_erasure_is_shown_with_it() {
    let file = good();
    let receipt = judged(&file).unwrap().receipt().clone();
    let confirmed = |fragment: &str, signer: &SecretKey| {
        let confirmation = ErasureConfirmation::issue(&receipt, now(), &asker_kid(fragment), signer, now()).unwrap();
        judged(&ExportedReceipt { confirmation: Some(confirmation.document().clone()), ..file.clone() })
    };
    assert_eq!(confirmed("key-1", &verifier()).unwrap().erasure(), Some(ErasureEvidence::Confirmed(now())));
    assert_eq!(confirmed("key-2", &secret(3)).unwrap().erasure(), Some(ErasureEvidence::Unproven));
    refused(confirmed("key-1", &secret(3)), Code::SignatureInvalid);
}

#[test]
fn a_file_of_another_form_is_refused() {
    let text = serde_json::to_string(&good()).unwrap();
    ExportedReceipt::parse(text.as_bytes()).unwrap();
    for other in [text.replacen('{', "{\"more\":1,", 1), text.replace("carnet-receipt/1", "carnet-receipt/2")] {
        refused(ExportedReceipt::parse(other.as_bytes()), Code::ReceiptInvalid);
    }
    refused(ExportedReceipt::parse(b"[]"), Code::InvalidJson);
}

#[test]
fn a_registration_names_keys_of_the_askers_own_and_each_once() {
    let make = |keys: &[ReceiptKey]| {
        RegistrationRequest::sign(&relying_party(keys), &asker_kid("key-1"), &verifier(), now())
            .and_then(|request| RegistrationRequest::verify(&request, now(), SKEW, &site()))
    };
    make(&[]).unwrap();
    make(&[key_1(), ReceiptKey::new(&asker_kid("key-2"), &secret(3).public_key())]).unwrap();
    let other = did(&secret(3)).with_fragment(did(&secret(3)).method_specific_id()).unwrap();
    for bad in [
        vec![key_1(), key_1()],
        vec![ReceiptKey::new(&other, &secret(3).public_key())],
        vec![ReceiptKey::new(&asker_kid("key-1"), &holder().public_key())],
        vec![ReceiptKey { multikey: "z6Mk".to_owned(), ..key_1() }],
        vec![key_1(); 17],
    ] {
        refused(make(&bad), Code::RegistrationInvalid);
    }
    // A key that the verifier's own document does not have under that name is not registered.
    refused(make(&[ReceiptKey::new(&asker_kid("key-2"), &verifier().public_key())]), Code::RegistrationMismatch);
    refused(make(&[ReceiptKey::new(&asker_kid("key-3"), &secret(3).public_key())]), Code::MethodUnknown);
}

#[test]
fn pinned_keys_answer_for_their_did_alone() {
    let known = PinnedKeyResolver::new(&asker(), &[("key-1".to_owned(), verifier().public_key())]).unwrap();
    assert!(
        known
            .resolve(&asker())
            .unwrap()
            .key_for(&asker_kid("key-1"), VerificationRelationship::AssertionMethod)
            .is_ok()
    );
    refused(known.resolve(&did(&verifier())), Code::DidUnresolved);
}
