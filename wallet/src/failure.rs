//! Failures of a command in three lines: the event, the safety of the data, and the next step.

pub(crate) use carnet_console::{PROBLEM, TRY_AGAIN, USAGE};
use carnet_core::Problem;
use serde_json::{Value, json};
use tonic_types::StatusExt;

mod sentence;

pub(crate) use sentence::Sentence;

use crate::ui::{messages::Messages, sanitise::clean};

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
    const fn text(self) -> Sentence {
        Sentence::id(match self {
            Self::Untouched => "safety-untouched",
            Self::Stored => "safety-stored",
            Self::Sent => "safety-sent",
            Self::Issuer => "safety-issuer",
            Self::Unreadable => "safety-unreadable",
        })
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
    pub(crate) message: Sentence,
    /// State of the data.
    pub(crate) safety: Safety,
    /// Advice on the next step.
    pub(crate) hint: Sentence,
    /// Exit code of the process.
    pub(crate) exit: u8,
    /// With `--json`: further members next to `error`.
    pub(crate) beside: Option<Box<Value>>,
}

impl Failure {
    /// Creates a failure that left everything unchanged.
    pub(crate) fn new(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self { reason: reason.to_owned(), message, safety: Safety::Untouched, hint, exit: PROBLEM, beside: None }
    }

    /// Creates a failure for wrong usage.
    pub(crate) fn usage(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self { exit: USAGE, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure that a retry may fix.
    pub(crate) fn later(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self { exit: TRY_AGAIN, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure for the owner's refusal. `undone` names the action that was not taken.
    pub(crate) fn declined(undone: Sentence) -> Self {
        let message = Sentence::id("error-declined").with_part("undone", undone);
        Self::new("declined", message, Sentence::id("hint-nothing-to-do"))
    }

    /// Creates a failure for a question without a yes or no. `undone` names the action that was not taken.
    pub(crate) fn not_answered(undone: Sentence) -> Self {
        let message = Sentence::id("error-not-answered").with_part("undone", undone);
        Self::new("not_answered", message, Sentence::id("hint-answer"))
    }

    /// Converts a problem of core, with advice. An unresolvable DID may be caused by the network and counts as
    /// temporary.
    pub(crate) fn from_problem(problem: &Problem, message: Sentence, hint: Sentence) -> Self {
        let exit = if problem.code == carnet_core::Code::DidUnresolved { TRY_AGAIN } else { PROBLEM };
        Self { exit, ..Self::new(problem.code.as_str(), message.details(clean(&problem.detail)), hint) }
    }

    /// Converts the error of a service: its stable reason if it has one, and whether a retry may help. `message` says
    /// what failed.
    pub(crate) fn from_status(status: &tonic::Status, message: Sentence) -> Self {
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
        let message = message.details(clean(status.message()));
        match retry {
            Some(wait) => {
                Self::later(&reason, message, Sentence::id("hint-wait").with("seconds", wait.as_secs().max(1)))
            }
            None if later => Self::later(&reason, message, Sentence::id("hint-connection")),
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

    /// Returns the three lines in a language.
    pub(crate) fn text(&self, messages: &Messages) -> String {
        let message = self.message.said(messages);
        let error = messages.with("failure-error", &[("message", &message), ("reason", &self.reason)]);
        let hint = messages.with("failure-hint", &[("hint", &self.hint.said(messages))]);
        format!("{error}\n{}\n{hint}\n", self.safety.text().said(messages))
    }

    /// Returns the object for `--json`, in English whatever the language of the session.
    pub(crate) fn json(&self) -> Value {
        let mut whole = match self.beside.as_deref() {
            Some(Value::Object(members)) => members.clone(),
            _ => serde_json::Map::new(),
        };
        let error = json!({
            "reason": self.reason, "message": self.message.english(), "data_safe": self.safety.is_safe(),
            "data": self.safety.text().english(), "hint": self.hint.english(),
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

fn hint_for(reason: &str) -> Sentence {
    Sentence::id(match reason {
        "invalid_grant" => "hint-invalid-grant",
        "not_found" | "expired" | "request_expired" => "hint-ask-new",
        _ => "hint-name-in-brackets",
    })
}

#[cfg(test)]
mod tests;
