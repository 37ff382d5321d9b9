//! Letters to print, as HTML: a page for each person in that person's language, with the QR code of the link, and the
//! PIN on another sheet.
//!
//! A page has no script and no external resource, and its policy forbids both. Texts of rows are escaped, isolated from
//! the direction of the text around them, and their invisible characters are shown. HTML cannot tell which characters
//! the printer's fonts have.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use carnet_core::text::{displayable, escape_html};
use serde::Deserialize;

/// Texts of one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterTexts {
    heading: String,
    document: String,
    scan: String,
    pin: String,
    day: String,
    secret: String,
    reference: String,
    pin_heading: String,
    pin_text: String,
}

/// Beginning of each file.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
    <title>Letters</title>\n<style>\n\
    @page { size: A4; margin: 20mm }\n\
    body { margin: 0; font: 11pt/1.5 system-ui, sans-serif; color: #000; background: #fff }\n\
    section { break-after: page; break-inside: avoid; max-width: 170mm; margin: 0 auto }\n\
    section:last-child { break-after: auto }\n\
    address { font-style: normal; min-height: 45mm; padding-top: 25mm }\n\
    h1 { font-size: 14pt }\n\
    img { display: block; width: 75mm; height: 75mm; margin: 6mm auto; image-rendering: pixelated }\n\
    code { direction: ltr; unicode-bidi: isolate; overflow-wrap: anywhere; font-size: 8pt }\n\
    .pin { direction: ltr; font: 24pt monospace; letter-spacing: 4mm; text-align: center; margin: 12mm 0 }\n\
    </style>\n</head>\n<body>\n";
/// End of each file.
const TAIL: &str = "</body>\n</html>\n";

/// Content of one letter.
#[derive(Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) language: &'a str,
    pub(crate) addressee: &'a [String],
    pub(crate) reference: &'a str,
    /// Name of the document in the language.
    pub(crate) document: &'a str,
    /// Last whole day on which the offer can be collected; `YYYY-MM-DD`.
    pub(crate) day: &'a str,
    pub(crate) link: &'a str,
    /// QR code of the link as PNG.
    pub(crate) picture: &'a [u8],
    pub(crate) has_pin: bool,
}

/// Writer of letters of one sender.
#[derive(Debug)]
pub(crate) struct LetterWriter {
    texts: BTreeMap<String, LetterTexts>,
    sender: String,
}

impl LetterWriter {
    /// Creates a writer.
    ///
    /// # Errors
    /// The embedded texts are malformed, which a test excludes.
    pub(crate) fn new(sender: &str) -> Result<Self, String> {
        let texts = toml::from_str(include_str!("letters.toml")).map_err(|error| error.to_string())?;
        Ok(Self { texts, sender: isolated(sender) })
    }

    pub(crate) const fn head() -> &'static str {
        HEAD
    }

    pub(crate) const fn tail() -> &'static str {
        TAIL
    }

    /// Returns the page with the link; empty for an unknown language.
    pub(crate) fn link_page(&self, letter: &Letter<'_>) -> String {
        let Some(texts) = self.texts.get(letter.language) else { return String::new() };
        let filled =
            |text: &str| escape_html(text).replace("{sender}", &self.sender).replace("{day}", &isolated(letter.day));
        let pin = if letter.has_pin { paragraph(&filled(&texts.pin)) } else { String::new() };
        format!(
            "{}<h1>{}</h1>\n{}{}<img alt=\"QR\" src=\"data:image/png;base64,{}\">\n<p><code>{}</code></p>\n{pin}{}{}</section>\n",
            self.opening(letter),
            filled(&texts.heading),
            paragraph(&format!("{}: {}", escape_html(&texts.document), isolated(letter.document))),
            paragraph(&filled(&texts.scan)),
            STANDARD.encode(letter.picture),
            escape_html(letter.link),
            paragraph(&filled(&texts.day)),
            paragraph(&filled(&texts.secret)),
        )
    }

    /// Returns the sheet with the PIN; empty for an unknown language.
    pub(crate) fn pin_page(&self, letter: &Letter<'_>, pin: &str) -> String {
        let Some(texts) = self.texts.get(letter.language) else { return String::new() };
        format!(
            "{}<h1>{}</h1>\n{}<p class=\"pin\">{}</p>\n{}</section>\n",
            self.opening(letter),
            escape_html(&texts.pin_heading).replace("{sender}", &self.sender),
            paragraph(&format!("{}: {}", escape_html(&texts.document), isolated(letter.document))),
            escape_html(pin),
            paragraph(&escape_html(&texts.pin_text)),
        )
    }

    /// Returns the beginning of a page: addressee and reference.
    fn opening(&self, letter: &Letter<'_>) -> String {
        let direction = if matches!(letter.language, "ar" | "fa") { "rtl" } else { "ltr" };
        let lines = letter.addressee.iter().map(|line| isolated(line)).collect::<Vec<_>>().join("<br>\n");
        let label = self.texts.get(letter.language).map_or("", |texts| texts.reference.as_str());
        let reference = if letter.reference.is_empty() {
            String::new()
        } else {
            paragraph(&format!("{}: {}", escape_html(label), isolated(letter.reference)))
        };
        format!(
            "<section lang=\"{}\" dir=\"{direction}\">\n<address>{lines}</address>\n{reference}",
            escape_html(letter.language)
        )
    }
}

fn paragraph(html: &str) -> String {
    format!("<p>{html}</p>\n")
}

/// Returns a text of a row for HTML, isolated from the direction of the text around it.
fn isolated(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape_html(&displayable(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::mapping::LANGUAGES;

    fn letter<'a>(language: &'a str, addressee: &'a [String]) -> Letter<'a> {
        Letter {
            language,
            addressee,
            reference: "D-1",
            document: "Diploma",
            day: "2026-12-31",
            link: "openid-credential-offer://?a=1&b=2",
            picture: b"png",
            has_pin: true,
        }
    }

    #[test]
    fn every_language_has_every_text_with_its_values() {
        let writer = LetterWriter::new("University").unwrap();
        assert_eq!(writer.texts.keys().map(String::as_str).collect::<Vec<_>>(), LANGUAGES);
        for (language, texts) in &writer.texts {
            let filled = [&texts.heading, &texts.pin_heading].iter().all(|text| text.contains("{sender}"));
            assert!(filled && texts.day.contains("{day}"), "{language}");
            let page = writer.link_page(&letter(language, &[]));
            assert!(page.contains("<bdi>2026-12-31</bdi>") && page.contains("<bdi>University</bdi>"), "{page}");
            assert!(!page.contains('{') && !writer.pin_page(&letter(language, &[]), "123456").contains('{'));
            assert!(!page.contains("123456"));
        }
        assert!(writer.link_page(&letter("ar", &[])).contains("dir=\"rtl\""));
    }

    #[test]
    fn texts_of_a_row_cannot_become_markup() {
        let writer = LetterWriter::new("<b>Uni & Co</b>").unwrap();
        let addressee = ["<script>alert('x')</script>".to_owned(), "a\u{202e}b".to_owned()];
        let page = writer.link_page(&letter("en", &addressee));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
        assert!(page.contains("&lt;b&gt;Uni &amp; Co") && page.contains("?a=1&amp;b=2"), "{page}");
        assert!(!page.contains('\u{202e}') && !page.contains("<script") && !page.contains("http"), "{page}");
        assert!(LetterWriter::head().contains("default-src 'none'"));
    }
}
