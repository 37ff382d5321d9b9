//! Error responses of OpenID4VCI. The stable reason, the same as over gRPC, is in a header: bodies contain only members
//! that the specification defines.

use axum::{
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse as _, Response},
};
use carnet_openid::error::{ErrorCode, ErrorResponse, IssuerEndpoint};
use carnet_service::{
    error::{CallError, ErrorKind},
    http_wire,
};

use super::uncached_json;
use crate::error::Error;

/// Error of an OpenID4VCI endpoint, before it becomes a response.
pub(super) enum OpenIdError {
    /// The request itself is malformed: OpenID4VCI error, stable reason, and HTTP status.
    Malformed { error: ErrorResponse, reason: &'static str, status: u16 },
    /// A use case refused the request; the endpoint determines the error code.
    Refused { endpoint: IssuerEndpoint, error: Error },
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
    pub(super) fn unreadable_body(rejection: &BytesRejection, code: ErrorCode) -> Self {
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
                return with_error_headers(uncached_json(status, error.to_json()), error.code, reason);
            }
            Self::NotFound(error) => {
                let mut response = StatusCode::NOT_FOUND.into_response();
                http_wire::add_error_headers(response.headers_mut(), &CallError::from(error).reason, None);
                return response;
            }
            Self::UnknownConfiguration(error) => {
                (Some(ErrorCode::UnknownCredentialConfiguration), CallError::from(error))
            }
            Self::Refused { endpoint, error } => (error_code(endpoint, &error), CallError::from(error)),
        };
        let Some(code) = code else { return failure_response(&call) };
        with_error_headers(
            uncached_json(code.http_status(), ErrorResponse::new(code, call.message).to_json()),
            code,
            &call.reason,
        )
    }
}

/// Adds the headers of an error: the stable reason, and `WWW-Authenticate` for an invalid token.
fn with_error_headers(mut response: Response, code: ErrorCode, reason: &str) -> Response {
    let headers = response.headers_mut();
    if code == ErrorCode::InvalidToken {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    http_wire::add_error_headers(headers, reason, None);
    response
}

/// Returns the response for a failure that is no fault of the request: 503 or 500, without body, since OpenID4VCI has
/// no error code for it.
fn failure_response(call: &CallError) -> Response {
    let status = match call.kind {
        ErrorKind::Unavailable | ErrorKind::LimitReached => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = status.into_response();
    http_wire::add_error_headers(response.headers_mut(), &call.reason, call.retry_after);
    response
}

/// Returns the OpenID4VCI error code for an error at an endpoint; `None` for a failure of the service.
fn error_code(endpoint: IssuerEndpoint, error: &Error) -> Option<ErrorCode> {
    match error {
        Error::Busy | Error::Stopping | Error::Store(_) | Error::Signing(_) | Error::Corrupt(_) => None,
        error => Some(match endpoint {
            IssuerEndpoint::Token => token_code(error),
            IssuerEndpoint::Credential | IssuerEndpoint::Deferred => credential_code(error),
            IssuerEndpoint::Notification => match error {
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
            (IssuerEndpoint::Token, Error::OfferUnknown, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::OfferUsed, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::RedemptionInProgress { seconds: 3 }, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::OfferExpired, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::OfferCancelled, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::OfferLocked, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::PinWrong { left: 2 }, ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, invalid("tx_code"), ErrorCode::InvalidGrant),
            (IssuerEndpoint::Token, Error::PinMissing, ErrorCode::InvalidRequest),
            (IssuerEndpoint::Token, Error::PinUnexpected, ErrorCode::InvalidRequest),
            (IssuerEndpoint::Token, invalid("redemption_challenge"), ErrorCode::InvalidRequest),
            (IssuerEndpoint::Credential, Error::TokenInvalid, ErrorCode::InvalidToken),
            (IssuerEndpoint::Credential, Error::NonceInvalid, ErrorCode::InvalidNonce),
            (IssuerEndpoint::Credential, proof, ErrorCode::InvalidProof),
            (IssuerEndpoint::Credential, Error::KeyUsed, ErrorCode::InvalidProof),
            (IssuerEndpoint::Credential, invalid("proofs"), ErrorCode::InvalidProof),
            (
                IssuerEndpoint::Credential,
                invalid("credential_configuration_id"),
                ErrorCode::UnknownCredentialConfiguration,
            ),
            (IssuerEndpoint::Credential, Error::ConfigurationNotOffered, ErrorCode::CredentialRequestDenied),
            (IssuerEndpoint::Credential, Error::CopiesAlreadyRequested, ErrorCode::CredentialRequestDenied),
            (IssuerEndpoint::Deferred, Error::TransactionUnknown, ErrorCode::InvalidTransactionId),
            (
                IssuerEndpoint::Deferred,
                Error::RejectedByStaff { reason: String::new() },
                ErrorCode::CredentialRequestDenied,
            ),
            (IssuerEndpoint::Credential, Error::ResponseErased, ErrorCode::CredentialRequestDenied),
            (IssuerEndpoint::Deferred, Error::TokenInvalid, ErrorCode::InvalidToken),
            (IssuerEndpoint::Notification, Error::TokenInvalid, ErrorCode::InvalidToken),
            (IssuerEndpoint::Notification, Error::NotificationUnknown, ErrorCode::InvalidNotificationId),
            (IssuerEndpoint::Notification, invalid("event"), ErrorCode::InvalidNotificationRequest),
        ] {
            assert_eq!(error_code(endpoint, &error), Some(code), "{error}");
            assert!(code.applies_to(endpoint), "{error}");
        }
        for failure in [Error::Busy, Error::Stopping, Error::Corrupt("x")] {
            assert_eq!(error_code(IssuerEndpoint::Credential, &failure), None, "{failure}");
        }
    }
}
