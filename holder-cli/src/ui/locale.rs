//! Days, numbers and the direction of text, as the languages of the wallet write them.

use std::cell::OnceCell;

use icu_calendar::{Date, Gregorian};
use icu_datetime::{FixedCalendarDateTimeFormatter, fieldsets::YMD, options::YearStyle};
use icu_decimal::{DecimalFormatter, input::Decimal, options::DecimalFormatterOptions, options::GroupingStrategy};
use icu_locale_core::Locale;
use icu_properties::{CodePointMapData, props::BidiClass};

/// Language whose days stay in ISO 8601.
const ENGLISH: &str = "en";

/// First strong isolate (UAX #9): the following text has its own direction, until [`PDI`].
const FSI: char = '\u{2068}';
/// Pop directional isolate (UAX #9).
const PDI: char = '\u{2069}';

/// Arguments of messages that are a day or an instant, as core formats them.
const TIMES: [&str; 6] = ["bound", "date", "day", "from", "time", "until"];

/// Arguments of messages that are a number.
const NUMBERS: [&str; 13] = [
    "all", "bound", "count", "days", "left", "missing", "newest", "number", "of", "oldest", "seconds", "unused",
    "version",
];

/// Arguments of messages that people copy into a command or a browser. An isolating mark would be copied too; the
/// messages of right-to-left languages have a left-to-right mark in front of them instead.
pub(crate) const COPIED: [&str; 13] = [
    "command",
    "contact",
    "did",
    "digest",
    "fd",
    "file",
    "id",
    "identifiers",
    "options",
    "origin",
    "path",
    "url",
    "wallet",
];

/// Arguments of messages that are the wallet's or the catalogue's own: sentences in the same language, and codes in
/// brackets.
const OWN: [&str; 12] =
    ["code", "first", "form", "hint", "message", "question", "reason", "second", "source", "text", "undone", "why"];

/// Days, numbers and isolation of text in one language. The formatters are made when they are first needed.
pub(super) struct LocaleFormat {
    /// BCP 47 language tag.
    language: &'static str,
    right_to_left: bool,
    days: OnceCell<Option<FixedCalendarDateTimeFormatter<Gregorian, YMD>>>,
    numbers: OnceCell<Option<DecimalFormatter>>,
}

impl LocaleFormat {
    pub(super) const fn new(language: &'static str, right_to_left: bool) -> Self {
        Self { language, right_to_left, days: OnceCell::new(), numbers: OnceCell::new() }
    }

    /// Returns an argument of a message as the language writes it: days and numbers with its digits and its order, and
    /// text that has letters of the other direction isolated from its surroundings. English keeps days as ISO 8601.
    pub(super) fn argument(&self, name: &str, value: &str) -> String {
        if TIMES.contains(&name)
            && let Some(time) = self.time(value)
        {
            return time;
        }
        if NUMBERS.contains(&name) && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.number(value);
        }
        let own = COPIED.contains(&name) || OWN.contains(&name);
        if own { value.to_owned() } else { self.isolate(value.to_owned()) }
    }

    /// Returns a text between isolating marks if it has letters of the other direction than the language; otherwise
    /// the text itself.
    pub(super) fn isolate(&self, text: String) -> String {
        if self.has_other_direction(&text) { format!("{FSI}{text}{PDI}") } else { text }
    }

    fn has_other_direction(&self, text: &str) -> bool {
        let classes = CodePointMapData::<BidiClass>::new();
        text.chars().any(|c| match classes.get(c) {
            BidiClass::LeftToRight => self.right_to_left,
            BidiClass::RightToLeft | BidiClass::ArabicLetter => !self.right_to_left,
            _ => false,
        })
    }

    /// Formats a day (`2027-02-14`), or an instant in UTC (`2027-02-14T10:30:00Z`) to the minute; `None` for other
    /// text, and in English.
    pub(super) fn time(&self, text: &str) -> Option<String> {
        if self.language == ENGLISH {
            return None;
        }
        let (day, time) = text.split_at_checked("YYYY-MM-DD".len())?;
        let mut parts = day.split('-').map(str::parse::<u16>);
        let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
        let date = Date::try_new_gregorian(year.into(), u8::try_from(month).ok()?, u8::try_from(day).ok()?).ok()?;
        let formatter = self.days.get_or_init(|| self.day_formatter()).as_ref()?;
        // Fonts of terminals often lack the narrow space.
        let day = formatter.format(&date).to_string().replace('\u{202f}', " ");
        if time.is_empty() {
            return Some(day);
        }
        let (hour, rest) = time.strip_prefix('T')?.strip_suffix('Z')?.split_once(':')?;
        let minute = rest.get(..2)?;
        Some(format!("{day} {}:{} UTC", self.number(hour), self.number(minute)))
    }

    /// Formats a number of ASCII digits with the digits of the language, without separators between groups; leading
    /// zeros stay.
    fn number(&self, digits: &str) -> String {
        let formatter = self.numbers.get_or_init(|| {
            let mut options = DecimalFormatterOptions::default();
            options.grouping_strategy = Some(GroupingStrategy::Never);
            DecimalFormatter::try_new(self.cldr_locale()?.into(), options).ok()
        });
        match (formatter, Decimal::try_from_str(digits)) {
            (Some(formatter), Ok(number)) => formatter.format_to_string(&number),
            _ => digits.to_owned(),
        }
    }

    fn day_formatter(&self) -> Option<FixedCalendarDateTimeFormatter<Gregorian, YMD>> {
        // Countries that share Arabic or Persian name the months differently.
        let length = if self.right_to_left { YMD::short() } else { YMD::medium() };
        let fields = length.with_year_style(YearStyle::Full);
        FixedCalendarDateTimeFormatter::try_new(self.cldr_locale()?.into(), fields).ok()
    }

    /// Returns the CLDR locale. The calendar is always the Gregorian one, which the documents use.
    fn cldr_locale(&self) -> Option<Locale> {
        // The digits that the Arabic messages have.
        let tag = if self.language == "ar" { "ar-u-nu-latn" } else { self.language };
        Locale::try_from_str(tag).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(language: &'static str, name: &str, value: &str) -> String {
        LocaleFormat::new(language, ["ar", "fa"].contains(&language)).argument(name, value)
    }

    #[test]
    fn days_and_instants_are_those_of_the_language() {
        for (language, day, instant) in [
            ("en", "2027-02-14", "2027-02-14T08:05:59Z"),
            ("de", "14.02.2027", "14.02.2027 08:05 UTC"),
            ("fr", "14 févr. 2027", "14 févr. 2027 08:05 UTC"),
            ("uk", "14 лют. 2027 р.", "14 лют. 2027 р. 08:05 UTC"),
            ("es", "14 feb 2027", "14 feb 2027 08:05 UTC"),
            ("ar", "14\u{200f}/2\u{200f}/2027", "14\u{200f}/2\u{200f}/2027 08:05 UTC"),
            ("tr", "14 Şub 2027", "14 Şub 2027 08:05 UTC"),
            ("fa", "۲۰۲۷/۲/۱۴", "۲۰۲۷/۲/۱۴ ۰۸:۰۵ UTC"),
        ] {
            assert_eq!(argument(language, "day", "2027-02-14"), day);
            assert_eq!(argument(language, "time", "2027-02-14T08:05:59Z"), instant);
        }
        // Other text is no day.
        for text in ["", "2027-02", "2027-13-14", "2027-02-30", "B1", "2027-02-14 08:05", "2027-02-14Txx"] {
            assert_eq!(LocaleFormat::new("fa", true).time(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_the_digits_of_the_language() {
        assert_eq!(argument("fa", "count", "1204"), "۱۲۰۴");
        assert_eq!(argument("de", "count", "1204"), "1204");
        assert_eq!(argument("ar", "count", "1204"), "1204");
        assert_eq!(argument("fa", "bound", "60"), "۶۰");
        assert_eq!(argument("fa", "bound", "1.5"), "1.5");
        // A text that people type again keeps its digits.
        assert_eq!(argument("fa", "id", "12"), "12");
    }

    #[test]
    fn a_name_of_the_other_direction_is_isolated_and_no_other_text() {
        let isolated = |text: &str| format!("{FSI}{text}{PDI}");
        assert_eq!(argument("fa", "asker", "City Job Centre (2)"), isolated("City Job Centre (2)"));
        assert_eq!(argument("ar", "claims", "EQF, المستوى"), isolated("EQF, المستوى"));
        assert_eq!(argument("en", "issuer", "جامعة دمشق"), isolated("جامعة دمشق"));
        assert_eq!(argument("de", "issuer", "Universität"), "Universität");
        assert_eq!(argument("fa", "issuer", "دانشگاه کابل"), "دانشگاه کابل");
        for name in COPIED {
            assert_eq!(argument("fa", name, "abc"), "abc");
        }
    }
}
