//! Disclosed claims, which are not stored, and retained claims, which a template requires to be stored.
//!
//! [`DisclosedClaims`] cannot be stored: it is neither serialisable nor printable, and is erased from memory on drop.

use std::fmt;

use carnet_core::{
    json,
    query::{path_to_text, values_at},
    secure::sd_jwt::{ClaimPath, Step},
    time::Timestamp,
    verify::VerifiedCredential,
    wipe,
};
use carnet_spec::RetentionRule;
use serde_json::{Map, Value};

use crate::thresholds::is_commitment_array;

/// Returns the presented credential without members that are unique to the copy and carry no information: by the
/// subject's id, or by a commitment, two presentations of one person could be linked (EU ARF, OIA_16).
fn disclosed_document(held: &VerifiedCredential) -> Map<String, Value> {
    let mut document = held.credential.document().clone();
    document.remove("proof");
    let subjects = match document.get_mut("credentialSubject") {
        Some(Value::Array(subjects)) => subjects.iter_mut().filter_map(Value::as_object_mut).collect(),
        Some(Value::Object(subject)) => vec![subject],
        _ => Vec::new(),
    };
    for subject in subjects {
        subject.retain(|name, value| name != "id" && !is_commitment_array(name, value));
    }
    document
}

/// Claim that a template requires to be retained: the only type with which a claim value can be stored.
#[derive(PartialEq, Eq)]
pub(crate) struct KeptClaim {
    /// Id of the credential query.
    query_id: String,
    /// Claims path as text, with array indexes.
    path: String,
    value: Value,
    /// Time at which the claim is erased.
    erase_at: Timestamp,
}

impl KeptClaim {
    pub(crate) fn query_id(&self) -> &str {
        &self.query_id
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn erase_at(&self) -> Timestamp {
        self.erase_at
    }

    /// Returns the value as JSON text, for the store.
    pub(crate) fn value_to_json(&self) -> String {
        self.value.to_string()
    }

    /// Creates a claim from its stored form; `None` if the value is not JSON.
    pub(crate) fn from_json_value(query_id: String, path: String, value: &str, erase_at: Timestamp) -> Option<Self> {
        let value = json::parse(value.as_bytes(), json::Limits::DOCUMENT).ok()?;
        Some(Self { query_id, path, value, erase_at })
    }
}

impl Drop for KeptClaim {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

impl fmt::Debug for KeptClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptClaim").field("path", &self.path).field("erase_at", &self.erase_at).finish_non_exhaustive()
    }
}

/// Returns the values at a path of a query, with their paths. Paths of an SD-JWT VC start at the top level, but its
/// claims are stored below `credentialSubject`, where the path is then looked up.
fn values_at_query_path<'a>(document: &'a Map<String, Value>, path: &ClaimPath) -> Vec<(ClaimPath, &'a Value)> {
    let found = values_at(document, path);
    if !found.is_empty() {
        return found;
    }
    let below: ClaimPath =
        std::iter::once(Step::Name("credentialSubject".to_owned())).chain(path.iter().cloned()).collect();
    values_at(document, &below)
}

/// Disclosed claims of a presentation, by credential query id, or of one credential; erased from memory on drop.
#[derive(Default)]
pub(crate) struct DisclosedClaims(Map<String, Value>);

impl DisclosedClaims {
    /// Returns the disclosed claims as JSON: the credentials by credential query id, or the members of the only
    /// credential.
    pub(crate) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Adds the disclosed claims of the credentials presented for a credential query.
    pub(crate) fn insert(&mut self, query_id: String, held: &[VerifiedCredential]) {
        let documents = held.iter().map(|held| Value::Object(disclosed_document(held))).collect();
        self.0.insert(query_id, Value::Array(documents));
    }

    /// Creates the disclosed claims of a credential without a presentation.
    pub(crate) fn from_credential(held: &VerifiedCredential) -> Self {
        Self(disclosed_document(held))
    }

    /// Returns the value at a path; `None` unless one credential was presented for the query, and it has exactly one
    /// value there.
    pub(crate) fn single_value(&self, query_id: &str, path: &ClaimPath) -> Option<&Value> {
        match values_at_query_path(self.single_credential(query_id)?, path).as_slice() {
            [(_, value)] => Some(value),
            _ => None,
        }
    }

    /// Returns all values at a path; empty unless exactly one credential was presented for the query.
    pub(crate) fn values(&self, query_id: &str, path: &ClaimPath) -> Vec<&Value> {
        let found =
            self.single_credential(query_id).map(|document| values_at_query_path(document, path)).unwrap_or_default();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Returns the member `validUntil`; `None` unless exactly one credential was presented for the query, and it has an
    /// end of validity.
    pub(crate) fn valid_until(&self, query_id: &str) -> Option<&str> {
        self.single_credential(query_id)?.get("validUntil")?.as_str()
    }

    /// Returns the only credential presented for a query; `None` if there are none or several.
    fn single_credential(&self, query_id: &str) -> Option<&Map<String, Value>> {
        match self.0.get(query_id)?.as_array()?.as_slice() {
            [Value::Object(document)] => Some(document),
            _ => None,
        }
    }

    /// Returns the claims that these rules of a template require to be retained, with their times of erasure: no later
    /// than `last`, the end of the request, without which nobody could have them erased.
    pub(crate) fn keep(&self, keep: &[RetentionRule], now: Timestamp, last: Timestamp) -> Vec<KeptClaim> {
        let mut kept = Vec::new();
        for wanted in keep {
            let shown = self.0.get(&wanted.query_id).and_then(Value::as_array).into_iter().flatten();
            for (path, value) in
                shown.filter_map(Value::as_object).flat_map(|document| values_at_query_path(document, &wanted.path))
            {
                kept.push(KeptClaim {
                    query_id: wanted.query_id.clone(),
                    path: path_to_text(&path),
                    value: value.clone(),
                    erase_at: now
                        .plus(i64::from(wanted.retention_days).saturating_mul(carnet_core::day::SECONDS))
                        .min(last),
                });
            }
        }
        kept
    }

    #[cfg(test)]
    pub(crate) fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl fmt::Debug for DisclosedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisclosedClaims(redacted)")
    }
}

impl Drop for DisclosedClaims {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_disclosed_does_not_print() {
        let members = serde_json::json!({"a": [{"familyName": "Okonkwo"}]}).as_object().unwrap().clone();
        assert_eq!(format!("{:?}", DisclosedClaims::of(members)), "DisclosedClaims(redacted)");
    }
}
