//! DID documents of the operators of a trust list.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidUrl, Resolve, SelfContainedResolver, VerificationRelationship},
    json::{self, Limits},
};
use carnet_fetch::is_fetch_failure;
use serde_json::Value;

/// Documents of the operators at one instant, or the reasons why they are missing. As a resolver, it also resolves
/// did:key and did:jwk.
#[derive(Clone, PartialEq)]
pub(super) struct OperatorDocuments(pub(super) BTreeMap<Did, Result<Arc<DidDocument>, Problem>>);

impl Resolve for OperatorDocuments {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        // Signers that only a list names must have a DID that contains its document: nothing is fetched because a list
        // names it.
        let derived = || {
            if did.is_self_contained() { SelfContainedResolver.resolve(did) } else { Err(Code::DidUnresolved.into()) }
        };
        self.0.get(did).cloned().unwrap_or_else(derived)
    }
}

/// Returns the operators with a published DID whose available document lacks a key that a proof of the list names.
/// Empty if the list is not a JSON object.
pub(super) fn unknown_signers(text: &[u8], documents: &OperatorDocuments) -> BTreeSet<Did> {
    let Ok(document) = json::parse_object(text, Limits::STATUS_LIST) else { return BTreeSet::new() };
    let proofs = match document.get("proof") {
        Some(Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let methods = proofs.iter().filter_map(|proof| DidUrl::parse(proof.get("verificationMethod")?.as_str()?).ok());
    let unknown = |method: &DidUrl| {
        let known = documents.0.get(method.did()).and_then(|document| document.as_ref().ok());
        let key = known.map(|document| document.key_for(method, VerificationRelationship::AssertionMethod));
        // A document that could not be fetched is retried anyway, and a revoked key remains revoked.
        key.is_some_and(|key| key.is_err_and(|problem| problem.code != Code::KeyInvalid))
    };
    methods
        .filter(|method| method.did().has_published_document() && unknown(method))
        .map(|method| method.did().clone())
        .collect()
}

/// Logs a warning about a missing or invalid document of an operator.
pub(super) fn log_operator_problem(did: &Did, problem: &Problem) {
    let Problem { code, detail } = problem;
    if is_fetch_failure(*code) {
        tracing::warn!(
            operator = %did, %code, detail,
            "the document of a trust list's operator could not be fetched; retrying"
        );
    } else {
        tracing::warn!(
            operator = %did, %code, detail,
            "the document of a trust list's operator was fetched and is refused; retrying"
        );
    }
}
