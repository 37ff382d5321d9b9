//! DID documents, parsed according to DID Core 1.0 and the retrieval rules of Controlled Identifiers 1.0 section 3.3.

mod rendering;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Did, DidUrl, VerificationRelationship, invalid,
    method::{VerificationMethod, absolute_did_url},
    revocation::RevocationTimes,
};
use crate::{Code, Problem, endpoint::parse_endpoint, keys::PublicKey, time::Timestamp};

const PURPOSES: [VerificationRelationship; 2] =
    [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication];
/// Maximum number of verification methods in a document. It bounds the work that a document can cause.
const MAX_METHODS: usize = 100;
/// Maximum number of verification methods that only earlier versions of a document had.
const MAX_PAST: usize = 1_000;
/// Type of the service whose endpoint is the URL of the controller's index of status lists.
const STATUS_LISTS: &str = "StatusListAggregation";
/// Member of that service with the DID of a second signer of the status lists.
const STATUS_LIST_ISSUER: &str = "statusListIssuer";
const MAX_ENDPOINT: usize = 2_048;

/// DID document that was parsed and whose `id` was compared with the DID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidDocument {
    did: Did,
    methods: Vec<VerificationMethod>,
    /// Methods that earlier versions had and this one lacks; only a DID that proves its history has any.
    past: Vec<VerificationMethod>,
    /// Revocation times stated in this version and, after [`Self::from_versions`], in all earlier ones.
    marks: RevocationTimes,
    status_lists: Option<StatusListService>,
}

/// Service whose endpoint is the URL of the controller's index of status lists.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StatusListService {
    endpoint: String,
    /// Second signer of the lists, besides the controller.
    issuer: Option<Did>,
}

impl DidDocument {
    /// Parses a resolved document, whose `id` must be the DID. A malformed or unsupported verification method, or one
    /// whose id occurs twice, is unusable, and does not affect the others; a list of methods that is not an array
    /// counts as empty (spec/elements.md).
    ///
    /// # Errors
    /// `did_document_invalid`: not an object, another `id`, a malformed `revoked` in any method, `service` that is
    /// malformed or names the status lists wrongly, or more than 100 verification methods. `private_key_exposed`: any
    /// method contains a private key.
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
            marks: RevocationTimes::parse(did, members)?,
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
                        let id = absolute_did_url(did, reference);
                        if let Some(method) = parsed.methods.iter_mut().find(|method| method.id == id) {
                            method.relationships.push(purpose);
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
        let Some(method) = VerificationMethod::read(&self.did, entry, purpose)? else { return Ok(()) };
        match self.methods.iter_mut().find(|known| known.id == method.id) {
            Some(known) => known.mark_duplicate(method),
            None => self.methods.push(method),
        }
        Ok(())
    }

    /// Creates the document of a DID that contains its only key, which may be used for assertion and authentication.
    pub(super) fn from_single_key(did: &Did, fragment: &str, key: PublicKey) -> Self {
        let method = VerificationMethod {
            id: format!("{did}#{fragment}"),
            controller: Some(did.as_str().to_owned()),
            key: Ok(key),
            relationships: PURPOSES.to_vec(),
            expires: None,
            revoked: None,
            retired: None,
        };
        let marks = RevocationTimes::default();
        Self { did: did.clone(), methods: vec![method], past: Vec::new(), marks, status_lists: None }
    }

    /// Returns the DID of the document.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    fn method(&self, method: &DidUrl) -> Option<&VerificationMethod> {
        self.find(&method.to_string())
    }

    /// Returns the key of a verification method, if it may be used for `purpose`. Its expiry is not checked;
    /// [`Self::current_key_for`] does that.
    ///
    /// # Errors
    /// `method_unknown` (the document lacks the method), `method_controller` (its controller is missing or is not the
    /// DID), `method_relationship` (it is not listed under `purpose`); `key_invalid` if the key is malformed, revoked
    /// or of an unsupported kind, or if two methods have this id.
    pub fn key_for(&self, method: &DidUrl, purpose: VerificationRelationship) -> Result<PublicKey, Problem> {
        let found = self.listed(method, purpose)?;
        // At any time: a thief can date a signature back to before it.
        if found.revoked.is_some() {
            return Err(Problem::new(Code::KeyInvalid, "the verification method is revoked"));
        }
        found.key.clone()
    }

    /// Returns the revoked key of a verification method, if it was permitted for assertion.
    ///
    /// Use it only for a copy of a credential whose digest is in a freshness statement that a valid key of this
    /// document signed (one that [`Self::key_for`] returns): a thief of the revoked key can sign anything, with any
    /// date.
    ///
    /// # Errors
    /// Those of [`Self::key_for`] for assertion, except that a revoked key is returned; and `key_invalid` if the key is
    /// not revoked.
    pub fn revoked_assertion_key(&self, method: &DidUrl) -> Result<PublicKey, Problem> {
        let found = self.listed(method, VerificationRelationship::AssertionMethod)?;
        if found.revoked.is_none() {
            return Err(Problem::new(Code::KeyInvalid, "the verification method is not revoked"));
        }
        found.key.clone()
    }

    /// Returns the DID URL of the first usable method with this key, as text.
    #[must_use]
    pub fn method_of(&self, key: &PublicKey) -> Option<&str> {
        self.methods.iter().find(|method| method.key.as_ref() == Ok(key)).map(|method| method.id.as_str())
    }

    /// Returns the revocation time of a verification method: the earliest `revoked` (Controlled Identifiers 1.0 section
    /// 2.2) of any method with its id or its key, in this version or, for a DID with a verified history, in an earlier
    /// one. `None` if there is none.
    #[must_use]
    pub fn revoked_at(&self, method: &DidUrl) -> Option<Timestamp> {
        let id = method.to_string();
        match self.find(&id) {
            Some(found) => found.revoked,
            None => self.marks.for_method(&self.did, &id, None),
        }
    }

    /// Returns the revocation time of a key, if a verification method with any id states one, even an unusable method.
    #[must_use]
    pub fn key_revoked_at(&self, key: &PublicKey) -> Option<Timestamp> {
        self.marks.for_key(key)
    }

    /// Returns whether a verification method of this version is revoked, by this version or an earlier one.
    #[must_use]
    pub fn has_revoked_key(&self) -> bool {
        self.methods.iter().any(|method| method.revoked.is_some())
    }

    /// Returns the DID URLs of the keys that may sign credentials at `now`: those of this version that are listed for
    /// assertion, usable, not revoked and not expired.
    pub fn assertion_methods(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let usable = move |method: &&VerificationMethod| {
            method.controller.as_deref() == Some(self.did.as_str())
                && method.relationships.contains(&VerificationRelationship::AssertionMethod)
                && method.key.is_ok()
                && method.revoked.is_none()
                && !method.has_expired(now, 0)
        };
        self.methods.iter().filter(usable).map(|method| method.id.as_str())
    }

    /// Returns the https URL of the index of the controller's status lists (spec/status.md); `None` if the document has
    /// no service for it.
    #[must_use]
    pub fn status_lists_url(&self) -> Option<&str> {
        self.status_lists.as_ref().map(|lists| lists.endpoint.as_str())
    }

    /// Returns the DID that signs status lists for the controller's credentials in addition to the controller
    /// (spec/dids.md 1.5). The keys are in that DID's own document.
    #[must_use]
    pub fn status_list_issuer(&self) -> Option<&Did> {
        self.status_lists.as_ref().and_then(|lists| lists.issuer.as_ref())
    }

    /// Returns the time at which the key of a verification method was removed from the document, by the verified
    /// history of the DID. Always `None` for a current key, and in a document that [`Self::with_history`] did not
    /// return. Refuse a signature that is dated later.
    #[must_use]
    pub fn retired_at(&self, method: &DidUrl) -> Option<Timestamp> {
        self.method(method).and_then(|method| method.retired)
    }

    /// Returns this document with the keys of earlier versions added, for assertion only. Use it for credentials signed
    /// while those keys were current; not for presentations, status lists or freshness statements, which a current key
    /// must sign.
    #[must_use]
    pub fn with_history(&self) -> Self {
        let mut all = self.clone();
        all.methods.append(&mut all.past);
        all
    }

    /// Returns whether earlier versions had keys that this one lacks. [`Self::with_history`] adds them.
    #[must_use]
    pub fn has_history(&self) -> bool {
        !self.past.is_empty()
    }

    /// Returns the last of the given versions of a DID's document, with the verification methods that only earlier
    /// versions had (spec/dids.md section 3). Each version is preceded by its time; the oldest comes first. Of versions
    /// under an earlier DID, from which this one moved, only the revocations are used.
    ///
    /// # Errors
    /// `did_document_invalid`: no version, or more than 1,000 earlier methods.
    pub(super) fn from_versions(versions: &[(Timestamp, Self)]) -> Result<Self, Problem> {
        let (_, last) = versions.last().ok_or_else(|| invalid("the document has no version"))?;
        let mut document = last.clone();
        let mut past: BTreeMap<&str, VerificationMethod> = BTreeMap::new();
        let named: Vec<&(Timestamp, Self)> = versions.iter().filter(|(_, version)| version.did == last.did).collect();
        for (at, (_, version)) in named.iter().enumerate() {
            let left = named.get(at.saturating_add(1)).map(|(left, _)| *left);
            for method in version.methods.iter().filter(|method| last.find(&method.id).is_none()) {
                let mut method_then = VerificationMethod { retired: left, ..method.clone() };
                method_then.relationships.retain(|purpose| *purpose == VerificationRelationship::AssertionMethod);
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

    /// Sets the revocation time of each method, by its id or its key: a thief can use the key under any of its ids.
    fn mark(&mut self) {
        for method in self.methods.iter_mut().chain(&mut self.past) {
            method.revoked = self.marks.for_method(&self.did, &method.id, method.key.as_ref().ok());
        }
    }

    fn find(&self, id: &str) -> Option<&VerificationMethod> {
        self.methods.iter().find(|method| method.id == id)
    }

    fn listed(&self, method: &DidUrl, purpose: VerificationRelationship) -> Result<&VerificationMethod, Problem> {
        let found = self.method(method).filter(|_| *method.did() == self.did).ok_or(Code::MethodUnknown)?;
        match found.controller.as_deref() {
            Some(controller) if controller == self.did.as_str() => {}
            Some(_) => return Err(Code::MethodController.into()),
            None => return Err(Problem::new(Code::MethodController, "the verification method names no controller")),
        }
        if !found.relationships.contains(&purpose) {
            return Err(Problem::new(
                Code::MethodRelationship,
                format!("the key is not listed under {}", purpose.as_str()),
            ));
        }
        Ok(found)
    }

    /// Returns the key of a verification method, as [`Self::key_for`] does, unless the method has expired: from its
    /// `expires` on (Controlled Identifiers 1.0 section 2.2), nothing by it is verified. `skew` is the clock difference
    /// allowed, in seconds.
    ///
    /// # Errors
    /// `key_invalid`: it has expired; and those of [`Self::key_for`].
    pub fn current_key_for(
        &self,
        method: &DidUrl,
        purpose: VerificationRelationship,
        now: Timestamp,
        skew: i64,
    ) -> Result<PublicKey, Problem> {
        let key = self.key_for(method, purpose)?;
        self.require_unexpired(method, now, skew)?;
        Ok(key)
    }

    /// Refuses an expired verification method.
    pub(crate) fn require_unexpired(&self, method: &DidUrl, now: Timestamp, skew: i64) -> Result<(), Problem> {
        if self.method(method).is_some_and(|method| method.has_expired(now, skew)) {
            return Err(Problem::new(Code::KeyInvalid, "the verification method has expired"));
        }
        Ok(())
    }

    /// Creates a DID document to publish: for each fragment and key a Multikey verification method, listed for
    /// assertion and authentication. [`Self::with_status_lists`] adds the service of the status lists.
    #[must_use]
    pub fn json_for_keys(did: &Did, keys: &[(String, PublicKey)]) -> Value {
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

    /// Sets the service of a document for the index of status lists, `#status`, to the https URL `lists`. Other services
    /// are unchanged.
    #[must_use]
    pub fn with_status_lists(did: &Did, mut document: Value, lists: &str) -> Value {
        if let Some(members) = document.as_object_mut() {
            let id = format!("{did}#status");
            let mut services = match members.remove("service") {
                Some(Value::Array(services)) => services,
                _ => Vec::new(),
            };
            services.retain(|service| service["id"] != "#status" && service["id"] != *id);
            services.push(json!({"id": id, "type": STATUS_LISTS, "serviceEndpoint": lists}));
            members.insert("service".to_owned(), Value::Array(services));
        }
        document
    }
}

/// Returns the service of the status lists, if there is one. A service without an https URL is refused, not ignored:
/// otherwise a verifier would assume that the issuer has no status lists.
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
            .filter(|text| text.len() <= MAX_ENDPOINT && parse_endpoint(text).is_ok_and(|url| url.scheme() == "https"))
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

/// Returns the entries of a member that lists verification methods; none if it is absent or not an array. A value that
/// is not an array is only checked for a private key.
fn entries<'a>(did: &Did, members: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Problem> {
    match members.get(name) {
        Some(Value::Array(entries)) => Ok(entries),
        // Read for a secret in it, and for nothing else.
        Some(other) => VerificationMethod::read(did, other, None).map(|_| &[][..]),
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
