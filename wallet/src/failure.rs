//! Failures of use cases: what happened, whether the data is safe, and what to do next, as message ids in place of
//! texts.

use carnet_core::Problem;
use serde_json::Value;

mod reason;
mod sentence;

pub use reason::FailureReason;
pub use sentence::{Sentence, SentenceArgument};

use crate::sanitise::sanitise;

/// Kind of failure, which determines whether a retry may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Invalid input by the holder.
    Usage,
    /// A retry would fail again.
    Permanent,
    /// A retry may succeed.
    Temporary,
}

/// State of the holder's data after a failure: whether the wallet is intact, and whether something was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSafety {
    /// The wallet is unchanged, and nothing was presented.
    Untouched,
    /// Nothing was presented; everything stored before is still stored.
    Stored,
    /// The approved presentation was sent to the verifier, or may have been.
    Sent,
    /// A copy may have been presented, but only to its own issuer; the wallet is intact.
    Issuer,
    /// The wallet is unreadable.
    Unreadable,
}

impl DataSafety {
    /// Returns the sentence for the holder that describes the state.
    #[must_use]
    pub const fn sentence(self) -> Sentence {
        Sentence::new(match self {
            Self::Untouched => "safety-untouched",
            Self::Stored => "safety-stored",
            Self::Sent => "safety-sent",
            Self::Issuer => "safety-issuer",
            Self::Unreadable => "safety-unreadable",
        })
    }

    /// Returns whether nothing was presented to a verifier and the wallet is readable.
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Untouched | Self::Stored | Self::Issuer)
    }
}

/// Party at fault for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultParty {
    /// This wallet or its holder.
    Ours,
    /// Verifier that sent a request.
    Verifier,
    /// Issuer of a credential.
    Issuer,
    /// Network, or a service that does not respond.
    Network,
}

impl FaultParty {
    /// Returns the stable name in JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Verifier => "asker",
            Self::Issuer => "issuer",
            Self::Network => "network",
        }
    }
}

/// Failure of a use case.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Cause, with its stable code.
    pub reason: FailureReason,
    /// Party at fault: that of the reason, unless another party caused it here.
    pub fault: FaultParty,
    /// Sentence that says what happened.
    pub message: Sentence,
    /// State of the holder's data.
    pub safety: DataSafety,
    /// Sentence that says what to do next.
    pub hint: Sentence,
    /// Kind of failure, which determines the exit code.
    pub kind: FailureKind,
    /// Additional members for programs, next to `error` in the JSON output.
    pub extra_members: Option<Box<Value>>,
}

impl Failure {
    /// Creates a permanent failure after which the wallet is unchanged and nothing was presented.
    pub fn new(reason: impl Into<FailureReason>, message: Sentence, hint: Sentence) -> Self {
        let reason = reason.into();
        Self {
            fault: reason.fault(),
            reason,
            message,
            safety: DataSafety::Untouched,
            hint,
            kind: FailureKind::Permanent,
            extra_members: None,
        }
    }

    /// Creates a failure for invalid input of the holder. The wallet is unchanged.
    pub fn usage(reason: impl Into<FailureReason>, message: Sentence, hint: Sentence) -> Self {
        Self { kind: FailureKind::Usage, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure for which a retry may succeed. The wallet is unchanged.
    pub fn temporary(reason: impl Into<FailureReason>, message: Sentence, hint: Sentence) -> Self {
        Self { kind: FailureKind::Temporary, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure for the holder's refusal. `undone` describes the action that was not taken.
    pub fn declined(undone: Sentence) -> Self {
        let message = Sentence::new("error-declined").with_part("undone", undone);
        Self::new(FailureReason::Declined, message, Sentence::new("hint-nothing-to-do"))
    }

    /// Creates a failure for a question that was not answered with yes or no. `undone` describes the action that was
    /// not taken.
    pub fn not_answered(undone: Sentence) -> Self {
        let message = Sentence::new("error-not-answered").with_part("undone", undone);
        Self::new(FailureReason::NotAnswered, message, Sentence::new("hint-answer"))
    }

    /// Converts a problem of core; its details follow the message. An unresolved DID may be caused by the network, so
    /// that failure is temporary; all others are permanent.
    pub fn from_problem(problem: &Problem, message: Sentence, hint: Sentence) -> Self {
        let unresolved = problem.code == carnet_core::Code::DidUnresolved;
        let kind = if unresolved { FailureKind::Temporary } else { FailureKind::Permanent };
        Self { kind, ..Self::new(problem.code, message.with_details(sanitise(&problem.detail)), hint) }
    }

    /// Sets the party at fault, unless that is the network.
    pub fn with_fault(self, fault: FaultParty) -> Self {
        if self.fault == FaultParty::Network { self } else { Self { fault, ..self } }
    }

    /// Sets the state of the holder's data.
    pub fn with_safety(self, safety: DataSafety) -> Self {
        Self { safety, ..self }
    }

    /// Sets the members next to `error` in the JSON output.
    pub fn with_members(self, members: Value) -> Self {
        Self { extra_members: Some(Box::new(members)), ..self }
    }
}
