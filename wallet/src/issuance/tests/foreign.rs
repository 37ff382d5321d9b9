//! Copies of a type that the catalogue does not have.

use carnet_core::keys::{SecretKey, SignatureAlgorithm};

use super::*;

const VCT: &str = "urn:eudi:pid:1";

/// A batch of copies, as an issuer of another house signs them.
struct Batch {
    issuer: SecretKey,
    keys: Vec<HolderKey>,
    /// `true` if the wallet accepted the type as a foreign one.
    accepted: bool,
    named: String,
    copies: Vec<String>,
}

impl Batch {
    fn new() -> Self {
        let issuer = SecretKey::generate(SignatureAlgorithm::Es256, &mut OsRng);
        let named = Did::did_jwk(&issuer.public_key()).to_string();
        let mut batch = Self { issuer, keys: generate_keys(3), accepted: true, named, copies: Vec::new() };
        batch.issue(|_, _| {});
        batch
    }

    /// Signs all copies again; `change` edits each before. Copies are numbered from 0.
    fn issue(&mut self, change: impl Fn(i64, &mut Map<String, Value>)) {
        let copy = |(at, key): (i64, &HolderKey)| {
            // The time of signing differs from copy to copy.
            let mut payload = json!({
                "iss": Did::did_jwk(&self.issuer.public_key()).as_str(), "vct": VCT, "iat": NOW.plus(at).plus(-60).unix(),
                "nbf": NOW.plus(-61).unix(), "family_name": "Okonkwo", "given_name": "Ada", "issuing_country": "PT",
            });
            let payload = payload.as_object_mut().unwrap();
            change(at, payload);
            let disclosable = ["family_name", "given_name"].map(|name| vec![Step::Name(name.to_owned())]);
            let options = IssueOptions {
                typ: "dc+sd-jwt",
                kid: "#0",
                disclosable: &disclosable,
                ordered_claims: &[],
                holder_key: Some(&key.decode().unwrap().public_key()),
                decoys_to_multiple_of: 0,
                padded_arrays: &[],
            };
            sd_jwt::issue(payload, &options, &self.issuer, &mut OsRng).unwrap()
        };
        self.copies = (0..).zip(&self.keys).map(copy).collect();
    }

    fn receive(&self) -> Result<HeldCredential, Problem> {
        let promise = ExpectedCredential {
            audience: "https://pid.example".to_owned(),
            key_algorithm: HolderAlgorithm::EdDsa,
            issuer: self.named.clone(),
            issuer_name: "pid.example".to_owned(),
            configuration_id: "pid".to_owned(),
            type_name: VCT.to_owned(),
            format: CredentialFormat::DcSdJwt,
            epoch: None,
            renewal_window_days: 0,
            is_foreign: self.accepted,
            display: Default::default(),
        };
        let expected = IssuanceRequirements {
            expected: &promise,
            keys: &self.keys,
            held: &[],
            dates: DateRequirement::Issued { since: NOW, until: None },
            directory: None,
            resolver: &SelfContainedResolver,
            catalogue: &Catalogue::embedded().unwrap(),
            now: NOW,
        };
        verify_copies(&self.copies, &expected)
    }
}

#[test]
fn copies_of_a_foreign_type_are_received_where_it_was_accepted() {
    let mut batch = Batch::new();
    let held = batch.receive().unwrap();
    assert_eq!((held.type_name.as_str(), held.copies.len(), held.valid_until), (VCT, 3, None));
    assert_eq!(held.issuer, issuer_of_copies(&batch.copies).unwrap().as_str());
    batch.accepted = false;
    assert_eq!(batch.receive().unwrap_err().code, Code::TypeUnknown);
}

#[test]
fn faults_of_a_foreign_copy_are_refused() {
    type Change = fn(i64, &mut Map<String, Value>);
    let changes: [(Change, Code); 8] = [
        // Only the offered type has its liberties.
        (|_, payload| drop(payload.insert("vct".into(), "urn:eudi:pid:2".into())), Code::DidMalformed),
        (|_, payload| drop(payload.insert("vct".into(), "urn:carnet:type:qualification:1".into())), Code::DidMalformed),
        (
            |_, payload| {
                payload.remove("nbf");
                payload.insert("exp".into(), NOW.plus(-3_600).unix().into());
            },
            Code::Expired,
        ),
        (|_, payload| drop(payload.insert("sub".into(), "did:web:ada.example".into())), Code::HolderMismatch),
        (|_, payload| drop(payload.insert("id".into(), "urn:uuid:6c3b".into())), Code::ClaimForbidden),
        (|at, payload| drop(payload.insert("issuing_country".into(), at.into())), Code::MalformedValue),
        (|_, payload| drop(payload.insert("status".into(), json!({"owner": 7}))), Code::MalformedValue),
        (|_, payload| drop(payload.insert("iss".into(), "did:web:other.example".into())), Code::DidUnsupported),
    ];
    for (at, (change, code)) in changes.into_iter().enumerate() {
        let mut batch = Batch::new();
        batch.receive().unwrap();
        batch.issue(change);
        assert_eq!(batch.receive().unwrap_err().code, code, "change {at}");
    }
    let mut batch = Batch::new();
    batch.copies.swap(0, 1);
    assert_eq!(batch.receive().unwrap_err().code, Code::HolderMismatch);
    let mut batch = Batch::new();
    batch.named = "did:web:pid.example".to_owned();
    assert_eq!(batch.receive().unwrap_err().code, Code::IssuerMismatch);
}

#[test]
fn the_issuer_is_a_did_that_the_first_copy_names() {
    assert_eq!(issuer_of_copies(&[]).unwrap_err().code, Code::ClaimMissing);
    for (iss, code) in [(json!("https://pid.example"), Code::DidMalformed), (json!(7), Code::ClaimMissing)] {
        let mut batch = Batch::new();
        batch.issue(|_, payload| drop(payload.insert("iss".into(), iss.clone())));
        assert_eq!(issuer_of_copies(&batch.copies).unwrap_err().code, code);
    }
}
