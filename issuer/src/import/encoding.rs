//! Encoding, digest and delimiter of a text file.

use std::io::{self, Read, Seek, SeekFrom};

use carnet_core::spelling::nearest_name;
use sha2::{Digest as _, Sha256};

/// Encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    /// Windows-1252, which has the characters of ISO-8859-1 (Latin-1) at the same bytes.
    Windows1252,
}

impl Encoding {
    /// Parses the name of an encoding.
    ///
    /// # Errors
    /// The name is unknown; the text lists the known names.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        const NAMES: [&str; 3] = ["utf-8", "latin-1", "windows-1252"];
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "latin-1" | "latin1" | "iso-8859-1" | "windows-1252" | "cp1252" => Ok(Self::Windows1252),
            other => Err(match nearest_name(other, NAMES) {
                Some(near) => format!("one of {}; the nearest is {near}", NAMES.join(", ")),
                None => format!("one of {}", NAMES.join(", ")),
            }),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Windows1252 => "Windows-1252 (Latin-1)",
        }
    }

    /// Decodes a text; `None` if it has bytes that the encoding does not have.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(str::to_owned),
            Self::Windows1252 => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
        }
    }
}

/// Characters of the bytes 0x80 to 0x9F; U+FFFD for the five that Windows-1252 does not define.
const HIGH_CONTROLS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

fn windows_1252(byte: u8) -> Option<char> {
    let place = byte.checked_sub(0x80).and_then(|place| HIGH_CONTROLS.get(usize::from(place)));
    match place {
        Some('\u{fffd}') => None,
        Some(c) => Some(*c),
        None => Some(char::from(byte)),
    }
}

/// Properties of a file, from one pass over its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) size: u64,
    /// SHA-256 of the bytes.
    pub(crate) digest: [u8; 32],
    /// `true` if it begins with the byte-order mark of UTF-8.
    pub(crate) has_mark: bool,
    /// `true` if all of it is UTF-8.
    pub(crate) is_utf8: bool,
    /// First bytes.
    pub(crate) start: Vec<u8>,
    /// `true` if it has a byte 0, which no text has.
    pub(crate) has_zero: bool,
}

const CHUNK: usize = 65_536;

/// Reads a file once, and returns to its beginning.
///
/// # Errors
/// Those of the file system.
pub(crate) fn examine(file: &mut (impl Read + Seek)) -> io::Result<FileFacts> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut facts =
        FileFacts { size: 0, digest: [0; 32], has_mark: false, is_utf8: true, start: Vec::new(), has_zero: false };
    // At most three bytes of a character that the next chunk completes.
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let length = file.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        hasher.update(chunk);
        facts.size = facts.size.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        facts.has_zero |= chunk.contains(&0);
        let room = CHUNK.saturating_sub(facts.start.len());
        facts.start.extend(chunk.iter().take(room));
        if facts.is_utf8 {
            rest.extend_from_slice(chunk);
            match std::str::from_utf8(&rest) {
                Ok(_) => rest.clear(),
                Err(error) if error.error_len().is_none() => drop(rest.drain(..error.valid_up_to())),
                Err(_) => facts.is_utf8 = false,
            }
        }
    }
    facts.is_utf8 &= rest.is_empty();
    facts.has_mark = facts.start.starts_with(b"\xef\xbb\xbf");
    facts.digest = hasher.finalize().into();
    file.seek(SeekFrom::Start(0))?;
    Ok(facts)
}

/// Returns the encoding of a text file: the given one, else UTF-8 if all bytes are, else Windows-1252.
///
/// # Errors
/// The file is not text in the encoding.
pub(crate) fn encoding_of(facts: &FileFacts, given: Option<Encoding>) -> Result<Encoding, String> {
    if facts.start.starts_with(b"\xff\xfe") || facts.start.starts_with(b"\xfe\xff") || facts.has_zero {
        return Err("the file is UTF-16, or not text; save it as CSV in UTF-8".to_owned());
    }
    match given {
        Some(Encoding::Utf8) if !facts.is_utf8 => {
            Err("the file is not UTF-8; save it as CSV in UTF-8, or give --encoding latin-1".to_owned())
        }
        Some(Encoding::Windows1252) if facts.has_mark => {
            Err("the file has the byte-order mark of UTF-8; leave out --encoding".to_owned())
        }
        Some(encoding) => Ok(encoding),
        None if facts.is_utf8 => Ok(Encoding::Utf8),
        None => Ok(Encoding::Windows1252),
    }
}

/// Delimiters that are looked for.
pub(crate) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Returns the delimiter that the first row has most often outside quotation marks; a comma if it has none.
///
/// # Errors
/// Two occur equally often.
pub(crate) fn find_delimiter(start: &[u8]) -> Result<u8, String> {
    let mut counts = DELIMITERS.map(|delimiter| (0_usize, delimiter));
    let mut quoted = false;
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            byte if !quoted => {
                for (count, _) in counts.iter_mut().filter(|(_, delimiter)| delimiter == byte) {
                    *count = count.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match counts {
        [(0, _), ..] => Ok(b','),
        [(first, _), (second, _), ..] if first == second => {
            Err("two characters of the first row could be the delimiter; give it with --delimiter".to_owned())
        }
        [(_, delimiter), ..] => Ok(delimiter),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn facts(bytes: &[u8]) -> FileFacts {
        examine(&mut Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn latin_1_is_told_from_utf_8_also_across_chunks() {
        let long = format!("{}é", "x".repeat(CHUNK - 1));
        assert!(facts(long.as_bytes()).is_utf8);
        assert!(!facts(b"Jos\xe9;x").is_utf8 && !facts(b"Jos\xc3").is_utf8);
        let of = |bytes: &[u8], given| encoding_of(&facts(bytes), given);
        assert_eq!(of("José".as_bytes(), None).unwrap(), Encoding::Utf8);
        assert_eq!(of(b"Jos\xe9", None).unwrap(), Encoding::Windows1252);
        assert!(of(b"Jos\xe9", Some(Encoding::Utf8)).unwrap_err().contains("not UTF-8"));
        assert!(of(b"\xff\xfeJ\0", None).unwrap_err().contains("UTF-16"));
        assert!(of(b"PK\x03\x04\0", None).unwrap_err().contains("not text"));
        assert!(of(b"\xef\xbb\xbfa", Some(Encoding::Windows1252)).is_err());
        assert!(facts(b"\xef\xbb\xbfa").has_mark);
    }

    #[test]
    fn windows_1252_has_its_own_characters_and_five_gaps() {
        let decode = |bytes: &[u8]| Encoding::Windows1252.decode(bytes);
        assert_eq!(decode(b"\x8a\x80\xe9\x9f").unwrap(), "Š€éŸ");
        assert_eq!(decode(b"a\x81"), None);
    }

    #[test]
    fn the_delimiter_is_counted_outside_quotation_marks() {
        assert_eq!(find_delimiter(b"a;b;\"c,d,e,f\"\n1,2,3,4,5").unwrap(), b';');
        assert_eq!(find_delimiter(b"a\tb\r\n").unwrap(), b'\t');
        assert_eq!(find_delimiter(b"alone\n").unwrap(), b',');
        assert!(find_delimiter(b"a;b,c\n").unwrap_err().contains("--delimiter"));
    }

    #[test]
    fn an_unknown_encoding_is_told_with_the_nearest() {
        assert_eq!(Encoding::parse("UTF-8"), Ok(Encoding::Utf8));
        assert!(Encoding::parse("windows-1251").unwrap_err().contains("the nearest is windows-1252"));
    }
}
