//! Languages that the holder reads, for third-party texts in several languages.

use crate::sanitise::sanitise;

/// Language tags in order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Languages(Vec<String>);

impl Languages {
    /// Creates the preference for one language, with English as fallback.
    #[must_use]
    pub fn preferring(tag: &str) -> Self {
        Self(vec![tag.to_owned(), "en".to_owned()])
    }

    /// Returns the text in the most preferred language for which `texts` returns one, sanitised. `None` if no language
    /// has a text, or if that text is empty.
    pub fn best_text<'a>(&self, texts: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.0.iter().find_map(|tag| texts(tag)).map(sanitise).filter(|text| !text.is_empty())
    }
}
