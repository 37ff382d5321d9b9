//! did:webvh 1.0: a DID with a log that proves every version of its document (spec/dids.md section 2).
//!
//! The caller fetches the log and the witness file; [`UnwitnessedLog::verify_entries`] and [`UnwitnessedLog::verify_witnesses`]
//! verify them and return a [`WebVhLog`].

use super::{Did, DidDriver, PublishedDidFile, ResolutionStep, malformed, web};
use crate::{
    Code, Problem,
    time::{CLOCK_SKEW, Timestamp},
};

mod create;
mod entry;
mod log;
mod parameters;
#[cfg(test)]
mod tests;
mod witness;

pub use create::{LogUpdate, NewWebVhDid, append, create_did};
pub use log::{DocumentVersion, UnwitnessedLog, WebVhLog};

const NAME: &str = "webvh";
/// Value of the `method` parameter.
const METHOD: &str = "did:webvh:1.0";
/// Placeholder for the self-certifying identifier (SCID) while it is computed.
const PLACEHOLDER: &str = "{SCID}";
/// Maximum size of a log, in bytes.
pub const MAX_LOG_BYTES: usize = 1_048_576;
/// Maximum number of entries of a log: five years of weekly rotation.
pub const MAX_LOG_ENTRIES: usize = 256;
/// Maximum size of a witness file, in bytes.
pub const MAX_WITNESS_BYTES: usize = 262_144;
/// Maximum number of entries of any list. It bounds the work that one log entry can cause.
const MAX_LIST: usize = 64;

/// Driver of did:webvh: the log, and the witness file if the log needs one.
#[derive(Debug, Clone, Copy)]
pub struct DidWebVh;

impl DidDriver for DidWebVh {
    fn name(&self) -> &'static str {
        NAME
    }

    fn location(&self, did: &Did) -> Result<PublishedDidFile, Problem> {
        Ok(PublishedDidFile { url: log_url(did)?, name: "did.jsonl", accept: "text/jsonl", max_bytes: MAX_LOG_BYTES })
    }

    /// Verifies the log.
    ///
    /// # Errors
    /// Those of [`UnwitnessedLog::verify_entries`] and [`UnwitnessedLog::verify_witnesses`].
    fn read(&self, did: &Did, file: &[u8], now: Timestamp) -> Result<ResolutionStep, Problem> {
        let log = UnwitnessedLog::verify_entries(did, file, now, CLOCK_SKEW)?;
        let read = |log: UnwitnessedLog, witnesses: Option<&[u8]>, now: Timestamp| {
            log.verify_witnesses(witnesses, now, CLOCK_SKEW).map(|log| ResolutionStep::Resolved(log.resolved()))
        };
        if !log.needs_witnesses() {
            return read(log, None, now);
        }
        let (url, accept) = (witness_url(did)?, "application/json");
        let file = PublishedDidFile { url, name: "did-witness.json", accept, max_bytes: MAX_WITNESS_BYTES };
        Ok(ResolutionStep::Fetch(file, Box::new(move |witnesses, now| read(log, Some(witnesses), now))))
    }

    fn invalid_code(&self) -> Code {
        Code::DidLogInvalid
    }
}

fn invalid(what: impl Into<String>) -> Problem {
    Problem::new(Code::DidLogInvalid, what)
}

/// Returns the self-certifying identifier (SCID) of a did:webvh DID, and the location after it: host, port and path.
///
/// # Errors
/// `did_malformed`; `did_unsupported` (another method).
fn parts(did: &Did) -> Result<(&str, &str), Problem> {
    if did.method_name() != NAME {
        return Err(Code::DidUnsupported.into());
    }
    let (scid, place) =
        did.method_specific_id().split_once(':').ok_or_else(|| malformed("a did:webvh names no host"))?;
    if entry::is_hash(scid) { Ok((scid, place)) } else { Err(malformed("a did:webvh's SCID is malformed")) }
}

/// Returns the HTTPS URL of a did:webvh log (`/.well-known/did.jsonl`, or `/path/did.jsonl`), under the rules of
/// [`web::document_url`].
///
/// # Errors
/// `did_malformed`, `did_unsupported` (another method).
pub fn log_url(did: &Did) -> Result<String, Problem> {
    web::file_url(parts(did)?.1, "did.jsonl")
}

/// Returns the HTTPS URL of the witness file, which is next to the log.
///
/// # Errors
/// As [`log_url()`].
pub fn witness_url(did: &Did) -> Result<String, Problem> {
    web::file_url(parts(did)?.1, "did-witness.json")
}
