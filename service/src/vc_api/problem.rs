//! Problem details (RFC 9457; VCDM 2.0 section 7.1).

use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use carnet_core::{Code, Problem};
use serde_json::{Value, json};

use crate::{
    error::{CallError, ErrorKind},
    http_wire,
};

const MEDIA_TYPE: &str = "application/problem+json";
/// Problem type of errors that no specification names.
const UNNAMED: &str = "about:blank";

/// One entry of `problemDetails`, or the body of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemDetails {
    /// URL of the problem type.
    pub problem_type: String,
    /// Stable code.
    pub title: String,
    /// Explanation for people, without a claim's value.
    pub detail: String,
}

impl ProblemDetails {
    /// Returns the JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"type": self.problem_type, "title": self.title, "detail": self.detail})
    }
}

impl From<&Problem> for ProblemDetails {
    fn from(problem: &Problem) -> Self {
        Self {
            problem_type: problem.code.problem_type().to_owned(),
            title: problem.code.as_str().to_owned(),
            detail: problem.detail.clone(),
        }
    }
}

/// Error of a VC-API endpoint, before it becomes a response.
#[derive(Debug)]
pub struct VcApiError {
    status: StatusCode,
    error: CallError,
    problem_type: &'static str,
}

impl VcApiError {
    /// Creates an error of the HTTP layer itself, such as another media type.
    #[must_use]
    pub fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, error: CallError::new(ErrorKind::Invalid, reason, message), problem_type: UNNAMED }
    }

    /// Creates the error for a malformed member of the request (400).
    #[must_use]
    pub fn malformed(reason: &'static str, member: &str, description: impl Into<String>) -> Self {
        CallError::invalid(reason, member, description).into()
    }

    /// Creates the error for a request that core refuses (400); the reason is the code in upper case.
    #[must_use]
    pub fn from_problem(problem: &Problem) -> Self {
        let reason = problem.code.as_str().to_ascii_uppercase();
        let error = CallError::new(ErrorKind::Invalid, reason, problem.detail.clone());
        Self { status: StatusCode::BAD_REQUEST, error, problem_type: problem.code.problem_type() }
    }
}

impl<E: Into<CallError>> From<E> for VcApiError {
    fn from(error: E) -> Self {
        let error: CallError = error.into();
        let status = match error.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::WrongState => StatusCode::CONFLICT,
            ErrorKind::LimitReached => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let invalid = error.kind == ErrorKind::Invalid;
        let problem_type = if invalid { Code::MalformedValue.problem_type() } else { UNNAMED };
        Self { status, error, problem_type }
    }
}

impl IntoResponse for VcApiError {
    /// Converts to a response with a problem details object, and the reason in the header `Carnet-Reason`.
    fn into_response(self) -> Response {
        let Self { status, error: CallError { reason, message, fields, retry_after, .. }, problem_type } = self;
        let details =
            ProblemDetails { problem_type: problem_type.to_owned(), title: reason.to_string(), detail: message };
        let mut body = details.to_json();
        if let Some(members) = body.as_object_mut() {
            members.insert("status".to_owned(), status.as_u16().into());
            let fields = fields.iter().map(|fault| json!({"field": fault.field, "detail": fault.description}));
            let fields: Vec<Value> = fields.collect();
            if !fields.is_empty() {
                members.insert("errors".to_owned(), fields.into());
            }
        }
        let mut response = (status, [(CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        http_wire::add_error_headers(response.headers_mut(), &reason, retry_after);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_of_error_has_a_status_and_keeps_its_reason() {
        for (kind, status) in [
            (ErrorKind::Invalid, 400),
            (ErrorKind::Unauthenticated, 401),
            (ErrorKind::Forbidden, 403),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Conflict, 409),
            (ErrorKind::WrongState, 409),
            (ErrorKind::LimitReached, 429),
            (ErrorKind::Unsupported, 501),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Internal, 500),
        ] {
            let error = CallError::new(kind, "SOME_REASON", "x").with_retry_after(Duration::from_secs(2));
            let response = VcApiError::from(error).into_response();
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(response.status().as_u16(), status, "{kind:?}");
            assert_eq!((header("carnet-reason"), header("retry-after")), (Some("SOME_REASON"), Some("2")));
            assert_eq!(header("content-type"), Some(MEDIA_TYPE));
            assert_eq!(header("www-authenticate").is_some(), status == 401);
        }
    }

    #[test]
    fn a_problem_of_core_keeps_its_type() {
        let problem = Problem::new(Code::InvalidJson, "a string is missing");
        let error = VcApiError::from_problem(&problem);
        assert_eq!(error.problem_type, "https://www.w3.org/TR/vc-data-model#PARSING_ERROR");
        assert_eq!(ProblemDetails::from(&problem).title, "invalid_json");
    }
}
