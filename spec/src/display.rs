//! Display texts of types and claims, from Fluent files.

use std::collections::BTreeMap;

use fluent_bundle::{FluentBundle, FluentResource};

use crate::{SpecError, claims::SchemaClaim, ordered::ThresholdClaim, type_files::TypeFiles};

/// Language that every type has, used as the fallback.
pub(crate) const FALLBACK_LANGUAGE: &str = "en";

/// Display texts of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDisplay {
    /// Short name of the claim.
    pub label: String,
    /// One-line description for readers who do not know the claim.
    pub description: String,
}

/// Display texts of a type in one language; missing texts are in English.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayTexts {
    /// Language tag of the file, such as `de`.
    pub language: String,
    /// Display name of the type.
    pub name: String,
    /// One-line description for readers who do not know the type.
    pub description: String,
    /// Text about who issues the type and how to get it; `None` if the type has no such text.
    pub how_to_obtain: Option<String>,
    /// Display texts of the claims, by dotted path below credentialSubject without array brackets, such as
    /// `learningOutcomes.title`.
    pub claims: BTreeMap<String, ClaimDisplay>,
    values: BTreeMap<(String, String), String>,
    /// Claim of each array of commitments, by the array's name.
    commitments: BTreeMap<String, String>,
}

impl DisplayTexts {
    /// Returns the label of a claim. The path may be `title`, `credentialSubject.title`, `learningOutcomes[0].title` or
    /// `learningOutcomes[].title`. Commitments (`validUntilAtLeast`) have the label of their claim. `None` if the type
    /// does not have the claim.
    #[must_use]
    pub fn claim_label(&self, path: &str) -> Option<&str> {
        self.claim(path).map(|claim| claim.label.as_str())
    }

    /// Returns the one-line description of a claim; the path is as for [`DisplayTexts::claim_label`].
    #[must_use]
    pub fn claim_description(&self, path: &str) -> Option<&str> {
        self.claim(path).map(|claim| claim.description.as_str())
    }

    fn claim(&self, path: &str) -> Option<&ClaimDisplay> {
        let path = normalise_path(path);
        self.claims.get(self.commitments.get(&path).unwrap_or(&path))
    }

    /// Returns the display text of a claim's value, such as `Study` for `study`; `None` if the type has none.
    #[must_use]
    pub fn value_text(&self, path: &str, value: &str) -> Option<&str> {
        self.values.get(&(normalise_path(path), value.to_owned())).map(String::as_str)
    }

    /// Parses `display/en.ftl`, which must contain every text.
    pub(crate) fn read_english(
        folder: &TypeFiles,
        claims: &[SchemaClaim],
        orders: &[ThresholdClaim],
    ) -> Result<DisplayTexts, SpecError> {
        Self::read(folder, FALLBACK_LANGUAGE, folder.text("display/en.ftl")?, (claims, orders), None)
    }

    /// Parses all other `display/<lang>.ftl`, by language tag. English texts replace missing ones.
    pub(crate) fn read_others(
        folder: &TypeFiles,
        claims: &[SchemaClaim],
        orders: &[ThresholdClaim],
        english: &DisplayTexts,
    ) -> Result<BTreeMap<String, DisplayTexts>, SpecError> {
        let mut others = BTreeMap::new();
        for (file, text) in &folder.files {
            let language = file.strip_prefix("display/").and_then(|file| file.strip_suffix(".ftl"));
            if let Some(language) = language.filter(|language| *language != FALLBACK_LANGUAGE) {
                let read = Self::read(folder, language, text, (claims, orders), Some(english))?;
                others.insert(language.to_owned(), read);
            }
        }
        Ok(others)
    }

    fn read(
        folder: &TypeFiles,
        language: &str,
        text: &str,
        (claims, orders): (&[SchemaClaim], &[ThresholdClaim]),
        fallback: Option<&DisplayTexts>,
    ) -> Result<Self, SpecError> {
        let path = folder.display_path(&format!("display/{language}.ftl"));
        let wrong = |what: String| SpecError::file(path.clone(), what, "Correct the Fluent file");
        let resource = FluentResource::try_new(text.to_owned())
            .map_err(|(_, errors)| wrong(format!("{} lines are not Fluent", errors.len())))?;
        let mut bundle = FluentBundle::default();
        bundle.set_use_isolating(false);
        bundle.add_resource(resource).map_err(|_| wrong("a message occurs twice".to_owned()))?;
        let words = FluentTexts { bundle };
        let required = |message: &str, attribute: Option<&str>, fallback: Option<String>| {
            words.text(message, attribute).or(fallback).ok_or_else(|| {
                wrong(format!(
                    "\"{message}{}\" is missing",
                    attribute.map(|name| format!(".{name}")).unwrap_or_default()
                ))
            })
        };
        let mut display = DisplayTexts {
            language: language.to_owned(),
            name: required("name", None, fallback.map(|d| d.name.clone()))?,
            description: required("description", None, fallback.map(|d| d.description.clone()))?,
            how_to_obtain: words.text("source", None).or_else(|| fallback.and_then(|d| d.how_to_obtain.clone())),
            claims: BTreeMap::new(),
            values: BTreeMap::new(),
            commitments: orders.iter().map(|order| (order.commitments_name(), order.claim.clone())).collect(),
        };
        for claim in claims.iter().filter(|claim| claim.name.is_some()) {
            let plain = normalise_path(&claim.path);
            let dashed = plain.replace('.', "-");
            let other = fallback.and_then(|d| d.claims.get(&plain));
            let message = format!("claim-{dashed}");
            let label = required(&message, None, other.map(|c| c.label.clone()))?;
            let description = required(&message, Some("description"), other.map(|c| c.description.clone()))?;
            for value in &claim.permitted_values {
                let key = (plain.clone(), value.clone());
                let other = fallback.and_then(|d| d.values.get(&key)).cloned();
                if let Some(text) = words.text(&format!("value-{dashed}-{value}"), None).or(other) {
                    display.values.insert(key, text);
                }
            }
            display.claims.insert(plain, ClaimDisplay { label, description });
        }
        Ok(display)
    }
}

struct FluentTexts {
    bundle: FluentBundle<FluentResource>,
}

impl FluentTexts {
    fn text(&self, message: &str, attribute: Option<&str>) -> Option<String> {
        let message = self.bundle.get_message(message)?;
        let pattern = match attribute {
            Some(attribute) => message.get_attribute(attribute)?.value(),
            None => message.value()?,
        };
        let mut errors = Vec::new();
        let text = self.bundle.format_pattern(pattern, None, &mut errors).into_owned();
        (errors.is_empty() && !text.trim().is_empty()).then_some(text)
    }
}

/// Returns a path without a leading `credentialSubject.` and without array brackets.
fn normalise_path(path: &str) -> String {
    let path = path.strip_prefix("credentialSubject.").unwrap_or(path);
    let mut depth = 0_u32;
    let outside = |c: &char| {
        match c {
            '[' => depth = depth.saturating_add(1),
            ']' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    path.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::normalise_path;

    #[test]
    fn brackets_and_the_subject_are_left_out() {
        assert_eq!(normalise_path("credentialSubject.learningOutcomes[12].title"), "learningOutcomes.title");
        assert_eq!(normalise_path("learningOutcomes[]"), "learningOutcomes");
        assert_eq!(normalise_path("title"), "title");
    }
}
