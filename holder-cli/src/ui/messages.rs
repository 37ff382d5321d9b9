//! Messages of the wallet in all of its languages.

use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};

/// Language of the wallet's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    En,
    De,
    Fr,
    Ar,
}

impl Language {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::Ar];

    /// Returns the language tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Ar => "ar",
        }
    }

    /// Parses a POSIX locale such as `de_AT.UTF-8`; unknown ones are English.
    pub(crate) fn from_locale(locale: &str) -> Self {
        match locale.get(..2) {
            Some("de") => Self::De,
            Some("fr") => Self::Fr,
            Some("ar") => Self::Ar,
            _ => Self::En,
        }
    }

    /// Reads the environment: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set.
    pub(crate) fn from_environment() -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .map_or(Self::En, |locale| Self::from_locale(&locale))
    }

    fn source(self) -> &'static str {
        match self {
            Self::En => include_str!("../../locales/en.ftl"),
            Self::De => include_str!("../../locales/de.ftl"),
            Self::Fr => include_str!("../../locales/fr.ftl"),
            Self::Ar => include_str!("../../locales/ar.ftl"),
        }
    }
}

/// Messages of one language, with English as the fallback.
pub(crate) struct Messages {
    language: Language,
    bundles: Vec<FluentBundle<FluentResource>>,
}

impl Messages {
    /// Loads a language.
    pub(crate) fn new(language: Language) -> Self {
        let bundles = [language, Language::En].into_iter().map(bundle).collect();
        Self { language, bundles }
    }

    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// Returns a message without arguments.
    pub(crate) fn text(&self, id: &str) -> String {
        self.with(id, &[])
    }

    /// Returns a line with the skipped checks of new copies; empty if all were made.
    pub(crate) fn unchecked<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let words: Vec<String> = names.map(|name| self.text(&format!("unchecked-{name}"))).collect();
        if words.is_empty() { String::new() } else { format!("  {} {}\n", self.text("unchecked"), words.join("; ")) }
    }

    /// Returns a message with arguments. Untrusted arguments must be cleaned before.
    pub(crate) fn with(&self, id: &str, arguments: &[(&str, &str)]) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in arguments {
            args.set(*name, *value);
        }
        for bundle in &self.bundles {
            let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else { continue };
            return bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned();
        }
        id.to_owned()
    }

    /// Returns the best text of a map from language tags to texts, cleaned.
    pub(crate) fn pick<'a>(&self, texts: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        [self.language.tag(), "en"].into_iter().find_map(texts).map(super::sanitise::clean).filter(|t| !t.is_empty())
    }
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    // A message that does not parse is left out; the test below prevents a release with one.
    let resource = FluentResource::try_new(language.source().to_owned()).unwrap_or_else(|(partial, _)| partial);
    let mut bundle = FluentBundle::default();
    // Isolating marks are invisible controls that some terminals show as boxes; untrusted values are on lines of their
    // own.
    bundle.set_use_isolating(false);
    let _ = bundle.add_resource(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(language: Language) -> BTreeSet<String> {
        assert!(FluentResource::try_new(language.source().to_owned()).is_ok(), "{language:?}");
        let lines = language.source().lines().filter(|line| !line.starts_with(['#', ' ']));
        lines.filter_map(|line| line.split_once(" = ")).map(|(id, _)| id.to_owned()).collect()
    }

    #[test]
    fn every_language_says_everything() {
        let english = ids(Language::En);
        assert!(english.len() > 20);
        for language in Language::ALL {
            assert_eq!(ids(language), english, "{language:?}");
        }
    }

    #[test]
    fn locales_are_read() {
        assert_eq!(Language::from_locale("de_AT.UTF-8"), Language::De);
        assert_eq!(Language::from_locale("C"), Language::En);
        assert_eq!(Language::from_locale("ar"), Language::Ar);
    }
}
