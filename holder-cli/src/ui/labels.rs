//! Names of credential types, claims and values for people.

use carnet_core::{
    at_least::Direction,
    query::{Threshold, plan::ImpliedCondition},
};
use carnet_spec::{Catalogue, DisplayTexts};
use carnet_wallet::foreign_display::ForeignDisplay;
use serde_json::Value;

use super::{messages::LocalizedMessages, sanitise::sanitise};
use crate::{answer::bound_text, wallet::HeldCredential};

/// Labels of one credential type in the holder's language. For a type outside the catalogue, the technical names, and
/// beside them, in quotation marks, the names that its issuer gives.
pub(crate) struct TypeLabels<'a> {
    display: Option<&'a DisplayTexts>,
    /// Names by the issuer of a type outside the catalogue.
    foreign: Option<&'a ForeignDisplay>,
    type_name: &'a str,
    messages: &'a LocalizedMessages,
}

impl<'a> TypeLabels<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, type_name: &'a str, messages: &'a LocalizedMessages) -> Self {
        let display = catalogue.credential_type(type_name).map(|known| known.display_texts(messages.language().tag()));
        Self { display, foreign: None, type_name, messages }
    }

    /// Creates the labels of a held credential, with the names by its issuer if the catalogue does not have its type.
    pub(crate) fn of_held(catalogue: &'a Catalogue, held: &'a HeldCredential, messages: &'a LocalizedMessages) -> Self {
        Self::new(catalogue, &held.type_name, messages).with_names(&held.display)
    }

    /// Adds the names by the issuer. A type of the catalogue keeps its own.
    pub(crate) fn with_names(self, names: &'a ForeignDisplay) -> Self {
        Self { foreign: Some(names).filter(|_| self.display.is_none()), ..self }
    }

    /// Returns the name of the credential type. One that the catalogue does not have is marked as such, so that
    /// what its issuer calls it cannot pass for a type of the catalogue.
    pub(crate) fn type_label(&self) -> String {
        match self.display {
            Some(display) => sanitise(&display.name),
            None => {
                let kind = self.messages.format("document-unknown", &[("type", &sanitise(self.type_name))]);
                match self.foreign.and_then(|foreign| foreign.name(&self.messages.languages())) {
                    Some(name) => self.messages.format("document-named", &[("name", &name), ("kind", &kind)]),
                    None => kind,
                }
            }
        }
    }

    /// Returns the label of a claim, by its path below the subject; the path itself if the type has no label for it.
    pub(crate) fn claim_label(&self, path: &str) -> String {
        if let Some(label) = self.display.and_then(|display| display.claim_label(path)) {
            return sanitise(label);
        }
        match self.foreign.and_then(|foreign| foreign.claim_name(path, &self.messages.languages())) {
            Some(name) => self.messages.format("claim-named", &[("name", &name), ("claim", &sanitise(path))]),
            None => sanitise(path),
        }
    }

    /// Describes a threshold with a remark that the exact value stays hidden.
    pub(crate) fn threshold_text(&self, threshold: &Threshold) -> String {
        self.side("threshold", threshold)
    }

    /// Describes a threshold without a remark about the hidden value.
    pub(crate) fn bound_label(&self, threshold: &Threshold) -> String {
        self.side("bound", threshold)
    }

    /// Describes what the verifier can conclude about a hidden claim: that it is beyond a bound, or none of some
    /// values.
    pub(crate) fn conclusion_text(&self, path: &str, implied: &ImpliedCondition) -> String {
        match &implied.threshold {
            Some(threshold) => self.side("concluded", threshold),
            None => {
                let values: Vec<String> = implied.values.iter().map(|value| self.value_text(path, value)).collect();
                self.messages.format("concluded-values", &[("values", &values.join("; "))])
            }
        }
    }

    /// Formats a threshold with the message whose id begins with `what`.
    fn side(&self, what: &str, threshold: &Threshold) -> String {
        let form = if threshold.is_date() { "date" } else { "value" };
        let direction = match threshold.direction() {
            Direction::AtLeast => "at-least",
            Direction::AtMost => "at-most",
        };
        self.messages.format(&format!("{what}-{form}-{direction}"), &[("bound", &sanitise(&bound_text(threshold)))])
    }

    /// Formats a claim value. `path` is that of the claim below the subject, by which labels of known values are found.
    pub(crate) fn value_text(&self, path: &str, value: &Value) -> String {
        match value {
            Value::Bool(true) => self.messages.text("answer-yes"),
            Value::Bool(false) => self.messages.text("answer-no"),
            Value::String(text) => {
                let known = self.display.and_then(|display| display.value_text(path, text));
                sanitise(known.unwrap_or(text))
            }
            Value::Array(items) => items.iter().map(|item| self.value_text(path, item)).collect::<Vec<_>>().join("; "),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| {
                    let path = format!("{path}.{name}");
                    format!("{}: {}", self.claim_label(&path), self.value_text(&path, value))
                })
                .collect::<Vec<_>>()
                .join(", "),
            other => sanitise(&other.to_string()),
        }
    }
}
