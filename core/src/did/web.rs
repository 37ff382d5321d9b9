//! did:web: the URL of the document, and its content. The caller fetches it.

use super::{Did, DidDocument, DidDriver, PublishedDidFile, ResolutionStep, ResolvedDid, malformed};
use crate::{
    Code, Problem,
    json::{self, Limits},
    time::Timestamp,
};

const NAME: &str = "web";
/// Maximum size of a document, in bytes.
pub const MAX_BYTES: usize = 65_536;

/// Driver of did:web.
#[derive(Debug, Clone, Copy)]
pub struct DidWeb;

impl DidDriver for DidWeb {
    fn name(&self) -> &'static str {
        NAME
    }

    fn location(&self, did: &Did) -> Result<PublishedDidFile, Problem> {
        let (url, accept) = (document_url(did)?, "application/did+json, application/json");
        Ok(PublishedDidFile { url, name: "did.json", accept, max_bytes: MAX_BYTES })
    }

    /// Reads the document.
    ///
    /// # Errors
    /// `did_document_invalid`
    fn read(&self, did: &Did, file: &[u8], _now: Timestamp) -> Result<ResolutionStep, Problem> {
        let limits = Limits { max_bytes: MAX_BYTES, ..Limits::DOCUMENT };
        let document = json::parse(file, limits).map_err(|problem| {
            Problem::new(Code::DidDocumentInvalid, format!("the document is not acceptable JSON ({problem})"))
        })?;
        Ok(ResolutionStep::Resolved(ResolvedDid::without_history(DidDocument::parse(did, &document)?)))
    }
}

/// Returns the HTTPS URL of a did:web document (`/.well-known/did.json`, or `/path/did.json`).
///
/// The host is a DNS name in lower case (`localhost` is allowed), never an IP address in any notation; a port is
/// appended as `%3A8443`. The fetcher decides whether the host may be contacted.
///
/// # Errors
/// `did_malformed` (IP address, bad port, path traversal...), `did_unsupported` (another method).
pub fn document_url(did: &Did) -> Result<String, Problem> {
    if did.method_name() != NAME {
        return Err(Code::DidUnsupported.into());
    }
    file_url(did.method_specific_id(), "did.json")
}

/// Returns the HTTPS URL of `file` at a location: a host, an optional port and path segments, separated by colons.
pub(super) fn file_url(place: &str, file: &str) -> Result<String, Problem> {
    let mut segments = place.split(':');
    let (host, port) = authority(segments.next().unwrap_or(""))?;
    let path: Vec<&str> = segments.map(segment).collect::<Result<_, _>>()?;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let text = if path.is_empty() {
        format!("https://{host}{port}/.well-known/{file}")
    } else {
        format!("https://{host}{port}/{}/{file}", path.join("/"))
    };
    // The URL parser that the fetcher will use must see the same host: it reads some names as addresses.
    let parsed = url::Url::parse(&text).map_err(|_| malformed("a DID's location is not a URL"))?;
    match parsed.host() {
        Some(url::Host::Domain(seen)) if seen == host => Ok(text),
        _ => Err(malformed("a DID's host is not a plain name")),
    }
}

fn authority(text: &str) -> Result<(&str, Option<u16>), Problem> {
    let (host, port) = match text.split_once('%') {
        None => (text, None),
        Some((host, encoded)) => {
            let digits = encoded
                .strip_prefix("3A")
                .or_else(|| encoded.strip_prefix("3a"))
                .filter(|digits| !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| malformed("a DID's port is malformed"))?;
            (host, Some(digits.parse().map_err(|_| malformed("a DID's port is malformed"))?))
        }
    };
    let labels_hold = host.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    });
    // No top-level domain begins with a digit, and every spelling of an IPv4 address ends in a number.
    let numeric = host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if host.len() > 253 || !labels_hold || numeric {
        return Err(malformed("a DID's host is not a name in lower case"));
    }
    Ok((host, port))
}

/// Checks one path segment and returns it unchanged. Percent-encoded characters that would change the meaning of the
/// path once decoded are refused.
fn segment(text: &str) -> Result<&str, Problem> {
    let mut rest = text;
    while let Some((_, encoded)) = rest.split_once('%') {
        let byte = encoded.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if byte.is_none_or(|byte| byte.is_ascii_control() || b"./\\%?#:".contains(&byte)) {
            return Err(malformed("a DID's path has a forbidden percent-encoding"));
        }
        rest = encoded;
    }
    if text.is_empty() || text == "." || text == ".." {
        return Err(malformed("a DID's path is malformed"));
    }
    Ok(text)
}
