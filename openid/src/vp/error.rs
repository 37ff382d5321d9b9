//! Error responses of a wallet (OpenID4VP section 8.5), and of the verifier at its `response_uri` (section 8.2).

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use serde_json::{Map, Value};

macro_rules! codes {
    ($($variant:ident, $text:literal;)*) => {
        /// Error code in a wallet's response (OpenID4VP section 8.5).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum WalletErrorCode {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl WalletErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the value of the parameter `error`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    InvalidScope, "invalid_scope";
    InvalidRequest, "invalid_request";
    InvalidClient, "invalid_client";
    AccessDenied, "access_denied";
    VpFormatsNotSupported, "vp_formats_not_supported";
    InvalidRequestUriMethod, "invalid_request_uri_method";
    InvalidTransactionData, "invalid_transaction_data";
    WalletUnavailable, "wallet_unavailable";
}

impl WalletErrorCode {
    /// Parses an error code; `None` if it is unknown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// Returns the error code with which a wallet answers a request that it refuses for this problem.
    #[must_use]
    pub fn from_problem(problem: &Problem) -> Self {
        match problem.code {
            Code::TransactionDataUnsupported => Self::InvalidTransactionData,
            Code::ClientIdMismatch | Code::MethodOfOther | Code::DidUnresolved => Self::InvalidClient,
            // A holder without the credentials and one who refuses look alike (spec/privacy.md).
            Code::QueryUnmet => Self::AccessDenied,
            _ => Self::InvalidRequest,
        }
    }
}

/// Error response of a verifier at `response_uri` or `request_uri`. OpenID4VP defines no body for it: `error` is from
/// RFC 6749, and the receipt is a member of Carnet's profile (spec/openid4vp.md).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifierErrorResponse {
    /// Value of `error`, such as `invalid_request`.
    pub error: &'static str,
    /// Value of `error_description`, for developers; empty: the member is omitted.
    pub description: String,
    /// Value of `carnet_receipt`: a signed receipt, as JSON text. `None`: the member is omitted.
    pub receipt: Option<String>,
}

impl VerifierErrorResponse {
    /// Serialises the body; empty members are omitted.
    #[must_use]
    pub fn to_json(&self) -> String {
        let receipt = self.receipt.as_deref().unwrap_or_default();
        let members = [("error", self.error), ("error_description", &self.description), (RECEIPT_MEMBER, receipt)];
        let members = members.into_iter().filter(|(_, text)| !text.is_empty());
        Value::Object(members.map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>()).to_string()
    }
}

/// Error response of a verifier, as parsed by a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceivedVerifierError {
    /// Value of `error`; empty: absent or not a string.
    pub error: String,
    /// Value of `error_description`; empty: absent or not a string.
    pub description: String,
    /// Value of `carnet_receipt`: a signed receipt, as JSON text, not yet verified. `None`: absent or not a string.
    pub receipt: Option<String>,
}

impl ReceivedVerifierError {
    /// Parses the body. A body that is not a JSON object yields empty members; then only the HTTP status code describes
    /// the error.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let members = json::parse_object(body, Limits::DOCUMENT).unwrap_or_default();
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            error: text("error").unwrap_or_default(),
            description: text("error_description").unwrap_or_default(),
            receipt: text(RECEIPT_MEMBER),
        }
    }
}

/// Name of the member that contains a signed receipt, as JSON text.
pub const RECEIPT_MEMBER: &str = "carnet_receipt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_text() {
        for code in WalletErrorCode::ALL {
            assert_eq!(WalletErrorCode::parse(code.as_str()), Some(*code));
        }
        assert_eq!(WalletErrorCode::parse("server_error"), None);
        let of = |code: Code| WalletErrorCode::from_problem(&code.into()).as_str();
        assert_eq!(of(Code::TransactionDataUnsupported), "invalid_transaction_data");
        assert_eq!(of(Code::ClientIdMismatch), "invalid_client");
        assert_eq!(of(Code::RequestMalformed), "invalid_request");
        assert_eq!(of(Code::QueryUnmet), "access_denied");
    }

    #[test]
    fn a_refusal_has_no_empty_member() {
        let refusal =
            VerifierErrorResponse { error: "invalid_request", description: "EXPIRED".to_owned(), receipt: None };
        assert_eq!(refusal.to_json(), r#"{"error":"invalid_request","error_description":"EXPIRED"}"#);
        let read = ReceivedVerifierError::parse(refusal.to_json().as_bytes());
        assert_eq!(
            (read.error.as_str(), read.description.as_str(), read.receipt),
            ("invalid_request", "EXPIRED", None)
        );
        assert_eq!(ReceivedVerifierError::parse(b"<html>"), ReceivedVerifierError::default());
    }
}
