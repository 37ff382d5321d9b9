//! Values that the data model defines for many properties: URLs, types, language value objects.

use serde_json::{Map, Value};

use super::malformed;
use crate::{Code, Problem, credential::url, json::Limits};

/// Members of a language value object (VCDM 2.0 section 11.1).
const LANGUAGE_VALUE_MEMBERS: [&str; 3] = ["@value", "@language", "@direction"];

/// Returns the values of a property: the elements of an array, or the single value; none if it is absent.
pub(super) fn values<'a>(members: &'a Map<String, Value>, property: &str) -> &'a [Value] {
    match members.get(property) {
        None => &[],
        Some(Value::Array(many)) => many,
        Some(one) => std::slice::from_ref(one),
    }
}

/// Checks the values that mean the same wherever they occur: an `id` is a single absolute URL (section 4.4), a `type` is
/// one or more terms or URLs (section 4.5), and a value object has no other members (section 11.1). Contexts occur only
/// at the top level. `skipped` names the members of this object that are checked elsewhere.
///
/// # Errors
/// `malformed_value`, `context_nested`, `too_deep`.
pub(super) fn check_members(members: &Map<String, Value>, skipped: &[&str]) -> Result<(), Problem> {
    members
        .iter()
        .filter(|(name, _)| !skipped.contains(&name.as_str()))
        .try_for_each(|(name, value)| check_member(name, value, 1))
}

fn check_member(name: &str, value: &Value, depth: usize) -> Result<(), Problem> {
    if depth > Limits::DOCUMENT.max_depth {
        return Err(Code::TooDeep.into());
    }
    match name {
        "@context" => return Err(Code::ContextNested.into()),
        "id" => return url(value, "id").map(|_| ()),
        "type" => return check_types(value, "an object"),
        _ => {}
    }
    let below = depth.saturating_add(1);
    match value {
        Value::Object(object) if object.contains_key("@value") => check_value_object(object, name),
        Value::Object(object) => object.iter().try_for_each(|(name, value)| check_member(name, value, below)),
        Value::Array(items) => items.iter().try_for_each(|item| match item {
            // An element is judged as an object, whatever the array is called.
            Value::Object(_) | Value::Array(_) => check_member("an element", item, below),
            _ => Ok(()),
        }),
        _ => Ok(()),
    }
}

/// Checks that a `type` is a string, or a non-empty array of strings, none of them empty.
///
/// # Errors
/// `malformed_value`
pub(super) fn check_types(value: &Value, of: &str) -> Result<(), Problem> {
    let term =
        |value: &Value| value.as_str().is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    let holds = match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(term),
        one => term(one),
    };
    if holds { Ok(()) } else { Err(malformed(format!("the type of {of} is not one or more terms or URLs"))) }
}

/// Returns whether a document has a type.
pub(super) fn has_type(members: &Map<String, Value>, name: &str) -> bool {
    values(members, "type").iter().any(|entry| entry == name)
}

/// Checks a name or description: a string, a language value object, or several of them (section 4.6).
///
/// # Errors
/// `malformed_value`
pub(super) fn check_text(members: &Map<String, Value>, property: &str) -> Result<(), Problem> {
    if members.get(property).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty)) {
        return Err(malformed(format!("{property} is empty")));
    }
    values(members, property).iter().try_for_each(|value| match value {
        Value::String(_) => Ok(()),
        Value::Object(object) if !object.contains_key("@type") => check_value_object(object, property),
        _ => Err(malformed(format!("{property} is neither a string nor a language value object"))),
    })
}

/// Checks a value object: of a language (`@value`, `@language`, `@direction`; section 11.1), or of a datatype (`@value`
/// and `@type`; JSON-LD 1.1 section 9.5).
fn check_value_object(object: &Map<String, Value>, property: &str) -> Result<(), Problem> {
    let wrong = |what: &str| Err(malformed(format!("a value object of {property} {what}")));
    let allowed: &[&str] = if object.contains_key("@type") { &["@value", "@type"] } else { &LANGUAGE_VALUE_MEMBERS };
    if object.keys().any(|name| !allowed.contains(&name.as_str())) {
        return wrong("has a member that it may not have");
    }
    if object.contains_key("@type") {
        let datatype = object.get("@type").is_some_and(Value::is_string);
        return if datatype { Ok(()) } else { wrong("has a @type that is not a string") };
    }
    if !object.get("@value").is_some_and(Value::is_string) {
        return wrong("has a @value that is not a string");
    }
    if object.get("@language").is_some_and(|tag| !tag.as_str().is_some_and(is_language_tag)) {
        return wrong("has a @language that is not a language tag");
    }
    match object.get("@direction") {
        None => Ok(()),
        Some(direction) if direction == "ltr" || direction == "rtl" => Ok(()),
        Some(_) => wrong("has a @direction other than ltr and rtl"),
    }
}

/// Returns whether a text has the form of a language tag: subtags of one to eight letters or digits, of which the first
/// has letters alone (RFC 5646 section 2.1).
fn is_language_tag(text: &str) -> bool {
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut parts = text.split('-');
    parts.next().is_some_and(|first| subtag(first) && first.bytes().all(|byte| byte.is_ascii_alphabetic()))
        && parts.all(subtag)
}

/// Checks the entries of a property whose objects must have a `type` (sections 4.5 and 5.10), and whose `id`, if there
/// is one, is a URL.
///
/// # Errors
/// `type_missing`, `malformed_value`.
pub(super) fn check_typed(members: &Map<String, Value>, property: &str, needs_id: bool) -> Result<(), Problem> {
    for entry in values(members, property) {
        let entry = entry.as_object().ok_or_else(|| malformed(format!("{property} is not an object")))?;
        let types = entry
            .get("type")
            .ok_or_else(|| Problem::new(Code::TypeMissing, format!("an object of {property} has no type")))?;
        check_types(types, property)?;
        match entry.get("id") {
            Some(id) => {
                url(id, property)?;
            }
            None if needs_id => return Err(malformed(format!("an object of {property} has no id"))),
            None => {}
        }
    }
    Ok(())
}
