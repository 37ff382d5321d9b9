//! Errors of the use cases, with a protocol-independent kind and a stable reason.

use std::time::Duration;

use carnet_core::{Problem, time::Timestamp};
use carnet_service::error::{CallError, ErrorKind};

use crate::{request::ClosedReason, store::StoreError};

/// Retry delay for an unknown issuer key: by then a status list signed with that key has usually caused a fetch of the
/// issuer's document.
const ISSUER_KEY_RETRY: Duration = Duration::from_secs(60);

/// Error of a use case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No request has this id, it was deleted, or the id is malformed.
    #[error("there is no such request")]
    RequestUnknown,
    /// The request can no longer be answered.
    #[error("the request is closed")]
    RequestClosed(ClosedReason),
    /// Wallets fetched the request object too often with a `wallet_nonce`; each needs a signature.
    #[error("too many objects of the request were signed")]
    RequestObjectsExhausted,
    /// The `request_id` was used for a request with other parameters.
    #[error("the request_id was used for another request")]
    RequestIdReused,
    /// A field of the call is invalid.
    #[error("{field}: {description}")]
    Invalid {
        /// Stable reason.
        reason: &'static str,
        /// Name of the field in the message.
        field: &'static str,
        /// Description of the error, without the value.
        description: String,
    },
    /// Data from the caller was refused by a check of the core library.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The cached DID document of an issuer lacks the signing key; a retry may succeed, once the document was fetched
    /// again.
    #[error("the issuer's key is not known yet")]
    IssuerKeyUnknown,
    /// The system clock is behind the clock floor: the latest signing time in accepted input.
    #[error("the clock is at {now}, which is before the latest time that an issuer signed, {floor}")]
    ClockBehind { now: Timestamp, floor: Timestamp },
    /// This desk has redeemed the maximum number of uses that is permitted between two reconciliations with the other
    /// desks.
    #[error("reconciliation is due")]
    ReconciliationDue,
    /// Too many clients watch requests at the same time.
    #[error("too many watchers")]
    TooManyWatchers,
    /// The service is shutting down.
    #[error("stopping")]
    Stopping,
    /// A stream has lasted as long as it may.
    #[error("the stream is over")]
    StreamEnded,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Internal error; the text is only for the log.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    /// Creates an [`Error::Invalid`].
    pub(crate) fn invalid(reason: &'static str, field: &'static str, description: impl Into<String>) -> Self {
        Self::Invalid { reason, field, description: description.into() }
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        let wrong_state = |reason, message| Self::new(ErrorKind::WrongState, reason, message);
        fn unavailable(reason: &'static str, message: impl Into<String>, after: Duration) -> CallError {
            CallError::new(ErrorKind::Unavailable, reason, message).with_retry_after(after)
        }
        match error {
            Error::RequestUnknown => Self::new(
                ErrorKind::NotFound,
                "REQUEST_UNKNOWN",
                "There is no such request, or it is no longer kept. Nothing was stored. Ask for a new request.",
            ),
            Error::RequestClosed(ClosedReason::Answered) => wrong_state(
                "NONCE_REPLAYED",
                "The request has been answered; it can be answered only once. Nothing was stored. Ask for a new request.",
            ),
            Error::RequestClosed(ClosedReason::Expired) => {
                wrong_state("REQUEST_EXPIRED", "The request has expired. Nothing was stored. Ask for a new request.")
            }
            Error::RequestClosed(ClosedReason::Exhausted) => wrong_state(
                "REQUEST_ATTEMPTS_EXHAUSTED",
                "The request had too many wrong answers. Nothing was stored. Ask for a new request.",
            ),
            Error::RequestObjectsExhausted => wrong_state(
                "REQUEST_OBJECTS_EXHAUSTED",
                "The request was fetched too often with a wallet_nonce. Nothing was stored. Fetch it without one, or try \
                 again in a few seconds.",
            ),
            Error::RequestIdReused => Self::new(
                ErrorKind::Conflict,
                "REQUEST_ID_REUSED",
                "That request_id was used for a request with other parameters, which is unchanged. Choose a new request_id.",
            ),
            Error::Invalid { reason, field, description } => Self::invalid(reason, field, description),
            Error::Refused(problem) => {
                Self::new(ErrorKind::Invalid, problem.code.as_str().to_ascii_uppercase(), problem.detail)
            }
            Error::IssuerKeyUnknown => unavailable(
                "ISSUER_KEY_UNKNOWN",
                "This verifier's copy of the issuer's document lacks the signing key. Nothing was accepted or stored. \
                 The document is fetched again in the background, within ten minutes at the latest; try again then.",
                ISSUER_KEY_RETRY,
            ),
            Error::ClockBehind { now, floor } => {
                tracing::error!(%now, %floor, "this machine's clock is before a time signed by an issuer; set it");
                unavailable(
                    "CLOCK_BEHIND",
                    format!(
                        "This verifier's clock says {now}, and an issuer has signed a later time, {floor}: it is \
                         unknown what is still valid. Nothing was verified or stored. Its operator must set the \
                         clock; then try again."
                    ),
                    Duration::from_secs(300),
                )
            }
            Error::ReconciliationDue => unavailable(
                "RECONCILIATION_DUE",
                "This desk has counted as many uses as it may before it is reconciled with the other desks. No request was \
                 created. Exchange exports with the other desks (carnet-verifier redemptions), then try again.",
                Duration::from_secs(60),
            ),
            Error::TooManyWatchers => Self::new(
                ErrorKind::LimitReached,
                "WATCHERS_EXHAUSTED",
                "Too many watch at the same time. Read the result instead, or try again.",
            )
            .with_retry_after(Duration::from_secs(5)),
            Error::Stopping => unavailable(
                "STOPPING",
                "The service is stopping. Nothing is lost; try again in a moment.",
                Duration::from_secs(2),
            ),
            Error::StreamEnded => unavailable(
                "STREAM_ENDED",
                "A stream lasts ten minutes. Nothing was stored. Open another, and send again what was not answered.",
                Duration::ZERO,
            ),
            Error::Store(error) => {
                tracing::error!(%error, "the store failed");
                unavailable(
                    "STORE_UNAVAILABLE",
                    "The verifier could not read or write its store. Nothing was changed. Try again in a moment.",
                    Duration::from_secs(2),
                )
            }
            Error::Internal(what) => {
                tracing::error!(what, "internal fault");
                Self::new(
                    ErrorKind::Internal,
                    "INTERNAL",
                    "The verifier failed. Nothing was accepted. Please report it.",
                )
            }
        }
    }
}
