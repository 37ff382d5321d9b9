//! Error responses of OpenID4VCI. The stable reason, the same as over gRPC, is in a header: bodies contain only members
//! that the specification defines.

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse as _, Response},
};
use carnet_openid::error::{ErrorCode, ErrorResponse, OpenIdEndpoint};
use carnet_service::{
    error::{CallError, ErrorKind},
    http_wire,
};

use super::private;
use crate::error::Error;

/// Error of an OpenID4VCI endpoint, before it becomes a response.
pub(super) enum OpenIdError {
    /// The request itself is malformed: OpenID4VCI error, stable reason, and HTTP status.
    Malformed { error: ErrorResponse, reason: &'static str, status: u16 },
    /// A use case refused the request; the endpoint determines the error code.
    Refused { endpoint: OpenIdEndpoint, error: Error },
    /// The requested credential configuration is neither offered nor supported by this issuer.
    UnknownConfiguration(Error),
    /// Nothing is at this URL (404); OpenID4VCI has no error code for it.
    NotFound(Error),
}

impl OpenIdError {
    /// Creates the error for a URL at which there is nothing.
    pub(super) const fn not_found(error: Error) -> Self {
        Self::NotFound(error)
    }

    /// Creates the error for a malformed request, with the HTTP status of its error code.
    pub(super) fn malformed(error: ErrorResponse) -> Self {
        let status = error.code.http_status();
        let reason = match error.code {
            ErrorCode::InvalidProof => "INVALID_PROOF",
            ErrorCode::InvalidToken => "TOKEN_MISSING",
            _ => "INVALID_ARGUMENT",
        };
        Self::Malformed { error, reason, status }
    }

    /// Creates the error for a body that is too large (413), or could not be read.
    pub(super) fn body(rejection: &BytesRejection, code: ErrorCode) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::Malformed {
                error: ErrorResponse::new(code, "the request is larger than the limit; nothing was done"),
                reason: "MESSAGE_TOO_LARGE",
                status: 413,
            },
            _ => Self::malformed(ErrorResponse::new(code, "the body could not be read")),
        }
    }

    /// Creates the error for a request without exactly one access token in its header (401).
    pub(super) fn without_token() -> Self {
        Self::malformed(ErrorResponse::new(
            ErrorCode::InvalidToken,
            "one Authorization header with a Bearer token is needed",
        ))
    }

    /// Returns the HTTP response.
    pub(super) fn into_response(self) -> Response {
        let (code, call) = match self {
            Self::Malformed { error, reason, status } => {
                return finish(private(status, error.to_json()), error.code, reason);
            }
            Self::NotFound(error) => {
                let mut response = StatusCode::NOT_FOUND.into_response();
                http_wire::add_error_headers(response.headers_mut(), &CallError::from(error).reason, None);
                return response;
            }
            Self::UnknownConfiguration(error) => {
                (Some(ErrorCode::UnknownCredentialConfiguration), CallError::from(error))
            }
            Self::Refused { endpoint, error } => (code_of(endpoint, &error), CallError::from(error)),
        };
        let Some(code) = code else { return failure(&call) };
        finish(private(code.http_status(), ErrorResponse::new(code, call.message).to_json()), code, &call.reason)
    }
}

/// Adds the headers of an error: the stable reason, and `WWW-Authenticate` for an invalid token.
fn finish(mut response: Response, code: ErrorCode, reason: &str) -> Response {
    let headers = response.headers_mut();
    if code == ErrorCode::InvalidToken {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    http_wire::add_error_headers(headers, reason, None);
    response
}

/// Returns the response for a failure that is no fault of the request: 503 or 500, without body, since OpenID4VCI has
/// no error code for it.
fn failure(call: &CallError) -> Response {
    let status = match call.kind {
        ErrorKind::Unavailable | ErrorKind::LimitReached => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = status.into_response();
    http_wire::add_error_headers(response.headers_mut(), &call.reason, call.retry_after);
    response
}

/// Returns the OpenID4VCI error code for an error at an endpoint; `None` for a failure of the service.
fn code_of(endpoint: OpenIdEndpoint, error: &Error) -> Option<ErrorCode> {
    match error {
        Error::Busy | Error::Stopping | Error::Store(_) | Error::Signing(_) | Error::Corrupt(_) => None,
        error => Some(match endpoint {
            OpenIdEndpoint::Token => token_code(error),
            OpenIdEndpoint::Credential | OpenIdEndpoint::Deferred => credential_code(error),
            OpenIdEndpoint::Notification => match error {
                Error::TokenInvalid => ErrorCode::InvalidToken,
                Error::NotificationUnknown => ErrorCode::InvalidNotificationId,
                _ => ErrorCode::InvalidNotificationRequest,
            },
        }),
    }
}

fn token_code(error: &Error) -> ErrorCode {
    match error {
        Error::PinMissing | Error::PinUnexpected => ErrorCode::InvalidRequest,
        // A code that cannot be a PIN of this issuer is a wrong one, and is not counted as a try.
        Error::Invalid { field, .. } if field != "tx_code" => ErrorCode::InvalidRequest,
        _ => ErrorCode::InvalidGrant,
    }
}

fn credential_code(error: &Error) -> ErrorCode {
    match error {
        Error::TokenInvalid => ErrorCode::InvalidToken,
        Error::NonceInvalid => ErrorCode::InvalidNonce,
        Error::ProofInvalid { .. } | Error::KeyUsed => ErrorCode::InvalidProof,
        Error::TransactionUnknown => ErrorCode::InvalidTransactionId,
        Error::Invalid { field, .. } => match field.as_str() {
            "proofs" => ErrorCode::InvalidProof,
            "credential_configuration_id" => ErrorCode::UnknownCredentialConfiguration,
            "transaction_id" => ErrorCode::InvalidTransactionId,
            _ => ErrorCode::InvalidCredentialRequest,
        },
        _ => ErrorCode::CredentialRequestDenied,
    }
}

#[cfg(test)]
mod tests {
    use carnet_core::{Code, Problem};

    use super::*;

    #[test]
    fn errors_have_codes_that_their_endpoint_allows() {
        let invalid = |field: &str| Error::invalid(field.to_owned(), "x");
        let proof = Error::ProofInvalid { index: 0, problem: Problem::from(Code::SignatureInvalid) };
        for (endpoint, error, code) in [
            (OpenIdEndpoint::Token, Error::OfferUnknown, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::OfferUsed, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::OfferHeld { seconds: 3 }, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::OfferExpired, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::OfferCancelled, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::OfferLocked, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::PinWrong { left: 2 }, ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, invalid("tx_code"), ErrorCode::InvalidGrant),
            (OpenIdEndpoint::Token, Error::PinMissing, ErrorCode::InvalidRequest),
            (OpenIdEndpoint::Token, Error::PinUnexpected, ErrorCode::InvalidRequest),
            (OpenIdEndpoint::Token, invalid("redemption_challenge"), ErrorCode::InvalidRequest),
            (OpenIdEndpoint::Credential, Error::TokenInvalid, ErrorCode::InvalidToken),
            (OpenIdEndpoint::Credential, Error::NonceInvalid, ErrorCode::InvalidNonce),
            (OpenIdEndpoint::Credential, proof, ErrorCode::InvalidProof),
            (OpenIdEndpoint::Credential, Error::KeyUsed, ErrorCode::InvalidProof),
            (OpenIdEndpoint::Credential, invalid("proofs"), ErrorCode::InvalidProof),
            (
                OpenIdEndpoint::Credential,
                invalid("credential_configuration_id"),
                ErrorCode::UnknownCredentialConfiguration,
            ),
            (OpenIdEndpoint::Credential, Error::NotOffered, ErrorCode::CredentialRequestDenied),
            (OpenIdEndpoint::Credential, Error::AlreadyCollected, ErrorCode::CredentialRequestDenied),
            (OpenIdEndpoint::Deferred, Error::TransactionUnknown, ErrorCode::InvalidTransactionId),
            (OpenIdEndpoint::Deferred, Error::Rejected { reason: String::new() }, ErrorCode::CredentialRequestDenied),
            (OpenIdEndpoint::Credential, Error::AnswerErased, ErrorCode::CredentialRequestDenied),
            (OpenIdEndpoint::Deferred, Error::TokenInvalid, ErrorCode::InvalidToken),
            (OpenIdEndpoint::Notification, Error::TokenInvalid, ErrorCode::InvalidToken),
            (OpenIdEndpoint::Notification, Error::NotificationUnknown, ErrorCode::InvalidNotificationId),
            (OpenIdEndpoint::Notification, invalid("event"), ErrorCode::InvalidNotificationRequest),
        ] {
            assert_eq!(code_of(endpoint, &error), Some(code), "{error}");
            assert!(code.applies_to(endpoint), "{error}");
        }
        for failure in [Error::Busy, Error::Stopping, Error::Corrupt("x")] {
            assert_eq!(code_of(OpenIdEndpoint::Credential, &failure), None, "{failure}");
        }
    }
}
