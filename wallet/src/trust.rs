//! Decisions of the wallet's trust lists about registrars and issuers. Expired and otherwise invalid lists are ignored.

use std::{collections::BTreeMap, sync::Arc};

use carnet_core::{
    Problem,
    did::{Did, DidDocument, Resolve, SelfContainedResolver},
    format::CredentialFormat,
    json::{self, Limits},
    secure::sd_jwt::SdJwt,
    time::{CLOCK_SKEW, Timestamp},
    trust::list::{
        AcceptedList, AccreditationDecision, AccreditationQuestion, ListTimestamp, PinnedOperators, TrustList,
        TrustListAnchors, TrustListEntry,
    },
};
use carnet_spec::Catalogue;
use serde_json::{Map, Value, json};

use crate::store::{HeldCredential, PinnedList, WalletTrust};

impl PinnedList {
    /// Verifies a version of this pinned list at `now`. `seen` identifies the newest version accepted so far; the
    /// version must descend from it, unless its digest is `accept`. The stored timestamp is attached if it is valid for
    /// this version.
    ///
    /// # Errors
    /// The operators are malformed, or the version is invalid.
    pub fn verify(
        &self,
        document: &Map<String, Value>,
        seen: Option<&AcceptedList>,
        accept: Option<&str>,
        now: Timestamp,
    ) -> Result<TrustList, Problem> {
        let operators = PinnedOperators::pin(&self.issuer, self.operators.iter().map(String::as_str), self.quorum)?;
        let operators = operators.with_min_sequence(self.min_sequence);
        let documents = PinnedDocuments::from_json(&self.operator_documents);
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: seen,
            accepted_digest: accept,
            now,
            skew: CLOCK_SKEW,
        };
        let mut list = TrustList::verify(document, &pinned, &documents)?;
        // A timestamp of another list or past its end counts as missing.
        let timestamp = self.timestamp.as_ref().map(|timestamp| ListTimestamp::verify(timestamp, &list, now));
        if let Some(Ok(timestamp)) = timestamp {
            list.add_timestamp(&timestamp);
        }
        Ok(list)
    }
}

impl PinnedList {
    /// Verifies an intermediate version of this list that changed the operators, and returns its identity for verifying
    /// the next version.
    ///
    /// # Errors
    /// The operators are malformed, or the version is invalid or names no operators.
    pub fn verify_handover(
        &self,
        document: &Map<String, Value>,
        seen: Option<&AcceptedList>,
        now: Timestamp,
    ) -> Result<AcceptedList, Problem> {
        let operators = PinnedOperators::pin(&self.issuer, self.operators.iter().map(String::as_str), self.quorum)?;
        let pinned = TrustListAnchors {
            operators: &operators,
            newest_accepted: seen,
            accepted_digest: None,
            now,
            skew: CLOCK_SKEW,
        };
        TrustList::verify_handover(document, &pinned, &PinnedDocuments::from_json(&self.operator_documents))
    }
}

/// Resolver for the DID documents that the wallet has stored, and for DIDs that contain their document.
struct PinnedDocuments(BTreeMap<Did, Arc<DidDocument>>);

impl PinnedDocuments {
    /// Skips malformed documents: then only the proof of that operator fails.
    fn from_json(documents: &[Value]) -> Self {
        let parse = |document: &Value| {
            let did = Did::parse(document.get("id").and_then(Value::as_str)?).ok()?;
            let document = DidDocument::parse(&did, document).ok()?;
            Some((did, Arc::new(document)))
        };
        Self(documents.iter().filter_map(parse).collect())
    }
}

impl Resolve for PinnedDocuments {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.0.get(did).map_or_else(|| SelfContainedResolver.resolve(did), |document| Ok(Arc::clone(document)))
    }
}

/// Trust lists of the wallet that are valid at an instant.
pub struct ValidTrustLists {
    lists: Vec<TrustList>,
    now: Timestamp,
}

impl ValidTrustLists {
    /// Verifies the wallet's pinned trust lists at `now`, and omits the invalid ones.
    pub fn from_wallet(trust: &WalletTrust, now: Timestamp) -> Self {
        let holds =
            |pinned: &PinnedList| pinned.verify(&pinned.document, trust.accepted.get(&pinned.issuer), None, now).ok();
        Self { lists: trust.lists.iter().filter_map(holds).collect(), now }
    }

    /// Returns the entry of a registrar in the first list that has one. An entry does not mean that its accreditation
    /// is in force.
    pub fn registrar_entry(&self, did: &str) -> Option<&TrustListEntry> {
        self.lists.iter().find_map(|list| list.contents().registrar(did))
    }

    /// Returns DID and name of all issuers and registrars in the lists, whatever their accreditations.
    pub fn parties(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.lists.iter().map(TrustList::contents);
        let entries = entries.flat_map(|contents| contents.issuers.iter().chain(&contents.registrars));
        entries.map(|entry| (entry.id.as_str(), entry.name.as_str()))
    }

    /// Returns the DID and the decision of one trust list: of the first that accepts, otherwise of the first with an
    /// entry for the party, otherwise of the first. `None` if there is no valid list.
    pub fn decision(&self, question: &AccreditationQuestion) -> Option<(&str, AccreditationDecision)> {
        let said = || self.lists.iter().map(|list| (list.list_id(), list.decide(question, self.now)));
        let accepting = said().find(|(_, why)| why.is_accepted());
        accepting.or_else(|| said().find(|(_, why)| why.name.is_some())).or_else(|| said().next())
    }
}

/// Returns the decision of the trust lists about the issuer of a received credential, as JSON: null if no list is
/// pinned, the rule `no_trust_list` if none is valid now.
pub fn issuer_decision_json(
    trust: &WalletTrust,
    held: &HeldCredential,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Value {
    if trust.lists.is_empty() {
        return Value::Null;
    }
    let question = AccreditationQuestion {
        issued_at: held.valid_from,
        ..AccreditationQuestion::for_issuance(&held.issuer, &held.type_name)
    };
    let claims =
        catalogue.credential_type(&held.type_name).map(|known| known.limiting_claims.clone()).unwrap_or_default();
    let mut document =
        held.copies.first().and_then(|copy| copy_content(&copy.credential.text(), held.format)).unwrap_or_default();
    let question = question.with_claims(&document, &[], &claims);
    document.values_mut().for_each(carnet_core::wipe);
    let lists = ValidTrustLists::from_wallet(trust, now);
    match lists.decision(&question) {
        None => {
            json!({"accepted": false, "rule": "no_trust_list", "meaning": "None of your trust lists is valid now."})
        }
        Some((list, why)) => decision_json(list, &why),
    }
}

/// Returns the decision of the list with the DID `list` as JSON: result, rule and its meaning, list and sequence
/// number, entry and accreditation.
pub fn decision_json(list: &str, why: &AccreditationDecision) -> Value {
    json!({
        "accepted": why.is_accepted(), "rule": why.rule.as_str(), "meaning": why.rule.meaning(), "list": list,
        "sequence": why.sequence, "entry": why.name,
        "accreditation": why.accreditation.as_ref().map(|(at, held)| format!("{}: {held}", at.saturating_add(1))),
    })
}

/// Returns the content of a copy, with the claims in `credentialSubject` for every format; `None` if it cannot be
/// parsed.
fn copy_content(copy: &str, format: CredentialFormat) -> Option<Map<String, Value>> {
    if !format.is_sd_jwt() {
        return json::parse_object(copy.as_bytes(), Limits::DOCUMENT).ok();
    }
    let payload = SdJwt::parse(copy).ok()?.resolve_disclosures().ok()?.payload;
    let in_subject = format != CredentialFormat::DcSdJwt;
    Some(if in_subject { payload } else { Map::from_iter([("credentialSubject".to_owned(), payload.into())]) })
}

#[cfg(test)]
mod tests;
