//! Notes about events that are not part of a command's result.

use carnet_core::{day, time::Timestamp};
use carnet_wallet::ports::Notice;

use super::{labels::TypeLabels, messages::LocalizedMessages};
use crate::failure::Translate as _;

/// Returns the note about an event, in the language of the messages.
pub(crate) fn notice_text(messages: &LocalizedMessages, notice: &Notice<'_>) -> String {
    match notice {
        Notice::Refilled { catalogue, type_name, count } => {
            let label = TypeLabels::new(catalogue, type_name, messages).type_label();
            messages.format("note-refilled", &[("count", &count.to_string()), ("document", &label)])
        }
        Notice::NotRefilled { catalogue, type_name, failure: Some(failure) } => {
            let label = TypeLabels::new(catalogue, type_name, messages).type_label();
            let hint = failure.hint.translate(messages);
            let arguments = [("document", label.as_str()), ("reason", failure.reason.as_str()), ("hint", &hint)];
            messages.format("note-not-refilled", &arguments)
        }
        Notice::NotRefilled { catalogue, type_name, failure: None } => {
            let label = TypeLabels::new(catalogue, type_name, messages).type_label();
            messages.format("note-refill-late", &[("document", &label)])
        }
        Notice::NoFreshness(failure) => messages.format("note-not-confirmed", &[("reason", failure.reason.as_str())]),
        Notice::IssuerNotNotified => messages.text("note-issuer-not-told"),
    }
}

/// Returns the note that `count` log entries before `start` were deleted.
pub(crate) fn forgotten_text(messages: &LocalizedMessages, count: usize, start: Timestamp) -> String {
    messages.format("log-forgot", &[("count", &count.to_string()), ("day", &day::format_start(start))])
}
