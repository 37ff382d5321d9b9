//! Reason that a verb did nothing, by a stable name.

use std::path::Path;

use carnet_console::{PROBLEM, USAGE};
use carnet_core::{Problem, text::shown_lines};
use carnet_service::config::StartError;
use serde_json::{Value, json};

/// Reason that nothing was done. Its text says what happened, what is unchanged, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}. {safe} ({reason})\nhint: {hint}", shown_lines(.what))]
pub(crate) struct Refusal {
    /// The stable reason, in `snake_case`: that of the check, where one failed.
    pub(crate) reason: &'static str,
    what: String,
    safe: &'static str,
    hint: String,
    /// The exit code.
    pub(crate) exit: u8,
}

impl Refusal {
    pub(crate) fn new(reason: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason, what: what.into(), safe: "Nothing was signed or written.", hint: hint.into(), exit: PROBLEM }
    }

    /// A file that the command line names and that is not there, or cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Self {
        let what = format!("{} cannot be read: {error}", path.display());
        Self { exit: USAGE, ..Self::new("file_unreadable", what, "check the path, and that the file is text in UTF-8") }
    }

    /// The same, with where it happened.
    pub(crate) fn at(self, place: &str) -> Self {
        Self { what: format!("{place}: {}", self.what), ..self }
    }

    /// The same, with something else to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Replaces the statement on what was signed or written.
    pub(crate) fn safe(self, safe: &'static str) -> Self {
        Self { safe, ..self }
    }

    /// The members of the error object.
    pub(crate) fn json(&self) -> Value {
        let message = format!("{}. {}", shown_lines(&self.what), self.safe);
        json!({"reason": self.reason, "message": message, "hint": self.hint})
    }

    /// A refusal by core.
    pub(crate) fn of(problem: &Problem, what: &str, hint: impl Into<String>) -> Self {
        Self::new(problem.code.as_str(), format!("{what}: {}", problem.detail.trim_end_matches('.')), hint)
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        // The error of the key's own module says if the key is safe.
        Self {
            reason: "operator_directory",
            what: error.message.trim_end_matches('.').to_owned(),
            safe: "Nothing was signed.",
            hint: error.hint,
            exit: if error.absent { USAGE } else { PROBLEM },
        }
    }
}
