//! Descriptions of given values by kind, form and fault. Values are never quoted, since errors appear in logs and
//! tickets.

use carnet_core::{day, text::quoted};
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

/// Maximum length of a text that is described by its form, in characters.
const MAX_DESCRIBED_CHARS: usize = 24;
/// Maximum offset of an instant from UTC, in minutes (XSD 1.1 part 2, section 3.3.7).
const MOST_OFFSET: u32 = 14 * 60;
/// Characters that are written for a hyphen or a minus sign: hyphens, dashes, and signs of full width.
const DASHES: [char; 10] = ['‐', '‑', '‒', '–', '—', '―', '−', '﹣', '－', '＋'];

/// Describes a value that breaks a rule: its fault if it is known, otherwise its kind and form.
pub(super) fn describe_fault(kind: &Kind, value: &Value) -> String {
    let fault = match (kind, value) {
        (Kind::Format { format }, Value::String(text)) if format == "date" => date_fault(text),
        (Kind::Format { format }, Value::String(text)) if format == "date-time" => instant_fault(text),
        (Kind::Maximum { .. } | Kind::ExclusiveMaximum { .. }, Value::Number(_)) => Some("a number that is too large"),
        // Zero and negative numbers are described as such.
        (Kind::Minimum { .. } | Kind::ExclusiveMinimum { .. }, Value::Number(number))
            if number.as_f64().is_some_and(|number| number > 0.0) =>
        {
            Some("a number that is too small")
        }
        _ => None,
    };
    fault.map_or_else(|| describe_value(value), str::to_owned)
}

fn date_fault(text: &str) -> Option<&'static str> {
    if has_foreign_digit(text) {
        return Some("a day in digits of another script");
    }
    if text.contains(DASHES) {
        return Some("a day with a sign that is not -");
    }
    (text_form(text) == "9999-99-99" && day::parse_start(text).is_err()).then_some("a day that does not exist")
}

fn instant_fault(text: &str) -> Option<&'static str> {
    if has_foreign_digit(text) {
        return Some("an instant in digits of another script");
    }
    if text.contains(DASHES) {
        return Some("an instant with a sign that is not + or -");
    }
    let (date, time) = text.split_at_checked(10)?;
    if date_fault(date).is_some() {
        return Some("an instant on a day that does not exist");
    }
    let (_, offset) = time.rsplit_once(['+', '-'])?;
    let (hours, minutes) = offset.split_once(':')?;
    let minutes = hours.parse::<u32>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?;
    (minutes > MOST_OFFSET).then_some("an instant with an offset beyond 14:00")
}

/// Returns whether a text has a digit other than those of ASCII.
fn has_foreign_digit(text: &str) -> bool {
    text.chars().any(|c| c.is_numeric() && !c.is_ascii())
}

/// Describes a value by its kind and form.
pub(crate) fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "null, which is not a value".to_owned(),
        Value::Bool(_) => "a yes or no (true or false without quotes)".to_owned(),
        Value::Number(number) => match number.as_f64().unwrap_or_default() {
            0.0 => "zero".to_owned(),
            below if below < 0.0 => "a negative number".to_owned(),
            above if above.fract() == 0.0 => "a whole number".to_owned(),
            _ => "a number with a fraction".to_owned(),
        },
        Value::String(text) => match text.chars().count() {
            0 => "an empty text".to_owned(),
            length if length <= MAX_DESCRIBED_CHARS => {
                let script = if has_foreign_digit(text) { ", in digits of another script" } else { "" };
                format!("a text of the form {}{script}", quoted(&text_form(text)))
            }
            length => format!("a text of {length} characters"),
        },
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object with {} members", members.len()),
    }
}

/// Returns the form of a text: 9 for each digit, and a or A for each letter.
fn text_form(text: &str) -> String {
    let letter = |c: char| match c {
        c if c.is_numeric() => '9',
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c => c,
    };
    text.chars().map(letter).collect()
}
