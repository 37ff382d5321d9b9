//! Error responses of the endpoints: RFC 6749 section 5.2, RFC 6750 section 3.1, OpenID4VCI 1.0 sections 6.3, 8.3.1,
//! 9.3 and 11.3.

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use serde_json::{Map, Value};

/// Endpoint of a credential issuer or its authorization server that has its own set of error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerEndpoint {
    /// Token endpoint.
    Token,
    /// Credential endpoint.
    Credential,
    /// Deferred credential endpoint.
    Deferred,
    /// Notification endpoint.
    Notification,
}

macro_rules! codes {
    ($($variant:ident, $text:literal, $status:literal, [$($endpoint:ident),*];)*) => {
        /// Error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the value of the member `error`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns the HTTP status code of the response.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Returns whether the specifications define the code for an endpoint.
            #[must_use]
            pub fn applies_to(self, endpoint: IssuerEndpoint) -> bool {
                match self { $(Self::$variant => [$(IssuerEndpoint::$endpoint),*].contains(&endpoint),)* }
            }
        }
    };
}

codes! {
    InvalidRequest, "invalid_request", 400, [Token, Credential, Deferred, Notification];
    InvalidClient, "invalid_client", 401, [Token];
    InvalidGrant, "invalid_grant", 400, [Token];
    UnauthorizedClient, "unauthorized_client", 400, [Token];
    UnsupportedGrantType, "unsupported_grant_type", 400, [Token];
    InvalidScope, "invalid_scope", 400, [Token];
    InvalidToken, "invalid_token", 401, [Credential, Deferred, Notification];
    InvalidCredentialRequest, "invalid_credential_request", 400, [Credential, Deferred];
    UnknownCredentialConfiguration, "unknown_credential_configuration", 400, [Credential, Deferred];
    UnknownCredentialIdentifier, "unknown_credential_identifier", 400, [Credential, Deferred];
    InvalidProof, "invalid_proof", 400, [Credential, Deferred];
    InvalidNonce, "invalid_nonce", 400, [Credential, Deferred];
    InvalidEncryptionParameters, "invalid_encryption_parameters", 400, [Credential, Deferred];
    CredentialRequestDenied, "credential_request_denied", 400, [Credential, Deferred];
    InvalidTransactionId, "invalid_transaction_id", 400, [Deferred];
    InvalidNotificationId, "invalid_notification_id", 400, [Notification];
    InvalidNotificationRequest, "invalid_notification_request", 400, [Notification];
}

impl ErrorCode {
    /// Parses an error code; `None` if it is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

/// Error response: a code, and a description for developers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Value of `error`.
    pub code: ErrorCode,
    /// Value of `error_description`; empty: the member is absent.
    pub description: String,
}

impl ErrorResponse {
    /// Creates an error response.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    /// Returns the JSON body, with `error` and `error_description`. Characters that are not permitted in a description
    /// are replaced.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut members = Map::new();
        members.insert("error".to_owned(), self.code.as_str().into());
        if !self.description.is_empty() {
            members.insert("error_description".to_owned(), permitted_description(&self.description).into());
        }
        Value::Object(members).to_string()
    }

    /// Parses the body of an error response. Unknown members are ignored.
    ///
    /// # Errors
    /// The errors of [`json::parse`]; malformed_value if `error` is missing or unknown.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let members = json::parse_object(body, Limits::SMALL)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let code = text("error").and_then(ErrorCode::parse);
        let code = code.ok_or_else(|| Problem::new(Code::MalformedValue, "error is missing or unknown"))?;
        Ok(Self { code, description: text("error_description").unwrap_or_default().to_owned() })
    }
}

/// Replaces the characters that RFC 6749 section 5.2 does not permit in a description.
fn permitted_description(text: &str) -> String {
    let allowed = |c: char| match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(allowed).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn codes_have_one_name_each_and_an_endpoint() {
        let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        let endpoints =
            [IssuerEndpoint::Token, IssuerEndpoint::Credential, IssuerEndpoint::Deferred, IssuerEndpoint::Notification];
        for code in ErrorCode::ALL {
            assert!(endpoints.iter().any(|endpoint| code.applies_to(*endpoint)), "{}", code.as_str());
            assert_eq!(ErrorCode::parse(code.as_str()), Some(*code));
            assert!(matches!(code.http_status(), 400 | 401));
        }
        assert_eq!(ErrorCode::parse("invalid"), None);
        assert!(!ErrorCode::InvalidNonce.applies_to(IssuerEndpoint::Token));
        assert!(!ErrorCode::InvalidGrant.applies_to(IssuerEndpoint::Credential));
    }

    #[test]
    fn an_error_has_no_member_and_no_character_that_the_text_does_not_define() {
        let error = ErrorResponse::new(ErrorCode::InvalidProof, "proof 0: \"Straße\" \\ 1\n2");
        let written: Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!(written, json!({"error": "invalid_proof", "error_description": "proof 0: 'Stra?e' / 1?2"}));
        let bare = ErrorResponse::new(ErrorCode::InvalidGrant, "");
        assert_eq!(bare.to_json(), r#"{"error":"invalid_grant"}"#);
        assert_eq!(ErrorResponse::parse(bare.to_json().as_bytes()).unwrap(), bare);
    }

    #[test]
    fn error_responses_are_read_strictly() {
        let read = |text: &str| ErrorResponse::parse(text.as_bytes()).map_err(|problem| problem.code);
        assert_eq!(read(r#"{"error":"invalid_nonce","c_nonce":"x"}"#).unwrap().code, ErrorCode::InvalidNonce);
        assert_eq!(read(r#"{"error":"invalid_nonce","error":"invalid_proof"}"#), Err(Code::DuplicateKey));
        assert_eq!(read(r#"{"error":"nonsense"}"#), Err(Code::MalformedValue));
        assert_eq!(read(r#"{"error_description":"x"}"#), Err(Code::MalformedValue));
        assert_eq!(read("no JSON"), Err(Code::InvalidJson));
    }
}
