//! Claims of a credential type, read from its schema, with text paths such as `learningOutcomes[].title`.

use carnet_core::{
    credential::is_permitted_claim_name,
    secure::sd_jwt::{ClaimPath, Step},
};
use serde_json::{Map, Value};

/// Claim of credentialSubject in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemaClaim {
    /// Text path below credentialSubject: `a`, `a[]`, `a[].b`.
    pub(crate) path: String,
    /// Name of the JSON member; `None` for an array element.
    pub(crate) name: Option<String>,
    /// Permitted texts (`enum`) of the claim or of its array elements; empty if the schema does not list them.
    pub(crate) permitted_values: Vec<String>,
    /// `true` if the value is a boolean.
    pub(crate) is_boolean: bool,
}

/// Type that every credential of VCDM 2.0 has.
pub(crate) const BASE_TYPE: &str = "VerifiableCredential";

/// Returns all claims in the schema of an object, nested ones included. An error is a sentence about the schema.
pub(crate) fn claims_of_schema(subject: &Value) -> Result<Vec<SchemaClaim>, String> {
    let mut claims = Vec::new();
    collect_object_claims(subject, "", &mut claims)?;
    Ok(claims)
}

fn collect_object_claims(schema: &Value, parent: &str, claims: &mut Vec<SchemaClaim>) -> Result<(), String> {
    // A claim that the schema does not list could not be selectively disclosable.
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Err(format!("the object at \"{parent}\" lacks \"additionalProperties\": false"));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if parent.is_empty() && name == "id" {
            continue;
        }
        if !is_claim_name(name) {
            return Err(format!(
                "a claim below \"{parent}\" has a name other than letters, digits and, behind the first, _"
            ));
        }
        if parent.is_empty() && !is_permitted_claim_name(name) {
            return Err(format!(
                "no claim can be called \"{name}\": credentials have a member of that name at the top"
            ));
        }
        let path = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let allowed = schema.get("enum").or_else(|| schema.pointer("/items/enum"));
        let allowed = allowed.and_then(Value::as_array).into_iter().flatten();
        let allowed = allowed.filter_map(Value::as_str).map(str::to_owned).collect();
        let boolean = schema.get("type").and_then(Value::as_str) == Some("boolean");
        claims.push(SchemaClaim {
            path: path.clone(),
            name: Some(name.clone()),
            permitted_values: allowed,
            is_boolean: boolean,
        });
        collect_value_claims(schema, &path, claims)?;
    }
    Ok(())
}

fn collect_value_claims(schema: &Value, path: &str, claims: &mut Vec<SchemaClaim>) -> Result<(), String> {
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => collect_object_claims(schema, path, claims),
        Some("array") => {
            let path = format!("{path}[]");
            claims.push(SchemaClaim {
                path: path.clone(),
                name: None,
                permitted_values: Vec::new(),
                is_boolean: false,
            });
            schema.get("items").map_or(Ok(()), |items| collect_value_claims(items, &path, claims))
        }
        _ => Ok(()),
    }
}

/// Returns whether a name can be written in text paths, in type.toml and in Fluent files: letters, digits and, behind
/// the first, `_`. Names that begin with `_` are those of SD-JWT (`_sd`).
pub(crate) fn is_claim_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns whether a text path is in the list, or below a path in it.
pub(crate) fn is_within(path: &str, listed: &[String]) -> bool {
    let below = |known: &String| {
        path.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    listed.iter().any(below)
}

/// Parses a text path such as `a[].b`, and puts the members of `prefix` before it; `None` for a malformed path.
pub(crate) fn parse_path(text: &str, prefix: &[&str]) -> Option<ClaimPath> {
    let mut path: ClaimPath = prefix.iter().map(|name| Step::Name((*name).to_owned())).collect();
    for part in text.split('.') {
        let name = part.trim_end_matches("[]");
        if !is_claim_name(name) {
            return None;
        }
        path.push(Step::Name(name.to_owned()));
        let arrays = part.matches("[]").count();
        path.extend(std::iter::repeat_n(Step::All, arrays));
    }
    Some(path)
}

/// Formats a path as `a[].b`, without array indexes.
pub(crate) fn path_to_text_without_indices(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(_) | Step::All => text.push_str("[]"),
        }
    }
    text
}

/// Members of an SD-JWT VC payload that are not claims about the subject (SD-JWT VC section 2.2.2.2).
const REGISTERED_MEMBERS: [&str; 9] = ["iss", "sub", "exp", "nbf", "iat", "cnf", "vct", "vct#integrity", "status"];

/// Returns whether a path is, or is below, a member registered by JWT or SD-JWT VC.
pub(crate) fn is_registered_member(path: &str) -> bool {
    REGISTERED_MEMBERS.contains(&path.split(['.', '[']).next().unwrap_or_default())
}

/// Returns the claims in an SD-JWT VC payload: all members except those registered by JWT and SD-JWT VC.
pub(crate) fn claims_of_sd_jwt_vc(payload: &Map<String, Value>) -> Map<String, Value> {
    let claims = payload.iter().filter(|(name, _)| !REGISTERED_MEMBERS.contains(&name.as_str()));
    claims.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        let path = parse_path("learningOutcomes[].title", &["credentialSubject"]).unwrap();
        assert_eq!(path_to_text_without_indices(&path), "credentialSubject.learningOutcomes[].title");
        assert_eq!(path.get(2), Some(&Step::All));
        assert_eq!(path_to_text_without_indices(&parse_path("age_over.18", &[]).unwrap()), "age_over.18");
        for wrong in ["", ".", "a.", "a..b", "[]", "a b", "a[0]", "a[]b", "_sd", "a._sd", "a-b"] {
            assert_eq!(parse_path(wrong, &[]), None, "{wrong}");
        }
    }
}
