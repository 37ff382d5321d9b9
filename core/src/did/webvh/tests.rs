// Counters of a few steps.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    did::{DidDocument, Purpose, Resolve, WithHistory},
    keys::{Algorithm, PublicKey, SecretKey, Signer as _},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_unix(1_795_000_000);
const NOW: Timestamp = Timestamp::from_unix(1_796_000_000);
const SKEW: i64 = 60;
const PLACE: &str = "university.example";

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(Algorithm::EdDsa, &[seed; 32]).unwrap()
}

fn public(seed: u8) -> PublicKey {
    secret(seed).public_key()
}

/// A document with the keys of these seeds, each named after its seed.
fn document(did: &Did, seeds: &[u8]) -> Value {
    let keys: Vec<_> = seeds.iter().map(|seed| (format!("key-{seed}"), public(*seed))).collect();
    DidDocument::render(did, &keys)
}

fn after(seconds: i64) -> Timestamp {
    START.plus(seconds)
}

fn verify(did: &Did, text: &str) -> Result<Log, Problem> {
    Chain::verify(did, text.as_bytes(), NOW, SKEW)?.witnessed(None, NOW, SKEW)
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

/// A new DID with key 1, updated with key 100.
fn created() -> (Did, String) {
    inception(&[])
}

fn inception(next: &[PublicKey]) -> (Did, String) {
    let inception = Inception { place: PLACE, at: START, update: &secret(100), next, ttl: None };
    create(&inception, &|did| document(did, &[1])).unwrap()
}

fn change<'a>(at: i64, state: &'a Value) -> Change<'a> {
    Change { at: after(at), state, update_keys: None, next: None, deactivate: false }
}

/// A log of three entries: key 1, then 1 and 2, then 2 alone; updated with key 100, then twice with key 101.
fn three() -> (Did, String) {
    let (did, text) = created();
    let (second, third) = (document(&did, &[1, 2]), document(&did, &[2]));
    let keys = [public(101)];
    let rotated = Change { update_keys: Some(&keys), ..change(10, &second) };
    let text = append(&verify(&did, &text).unwrap(), &text, &rotated, &secret(100)).unwrap();
    let text = append(&verify(&did, &text).unwrap(), &text, &change(20, &third), &secret(101)).unwrap();
    (did, text)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(entries: &[Value]) -> String {
    entries.iter().map(|entry| format!("{entry}\n")).collect()
}

/// An entry that was changed, with the hash after `before` and a proof by this key: what whoever has the key can make.
fn remade(mut entry: Value, number: usize, before: &str, key: &SecretKey, at: Timestamp) -> Value {
    let members = entry.as_object_mut().unwrap();
    members.remove("proof");
    members.insert("versionId".into(), before.into());
    let hash = entry::hash(&entry::canonical(members).unwrap());
    members.insert("versionId".into(), format!("{number}-{hash}").into());
    signed(&entry, key, at)
}

fn signed(entry: &Value, key: &SecretKey, at: Timestamp) -> Value {
    let did = Did::key(&key.public_key());
    let options = ProofOptions {
        verification_method: &format!("{did}#{}", did.id()),
        purpose: Purpose::AssertionMethod,
        created: Some(at),
        expires: None,
        challenge: None,
        domain: None,
    };
    Value::Object(data_integrity::secure(entry.as_object().unwrap(), &EddsaJcs2022, &options, key).unwrap())
}

/// The three entries with the second one changed and everything after it made anew by those who have the keys.
fn with_second(change: impl Fn(&mut Value)) -> Result<Log, Problem> {
    let (did, log) = three();
    let mut entries = lines(&log);
    change(&mut entries[1]);
    let before = entries[0]["versionId"].as_str().unwrap().to_owned();
    entries[1] = remade(entries[1].clone(), 2, &before, &secret(100), after(10));
    let before = entries[1]["versionId"].as_str().unwrap().to_owned();
    entries[2] = remade(entries[2].clone(), 3, &before, &secret(101), after(20));
    verify(&did, &text(&entries))
}

/// A DID whose first entry was changed before its SCID was computed.
fn with_first(change: impl Fn(&mut Value)) -> Result<Log, Problem> {
    let (did, log) = created();
    let mut entry = lines(&log).remove(0);
    change(&mut entry);
    entry.as_object_mut().unwrap().remove("proof");
    entry["versionId"] = json!(PLACEHOLDER);
    let scid = did.id().split(':').next().unwrap();
    let entry = entry::replaced(&entry, scid, PLACEHOLDER);
    let scid = entry::hash(&crate::json::canonicalize(&entry).unwrap());
    let entry = remade(entry::replaced(&entry, PLACEHOLDER, &scid), 1, &scid, &secret(100), START);
    verify(&Did::parse(&format!("did:webvh:{scid}:{PLACE}")).unwrap(), &text(&[entry]))
}

struct One(Arc<DidDocument>);

impl Resolve for One {
    fn resolve(&self, _: &Did) -> Result<Arc<DidDocument>, Problem> {
        Ok(Arc::clone(&self.0))
    }
}

#[test]
fn the_log_is_beside_where_a_document_would_be() {
    let (did, _) = created();
    let scid = did.id().split(':').next().unwrap();
    assert_eq!(url(&did).unwrap(), "https://university.example/.well-known/did.jsonl");
    assert_eq!(witness_url(&did).unwrap(), "https://university.example/.well-known/did-witness.json");
    let deep = Did::parse(&format!("did:webvh:{scid}:localhost%3A8443:issuers:a")).unwrap();
    assert_eq!(url(&deep).unwrap(), "https://localhost:8443/issuers/a/did.jsonl");
    for bad in [
        "did:webvh:university.example".to_owned(),
        format!("did:webvh:{scid}"),
        format!("did:webvh:{}:university.example", &scid[1..]),
        format!("did:webvh:{scid}:127.0.0.1"),
        format!("did:webvh:{scid}:127%2E0%2E0%2E1"),
        format!("did:webvh:{scid}:a.example:..:b"),
        format!("did:webvh:{scid}:a.example:%2e%2e"),
        format!("did:webvh:{scid}:a.example%2Fb"),
        format!("did:webvh:0{}:a.example", &scid[1..]),
    ] {
        assert_eq!(code(Did::parse(&bad).and_then(|did| url(&did))), Code::DidMalformed, "{bad}");
    }
    assert_eq!(code(url(&Did::parse("did:web:a.example").unwrap())), Code::DidUnsupported);
}

#[test]
fn a_log_gives_every_version() {
    let (did, text) = three();
    let log = verify(&did, &text).unwrap();
    assert_eq!(log.versions().len(), 3);
    assert_eq!(log.ttl(), 3_600);
    for (at, version) in log.versions().iter().enumerate() {
        assert!(version.id().starts_with(&format!("{}-Qm", at + 1)));
        assert_eq!(log.version(version.id()).unwrap().at(), version.at());
        assert_eq!(log.version_at(version.at()).unwrap().id(), version.id());
        assert_eq!(log.version_at(version.at().plus(9)).unwrap().id(), version.id());
    }
    assert!(log.version_at(START.plus(-1)).is_none());
    assert!(log.version("3-x").is_none());
    assert_eq!(log.versions()[1].state(), &document(&did, &[1, 2]));
}

#[test]
fn a_key_of_an_earlier_version_is_for_what_was_signed_then() {
    let (did, text) = three();
    let document = verify(&did, &text).unwrap().document().unwrap();
    let (old, new) = (did.with_fragment("key-1").unwrap(), did.with_fragment("key-2").unwrap());
    assert_eq!(document.key_for(&new, Purpose::AssertionMethod).unwrap(), public(2));
    assert_eq!(code(document.key_for(&old, Purpose::AssertionMethod)), Code::MethodUnknown);
    let resolver = One(document);
    let historic = WithHistory(&resolver).resolve(&did).unwrap();
    for (url, seed) in [(&old, 1), (&new, 2)] {
        assert_eq!(historic.key_for(url, Purpose::AssertionMethod).unwrap(), public(seed));
    }
    assert_eq!(historic.retired(&old), Some(after(20)));
    assert_eq!(historic.retired(&new), None);
    assert_eq!(code(historic.key_for(&old, Purpose::Authentication)), Code::MethodRelationship);
    assert_eq!(
        code(historic.key_for(&did.with_fragment("key-3").unwrap(), Purpose::AssertionMethod)),
        Code::MethodUnknown
    );
}

/// The log of documents in their order, a second apart.
fn history(states: &[fn(&Did) -> Value]) -> (Did, DidDocument) {
    let inception = Inception { place: PLACE, at: START, update: &secret(100), next: &[], ttl: None };
    let (did, mut text) = create(&inception, &|did| states[0](did)).unwrap();
    for (at, state) in states.iter().enumerate().skip(1) {
        let state = state(&did);
        text = append(&verify(&did, &text).unwrap(), &text, &change(at as i64, &state), &secret(100)).unwrap();
    }
    let document = verify(&did, &text).unwrap().document().unwrap().with_history();
    (did, document)
}

fn marked(did: &Did, seeds: &[u8]) -> Value {
    let mut state = document(did, seeds);
    state["verificationMethod"][0]["revoked"] = json!("2026-11-20T00:00:00Z");
    state
}

#[test]
fn a_key_that_was_revoked_once_stays_revoked() {
    let revoked = |states: &[fn(&Did) -> Value]| {
        let (did, document) = history(states);
        let key = did.with_fragment("key-1").unwrap();
        let refused = document.key_for(&key, Purpose::AssertionMethod).is_err();
        assert_eq!(refused, document.revoked(&key).is_some());
        assert_eq!(refused, document.revoked_key_of_vouched_copy(&key).is_ok());
        refused
    };
    assert!(!revoked(&[|did| document(did, &[1]), |did| document(did, &[2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2]), |did| document(did, &[2])]));
    assert!(revoked(&[|did| document(did, &[1]), |did| marked(did, &[1, 2]), |did| document(did, &[1, 2])]));
    // The same key under another name.
    assert!(revoked(&[
        |did| document(did, &[1]),
        |did| {
            let mut state = marked(did, &[1]);
            let id = json!(format!("{did}#other"));
            state["verificationMethod"][0]["id"] = id.clone();
            state["assertionMethod"] = json!([id]);
            state
        },
    ]));
}

#[test]
fn what_the_current_document_says_of_a_key_counts() {
    let (did, document) = history(&[
        |did| document(did, &[1]),
        |did| {
            let mut state = document(did, &[1]);
            state["assertionMethod"] = json!([]);
            state
        },
    ]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(code(document.key_for(&key, Purpose::AssertionMethod)), Code::MethodRelationship);
}

#[test]
fn a_name_that_stood_for_two_keys_stands_for_none() {
    fn renamed(did: &Did, seed: u8) -> Value {
        DidDocument::render(did, &[("key-1".to_owned(), public(seed))])
    }
    let (did, document) = history(&[|did| renamed(did, 1), |did| renamed(did, 2), |did| document(did, &[3])]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(code(document.key_for(&key, Purpose::AssertionMethod)), Code::KeyInvalid);
    let (did, document) = history(&[|did| renamed(did, 1), |did| renamed(did, 2)]);
    let key = did.with_fragment("key-1").unwrap();
    assert_eq!(document.key_for(&key, Purpose::AssertionMethod).unwrap(), public(2));
}

#[test]
fn row_83_a_log_entry_that_nobody_signed() {
    let (did, log) = three();
    assert!(verify(&did, &log).is_ok());
    for at in 0..3 {
        for proof in [None, Some(json!([])), Some(json!(null)), Some(json!({}))] {
            let mut entries = lines(&log);
            let members = entries[at].as_object_mut().unwrap();
            members.remove("proof");
            let expected = match &proof {
                None => Code::ProofMissing,
                Some(Value::Array(_)) => Code::ProofMissing,
                Some(_) => Code::ProofMalformed,
            };
            if let Some(proof) = proof {
                members.insert("proof".into(), proof);
            }
            assert_eq!(code(verify(&did, &text(&entries))), expected, "entry {at}");
        }
    }
}

#[test]
fn entries_by_keys_that_may_not_update_are_refused() {
    let (did, log) = three();
    let by = |at: usize, key: &SecretKey| {
        let mut entries = lines(&log);
        entries[at].as_object_mut().unwrap().remove("proof");
        entries[at] = signed(&entries[at], key, after(10));
        verify(&did, &text(&entries))
    };
    assert!(by(1, &secret(100)).is_ok());
    assert!(by(2, &secret(101)).is_ok());
    // A stranger; the key that signs credentials; the update key of before; the one that this entry itself brings.
    for (at, seed) in [(0, 55), (0, 1), (0, 101), (1, 55), (1, 1), (1, 101), (2, 100), (2, 55)] {
        assert_eq!(code(by(at, &secret(seed))), Code::MethodOfOther, "entry {at} by {seed}");
    }
    // A second proof must hold as well.
    let mut entries = lines(&log);
    let own = entries[1]["proof"][0].clone();
    let mut unsigned = entries[1].clone();
    unsigned.as_object_mut().unwrap().remove("proof");
    let foreign = signed(&unsigned, &secret(55), after(10))["proof"].clone();
    entries[1]["proof"] = json!([own, foreign]);
    assert_eq!(code(verify(&did, &text(&entries))), Code::MethodOfOther);
    entries[1]["proof"] = json!(vec![own.clone(); 17]);
    assert_eq!(code(verify(&did, &text(&entries))), Code::ProofMalformed);
    entries[1]["proof"] = own;
    assert!(verify(&did, &text(&entries)).is_ok());
}

#[test]
fn proofs_of_another_kind_are_refused() {
    let (did, log) = three();
    let with = |name: &str, value: Value| {
        let mut entries = lines(&log);
        entries[1]["proof"][0][name] = value;
        code(verify(&did, &text(&entries)))
    };
    let key = Did::key(&public(100));
    let other = public(55).to_multikey();
    assert_eq!(with("cryptosuite", json!("eddsa-rdfc-2022")), Code::CryptosuiteUnknown);
    assert_eq!(with("proofPurpose", json!("authentication")), Code::ProofPurpose);
    assert_eq!(with("type", json!("Ed25519Signature2020")), Code::ProofMalformed);
    assert_eq!(with("created", json!("2026-11-18T00:00:00Z")), Code::SignatureInvalid);
    assert_eq!(with("verificationMethod", json!(format!("{key}#{other}"))), Code::MethodUnknown);
    assert_eq!(with("verificationMethod", json!(format!("{did}#key-1"))), Code::DidUnsupported);
    assert_eq!(with("verificationMethod", json!(other)), Code::DidMalformed);
    assert_eq!(with("proofValue", lines(&log)[2]["proof"][0]["proofValue"].clone()), Code::SignatureInvalid);
}

#[test]
fn a_scid_that_is_not_the_first_entrys() {
    let (did, log) = three();
    let other = entry::hash(b"other");
    let swapped = did.as_str().replace(did.id().split(':').next().unwrap(), &other);
    let swapped = Did::parse(&swapped).unwrap();
    assert_eq!(code(verify(&swapped, &log)), Code::DidLogInvalid);
    // Everywhere, and signed by the one who could: still not the hash of the first entry.
    let entry = entry::replaced(&lines(&log)[0], did.id().split(':').next().unwrap(), &other);
    let entry = remade(entry, 1, &other, &secret(100), START);
    assert_eq!(code(verify(&swapped, &text(&[entry]))), Code::DidLogInvalid);
    // A placeholder that was left would hash like the SCID in its place.
    assert!(with_first(|entry| entry["state"]["alsoKnownAs"] = json!(["did:web:x.example"])).is_ok());
    let left = entry::replaced(&lines(&log)[0], did.id().split(':').next().unwrap(), PLACEHOLDER);
    let mut left = left;
    left["parameters"]["scid"] = json!(did.id().split(':').next().unwrap());
    left["state"]["id"] = json!(did.as_str());
    let left = remade(left, 1, did.id().split(':').next().unwrap(), &secret(100), START);
    assert_eq!(code(verify(&did, &text(&[left]))), Code::DidLogInvalid);
}

#[test]
fn entries_taken_out_exchanged_or_put_in() {
    let (did, log) = three();
    let entries = lines(&log);
    for order in [&[0, 2][..], &[1, 2], &[0, 2, 1], &[0, 1, 1], &[1], &[0, 0, 1, 2]] {
        let picked: Vec<Value> = order.iter().map(|at| entries[*at].clone()).collect();
        assert!(verify(&did, &text(&picked)).is_err(), "{order:?}");
    }
    // The end can be cut off; that is found by those who saw it before.
    let shorter = verify(&did, &text(&entries[..2])).unwrap();
    let whole = verify(&did, &log).unwrap();
    whole.require_follows(shorter.last_id().unwrap()).unwrap();
    whole.require_follows(whole.last_id().unwrap()).unwrap();
    assert_eq!(code(shorter.require_follows(whole.last_id().unwrap())), Code::DidLogForked);
    // Another third entry, by the one who has the key.
    let other = append(&shorter, &text(&entries[..2]), &change(30, &document(&did, &[7])), &secret(101)).unwrap();
    let other = verify(&did, &other).unwrap();
    assert_eq!(code(other.require_follows(whole.last_id().unwrap())), Code::DidLogForked);
    other.require_follows(shorter.last_id().unwrap()).unwrap();
}

#[test]
fn hashes_numbers_and_contents_that_were_changed() {
    let (did, log) = three();
    type Edit = fn(&mut Value);
    let edits: [Edit; 7] = [
        |entry| {
            let id = entry["versionId"].as_str().unwrap().replace("2-", "3-");
            entry["versionId"] = json!(id);
        },
        |entry| {
            let id = entry["versionId"].as_str().unwrap().replace("2-", "02-");
            entry["versionId"] = json!(id);
        },
        |entry| entry["versionId"] = json!(format!("2-{}", entry::hash(b"x"))),
        |entry| entry["versionId"] = json!("2"),
        |entry| entry["state"]["service"] = json!([]),
        |entry| entry["parameters"]["ttl"] = json!(5),
        |entry| entry["versionTime"] = json!(after(11).to_string()),
    ];
    for (at, edit) in edits.iter().enumerate() {
        let mut entries = lines(&log);
        edit(&mut entries[1]);
        assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid, "edit {at}");
        // Signed again by the one who may: the hash does not hold still.
        entries[1].as_object_mut().unwrap().remove("proof");
        entries[1] = signed(&entries[1], &secret(100), after(10));
        assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid, "edit {at}, signed");
    }
    assert!(with_second(|entry| entry["parameters"]["ttl"] = json!(5)).is_ok());
}

#[test]
fn times_rise_and_are_not_in_the_future() {
    let second_at = |at: Timestamp| with_second(|entry| entry["versionTime"] = json!(at.to_string()));
    for (seconds, holds) in [(-86_400, false), (-1, false), (0, false), (1, true), (19, true), (20, false), (21, false)]
    {
        let result = second_at(after(seconds));
        assert_eq!(result.is_ok(), holds, "{seconds}");
        assert!(holds || code(result) == Code::DidLogInvalid);
    }
    for text in ["2026-11-18T12:00:00", "2026-11-18T14:00:00+02:00", "18 November 2026", "", "1795000010"] {
        assert_eq!(code(with_second(|entry| entry["versionTime"] = json!(text))), Code::DidLogInvalid, "{text}");
    }
    let (did, log) = three();
    for (seconds, holds) in [(86_400, false), (301, false), (61, false), (60, true), (1, true), (0, true), (-1, true)] {
        // The last entry is this far ahead of the verifier's clock; its proof was made at that time as well.
        let now = after(20).plus(-seconds);
        let result = Chain::verify(&did, log.as_bytes(), now, SKEW);
        assert_eq!(result.is_ok(), holds, "{seconds}");
        assert!(holds || code(result) == Code::NotYetValid);
    }
    // Also if the proof does not say when it was made.
    let mut entry = lines(&created().1).remove(0);
    entry["versionTime"] = json!(NOW.plus(61).to_string());
    assert_eq!(code(with_first(|first| first["versionTime"] = json!(NOW.plus(61).to_string()))), Code::NotYetValid);
}

#[test]
fn parameters_are_those_of_the_specification() {
    type Edit = fn(&mut Value);
    let bad: [Edit; 22] = [
        |p| p["surprise"] = json!(1),
        |p| p["method"] = json!("did:webvh:2.0"),
        |p| p["method"] = json!("did:webvh:0.5"),
        |p| p["method"] = json!(null),
        |p| p["updateKeys"] = json!(null),
        |p| p["updateKeys"] = json!("z6Mk"),
        |p| p["updateKeys"] = json!([1]),
        |p| p["updateKeys"] = json!(["a", "a"]),
        |p| p["nextKeyHashes"] = json!(null),
        |p| p["nextKeyHashes"] = json!(["a", "a"]),
        |p| p["watchers"] = json!({}),
        |p| p["portable"] = json!("true"),
        |p| p["deactivated"] = json!(0),
        |p| p["ttl"] = json!(-1),
        |p| p["ttl"] = json!(1.5),
        |p| p["witness"] = json!(null),
        |p| p["witness"] = json!([]),
        |p| p["witness"] = json!({"threshold": 0, "witnesses": [{"id": Did::key(&public(9)).as_str()}]}),
        |p| p["witness"] = json!({"threshold": 2, "witnesses": [{"id": Did::key(&public(9)).as_str()}]}),
        |p| {
            let one = json!({"id": Did::key(&public(9)).as_str()});
            p["witness"] = json!({"threshold": 1, "witnesses": [one, one]});
        },
        |p| p["witness"] = json!({"threshold": 1, "witnesses": [{"id": "did:web:a.example"}]}),
        |p| p["witness"] = json!({"threshold": 1}),
    ];
    for (at, edit) in bad.iter().enumerate() {
        assert_eq!(code(with_second(|entry| edit(&mut entry["parameters"]))), Code::DidLogInvalid, "change {at}");
        assert_eq!(code(with_first(|entry| edit(&mut entry["parameters"]))), Code::DidLogInvalid, "change {at}, first");
    }
    for name in ["method", "scid", "updateKeys"] {
        let without = with_first(|entry| drop(entry["parameters"].as_object_mut().unwrap().remove(name)));
        assert_eq!(code(without), Code::DidLogInvalid, "{name}");
    }
    let scid = entry::hash(b"x");
    assert_eq!(code(with_second(|entry| entry["parameters"]["scid"] = json!(scid))), Code::DidLogInvalid);
    assert_eq!(code(with_second(|entry| entry["parameters"]["portable"] = json!(true))), Code::DidLogInvalid);
    let fine: [Edit; 5] = [
        |p| p["portable"] = json!(false),
        |p| p["witness"] = json!({}),
        |p| p["watchers"] = json!(["https://watcher.example"]),
        |p| p["ttl"] = json!(0),
        |p| p["method"] = json!("did:webvh:1.0"),
    ];
    for edit in fine {
        with_second(|entry| edit(&mut entry["parameters"])).unwrap();
        with_first(|entry| edit(&mut entry["parameters"])).unwrap();
    }
}

#[test]
fn entries_have_the_members_of_one() {
    let (did, log) = three();
    assert_eq!(code(verify(&did, "")), Code::DidLogInvalid);
    assert_eq!(code(with_second(|entry| entry["extra"] = json!(1))), Code::DidLogInvalid);
    for (name, value) in [("parameters", json!([])), ("state", json!("x")), ("versionTime", json!(5))] {
        assert_eq!(code(with_second(|entry| entry[name] = value.clone())), Code::DidLogInvalid, "{name}");
    }
    // The same name twice, of which readers would take one each.
    let (first, rest) = log.split_once('\n').unwrap();
    let twice = first.replacen('{', "{\"versionId\":\"1-x\",", 1);
    assert_eq!(code(verify(&did, &format!("{twice}\n{rest}"))), Code::DidLogInvalid);
    for blank in [
        log.replace('\n', "\r\n"),
        log.replace('\n', " \n"),
        log.replace('\n', "\n\n"),
        format!("\n{log}"),
        format!(" {log}"),
    ] {
        assert_eq!(code(verify(&did, &blank)), Code::DidLogInvalid);
    }
    assert!(verify(&did, log.trim_end()).is_ok());
    // Blanks inside of an entry change nothing.
    assert!(verify(&did, &log.replace("\":", "\": ")).is_ok());
}

#[test]
fn a_log_is_bounded() {
    let (did, log) = created();
    let long = format!("{}{}", log, "x".repeat(MAX_BYTES));
    assert_eq!(code(verify(&did, &long)), Code::TooLarge);
    // Entries that hold, one after another.
    let mut entries = lines(&log);
    let mut before = entries[0]["versionId"].as_str().unwrap().to_owned();
    for number in 2..=MAX_ENTRIES + 1 {
        let at = after(number as i64);
        let entry = json!({"versionTime": at.to_string(), "parameters": {}, "state": {"id": did.as_str()}});
        entries.push(remade(entry, number, &before, &secret(100), at));
        before = entries[number - 1]["versionId"].as_str().unwrap().to_owned();
    }
    assert_eq!(code(verify(&did, &text(&entries))), Code::TooLarge);
    assert_eq!(verify(&did, &text(&entries[..MAX_ENTRIES])).unwrap().versions().len(), MAX_ENTRIES);
}

#[test]
fn pre_rotation_binds_the_next_keys() {
    let (did, log) = inception(&[public(101), public(102)]);
    let before = verify(&did, &log).unwrap();
    let state = document(&did, &[2]);
    let (committed, other, next) = ([public(101)], [public(103)], [public(104)]);
    let with = |keys: Option<&[PublicKey]>, next: Option<&[PublicKey]>, signer: u8| {
        let change = Change { update_keys: keys, next, ..change(10, &state) };
        append(&before, &log, &change, &secret(signer))
    };
    let rotated = with(Some(&committed), Some(&next), 101).unwrap();
    assert!(before.may_go_on(&public(101)) && before.may_go_on(&public(102)) && !before.may_go_on(&public(100)));
    let open = verify(&created().0, &created().1).unwrap();
    assert!(open.may_go_on(&public(100)) && !open.may_go_on(&public(101)));
    // Ending pre-rotation is a change that must keep to it.
    assert!(with(Some(&committed), None, 101).is_ok());
    // Not committed to; no update keys; by the key of before, which a thief may have; by nobody.
    assert_eq!(code(with(Some(&other), Some(&next), 103)), Code::DidLogInvalid);
    assert_eq!(code(with(None, Some(&next), 100)), Code::DidLogInvalid);
    assert_eq!(code(with(Some(&committed), Some(&next), 100)), Code::MethodOfOther);
    assert_eq!(code(with(Some(&[]), Some(&next), 100)), Code::MethodOfOther);
    // Without nextKeyHashes it would be open whether pre-rotation goes on.
    let silent = json!({"versionTime": after(10).to_string(), "state": state,
        "parameters": {"updateKeys": [public(101).to_multikey()]}});
    let mut entries = lines(&log);
    let first = entries[0]["versionId"].as_str().unwrap().to_owned();
    entries.push(remade(silent, 2, &first, &secret(101), after(10)));
    assert_eq!(code(verify(&did, &text(&entries))), Code::DidLogInvalid);
    // And so on with the next.
    let before = verify(&did, &rotated).unwrap();
    let keys = [public(104)];
    let change = Change { update_keys: Some(&keys), next: Some(&[]), ..change(20, &state) };
    let ended = append(&before, &rotated, &change, &secret(104)).unwrap();
    let before = verify(&did, &ended).unwrap();
    append(&before, &ended, &self::change(30, &state), &secret(104)).unwrap();
}

#[test]
fn a_deactivated_did_gives_no_document_and_ends() {
    let (did, log) = created();
    let state = document(&did, &[1]);
    let before = verify(&did, &log).unwrap();
    assert!(before.document().is_ok());
    let ended = Change { deactivate: true, ..change(10, &state) };
    let text = append(&before, &log, &ended, &secret(100)).unwrap();
    let after = verify(&did, &text).unwrap();
    assert_eq!(code(after.document()), Code::DidDeactivated);
    assert_eq!(after.versions().len(), 2);
    assert_eq!(code(append(&after, &text, &change(20, &state), &secret(100))), Code::DidLogInvalid);
}

#[test]
fn documents_are_held_to_the_rules_in_every_version() {
    assert_eq!(code(with_second(|entry| entry["state"]["verificationMethod"] = json!(1))), Code::DidDocumentInvalid);
    assert_eq!(
        code(with_second(|entry| entry["state"]["verificationMethod"][0]["secretKeyMultibase"] = json!("z"))),
        Code::PrivateKeyExposed
    );
    assert_eq!(
        code(with_second(|entry| entry["state"]["id"] = json!("did:web:university.example"))),
        Code::DidUnsupported
    );
    assert_eq!(
        code(with_second(|entry| drop(entry["state"].as_object_mut().unwrap().remove("id")))),
        Code::DidLogInvalid
    );
    let scid = entry::hash(b"other");
    assert_eq!(
        code(with_second(|entry| entry["state"]["id"] = json!(format!("did:webvh:{scid}:university.example")))),
        Code::DidLogInvalid
    );
}

/// A log whose first entry is portable or not, and whose second one has the document under another name; under both names.
fn moved(portable: bool, first: fn(&Did) -> Value, second: fn(&Did, &Did) -> Value) -> [Result<Log, Problem>; 2] {
    let inception = Inception { place: PLACE, at: START, update: &secret(100), next: &[], ttl: None };
    let (did, log) = create(&inception, &|did| first(did)).unwrap();
    let mut entry = lines(&log).remove(0);
    entry["parameters"]["portable"] = json!(portable);
    entry.as_object_mut().unwrap().remove("proof");
    entry["versionId"] = json!(PLACEHOLDER);
    let entry = entry::replaced(&entry, did.id().split(':').next().unwrap(), PLACEHOLDER);
    let scid = entry::hash(&crate::json::canonicalize(&entry).unwrap());
    let old = Did::parse(&format!("did:webvh:{scid}:{PLACE}")).unwrap();
    let new = Did::parse(&format!("did:webvh:{scid}:college.example")).unwrap();
    let first = remade(entry::replaced(&entry, PLACEHOLDER, &scid), 1, &scid, &secret(100), START);
    let entry = json!({"versionTime": after(10).to_string(), "parameters": {}, "state": second(&old, &new)});
    let second = remade(entry, 2, first["versionId"].as_str().unwrap(), &secret(100), after(10));
    let log = text(&[first, second]);
    [verify(&new, &log), verify(&old, &log)]
}

/// The document with key 1 under the new name, which says the old one.
fn also_known(old: &Did, new: &Did) -> Value {
    let mut state = document(new, &[1]);
    state["alsoKnownAs"] = json!([old.as_str()]);
    state
}

#[test]
fn a_did_moves_only_if_it_may_and_is_then_known_by_its_new_name() {
    let [new, old] = moved(true, |did| document(did, &[1]), also_known);
    let current = new.unwrap().document().unwrap();
    assert_eq!(
        current.key_for(&current.did().with_fragment("key-1").unwrap(), Purpose::AssertionMethod).unwrap(),
        public(1)
    );
    assert_eq!(code(old), Code::DidLogInvalid);
    let [barred, _] = moved(false, |did| document(did, &[1]), also_known);
    assert_eq!(code(barred), Code::DidLogInvalid);
    let [silent, _] = moved(true, |did| document(did, &[1]), |_, new| document(new, &[1]));
    assert_eq!(code(silent), Code::DidLogInvalid);
}

#[test]
fn a_key_that_was_revoked_before_the_did_moved_stays_revoked() {
    let key = |first: fn(&Did) -> Value| {
        let [new, _] = moved(true, first, also_known);
        let current = new.unwrap().document().unwrap();
        let url = current.did().with_fragment("key-1").unwrap();
        (current.key_for(&url, Purpose::AssertionMethod), current.revoked(&url).is_some())
    };
    assert_eq!(key(|did| document(did, &[1])), (Ok(public(1)), false));
    let (refused, revoked) = key(|did| marked(did, &[1, 2]));
    assert!(revoked);
    assert_eq!(code(refused), Code::KeyInvalid);
    // Under another name then.
    let (refused, _) = key(|did| {
        let mut state = DidDocument::render(did, &[("other".to_owned(), public(1)), ("key-2".to_owned(), public(2))]);
        state["verificationMethod"][0]["revoked"] = json!("2026-11-20T00:00:00Z");
        state
    });
    assert_eq!(code(refused), Code::KeyInvalid);
    // Another key's mark says nothing of this one.
    assert_eq!(key(|did| marked(did, &[2, 1])), (Ok(public(1)), false));
}

/// The three entries, of which the second one names witnesses 201 and 202, both needed; and a witness file.
fn witnessed(file: impl Fn(&[String]) -> Value) -> Result<Log, Problem> {
    let (did, log) = three();
    let mut entries = lines(&log);
    let ids: Vec<Value> = [201, 202].iter().map(|seed| json!({"id": Did::key(&public(*seed)).as_str()})).collect();
    entries[1]["parameters"]["witness"] = json!({"threshold": 2, "witnesses": ids});
    let before = entries[0]["versionId"].as_str().unwrap().to_owned();
    entries[1] = remade(entries[1].clone(), 2, &before, &secret(100), after(10));
    let before = entries[1]["versionId"].as_str().unwrap().to_owned();
    entries[2] = remade(entries[2].clone(), 3, &before, &secret(101), after(20));
    let chain = Chain::verify(&did, text(&entries).as_bytes(), NOW, SKEW).unwrap();
    assert!(chain.wants_witnesses());
    let ids: Vec<String> = entries.iter().map(|entry| entry["versionId"].as_str().unwrap().to_owned()).collect();
    let file = file(&ids);
    let file = (!file.is_null()).then(|| file.to_string());
    chain.witnessed(file.as_deref().map(str::as_bytes), NOW, SKEW)
}

fn vouched(id: &str, seeds: &[u8]) -> Value {
    let proofs: Vec<Value> = seeds
        .iter()
        .map(|seed| signed(&json!({"versionId": id}), &secret(*seed), after(25))["proof"].clone())
        .collect();
    json!({"versionId": id, "proof": proofs})
}

#[test]
fn witnesses_vouch_for_each_entry_that_needs_them() {
    // For the last one, and so for all before.
    assert!(witnessed(|ids| json!([vouched(&ids[2], &[201, 202])])).is_ok());
    assert!(witnessed(|ids| json!([vouched(&ids[2], &[201]), vouched(&ids[2], &[202])])).is_ok());
    assert!(witnessed(|ids| json!([vouched("4-x", &[9]), vouched(&ids[2], &[201, 202, 203])])).is_ok());
    let refused = |file: &dyn Fn(&[String]) -> Value| code(witnessed(file));
    assert_eq!(refused(&|_| Value::Null), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!([])), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!({})), Code::DidLogWitness);
    // One of two; the same one twice; a stranger; only for an earlier entry; only for one that is not in the log.
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201, 201])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[2], &[201, 203])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[1], &[201, 202])])), Code::DidLogWitness);
    assert_eq!(refused(&|ids| json!([vouched(&ids[1], &[201, 202]), vouched(&ids[2], &[201])])), Code::DidLogWitness);
    assert_eq!(refused(&|_| json!([vouched("4-x", &[201, 202])])), Code::DidLogWitness);
    // A proof for a published entry that does not hold spoils the file, though there are enough others.
    let spoiled = |ids: &[String]| {
        let mut other = vouched(&ids[1], &[203]);
        other["proof"][0]["proofValue"] = vouched(&ids[2], &[203])["proof"][0]["proofValue"].clone();
        json!([vouched(&ids[2], &[201, 202]), other])
    };
    assert_eq!(refused(&spoiled), Code::SignatureInvalid);
    let large = format!("[\"{}\"]", "x".repeat(MAX_WITNESS_BYTES));
    let (did, log) = three();
    let chain = Chain::verify(&did, log.as_bytes(), NOW, SKEW).unwrap();
    assert!(!chain.wants_witnesses());
    assert!(chain.witnessed(Some(large.as_bytes()), NOW, SKEW).is_ok());
    assert_eq!(refused(&|_| json!("x".repeat(MAX_WITNESS_BYTES))), Code::TooLarge);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever an honest controller does verifies; whatever byte changes does not.
    #[test]
    fn created_logs_verify_and_changed_ones_do_not(
        steps in proptest::collection::vec((1_i64..1_000, any::<bool>(), any::<bool>(), 1_u8..90), 0..5),
        pre_rotated in any::<bool>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 40),
    ) {
        let (mut at, mut update, mut reserve) = (0, 100_u8, 101_u8);
        let (did, mut text) = if pre_rotated { inception(&[public(101)]) } else { created() };
        let mut committed = pre_rotated;
        for (pause, rotate, commit, seed) in steps {
            let log = verify(&did, &text).unwrap();
            at += pause;
            let state = document(&did, &[seed]);
            let rotate = rotate || committed;
            let (keys, next) = ([public(reserve)], [public(reserve + 1)]);
            let change = Change {
                update_keys: rotate.then_some(&keys),
                next: commit.then_some(&next),
                ..change(at, &state)
            };
            let signer = if committed { reserve } else { update };
            if rotate {
                update = reserve;
            }
            text = append(&log, &text, &change, &secret(signer)).unwrap();
            reserve += 1;
            committed = commit;
            if !commit {
                reserve += 1;
            }
            verify(&did, &text).unwrap().require_follows(log.last_id().unwrap()).unwrap();
        }
        let whole = verify(&did, &text).unwrap();
        prop_assert!(whole.document().is_ok());
        for (place, mask) in flips {
            let mut bytes = text.clone().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= mask;
            prop_assert!(Chain::verify(&did, &bytes, NOW, SKEW).is_err(), "byte {place}, mask {mask}");
        }
    }
}
