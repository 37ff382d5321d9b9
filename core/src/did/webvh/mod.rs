//! did:webvh 1.0: a DID with a log that proves every version of its document (spec/dids.md section 2).
//!
//! The caller fetches the log and the witness file; [`UnwitnessedLog::verify`] and [`UnwitnessedLog::verify_witnesses`]
//! verify them and return a [`WebVhLog`].

use super::{Did, DidMethod, malformed, web};
use crate::{Code, Problem};

mod create;
mod entry;
mod log;
mod parameters;
#[cfg(test)]
mod tests;
mod witness;

pub use create::{Inception, LogUpdate, append, create};
pub use log::{UnwitnessedLog, Version, WebVhLog};

/// Value of the `method` parameter.
const METHOD: &str = "did:webvh:1.0";
/// Placeholder for the self-certifying identifier (SCID) while it is computed.
const PLACEHOLDER: &str = "{SCID}";
/// Maximum size of a log, in bytes.
pub const MAX_BYTES: usize = 1_048_576;
/// Maximum number of entries of a log: five years of weekly rotation.
pub const MAX_ENTRIES: usize = 256;
/// Maximum size of a witness file, in bytes.
pub const MAX_WITNESS_BYTES: usize = 262_144;
/// Maximum number of entries of any list. It bounds the work that one log entry can cause.
const MAX_LIST: usize = 64;

fn invalid(what: impl Into<String>) -> Problem {
    Problem::new(Code::DidLogInvalid, what)
}

/// Returns the self-certifying identifier (SCID) of a did:webvh DID, and the location after it: host, port and path.
///
/// # Errors
/// `did_malformed`; `did_unsupported` (another method).
fn parts(did: &Did) -> Result<(&str, &str), Problem> {
    if did.method() != DidMethod::WebVh {
        return Err(Code::DidUnsupported.into());
    }
    let (scid, place) = did.id().split_once(':').ok_or_else(|| malformed("a did:webvh names no host"))?;
    if entry::is_hash(scid) { Ok((scid, place)) } else { Err(malformed("a did:webvh's SCID is malformed")) }
}

/// Returns the HTTPS URL of a did:webvh log (`/.well-known/did.jsonl`, or `/path/did.jsonl`), under the rules of
/// [`web::document_url`].
///
/// # Errors
/// `did_malformed`, `did_unsupported` (another method).
pub fn log_url(did: &Did) -> Result<String, Problem> {
    web::location(parts(did)?.1, "did.jsonl")
}

/// Returns the HTTPS URL of the witness file, which is next to the log.
///
/// # Errors
/// As [`log_url()`].
pub fn witness_url(did: &Did) -> Result<String, Problem> {
    web::location(parts(did)?.1, "did-witness.json")
}
