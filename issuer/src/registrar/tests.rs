use carnet_core::{
    keys::SecretKey,
    query::Query,
    trust::registration::{
        ExpectedRegistration, IntendedUse, ReceiptKey, RegisteredCredential, RelyingParty, SupervisoryAuthority,
    },
};
use rand_core::OsRng;
use serde_json::json;

use super::*;
use crate::commands::registrar::registration_summary;

const NOW: Timestamp = Timestamp::from_unix(1_795_348_800);

struct Asker {
    did: Did,
    fragment: String,
    key: SecretKey,
}

impl Asker {
    /// Verifier whose DID contains its document.
    fn new() -> Self {
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
        let did = Did::did_key(&key.public_key());
        Self { fragment: did.method_specific_id().to_owned(), did, key }
    }

    /// Verifier that publishes its document.
    fn published() -> Self {
        let did = Did::parse("did:web:jobs.example").unwrap();
        Self { did, fragment: "key-1".to_owned(), ..Self::new() }
    }

    fn document(&self) -> String {
        DidDocument::json_for_keys(&self.did, &[(self.fragment.clone(), self.key.public_key())]).to_string()
    }

    fn wants(&self) -> RelyingParty {
        let query = Query::parse(&json!({"credentials": [{
            "id": "permit", "format": "vc+sd-jwt", "meta": {"type_values": [["ResidencePermitCredential"]]},
            "claims": [
                {"path": ["credentialSubject", "rightToWork"]},
                {"path": ["credentialSubject", "validUntil"], "carnet_at_least": "2026-11-22"},
            ],
        }]}));
        let english = |text: &str| [("en".to_owned(), text.to_owned())].into();
        RelyingParty {
            id: self.did.to_string(),
            name: "City Job Centre".to_owned(),
            legal_identifier: None,
            country: "DE".to_owned(),
            registry_uri: None,
            privacy_policy: "https://jobs.example/privacy".to_owned(),
            support_uri: "mailto:privacy@jobs.example".to_owned(),
            supervisory_authority: SupervisoryAuthority {
                name: "Data Protection Office".to_owned(),
                email: Some("office@dpa.example".to_owned()),
                uri: None,
            },
            intended_uses: vec![IntendedUse {
                id: "job-right-to-work".to_owned(),
                purpose: english("To see that you may work"),
                legal_basis: english("Section 4a of the Residence Act"),
                retention_days: 30,
                credentials: RegisteredCredential::from_query(&query.unwrap()),
            }],
            receipt_keys: vec![ReceiptKey::new(
                &self.did.with_fragment(&self.fragment).unwrap(),
                &self.key.public_key(),
            )],
        }
    }

    fn request(&self, wants: &RelyingParty) -> Map<String, Value> {
        let kid = self.did.with_fragment(&self.fragment).unwrap();
        RegistrationRequest::sign(wants, &kid, &self.key, NOW).unwrap()
    }

    fn text(&self) -> String {
        Value::Object(self.request(&self.wants())).to_string()
    }
}

fn registrar() -> (tempfile::TempDir, Registrar) {
    let dir = tempfile::tempdir().unwrap();
    let registrar = Registrar::init(&dir.path().join("r"), "Register of Askers", &KeyStorageArgs::default()).unwrap();
    (dir, registrar)
}

fn refused(bytes: &[u8], document: Option<&str>, days: u32) -> RegistrarError {
    Registrar::verify_request_file(bytes, document.map(str::as_bytes), days, NOW).map(|_| ()).unwrap_err()
}

#[test]
fn a_directory_is_made_once_and_keeps_its_did() {
    let (dir, made) = registrar();
    let data = dir.path().join("r");
    let opened = Registrar::open(&data).unwrap();
    assert_eq!((opened.name.as_str(), &opened.did), ("Register of Askers", &made.did));
    assert!(made.did.as_str().starts_with("did:key:z6Mk"));
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o777;
    assert_eq!((mode(&data), mode(&data.join("keys.json"))), (0o700, 0o600));
    assert!(
        Registrar::init(&data, "Again", &KeyStorageArgs::default())
            .err()
            .unwrap()
            .message
            .contains("nothing was changed")
    );
    assert_eq!(Registrar::open(&data).unwrap().did, made.did);
    for name in ["", " ", "a\nb", &"x".repeat(201)] {
        assert!(
            Registrar::init(&dir.path().join("n"), name, &KeyStorageArgs::default())
                .err()
                .unwrap()
                .message
                .contains("Nothing was made")
        );
        assert!(!dir.path().join("n").exists());
    }
    // Other files do not make a directory a registrar's.
    assert!(Registrar::open(dir.path()).err().unwrap().hint.contains("registrar init"));
    std::fs::remove_file(data.join("keys.json")).unwrap();
    assert!(Registrar::open(&data).is_err());
}

#[test]
fn a_wallet_that_pinned_the_registrar_accepts_what_it_signs() {
    let (_dir, registrar) = registrar();
    let asker = Asker::new();
    let application = Registrar::verify_request_file(asker.text().as_bytes(), None, 365, NOW).unwrap();
    let signed = registrar.sign(&application).unwrap();
    let pinned = registrar.did.to_string();
    let expected = ExpectedRegistration {
        verifier: asker.did.as_str(),
        is_trusted_registrar: &|did| did == pinned,
        now: NOW,
        skew: 60,
    };
    let registration = Registration::verify(&signed, &expected, &SelfContainedResolver).unwrap();
    assert_eq!(registration.relying_party(), &asker.wants());
    assert_eq!(registration.registrar(), pinned);
    assert_eq!(registration.valid_from().to_string(), "2026-11-22T00:00:00Z");
    assert_eq!(registration.valid_until().to_string(), "2027-11-22T00:00:00Z");
    let unpinned = ExpectedRegistration { is_trusted_registrar: &|_| false, ..expected };
    assert!(Registration::verify(&signed, &unpinned, &SelfContainedResolver).is_err());
}

#[test]
fn a_request_that_is_not_in_order_is_refused_by_its_reason() {
    let asker = Asker::new();
    let with = |bend: &dyn Fn(&mut Map<String, Value>)| {
        let mut document = asker.request(&asker.wants());
        bend(&mut document);
        refused(Value::Object(document).to_string().as_bytes(), None, 365).reason()
    };
    assert_eq!(with(&|document| drop(document.remove("proof"))), "proof_missing");
    // More than was signed.
    let more = with(&|document| document["credentialSubject"]["name"] = "The Ministry".into());
    assert_eq!(more, "signature_invalid");
    assert_eq!(with(&|document| document["type"] = json!(["VerifiableCredential"])), "registration_invalid");
    assert_eq!(refused(b"{", None, 365).reason(), "invalid_json");
    assert_eq!(refused(b"[]", None, 365).reason(), "registration_invalid");
    assert_eq!(refused(b"{\"a\":1,\"a\":1}", None, 365).reason(), "duplicate_key");
    // A request signed by another verifier.
    let other = Asker::new();
    let mut stolen = asker.request(&asker.wants());
    stolen.insert("issuer".to_owned(), other.did.as_str().into());
    let stolen = Value::Object(stolen).to_string();
    assert_eq!(refused(stolen.as_bytes(), None, 365).reason(), "method_of_other");
    // A registration is no request, so that none can be derived from another.
    let (_dir, registrar) = registrar();
    let application = Registrar::verify_request_file(asker.text().as_bytes(), None, 365, NOW).unwrap();
    let signed = Value::Object(registrar.sign(&application).unwrap()).to_string();
    assert_eq!(refused(signed.as_bytes(), None, 365).reason(), "registration_invalid");
    // A request from the future.
    let early = Registrar::verify_request_file(asker.text().as_bytes(), None, 365, NOW.plus(-3600));
    assert_eq!(early.map(|_| ()).unwrap_err().reason(), "not_yet_valid");
}

#[test]
fn an_asker_that_publishes_its_document_needs_it_handed_over() {
    let asker = Asker::published();
    let text = asker.text();
    let missing = refused(text.as_bytes(), None, 365);
    assert_eq!(missing.reason(), "did_document_needed");
    assert!(missing.hint().contains("https://jobs.example/.well-known/did.json"));
    let document = asker.document();
    assert!(Registrar::verify_request_file(text.as_bytes(), Some(document.as_bytes()), 365, NOW).is_ok());
    assert_eq!(refused(text.as_bytes(), Some("{"), 365).reason(), "invalid_json");
    assert_eq!(refused(text.as_bytes(), Some(&Asker::new().document()), 365).reason(), "did_document_invalid");
    // A document of the same DID with another key, as a thief of the request would provide it.
    assert_eq!(refused(text.as_bytes(), Some(&Asker::published().document()), 365).reason(), "signature_invalid");
    // Nobody else can define the document of a DID that contains it.
    let asker = Asker::new();
    let document = DidDocument::json_for_keys(&asker.did, &[(asker.fragment.clone(), Asker::new().key.public_key())]);
    let given =
        Registrar::verify_request_file(asker.text().as_bytes(), Some(document.to_string().as_bytes()), 365, NOW);
    assert!(given.is_ok(), "the DID's own key counts, whatever was handed over");
}

#[test]
fn a_registration_holds_for_a_year_at_most() {
    let text = Asker::new().text();
    for days in [0, 367, u32::MAX] {
        assert_eq!(refused(text.as_bytes(), None, days).reason(), "days_out_of_range", "{days}");
    }
    let (_dir, registrar) = registrar();
    for days in [1, 366] {
        let application = Registrar::verify_request_file(text.as_bytes(), None, days, NOW).unwrap();
        assert!(registrar.sign(&application).is_ok());
    }
}

#[test]
fn a_yes_in_advance_is_about_one_request() {
    let application = Registrar::verify_request_file(Asker::new().text().as_bytes(), None, 365, NOW).unwrap();
    assert!(application.check_approval(Some(&application.digest)).unwrap());
    assert!(!application.check_approval(None).unwrap(), "somebody has to be asked");
    let other = Registrar::verify_request_file(Asker::new().text().as_bytes(), None, 365, NOW).unwrap();
    for wrong in [other.digest.as_str(), "", "yes"] {
        assert_eq!(application.check_approval(Some(wrong)).unwrap_err().reason(), "approval_mismatch");
    }
}

#[test]
fn everything_that_would_be_allowed_is_shown_and_no_word_of_the_askers_makes_a_line() {
    let (_dir, registrar) = registrar();
    let asker = Asker::new();
    let mut wants = asker.wants();
    wants.name = "Job \"Centre\"".to_owned();
    let request = Value::Object(asker.request(&wants)).to_string();
    let application = Registrar::verify_request_file(request.as_bytes(), None, 365, NOW).unwrap();
    let expected = format!(
        r#"{asker} asks to be registered (request of 2026-11-22T12:00:00Z):
  name            "Job \"Centre\""
  legal id        none
  country         DE
  register        none
  privacy policy  https://jobs.example/privacy
  erasure         mailto:privacy@jobs.example
  supervision     "Data Protection Office", office@dpa.example
It could then ask, without a warning:
- job-right-to-work, the outcome kept for 30 days
    why (en)  "To see that you may work"
    by what law (en)  "Section 4a of the Residence Act"
    of "ResidencePermitCredential" ("vc+sd-jwt"):
      "credentialSubject.rightToWork"
      "credentialSubject.validUntil" (only whether it is at least any value that it chooses)
It signs receipts with:
- {asker}#{fragment} ({fragment})
From 2026-11-22 until 2027-11-21,
on the word of "Register of Askers", {registrar}.
Digest of the request: {digest}"#,
        asker = asker.did,
        fragment = asker.fragment,
        registrar = registrar.did,
        digest = application.digest,
    );
    assert_eq!(registration_summary(&registrar, &application), expected);
}

#[test]
fn files_are_read_or_refused_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registration.json");
    assert_eq!(read_file(&path).unwrap_err().reason(), "file_unreadable");
    write_registration(&path, "a").unwrap();
    assert_eq!(write_registration(&path, "b").unwrap_err().reason(), "file_unwritable");
    assert_eq!(read_file(&path).unwrap(), b"a");
}
