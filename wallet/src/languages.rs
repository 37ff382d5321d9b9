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

    /// Returns the text in the most preferred language for which `texts` returns one that is not empty, sanitised.
    /// `None` if there is none.
    pub fn best_text<'a>(&self, texts: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        self.0.iter().filter_map(|tag| texts(tag)).map(sanitise).find(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_gives_way_to_the_english_one() {
        let languages = Languages::preferring("de");
        let text = |german: Option<&'static str>, english: Option<&'static str>| {
            languages.best_text(|tag| if tag == "de" { german } else { english })
        };
        assert_eq!(text(Some("Zweck"), Some("Purpose")).as_deref(), Some("Zweck"));
        assert_eq!(text(Some(""), Some("Purpose")).as_deref(), Some("Purpose"));
        assert_eq!(text(None, Some("Purpose")).as_deref(), Some("Purpose"));
        assert_eq!(text(Some(""), None), None);
    }
}
