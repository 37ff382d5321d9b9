mod credentials;
mod did_keys;
mod envelopes;
mod presentations;
mod proofs;
mod related;
mod statuses;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    credential::CONTEXT_V2,
    did::{Did, SelfContainedResolver, VerificationRelationship},
    keys::{SecretKey, SignatureAlgorithm, Signer},
    secure::data_integrity::ProofOptions,
};

/// Check of terms that knows one undefined term.
struct Terms;

impl CheckTerms for Terms {
    fn check_terms(&self, document: &Map<String, Value>) -> Result<(), Problem> {
        if document.contains_key("undefinedTerm") { Err(Code::TermUndefined.into()) } else { Ok(()) }
    }
}

#[derive(Default)]
struct Lists(HashMap<String, Map<String, Value>>);

impl StatusListSource for Lists {
    fn status_list(&self, url: &str) -> Option<Map<String, Value>> {
        self.0.get(url).cloned()
    }
}

/// Key, with its did:key and the DID URL of its verification method.
struct Party {
    key: SecretKey,
    did: String,
    method: String,
}

fn party(algorithm: SignatureAlgorithm, byte: u8) -> Party {
    let length = if algorithm == SignatureAlgorithm::Es384 { 48 } else { 32 };
    let key = SecretKey::from_bytes(algorithm, &vec![byte; length]).unwrap();
    let did = Did::did_key(&key.public_key());
    let method = format!("{did}#{}", did.method_specific_id());
    Party { did: did.as_str().to_owned(), method, key }
}

fn issuer() -> Party {
    party(SignatureAlgorithm::EdDsa, 7)
}

fn holder() -> Party {
    party(SignatureAlgorithm::EdDsa, 9)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-30T12:00:00Z").unwrap()
}

/// Runs `with` in an environment with these status lists.
fn in_env<T>(lists: &Lists, with: impl FnOnce(&Environment<'_>) -> T) -> T {
    let suites = Cryptosuites::jcs();
    with(&Environment {
        suites: &suites,
        resolver: &SelfContainedResolver,
        terms: &Terms,
        status_lists: lists,
        resources: &KnownResource::published(),
        now: now(),
        skew: 60,
    })
}

fn issue_options<'a>(method: &'a str, purpose: VerificationRelationship) -> IssueOptions<'a> {
    IssueOptions {
        proof: ProofOptions {
            verification_method: method,
            purpose,
            created: Some(now()),
            expires: None,
            challenge: None,
            domain: None,
        },
        default_issuer: None,
        proof_id: None,
        previous_proofs: &[],
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("an object") };
    members
}

/// Secures a document with the JCS cryptosuite of the party's key.
fn secured(document: Value, by: &Party, purpose: VerificationRelationship) -> Map<String, Value> {
    let suites = Cryptosuites::jcs();
    let suite = suites.for_signing(crate::format::CredentialFormat::DiVcJcs, by.key.algorithm()).unwrap();
    add_proof(&object(document), suite, &issue_options(&by.method, purpose), &by.key).unwrap()
}

fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"],
        "issuer": issuer().did, "credentialSubject": {"id": "did:example:subject", "name": "Alice"}
    })
}

fn presentation(credentials: &[Value]) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiablePresentation"],
        "holder": holder().did, "verifiableCredential": credentials
    })
}

fn issued() -> Map<String, Value> {
    secured(credential(), &issuer(), VerificationRelationship::AssertionMethod)
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> Code {
    result.unwrap_err().code
}
