//! Messages of the wallet in all of its languages (Fluent).

use carnet_wallet::languages::Languages;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};

/// Language of the wallet's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    En,
    De,
    Fr,
    Ar,
    Uk,
    Es,
}

impl Language {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 6] = [Self::En, Self::De, Self::Fr, Self::Ar, Self::Uk, Self::Es];

    /// Returns the language tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Ar => "ar",
            Self::Uk => "uk",
            Self::Es => "es",
        }
    }

    /// Returns the language of a POSIX locale such as `de_AT.UTF-8`; English for an unsupported one.
    pub(crate) fn from_locale(locale: &str) -> Self {
        match locale.get(..2) {
            Some("de") => Self::De,
            Some("fr") => Self::Fr,
            Some("ar") => Self::Ar,
            Some("uk") => Self::Uk,
            Some("es") => Self::Es,
            _ => Self::En,
        }
    }

    /// Returns the language of the first non-empty variable of `LC_ALL`, `LC_MESSAGES` and `LANG`; English if there is
    /// none, or for an unsupported language.
    pub(crate) fn from_environment() -> Self {
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .map_or(Self::En, |locale| Self::from_locale(&locale))
    }

    /// Returns the Fluent files with the texts of the screens and of the failures.
    const fn sources(self) -> [&'static str; 2] {
        match self {
            Self::En => [include_str!("../../locales/en.ftl"), include_str!("../../locales/failures/en.ftl")],
            Self::De => [include_str!("../../locales/de.ftl"), include_str!("../../locales/failures/de.ftl")],
            Self::Fr => [include_str!("../../locales/fr.ftl"), include_str!("../../locales/failures/fr.ftl")],
            Self::Ar => [include_str!("../../locales/ar.ftl"), include_str!("../../locales/failures/ar.ftl")],
            Self::Uk => [include_str!("../../locales/uk.ftl"), include_str!("../../locales/failures/uk.ftl")],
            Self::Es => [include_str!("../../locales/es.ftl"), include_str!("../../locales/failures/es.ftl")],
        }
    }
}

/// Messages of one language, with English as the fallback.
pub(crate) struct LocalizedMessages {
    language: Language,
    bundles: Vec<FluentBundle<FluentResource>>,
}

impl LocalizedMessages {
    /// Loads the messages of a language.
    pub(crate) fn new(language: Language) -> Self {
        let bundles = [language, Language::En].into_iter().map(load_bundle).collect();
        Self { language, bundles }
    }

    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// Returns the message with an id, which has no arguments; the id itself if there is no such message.
    pub(crate) fn text(&self, id: &str) -> String {
        self.format(id, &[])
    }

    /// Returns a line that lists the checks that were skipped for new copies, by their names; empty if there are none.
    pub(crate) fn skipped_checks_text<'a>(&self, names: impl Iterator<Item = &'a str>) -> String {
        let words: Vec<String> = names.map(|name| self.text(&format!("unchecked-{name}"))).collect();
        if words.is_empty() { String::new() } else { format!("  {} {}\n", self.text("unchecked"), words.join("; ")) }
    }

    /// Returns the message with an id and arguments; the id itself if there is no such message. Untrusted arguments
    /// must be sanitised before.
    pub(crate) fn format(&self, id: &str, arguments: &[(&str, &str)]) -> String {
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

    /// Returns the languages of the holder, for texts of other parties.
    pub(crate) fn languages(&self) -> Languages {
        Languages::preferring(self.language.tag())
    }
}

fn load_bundle(language: Language) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::default();
    // Isolating marks are invisible controls that some terminals show as boxes; untrusted values are on lines of their
    // own.
    bundle.set_use_isolating(false);
    for source in language.sources() {
        // A message that does not parse is left out; the test below prevents a release with one.
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(partial, _)| partial);
        let _ = bundle.add_resource(resource);
    }
    bundle
}

/// Prefixes of the message ids in the Fluent file for failures.
#[cfg(test)]
pub(crate) const FAILURE_PREFIXES: [&str; 7] = ["failure-", "safety-", "error-", "hint-", "undone-", "why-", "pin-"];

/// Returns the message ids in the Fluent file for failures.
#[cfg(test)]
pub(crate) fn failure_ids() -> std::collections::BTreeSet<String> {
    tests::ids_of(Language::En.sources()[1])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub(super) fn ids_of(source: &str) -> BTreeSet<String> {
        assert!(FluentResource::try_new(source.to_owned()).is_ok(), "{source}");
        let lines = source.lines().filter(|line| !line.starts_with(['#', ' ']));
        lines.filter_map(|line| line.split_once(" = ")).map(|(id, _)| id.to_owned()).collect()
    }

    /// Arguments and messages that a message refers to.
    fn references(source: &str, id: &str) -> BTreeSet<String> {
        let start = format!("{id} = ");
        let line = source.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
        line.split("{ ").skip(1).filter_map(|rest| rest.split_once(" }")).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn every_language_says_everything() {
        for (file, source) in Language::En.sources().into_iter().enumerate() {
            let english = ids_of(source);
            assert!(english.len() > 20);
            assert_eq!(source.lines().filter(|line| line.contains(" = ")).count(), english.len(), "an id stands twice");
            for language in Language::ALL {
                assert_eq!(ids_of(language.sources()[file]), english, "{language:?}");
            }
        }
    }

    /// A translation that leaves out a name or a number says less than the English one.
    #[test]
    fn every_language_names_the_same_things() {
        for (file, english) in Language::En.sources().into_iter().enumerate() {
            for id in ids_of(english) {
                for language in Language::ALL {
                    let source = language.sources()[file];
                    assert_eq!(references(source, &id), references(english, &id), "{language:?} {id}");
                }
            }
        }
    }

    #[test]
    fn no_failure_is_left_in_english() {
        let english = LocalizedMessages::new(Language::En);
        for language in Language::ALL.into_iter().filter(|language| *language != Language::En) {
            let messages = LocalizedMessages::new(language);
            let same = failure_ids().into_iter().filter(|id| messages.text(id) == english.text(id));
            let same: Vec<String> =
                same.filter(|id| !["failure-details", "failure-both"].contains(&id.as_str())).collect();
            assert!(same.is_empty(), "{language:?}: {same:?}");
        }
    }

    #[test]
    fn every_rule_of_a_trust_list_has_its_words() {
        let messages = LocalizedMessages::new(Language::En);
        for rule in
            carnet_core::trust::list::AccreditationRule::ALL.iter().map(|rule| rule.as_str()).chain(["no_trust_list"])
        {
            let id = format!("trust-rule-{rule}");
            assert_ne!(messages.text(&id), id);
        }
    }

    #[test]
    fn every_skipped_check_has_its_words() {
        for language in Language::ALL {
            let messages = LocalizedMessages::new(language);
            let names = ["form", "signing_key", "status_lists", "valid_from", "valid_until"];
            let line = messages.skipped_checks_text(names.into_iter());
            assert!(line.ends_with('\n') && !line.contains("unchecked"), "{line}");
            assert!(messages.skipped_checks_text(std::iter::empty()).is_empty());
        }
    }

    #[test]
    fn locales_are_read() {
        assert_eq!(Language::from_locale("de_AT.UTF-8"), Language::De);
        assert_eq!(Language::from_locale("C"), Language::En);
        assert_eq!(Language::from_locale("ar"), Language::Ar);
        assert_eq!(Language::from_locale("uk_UA.UTF-8"), Language::Uk);
        assert_eq!(Language::from_locale("es_MX.UTF-8"), Language::Es);
    }
}
