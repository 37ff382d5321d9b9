//! Errors of staff commands, as text for people and as exit codes for scripts.

use carnet_core::text::displayable_lines;
use serde_json::{Value, json};
use tonic::Code;

use crate::{config::StartError, wire};

/// Reason of the error for a method that the service does not have.
const METHOD_UNKNOWN: &str = "METHOD_UNKNOWN";
/// Reason of the error for a message over the size limit; a retry cannot succeed.
const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";

/// Error of a staff command.
#[derive(Debug, thiserror::Error)]
pub enum StaffFailure {
    /// The command could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The service returned an error, or the connection failed.
    #[error("{}", describe(.0))]
    Refused(Box<tonic::Status>),
    /// The input of the command is invalid.
    #[error("{0}")]
    Input(String),
    /// A file named on the command line is missing or unreadable.
    #[error("{0}")]
    Unreadable(String),
    /// Error found by the command itself, with a stable reason.
    #[error("{text}")]
    WithReason {
        /// Stable reason, in `snake_case`.
        reason: &'static str,
        /// Text for people. If it has advice, that is the last line and begins with `hint: `.
        text: String,
    },
}

impl From<tonic::Status> for StaffFailure {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl StaffFailure {
    /// Prints the error as text or as a JSON object, and returns the exit code.
    #[must_use]
    pub fn report(&self) -> std::process::ExitCode {
        carnet_console::print_failure(self, &self.to_json());
        carnet_console::exit_code(self.exit_code())
    }

    /// Returns the members of the JSON error object.
    fn to_json(&self) -> Value {
        let text = self.to_string();
        let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        let reason = match self {
            Self::Start(error) if error.is_retryable => "not_now".to_owned(),
            Self::Start(error) if error.unreadable => "file_unreadable".to_owned(),
            Self::Start(_) => "not_begun".to_owned(),
            Self::Refused(status) => {
                let code = || format!("{:?}", status.code());
                snake_case(&wire::status_reason(status).unwrap_or_else(code))
            }
            Self::Input(_) => "input".to_owned(),
            Self::Unreadable(_) => "file_unreadable".to_owned(),
            Self::WithReason { reason, .. } => (*reason).to_owned(),
        };
        json!({"reason": reason, "message": message, "hint": hint})
    }

    /// Returns the exit code: 1 for a problem, 2 if a file or secret named in the command is missing, 3 if a retry may
    /// succeed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let passing = match self {
            Self::Refused(status) => {
                matches!(
                    status.code(),
                    Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted
                ) && wire::status_reason(status).as_deref() != Some(MESSAGE_TOO_LARGE)
            }
            Self::Start(error) if error.is_input_missing => return carnet_console::EXIT_USAGE,
            Self::Start(error) => error.is_retryable,
            Self::Unreadable(_) => return carnet_console::EXIT_USAGE,
            Self::WithReason { reason: "file_unreadable", .. } => return carnet_console::EXIT_USAGE,
            Self::Input(_) | Self::WithReason { .. } => false,
        };
        if passing { carnet_console::EXIT_TRY_AGAIN } else { carnet_console::EXIT_FAILURE }
    }
}

/// Converts `INVALID_GRANT` and `InvalidArgument` to lower snake case, the form of reasons in JSON output.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len().saturating_add(4));
    let mut before = false;
    for c in name.chars() {
        if before && c.is_ascii_uppercase() {
            text.push('_');
        }
        before = c.is_ascii_lowercase();
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// Returns the service's message with its stable reason, or with the gRPC code if it has none.
fn describe(status: &tonic::Status) -> String {
    match wire::status_reason(status).filter(|reason| reason != METHOD_UNKNOWN) {
        Some(reason) => format!("{} ({reason})", displayable_lines(status.message())),
        // Another or an older Carnet service returns neither a reason nor a message.
        None if status.code() == Code::Unimplemented => {
            "The service at that address is another one, or an older version without this method. Nothing was changed.\n\
             hint: check --server"
                .to_owned()
        }
        None => format!("{} ({:?})", displayable_lines(status.message()), status.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_service_is_said_to_be_one() {
        let other = StaffFailure::from(tonic::Status::new(Code::Unimplemented, ""));
        assert!(other.to_string().contains("--server"), "{other}");
        let named = StaffFailure::from(wire::error_status(Code::Unimplemented, METHOD_UNKNOWN, "Not here."));
        assert_eq!(named.to_string(), other.to_string());
        let ours = StaffFailure::from(wire::error_status(Code::Unimplemented, "NO_STATUS_LISTS", "None."));
        assert_eq!(ours.to_string(), "None. (NO_STATUS_LISTS)");
    }

    #[test]
    fn programs_are_told_a_reason_a_message_and_a_hint() {
        let of = |failure: StaffFailure| failure.to_json();
        let refused = of(wire::error_status(Code::PermissionDenied, "INVALID_GRANT", "No such code.").into());
        assert_eq!(refused["reason"], "invalid_grant");
        assert!(refused["message"].as_str().unwrap().contains("No such code."), "{refused}");
        assert_eq!(of(tonic::Status::new(Code::DeadlineExceeded, "x").into())["reason"], "deadline_exceeded");
        let start = of(StartError::new("There is no token.", "Give --token-file.").into());
        assert_eq!(
            start,
            json!({"reason": "not_begun", "message": "There is no token.", "hint": "Give --token-file."})
        );
        assert_eq!(of(StartError::new("a", "b").retryable().into())["reason"], "not_now");
        assert_eq!(of(StaffFailure::Input("c".to_owned())), json!({"reason": "input", "message": "c", "hint": ""}));
    }

    #[test]
    fn trying_again_is_said_only_where_it_may_help() {
        let refused = |code| StaffFailure::from(tonic::Status::new(code, "x")).exit_code();
        assert_eq!(refused(Code::Unavailable), 3);
        assert_eq!(refused(Code::InvalidArgument), 1);
        assert_eq!(refused(Code::ResourceExhausted), 3);
        let large = wire::error_status(Code::ResourceExhausted, MESSAGE_TOO_LARGE, "x");
        assert_eq!(StaffFailure::from(large).exit_code(), 1);
        assert_eq!(StaffFailure::from(StartError::new("a", "b")).exit_code(), 1);
        assert_eq!(StaffFailure::from(StartError::new("a", "b").retryable()).exit_code(), 3);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_refused() {
        let named = |reason| StaffFailure::WithReason { reason, text: "x".to_owned() }.exit_code();
        assert_eq!((named("file_unreadable"), named("context_missing")), (2, 1));
        assert_eq!(StaffFailure::Unreadable("x".to_owned()).exit_code(), 2);
        assert_eq!(StaffFailure::Input("x".to_owned()).exit_code(), 1);
        assert_eq!(StaffFailure::from(StartError::new("a", "b").input_missing()).exit_code(), 2);
    }
}
