//! Conversion of errors to HTTP responses.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use carnet_openid::vp::error::VerifierErrorResponse;
use carnet_service::{
    error::{CallError, ErrorKind},
    http_wire,
};

use crate::error::Error;

/// Error response of an HTTP endpoint.
pub(super) struct HttpError {
    status: StatusCode,
    error: CallError,
}

impl HttpError {
    /// Creates an error of the HTTP layer itself, such as a wrong media type.
    pub(super) fn new(status: StatusCode, reason: &'static str, message: String) -> Self {
        Self { status, error: CallError::new(ErrorKind::Invalid, reason, message) }
    }
}

impl<E: Into<Error>> From<E> for HttpError {
    fn from(error: E) -> Self {
        let error: Error = error.into();
        let error = CallError::from(error);
        let status = match error.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unavailable | ErrorKind::LimitReached => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error }
    }
}

impl HttpError {
    /// Converts to a response: a JSON body with `error` and `error_description`, and the reason in a header.
    pub(super) fn into_response(self) -> Response {
        let Self { status, error: CallError { reason, message, retry_after, .. } } = self;
        let error = if status.is_server_error() { "server_error" } else { "invalid_request" };
        let body = VerifierErrorResponse { error, description: message, receipt: None }.to_json();
        let mut response = json_error_response(status, &reason, body);
        http_wire::add_error_headers(response.headers_mut(), &reason, retry_after);
        response
    }
}

/// Returns a JSON response with a stable reason in its header.
pub(super) fn json_error_response(status: StatusCode, reason: &str, body: String) -> Response {
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    http_wire::add_error_headers(response.headers_mut(), reason, None);
    response
}
