//! Sentences of failures, in no language yet.

use std::fmt::Display;

use carnet_core::text::shown;

use crate::ui::messages::{Language, Messages};

/// A message of the Fluent files with its arguments. It becomes a sentence where it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sentence {
    id: &'static str,
    /// Boxed: a failure is the error of most results.
    additions: Option<Box<Additions>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Additions {
    arguments: Vec<(&'static str, Argument)>,
    details: String,
    then: Option<Sentence>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Value(String),
    Part(Sentence),
}

impl Sentence {
    /// Creates a sentence from the id of a message.
    pub(crate) const fn id(id: &'static str) -> Self {
        Self { id, additions: None }
    }

    fn added(mut self, add: impl FnOnce(&mut Additions)) -> Self {
        add(self.additions.get_or_insert_default());
        self
    }

    /// Adds an argument. Control characters in it are shown, and do nothing.
    pub(crate) fn with(self, name: &'static str, value: impl Display) -> Self {
        let value = Argument::Value(shown(&value.to_string()));
        self.added(|additions| additions.arguments.push((name, value)))
    }

    /// Adds an argument that is a message itself.
    pub(crate) fn with_part(self, name: &'static str, part: Self) -> Self {
        self.added(|additions| additions.arguments.push((name, Argument::Part(part))))
    }

    /// Adds technical words from elsewhere, which have no translation: they follow the sentence in parentheses.
    pub(crate) fn details(self, details: impl Display) -> Self {
        self.added(|additions| additions.details = shown(details.to_string().trim()))
    }

    /// Adds a second sentence.
    pub(crate) fn then(self, next: Self) -> Self {
        self.added(|additions| additions.then = Some(next))
    }

    /// Returns the sentence in a language.
    pub(crate) fn said(&self, messages: &Messages) -> String {
        let Some(additions) = &self.additions else { return messages.text(self.id) };
        let said: Vec<(&str, String)> =
            additions.arguments.iter().map(|(name, value)| (*name, value.said(messages))).collect();
        let arguments: Vec<(&str, &str)> = said.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut sentence = messages.with(self.id, &arguments);
        if !additions.details.is_empty() {
            let arguments = [("text", sentence.as_str()), ("details", &additions.details)];
            sentence = messages.with("failure-details", &arguments);
        }
        match &additions.then {
            Some(then) => messages.with("failure-both", &[("first", &sentence), ("second", &then.said(messages))]),
            None => sentence,
        }
    }

    /// Returns the English sentence, for programs.
    pub(crate) fn english(&self) -> String {
        self.said(&Messages::new(Language::En))
    }
}

impl Argument {
    fn said(&self, messages: &Messages) -> String {
        match self {
            Self::Value(value) => value.clone(),
            Self::Part(text) => text.said(messages),
        }
    }
}
