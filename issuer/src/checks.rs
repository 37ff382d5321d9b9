//! Checks of texts chosen by callers: identifiers and reasons.

use crate::error::Error;

/// Maximum length of an identifier chosen by a caller, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 128;
/// Maximum length of a reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// Refuses an identifier that is empty, longer than 128 bytes, or contains control characters. `field` is its name in
/// the request.
///
/// # Errors
/// [`Error::Invalid`]
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(Error::invalid(field, format!("must be 1 to {MAX_ID_BYTES} bytes of text")));
    }
    Ok(())
}

/// Checks the ids in a request that changes an offer with [`check_id`]; `request_id` may be empty.
///
/// # Errors
/// [`Error::Invalid`]
pub(crate) fn check_change_ids(offer_id: &str, request_id: &str) -> Result<(), Error> {
    check_id("offer_id", offer_id)?;
    // These calls are idempotent in any case, so the request_id is optional.
    if request_id.is_empty() { Ok(()) } else { check_id("request_id", request_id) }
}

/// Returns a reason without the white space around it. Refuses one that is empty, longer than 500 characters, or
/// contains control characters such as line breaks.
///
/// # Errors
/// [`Error::Invalid`]
pub(crate) fn check_reason(reason: &str) -> Result<String, Error> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if length == 0 || length > MAX_REASON_CHARS || reason.chars().any(char::is_control) {
        return Err(Error::invalid("reason", format!("must be 1 to {MAX_REASON_CHARS} characters of one line")));
    }
    Ok(reason.to_owned())
}
