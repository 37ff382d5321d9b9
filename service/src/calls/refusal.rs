//! Errors of calls that no handler returned: their codes, reasons and messages.

use std::{borrow::Cow, time::Duration};

use http::{Response, StatusCode};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;

use super::empty_response;
use crate::{http_wire, wire};

/// Retry delay after too many calls or an exceeded deadline.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// End of the message of prost's error for a message that is nested too deeply; its error kind is not public.
const RECURSION_MESSAGE: &str = "recursion limit reached";

/// Returns the error for too many concurrent calls on one connection; `most` is the limit.
pub(super) fn too_many_calls(most: usize) -> Status {
    let message = format!(
        "This connection already has {most} calls in progress, which is the limit. Nothing was done. Try again, or \
         use another connection."
    );
    wire::retryable_status(Code::ResourceExhausted, "CALLS_EXHAUSTED", &message, RETRY_DELAY)
}

/// Returns the error for a call without a response at its deadline; `time` is the timeout.
pub(super) fn deadline_exceeded(time: Duration) -> Status {
    let message = format!(
        "The call exceeded its limit of {time:?} and was stopped. It may have been carried out. Repeat the same \
         call: it is never carried out twice."
    );
    wire::retryable_status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &message, RETRY_DELAY)
}

/// Returns the error for a handler that panicked.
pub(super) fn handler_panicked() -> Status {
    wire::error_status(
        Code::Internal,
        "INTERNAL",
        "A bug in the service stopped this call. Nothing was stored. Report it to the operator, with the time.",
    )
}

/// Returns an error with the ErrorInfo and message of this service in place of an error of tonic, its health or its
/// reflection service. `None` if the status is OK or already has an ErrorInfo. `limit` is the maximum message size.
pub(super) fn with_error_info(status: &Status, limit: usize) -> Option<Status> {
    if status.code() == Code::Ok || status.get_details_error_info().is_some() {
        return None;
    }
    let (code, reason, message): (Code, &str, Cow<'_, str>) = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => (
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            format!("The message is larger than the limit of {limit} bytes. Nothing was done. Send less at a time.")
                .into(),
        ),
        Code::Internal if status.message().ends_with(RECURSION_MESSAGE) => (
            Code::InvalidArgument,
            "TOO_DEEP",
            "The message is nested too deeply. Nothing was done. Send it with fewer levels.".into(),
        ),
        // gRPC prescribes this code for such a message, although the fault is the sender's.
        Code::Internal => (
            Code::Internal,
            "MESSAGE_UNDECODABLE",
            "The bytes received are not a message of this method. Nothing was done. Compare the .proto files of both \
             sides."
                .into(),
        ),
        Code::Unimplemented if status.message().is_empty() => (
            Code::Unimplemented,
            "METHOD_UNKNOWN",
            "This service has no such method: another service answers here, or an older one. Nothing was done. Check the \
             address."
                .into(),
        ),
        Code::Unimplemented => (
            Code::Unimplemented,
            "ENCODING_UNSUPPORTED",
            "Compressed messages are not supported. Nothing was done. Send them uncompressed.".into(),
        ),
        code => (code, code_name(code), status.message().into()),
    };
    Some(wire::error_status(code, reason, &message))
}

/// Returns the canonical name of a code, which is the reason of errors without a more specific one.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Converts an error to a gRPC response, or to an HTTP response with the reason and retry delay in headers.
pub(super) fn error_response(status: Status, grpc: bool) -> Response<Body> {
    if grpc {
        return status.into_http();
    }
    let mut response = empty_response(match status.code() {
        Code::ResourceExhausted | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    });
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    http_wire::add_error_headers(response.headers_mut(), &wire::status_reason(&status).unwrap_or_default(), delay);
    response
}
