//! Plaintext of the wallet file: one JSON object in two parts, so that the second can be skipped.
//!
//! `{"version":7,"length":"0000001234","contents":{...},"texts":[...],"requests":{...},"papers":[...]}`, where the
//! length is that of the contents in bytes. Version 5 has no requests, and a wallet without papers has no papers. Before
//! version 5, the file consisted of the contents, which included the texts.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serializer as _};
use zeroize::Zeroizing;

use super::{WalletScope, corrupted};
use crate::{
    failure::{DataSafety, Failure, FailureReason, Sentence},
    store::{
        contents::{FORMAT_VERSION, OLDEST_FORMAT_VERSION, WalletContents},
        papers::PaperContent,
        requests::StoredRequests,
        stored_texts::StoredTexts,
    },
};

const LENGTH: &str = ",\"length\":\"";
const CONTENTS: &str = "\",\"contents\":";
const TEXTS: &str = ",\"texts\":";
const REQUESTS: &str = ",\"requests\":";
const PAPERS: &str = ",\"papers\":";
/// First version with two parts.
const FIRST_OF_TWO_PARTS: u32 = 5;
/// Number of digits of the length.
const DIGITS: usize = 10;

/// Returns the bytes of the file before the contents.
fn head(version: u32, length: u64) -> String {
    format!("{{\"version\":{version}{LENGTH}{length:0DIGITS$}{CONTENTS}")
}

/// Writes the plaintext of a wallet. The texts must be packed.
pub(super) fn write(writer: &mut impl Write, contents: &WalletContents) -> io::Result<()> {
    // Serialised twice, to count the bytes without holding them in memory.
    let mut counted = Counter(0);
    serde_json::to_writer(&mut counted, contents)?;
    writer.write_all(head(contents.version, counted.0).as_bytes())?;
    serde_json::to_writer(&mut *writer, contents)?;
    writer.write_all(TEXTS.as_bytes())?;
    let mut texts = serde_json::Serializer::new(&mut *writer);
    texts.collect_seq(contents.stored_credentials().map(StoredTexts::from_credential))?;
    writer.write_all(REQUESTS.as_bytes())?;
    serde_json::to_writer(&mut *writer, &contents.requests.to_stored())?;
    if !contents.papers.is_empty() {
        writer.write_all(PAPERS.as_bytes())?;
        let mut papers = serde_json::Serializer::new(&mut *writer);
        papers.collect_seq(contents.papers.iter().map(|paper| &paper.content))?;
    }
    writer.write_all(b"}")
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn read(mut reader: impl Read, reading: WalletScope) -> Result<WalletContents, Failure> {
    let mut begin = Zeroizing::new(Vec::new());
    let length = u64::try_from(head(FORMAT_VERSION, 0).len()).unwrap_or_default();
    reader.by_ref().take(length).read_to_end(&mut begin).map_err(|_| changed())?;
    let Some(length) = contents_length(&begin) else {
        let mut plain = begin;
        read_to_end(&mut reader, &mut plain)?;
        return parse_single_part(&plain);
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(super::LARGEST)).unwrap_or_default()));
    reader.by_ref().take(length).read_to_end(&mut plain).map_err(|_| changed())?;
    // The parser's own message could contain a piece of the contents.
    let mut contents: WalletContents = serde_json::from_slice(&plain).map_err(|_| no_wallet())?;
    contents.version = FORMAT_VERSION;
    drop(plain);
    if reading == WalletScope::WithoutTexts {
        // Decrypted nevertheless: a truncated or changed file must not pass as complete.
        io::copy(&mut reader, &mut io::sink()).map_err(|_| changed())?;
        return Ok(contents);
    }
    let mut plain = Zeroizing::new(Vec::new());
    read_to_end(&mut reader, &mut plain)?;
    // The rest starts with a comma; with a brace instead it is an object of its own.
    match plain.first_mut() {
        Some(first @ b',') => *first = b'{',
        _ => return Err(no_wallet()),
    }
    let SecondPart { texts, requests, papers } = serde_json::from_slice(&plain).map_err(|_| no_wallet())?;
    let fit = texts.len() == contents.stored_credentials().count()
        && contents.stored_credentials_mut().zip(texts).all(|(held, texts)| texts.restore(held));
    let fit = fit && contents.requests.restore(requests) && papers.len() == contents.papers.len();
    contents.papers.iter_mut().zip(papers).for_each(|(paper, content)| paper.content = content);
    if fit { Ok(contents) } else { Err(no_wallet()) }
}

/// Everything after the contents.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondPart {
    texts: Vec<StoredTexts>,
    #[serde(default)]
    requests: StoredRequests,
    #[serde(default)]
    papers: Vec<PaperContent>,
}

/// Parses the length of the contents from the start of a file; `None` if the file does not have two parts, or has an
/// unknown version.
fn contents_length(begin: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(begin).ok()?;
    let digits = text.strip_suffix(CONTENTS)?.get(text.len().checked_sub(CONTENTS.len())?.checked_sub(DIGITS)?..)?;
    let digits = digits.get(..DIGITS)?;
    let length = digits.parse().ok()?;
    let known = (FIRST_OF_TWO_PARTS..=FORMAT_VERSION).any(|version| head(version, length) == text);
    known.then_some(length)
}

/// Parses the contents of a wallet before version 5. For a version that is unknown to this program, the failure names
/// the versions.
fn parse_single_part(plain: &[u8]) -> Result<WalletContents, Failure> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_slice(plain).map_err(|_| corrupted("why-holds-none"))?;
    if !(OLDEST_FORMAT_VERSION..=FORMAT_VERSION).contains(&head.version) {
        let message = Sentence::new("error-wallet-version").with("version", head.version);
        let message = message.with("oldest", OLDEST_FORMAT_VERSION).with("newest", FORMAT_VERSION);
        let failure = Failure::new(FailureReason::WalletVersion, message, Sentence::new("hint-newer-program"));
        return Err(failure.with_safety(DataSafety::Unreadable));
    }
    let contents: WalletContents = serde_json::from_slice(plain).map_err(|_| no_wallet())?;
    Ok(WalletContents { version: FORMAT_VERSION, ..contents })
}

/// Reads the rest of the file into `plain`.
fn read_to_end(reader: &mut impl Read, plain: &mut Zeroizing<Vec<u8>>) -> Result<(), Failure> {
    // Read in pieces, so that growing the buffer leaves no copies in memory.
    let mut part = Zeroizing::new(vec![0; 1 << 16]);
    loop {
        let read = reader.read(&mut part).map_err(|_| changed())?;
        if read == 0 {
            return Ok(());
        }
        if plain.capacity().saturating_sub(plain.len()) < read {
            let mut larger = Zeroizing::new(Vec::with_capacity(plain.len().saturating_mul(2).saturating_add(read)));
            larger.extend_from_slice(plain);
            *plain = larger;
        }
        plain.extend_from_slice(part.get(..read).unwrap_or_default());
    }
}

fn changed() -> Failure {
    corrupted("why-changed")
}

fn no_wallet() -> Failure {
    corrupted("why-contents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_says_how_long_the_contents_are() {
        let head = head(FORMAT_VERSION, 1_234);
        assert_eq!(head, "{\"version\":7,\"length\":\"0000001234\",\"contents\":");
        assert_eq!(contents_length(head.replace(":7", ":5").as_bytes()), Some(1_234));
        assert_eq!(contents_length(head.as_bytes()), Some(1_234));
        for other in [
            head.replace("\"0", "\"+"),
            head.replace(":7", ":4"),
            head.replace(":7", ":8"),
            head[..head.len() - 1].to_owned(),
            String::new(),
        ] {
            assert_eq!(contents_length(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_file_of_the_version_before_has_no_requests() {
        let mut written = Vec::new();
        write(&mut written, &WalletContents::new(12)).unwrap();
        let text = String::from_utf8(written).unwrap();
        // The contents have a member of that name too.
        let (before, requests) = text.rsplit_once(REQUESTS).unwrap();
        assert_eq!(requests, "{\"layouts\":[],\"texts\":[]}}");
        let before = format!("{}}}", before.replace("\"version\":6", "\"version\":5"));
        assert_eq!(read(before.as_bytes(), WalletScope::Whole).unwrap().version, FORMAT_VERSION);
        for damaged in [before.replace(",\"texts\"", ";\"texts\""), before.replace("[]}", "[],\"more\":1}")] {
            assert_eq!(read(damaged.as_bytes(), WalletScope::Whole).unwrap_err().reason, "wallet_corrupted");
        }
    }

    /// Earlier programs look for the version only before they report a damaged wallet.
    #[test]
    fn the_whole_is_one_object_with_a_version() {
        let mut written = Vec::new();
        write(&mut written, &WalletContents::new(12)).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(
            (value["version"].as_u64(), value["texts"].as_array().unwrap().len()),
            (Some(FORMAT_VERSION.into()), 0)
        );
        assert_eq!(parse_single_part(&written[..written.len() - 1]).unwrap_err().reason, "wallet_corrupted");
        assert_eq!(read(written.as_slice(), WalletScope::Whole).unwrap().version, FORMAT_VERSION);
    }
}
