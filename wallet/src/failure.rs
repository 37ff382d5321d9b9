//! Failures: the event, the safety of the data, and the next step, in no language yet.

use carnet_core::Problem;
use serde_json::Value;

mod sentence;

pub use sentence::{Argument, Sentence};

use crate::sanitise::clean;

/// Class of a failure, which determines what may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Wrong input by the owner.
    Usage,
    /// A retry gives the same result.
    Permanent,
    /// A retry may succeed.
    Temporary,
}

/// State of the owner's data after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
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
    /// Returns the sentence that tells it.
    #[must_use]
    pub const fn text(self) -> Sentence {
        Sentence::id(match self {
            Self::Untouched => "safety-untouched",
            Self::Stored => "safety-stored",
            Self::Sent => "safety-sent",
            Self::Issuer => "safety-issuer",
            Self::Unreadable => "safety-unreadable",
        })
    }

    /// Tests if nothing was shown to a verifier and the wallet is readable.
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Untouched | Self::Stored | Self::Issuer)
    }
}

/// Party at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This wallet or its owner.
    Ours,
    /// Verifier that asks.
    Asker,
    /// Issuer of a credential.
    Issuer,
    /// Network, or a service that does not answer.
    Network,
}

impl Fault {
    /// Returns the stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Asker => "asker",
            Self::Issuer => "issuer",
            Self::Network => "network",
        }
    }
}

/// Failure of a use case.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Stable reason in `snake_case`.
    pub reason: String,
    /// Party at fault.
    pub fault: Fault,
    /// Description of the event.
    pub message: Sentence,
    /// State of the data.
    pub safety: Safety,
    /// Advice on the next step.
    pub hint: Sentence,
    /// Class of the failure.
    pub kind: FailureKind,
    /// Facts about the event for programs: members next to the error.
    pub beside: Option<Box<Value>>,
}

impl Failure {
    /// Creates a failure that left everything unchanged.
    pub fn new(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self {
            reason: reason.to_owned(),
            fault: Fault::Ours,
            message,
            safety: Safety::Untouched,
            hint,
            kind: FailureKind::Permanent,
            beside: None,
        }
    }

    /// Creates a failure for wrong usage.
    pub fn usage(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self { kind: FailureKind::Usage, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure that a retry may fix.
    pub fn later(reason: &str, message: Sentence, hint: Sentence) -> Self {
        Self { kind: FailureKind::Temporary, ..Self::new(reason, message, hint) }
    }

    /// Creates a failure for the owner's refusal. `undone` names the action that was not taken.
    pub fn declined(undone: Sentence) -> Self {
        let message = Sentence::id("error-declined").with_part("undone", undone);
        Self::new("declined", message, Sentence::id("hint-nothing-to-do"))
    }

    /// Creates a failure for a question without a yes or no. `undone` names the action that was not taken.
    pub fn not_answered(undone: Sentence) -> Self {
        let message = Sentence::id("error-not-answered").with_part("undone", undone);
        Self::new("not_answered", message, Sentence::id("hint-answer"))
    }

    /// Converts a problem of core, with advice. An unresolvable DID may be caused by the network and counts as
    /// temporary.
    pub fn from_problem(problem: &Problem, message: Sentence, hint: Sentence) -> Self {
        let unresolved = problem.code == carnet_core::Code::DidUnresolved;
        let (kind, fault) =
            if unresolved { (FailureKind::Temporary, Fault::Network) } else { (FailureKind::Permanent, Fault::Ours) };
        Self { kind, fault, ..Self::new(problem.code.as_str(), message.details(clean(&problem.detail)), hint) }
    }

    /// Names the party at fault, unless the network is.
    pub fn by(self, fault: Fault) -> Self {
        if self.fault == Fault::Network { self } else { Self { fault, ..self } }
    }

    /// Replaces the state of the data.
    pub fn with_safety(self, safety: Safety) -> Self {
        Self { safety, ..self }
    }

    /// Adds members next to `error`.
    pub fn beside(self, members: Value) -> Self {
        Self { beside: Some(Box::new(members)), ..self }
    }
}
