//! Restricted JSON-LD syntax in which a document is signed and verified.
//!
//! Two JSON texts can have the same RDF and yet differ for a program that reads the JSON. Each rule prevents one way to
//! exploit that after signing:
//!
//! - `@context` is only at the top level, and refers to bundled contexts by URL. The credentials in a presentation are
//!   separate documents: each has its own context and its own graph.
//! - Properties are written as terms: a key is neither an IRI nor a keyword, so that no property can be hidden from the
//!   data model. The exception is a language-tagged string, `@value` + `@language`. `@direction` would not be signed,
//!   and is refused.
//! - Types are written as terms too.
//! - No null, empty array, nested array or repeated value in an array: JSON-LD drops or merges these.
//! - No blank node labels, and a node with an id is described only once: nodes with the same id would be merged.
//! - Numbers are integers, or decimals of at most 15 digits: beyond that, implementations round differently.

use std::collections::HashSet;

use carnet_core::{Code, Problem, json::Limits};
use serde_json::{Map, Value};

use crate::{
    contexts::{Contexts, Syntax},
    values::{plain_number, unsigned_syntax},
};

/// Checks the syntax, and returns the document to be converted to RDF, with numbers in one form (1.0 is written as 1),
/// and its JSON text.
///
/// # Errors
/// `context_missing`, `context_unknown`, `context_nested`, `transformation`, `too_large`, `too_deep`
pub(crate) fn check_and_serialize(
    document: &Map<String, Value>,
    contexts: &Contexts,
) -> Result<(Map<String, Value>, String), Problem> {
    if !document.contains_key("@context") {
        return Err(Code::ContextMissing.into());
    }
    let plain = match contexts.syntax() {
        Syntax::Restricted => Checker::default().object(document, Position { depth: 1, contexts: Some(contexts) })?,
        Syntax::Open => crate::open::normalize(document, contexts)?,
    };
    let text = serde_json::to_string(&plain)
        .map_err(|_| Problem::new(Code::Transformation, "the document cannot be written as JSON"))?;
    if text.len() > Limits::DOCUMENT.max_bytes {
        return Err(Code::TooLarge.into());
    }
    Ok((plain, text))
}

fn check_top_context(document: &Map<String, Value>, contexts: &Contexts) -> Result<(), Problem> {
    let urls = match document.get("@context") {
        Some(Value::Array(urls)) if !urls.is_empty() => urls.as_slice(),
        Some(url @ Value::String(_)) => std::slice::from_ref(url),
        _ => return Err(Code::ContextMissing.into()),
    };
    let mut seen = HashSet::new();
    for url in urls {
        let Value::String(url) = url else {
            return Err(Problem::new(
                Code::ContextUnknown,
                "a context in @context is given by value; only bundled ones, named by URL, are accepted",
            ));
        };
        if !contexts.contains(url) {
            return Err(Problem::new(
                Code::ContextUnknown,
                format!("the context {url} is not bundled, and contexts are never fetched"),
            ));
        }
        if !seen.insert(url) {
            return Err(unsigned_syntax("@context", "names a context twice"));
        }
    }
    Ok(())
}

/// Position of a value. `contexts` is set only at the top of a document, where `@context` is allowed.
#[derive(Clone, Copy)]
struct Position<'a> {
    depth: usize,
    contexts: Option<&'a Contexts>,
}

impl Position<'_> {
    fn below(self) -> Self {
        Self { depth: self.depth.saturating_add(1), contexts: None }
    }
}

/// Checks over one graph: nodes with the same id would be merged within a graph.
#[derive(Default)]
struct Checker {
    described: HashSet<String>,
}

impl Checker {
    fn object(&mut self, object: &Map<String, Value>, place: Position<'_>) -> Result<Map<String, Value>, Problem> {
        if place.depth > Limits::DOCUMENT.max_depth {
            return Err(Code::TooDeep.into());
        }
        if object.contains_key("@value") {
            return language_string(object);
        }
        if let Some(Value::String(id)) = object.get("id") {
            let only_a_reference = object.len() == 1;
            if !only_a_reference && !self.described.insert(id.clone()) {
                return Err(unsigned_syntax("id", "describes the same thing in two places"));
            }
        }
        let mut plain = Map::new();
        for (name, value) in object {
            if name == "@context" {
                let contexts = place.contexts.ok_or(Code::ContextNested)?;
                check_top_context(object, contexts)?;
                plain.insert(name.clone(), value.clone());
                continue;
            }
            if name.starts_with('@') || name.contains(':') {
                return Err(unsigned_syntax(name, "is a keyword or an IRI where a term belongs"));
            }
            if name == "type" {
                check_types(value)?;
            }
            let value = match (name.as_str(), place.contexts) {
                ("verifiableCredential", Some(_)) => check_each(name, value, |credential| {
                    let place = Position { contexts: place.contexts, ..place.below() };
                    Self::default().value(name, credential, place)
                })?,
                ("proof", _) => check_each(name, value, |proof| Self::default().value(name, proof, place.below()))?,
                _ => self.value(name, value, place.below())?,
            };
            plain.insert(name.clone(), value);
        }
        Ok(plain)
    }

    fn value(&mut self, name: &str, value: &Value, place: Position<'_>) -> Result<Value, Problem> {
        match value {
            Value::Null => Err(unsigned_syntax(name, "is null")),
            Value::Bool(_) => Ok(value.clone()),
            Value::Number(number) => plain_number(name, number),
            Value::String(text) if text.starts_with("_:") => Err(unsigned_syntax(name, "is a blank node label")),
            Value::String(_) => Ok(value.clone()),
            Value::Object(object) => self.object(object, place).map(Value::Object),
            Value::Array(items) => check_array(name, items, |item| self.value(name, item, place.below())),
        }
    }
}

/// Checks a value, or each element of an array.
fn check_each(
    name: &str,
    value: &Value,
    mut check: impl FnMut(&Value) -> Result<Value, Problem>,
) -> Result<Value, Problem> {
    match value {
        Value::Array(items) => check_array(name, items, check),
        one => check(one),
    }
}

fn check_array(
    name: &str,
    items: &[Value],
    mut check: impl FnMut(&Value) -> Result<Value, Problem>,
) -> Result<Value, Problem> {
    if items.is_empty() {
        return Err(unsigned_syntax(name, "is an empty list"));
    }
    let mut seen = HashSet::new();
    let mut plain = Vec::with_capacity(items.len());
    for item in items {
        if item.is_array() {
            return Err(unsigned_syntax(name, "has a list in a list"));
        }
        let item = check(item)?;
        if !seen.insert(item.to_string()) {
            return Err(unsigned_syntax(name, "has the same value twice"));
        }
        plain.push(item);
    }
    Ok(Value::Array(plain))
}

/// Checks a language-tagged string: `@value` and `@language`, both strings, and nothing else. Without a language, it
/// would be an ordinary string in another notation.
fn language_string(object: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let is_string = |name| object.get(name).is_some_and(Value::is_string);
    if object.len() == 2 && is_string("@value") && is_string("@language") {
        return Ok(object.clone());
    }
    if object.contains_key("@context") {
        return Err(Code::ContextNested.into());
    }
    Err(unsigned_syntax("@value", "has a member besides @language"))
}

fn check_types(value: &Value) -> Result<(), Problem> {
    let one = |value: &Value| match value {
        Value::String(name) if !name.contains(':') && !name.starts_with('@') => Ok(()),
        _ => Err(unsigned_syntax("type", "is an IRI instead of its term")),
    };
    match value {
        Value::Array(names) => names.iter().try_for_each(one),
        name => one(name),
    }
}
