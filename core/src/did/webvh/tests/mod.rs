//! Logs as their controllers make them, and as others would.

// Counters of a few steps.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    did::{DidDocument, KeyHistoryResolver, Resolve, VerificationRelationship},
    keys::{PublicKey, SecretKey, SignatureAlgorithm, Signer as _},
    secure::data_integrity::{self, ProofOptions, eddsa_jcs::EddsaJcs2022},
    time::Timestamp,
};

mod created;
mod entries;
mod parameters;
mod versions;

const START: Timestamp = Timestamp::from_unix(1_795_000_000);
const NOW: Timestamp = Timestamp::from_unix(1_796_000_000);
const SKEW: i64 = 60;
const PLACE: &str = "university.example";

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_bytes(SignatureAlgorithm::EdDsa, &[seed; 32]).unwrap()
}

fn public(seed: u8) -> PublicKey {
    secret(seed).public_key()
}

/// A document with the keys of these seeds, each named after its seed.
fn document(did: &Did, seeds: &[u8]) -> Value {
    let keys: Vec<_> = seeds.iter().map(|seed| (format!("key-{seed}"), public(*seed))).collect();
    DidDocument::json_for_keys(did, &keys)
}

fn after(seconds: i64) -> Timestamp {
    START.plus(seconds)
}

fn verify(did: &Did, text: &str) -> Result<WebVhLog, Problem> {
    UnwitnessedLog::verify_entries(did, text.as_bytes(), NOW, SKEW)?.verify_witnesses(None, NOW, SKEW)
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}

/// A new DID with key 1, updated with key 100.
fn created() -> (Did, String) {
    inception(&[])
}

fn inception(next: &[PublicKey]) -> (Did, String) {
    let inception = NewWebVhDid {
        location: PLACE,
        version_time: START,
        update_key: &secret(100),
        next_update_keys: next,
        ttl: None,
    };
    create_did(&inception, &|did| document(did, &[1])).unwrap()
}

fn change<'a>(at: i64, state: &'a Value) -> LogUpdate<'a> {
    LogUpdate { version_time: after(at), state, update_keys: None, next_update_keys: None, deactivate: false }
}

/// A log of three entries: key 1, then 1 and 2, then 2 alone; updated with key 100, then twice with key 101.
fn three() -> (Did, String) {
    let (did, text) = created();
    let (second, third) = (document(&did, &[1, 2]), document(&did, &[2]));
    let keys = [public(101)];
    let rotated = LogUpdate { update_keys: Some(&keys), ..change(10, &second) };
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

/// A changed entry, with the hash after `before` and a proof by this key: a thief of the key can make it.
fn remade(mut entry: Value, number: usize, before: &str, key: &SecretKey, at: Timestamp) -> Value {
    let members = entry.as_object_mut().unwrap();
    members.remove("proof");
    members.insert("versionId".into(), before.into());
    let hash = entry::hash(&entry::canonical(members).unwrap());
    members.insert("versionId".into(), format!("{number}-{hash}").into());
    signed(&entry, key, at)
}

fn signed(entry: &Value, key: &SecretKey, at: Timestamp) -> Value {
    let did = Did::did_key(&key.public_key());
    let options = ProofOptions {
        verification_method: &format!("{did}#{}", did.method_specific_id()),
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(at),
        expires: None,
        challenge: None,
        domain: None,
    };
    Value::Object(data_integrity::add_proof(entry.as_object().unwrap(), &EddsaJcs2022, &options, key).unwrap())
}

/// The three entries with the second one changed, and all later ones made again by the holders of the keys.
fn with_second(change: impl Fn(&mut Value)) -> Result<WebVhLog, Problem> {
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
fn with_first(change: impl Fn(&mut Value)) -> Result<WebVhLog, Problem> {
    let (did, log) = created();
    let mut entry = lines(&log).remove(0);
    change(&mut entry);
    entry.as_object_mut().unwrap().remove("proof");
    entry["versionId"] = json!(PLACEHOLDER);
    let scid = did.method_specific_id().split(':').next().unwrap();
    let entry = entry::replace_text(&entry, scid, PLACEHOLDER);
    let scid = entry::hash(&crate::json::canonicalize(&entry).unwrap());
    let entry = remade(entry::replace_text(&entry, PLACEHOLDER, &scid), 1, &scid, &secret(100), START);
    verify(&Did::parse(&format!("did:webvh:{scid}:{PLACE}")).unwrap(), &text(&[entry]))
}

struct One(Arc<DidDocument>);

impl Resolve for One {
    fn resolve(&self, _: &Did) -> Result<Arc<DidDocument>, Problem> {
        Ok(Arc::clone(&self.0))
    }
}

fn marked(did: &Did, seeds: &[u8]) -> Value {
    let mut state = document(did, seeds);
    state["verificationMethod"][0]["revoked"] = json!("2026-11-20T00:00:00Z");
    state
}
