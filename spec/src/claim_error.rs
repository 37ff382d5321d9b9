//! Errors in claims to be issued, as sentences for staff: the claim, a description of the given value, and the expected
//! one.
//!
//! A value is described by its kind and form, and never quoted, since errors appear in logs and tickets.

use std::fmt;

use carnet_core::{spelling::nearest_name, text::quoted};
use jsonschema::{ValidationError, error::ValidationErrorKind as Kind};
use serde_json::Value;

use crate::claims;
use describe::describe_fault;
pub(crate) use describe::describe_value;

mod describe;

/// Error in a claim to be issued: not permitted by the type, or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimError {
    /// Path of the claim below credentialSubject, such as `learningOutcomes[0].title`. A name with other characters
    /// than letters and digits is quoted.
    pub path: String,
    /// Kind and form of the given value; `None` for a claim that must not be given.
    pub given_form: Option<String>,
    /// Sentence fragment that states the expected value, or what to do.
    pub expected: String,
    /// Known name or value that was probably meant; `None` if there is no similar one.
    pub nearest: Option<String>,
}

impl ClaimError {
    /// Returns the error in one sentence, without the claim's path.
    #[must_use]
    pub fn description(&self) -> String {
        let given = self.given_form.as_deref().map_or(String::new(), |given| format!("given is {given}; "));
        let nearest = self.nearest.as_deref().map_or(String::new(), |nearest| format!("; the nearest is {nearest}"));
        format!("{given}{}{nearest}", self.expected)
    }
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.description())
    }
}

/// Parts of a credential type that describe its claims.
pub(crate) struct DescribedType<'a> {
    pub(crate) name: &'a str,
    pub(crate) schema: &'a Value,
    pub(crate) example: &'a Value,
    /// Predicate that is `true` for members of credentialSubject that issuance creates, such as commitments.
    pub(crate) is_created_by_issuance: &'a dyn Fn(&str) -> bool,
}

impl DescribedType<'_> {
    /// Converts an error of the schema validator to claim errors; empty if it does not concern a claim.
    pub(crate) fn claim_errors(&self, error: &ValidationError<'_>) -> Vec<ClaimError> {
        let pointer = error.instance_path().to_string();
        let steps: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
        let Some((_, steps)) = steps.split_first().filter(|(first, _)| *first == "credentialSubject") else {
            return Vec::new();
        };
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let names = unexpected.iter().filter(|name| *name != "id");
                names.map(|name| self.unknown_claim(steps, name)).collect()
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default().to_owned();
                vec![self.missing_claim(&[steps, &[name]].concat())]
            }
            kind => {
                let mut node = self.schema_of_claim(steps);
                // A rule of a condition (`if`, `then`) is in the schema of that condition.
                if node.schema.get(kind.keyword()).is_none()
                    && let Some(condition) = self.schema_of(error)
                {
                    node.schema = condition;
                }
                let value = error.instance();
                let alternatives = match kind {
                    Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.alternatives(context, steps),
                    _ => None,
                };
                let wanted = alternatives.unwrap_or_else(|| self.wanted(kind, &node));
                let wanted = format!("wanted is {wanted}{}", self.example_suffix(kind, steps));
                let nearest = match (kind, value.as_str()) {
                    (Kind::Enum { options }, Some(given)) => {
                        nearest_name(given, options.as_array().into_iter().flatten().filter_map(Value::as_str))
                    }
                    _ => None,
                };
                vec![ClaimError {
                    path: path(steps),
                    given_form: Some(describe_fault(kind, value)),
                    expected: wanted,
                    nearest: nearest.map(str::to_owned),
                }]
            }
        }
    }

    /// Returns the error for a missing required claim.
    pub(crate) fn missing_claim(&self, steps: &[String]) -> ClaimError {
        let needed = self.schema_of_claim(steps).description;
        let wanted = needed.map_or("it is required".to_owned(), |what| format!("it is required: {what}"));
        ClaimError { path: path(steps), given_form: Some("nothing".to_owned()), expected: wanted, nearest: None }
    }

    /// Returns the error for a claim that only issuance may create.
    pub(crate) fn created_by_issuance(name: &str, how: &str) -> ClaimError {
        let wanted = format!("omit it: {how}");
        ClaimError { path: name.to_owned(), given_form: None, expected: wanted, nearest: None }
    }

    /// Describes the alternatives of a schema (`anyOf`, `oneOf`), each by its first error; `None` if no error concerns
    /// a claim.
    fn alternatives(&self, branches: &[Vec<ValidationError<'static>>], steps: &[String]) -> Option<String> {
        let here = path(steps);
        let wanted = branches.iter().filter_map(|errors| self.claim_errors(errors.first()?).into_iter().next());
        let wanted = wanted.map(|fault| {
            let wanted = fault.expected.strip_prefix("wanted is ").unwrap_or(&fault.expected).to_owned();
            if fault.path == here { wanted } else { format!("{} ({wanted})", fault.path) }
        });
        let wanted: Vec<String> = wanted.collect();
        (!wanted.is_empty()).then(|| wanted.join(", or "))
    }

    fn unknown_claim(&self, steps: &[String], name: &str) -> ClaimError {
        let node = self.schema_of_claim(steps);
        let known = node.schema.get("properties").and_then(Value::as_object);
        let theirs = |name: &&str| *name != "id" && !(self.is_created_by_issuance)(name);
        let known = || known.into_iter().flat_map(|known| known.keys()).map(String::as_str).filter(theirs);
        let nearest = nearest_name(name, known()).map(str::to_owned);
        let all = if nearest.is_some() {
            String::new()
        } else {
            format!(", which has {}", known().collect::<Vec<_>>().join(", "))
        };
        let whole = path(&[steps, &[name.to_owned()]].concat());
        // An unknown name is text from outside.
        let path = if claims::is_claim_name(name) { whole } else { quoted(&whole) };
        ClaimError { path, given_form: None, expected: format!("it is not a claim of {}{all}", self.name), nearest }
    }

    /// Returns whether a claim is a date, such as `dateOfBirth`.
    pub(crate) fn is_date(&self, name: &str) -> bool {
        self.schema_of_claim(&[name.to_owned()]).schema.get("format").and_then(Value::as_str) == Some("date")
    }

    /// Returns the part of the type's schema that contains the violated rule.
    fn schema_of(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let rule = error.schema_path().to_string();
        self.schema.pointer(rule.rsplit_once('/')?.0)
    }

    /// Returns the schema of a claim.
    fn schema_of_claim(&self, steps: &[String]) -> ClaimSchema<'_> {
        let subject = self.schema.pointer("/properties/credentialSubject").unwrap_or(&Value::Null);
        let mut node = self.resolved(subject);
        for step in steps {
            let member = node.schema.get("properties").and_then(|properties| properties.get(step));
            node = self.resolved(member.or_else(|| node.schema.get("items")).unwrap_or(&Value::Null));
        }
        node
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> ClaimSchema<'a> {
        let description = schema.get("description").and_then(Value::as_str);
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        let schema = reference.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema);
        let description = description.or_else(|| schema.get("description").and_then(Value::as_str));
        ClaimSchema { schema, description: description.map(|text| text.trim_end_matches('.')) }
    }

    fn wanted(&self, kind: &Kind, node: &ClaimSchema<'_>) -> String {
        let described = || node.description.map_or("another form".to_owned(), quoted);
        match kind {
            Kind::Type { .. } => node.kind(),
            Kind::Minimum { .. }
            | Kind::Maximum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::ExclusiveMaximum { .. } => node.number(),
            Kind::Format { format } if format == "date" => "an existing date, as YYYY-MM-DD".to_owned(),
            Kind::Format { format } if format == "date-time" => {
                "an existing instant, as YYYY-MM-DDThh:mm:ssZ".to_owned()
            }
            Kind::Pattern { pattern } if pattern.contains("\\p{Cc}") => {
                "a text on one line, without control characters".to_owned()
            }
            Kind::Pattern { pattern } => format!("{} (the pattern {pattern})", described()),
            Kind::MinLength { .. } | Kind::MaxLength { .. } => node.text(),
            Kind::MaxItems { limit } => format!("a list of at most {limit}"),
            Kind::MinItems { limit } => format!("a list of at least {limit}"),
            Kind::UniqueItems => "a list without duplicates".to_owned(),
            Kind::Enum { options } => format!("one of {}", listed(options.as_array().map_or(&[], Vec::as_slice))),
            Kind::Constant { expected_value } => expected_value.to_string(),
            Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
            Kind::Contains => "a list that contains a value required by the type".to_owned(),
            Kind::MinProperties { limit } => format!("an object with at least {limit} members"),
            Kind::MaxProperties { limit } => format!("an object with at most {limit} members"),
            Kind::Not { schema } => match schema.get("enum").and_then(Value::as_array) {
                Some(excluded) => format!("any value but {}", listed(excluded)),
                None => match schema.get("const") {
                    Some(excluded) => format!("any value but {}", listed(std::slice::from_ref(excluded))),
                    None => format!("a value that the type does not exclude: {}", described()),
                },
            },
            Kind::OneOfMultipleValid { .. } => {
                format!("a value of exactly one of the type's forms: {}", described())
            }
            other => format!("{} (the rule {})", described(), other.keyword()),
        }
    }

    /// Returns the type's example of a value with a format or pattern; empty for other rules.
    fn example_suffix(&self, kind: &Kind, steps: &[String]) -> String {
        if !matches!(kind, Kind::Format { .. } | Kind::Pattern { .. }) {
            return String::new();
        }
        let mut value = self.example.get("credentialSubject");
        for step in steps {
            value = value.and_then(|value| match value {
                Value::Array(items) => items.first(),
                value => value.get(step),
            });
        }
        value.and_then(Value::as_str).map_or(String::new(), |example| format!(", such as {example}"))
    }
}

/// Returns values of a schema as text, separated by commas.
fn listed(values: &[Value]) -> String {
    let texts = values.iter().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Schema of a claim, with its description.
struct ClaimSchema<'a> {
    schema: &'a Value,
    description: Option<&'a str>,
}

impl ClaimSchema<'_> {
    fn kind(&self) -> String {
        match self.schema.get("type").and_then(Value::as_str) {
            Some("boolean") => "true or false, without quotes".to_owned(),
            Some("integer" | "number") => format!("{}, without quotes", self.number()),
            Some("string") => format!("{}, in quotes", self.text()),
            Some("array") => "a list, in square brackets".to_owned(),
            Some("object") => "an object, in braces".to_owned(),
            _ => "another kind of value".to_owned(),
        }
    }

    fn number(&self) -> String {
        let limit = |name: &str, words: &str| self.schema.get(name).map(|limit| format!("{words} {limit}"));
        let what = if self.schema.get("type").and_then(Value::as_str) == Some("integer") {
            "a whole number"
        } else {
            "a number"
        };
        let least = limit("minimum", "of at least").or_else(|| limit("exclusiveMinimum", "above"));
        let most = limit("maximum", "at most").or_else(|| limit("exclusiveMaximum", "below"));
        match (least, most) {
            (Some(least), Some(most)) => format!("{what} {least} and {most}"),
            (least, most) => [Some(what.to_owned()), least, most].into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    }

    fn text(&self) -> String {
        let limit = |name: &str| self.schema.get(name).and_then(Value::as_u64);
        match (limit("minLength"), limit("maxLength")) {
            (Some(least), Some(most)) => format!("a text of {least} to {most} characters"),
            (None, Some(most)) => format!("a text of at most {most} characters"),
            (Some(least), None) => format!("a text of at least {least} characters"),
            (None, None) => "a text".to_owned(),
        }
    }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn path(steps: &[String]) -> String {
    let mut text = String::new();
    for step in steps {
        if step.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(&format!("[{step}]"));
        } else if text.is_empty() {
            text.push_str(step);
        } else {
            text.push_str(&format!(".{step}"));
        }
    }
    text
}

#[cfg(test)]
mod tests;
