//! Failures of a command in three lines: the event, the safety of the data, and the next step.

pub(crate) use carnet_console::{PROBLEM, TRY_AGAIN, USAGE};
use carnet_core::Problem;
use serde_json::{Value, json};
use tonic_types::StatusExt;

use crate::ui::sanitise::clean;

/// State of the owner's data after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// The wallet is unchanged, and nothing was shown.
    Untouched,
    /// Nothing was shown; everything stored before remains stored.
    Stored,
    /// The approved presentation was sent, or may have been.
    Sent,
    /// A copy may have been shown to its own issuer only.
    Issuer,
    /// The wallet is unreadable.
    Unreadable,
}

impl Safety {
    fn sentence(self) -> &'static str {
        match self {
            Self::Untouched => "Your wallet is as it was, and none of your data was shown to anyone.",
            Self::Stored => "Your wallet is intact, and none of your data was shown to anyone.",
            Self::Sent => "Your wallet is intact. What you approved may have reached the asker, and nothing else.",
            Self::Issuer => "Your wallet is intact. A copy may have been shown to its own issuer, and to nobody else.",
            Self::Unreadable => "The wallet file was not changed. Nothing was shown to anyone.",
        }
    }

    fn is_safe(self) -> bool {
        matches!(self, Self::Untouched | Self::Stored | Self::Issuer)
    }
}

/// Failure of a command.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Stable reason in `snake_case`.
    pub(crate) reason: String,
    /// Description of the event.
    pub(crate) message: String,
    /// State of the data.
    pub(crate) safety: Safety,
    /// Advice on the next step.
    pub(crate) hint: String,
    /// Exit code of the process.
    pub(crate) exit: u8,
    /// With `--json`: further members next to `error`.
    pub(crate) beside: Option<Box<Value>>,
}

impl Failure {
    /// Creates a failure that left everything unchanged.
    pub(crate) fn new(reason: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason: reason.to_owned(),
            message: message.into(),
            safety: Safety::Untouched,
            hint: hint.into(),
            exit: PROBLEM,
            beside: None,
        }
    }

    /// Creates a failure for wrong usage.
    pub(crate) fn usage(reason: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: USAGE, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure that a retry may fix.
    pub(crate) fn later(reason: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: TRY_AGAIN, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure for the owner's refusal. `undone` names the action that was not taken.
    pub(crate) fn declined(undone: &str) -> Self {
        Self::new("declined", format!("You said no; {undone}"), "nothing more to do")
    }

    /// Creates a failure for a question without a yes or no. `undone` names the action that was not taken.
    pub(crate) fn not_answered(undone: &str) -> Self {
        let hint = "run the same command again; answer with a whole word of the question, or with 1 for yes, 2 for no";
        Self::new("not_answered", format!("The question was answered neither with yes nor with no; {undone}"), hint)
    }

    /// Converts a problem of core, with advice. An unresolvable DID may be caused by the network and counts as
    /// temporary.
    pub(crate) fn from_problem(problem: &Problem, message: &str, hint: &str) -> Self {
        let exit = if problem.code == carnet_core::Code::DidUnresolved { TRY_AGAIN } else { PROBLEM };
        let message = format!("{message}: {}", clean(&problem.detail));
        Self { exit, ..Self::new(problem.code.as_str(), message, hint) }
    }

    /// Converts the error of a service: its stable reason if it has one, and whether a retry may help.
    pub(crate) fn from_status(status: &tonic::Status, doing: &str) -> Self {
        let named = status.get_details_error_info().map(|info| info.reason.to_lowercase());
        let reason = named.map_or_else(|| code_name(status.code()).to_owned(), |reason| clean(&reason));
        let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let passing = match status.code() {
            tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => true,
            // tonic reports an expired deadline of this wallet as a cancellation.
            tonic::Code::Cancelled => true,
            // A retry sends the same message, which is still too large.
            tonic::Code::ResourceExhausted => reason != "message_too_large",
            _ => false,
        };
        let later = retry.is_some() || passing;
        let message = format!("{doing} failed: {}", clean(status.message()));
        match retry {
            Some(wait) => Self::later(&reason, message, format!("try again in {} s", wait.as_secs().max(1))),
            None if later => Self::later(&reason, message, "check your connection and try again"),
            None => Self::new(&reason, message, hint_for(&reason)),
        }
    }

    /// Replaces the state of the data.
    pub(crate) fn with_safety(self, safety: Safety) -> Self {
        Self { safety, ..self }
    }

    /// Adds members next to `error`.
    pub(crate) fn beside(self, members: Value) -> Self {
        Self { beside: Some(Box::new(members)), ..self }
    }

    /// Returns the three lines.
    pub(crate) fn text(&self) -> String {
        format!("error: {} [{}]\n{}\nhint: {}\n", self.message, self.reason, self.safety.sentence(), self.hint)
    }

    /// Returns the object for `--json`.
    pub(crate) fn json(&self) -> Value {
        let mut whole = match self.beside.as_deref() {
            Some(Value::Object(members)) => members.clone(),
            _ => serde_json::Map::new(),
        };
        let error = json!({
            "reason": self.reason, "message": self.message, "data_safe": self.safety.is_safe(),
            "data": self.safety.sentence(), "hint": self.hint,
        });
        whole.insert("error".to_owned(), error);
        Value::Object(whole)
    }
}

fn code_name(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::Unavailable => "unavailable",
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => "deadline_exceeded",
        tonic::Code::Unauthenticated => "unauthenticated",
        tonic::Code::PermissionDenied => "permission_denied",
        tonic::Code::NotFound => "not_found",
        tonic::Code::InvalidArgument => "invalid_argument",
        tonic::Code::FailedPrecondition => "failed_precondition",
        tonic::Code::ResourceExhausted => "resource_exhausted",
        _ => "service_error",
    }
}

fn hint_for(reason: &str) -> &'static str {
    match reason {
        "invalid_grant" => "check the PIN; if the offer was used or is too old, ask the issuer for a new one",
        "not_found" | "expired" | "request_expired" => "ask for a new one",
        _ => "if it stays so, tell the other side the name in brackets",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn three_lines_and_one_object() {
        let failure = Failure::new("a_reason", "It broke", "mend it");
        let text = failure.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "error: It broke [a_reason]");
        assert!(lines[2].starts_with("hint: "));
        assert_eq!(failure.json()["error"]["data_safe"], true);
    }

    #[test]
    fn a_status_keeps_its_reason_and_loses_its_control_characters() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_GRANT", "carnet", std::collections::HashMap::<String, String>::new());
        let status = tonic::Status::with_error_details(tonic::Code::PermissionDenied, "no\u{1b}[31m\u{202e}", details);
        let failure = Failure::from_status(&status, "redeeming");
        assert_eq!((failure.reason.as_str(), failure.exit), ("invalid_grant", PROBLEM));
        assert!(failure.message.ends_with("no[U+001B][31m[U+202E]"), "{}", failure.message);
        assert_eq!(Failure::from_status(&tonic::Status::unavailable("x"), "y").exit, TRY_AGAIN);
        let late = Failure::from_status(&tonic::Status::cancelled("Timeout expired"), "y");
        assert_eq!((late.reason.as_str(), late.exit), ("deadline_exceeded", TRY_AGAIN));
        let exhausted = |reason: &str| {
            let details =
                ErrorDetails::with_error_info(reason, "carnet", std::collections::HashMap::<String, String>::new());
            let status = tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "x", details);
            Failure::from_status(&status, "y").exit
        };
        assert_eq!((exhausted("CALLS_EXHAUSTED"), exhausted("MESSAGE_TOO_LARGE")), (TRY_AGAIN, PROBLEM));
    }
}
