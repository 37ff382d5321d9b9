use carnet_core::{
    did::{Did, DidUrl, SelfContainedResolver},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    trust::registration::RegistrationRequest,
};
use rand_core::OsRng;
use serde_json::json;

use super::*;
use crate::request::tests::{Asker, NOW};

const DAY: i64 = 86_400;

/// Registrar with a did:jwk.
pub struct Authority {
    key: SecretKey,
    pub did: Did,
}

impl Authority {
    pub fn new() -> Self {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let did = Did::did_jwk(&key.public_key());
        Self { key, did }
    }

    /// Pins the registrar.
    pub fn pin(&self, contents: &mut WalletContents) {
        contents
            .registrars
            .push(PinnedRegistrar { did: self.did.to_string(), name: "Registrar of Example".to_owned() });
    }

    /// Registers these claims of a qualification for the use `job`, from yesterday for this number of days from now.
    pub fn register(&self, asker: &Asker, claims: Value, days: i64) -> Value {
        let relying_party = serde_json::from_value(json!({
            "id": asker.pointer.did.as_str(), "name": "City Job Centre", "sub": "VATDE-123456789", "country": "DE",
            "registry_uri": "https://register.example/wrp", "privacy_policy": "https://agency.example/privacy",
            "support_uri": "mailto:data@agency.example",
            "supervisory_authority": {"name": "Data Protection Authority", "email": "post@dpa.example", "uri": "https://dpa.example"},
            "intended_uses": [{
                "id": "job", "purpose": {"en": "To place you in work.", "de": "Um Sie in Arbeit zu vermitteln."},
                "legal_basis": {"en": "Article 6(1)(e) GDPR."}, "retention_days": 30,
                "credentials": [{"meta": {"type_values": [["QualificationCredential"]]}, "claims": claims}]
            }]
        }))
        .unwrap();
        let kid = |did: &Did| DidUrl::parse(&format!("{did}#0")).unwrap();
        let from = NOW.plus(-DAY);
        let request = RegistrationRequest::sign(&relying_party, &kid(&asker.pointer.did), &asker.key, from).unwrap();
        let request = RegistrationRequest::verify(&request, NOW, 60, &SelfContainedResolver).unwrap();
        let until = NOW.plus(days.saturating_mul(DAY));
        Value::Object(Registration::issue(&request, &kid(&self.did), &self.key, from, until).unwrap())
    }
}

/// Adds a registration to a request, for the use `job`.
pub fn introduce(asker: &mut Asker, registration: &Value) {
    asker.payload["verifier_info"] = json!([{"format": "di_vc+jcs", "data": registration}]);
    asker.payload["carnet"]["intended_use"] = json!("job");
}

pub fn both() -> Value {
    json!([{"path": ["credentialSubject", "title"]}, {"path": ["credentialSubject", "eqfLevel"]}])
}

fn read(asker: &Asker, contents: &WalletContents) -> VerifierIdentity {
    VerifierIdentity::from_request(&asker.request().unwrap(), contents, NOW, &SelfContainedResolver)
}

#[test]
fn a_registration_is_taken_from_a_registrar_that_is_pinned() {
    let (authority, mut asker, mut contents) = (Authority::new(), Asker::new(), WalletContents::new(12));
    let registration = authority.register(&asker, both(), 30);
    introduce(&mut asker, &registration);
    assert_eq!(
        read(&asker, &contents).unregistered_reason(),
        Some(UnregisteredReason::Invalid(Code::RegistrarUntrusted))
    );
    let none = ValidTrustLists::from_wallet(&contents.trust, NOW);
    assert!(known_registrar(&asker.request().unwrap(), &contents, &none).is_none());
    authority.pin(&mut contents);
    let known = read(&asker, &contents);
    assert_eq!(known.relying_party().unwrap().name, "City Job Centre");
    assert_eq!(known.registrar_name(), "Registrar of Example");
    assert_eq!(known.intended_use().unwrap().retention_days, 30);
    assert!(known.excess(&asker.request().unwrap().query).is_empty());
    // An additional registration of somebody else changes nothing.
    let other = Authority::new().register(&asker, both(), 30);
    asker.payload["verifier_info"].as_array_mut().unwrap().insert(0, json!({"format": "di_vc+jcs", "data": other}));
    assert!(read(&asker, &contents).registration().is_some());
}

#[test]
fn a_registration_that_does_not_hold_is_none() {
    let (authority, mut contents) = (Authority::new(), WalletContents::new(12));
    authority.pin(&mut contents);
    let refused = |change: &dyn Fn(&mut Asker, Value)| {
        let mut asker = Asker::new();
        let registration = authority.register(&asker, both(), 30);
        introduce(&mut asker, &registration);
        assert!(read(&asker, &contents).registration().is_some());
        change(&mut asker, registration);
        let known = read(&asker, &contents);
        // The credential and its two claims.
        assert_eq!(known.excess(&asker.request().unwrap().query).len(), 3);
        known.unregistered_reason().unwrap()
    };
    let code = |code| UnregisteredReason::Invalid(code);
    assert_eq!(
        refused(&|asker, _| {
            asker.payload.as_object_mut().unwrap().remove("verifier_info");
        }),
        UnregisteredReason::NoRegistration
    );
    assert_eq!(refused(&|asker, _| asker.payload["verifier_info"] = json!("x")), UnregisteredReason::NoRegistration);
    assert_eq!(refused(&|asker, _| introduce(asker, &json!(1))), code(Code::RegistrationInvalid));
    assert_eq!(
        refused(&|asker, _| introduce(asker, &authority.register(&Asker::new(), both(), 30))),
        code(Code::RegistrationMismatch)
    );
    assert_eq!(
        refused(&|asker, mut registration| {
            registration["credentialSubject"]["name"] = json!("Somebody else");
            introduce(asker, &registration);
        }),
        code(Code::SignatureInvalid)
    );
    assert_eq!(
        refused(&|asker, _| {
            let ended = authority.register(asker, both(), -1);
            introduce(asker, &ended);
        }),
        code(Code::Expired)
    );
}

#[test]
fn what_is_not_registered_is_in_excess() {
    let (authority, mut contents) = (Authority::new(), WalletContents::new(12));
    authority.pin(&mut contents);
    let excess = |claims: Value, used: &str| {
        let mut asker = Asker::new();
        let registration = authority.register(&asker, claims, 30);
        introduce(&mut asker, &registration);
        asker.payload["carnet"]["intended_use"] = json!(used);
        read(&asker, &contents).excess(&asker.request().unwrap().query).len()
    };
    assert_eq!(excess(both(), "job"), 0);
    assert_eq!(excess(json!([{"path": ["credentialSubject", "title"]}]), "job"), 1);
    assert_eq!(excess(both(), "housing"), 3);
}
