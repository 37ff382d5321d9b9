//! Encodings of a passphrase: the normal form for encryption, and others that older files may need.
//!
//! One passphrase has several encodings: keyboards and systems compose letters differently, and editors add a
//! byte-order mark. Files are encrypted with the form of the OpaqueString profile (RFC 8265 section 4.2): Unicode NFC,
//! with every space character replaced with U+0020.

use age_core::secrecy::{ExposeSecret as _, SecretString};
use carnet_core::{input::text_without_bom, text::invisible_characters};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, HangulSyllableType},
};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Maximum factor by which normalisation to NFC or NFD lengthens a text in UTF-8 (Unicode Technical Report 15, section
/// 10).
const MAX_GROWTH: usize = 3;
const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// Returns the normal form of a passphrase, with which files are encrypted: without byte-order mark, in NFC, with
/// U+0020 for every space character.
#[must_use]
pub fn normal_form(passphrase: &SecretString) -> SecretString {
    let given = text_without_bom(passphrase.expose_secret());
    collect_secret(given.len(), given.chars().map(normalise_space).nfc())
}

/// Returns all encodings with which a file may have been encrypted, without duplicates: the normal form first, then the
/// passphrase as given, without byte-order mark, and the normal form in NFD.
pub(crate) fn all_forms(passphrase: &SecretString) -> Vec<SecretString> {
    let given = passphrase.expose_secret();
    let normal = normal_form(passphrase);
    let decomposed = collect_secret(normal.expose_secret().len(), normal.expose_secret().nfd());
    let unmarked = SecretString::from(text_without_bom(given).to_owned());
    let mut forms = vec![normal];
    for form in [passphrase.clone(), unmarked, decomposed] {
        if forms.iter().all(|known| known.expose_secret() != form.expose_secret()) {
            forms.push(form);
        }
    }
    forms
}

/// Returns the first character that is not permitted in a new passphrase; `None` if all are permitted. Not permitted
/// are control, invisible and private-use characters, conjoining Hangul letters, and unassigned code points, whose
/// normal form may change (RFC 8264 section 9).
#[must_use]
pub fn first_forbidden_character(passphrase: &SecretString) -> Option<char> {
    let normal = normal_form(passphrase);
    let text = normal.expose_secret();
    // Joiners are seen where a script needs them.
    invisible_characters(text).map(|(_, c)| c).chain(text.chars().filter(|c| is_forbidden(*c))).next()
}

fn is_forbidden(c: char) -> bool {
    use HangulSyllableType as Hangul;
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let invisible = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) && !matches!(c, ZWNJ | ZWJ);
    let hangul = || CodePointMapData::<HangulSyllableType>::new().get(c);
    matches!(category, GeneralCategory::Control | GeneralCategory::PrivateUse | GeneralCategory::Unassigned)
        || invisible()
        || matches!(hangul(), Hangul::LeadingJamo | Hangul::VowelJamo | Hangul::TrailingJamo)
}

/// Returns U+0020 for any space character, and other characters unchanged.
fn normalise_space(c: char) -> char {
    let category = if c.is_ascii() { None } else { Some(CodePointMapData::<GeneralCategory>::new().get(c)) };
    if category == Some(GeneralCategory::SpaceSeparator) { ' ' } else { c }
}

/// Collects characters into a secret. `length`: length of the text before normalisation, in bytes; enough memory is
/// reserved at once, so that growing leaves no copies behind.
fn collect_secret(length: usize, characters: impl Iterator<Item = char>) -> SecretString {
    let mut text = Zeroizing::new(String::with_capacity(length.saturating_mul(MAX_GROWTH)));
    text.extend(characters);
    SecretString::from(text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSED: &str = "Zo\u{eb} caf\u{e9} passphrase";
    const DECOMPOSED: &str = "Zoe\u{308} cafe\u{301} passphrase";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn normal_of(text: &str) -> String {
        normal_form(&secret(text)).expose_secret().to_owned()
    }

    #[test]
    fn every_encoding_has_one_normal_form() {
        let marked = format!("\u{feff}{DECOMPOSED}");
        let spaced = COMPOSED.replace(' ', "\u{a0}");
        for text in [COMPOSED, DECOMPOSED, &marked, &spaced, &COMPOSED.replace(' ', "\u{3000}")] {
            assert_eq!(normal_of(text), COMPOSED, "{text:?}");
        }
        // Case, compatibility forms, spaces at the ends and a tab are the owner's.
        for text in ["Correct Horse", "ﬁve", " two  words ", "a\tb", "ｆｕｌｌ"] {
            assert_eq!(normal_of(text), text);
        }
    }

    #[test]
    fn an_older_form_is_tried_and_ascii_once() {
        let forms = |text: &str| -> Vec<String> {
            all_forms(&secret(text)).iter().map(|form| form.expose_secret().to_owned()).collect()
        };
        assert_eq!(forms("correct horse"), ["correct horse"]);
        assert_eq!(forms(COMPOSED), [COMPOSED, DECOMPOSED]);
        assert_eq!(forms(DECOMPOSED), [COMPOSED, DECOMPOSED]);
        assert_eq!(forms("\u{feff}correct horse"), ["correct horse", "\u{feff}correct horse"]);
        assert_eq!(forms("a\u{a0}b"), ["a b", "a\u{a0}b"]);
    }

    #[test]
    fn characters_that_nobody_can_type_again_are_named() {
        for (text, bad) in [
            ("tab\tbed", '\t'),
            ("zero\u{200b}width", '\u{200b}'),
            ("heart\u{2764}\u{fe0f}", '\u{fe0f}'),
            ("private\u{e000}", '\u{e000}'),
            ("unassigned\u{378}", '\u{378}'),
            ("jamo\u{1100}", '\u{1100}'),
            ("mark\u{feff}inside", '\u{feff}'),
        ] {
            assert_eq!(first_forbidden_character(&secret(text)), Some(bad), "{text:?}");
        }
        let persian = "می\u{200c}خواهم";
        for text in
            ["correct horse", COMPOSED, DECOMPOSED, persian, "비밀번호", "🐎🔋", "\u{feff}correct horse", "a\u{a0}b"]
        {
            assert_eq!(first_forbidden_character(&secret(text)), None, "{text:?}");
        }
    }
}
