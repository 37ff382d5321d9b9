//! DID documents, parsed according to DID Core 1.0 and the retrieval rules of Controlled Identifiers 1.0 section 3.3.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Did, DidUrl, VerificationRelationship,
    method::{Method, absolute},
    revocation::RevocationMarks,
};
use crate::{Code, Problem, keys::PublicKey, time::Timestamp};

const PURPOSES: [VerificationRelationship; 2] =
    [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication];
/// More methods than any party has keys for; it bounds the work that a document can cause.
const MAX_METHODS: usize = 100;
/// Of the methods that a history has beside the current ones.
const MAX_PAST: usize = 1_000;
/// The type of the service whose endpoint names the controller's status lists.
const STATUS_LISTS: &str = "StatusListAggregation";
/// The member of that service that names a second signer.
const STATUS_LIST_ISSUER: &str = "statusListIssuer";
const MAX_ENDPOINT: usize = 2_048;

/// DID document that was checked against its DID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidDocument {
    did: Did,
    methods: Vec<Method>,
    /// Methods that earlier versions had and this one lacks; only a DID that proves its history has any.
    past: Vec<Method>,
    /// Marks of this version and all earlier ones, in every method.
    marks: RevocationMarks,
    status_lists: Option<StatusListService>,
}

/// Service that names the status lists.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StatusListService {
    endpoint: String,
    /// Second signer of the lists, besides the controller.
    issuer: Option<Did>,
}

pub(super) fn invalid(what: impl Into<String>) -> Problem {
    Problem::new(Code::DidDocumentInvalid, what)
}

impl DidDocument {
    /// Parses a resolved document: its `id` is the DID. A malformed or unsupported verification method, a method id
    /// that occurs twice, and a relationship that is not an array are unusable, and do not affect the others
    /// (spec/elements.md).
    ///
    /// # Errors
    /// `did_document_invalid`: a wrong `id`, an unreadable `revoked` in any method, an invalid status list service, too
    /// many methods; `private_key_exposed`.
    pub fn parse(did: &Did, document: &Value) -> Result<Self, Problem> {
        let members = document.as_object().ok_or_else(|| invalid("the DID document is not an object"))?;
        if members.get("id").and_then(Value::as_str) != Some(did.as_str()) {
            return Err(invalid("the DID document's id is not the DID"));
        }
        let mut parsed = Self {
            did: did.clone(),
            methods: Vec::new(),
            past: Vec::new(),
            // Before any method is skipped.
            marks: RevocationMarks::read(did, members)?,
            status_lists: status_lists(members)?,
        };
        let mut room = MAX_METHODS;
        for entry in entries(did, members, "verificationMethod")? {
            parsed.add(entry, None, &mut room)?;
        }
        for purpose in PURPOSES {
            for entry in entries(did, members, purpose.as_str())? {
                match entry {
                    // A reference to another document's method names nothing here, and is passed over.
                    Value::String(reference) => {
                        let id = absolute(did, reference);
                        if let Some(method) = parsed.methods.iter_mut().find(|method| method.id == id) {
                            method.purposes.push(purpose);
                        }
                    }
                    embedded => parsed.add(embedded, Some(purpose), &mut room)?,
                }
            }
        }
        parsed.mark();
        Ok(parsed)
    }

    fn add(
        &mut self,
        entry: &Value,
        purpose: Option<VerificationRelationship>,
        room: &mut usize,
    ) -> Result<(), Problem> {
        // Those that are skipped count too: reading them is work.
        *room = room.checked_sub(1).ok_or_else(|| invalid("the DID document has too many verification methods"))?;
        let Some(method) = Method::read(&self.did, entry, purpose)? else { return Ok(()) };
        match self.methods.iter_mut().find(|known| known.id == method.id) {
            Some(known) => known.refuse_twin(method),
            None => self.methods.push(method),
        }
        Ok(())
    }

    /// The document of a DID that is made of one key, listed for both purposes.
    pub(super) fn of_one_key(did: &Did, fragment: &str, key: PublicKey) -> Self {
        let method = Method {
            id: format!("{did}#{fragment}"),
            controller: Some(did.as_str().to_owned()),
            key: Ok(key),
            purposes: PURPOSES.to_vec(),
            expires: None,
            revoked: None,
            retired: None,
        };
        let marks = RevocationMarks::default();
        Self { did: did.clone(), methods: vec![method], past: Vec::new(), marks, status_lists: None }
    }

    /// Returns the DID of the document.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    fn method(&self, method: &DidUrl) -> Option<&Method> {
        self.find(&method.to_string())
    }

    /// Returns the key of the verification method `method`, if it may be used for `purpose`.
    ///
    /// # Errors
    /// `method_unknown`, `method_controller`, `method_relationship`; `key_invalid` if the key is malformed, revoked, or
    /// of a kind that is not accepted.
    pub fn key_for(&self, method: &DidUrl, purpose: VerificationRelationship) -> Result<PublicKey, Problem> {
        let found = self.listed(method, purpose)?;
        // At any time: a thief can date a signature back to before it.
        if found.revoked.is_some() {
            return Err(Problem::new(Code::KeyInvalid, "the verification method is revoked"));
        }
        found.key.clone()
    }

    /// Returns the revoked key of the verification method `method`, if it was permitted for assertion.
    ///
    /// Use it only for a copy whose digest is in a freshness statement that a valid key of this document signed (one
    /// that [`Self::key_for`] returns): a thief of the revoked key can sign anything, with any date.
    ///
    /// # Errors
    /// As [`Self::key_for`] for assertion; and `key_invalid` if the key is not revoked.
    pub fn revoked_key_of_vouched_copy(&self, method: &DidUrl) -> Result<PublicKey, Problem> {
        let found = self.listed(method, VerificationRelationship::AssertionMethod)?;
        if found.revoked.is_none() {
            return Err(Problem::new(Code::KeyInvalid, "the verification method is not revoked"));
        }
        found.key.clone()
    }

    /// Returns the revocation time of the key of `method`, if stated (`revoked`, Controlled Identifiers 1.0 section
    /// 2.2). Any method with that id or that key counts, also in any version of a DID with a verified history.
    #[must_use]
    pub fn revoked(&self, method: &DidUrl) -> Option<Timestamp> {
        let id = method.to_string();
        match self.find(&id) {
            Some(found) => found.revoked,
            None => self.marks.of(&self.did, &id, None),
        }
    }

    /// Returns the revocation time of a key, if the document states one under any id, also in an unusable verification
    /// method.
    #[must_use]
    pub fn revoked_key(&self, key: &PublicKey) -> Option<Timestamp> {
        self.marks.of_key(key)
    }

    /// Returns whether any verification method of this version has `revoked`.
    #[must_use]
    pub fn has_revoked_key(&self) -> bool {
        self.methods.iter().any(|method| method.revoked.is_some())
    }

    /// Returns the DID URLs of the keys that may sign credentials at `now`: those of this version that are listed for
    /// assertion, usable, not revoked and not expired.
    pub fn assertion_methods(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let usable = move |method: &&Method| {
            method.controller.as_deref() == Some(self.did.as_str())
                && method.purposes.contains(&VerificationRelationship::AssertionMethod)
                && method.key.is_ok()
                && method.revoked.is_none()
                && method.expires.is_none_or(|end| now <= end)
        };
        self.methods.iter().filter(usable).map(|method| method.id.as_str())
    }

    /// Returns the https URL at which the controller publishes its status lists (spec/status.md).
    #[must_use]
    pub fn status_lists(&self) -> Option<&str> {
        self.status_lists.as_ref().map(|lists| lists.endpoint.as_str())
    }

    /// Returns the DID that signs status lists for the controller's credentials in addition to the controller
    /// (spec/dids.md 1.5). The keys are in that DID's own document.
    #[must_use]
    pub fn status_list_issuer(&self) -> Option<&Did> {
        self.status_lists.as_ref().and_then(|lists| lists.issuer.as_ref())
    }

    /// Returns the time at which the key of `method` was removed from the document, by the verified history of the DID.
    /// Only set in a document returned by [`Self::with_history`]. The owner of the key cannot have signed anything
    /// after that time.
    #[must_use]
    pub fn retired(&self, method: &DidUrl) -> Option<Timestamp> {
        self.method(method).and_then(|method| method.retired)
    }

    /// Returns this document with the keys of earlier versions added. Use it for credentials signed while those keys
    /// were current; not for presentations, status lists or freshness statements, which a current key must sign.
    #[must_use]
    pub fn with_history(&self) -> Self {
        let mut all = self.clone();
        all.methods.append(&mut all.past);
        all
    }

    /// Returns whether this document includes keys that only earlier versions had.
    #[must_use]
    pub fn has_history(&self) -> bool {
        !self.past.is_empty()
    }

    /// The last of some versions of one DID's document, with the keys of those before it (spec/dids.md section 3). Of
    /// versions from before the DID moved, whose methods have other names, only the revocations count.
    pub(super) fn of_versions(versions: &[(Timestamp, Self)]) -> Result<Self, Problem> {
        let (_, last) = versions.last().ok_or_else(|| invalid("the document has no version"))?;
        let mut document = last.clone();
        let mut past: BTreeMap<&str, Method> = BTreeMap::new();
        let named: Vec<&(Timestamp, Self)> = versions.iter().filter(|(_, version)| version.did == last.did).collect();
        for (at, (_, version)) in named.iter().enumerate() {
            let left = named.get(at.saturating_add(1)).map(|(left, _)| *left);
            for method in version.methods.iter().filter(|method| last.find(&method.id).is_none()) {
                let mut method_then = Method { retired: left, ..method.clone() };
                method_then.purposes.retain(|purpose| *purpose == VerificationRelationship::AssertionMethod);
                if past.get(method.id.as_str()).is_some_and(|before| before.key != method.key) {
                    method_then.key =
                        Err(Problem::new(Code::KeyInvalid, "the verification method's id names two keys"));
                }
                past.insert(&method.id, method_then);
            }
            if past.len() > MAX_PAST {
                return Err(invalid("the DID's history has too many verification methods"));
            }
        }
        document.past = past.into_values().collect();
        // A revoked key stays revoked, even if a later version says otherwise.
        for (_, version) in versions {
            document.marks.merge(&version.marks);
        }
        document.mark();
        Ok(document)
    }

    /// Marks methods as revoked, under all ids that their key has here: a thief picks the id.
    fn mark(&mut self) {
        for method in self.methods.iter_mut().chain(&mut self.past) {
            method.revoked = self.marks.of(&self.did, &method.id, method.key.as_ref().ok());
        }
    }

    fn find(&self, id: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.id == id)
    }

    fn listed(&self, method: &DidUrl, purpose: VerificationRelationship) -> Result<&Method, Problem> {
        let found = self.method(method).filter(|_| *method.did() == self.did).ok_or(Code::MethodUnknown)?;
        match found.controller.as_deref() {
            Some(controller) if controller == self.did.as_str() => {}
            Some(_) => return Err(Code::MethodController.into()),
            None => return Err(Problem::new(Code::MethodController, "the verification method names no controller")),
        }
        if !found.purposes.contains(&purpose) {
            return Err(Problem::new(
                Code::MethodRelationship,
                format!("the key is not listed under {}", purpose.as_str()),
            ));
        }
        Ok(found)
    }

    /// Returns the time at which the key of `method` expires, if the document states one (`expires`, Controlled
    /// Identifiers 1.0 section 2.2).
    #[must_use]
    pub fn expires(&self, method: &DidUrl) -> Option<Timestamp> {
        self.method(method).and_then(|method| method.expires)
    }

    /// Returns the DID document that an issuer publishes: a Multikey verification method for each key, with its
    /// fragment, listed for assertion and authentication. [`Self::with_status_lists`] adds the status list service.
    #[must_use]
    pub fn render(did: &Did, keys: &[(String, PublicKey)]) -> Value {
        let ids: Vec<String> = keys.iter().map(|(fragment, _)| format!("{did}#{fragment}")).collect();
        let methods: Vec<Value> = keys
            .iter()
            .zip(&ids)
            .map(|((_, key), id)| {
                json!({"id": id, "type": "Multikey", "controller": did.as_str(), "publicKeyMultibase": key.to_multikey()})
            })
            .collect();
        json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": did.as_str(),
            "verificationMethod": methods,
            "assertionMethod": ids,
            "authentication": ids,
        })
    }

    /// Adds the service `#status` to a document: the https URL of the index of status lists.
    #[must_use]
    pub fn with_status_lists(did: &Did, mut document: Value, lists: &str) -> Value {
        if let Some(members) = document.as_object_mut() {
            members.insert(
                "service".to_owned(),
                json!([{"id": format!("{did}#status"), "type": STATUS_LISTS, "serviceEndpoint": lists}]),
            );
        }
        document
    }
}

/// The service that names status lists. One without an https URL is refused and not passed over: a verifier that looked
/// nowhere would take it for an issuer without any.
fn status_lists(members: &Map<String, Value>) -> Result<Option<StatusListService>, Problem> {
    let mut found = None;
    for service in array(members, "service")? {
        let service = service.as_object().ok_or_else(|| invalid("a service is not an object"))?;
        let is = |kind: &Value| kind.as_str() == Some(STATUS_LISTS);
        let named = match service.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(is),
            Some(kind) => is(kind),
            None => false,
        };
        if !named {
            continue;
        }
        let endpoint = service
            .get("serviceEndpoint")
            .and_then(Value::as_str)
            .filter(|text| text.len() <= MAX_ENDPOINT && url::Url::parse(text).is_ok_and(|url| url.scheme() == "https"))
            .ok_or_else(|| invalid("the service of the status lists has no https URL"))?;
        let issuer = match service.get(STATUS_LIST_ISSUER) {
            None => None,
            Some(named) => Some(
                named
                    .as_str()
                    .and_then(|text| Did::parse(text).ok())
                    .ok_or_else(|| invalid("the signer of the status lists is not a single DID"))?,
            ),
        };
        if found.replace(StatusListService { endpoint: endpoint.to_owned(), issuer }).is_some() {
            return Err(invalid("two services name status lists"));
        }
    }
    Ok(found)
}

/// The entries of a member that holds verification methods: none if it is no array, as if it were not there.
fn entries<'a>(did: &Did, members: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Problem> {
    match members.get(name) {
        Some(Value::Array(entries)) => Ok(entries),
        // Read for a secret in it, and for nothing else.
        Some(other) => Method::read(did, other, None).map(|_| &[][..]),
        None => Ok(&[]),
    }
}

fn array<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Problem> {
    match members.get(name) {
        None => Ok(&[]),
        Some(Value::Array(entries)) => Ok(entries),
        Some(_) => Err(invalid(format!("the DID document's {name} is not an array"))),
    }
}
