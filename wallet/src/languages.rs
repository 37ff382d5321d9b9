//! Languages that the owner reads, for texts that others wrote in several.

use crate::sanitise::clean;

/// Language tags in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Languages(Vec<String>);

impl Languages {
    /// Creates the preference for one language, with English as the fallback.
    #[must_use]
    pub fn preferring(tag: &str) -> Self {
        Self(vec![tag.to_owned(), "en".to_owned()])
    }

    /// Returns the best text of a map from language tags to texts, cleaned.
    pub fn pick<'a>(&self, texts: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.0.iter().find_map(|tag| texts(tag)).map(clean).filter(|text| !text.is_empty())
    }
}
