use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::{
    credential::{CONTEXT_V2, Credential},
    did::{DidDocument, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
};

mod chain;
mod decisions;
mod form;
mod handover;
mod properties;
mod relied;
mod signatures;
mod timestamps;

const LIST_DID: &str = "did:web:trust.example";
const UNI: &str = "did:web:uni.example";
const QUALIFICATION: &str = "QualificationCredential";
const SKEW: i64 = 60;

/// The operator with this number.
fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[number; 32]).unwrap()
}

/// The did:key of a key, and its one verification method.
fn kid(key: &SecretKey) -> DidUrl {
    let did = Did::did_key(&key.public_key());
    did.with_fragment(did.method_specific_id()).unwrap()
}

fn did_of(number: u8) -> String {
    kid(&secret(number)).did().to_string()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

fn day(offset: i64) -> Timestamp {
    now().plus(offset.saturating_mul(86_400))
}

/// Records the DIDs that are resolved.
#[derive(Default)]
struct Resolver(Mutex<Vec<String>>);

impl Resolve for Resolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.0.lock().unwrap().push(did.to_string());
        SelfContainedResolver.resolve(did)
    }
}

/// Accredited without any limit or end.
fn accreditation() -> Accreditation {
    Accreditation {
        types: vec![QUALIFICATION.to_owned()],
        jurisdictions: None,
        max_level: None,
        from: at("2020-01-01T00:00:00Z"),
        epoch: None,
        until: None,
        withdrawal: None,
    }
}

fn withdrawn(from: &str, earlier_credentials: EarlierCredentials) -> Accreditation {
    let withdrawal = Withdrawal { withdrawn_from: at(from), earlier_credentials, reason: None };
    Accreditation { withdrawal: Some(withdrawal), ..accreditation() }
}

fn entry(id: &str, accreditations: Vec<Accreditation>) -> TrustListEntry {
    TrustListEntry { id: id.to_owned(), name: "University of Example".to_owned(), accreditations }
}

/// The first list: the university, and a registrar for two countries.
fn contents() -> TrustListContents {
    let registrar = Accreditation {
        types: Vec::new(),
        jurisdictions: Some(vec!["DE".to_owned(), "AT".to_owned()]),
        ..accreditation()
    };
    TrustListContents::first_list(
        vec![entry(UNI, vec![accreditation()])],
        vec![entry("did:web:registrar.example", vec![registrar])],
    )
}

fn with_issuer(accreditations: Vec<Accreditation>) -> TrustListContents {
    TrustListContents { issuers: vec![entry(UNI, accreditations)], ..contents() }
}

fn draft(contents: &TrustListContents) -> Map<String, Value> {
    TrustList::draft(&Did::parse(LIST_DID).unwrap(), contents, now(), day(30)).unwrap()
}

fn signed_by(mut document: Map<String, Value>, numbers: &[u8]) -> Map<String, Value> {
    for number in numbers {
        let key = secret(*number);
        document = TrustList::sign(&document, &kid(&key), &key, now()).unwrap();
    }
    document
}

/// Two of the three operators 1, 2 and 3.
fn operators() -> PinnedOperators {
    let dids = [did_of(1), did_of(2), did_of(3)];
    PinnedOperators::pin(LIST_DID, dids.iter().map(String::as_str), 2).unwrap()
}

fn verify_at(document: &Map<String, Value>, seen: Option<&AcceptedList>, now: Timestamp) -> Result<TrustList, Problem> {
    let operators = operators();
    TrustList::verify(
        document,
        &TrustListAnchors { operators: &operators, newest_accepted: seen, accepted_digest: None, now, skew: SKEW },
        &SelfContainedResolver,
    )
}

fn verify(document: &Map<String, Value>) -> Result<TrustList, Problem> {
    verify_at(document, None, now())
}

/// A list of this content, signed by two operators and verified.
fn list(contents: &TrustListContents) -> TrustList {
    verify(&signed_by(draft(contents), &[1, 2])).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

#[test]
fn a_list_is_drafted_signed_and_verified() {
    let document = signed_by(draft(&contents()), &[3, 1]);
    let held = verify(&document).unwrap();
    assert_eq!(held.contents(), &contents());
    assert_eq!((held.list_id(), held.valid_from(), held.valid_until()), (LIST_DID, now(), day(30)));
    assert_eq!(held.signed_by().map(str::to_owned).collect::<BTreeSet<_>>(), BTreeSet::from([did_of(1), did_of(3)]));
    let preview = TrustList::preview(&document).unwrap();
    assert_eq!((&preview.contents, preview.digest.as_str()), (&contents(), held.digest()));
    assert_eq!((preview.next_contents(), preview.claimed_signers), (held.next_contents(), vec![did_of(3), did_of(1)]));
    // It can go over the wire.
    let text = serde_json::to_vec(&document).unwrap();
    assert_eq!(verify(&json::parse_object(&text, json::Limits::STATUS_LIST).unwrap()).unwrap(), held);
}

#[test]
fn its_context_is_that_of_all_statements() {
    let statement = LIST.sign(&json!({"a": 1}), (now(), None), &kid(&secret(1)), &secret(1)).unwrap();
    assert_eq!(draft(&contents())["@context"], statement["@context"]);
}

#[test]
fn row_70_an_older_trust_list() {
    let first = list(&contents());
    let second = list(&first.next_contents());
    let third = list(&second.next_contents());
    assert_eq!((third.contents().sequence, third.contents().previous.as_deref()), (3, Some(second.digest())));
    let after = |list: &TrustList, seen: &TrustList| {
        let document = signed_by(draft(list.contents()), &[1, 2]);
        verify_at(&document, Some(&seen.identity()), now()).map(|list| list.contents().sequence)
    };
    assert_eq!(after(&second, &first).unwrap(), 2);
    assert_eq!(after(&second, &second).unwrap(), 2, "the same one again");
    assert_eq!(after(&third, &first).unwrap(), 3, "one may have been missed");
    refused(after(&first, &second), Code::TrustListRollback);
    refused(after(&first, &third), Code::TrustListRollback);
    refused(after(&second, &third), Code::TrustListRollback);
}

#[test]
fn a_list_that_contradicts_the_one_seen_is_refused() {
    let first = list(&contents());
    let second = list(&first.next_contents());
    let after = |contents: &TrustListContents, seen: &TrustList| {
        verify_at(&signed_by(draft(contents), &[1, 2]), Some(&seen.identity()), now())
    };
    let other = with_issuer(vec![withdrawn("2026-01-01T00:00:00Z", EarlierCredentials::BecomeInvalid)]);
    after(&contents(), &first).unwrap();
    refused(after(&other, &first), Code::TrustListConflict);
    // The next one names the one before, and so does one further on.
    let elsewhere = list(&other).next_contents();
    after(&first.next_contents(), &first).unwrap();
    refused(after(&elsewhere, &first), Code::TrustListConflict);
    after(&TrustListContents { sequence: 3, ..first.next_contents() }, &first).unwrap();
    refused(after(&TrustListContents { sequence: 3, ..elsewhere }, &first), Code::TrustListConflict);
    // More signatures do not make it another list, another time does.
    let seen = second.identity();
    let more = signed_by(draft(second.contents()), &[3, 2, 1]);
    verify_at(&more, Some(&seen), now()).unwrap();
    let longer = TrustList::draft(&Did::parse(LIST_DID).unwrap(), second.contents(), now(), day(31)).unwrap();
    refused(verify_at(&signed_by(longer, &[1, 2]), Some(&seen), now()), Code::TrustListConflict);
    // The identity to remember can be kept as JSON.
    assert_eq!(serde_json::from_str::<AcceptedList>(&serde_json::to_string(&seen).unwrap()).unwrap(), seen);
}

#[test]
fn two_lists_are_told_apart() {
    let before = list(&TrustListContents {
        issuers: ["did:web:a.example", "did:web:b.example", "did:web:c.example"]
            .map(|id| entry(id, vec![accreditation()]))
            .to_vec(),
        ..contents()
    });
    let mut contents = before.next_contents();
    assert_eq!(before.contents().differences_to(list(&contents).contents()), []);
    contents.issuers[1].accreditations = vec![withdrawn("2026-03-01T00:00:00Z", EarlierCredentials::StayValid)];
    contents.issuers[2].id = "did:web:d.example".to_owned();
    contents.registrars.clear();
    let after = list(&contents);
    let told: Vec<_> = before
        .contents()
        .differences_to(after.contents())
        .iter()
        .map(|d| (d.to_string(), d.rewrites_history()))
        .collect();
    let expected = [
        ("changed: issuer did:web:b.example (University of Example)", false),
        ("removed: issuer did:web:c.example (University of Example); its history has changed", true),
        ("added: issuer did:web:d.example (University of Example)", false),
        ("removed: registrar did:web:registrar.example (University of Example); its history has changed", true),
    ];
    assert_eq!(told, expected.map(|(text, rewrites)| (text.to_owned(), rewrites)));
    // Back again, what was added is removed, and a withdrawal is taken back, which is no history.
    let back: Vec<_> = after
        .contents()
        .differences_to(before.contents())
        .iter()
        .map(|d| (d.party_id().to_owned(), d.rewrites_history()))
        .collect();
    let expected = [("b", true), ("c", false), ("d", true), ("registrar", false)];
    assert_eq!(back, expected.map(|(name, rewrites)| (format!("did:web:{name}.example"), rewrites)));
}
