//! Sentences as message ids with arguments; the embedding program has the texts in its languages.

use std::fmt::Display;

use carnet_core::text::displayable;

/// Message id with arguments, an optional technical detail, and an optional second sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    id: &'static str,
    /// Boxed: a failure is the error of most results.
    additions: Option<Box<Additions>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Additions {
    arguments: Vec<(&'static str, SentenceArgument)>,
    details: String,
    then: Option<Sentence>,
}

/// Argument of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentenceArgument {
    /// Text, in which control characters are displayed as code points.
    Value(String),
    /// Another message.
    Nested(Sentence),
}

impl Sentence {
    /// Creates a sentence with a message id and without arguments.
    pub const fn new(id: &'static str) -> Self {
        Self { id, additions: None }
    }

    fn added(mut self, add: impl FnOnce(&mut Additions)) -> Self {
        add(self.additions.get_or_insert_default());
        self
    }

    /// Adds an argument. Control characters in it are displayed as code points.
    pub fn with(self, name: &'static str, value: impl Display) -> Self {
        let value = SentenceArgument::Value(displayable(&value.to_string()));
        self.added(|additions| additions.arguments.push((name, value)))
    }

    /// Adds an argument that is a message itself.
    pub fn with_part(self, name: &'static str, part: Self) -> Self {
        self.added(|additions| additions.arguments.push((name, SentenceArgument::Nested(part))))
    }

    /// Sets technical details, which have no translation and are appended in parentheses.
    pub fn with_details(self, details: impl Display) -> Self {
        self.added(|additions| additions.details = displayable(details.to_string().trim()))
    }

    /// Sets the sentence that follows this one.
    pub fn followed_by(self, next: Self) -> Self {
        self.added(|additions| additions.then = Some(next))
    }

    /// Returns the message id, by which the embedding program finds the text.
    #[must_use]
    pub const fn message_id(&self) -> &'static str {
        self.id
    }

    /// Returns the arguments of the message as pairs of name and value.
    pub fn arguments(&self) -> impl Iterator<Item = (&'static str, &SentenceArgument)> {
        self.additions.iter().flat_map(|additions| &additions.arguments).map(|(name, value)| (*name, value))
    }

    /// Returns the technical details to be appended; may be empty.
    #[must_use]
    pub fn technical_details(&self) -> &str {
        self.additions.as_ref().map(|additions| additions.details.as_str()).unwrap_or_default()
    }

    /// Returns the sentence that follows this one; `None`: none.
    #[must_use]
    pub fn next(&self) -> Option<&Self> {
        self.additions.as_ref()?.then.as_ref()
    }
}
