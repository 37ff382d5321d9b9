//! Errors of commands, with stable codes.

use std::path::Path;

use carnet_console::{EXIT_FAILURE, EXIT_USAGE};
use carnet_core::{Problem, text::displayable_lines};
use carnet_service::config::StartError;
use serde_json::{Value, json};

/// Error of a command. The text states the error, whether anything was signed or written, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}. {safe} ({reason})\nhint: {hint}", displayable_lines(.what))]
pub(crate) struct CommandError {
    /// Stable reason, in `snake_case`: the code of the failed check, or one of this program.
    pub(crate) reason: &'static str,
    what: String,
    safe: &'static str,
    hint: String,
    /// Exit code of the program.
    pub(crate) exit: u8,
}

impl CommandError {
    pub(crate) fn new(reason: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason,
            what: what.into(),
            safe: "Nothing was signed or written.",
            hint: hint.into(),
            exit: EXIT_FAILURE,
        }
    }

    /// Creates the error for a file named on the command line that is missing or unreadable.
    pub(crate) fn unreadable_file(path: &Path, error: &dyn std::fmt::Display) -> Self {
        let what = format!("{} cannot be read: {error}", path.display());
        Self {
            exit: EXIT_USAGE,
            ..Self::new("file_unreadable", what, "check the path, and that the file is text in UTF-8")
        }
    }

    /// Puts a location before the error text.
    pub(crate) fn with_location(self, place: &str) -> Self {
        Self { what: format!("{place}: {}", self.what), ..self }
    }

    /// Replaces the advice on what to do.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Replaces the statement whether anything was signed or written.
    pub(crate) fn with_safety(self, safe: &'static str) -> Self {
        Self { safe, ..self }
    }

    /// Returns the members of the JSON error object.
    pub(crate) fn to_json(&self) -> Value {
        let message = format!("{}. {}", displayable_lines(&self.what), self.safe);
        json!({"reason": self.reason, "message": message, "hint": self.hint})
    }

    /// Creates an error from a core problem: its code becomes the reason, and its detail follows `what`.
    pub(crate) fn from_problem(problem: &Problem, what: &str, hint: impl Into<String>) -> Self {
        Self::new(problem.code.as_str(), format!("{what}: {}", problem.detail.trim_end_matches('.')), hint)
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        // The message of the key module states whether the key is safe.
        Self {
            reason: "operator_directory",
            what: error.message.trim_end_matches('.').to_owned(),
            safe: "Nothing was signed.",
            hint: error.hint,
            exit: if error.is_input_missing { EXIT_USAGE } else { EXIT_FAILURE },
        }
    }
}
