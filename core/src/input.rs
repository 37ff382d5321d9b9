//! Text that people type or put in files: byte-order marks, digits of other scripts, letter case, PINs.
//!
//! Not for protocol messages, in which a byte-order mark is an error (RFC 8259 section 8.1).

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use unicode_normalization::{UnicodeNormalization as _, char::canonical_combining_class};
use zeroize::Zeroizing;

/// U+FEFF in UTF-8. Some editors put it at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// U+FEFF in UTF-16, little-endian and big-endian.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Error for a file that is not UTF-8, with the encoding that was detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotUtf8 {
    /// UTF-16, detected by its byte-order mark.
    #[error("it is UTF-16, as its byte-order mark says; save it as UTF-8")]
    Utf16,
    /// Any other encoding.
    #[error("it is not UTF-8; save it as UTF-8")]
    Other,
}

/// Returns the content of a file, given its bytes, without a leading UTF-8 byte-order mark. The rest need not be UTF-8.
///
/// # Errors
/// [`NotUtf8::Utf16`]: the file begins with a UTF-16 byte-order mark.
pub fn decode_file_bytes(content: &[u8]) -> Result<&[u8], NotUtf8> {
    if UTF_16_MARKS.iter().any(|mark| content.starts_with(mark)) {
        return Err(NotUtf8::Utf16);
    }
    Ok(without_bom(content))
}

/// Returns the text of a UTF-8 file, given its bytes, without a leading byte-order mark.
///
/// # Errors
/// [`NotUtf8`]
pub fn decode_file_text(content: &[u8]) -> Result<&str, NotUtf8> {
    std::str::from_utf8(decode_file_bytes(content)?).map_err(|_| NotUtf8::Other)
}

/// Returns the bytes without a leading UTF-8 byte-order mark.
#[must_use]
pub fn without_bom(content: &[u8]) -> &[u8] {
    content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)
}

/// Returns the text without a leading byte-order mark.
#[must_use]
pub fn text_without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Replaces decimal digits of any script with ASCII digits, and leaves all other characters.
#[must_use]
pub fn with_ascii_digits(text: &str) -> String {
    text.chars().map(|c| decimal_digit(c).unwrap_or(c)).collect()
}

/// Parses a numeric PIN: drops white space and invisible characters, and converts decimal digits of any script to
/// ASCII. `None` if another character occurs or no digit is left.
#[must_use]
pub fn parse_numeric_pin(text: &str) -> Option<Zeroizing<String>> {
    let is_ignored = |c: &char| c.is_whitespace() || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(*c);
    let mut pin = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars().filter(|c| !is_ignored(c)) {
        pin.push(decimal_digit(c)?);
    }
    (!pin.is_empty()).then_some(pin)
}

/// Returns the ASCII digit for a decimal digit of any script; `None` for other characters.
///
/// Unicode encodes the ten digits of a script contiguously and in ascending order (The Unicode Standard, section 4.6).
/// The digit is the distance to the start of a run of digits, modulo ten.
fn decimal_digit(c: char) -> Option<char> {
    const MOST_IN_A_ROW: u32 = 50;
    let is_digit = |c: char| CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DecimalNumber;
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    if !is_digit(c) {
        return None;
    }
    let before = (1..=MOST_IN_A_ROW)
        .take_while(|distance| u32::from(c).checked_sub(*distance).and_then(char::from_u32).is_some_and(is_digit));
    char::from_digit(u32::try_from(before.count()).ok()?.checked_rem(10)?, 10)
}

/// Returns the text in NFC with its case folded, for comparison with text folded in the same language. `language` is a
/// BCP 47 tag; it matters only for the dotted and dotless i of Turkish and Azerbaijani.
#[must_use]
pub fn fold_for_language(text: &str, language: &str) -> String {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    let dotless = ["tr", "az"].iter().any(|tag| primary.eq_ignore_ascii_case(tag));
    let normal = text.nfc().map(|c| match c {
        'I' if dotless => 'ı',
        'İ' if dotless => 'i',
        _ => c,
    });
    // In upper case the dotless i would become a common I.
    fold_case(normal, |c| c == 'ı')
}

/// Returns the text in NFC without its diacritics, such as `si` for `sí`: combining marks that do not change which
/// letter it is by Unicode's combining classes. Vowel signs of Indic scripts are kept.
#[must_use]
pub fn without_diacritics(text: &str) -> String {
    text.nfd().filter(|c| canonical_combining_class(*c) == 0).nfc().collect()
}

/// Folds the case of NFC characters, except those for which `is_kept` returns `true`, and returns the result in NFC.
///
/// Characters are converted to upper case first, so that ß equals SS and both small sigmas are one letter.
pub(crate) fn fold_case(normal: impl Iterator<Item = char>, is_kept: impl Fn(char) -> bool) -> String {
    let raised = normal.flat_map(|c| {
        let kept = Some(c).filter(|c| is_kept(*c));
        let upper = kept.is_none().then(|| c.to_uppercase());
        kept.into_iter().chain(upper.into_iter().flatten())
    });
    raised.flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leading_mark_is_skipped_and_no_other() {
        assert_eq!(without_bom("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_bom(b"{}"), b"{}");
        assert_eq!(without_bom("{}\u{feff}".as_bytes()), "{}\u{feff}".as_bytes());
        assert_eq!(text_without_bom("\u{feff}\u{feff}a"), "\u{feff}a");
        assert_eq!(text_without_bom("a"), "a");
    }

    #[test]
    fn a_file_in_utf_16_is_said_to_be_one() {
        let encoded =
            |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(decode_file_bytes(&encoded("\u{feff}{}", order)), Err(NotUtf8::Utf16));
            assert_eq!(decode_file_text(&encoded("\u{feff}", order)), Err(NotUtf8::Utf16));
        }
        assert_eq!(decode_file_text(b"\xe9t\xe9"), Err(NotUtf8::Other));
        assert_eq!((decode_file_text("\u{feff}été".as_bytes()), decode_file_text(b"")), (Ok("été"), Ok("")));
        assert_eq!(decode_file_bytes("\u{feff}{}".as_bytes()), Ok(b"{}".as_slice()));
    }

    #[test]
    fn digits_of_every_script_are_read() {
        // Arabic, Persian and Urdu, Devanagari, Bengali, Thai, full width, mathematical bold and monospace, Adlam.
        for zero in ['٠', '۰', '०', '০', '๐', '０', '𝟎', '𝟶', '𞥐'] {
            let digits: String = (0..10).filter_map(|n| char::from_u32(u32::from(zero) + n)).collect();
            assert_eq!(with_ascii_digits(&digits), "0123456789", "{zero}");
        }
        assert_eq!(with_ascii_digits("a½²Ⅷ一 7"), "a½²Ⅷ一 7");
    }

    #[test]
    fn a_pin_is_read_in_any_script_and_with_spaces() {
        let read = |text: &str| parse_numeric_pin(text).map(|pin| pin.to_string());
        for text in
            ["123456", " 123 456\r\n", "123\u{a0}456", "١٢٣٤٥٦", "۱۲۳ ۴۵۶", "\u{feff}１２３４５６", "\u{200f}१२३४५६"]
        {
            assert_eq!(read(text).as_deref(), Some("123456"), "{text:?}");
        }
        for text in ["", "  ", "12345o", "123-456", "½23456", "一二三四五六"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_set_of_digits_is_whole() {
        let mut digits = 0_u32;
        for c in ('\u{80}'..=char::MAX).filter(|c| decimal_digit(*c).is_some()) {
            assert_eq!(decimal_digit(c).and_then(|digit| digit.to_digit(10)), Some(digits % 10), "{c:?}");
            digits += 1;
        }
        assert!(digits > 600 && digits.is_multiple_of(10), "{digits}");
    }

    #[test]
    fn case_and_composition_do_not_matter() {
        for (one, other) in [("YES", "yes"), ("Oui", "oui"), ("STRASSE", "straße"), ("ΌΧΙ", "όχι"), ("ΝΑΙΣ", "ναις")]
        {
            assert_eq!(fold_for_language(one, "en"), fold_for_language(other, "en"), "{one}");
        }
        assert_eq!(fold_for_language("De\u{301}ja\u{300}", "fr"), fold_for_language("DÉJÀ", "fr"));
        assert_ne!(fold_for_language("ja", "de"), fold_for_language("j", "de"));
    }

    #[test]
    fn the_turkish_i_is_folded_as_its_language_does() {
        for language in ["tr", "tr-TR", "AZ"] {
            assert_eq!(fold_for_language("HAYIR", language), fold_for_language("hayır", language), "{language}");
            assert_eq!(fold_for_language("İPTAL", language), fold_for_language("iptal", language), "{language}");
            assert_ne!(fold_for_language("HAYIR", language), fold_for_language("hayir", language), "{language}");
        }
        assert_eq!(fold_for_language("HAYIR", "en"), fold_for_language("hayir", "en"));
        assert_ne!(fold_for_language("hayır", "en"), fold_for_language("hayir", "en"));
    }
}
