//! Notes about events that are not part of a command's result.

use carnet_core::{day, time::Timestamp};
use carnet_wallet::ports::Notice;

use super::{labels::Labels, messages::LocalizedMessages};
use crate::failure::Translated as _;

/// Returns the note about an event, in the language of the messages.
pub(crate) fn text(messages: &LocalizedMessages, notice: &Notice<'_>) -> String {
    match notice {
        Notice::Refilled { catalogue, type_name, count } => {
            let label = Labels::new(catalogue, type_name, messages).document();
            messages.with("note-refilled", &[("count", &count.to_string()), ("document", &label)])
        }
        Notice::NotRefilled { catalogue, type_name, failure: Some(failure) } => {
            let label = Labels::new(catalogue, type_name, messages).document();
            let hint = failure.hint.said(messages);
            let arguments = [("document", label.as_str()), ("reason", failure.reason.as_str()), ("hint", &hint)];
            messages.with("note-not-refilled", &arguments)
        }
        Notice::NotRefilled { catalogue, type_name, failure: None } => {
            let label = Labels::new(catalogue, type_name, messages).document();
            messages.with("note-refill-late", &[("document", &label)])
        }
        Notice::Unconfirmed(failure) => messages.with("note-not-confirmed", &[("reason", failure.reason.as_str())]),
        Notice::IssuerNotNotified => messages.text("note-issuer-not-told"),
    }
}

/// Returns the note that `count` log entries before `start` were deleted.
pub(crate) fn forgotten_text(messages: &LocalizedMessages, count: usize, start: Timestamp) -> String {
    messages.with("log-forgot", &[("count", &count.to_string()), ("day", &day::format_start(start))])
}
