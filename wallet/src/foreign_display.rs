//! Names that an issuer gives a credential type and its claims, for types that the catalogue does not have: texts of
//! strangers, which must not pass for the wallet's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{languages::Languages, sanitise::sanitise};

/// Maximum number of claims with names.
const MAX_CLAIMS: usize = 64;
/// Maximum number of languages of one text.
const MAX_LANGUAGES: usize = 16;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 60;
/// Maximum length of the path of a claim, in bytes.
const MAX_PATH: usize = 200;
/// Characters that structure the wallet's own lines: a name with one could look like two.
const STRUCTURING: [char; 40] = [
    '<', '>', '(', ')', '[', ']', '{', '}', '"', ':', ';', '|', '=', '+', '*', '#', '!', '“', '”', '„', '«', '»', '‹',
    '›', '（', '）', '［', '］', '＜', '＞', '：', '；', '＝', '＋', '！', '｜', '—', '–', '→', '•',
];

/// Names of a foreign type and of its claims, by language. Each is plain: on one line, short, and without characters
/// that structure the wallet's lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignDisplay {
    /// Names of the type, by language tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<String, String>,
    /// Names of claims, by dotted path and language tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    claims: BTreeMap<String, BTreeMap<String, String>>,
}

impl ForeignDisplay {
    /// Creates the names of a type from texts of its issuer, as `(language tag, text)`.
    #[must_use]
    pub fn of_type<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { names: plain_names(names), claims: BTreeMap::new() }
    }

    /// Adds the names of a claim, given by its path of names. Names beyond the limits are left out.
    pub fn add_claim<'a>(&mut self, path: &[&str], names: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let path = path.join(".");
        let names = plain_names(names);
        if !names.is_empty() && (1..=MAX_PATH).contains(&path.len()) && self.claims.len() < MAX_CLAIMS {
            self.claims.entry(path).or_insert(names);
        }
    }

    /// Returns whether there are no names.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.claims.is_empty()
    }

    /// Returns the name of the type; `None` if it has none in a language of the holder.
    #[must_use]
    pub fn name(&self, languages: &Languages) -> Option<String> {
        best_name(&self.names, languages)
    }

    /// Returns the name of a claim by its dotted path; `None` if it has none in a language of the holder, or if another
    /// claim has the same name there, so that the name does not tell them apart.
    #[must_use]
    pub fn claim_name(&self, path: &str, languages: &Languages) -> Option<String> {
        let name = best_name(self.claims.get(path)?, languages)?;
        let same = self.claims.values().filter(|names| best_name(names, languages).as_ref() == Some(&name));
        (same.count() == 1).then_some(name)
    }
}

fn best_name(names: &BTreeMap<String, String>, languages: &Languages) -> Option<String> {
    languages.best_text(|tag| names.get(tag).map(String::as_str)).filter(|name| is_plain(name))
}

/// Returns the plain names among these texts, by the primary subtag of their language.
fn plain_names<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (tag, text) in texts {
        let language = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let name = sanitise(text);
        if names.len() < MAX_LANGUAGES && is_plain(&name) {
            names.entry(language).or_insert(name);
        }
    }
    names
}

/// Returns whether a sanitised text is 1 to 60 characters without structure. A wallet file is data too: names are
/// checked again when they are shown.
fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && !name.contains(STRUCTURING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        ForeignDisplay::of_type([("en", text)]).name(&Languages::preferring("en"))
    }

    #[test]
    fn row_120_a_name_cannot_pass_for_a_line_of_the_wallet() {
        for imitation in [
            "Degree\n  Issuer: University of Example",
            "Degree (University of Example)",
            "Degree <university.example>",
            "Degree” from “University",
            "+ Degree",
            "Degree: yes",
            "Degree\u{202e}eerged",
            "Degree\u{1b}[2K",
            "",
            " \u{200b} ",
            &"x".repeat(61),
        ] {
            assert_eq!(shown(imitation), None, "{imitation:?}");
        }
        for plain in
            ["Degree", "Master’s degree", "Aufenthaltstitel", "تصريح إقامة", "居留許可", "Permis de séjour, 2e partie"]
        {
            assert_eq!(shown(plain).as_deref(), Some(plain));
        }
    }

    #[test]
    fn a_name_is_found_in_a_language_of_the_holder() {
        let display = ForeignDisplay::of_type([("de-AT", "Ausweis"), ("en", "Card"), ("EN-us", "Badge")]);
        let name = |tag: &str| display.name(&Languages::preferring(tag));
        assert_eq!((name("de").as_deref(), name("fr").as_deref()), (Some("Ausweis"), Some("Card")));
        assert_eq!(ForeignDisplay::of_type([("de", "Ausweis")]).name(&Languages::preferring("fr")), None);
    }

    #[test]
    fn two_claims_with_one_name_have_none() {
        let mut display = ForeignDisplay::default();
        display.add_claim(&["age_over_18"], [("en", "Over 18")]);
        display.add_claim(&["family_name"], [("en", "Name")]);
        display.add_claim(&["birth", "name"], [("en", "Name")]);
        display.add_claim(&["age_over_18"], [("en", "Nationality")]);
        display.add_claim(&[], [("en", "All")]);
        let name = |path: &str| display.claim_name(path, &Languages::preferring("en"));
        assert_eq!(name("age_over_18").as_deref(), Some("Over 18"), "the first counts");
        assert_eq!((name("family_name"), name("birth.name"), name("other")), (None, None, None));
        for number in 0..100 {
            display.add_claim(&[&format!("c{number}")], [("en", "x")]);
        }
        assert_eq!(display.claims.len(), MAX_CLAIMS);
        let stored: ForeignDisplay = serde_json::from_str(&serde_json::to_string(&display).unwrap()).unwrap();
        assert_eq!(stored, display);
    }
}
