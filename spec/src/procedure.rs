//! Procedures of public offices and other services, such as opening a bank account, with the documents that each
//! requires.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{SpecError, display::FALLBACK_LANGUAGE, type_files};

/// Texts by language tag.
type Texts = BTreeMap<String, String>;

/// Procedure of an office or a service, for display in a wallet. Every text is available in English.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Procedure {
    /// Id, such as `bank-account`.
    pub id: String,
    /// `true` if the facts are fictitious examples.
    #[serde(default)]
    #[serde(rename = "example")]
    pub is_example: bool,
    /// Title of the procedure.
    pub title: Texts,
    /// Purpose of the procedure, in one sentence.
    #[serde(rename = "about")]
    pub purpose: Texts,
    /// Place in which the procedure applies; empty: everywhere.
    #[serde(default)]
    pub place: Texts,
    /// Office or service, and how to reach it; empty: not stated.
    #[serde(default)]
    pub office: Texts,
    /// Cost of the procedure; empty: not stated.
    #[serde(default)]
    pub cost: Texts,
    /// Time that the procedure takes; empty: not stated.
    #[serde(default)]
    pub duration: Texts,
    /// Required documents, as credentials.
    #[serde(default)]
    pub needs: Vec<RequiredDocument>,
    /// Other required items, which no credential replaces.
    #[serde(default)]
    #[serde(rename = "papers")]
    pub other_requirements: Vec<Texts>,
}

/// Document that a procedure requires.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RequiredDocument {
    /// Names of the credential types, a credential of one of which suffices.
    pub types: Vec<String>,
    /// Ids of the request templates that request one of these types.
    #[serde(default)]
    pub requests: Vec<String>,
    /// `true` if it is helpful but not required.
    #[serde(default)]
    pub optional: bool,
    /// Reason why the document is required.
    #[serde(rename = "why")]
    pub reason: Texts,
}

impl Procedure {
    /// Parses a file of `services/`, and checks its id and that every text is available in English.
    pub(crate) fn read(path: &str, text: &str) -> Result<Self, SpecError> {
        let read: Self = type_files::parse_toml(path.to_owned(), text)?;
        let wrong = |what: String, hint: &str| Err(SpecError::file(path, what, hint));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if read.id.is_empty() || !read.id.chars().all(is_plain) {
            return wrong(
                format!("the id \"{}\" has other characters than small letters, digits and hyphens", read.id),
                "Name it like bank-account",
            );
        }
        let needed = [("title", &read.title), ("about", &read.purpose)].into_iter();
        let needed = needed.chain(read.needs.iter().map(|need| ("why", &need.reason)));
        let needed = needed.chain(read.other_requirements.iter().map(|paper| ("papers", paper)));
        let stated = [("place", &read.place), ("office", &read.office), ("cost", &read.cost)];
        let stated = stated.into_iter().chain([("duration", &read.duration)]).filter(|(_, texts)| !texts.is_empty());
        for (name, texts) in needed.chain(stated) {
            if texts.get(FALLBACK_LANGUAGE).is_none_or(|text| text.trim().is_empty()) {
                return wrong(format!("\"{name}\" has no English text"), "Add en: other languages fall back to it");
            }
        }
        if read.needs.iter().any(|need| need.types.is_empty()) {
            return wrong("a need names no type".to_owned(), "Name the types of which one is enough");
        }
        Ok(read)
    }
}
