//! DID document with the keys of the register, and with everything else of the document before it.

use carnet_core::did::{Did, DidDocument, VerificationRelationship};
use serde_json::{Map, Value, json};

use super::register::{KeyRegister, KeyState};

/// Member of a DID document with the public keys.
const VERIFICATION_METHOD: &str = "verificationMethod";
const RELATIONSHIPS: [VerificationRelationship; 2] =
    [VerificationRelationship::AssertionMethod, VerificationRelationship::Authentication];

/// Returns the DID document with the register's keys, and with the content of `before` that does not concern them.
/// Compromised keys are marked as revoked, and are not listed for authentication.
pub(super) fn merge_keys(did: &Did, before: Option<&Map<String, Value>>, register: &KeyRegister) -> Value {
    let keys: Vec<_> = register.keys().iter().map(|key| (key.name.clone(), key.public.clone())).collect();
    let mut fresh = DidDocument::json_for_keys(did, &keys);
    for key in register.keys() {
        let id = format!("{did}#{}", key.name);
        let method = member_entries(&mut fresh, VERIFICATION_METHOD).find(|method| refers_to(method, did, &id));
        if let (Some(at), Some(Value::Object(method))) = (key.compromised, method) {
            method.insert("revoked".to_owned(), json!(at.to_string()));
        }
        // Someone with a stolen key must not be able to impersonate the service.
        if key.state == KeyState::Compromised
            && let Some(Value::Array(listed)) = fresh.get_mut(VerificationRelationship::Authentication.as_str())
        {
            listed.retain(|entry| entry.as_str() != Some(&id));
        }
    }
    let Some(before) = before else { return fresh };
    let mut document = before.clone();
    let ours = |entry: &Value| register.keys().iter().any(|key| refers_to(entry, did, &format!("{did}#{}", key.name)));
    for member in [VERIFICATION_METHOD, RELATIONSHIPS[0].as_str(), RELATIONSHIPS[1].as_str()] {
        let mut listed: Vec<Value> = member_entries(&mut fresh, member).map(|entry| entry.take()).collect();
        let others = document.get(member).and_then(Value::as_array).into_iter().flatten();
        listed.extend(others.filter(|entry| !ours(entry)).cloned());
        document.insert(member.to_owned(), Value::Array(listed));
    }
    Value::Object(document)
}

fn member_entries<'a>(document: &'a mut Value, member: &str) -> impl Iterator<Item = &'a mut Value> {
    document.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Returns whether an entry is the verification method with this id, or an absolute or relative reference to it.
fn refers_to(entry: &Value, did: &Did, id: &str) -> bool {
    let named = entry.as_str().or_else(|| entry.get("id").and_then(Value::as_str)).unwrap_or_default();
    named == id || (named.starts_with('#') && format!("{did}{named}") == id)
}
