//! Pages of `docs/` that a run writes: screens of the real programs, with ids, times, ports and codes replaced.
//!
//! A test compares the page with its run. With `UPDATE_DOCS=1` it writes the page.

use std::path::{Path, PathBuf};

use crate::Result;

/// Years of dates that depend on the day of the run; earlier ones are claims of an example.
const CURRENT_YEARS: &str = "2026";
/// Shortest run of base64url characters that is an id, a key or a digest.
const ID_LENGTH: usize = 20;
/// Length of the ids of requests.
const REQUEST_ID_LENGTH: usize = 22;
/// Length of the ids of the wallet's documents, in hexadecimal.
const SHORT_ID_LENGTH: usize = 16;
/// Control sequence with which the programs clear a terminal.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Names for texts that differ between runs, such as DIDs; longer texts first.
#[derive(Debug, Default)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// Adds a name for a text.
    pub fn add(&mut self, text: impl Into<String>, name: impl Into<String>) {
        self.0.push((text.into(), name.into()));
        self.0.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// Returns a screen as it is printed on a page.
    #[must_use]
    pub fn printed(&self, screen: &str) -> String {
        let mut text = screen.replace('\r', "").replace(CLEAR, "\n[the screen is cleared]\n");
        for (from, to) in &self.0 {
            text = replace_wrapped(&text, from, to);
        }
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let line = if is_code_line(line) {
                "[QR code]".to_owned()
            } else if line.contains("openid4vp://") || line.contains("openid-credential-offer://") {
                shortened_link(line)
            } else {
                replaced_words(line)
            };
            let is_repeated = line == "[QR code]" && lines.last() == Some(&line);
            if !is_repeated {
                lines.push(line.trim_end().to_owned());
            }
        }
        lines.join("\n").trim_matches('\n').to_owned()
    }
}

/// Replaces a text, also where a terminal broke it into lines with an indentation.
fn replace_wrapped(text: &str, from: &str, to: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = strip_wrapped(rest, from) {
            replaced.push_str(to);
            rest = after;
        } else {
            replaced.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    replaced
}

/// Returns the text after a prefix, which line ends and the spaces after them may interrupt.
fn strip_wrapped<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = text;
    for (index, c) in prefix.char_indices() {
        if index > 0 && rest.starts_with('\n') {
            rest = rest.trim_start();
        }
        rest = rest.strip_prefix(c)?;
    }
    Some(rest)
}

/// Returns whether a line is a row of a QR code.
fn is_code_line(line: &str) -> bool {
    let blocks = line.chars().filter(|c| matches!(c, '█' | '▀' | '▄')).count();
    blocks > 8 && line.chars().all(|c| matches!(c, '█' | '▀' | '▄' | ' '))
}

fn shortened_link(line: &str) -> String {
    let start = line.find("openid").unwrap_or_default();
    let (before, link) = line.split_at(start);
    let end = link.find(char::is_whitespace).unwrap_or(link.len());
    let (link, after) = link.split_at(end);
    let scheme = link.split("://").next().unwrap_or_default();
    if link.starts_with(&format!("{scheme}://...")) {
        return line.to_owned();
    }
    format!("{before}{scheme}://...{after}")
}

/// Replaces ids, times and ports in a line.
fn replaced_words(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(if is_word(c) { 0 } else { c.len_utf8() }));
        text.push_str(&replaced_word(word));
        rest = after;
    }
    text
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':')
}

/// Returns the replacement of a word: a run of letters, digits, hyphens, underscores and colons.
fn replaced_word(word: &str) -> String {
    let bare = word.trim_end_matches(':');
    let shape: String = bare.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_current = bare >= CURRENT_YEARS;
    let port = bare.rsplit_once(':').filter(|(_, port)| port.len() >= 4 && port.bytes().all(|c| c.is_ascii_digit()));
    if let Some((host, _)) = port {
        return format!("{host}:PORT{}", word.get(bare.len()..).unwrap_or_default());
    }
    let replaced = match shape.as_str() {
        "0000-00-00T00:00:00Z" if is_current => "YYYY-MM-DDThh:mm:ssZ",
        "0000-00-00" if is_current => "YYYY-MM-DD",
        _ if bare.len() == SHORT_ID_LENGTH && bare.bytes().all(|c| c.is_ascii_hexdigit()) => "ID",
        _ if bare.len() >= ID_LENGTH && !bare.contains(':') && bare.chars().any(|c| c.is_ascii_digit()) => "ID",
        // One of some fifty ids has no digit.
        _ if bare.len() == REQUEST_ID_LENGTH && bare.contains(char::is_uppercase) && !bare.ends_with("Credential") => {
            "ID"
        }
        _ => return word.to_owned(),
    };
    format!("{replaced}{}", word.get(bare.len()..).unwrap_or_default())
}

/// Path of a file in `docs/`.
#[must_use]
pub fn docs(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs")).join(name)
}

/// Compares a page with the text of a run, or writes it if `UPDATE_DOCS` is set.
///
/// # Errors
/// The page cannot be read or written, or differs; the error shows the first line that does.
pub fn check(path: &Path, text: &str) -> Result<()> {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return Ok(std::fs::write(path, text)?);
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    if page == text {
        return Ok(());
    }
    let differs = page.lines().zip(text.lines()).position(|(written, ran)| written != ran);
    let number = differs.unwrap_or_else(|| page.lines().count().min(text.lines().count()));
    let line = |text: &str| text.lines().nth(number).unwrap_or("(the end)").to_owned();
    Err(format!(
        "{} differs from this run at line {}; UPDATE_DOCS=1 writes it.\nwritten: {}\nrun:     {}",
        path.display(),
        number.saturating_add(1),
        line(&page),
        line(text)
    )
    .into())
}

/// [`check`], for the block of text that follows a marker in a page.
///
/// # Errors
/// As for [`check`]; the page has no such block.
pub fn check_block(path: &Path, marker: &str, text: &str) -> Result<()> {
    let page = std::fs::read_to_string(path)?;
    let block = || format!("there is no block of text after {marker} in {}", path.display());
    let (before, rest) = page.split_once(marker).ok_or_else(block)?;
    let (lead, rest) = rest.split_once("```text\n").ok_or_else(block)?;
    let (_, after) = rest.split_once("\n```").ok_or_else(block)?;
    check(path, &format!("{before}{marker}{lead}```text\n{text}\n```{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_replaced_and_the_rest_stays() {
        let mut names = Names::default();
        names.add("did:web:localhost%3A41234:university", "did:web:university.example");
        for (screen, printed) in [
            ("born 1990-05-01, until 2027-05-01.", "born 1990-05-01, until YYYY-MM-DD."),
            ("ACCEPTED at 2026-12-01T10:00:00Z: yes", "ACCEPTED at YYYY-MM-DDThh:mm:ssZ: yes"),
            ("at http://127.0.0.1:41234/x", "at http://127.0.0.1:PORT/x"),
            ("Request fV7y0u3m2l9x8k7j6h5g4f: open", "Request ID: open"),
            ("result _gmeEhxkIXDoNhgqixPZDQ", "result ID"),
            ("VolunteeringCredential", "VolunteeringCredential"),
            ("from did:web:localhost%3A41234:university", "from did:web:university.example"),
            ("see openid4vp://?client_id=x&y now", "see openid4vp://... now"),
            ("LanguageProficiencyCredential", "LanguageProficiencyCredential"),
            ("█████████████\r\n█▀▀▀ ▄▄▄▄▄▄▄█\nx", "[QR code]\nx"),
            ("  did:web:localhost%3A41\r\n    234:university, it", "  did:web:university.example, it"),
        ] {
            assert_eq!(names.printed(screen), printed);
        }
    }
}
