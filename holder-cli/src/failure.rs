//! Output of failures on three lines: what happened, whether the data is safe, and what to do next.

use carnet_console::{EXIT_FAILURE, EXIT_TRY_AGAIN, EXIT_USAGE};
use carnet_core::Code;
pub(crate) use carnet_wallet::failure::{
    DataSafety, Failure, FailureKind, FailureReason, FaultParty, Sentence, SentenceArgument,
};
use serde_json::{Value, json};
use tonic_types::StatusExt;

use crate::ui::messages::{Language, LocalizedMessages};
use carnet_wallet::sanitise::sanitise;

/// Translation of a sentence into the language of the messages.
pub(crate) trait Translate {
    /// Returns the text in the language of the messages.
    fn translate(&self, messages: &LocalizedMessages) -> String;

    /// Returns the text in English, for programs.
    fn english(&self) -> String {
        self.translate(&LocalizedMessages::new(Language::En))
    }
}

impl Translate for Sentence {
    fn translate(&self, messages: &LocalizedMessages) -> String {
        let said: Vec<(&str, String)> =
            self.arguments().map(|(name, value)| (name, value.translate(messages))).collect();
        let arguments: Vec<(&str, &str)> = said.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut sentence = messages.format(self.message_id(), &arguments);
        if !self.technical_details().is_empty() {
            let arguments = [("text", sentence.as_str()), ("details", self.technical_details())];
            sentence = messages.format("failure-details", &arguments);
        }
        match self.next() {
            Some(next) => {
                messages.format("failure-both", &[("first", &sentence), ("second", &next.translate(messages))])
            }
            None => sentence,
        }
    }
}

impl Translate for SentenceArgument {
    fn translate(&self, messages: &LocalizedMessages) -> String {
        match self {
            Self::Value(value) => value.clone(),
            Self::Nested(text) => text.translate(messages),
        }
    }
}

/// Output of a failure: exit code, text and JSON.
pub(crate) trait FailureOutput {
    /// Returns the exit code by the kind of failure: 1 permanent, 2 usage, 3 temporary.
    fn exit_code(&self) -> u8;
    /// Returns the three lines in the language of the messages.
    fn text(&self, messages: &LocalizedMessages) -> String;
    /// Returns the object for `--json`, always in English.
    fn json(&self) -> Value;
}

impl FailureOutput for Failure {
    fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Usage => EXIT_USAGE,
            FailureKind::Permanent => EXIT_FAILURE,
            FailureKind::Temporary => EXIT_TRY_AGAIN,
        }
    }

    fn text(&self, messages: &LocalizedMessages) -> String {
        let message = self.message.translate(messages);
        let error = messages.format("failure-error", &[("message", &message), ("reason", self.reason.as_str())]);
        let hint = messages.format("failure-hint", &[("hint", &self.hint.translate(messages))]);
        format!("{error}\n{}\n{hint}\n", self.safety.sentence().translate(messages))
    }

    fn json(&self) -> Value {
        let mut whole = match self.extra_members.as_deref() {
            Some(Value::Object(members)) => members.clone(),
            _ => serde_json::Map::new(),
        };
        let error = json!({
            "reason": self.reason, "message": self.message.english(), "fault": self.fault.as_str(),
            "data_safe": self.safety.is_safe(),
            "data": self.safety.sentence().english(), "hint": self.hint.english(),
        });
        whole.insert("error".to_owned(), error);
        Value::Object(whole)
    }
}

/// Converts the error of a gRPC service. `service` is the party that runs the service, `message` says what failed. The
/// reason is the service's own, otherwise that of the status code; the failure is temporary if a retry may succeed.
pub(crate) fn from_grpc_status(status: &tonic::Status, service: FaultParty, message: Sentence) -> Failure {
    let named = status.get_details_error_info().map(|info| info.reason.to_lowercase());
    let answered = named.is_some();
    let reason = named.map_or_else(|| code_name(status.code()).to_owned(), |reason| sanitise(&reason));
    let reason = FailureReason::from_code(&reason);
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let passing = match status.code() {
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => true,
        // tonic reports an expired deadline of this wallet as a cancellation.
        tonic::Code::Cancelled => true,
        // A retry sends the same message, which is still too large.
        tonic::Code::ResourceExhausted => reason != FailureReason::MessageTooLarge,
        _ => false,
    };
    let later = retry.is_some() || passing;
    let message = message.with_details(sanitise(status.message()));
    let failure = match retry {
        Some(wait) => {
            Failure::temporary(reason, message, Sentence::new("hint-wait").with("seconds", wait.as_secs().max(1)))
        }
        None if later => Failure::temporary(reason, message, Sentence::new("hint-connection")),
        None => refused(reason, message),
    };
    failure.with_fault(if passing && !answered { FaultParty::Network } else { service })
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

/// Returns the permanent failure of a call that a service refused, with advice by the reason.
pub(crate) fn refused(reason: FailureReason, message: Sentence) -> Failure {
    let hint = match reason {
        FailureReason::InvalidGrant => "hint-invalid-grant",
        FailureReason::NotFound | FailureReason::Check(Code::Expired) | FailureReason::RequestExpired => "hint-ask-new",
        FailureReason::OfferLocked
        | FailureReason::OfferAlreadyUsed
        | FailureReason::OfferAlreadyCollected
        | FailureReason::OfferCancelled => "hint-ask-new",
        _ => "hint-name-in-brackets",
    };
    Failure::new(reason, message, Sentence::new(hint))
}

#[cfg(test)]
mod tests;
