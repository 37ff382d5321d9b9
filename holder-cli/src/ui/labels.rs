//! Human-readable names of credential types, claims and values.

use carnet_core::{
    at_least::Direction,
    query::{Threshold, plan::ImpliedCondition},
};
use carnet_spec::{Catalogue, DisplayTexts};
use serde_json::Value;

use super::{messages::LocalizedMessages, sanitise::sanitise};
use crate::answer::bound_text;

/// Labels of one type in the holder's language; plain names for a type outside the catalogue.
pub(crate) struct Labels<'a> {
    display: Option<&'a DisplayTexts>,
    type_name: &'a str,
    messages: &'a LocalizedMessages,
}

impl<'a> Labels<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, type_name: &'a str, messages: &'a LocalizedMessages) -> Self {
        let display = catalogue.credential_type(type_name).map(|known| known.display(messages.language().tag()));
        Self { display, type_name, messages }
    }

    /// Returns the name of the type.
    pub(crate) fn document(&self) -> String {
        self.display.map_or_else(|| sanitise(self.type_name), |display| sanitise(&display.name))
    }

    /// Returns the name of a claim, by its path below the subject.
    pub(crate) fn claim(&self, path: &str) -> String {
        self.display.and_then(|display| display.label(path)).map_or_else(|| sanitise(path), sanitise)
    }

    /// Describes a proved threshold.
    pub(crate) fn threshold(&self, threshold: &Threshold) -> String {
        self.threshold_of(threshold, false)
    }

    /// Describes a proved threshold, or one whose hidden value another disclosed claim reveals.
    pub(crate) fn threshold_of(&self, threshold: &Threshold, given_away: bool) -> String {
        self.side("threshold", threshold, if given_away && threshold.is_date() { "-alone" } else { "" })
    }

    /// Describes a bound, without a remark about the hidden value.
    pub(crate) fn bound(&self, threshold: &Threshold) -> String {
        self.side("bound", threshold, "")
    }

    /// Describes a conclusion about a hidden claim: the other side of a bound, or excluded values.
    pub(crate) fn conclusion_text(&self, path: &str, implied: &ImpliedCondition) -> String {
        match &implied.threshold {
            Some(threshold) => self.side("concluded", threshold, ""),
            None => {
                let values: Vec<String> = implied.values.iter().map(|value| self.value(path, value)).collect();
                self.messages.with("concluded-values", &[("values", &values.join("; "))])
            }
        }
    }

    fn side(&self, what: &str, threshold: &Threshold, suffix: &str) -> String {
        let form = if threshold.is_date() { "date" } else { "value" };
        let direction = match threshold.direction() {
            Direction::AtLeast => "at-least",
            Direction::AtMost => "at-most",
        };
        self.messages
            .with(&format!("{what}-{form}-{direction}{suffix}"), &[("bound", &sanitise(&bound_text(threshold)))])
    }

    /// Formats a claim value.
    pub(crate) fn value(&self, path: &str, value: &Value) -> String {
        match value {
            Value::Bool(true) => self.messages.text("answer-yes"),
            Value::Bool(false) => self.messages.text("answer-no"),
            Value::String(text) => {
                let known = self.display.and_then(|display| display.value(path, text));
                sanitise(known.unwrap_or(text))
            }
            Value::Array(items) => items.iter().map(|item| self.value(path, item)).collect::<Vec<_>>().join("; "),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    let path = format!("{path}.{name}");
                    format!("{}: {}", self.claim(&path), self.value(&path, value))
                })
                .collect::<Vec<_>>()
                .join(", "),
            other => sanitise(&other.to_string()),
        }
    }
}
