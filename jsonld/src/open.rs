//! Open JSON-LD syntax: any document whose terms are defined, as the specifications permit. Only the conformance processor
//! uses it.
//!
//! The signature covers the RDF of a document, and many JSON texts have the same RDF; the module `document` shows why the
//! product accepts only one of them. Here the specifications decide: contexts by value, IRIs in place of terms,
//! `@direction` and repeated values are accepted. Null is refused, since JSON-LD drops it. Contexts are never fetched.

use carnet_core::{Code, Problem, json::Limits};
use serde_json::{Map, Value};

use crate::{
    contexts::Contexts,
    values::{plain_number, unsigned_syntax},
};

/// Returns the document with its contexts and numbers in one form.
///
/// # Errors
/// `context_unknown`, `transformation`, `too_deep`.
pub(crate) fn normalize(document: &Map<String, Value>, contexts: &Contexts) -> Result<Map<String, Value>, Problem> {
    members(document, contexts, 1)
}

fn members(object: &Map<String, Value>, contexts: &Contexts, depth: usize) -> Result<Map<String, Value>, Problem> {
    if depth > Limits::DOCUMENT.max_depth {
        return Err(Code::TooDeep.into());
    }
    object
        .iter()
        .map(|(name, value)| {
            let value = if name == "@context" {
                context(value, contexts, depth)?
            } else {
                member(name, value, contexts, depth)?
            };
            Ok((name.clone(), value))
        })
        .collect()
}

fn member(name: &str, value: &Value, contexts: &Contexts, depth: usize) -> Result<Value, Problem> {
    match value {
        Value::Null => Err(unsigned_syntax(name, "is null")),
        Value::Number(number) => plain_number(name, number),
        Value::Object(object) => members(object, contexts, depth.saturating_add(1)).map(Value::Object),
        Value::Array(items) => {
            if depth > Limits::DOCUMENT.max_depth {
                return Err(Code::TooDeep.into());
            }
            items.iter().map(|item| member(name, item, contexts, depth.saturating_add(1))).collect()
        }
        Value::Bool(_) | Value::String(_) => Ok(value.clone()),
    }
}

/// Checks a context: the URL of a bundled one, a context by value, or a list of these. A context by value that is
/// wrapped in a document of its own (`{"@context": ...}`) is unwrapped.
fn context(value: &Value, contexts: &Contexts, depth: usize) -> Result<Value, Problem> {
    if depth > Limits::DOCUMENT.max_depth {
        return Err(Code::TooDeep.into());
    }
    let unknown = |what: String| Problem::new(Code::ContextUnknown, what);
    match value {
        Value::String(url) if contexts.contains(url) => Ok(value.clone()),
        Value::String(url) => Err(unknown(format!("the context {url} is not bundled, and contexts are never fetched"))),
        Value::Array(entries) => {
            entries.iter().map(|entry| context(entry, contexts, depth.saturating_add(1))).collect()
        }
        Value::Object(definitions) => match definitions.get("@context") {
            Some(inner) if definitions.len() == 1 => context(inner, contexts, depth.saturating_add(1)),
            _ => Ok(value.clone()),
        },
        _ => Err(unknown("a context is neither a URL nor an object".to_owned())),
    }
}
