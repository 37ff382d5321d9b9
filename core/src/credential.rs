//! Verifiable Credentials Data Model 2.0: credentials and their conformance rules.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::{Code, Problem, time::Timestamp};

mod members;

pub(crate) use members::TopLevelMembers;
pub use members::is_permitted_claim_name;

/// First URL in `@context` (VCDM 2.0 section 4.3).
pub const CONTEXT_V2: &str = "https://www.w3.org/ns/credentials/v2";

/// Type that every credential has.
pub(crate) const BASE_TYPE: &str = "VerifiableCredential";

/// Properties whose objects must carry a `type` (VCDM 2.0 section 4.5).
const TYPED_PROPERTIES: [&str; 5] =
    ["credentialStatus", "termsOfUse", "evidence", "refreshService", "credentialSchema"];

/// Credential whose members conform to VCDM 2.0 ([`Self::parse`]). Its proof and its status are not verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    document: Map<String, Value>,
    issuer: String,
    types: Vec<String>,
    subjects: Vec<String>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
}

impl Drop for Credential {
    /// Overwrites the claims in memory.
    fn drop(&mut self) {
        self.document.values_mut().for_each(crate::wipe);
    }
}

impl Credential {
    /// Checks a document against the data model (VCDM 2.0 section 4).
    ///
    /// # Errors
    /// `context_missing`, `context_nested`, `type_missing`, `malformed_value`, `subject_empty`, `date_malformed`,
    /// `validity_reversed`: the code of the first violation.
    pub fn parse(document: Map<String, Value>) -> Result<Self, Problem> {
        check_context(&document)?;
        let types = types_of(&document, BASE_TYPE)?;
        if let Some(id) = document.get("id") {
            url(id, "id")?;
        }
        let issuer = id_of(document.get("issuer"), "issuer")?;
        let subjects = check_subjects(&document)?;
        let valid_from = date(&document, "validFrom")?;
        let valid_until = date(&document, "validUntil")?;
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && from > until
        {
            return Err(Problem::new(Code::ValidityReversed, "validFrom is after validUntil"));
        }
        for property in TYPED_PROPERTIES {
            for (at, entry) in entries(&document, property).enumerate() {
                check_typed(property, at, entry)?;
            }
        }
        check_related(&document)?;
        Ok(Self { document, issuer, types, subjects, valid_from, valid_until })
    }

    /// Returns the id of the issuer: an absolute URL, which verification requires to be a DID.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns all types except `VerifiableCredential`, in document order.
    pub fn specific_types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(String::as_str).filter(|name| *name != BASE_TYPE)
    }

    /// Returns the start of the validity period (`validFrom`); `None` if it is absent.
    #[must_use]
    pub fn valid_from(&self) -> Option<Timestamp> {
        self.valid_from
    }

    /// Returns the end of the validity period (`validUntil`); `None` if it is absent.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// Returns the ids of the credential subjects, in document order, without those that have none.
    pub fn subject_ids(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(String::as_str)
    }

    /// Returns whether the credential names a status, in `credentialStatus` or, as SD-JWTs do, in `status`.
    #[must_use]
    pub fn has_status(&self) -> bool {
        // `status` is where a token says it; core checks neither there, so either makes it unknown.
        self.document.contains_key("credentialStatus") || self.document.contains_key("status")
    }

    /// Returns the document, as it was given to [`Self::parse`].
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }
}

/// Checks that the first entry of `@context` is that of VCDM 2.0, and that no object in another member has an
/// `@context`: it could give a claim a meaning that its reader does not expect. Only a proof may repeat the document's
/// contexts (Data Integrity EdDSA section 3.3); its verification compares them.
///
/// # Errors
/// `context_missing`, `context_nested`.
pub(crate) fn check_context(document: &Map<String, Value>) -> Result<(), Problem> {
    check_context_outside(document, "proof")
}

/// Checks `@context` like [`check_context`], except inside the member `own`, which may have contexts.
///
/// # Errors
/// `context_missing`, `context_nested`.
pub(crate) fn check_context_outside(document: &Map<String, Value>, own: &str) -> Result<(), Problem> {
    let first = match document.get("@context") {
        Some(Value::Array(contexts)) => contexts.first(),
        _ => None,
    };
    if first.and_then(Value::as_str) != Some(CONTEXT_V2) {
        return Err(Code::ContextMissing.into());
    }
    if document
        .iter()
        .any(|(name, value)| !matches!(name.as_str(), "@context" | "proof") && name != own && has_context(value))
    {
        return Err(Code::ContextNested.into());
    }
    Ok(())
}

fn has_context(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("@context") || members.values().any(has_context),
        Value::Array(items) => items.iter().any(has_context),
        _ => false,
    }
}

/// Returns the types of a document: `type` as a string or an array of strings.
///
/// # Errors
/// `type_missing` if `needed` is not among them; `malformed_value` if one is not a string.
pub(crate) fn types_of(document: &Map<String, Value>, needed: &str) -> Result<Vec<String>, Problem> {
    let missing = || Problem::new(Code::TypeMissing, format!("type does not include {needed}"));
    let types: Vec<String> = match document.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter()
                .map(|entry| entry.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| Problem::new(Code::MalformedValue, "type has an entry that is not a string"))?
        }
        _ => return Err(missing()),
    };
    if types.iter().any(|name| name == needed) { Ok(types) } else { Err(missing()) }
}

/// Returns the values of a property: the elements of an array, or the single value; none if it is absent. Both forms
/// have the same meaning in VCDM 2.0.
fn entries<'a>(document: &'a Map<String, Value>, property: &str) -> impl Iterator<Item = &'a Value> {
    let (one, many): (Option<&Value>, &[Value]) = match document.get(property) {
        Some(Value::Array(many)) => (None, many),
        one => (one, &[]),
    };
    one.into_iter().chain(many)
}

fn check_subjects(document: &Map<String, Value>) -> Result<Vec<String>, Problem> {
    let empty = || Problem::from(Code::SubjectEmpty);
    let mut ids = Vec::new();
    let mut any = false;
    for subject in entries(document, "credentialSubject") {
        let members = subject
            .as_object()
            .ok_or_else(|| Problem::new(Code::MalformedValue, "credentialSubject is not an object"))?;
        if members.is_empty() {
            return Err(empty());
        }
        if let Some(id) = members.get("id") {
            ids.push(url(id, "credentialSubject.id")?.to_owned());
        }
        any = true;
    }
    if any { Ok(ids) } else { Err(empty()) }
}

fn check_typed(property: &str, at: usize, entry: &Value) -> Result<(), Problem> {
    let members = entry
        .as_object()
        .ok_or_else(|| Problem::new(Code::MalformedValue, format!("{property}[{at}] is not an object")))?;
    let typed = match members.get("type") {
        Some(Value::String(name)) => !name.is_empty(),
        Some(Value::Array(names)) => !names.is_empty() && names.iter().all(Value::is_string),
        _ => false,
    };
    if !typed {
        return Err(Problem::new(Code::TypeMissing, format!("{property}[{at}] has no type")));
    }
    match members.get("id") {
        Some(id) => url(id, property).map(|_| ()),
        None if property == "credentialSchema" => Err(Problem::new(Code::MalformedValue, "credentialSchema has no id")),
        None => Ok(()),
    }
}

/// Checks `relatedResource` (VCDM 2.0 section 5.3): each resource has an id that no other has, and a digest. The digest
/// is not verified.
///
/// # Errors
/// `malformed_value`
fn check_related(document: &Map<String, Value>) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for entry in entries(document, "relatedResource") {
        let id = id_of(Some(entry), "relatedResource")?;
        if entry.get("digestSRI").or_else(|| entry.get("digestMultibase")).and_then(Value::as_str).is_none() {
            return Err(Problem::new(Code::MalformedValue, "a relatedResource has no digest"));
        }
        if !seen.insert(id) {
            return Err(Problem::new(Code::MalformedValue, "two relatedResources have the same id"));
        }
    }
    Ok(())
}

fn date(document: &Map<String, Value>, property: &str) -> Result<Option<Timestamp>, Problem> {
    match document.get(property) {
        None => Ok(None),
        Some(Value::String(text)) => Timestamp::parse(text)
            .map(Some)
            .map_err(|problem| Problem::new(problem.code, format!("{property}: {}", problem.detail))),
        Some(_) => Err(Problem::new(Code::DateMalformed, format!("{property} is not a string"))),
    }
}

/// Returns the id given as a URL or as an object with a URL `id`. `property` names it in errors.
///
/// # Errors
/// `malformed_value`
pub(crate) fn id_of(value: Option<&Value>, property: &str) -> Result<String, Problem> {
    match value {
        Some(Value::Object(members)) => members.get("id"),
        other => other,
    }
    .ok_or_else(|| Problem::new(Code::MalformedValue, format!("{property} is missing or has no id")))
    .and_then(|id| url(id, property))
    .map(str::to_owned)
}

/// Returns the text of an absolute URL as VCDM 2.0 requires it: a scheme, a colon, at least one more character, and no
/// white space or control characters.
///
/// # Errors
/// `malformed_value`
pub(crate) fn url<'a>(value: &'a Value, property: &str) -> Result<&'a str, Problem> {
    let malformed = || Problem::new(Code::MalformedValue, format!("{property} is not a URL"));
    let text = value.as_str().ok_or_else(malformed)?;
    let (scheme, rest) = text.split_once(':').ok_or_else(malformed)?;
    let scheme_holds = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if scheme_holds && !rest.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Ok(text)
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Value {
        json!({
            "@context": [CONTEXT_V2], "type": ["VerifiableCredential", "X"], "issuer": "did:web:a.example",
            "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
            "credentialSubject": {"id": "did:jwk:abc", "title": "t"}
        })
    }

    fn parse(value: Value) -> Result<Credential, Problem> {
        let Value::Object(document) = value else { panic!("an object") };
        Credential::parse(document)
    }

    #[track_caller]
    fn refused(code: Code, change: impl FnOnce(&mut Value)) {
        let mut document = base();
        assert!(parse(document.clone()).is_ok());
        change(&mut document);
        assert_eq!(parse(document).unwrap_err().code, code);
    }

    #[test]
    fn a_credential_is_read() {
        let credential = parse(base()).unwrap();
        assert_eq!(credential.issuer(), "did:web:a.example");
        assert_eq!(credential.specific_types().collect::<Vec<_>>(), ["X"]);
        assert_eq!(credential.subject_ids().collect::<Vec<_>>(), ["did:jwk:abc"]);
    }

    #[test]
    fn row_13_valid_from_after_valid_until() {
        refused(Code::ValidityReversed, |d| d["validFrom"] = json!("2027-01-01T00:00:01Z"));
        // Compared as instants, not as text.
        refused(Code::ValidityReversed, |d| d["validUntil"] = json!("2026-01-01T00:30:00+01:00"));
    }

    #[test]
    fn row_15_a_date_with_no_offset() {
        refused(Code::DateMalformed, |d| d["validUntil"] = json!("2027-01-01T00:00:00"));
    }

    #[test]
    fn row_29_a_nested_context() {
        refused(Code::ContextNested, |d| d["credentialSubject"]["@context"] = json!({"title": "urn:x"}));
        refused(Code::ContextNested, |d| {
            d["evidence"] = json!([{"type": "E", "a": {"@context": "https://a.example"}}])
        });
    }

    #[test]
    fn the_first_context_is_that_of_version_2() {
        refused(Code::ContextMissing, |d| d["@context"] = json!(["https://a.example", CONTEXT_V2]));
        refused(Code::ContextMissing, |d| d["@context"] = json!(CONTEXT_V2));
        refused(Code::ContextMissing, |d| d["@context"] = json!([]));
    }

    #[test]
    fn types_are_mandatory() {
        refused(Code::TypeMissing, |d| d["type"] = json!(["X"]));
        refused(Code::MalformedValue, |d| d["type"] = json!(["VerifiableCredential", 1]));
        for property in TYPED_PROPERTIES {
            refused(Code::TypeMissing, |d| d[property] = json!({"id": "urn:a"}));
        }
        refused(Code::MalformedValue, |d| d["credentialSchema"] = json!({"type": "JsonSchema"}));
    }

    #[test]
    fn ids_are_urls() {
        refused(Code::MalformedValue, |d| d["id"] = json!(["urn:a"]));
        refused(Code::MalformedValue, |d| d["issuer"] = json!("no url"));
        refused(Code::MalformedValue, |d| d["issuer"] = json!({"name": "A"}));
        refused(Code::MalformedValue, |d| d["credentialSubject"] = json!({"id": 7}));
    }

    #[test]
    fn a_subject_makes_a_claim() {
        refused(Code::SubjectEmpty, |d| d["credentialSubject"] = json!({}));
        refused(Code::SubjectEmpty, |d| d["credentialSubject"] = json!([]));
        refused(Code::MalformedValue, |d| d["credentialSubject"] = json!("did:a:b"));
    }

    #[test]
    fn related_resources_are_unique_and_have_digests() {
        let one = json!({"id": "https://a.example/1", "digestSRI": "sha384-x"});
        refused(Code::MalformedValue, |d| d["relatedResource"] = json!([one, one]));
        refused(Code::MalformedValue, |d| d["relatedResource"] = json!({"id": "https://a.example/1"}));
    }
}
