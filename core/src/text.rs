//! Text from other parties: detection and display of invisible characters.
//!
//! A character is invisible if it is default-ignorable in Unicode (zero width, variation selectors, bidi controls,
//! tags, fillers), a control character, a line or paragraph separator, for private use, an annotation mark or a
//! noncharacter. Some of them affect how other characters are displayed. They count as visible only in these positions:
//! - U+200C and U+200D where RFC 5892 (appendix A.1 and A.2) allows them: Persian and Indic names are written with
//!   them;
//! - U+FE0E and U+FE0F after an emoji, and after a digit, `#` or `*` in a keycap;
//! - U+FE00 after a Myanmar, Phags-pa or Manichaean letter, and U+FE00 to U+FE02 and U+E0100 to U+E01EF after a unified
//!   ideograph;
//! - U+180B to U+180D and U+180F after a Mongolian letter.
//!
//! No exception is made for the following, which are displayed as code points: variants of mathematical signs and of
//! punctuation, joiners in emoji sequences, U+180E.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, GeneralCategory, JoiningType, Script,
        UnifiedIdeograph,
    },
};

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';
/// Enclosing keycap.
const KEYCAP: char = '\u{20e3}';

/// Returns the invisible characters of a text, each with its byte offset.
pub fn invisible_characters(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    text.char_indices().filter(move |(at, c)| {
        // Most characters are visible, and need no look at their neighbours.
        may_be_invisible(*c) && {
            let (before, rest) = text.split_at_checked(*at).unwrap_or_default();
            !has_visible_effect(before, *c, rest.get(c.len_utf8()..).unwrap_or_default())
        }
    })
}

/// Returns true for a text that is not blank and has at most `max` characters, all of them visible: the rule for names
/// in statements.
#[must_use]
pub fn is_visible_text(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && invisible_characters(text).next().is_none()
}

/// Returns the text with invisible characters, which include line ends, escaped as in `\u{202e}`.
#[must_use]
pub fn escaped(text: &str) -> String {
    replace_characters(text, |_| None, |c| c.escape_unicode().to_string())
}

/// Returns the text with the five characters that have a meaning in HTML as entities, for elements and quoted
/// attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// Returns the text in quotation marks, with invisible characters escaped as in `\u{202e}`, and quotation marks and
/// backslashes preceded by a backslash. Letters and marks of every script are unchanged.
#[must_use]
pub fn quoted(text: &str) -> String {
    let escaped = replace_characters(
        text,
        |c| match c {
            '"' | '\\' => Some(format!("\\{c}")),
            _ => None,
        },
        |c| c.escape_unicode().to_string(),
    );
    format!("\"{escaped}\"")
}

/// Returns the text for display on one line: invisible characters are replaced by their code points, such as
/// `[U+202E]`.
#[must_use]
pub fn displayable(text: &str) -> String {
    replace_characters(text, |_| None, code_point)
}

/// Returns the text for display as [`displayable`] does, but keeps line feeds. For Carnet's own text that quotes text
/// of others.
#[must_use]
pub fn displayable_lines(text: &str) -> String {
    replace_characters(text, |c| (c == '\n').then(|| c.to_string()), code_point)
}

/// Returns the value as indented JSON for display, with invisible characters in strings escaped as in `\u202e`.
#[must_use]
pub fn displayable_json(value: &serde_json::Value) -> String {
    let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    // Line ends between members are the serialiser's; those in strings are escaped by it.
    replace_characters(&format!("{value:#}"), |c| (c == '\n').then(|| c.to_string()), escape)
}

/// Returns a code point in brackets, such as `[U+202E]`.
#[must_use]
pub fn code_point(c: char) -> String {
    format!("[U+{:04X}]", u32::from(c))
}

fn replace_characters(text: &str, own: impl Fn(char) -> Option<String>, unseen_as: impl Fn(char) -> String) -> String {
    let mut hidden = invisible_characters(text).peekable();
    let mut replaced = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_unseen = hidden.next_if(|(place, _)| *place == at).is_some();
        match own(c) {
            Some(text) => replaced.push_str(&text),
            None if is_unseen => replaced.push_str(&unseen_as(c)),
            None => replaced.push(c),
        }
    }
    replaced
}

fn may_be_invisible(c: char) -> bool {
    // Neither table contains printable ASCII.
    !matches!(c, ' '..='~')
        && (c.is_control()
            || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || matches!(c,
                '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}'
                | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
            || u32::from(c) & 0xfffe == 0xfffe)
}

/// Returns whether a character that may be invisible has a visible effect between this text before and after it.
fn has_visible_effect(before: &str, c: char, after: &str) -> bool {
    let base = before.chars().next_back();
    let script =
        |wanted| base.is_some_and(|base| is_letter(base) && CodePointMapData::<Script>::new().get(base) == wanted);
    let ideograph = || base.is_some_and(|base| CodePointSetData::new::<UnifiedIdeograph>().contains(base));
    match c {
        ZWNJ => is_after_virama(base) || is_between_joining_letters(before, after),
        ZWJ => is_after_virama(base),
        '\u{fe0e}' | '\u{fe0f}' => base.is_some_and(|base| takes_emoji_style(base, after)),
        '\u{fe00}' => script(Script::Myanmar) || script(Script::PhagsPa) || script(Script::Manichaean) || ideograph(),
        '\u{fe01}' | '\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => ideograph(),
        '\u{180b}'..='\u{180d}' | '\u{180f}' => script(Script::Mongolian),
        _ => false,
    }
}

fn is_letter(c: char) -> bool {
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        GeneralCategory::OtherLetter | GeneralCategory::ModifierLetter
    )
}

fn is_after_virama(base: Option<char>) -> bool {
    let class = CodePointMapData::<CanonicalCombiningClass>::new();
    base.is_some_and(|base| class.get(base) == CanonicalCombiningClass::Virama)
}

/// The regular expression of RFC 5892 appendix A.1: `(L|D) T* ZWNJ T* (R|D)`.
fn is_between_joining_letters(before: &str, after: &str) -> bool {
    let joining = |c: char| CodePointMapData::<JoiningType>::new().get(c);
    let left = before.chars().rev().map(joining).find(|kind| *kind != JoiningType::Transparent);
    let right = after.chars().map(joining).find(|kind| *kind != JoiningType::Transparent);
    matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

fn takes_emoji_style(base: char, after: &str) -> bool {
    if base.is_ascii() {
        base.is_ascii_graphic() && after.starts_with(KEYCAP)
    } else {
        CodePointSetData::new::<Emoji>().contains(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and words as people write them.
    const WRITTEN: [&str; 22] = [
        "كافٍ",
        "Łódź",
        "क्षत्रिय",
        "中文",
        "a b",
        "Universität Straßburg",
        // Persian: a joiner after a letter that would join.
        "علی\u{200c}رضا",
        "می\u{200c}خواهم",
        "خانه\u{200c}ی",
        // With a vowel mark between the letter and the joiner.
        "بِ\u{200c}ه",
        // After a virama: Devanagari, Bengali, Kannada, Sinhala.
        "क्\u{200d}ष",
        "र\u{94d}\u{200c}य",
        "র\u{9cd}\u{200d}য",
        "ರ\u{ccd}\u{200d}ಕ",
        "ශ\u{dca}\u{200d}රී",
        // Variants: an emoji, a keycap, an ideograph, Mongolian, Myanmar.
        "❤\u{fe0f}",
        "1\u{fe0f}\u{20e3}",
        "葛\u{e0100}城市",
        "ᠠ\u{180b}",
        "\u{1000}\u{fe00}",
        "🎓 Zażółć",
        "Jos\u{65}\u{301}",
    ];

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape_html("<a href=\"x\" title='y'>&"), "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn names_of_every_script_are_shown_as_they_are_written() {
        for name in WRITTEN {
            assert_eq!(invisible_characters(name).collect::<Vec<_>>(), [], "{name}");
            assert_eq!((displayable(name), quoted(name)), (name.to_owned(), format!("\"{name}\"")));
        }
    }

    #[test]
    fn what_nobody_sees_is_shown_by_its_code_point() {
        for (text, visible) in [
            ("Ana\u{fe0f}", "Ana[U+FE0F]"),
            ("Ana\u{e0101}", "Ana[U+E0101]"),
            ("Ana\u{200b}", "Ana[U+200B]"),
            ("Ana\u{200c}", "Ana[U+200C]"),
            ("A\u{200d}na", "A[U+200D]na"),
            // Not between letters that join: after one that only joins to the right, and at an end.
            ("دار\u{200c}و", "دار[U+200C]و"),
            ("علی\u{200c}", "علی[U+200C]"),
            ("علی\u{200d}رضا", "علی[U+200D]رضا"),
            ("1\u{fe0f}", "1[U+FE0F]"),
            ("葛\u{e0100}\u{e0101}", "葛\u{e0100}[U+E0101]"),
            ("a\u{180b}", "a[U+180B]"),
            ("bank\u{202e}gro", "bank[U+202E]gro"),
            ("x\u{e0041}\u{e007f}", "x[U+E0041][U+E007F]"),
            ("\u{ad}\u{34f}\u{61c}\u{feff}\u{2064}", "[U+00AD][U+034F][U+061C][U+FEFF][U+2064]"),
            ("\u{e000}\u{f8ff}\u{10fffd}", "[U+E000][U+F8FF][U+10FFFD]"),
            ("\u{3164}\u{115f}", "[U+3164][U+115F]"),
            ("a\u{1b}[2J\nb\u{7f}\u{9b}\u{2028}", "a[U+001B][2J[U+000A]b[U+007F][U+009B][U+2028]"),
            ("\u{ffff}\u{fdd0}\u{fffa}", "[U+FFFF][U+FDD0][U+FFFA]"),
        ] {
            assert_eq!(displayable(text), visible);
            assert_eq!(invisible_characters(&displayable(text).replace('\u{e0100}', "")).count(), 0, "{text:?}");
        }
    }

    #[test]
    fn quoted_text_cannot_end_its_quotation_marks() {
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(quoted("a\u{1b}[2Jb\n\u{202e}\u{fe0f}"), r#""a\u{1b}[2Jb\u{a}\u{202e}\u{fe0f}""#);
    }

    #[test]
    fn lines_of_our_own_stay_lines() {
        assert_eq!(displayable_lines("a\nb\u{200b}\r"), "a\nb[U+200B][U+000D]");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"na\u{200b}me": ["a\u{e0041}\n\"", "علی\u{200c}رضا"]});
        let text = displayable_json(&value);
        assert!(text.contains(r"na\u200bme") && text.contains(r"a\udb40\udc41\n"), "{text}");
        assert!(text.contains("علی\u{200c}رضا"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
