//! Content of a gap in a template: one word in its shortest encoding.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// First byte of a run's digest; the run's number follows.
const DIGEST: u8 = 255;
/// Flag in the first byte for decoded base64url, besides the length. Without it, the first byte is the length of a
/// text.
const DECODED: u8 = 128;

/// Word in a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TemplateGap<'a> {
    /// Text of at most 127 bytes.
    Text(&'a str),
    /// base64url of at most 126 bytes.
    Bytes(Cow<'a, [u8]>),
    /// Digest of a later run, by the run's number.
    Digest(u8),
}

impl<'a> TemplateGap<'a> {
    /// Returns the shortest encoding of a word; `None` if the word is too long. `digest_of` is the number of the run
    /// whose digest the word is, if it is one.
    pub(super) fn encode(word: &'a str, digest_of: Option<usize>) -> Option<Self> {
        if let Some(run) = digest_of.and_then(|run| u8::try_from(run).ok()) {
            return Some(Self::Digest(run));
        }
        // Decoded only if re-encoding gives the same text: another last character may encode the same bytes.
        let decoded = URL_SAFE_NO_PAD.decode(word).ok().filter(|bytes| URL_SAFE_NO_PAD.encode(bytes) == word);
        let decoded = decoded.filter(|bytes| bytes.len() < usize::from(DIGEST.wrapping_sub(DECODED)));
        let text = || (word.len() < usize::from(DECODED)).then_some(Self::Text(word));
        decoded.map(|bytes| Self::Bytes(bytes.into())).or_else(text)
    }

    /// Appends the encoded word to the contents of other gaps.
    pub(super) fn write(&self, gaps: &mut Vec<u8>) {
        let length = |content: &[u8]| u8::try_from(content.len()).unwrap_or_default();
        match self {
            Self::Text(word) => {
                gaps.push(length(word.as_bytes()));
                gaps.extend_from_slice(word.as_bytes());
            }
            Self::Bytes(bytes) => {
                gaps.push(length(bytes) | DECODED);
                gaps.extend_from_slice(bytes);
            }
            Self::Digest(run) => gaps.extend([DIGEST, *run]),
        }
    }

    /// Removes and returns the first word; `None` if there is no complete one.
    pub(super) fn parse_next(gaps: &mut &'a [u8]) -> Option<Self> {
        let (mark, rest) = gaps.split_first()?;
        let length = match *mark {
            DIGEST => 1,
            mark => usize::from(mark & !DECODED),
        };
        let (content, rest) = rest.split_at_checked(length)?;
        *gaps = rest;
        Some(match *mark {
            DIGEST => Self::Digest(*content.first()?),
            mark if mark & DECODED == 0 => Self::Text(std::str::from_utf8(content).ok()?),
            _ => Self::Bytes(content.into()),
        })
    }

    /// Returns the word. `written` has the runs as they are in the text, by number; `None` if a run is missing.
    pub(super) fn text(&self, written: &[String]) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Text(word) => Cow::Borrowed(word),
            Self::Bytes(bytes) => Cow::Owned(URL_SAFE_NO_PAD.encode(bytes)),
            Self::Digest(run) => Cow::Owned(digest(written.get(usize::from(*run))?)),
        })
    }
}

/// Computes the digest of an SD-JWT disclosure (RFC 9901 section 4.2.3).
pub(super) fn digest(encoded: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(encoded))
}
