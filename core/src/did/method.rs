//! Verification methods of a DID document. A malformed one does not affect the others (spec/elements.md).

use serde_json::{Map, Value};

use super::{Did, VerificationRelationship};
use crate::{Code, Problem, keys::PublicKey, time::Timestamp};

/// Verification method with an id. An unusable one is kept, with the reason in `key`, so that no other method can take
/// its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerificationMethod {
    /// Absolute DID URL.
    pub(super) id: String,
    pub(super) controller: Option<String>,
    pub(super) key: Result<PublicKey, Problem>,
    pub(super) relationships: Vec<VerificationRelationship>,
    pub(super) expires: Option<Timestamp>,
    pub(super) revoked: Option<Timestamp>,
    pub(super) retired: Option<Timestamp>,
}

fn unusable<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::new(Code::KeyInvalid, what))
}

impl VerificationMethod {
    /// Reads an entry of the document of `did`; `None` if it is not an object or has no id, since nothing can refer to
    /// it.
    ///
    /// # Errors
    /// `private_key_exposed`, even if the rest of the entry is malformed.
    pub(super) fn read(
        did: &Did,
        entry: &Value,
        purpose: Option<VerificationRelationship>,
    ) -> Result<Option<Self>, Problem> {
        let Some(members) = entry.as_object() else { return Ok(None) };
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let mut key = key(text("type"), members);
        if let Err(problem) = &key
            && problem.code == Code::PrivateKeyExposed
        {
            return Err(problem.clone());
        }
        let expires = end(members).unwrap_or_else(|problem| {
            key = Err(problem);
            None
        });
        let Some(id) = text("id") else { return Ok(None) };
        Ok(Some(Self {
            id: absolute_did_url(did, id),
            controller: text("controller").map(str::to_owned),
            key,
            relationships: purpose.into_iter().collect(),
            expires,
            revoked: None,
            retired: None,
        }))
    }

    /// Returns whether nothing by this method may be verified any more: from `expires` on, with `skew` seconds of clock
    /// difference.
    pub(super) fn has_expired(&self, now: Timestamp, skew: i64) -> bool {
        self.expires.is_some_and(|end| end.plus(skew) <= now)
    }

    /// Makes this method unusable, because another one has the same id. The relationships of both are kept.
    pub(super) fn mark_duplicate(&mut self, other: Self) {
        self.relationships.extend(other.relationships);
        self.key = unusable("two verification methods have this id");
    }
}

/// Resolves a relative DID URL, `#fragment`, against the document's DID (DID Core 1.0 section 3.2.2). Other text is
/// returned unchanged.
pub(super) fn absolute_did_url(did: &Did, id: &str) -> String {
    if id.starts_with('#') { format!("{did}{id}") } else { id.to_owned() }
}

/// Parses `expires`; `None` if it is absent.
fn end(members: &Map<String, Value>) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = members.get("expires") else { return Ok(None) };
    match value.as_str().and_then(|text| Timestamp::parse(text).ok()) {
        Some(end) => Ok(Some(end)),
        None => unusable("the verification method's expires is not a dateTimeStamp"),
    }
}

/// Parses the key of a verification method, according to the type of the method.
fn key(kind: Option<&str>, members: &Map<String, Value>) -> Result<PublicKey, Problem> {
    if members.keys().any(|name| name.starts_with("secretKey") || name.starts_with("privateKey")) {
        return Err(Code::PrivateKeyExposed.into());
    }
    let jwk = members.get("publicKeyJwk");
    let multikey = members.get("publicKeyMultibase");
    // Checked for every type: a document that shows a secret is not to be relied on.
    let from_jwk = jwk.map(PublicKey::from_jwk);
    let from_multikey = multikey.and_then(Value::as_str).map(PublicKey::from_multikey);
    for exposed in [&from_jwk, &from_multikey].into_iter().flatten() {
        if let Err(problem) = exposed
            && problem.code == Code::PrivateKeyExposed
        {
            return Err(problem.clone());
        }
    }
    match (kind, from_jwk, from_multikey) {
        (None, _, _) => unusable("the verification method has no type"),
        (_, Some(_), Some(_)) => unusable("a verification method has two keys"),
        (Some(kind @ ("Multikey" | "Ed25519VerificationKey2020")), None, Some(key)) => match key {
            Ok(key) if kind != "Multikey" && key.algorithm() != crate::keys::SignatureAlgorithm::EdDsa => {
                unusable("an Ed25519VerificationKey2020 has a key of another kind")
            }
            key => key,
        },
        (Some("JsonWebKey" | "JsonWebKey2020"), Some(key), None) => key,
        (Some("Multikey" | "Ed25519VerificationKey2020" | "JsonWebKey" | "JsonWebKey2020"), _, _) => {
            unusable("a verification method has no key of its type")
        }
        _ => unusable("a verification method is of a type that is not accepted"),
    }
}
