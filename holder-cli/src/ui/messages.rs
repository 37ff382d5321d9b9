//! Messages of the wallet in all of its languages (Fluent).

use carnet_wallet::languages::Languages;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};

use super::locale::LocaleFormat;

/// Language of the wallet's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    En,
    De,
    Fr,
    Ar,
    Uk,
    Es,
    So,
    Ti,
    Fa,
    Tr,
    /// Language of the folder that the holder named (`--catalogue`), by its tag: a municipality's, for example.
    #[value(skip)]
    Data(&'static str),
}

impl Language {
    /// Parses a language tag of the command line: one of this program, or a tag of two or three letters for a language
    /// of the catalogue's folder.
    ///
    /// # Errors
    /// The text has another form.
    pub(crate) fn parse(tag: &str) -> Result<Self, String> {
        if let Ok(known) = <Self as clap::ValueEnum>::from_str(tag, true) {
            return Ok(known);
        }
        let is_tag = (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_tag {
            // Once in a process: a command line has one language.
            return Ok(Self::Data(Box::leak(tag.to_owned().into_boxed_str())));
        }
        let tags: Vec<&str> = Self::ALL.iter().map(|known| known.tag()).collect();
        Err(format!("one of {}, or a language of the --catalogue, such as pl", tags.join(", ")))
    }

    /// All languages, in the order of the menu.
    pub(crate) const ALL: [Self; 10] =
        [Self::En, Self::De, Self::Fr, Self::Ar, Self::Uk, Self::Es, Self::So, Self::Ti, Self::Fa, Self::Tr];

    /// Returns the language tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Ar => "ar",
            Self::Uk => "uk",
            Self::Es => "es",
            Self::So => "so",
            Self::Ti => "ti",
            Self::Fa => "fa",
            Self::Tr => "tr",
            Self::Data(tag) => tag,
        }
    }

    /// Returns whether a native speaker has read the texts (docs/translations.md), or they are the source of the others.
    pub(crate) const fn is_checked(self) -> bool {
        matches!(self, Self::En)
    }

    /// Returns the name of the language in itself.
    pub(crate) const fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
            Self::Fr => "Français",
            Self::Ar => "العربية",
            Self::Uk => "Українська",
            Self::Es => "Español",
            Self::So => "Soomaali",
            Self::Ti => "ትግርኛ",
            Self::Fa => "فارسی / دری",
            Self::Tr => "Türkçe",
            Self::Data(tag) => tag,
        }
    }

    /// Returns the language of a POSIX locale such as `de_AT.UTF-8`; English for an unsupported one.
    pub(crate) fn from_locale(locale: &str) -> Self {
        match locale.split(['_', '-', '.', '@']).next() {
            Some("de") => Self::De,
            Some("fr") => Self::Fr,
            Some("ar") => Self::Ar,
            Some("uk") => Self::Uk,
            Some("es") => Self::Es,
            Some("so") => Self::So,
            Some("ti") => Self::Ti,
            Some("fa" | "prs") => Self::Fa,
            Some("tr") => Self::Tr,
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

    /// Returns whether the language is written from right to left.
    pub(crate) const fn is_right_to_left(self) -> bool {
        matches!(self, Self::Ar | Self::Fa)
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
            Self::So => [include_str!("../../locales/so.ftl"), include_str!("../../locales/failures/so.ftl")],
            Self::Ti => [include_str!("../../locales/ti.ftl"), include_str!("../../locales/failures/ti.ftl")],
            Self::Fa => [include_str!("../../locales/fa.ftl"), include_str!("../../locales/failures/fa.ftl")],
            Self::Tr => [include_str!("../../locales/tr.ftl"), include_str!("../../locales/failures/tr.ftl")],
            // Read from the catalogue's folder: English until then.
            Self::Data(_) => ["", ""],
        }
    }
}

/// Ids of the messages that a question consists of, besides its own.
const ANSWER_IDS: [&str; 5] = ["answer-yes", "answer-no", "answer-choices", "answer-choices-english", "answer-again"];

/// Messages of one language, with English as the fallback.
pub(crate) struct LocalizedMessages {
    language: Language,
    locale: LocaleFormat,
    bundles: Vec<FluentBundle<FluentResource>>,
}

impl LocalizedMessages {
    /// Loads the messages of a language.
    pub(crate) fn new(language: Language) -> Self {
        let bundles = [language, Language::En].into_iter().map(load_bundle).collect();
        Self { language, locale: LocaleFormat::new(language.tag(), language.is_right_to_left()), bundles }
    }

    /// Loads the messages of a language from the text of a Fluent file; English replaces missing ones.
    ///
    /// The words of an answer are taken from it only if it has all of them: a question would name other words otherwise
    /// than those that it accepts.
    pub(crate) fn from_source(language: Language, source: String) -> Self {
        let mut messages = Self::new(language);
        let mut own = bundle_of([source.clone()]);
        if !ANSWER_IDS.iter().all(|id| own.has_message(id)) {
            let kept = source.lines().filter(|line| !line.starts_with("answer-")).map(|line| format!("{line}\n"));
            own = bundle_of([kept.collect()]);
        }
        messages.bundles.insert(0, own);
        messages
    }

    /// Returns the English messages with their letters replaced by Hebrew ones, for tests: a text that is written in the
    /// code stays in Latin letters, and the direction is from right to left.
    #[cfg(test)]
    #[allow(clippy::arithmetic_side_effects)]
    pub(crate) fn pseudo() -> Self {
        let letter = |c: char| match c {
            'a'..='z' | 'A'..='Z' => char::from_u32(0x5d0 + (u32::from(c) & 0x1f) % 27).unwrap_or(c),
            _ => c,
        };
        let value = |text: &str| {
            let mut depth = 0_i32;
            let each = |c: char| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if depth > 0 { c } else { letter(c) }
            };
            text.chars().map(each).collect::<String>()
        };
        let line = |line: &str| match line.split_once(" = ") {
            Some((id, text)) => format!("{id} = {}\n", value(text)),
            None => format!("{line}\n"),
        };
        let sources = Language::En.sources().map(|source| source.lines().map(line).collect::<String>());
        Self::from_source(Language::En, sources.concat())
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
            args.set(*name, self.locale.argument(name, value));
        }
        for bundle in &self.bundles {
            let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) else { continue };
            return bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned();
        }
        id.to_owned()
    }

    /// Formats a day or an instant as the language writes it.
    pub(crate) fn time(&self, time: impl std::fmt::Display) -> String {
        let time = time.to_string();
        self.locale.time(&time).unwrap_or(time)
    }

    /// Returns a value to be shown in a line with text of the wallet: isolated if it has letters of the other direction.
    pub(crate) fn isolate(&self, value: String) -> String {
        self.locale.isolate(value)
    }

    /// Returns the languages of the holder, for texts of other parties.
    pub(crate) fn languages(&self) -> Languages {
        Languages::preferring(self.language.tag())
    }
}

fn load_bundle(language: Language) -> FluentBundle<FluentResource> {
    bundle_of(language.sources().map(str::to_owned))
}

fn bundle_of(sources: impl IntoIterator<Item = String>) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::default();
    // Only text of the other direction is isolated: the marks are invisible controls that some terminals show as boxes.
    bundle.set_use_isolating(false);
    for source in sources {
        // A message that does not parse is left out; the test below prevents a release with one.
        let resource = FluentResource::try_new(source).unwrap_or_else(|(partial, _)| partial);
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

    /// In a right-to-left text, an option, or a value that people copy, is shown with its first sign at the wrong end
    /// unless a left-to-right mark or a Latin word stands in front of it.
    #[test]
    fn options_and_copied_values_keep_their_direction() {
        let starts = crate::ui::locale::COPIED.map(|name| format!("{{ ${name} }}"));
        for language in Language::ALL.into_iter().filter(|language| language.is_right_to_left()) {
            // The path of a claim begins with a letter.
            let lines = language.sources().into_iter().flat_map(str::lines);
            for line in lines.filter(|line| !line.starts_with('#') && !line.starts_with("claim-named ")) {
                for start in starts.iter().map(String::as_str).chain(["--"]) {
                    for (at, _) in line.match_indices(start) {
                        let before = line.get(..at).unwrap();
                        let word =
                            before.trim_end_matches(' ').ends_with(|c: char| c.is_ascii_alphanumeric() || c == '}');
                        assert!(word || before.ends_with('\u{200e}'), "{language:?}: {line}");
                    }
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
        assert_eq!(Language::from_locale("so_DJ.UTF-8"), Language::So);
        assert_eq!(Language::from_locale("ti_ER.UTF-8@abegede"), Language::Ti);
        // Tigre.
        assert_eq!(Language::from_locale("tig_ER.UTF-8"), Language::En);
        assert_eq!(Language::from_locale("fa_IR.UTF-8"), Language::Fa);
        assert_eq!(Language::from_locale("prs_AF"), Language::Fa);
        assert_eq!(Language::from_locale("tr_TR.UTF-8"), Language::Tr);
        // Filipino.
        assert_eq!(Language::from_locale("fil_PH"), Language::En);
        assert_eq!((Language::parse("de"), Language::parse("pl")), (Ok(Language::De), Ok(Language::Data("pl"))));
        for wrong in ["", "p", "PL", "../x", "english"] {
            assert!(Language::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The arguments alone are Latin.
    #[test]
    fn the_pseudo_language_says_everything_in_its_own_letters() {
        let (pseudo, english) = (LocalizedMessages::pseudo(), LocalizedMessages::new(Language::En));
        for source in Language::En.sources() {
            for id in ids_of(source) {
                let said = pseudo.text(&id);
                let arguments = references(source, &id);
                let latin = |c: char| c.is_ascii_alphabetic();
                assert!(!arguments.is_empty() || !said.contains(latin), "{id}: {said}");
                let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
                assert_eq!(letters(&said), letters(&english.text(&id)), "{id}");
            }
        }
    }

    #[test]
    fn a_language_of_a_folder_falls_back_to_english() {
        let source = "menu-title = Twój portfel\nanswer-yes = tak\n".to_owned();
        let messages = LocalizedMessages::from_source(Language::Data("pl"), source);
        assert_eq!(messages.text("menu-title"), "Twój portfel");
        let words = |messages: &LocalizedMessages| (messages.text("answer-yes"), messages.text("answer-no"));
        assert_eq!(words(&messages), ("yes".to_owned(), "no".to_owned()), "half of the words is none");
        let choices = "{ $question } ({ answer-yes } = 1, { answer-no } = 2)";
        let whole = format!(
            "answer-yes = tak\nanswer-no = nie\nanswer-choices = {choices}\nanswer-choices-english = {choices}\n\
             answer-again = tak, nie\n"
        );
        let whole = LocalizedMessages::from_source(Language::Data("pl"), whole);
        assert_eq!(words(&whole), ("tak".to_owned(), "nie".to_owned()));
        assert!(whole.format("answer-choices", &[("question", "Q")]).contains("tak = 1"));
        assert_eq!(messages.language().tag(), "pl");
    }
}
