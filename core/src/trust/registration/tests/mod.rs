use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::{
    did::{Did, DidDocument, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
};

mod bounds;
mod excess;

const ASKER: &str = "did:web:agency.example";
const SKEW: i64 = 60;

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap()
}

/// The did:key of a key, and its one verification method.
fn did_key(key: &SecretKey) -> DidUrl {
    let did = Did::did_key(&key.public_key());
    did.with_fragment(did.method_specific_id()).unwrap()
}

fn registrar() -> SecretKey {
    secret(1)
}

fn asker() -> SecretKey {
    secret(2)
}

fn asker_kid() -> DidUrl {
    DidUrl::parse(&format!("{ASKER}#key-1")).unwrap()
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn day(offset: i64) -> Timestamp {
    now().plus(offset.saturating_mul(86_400))
}

/// Knows the verifier's document, which has a second key for authentication alone, and records the DIDs that are
/// resolved.
#[derive(Default)]
struct Resolver(Mutex<Vec<String>>);

impl Resolve for Resolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.0.lock().unwrap().push(did.to_string());
        if did.as_str() != ASKER {
            return SelfContainedResolver.resolve(did);
        }
        let keys = [("key-1".to_owned(), asker().public_key()), ("key-2".to_owned(), secret(3).public_key())];
        let mut document = DidDocument::json_for_keys(did, &keys);
        document["assertionMethod"] = json!(["#key-1"]);
        document["authentication"] = json!(["#key-1", "#key-2"]);
        DidDocument::parse(did, &document).map(Arc::new)
    }
}

fn subject() -> Value {
    json!({
        "id": ASKER, "name": "City Job Centre", "sub": "VATDE-123456789", "country": "DE",
        "registry_uri": "https://register.example/wrp", "privacy_policy": "https://agency.example/privacy",
        "support_uri": "mailto:data@agency.example",
        "supervisory_authority": {"name": "Data Protection Authority", "email": "post@dpa.example", "uri": "https://dpa.example"},
        "intended_uses": [{
            "id": "job-right-to-work", "purpose": {"en": "To check that you may work."},
            "legal_basis": {"en": "Article 6(1)(c) GDPR"}, "retention_days": 365,
            "credentials": [{
                "meta": {"type_values": [["ResidencePermitCredential"]]},
                "claims": [
                    {"path": ["credentialSubject", "rightToWork"]},
                    {"path": ["credentialSubject", "validUntil"], "carnet_at_least": true}
                ]
            }]
        }]
    })
}

fn relying_party() -> RelyingParty {
    serde_json::from_value(subject()).unwrap()
}

fn request() -> Map<String, Value> {
    RegistrationRequest::sign(&relying_party(), &asker_kid(), &asker(), now()).unwrap()
}

fn verify_request(document: &Map<String, Value>) -> Result<RegistrationRequest, Problem> {
    RegistrationRequest::verify(document, now(), SKEW, &Resolver::default())
}

fn registration() -> Map<String, Value> {
    let request = verify_request(&request()).unwrap();
    Registration::issue(&request, &did_key(&registrar()), &registrar(), now(), day(365)).unwrap()
}

/// A registration that says anything at all, signed in earnest.
fn registered(subject: &Value) -> Map<String, Value> {
    REGISTRATION.sign(subject, (now(), Some(day(365))), &did_key(&registrar()), &registrar()).unwrap()
}

fn verify_at(document: &Map<String, Value>, asker: &str, now: Timestamp) -> Result<Registration, Problem> {
    let pinned = Did::did_key(&registrar().public_key());
    let registrars = |did: &str| did == pinned.as_str();
    let expected = ExpectedRegistration { verifier: asker, is_trusted_registrar: &registrars, now, skew: SKEW };
    Registration::verify(document, &expected, &Resolver::default())
}

fn verify(document: &Map<String, Value>) -> Result<Registration, Problem> {
    verify_at(document, ASKER, now())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

/// A registration with something changed after it was signed; unchanged, it holds.
#[track_caller]
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let mut document = registration();
    verify(&document).unwrap();
    change(&mut document);
    document
}

/// A registration with a new proof, by another key or for another purpose.
fn signed_by(kid: &DidUrl, signer: &SecretKey, purpose: VerificationRelationship) -> Map<String, Value> {
    signed_anew(registration(), kid, signer, purpose)
}

fn signed_anew(
    mut document: Map<String, Value>,
    kid: &DidUrl,
    signer: &SecretKey,
    purpose: VerificationRelationship,
) -> Map<String, Value> {
    document.remove("proof");
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
fn an_asker_is_registered() {
    let asked = verify_request(&request()).unwrap();
    assert_eq!((asked.relying_party(), asked.requested_at()), (&relying_party(), now()));
    let held = verify(&registration()).unwrap();
    assert_eq!(held.relying_party(), &relying_party());
    assert_eq!(held.registrar(), Did::did_key(&registrar().public_key()).as_str());
    assert_eq!((held.valid_from(), held.valid_until()), (now(), day(365)));
    // It can go over the wire.
    let text = serde_json::to_vec(&registration()).unwrap();
    let read = crate::json::parse_object(&text, crate::json::Limits::DOCUMENT).unwrap();
    assert_eq!(verify(&read).unwrap(), held);
}

#[test]
fn a_registrar_that_is_not_pinned_is_refused_and_not_even_resolved() {
    let request = verify_request(&request()).unwrap();
    let other = secret(9);
    let by = |key: &SecretKey| Registration::issue(&request, &did_key(key), key, now(), day(365)).unwrap();
    verify(&by(&registrar())).unwrap();
    refused(verify(&by(&other)), Code::RegistrarUntrusted);
    let resolver = Resolver::default();
    let expected = ExpectedRegistration { verifier: ASKER, is_trusted_registrar: &|_| false, now: now(), skew: SKEW };
    refused(Registration::verify(&by(&other), &expected, &resolver), Code::RegistrarUntrusted);
    assert!(resolver.0.lock().unwrap().is_empty());
    // Nobody vouches for themselves: a verifier's own registration is by a registrar that is not pinned.
    let own = Registration::issue(&request, &asker_kid(), &asker(), now(), day(365)).unwrap();
    refused(verify(&own), Code::RegistrarUntrusted);
}

#[test]
fn a_registration_of_another_asker_is_refused() {
    verify_at(&registration(), ASKER, now()).unwrap();
    for other in ["did:web:other.example", "did:web:agency.example:branch", ""] {
        refused(verify_at(&registration(), other, now()), Code::RegistrationMismatch);
    }
}

#[test]
fn row_11_an_expired_registration() {
    verify_at(&registration(), ASKER, day(365).plus(SKEW)).unwrap();
    refused(verify_at(&registration(), ASKER, day(365).plus(SKEW + 1)), Code::Expired);
}

#[test]
fn row_12_a_registration_whose_time_has_not_come() {
    verify_at(&registration(), ASKER, now().plus(-SKEW)).unwrap();
    refused(verify_at(&registration(), ASKER, now().plus(-SKEW - 1)), Code::NotYetValid);
    // Also if it was signed before that.
    let from = |from: &str| {
        let mut document = registration();
        document["validFrom"] = json!(from);
        verify(&signed_anew(document, &did_key(&registrar()), &registrar(), VerificationRelationship::AssertionMethod))
    };
    from("2026-11-22T12:01:00Z").unwrap();
    refused(from("2026-11-22T12:01:01Z"), Code::NotYetValid);
}

#[test]
fn row_16_a_registration_by_the_key_of_another_did() {
    let purpose = VerificationRelationship::AssertionMethod;
    verify(&signed_by(&did_key(&registrar()), &registrar(), purpose)).unwrap();
    refused(verify(&signed_by(&did_key(&secret(9)), &secret(9), purpose)), Code::MethodOfOther);
    refused(verify(&signed_by(&did_key(&registrar()), &secret(9), purpose)), Code::SignatureInvalid);
}

#[test]
fn row_18_a_request_by_a_key_for_authentication_only() {
    let by = |fragment: &str, key: &SecretKey| {
        let kid = DidUrl::parse(&format!("{ASKER}#{fragment}")).unwrap();
        verify_request(&RegistrationRequest::sign(&relying_party(), &kid, key, now()).unwrap())
    };
    by("key-1", &asker()).unwrap();
    refused(by("key-2", &secret(3)), Code::MethodRelationship);
}

#[test]
fn row_19_a_registration_with_another_proof_purpose() {
    let kid = did_key(&registrar());
    verify(&signed_by(&kid, &registrar(), VerificationRelationship::AssertionMethod)).unwrap();
    refused(verify(&signed_by(&kid, &registrar(), VerificationRelationship::Authentication)), Code::ProofPurpose);
    refused(verify(&changed(|d| d["proof"]["proofPurpose"] = json!("authentication"))), Code::ProofPurpose);
}

#[test]
fn an_altered_registration_is_refused() {
    let faults: [fn(&mut Map<String, Value>); 5] = [
        |d| d["credentialSubject"]["name"] = json!("Ministry of Labour"),
        |d| d["credentialSubject"]["support_uri"] = json!("mailto:data@other.example"),
        |d| d["credentialSubject"]["intended_uses"][0]["retention_days"] = json!(1),
        |d| {
            d["credentialSubject"]["intended_uses"][0]["credentials"][0]["claims"][0]["path"] =
                json!(["credentialSubject"])
        },
        |d| d["validUntil"] = json!("2027-11-23T00:00:00Z"),
    ];
    for fault in faults {
        refused(verify(&changed(fault)), Code::SignatureInvalid);
    }
    refused(verify(&changed(|d| drop(d.remove("proof")))), Code::ProofMissing);
}

#[test]
fn a_registration_has_one_proof() {
    let twice = changed(|d| d["proof"] = json!([d["proof"], d["proof"]]));
    refused(verify(&twice), Code::RegistrationInvalid);
    refused(verify(&changed(|d| d["proof"] = json!([d["proof"]]))), Code::RegistrationInvalid);
}

#[test]
fn a_request_is_no_registration_and_a_registration_no_request() {
    let anyone = ExpectedRegistration { verifier: ASKER, is_trusted_registrar: &|_| true, now: now(), skew: SKEW };
    Registration::verify(&registration(), &anyone, &Resolver::default()).unwrap();
    refused(Registration::verify(&request(), &anyone, &Resolver::default()), Code::RegistrationInvalid);
    verify_request(&request()).unwrap();
    refused(verify_request(&registration()), Code::RegistrationInvalid);
}

#[test]
fn a_request_is_signed_by_the_one_that_it_is_about() {
    refused(
        RegistrationRequest::sign(&relying_party(), &did_key(&secret(9)), &secret(9), now()),
        Code::RegistrationMismatch,
    );
    // And if somebody signs one nevertheless.
    let sign = |kid: &DidUrl, key: &SecretKey| REQUEST.sign(&relying_party(), (now(), None), kid, key).unwrap();
    verify_request(&sign(&asker_kid(), &asker())).unwrap();
    refused(verify_request(&sign(&did_key(&secret(9)), &secret(9))), Code::RegistrationMismatch);
    refused(verify_request(&sign(&asker_kid(), &secret(9))), Code::SignatureInvalid);
}

#[test]
fn only_a_key_of_ed25519_signs_registrations() {
    let p256 = SecretKey::from_bytes(SignatureAlgorithm::Es256, &[1; 32]).unwrap();
    let request = verify_request(&request()).unwrap();
    let by = |key: &SecretKey| Registration::issue(&request, &did_key(key), key, now(), day(1));
    by(&registrar()).unwrap();
    refused(by(&p256), Code::AlgorithmMismatch);
}
