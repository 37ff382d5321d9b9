//! Output that is displayed only once: a token, a link, a PIN.

use std::fmt::Display;

use carnet_console::Unwritable;
use serde_json::Value;

use crate::config::StartError;

/// Checks that standard output can be written, before a command changes anything.
///
/// # Errors
/// Standard output is closed, full, a pipe without a reader, or `/dev/null`.
pub fn require_writable_output(json: bool) -> Result<(), StartError> {
    carnet_console::check_output(json).map_err(|error| unwritable(&error))
}

/// Checks that standard output goes somewhere, before a command changes anything, and writes nothing: the first line of
/// the output is then the result, as scripts expect.
///
/// # Errors
/// Standard output is closed or `/dev/null`.
pub fn require_output_for_scripts() -> Result<(), StartError> {
    carnet_console::require_reader().map_err(|error| unwritable(&error))
}

fn unwritable(error: &Unwritable) -> StartError {
    StartError::new(
        format!("{}: the output is shown only once. Nothing was changed.", capitalized(error)),
        "Send it to a terminal, to a file with room, or to a program that reads it.",
    )
}

/// Prints a result that is displayed only once: as JSON, or as text for people.
///
/// # Errors
/// It could not be written. The error contains `made`, a sentence about what was created, and `hint`.
pub fn show_once(
    json: bool,
    value: &Value,
    text: impl FnOnce() -> String,
    made: impl Display,
    hint: impl Into<String>,
) -> Result<(), StartError> {
    let shown = zeroize::Zeroizing::new(if json { value.to_string() } else { text() });
    carnet_console::print_once(shown.as_str())
        .map_err(|error| StartError::new(format!("{}. {made}", capitalized(&error)), hint))
}

fn capitalized(error: &Unwritable) -> String {
    error.to_string().replacen("standard", "Standard", 1)
}
