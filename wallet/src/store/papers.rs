//! Pictures and scans of paper documents, which the holder keeps in the wallet. They are no credentials: nobody signed or
//! verified them, and no request is answered with them.

use std::fmt;

use base64::{Engine as _, display::Base64Display, engine::general_purpose::STANDARD};
use carnet_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

/// Maximum size of one paper, in bytes: 4 MiB.
pub const MAX_PAPER_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of all papers of a wallet, in bytes: 32 MiB. The file is written as a whole with each change.
pub const MAX_ALL_PAPERS_BYTES: usize = 32 * 1024 * 1024;

/// Form of a picture or scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaperForm {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP
    Webp,
    /// HEIF, as some phones take pictures.
    Heif,
    /// PDF
    Pdf,
}

impl PaperForm {
    /// Returns the form of a file by its first bytes; `None` if it is another one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let at = |start: usize, text: &[u8]| bytes.get(start..).is_some_and(|rest| rest.starts_with(text));
        match bytes {
            _ if at(0, &[0xff, 0xd8, 0xff]) => Some(Self::Jpeg),
            _ if at(0, b"\x89PNG\r\n\x1a\n") => Some(Self::Png),
            _ if at(0, b"RIFF") && at(8, b"WEBP") => Some(Self::Webp),
            _ if at(4, b"ftyp") && [b"heic", b"heix", b"mif1", b"msf1"].iter().any(|brand| at(8, *brand)) => {
                Some(Self::Heif)
            }
            _ if at(0, b"%PDF-") => Some(Self::Pdf),
            _ => None,
        }
    }

    /// Returns the usual extension of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Heif => "heic",
            Self::Pdf => "pdf",
        }
    }
}

/// Picture or scan of a paper document, with what its holder wrote about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Local identifier; it never leaves the wallet.
    pub id: String,
    /// Kind of the document, in the holder's words.
    pub kind: String,
    /// Day of the document, as `2026-11-30`; empty if the holder gave none.
    pub date: String,
    /// Notes of the holder; they are not shared.
    pub note: String,
    /// Form of the picture.
    pub form: PaperForm,
    /// Size of the picture, in bytes.
    pub size: usize,
    /// Time when it was added.
    pub added_at: Timestamp,
    /// The picture. It is stored in the second part of the file.
    #[serde(skip)]
    pub content: PaperContent,
}

/// Bytes of a picture; empty if the second part of the file was not read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PaperContent(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for PaperContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaperContent(..)")
    }
}

impl Serialize for PaperContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for PaperContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_the_first_bytes() {
        for (bytes, form) in [
            (&b"\xff\xd8\xff\xe0 picture"[..], Some(PaperForm::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Some(PaperForm::Png)),
            (b"RIFF1234WEBPVP8 ", Some(PaperForm::Webp)),
            (b"\0\0\0\x18ftypheic", Some(PaperForm::Heif)),
            (b"%PDF-1.7", Some(PaperForm::Pdf)),
            (b"#!/bin/sh", None),
            (b"", None),
        ] {
            assert_eq!(PaperForm::of(bytes), form, "{bytes:?}");
        }
    }

    #[test]
    fn a_picture_is_stored_as_text_and_never_printed() {
        let content = PaperContent(Zeroizing::new(vec![0, 255, 7]));
        let text = serde_json::to_string(&content).unwrap();
        assert_eq!(serde_json::from_str::<PaperContent>(&text).unwrap(), content);
        assert_eq!(format!("{content:?}"), "PaperContent(..)");
    }
}
