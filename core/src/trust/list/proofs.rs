//! Proofs of a trust list: the operators with valid proofs, and the invalid proofs (spec/trust.md section 3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::PinnedOperators;
use crate::{
    Code, Problem,
    did::{self, DidUrl, Resolve, VerificationRelationship},
    keys::Signer,
    secure::data_integrity::{
        self, Cryptosuite as _, Cryptosuites, ProofOptions, ProofRequirements, eddsa_jcs::EddsaJcs2022,
    },
    time::Timestamp,
    trust::statement::VerificationTime,
};

/// Maximum number of proofs of a list: four for each of the maximum number of operators. It limits the work that one
/// list can cause.
const MAX_PROOFS: usize = 64;

/// Operators with a valid proof of a list, and operators with invalid proofs only.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProofResults {
    pub(super) signed: BTreeSet<String>,
    /// Operators without a valid proof, with the first error of their proofs.
    pub(super) failed: BTreeMap<String, Problem>,
}

/// Returns the verification method that a proof names, unverified.
pub(super) fn claimed_method(proof: &Value) -> Result<DidUrl, Problem> {
    let method = proof.get("verificationMethod").and_then(Value::as_str);
    DidUrl::parse(method.ok_or_else(|| Problem::new(Code::ProofMalformed, "a proof has no verificationMethod"))?)
}

/// Verifies the proofs of these operators, and requires a quorum of valid ones. Each proof counts by itself: the server
/// of the list could as well omit an invalid one. No other DID is resolved.
pub(super) fn verify_proofs(
    unsecured: &Map<String, Value>,
    proofs: &[Value],
    operators: &PinnedOperators,
    clock: VerificationTime,
    resolver: &dyn Resolve,
) -> Result<ProofResults, Problem> {
    if proofs.is_empty() {
        return Err(Code::ProofMissing.into());
    }
    if proofs.len() > MAX_PROOFS {
        return Err(Problem::new(Code::ProofMalformed, format!("there are more than {MAX_PROOFS} proofs")));
    }
    let mut found = ProofResults { signed: BTreeSet::new(), failed: BTreeMap::new() };
    // Two DIDs may have the same key; then they count once.
    let mut keys = BTreeSet::new();
    let mut document = unsecured.clone();
    for proof in proofs {
        let Ok(method) = claimed_method(proof) else { continue };
        let operator = method.did().as_str();
        if !operators.operators.contains(operator) || found.signed.contains(operator) {
            continue;
        }
        document.insert("proof".to_owned(), proof.clone());
        match verified_thumbprint(&document, &method, clock, resolver) {
            Ok(key) if keys.insert(key.clone()) => drop(found.signed.insert(operator.to_owned())),
            Ok(_) => {
                let problem = Problem::new(Code::TrustListOperator, "another operator signed with this key");
                found.failed.entry(operator.to_owned()).or_insert(problem);
            }
            Err(problem) => drop(found.failed.entry(operator.to_owned()).or_insert(problem)),
        }
    }
    // A valid proof of an operator outweighs an invalid one.
    found.failed.retain(|operator, _| !found.signed.contains(operator));
    if found.signed.len() < operators.quorum { Err(quorum_problem(&found, operators.quorum)) } else { Ok(found) }
}

/// Verifies the one proof of a document, and returns the thumbprint of its key.
fn verified_thumbprint(
    document: &Map<String, Value>,
    method: &DidUrl,
    VerificationTime { now, skew }: VerificationTime,
    resolver: &dyn Resolve,
) -> Result<String, Problem> {
    let purpose = VerificationRelationship::AssertionMethod;
    let expected = ProofRequirements { purpose, controller: method.did().as_str(), binding: None, now, skew };
    data_integrity::verify(document, &Cryptosuites::only(EddsaJcs2022), resolver, &expected)?;
    let (_, key) = did::resolve_key(resolver, &method.to_string(), purpose)?;
    Ok(key.thumbprint())
}

/// Returns the error for a list without a quorum. If proofs that are invalid only for now (an unavailable DID document,
/// a time in the future) could complete the quorum, its code is that of the first such proof: the caller then keeps its
/// current list.
fn quorum_problem(found: &ProofResults, needed: usize) -> Problem {
    let may_hold = |code: &Code| matches!(code, Code::DidUnresolved | Code::NotYetValid);
    let pending: Vec<Code> = found.failed.values().map(|problem| problem.code).filter(may_hold).collect();
    let could = found.signed.len().saturating_add(pending.len()) >= needed;
    let code = pending.first().copied().filter(|_| could).unwrap_or(Code::TrustListQuorum);
    let signed = found.signed.len();
    let failed: Vec<String> =
        found.failed.iter().map(|(operator, problem)| format!("{operator} ({problem})")).collect();
    let mut detail = format!("{signed} of the {needed} required operators have signed");
    if !failed.is_empty() {
        detail.push_str("; these proofs are invalid: ");
        detail.push_str(&failed.join(", "));
    }
    Problem::new(code, detail)
}

/// Adds the proof of one key to a list. An invalid proof that names the same key is removed, since otherwise anybody
/// could keep an operator from signing.
pub(super) fn add_operator_proof(
    unsecured: &Map<String, Value>,
    proofs: &[Value],
    kid: &DidUrl,
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<Map<String, Value>, Problem> {
    let method = kid.to_string();
    let key = signer.public_key();
    let mut kept = Vec::new();
    for proof in proofs {
        if !claimed_method(proof).is_ok_and(|named| named.to_string() == method) {
            kept.push(proof.clone());
        } else if proof.as_object().is_some_and(|proof| EddsaJcs2022.verify_proof(unsecured, proof, &key).is_ok()) {
            return Err(Problem::new(Code::TrustListOperator, "this operator has already signed the list"));
        }
    }
    let mut document = unsecured.clone();
    if !kept.is_empty() {
        document.insert("proof".to_owned(), Value::Array(kept));
    }
    let options = ProofOptions {
        verification_method: &method,
        purpose: VerificationRelationship::AssertionMethod,
        created: Some(now),
        expires: None,
        challenge: None,
        domain: None,
    };
    data_integrity::add_proof(&document, &EddsaJcs2022, &options, signer)
}
