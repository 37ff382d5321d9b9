//! An issuer whose DID proves its history: credentials signed with a key that it no longer has still verify.

use std::sync::Arc;

use super::*;
use crate::{
    did::{
        DidDocument, VerificationRelationship,
        webvh::{self, LogUpdate, NewWebVhDid, UnwitnessedLog},
    },
    secure::{
        data_integrity::Cryptosuites,
        data_integrity::{ProofOptions, add_proof},
    },
};

/// Time at which the first key left the document.
const ROTATED: &str = "2026-06-01T00:00:00Z";

/// An issuer of `world`'s key, under `key-1`, which gave way to another on the first of June: its DID and its document.
fn issuer(world: &World, revoked: bool) -> (Did, OneDocument) {
    let update = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng);
    let start = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let next = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut OsRng).public_key();
    let inception = NewWebVhDid {
        location: "university.example",
        version_time: start,
        update_key: &update,
        next_update_keys: &[],
        ttl: None,
    };
    let own = ("key-1".to_owned(), world.issuer.public_key());
    let first = |did: &Did| {
        let mut state = DidDocument::json_for_keys(did, std::slice::from_ref(&own));
        if revoked {
            state["verificationMethod"][0]["revoked"] = json!("2026-05-01T00:00:00Z");
        }
        state
    };
    let (did, text) = webvh::create_did(&inception, &first).unwrap();
    let read = |text: &str| {
        UnwitnessedLog::verify_entries(&did, text.as_bytes(), world.now, 0)
            .unwrap()
            .verify_witnesses(None, world.now, 0)
            .unwrap()
    };
    let state = DidDocument::json_for_keys(&did, &[("key-2".to_owned(), next)]);
    let at = Timestamp::parse(ROTATED).unwrap();
    let change =
        LogUpdate { version_time: at, state: &state, update_keys: None, next_update_keys: None, deactivate: false };
    let text = webvh::append(&read(&text), &text, &change, &update).unwrap();
    let document = OneDocument(read(&text).document().unwrap());
    (did, document)
}

/// A credential by key-1 of that issuer, made at that time, verified in both forms.
fn verified(revoked: bool, made: Timestamp) -> [(VerificationReport, Option<Verified<VerifiedCredential>>); 2] {
    let world = World::new();
    let (did, resolver) = issuer(&world, revoked);
    let kid = format!("{did}#key-1");
    let mut document = world.document();
    document.insert("issuer".into(), did.as_str().into());
    let options = ProofOptions {
        verification_method: &kid,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(made),
        expires: None,
        challenge: None,
        domain: None,
    };
    let embedded = serde_json::to_vec(&add_proof(&document, &EddsaJcs2022, &options, &world.issuer).unwrap()).unwrap();
    let mut payload = document;
    payload.insert("iat".into(), made.unix().into());
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &kid,
        holder_key: None,
        disclosable: &[],
        ordered_claims: &[],
        decoys_to_multiple_of: 1,
        padded_arrays: &[],
    };
    let token = issue(&payload, &options, &world.issuer, &mut OsRng).unwrap();
    let issuers = Only(did.to_string());
    let environment = VerificationEnvironment {
        now: world.now,
        skew: 60,
        resolver: &resolver,
        suites: &Cryptosuites::jcs(),
        issuer_policy: &issuers,
        types: &OneType,
        status_policy: StatusPolicy::NotChecked("not looked at here"),
    };
    [verify_credential(&embedded, &environment), verify_credential(token.as_bytes(), &environment)]
}

#[test]
fn a_credential_by_a_key_of_an_earlier_version_verifies() {
    let rotated = Timestamp::parse(ROTATED).unwrap();
    for made in [rotated.plus(-86_400), rotated.plus(-1), rotated, rotated.plus(60)] {
        for result in verified(false, made) {
            accepted(result);
        }
    }
    // That key can have made nothing later, whatever the date says.
    for made in [rotated.plus(61), rotated.plus(361), rotated.plus(86_400)] {
        for result in verified(false, made) {
            refused(result, Code::KeyInvalid);
        }
    }
}

#[test]
fn a_key_that_an_earlier_version_revoked_verifies_nothing() {
    for result in verified(true, Timestamp::parse("2026-02-01T00:00:00Z").unwrap()) {
        refused(result, Code::KeyInvalid);
    }
}

#[test]
fn row_103_a_key_that_a_published_document_does_not_have_is_not_known_yet() {
    let mut world = World::new();
    let did = Did::parse("did:web:university.example").unwrap();
    let document = |names: &[&str]| {
        let keys: Vec<_> = names.iter().map(|name| ((*name).to_owned(), world.issuer.public_key())).collect();
        Arc::new(DidDocument::parse(&did, &DidDocument::json_for_keys(&did, &keys)).unwrap())
    };
    let (older, newer) = (document(&["1"]), document(&["1", "2"]));
    let mut payload = world.document();
    payload.insert("issuer".into(), did.as_str().into());
    let kid = format!("{did}#2");
    let options = IssueOptions {
        typ: "vc+sd-jwt",
        kid: &kid,
        holder_key: None,
        disclosable: &[],
        ordered_claims: &[],
        decoys_to_multiple_of: 0,
        padded_arrays: &[],
    };
    let token = issue(&payload, &options, &world.issuer, &mut OsRng).unwrap().into_bytes();
    let options = ProofOptions {
        verification_method: &kid,
        purpose: VerificationRelationship::AssertionMethod,
        created: None,
        expires: None,
        challenge: None,
        domain: None,
    };
    let embedded = serde_json::to_vec(&add_proof(&payload, &EddsaJcs2022, &options, &world.issuer).unwrap()).unwrap();
    world.trusted = did.to_string();
    for copy in [&token, &embedded] {
        world.issuers_document = Some(Arc::clone(&older));
        let (report, verified) = world.verify_alone(copy);
        assert!(verified.is_none() && report.is_retryable(), "{report:?}");
        refused((report, verified), Code::IssuerKeyUnknown);
        world.issuers_document = Some(Arc::clone(&newer));
        let (report, verified) = world.verify_alone(copy);
        assert!(!report.is_retryable());
        accepted((report, verified));
    }
    // Another failure beside it stays one, and so nothing is to be retried.
    let mut report = VerificationReport::default();
    assert!(!report.is_retryable());
    report.record::<()>(CheckName::IssuerKey, "a", Err(Code::IssuerKeyUnknown.into()));
    assert!(report.is_retryable());
    report.record::<()>(CheckName::Validity, "b", Err(Code::Expired.into()));
    assert!(!report.is_retryable());
    // A DID that is its own document never has another key.
    let world = World::new();
    let kid = format!("{}#1", world.did());
    let options = ProofOptions { verification_method: &kid, ..options };
    let embedded = add_proof(&world.document(), &EddsaJcs2022, &options, &world.issuer).unwrap();
    refused(world.verify_alone(&serde_json::to_vec(&embedded).unwrap()), Code::MethodUnknown);
}
