//! Procedures: errands with an office or a service, and the documents that each asks for.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{SpecError, display::FALLBACK, folder};

/// Texts by language tag.
type Texts = BTreeMap<String, String>;

/// Errand with an office or a service. English is there in each text that is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Procedure {
    /// Its name, such as `bank-account`.
    pub id: String,
    /// `true` if its facts are made up, for a municipality to replace.
    #[serde(default)]
    pub example: bool,
    /// Title.
    pub title: Texts,
    /// Purpose, in one sentence.
    pub about: Texts,
    /// Place that it is true for; empty: everywhere.
    #[serde(default)]
    pub place: Texts,
    /// Office or service, and the way there; empty: not stated.
    #[serde(default)]
    pub office: Texts,
    /// Its cost; empty: not stated.
    #[serde(default)]
    pub cost: Texts,
    /// Time that it takes; empty: not stated.
    #[serde(default)]
    pub duration: Texts,
    /// Documents that it asks for, as credentials.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Things that it asks for and that no credential replaces.
    #[serde(default)]
    pub papers: Vec<Texts>,
}

/// One document that a procedure asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Need {
    /// Names of the credential types of which one is enough.
    pub types: Vec<String>,
    /// Ids of the request templates that ask for it; a template for each type at most.
    #[serde(default)]
    pub requests: Vec<String>,
    /// `true` if it helps and is not demanded.
    #[serde(default)]
    pub optional: bool,
    /// Reason.
    pub why: Texts,
}

impl Procedure {
    /// Reads a file of `services/`.
    pub(crate) fn read(path: &str, text: &str) -> Result<Self, SpecError> {
        let read: Self = folder::parse_toml(path.to_owned(), text)?;
        let wrong = |what: String, hint: &str| Err(SpecError::file(path, what, hint));
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if read.id.is_empty() || !read.id.chars().all(is_plain) {
            return wrong(
                format!("the id \"{}\" has other characters than small letters, digits and hyphens", read.id),
                "Name it like bank-account",
            );
        }
        let needed = [("title", &read.title), ("about", &read.about)].into_iter();
        let needed = needed.chain(read.needs.iter().map(|need| ("why", &need.why)));
        let needed = needed.chain(read.papers.iter().map(|paper| ("papers", paper)));
        let stated = [("place", &read.place), ("office", &read.office), ("cost", &read.cost)];
        let stated = stated.into_iter().chain([("duration", &read.duration)]).filter(|(_, texts)| !texts.is_empty());
        for (name, texts) in needed.chain(stated) {
            if texts.get(FALLBACK).is_none_or(|text| text.trim().is_empty()) {
                return wrong(format!("\"{name}\" has no English text"), "Add en: other languages fall back to it");
            }
        }
        if read.needs.iter().any(|need| need.types.is_empty()) {
            return wrong("a need names no type".to_owned(), "Name the types of which one is enough");
        }
        Ok(read)
    }
}
