//! OpenID for Verifiable Presentations 1.0.

pub mod client_id;
pub mod client_metadata;
pub mod error;
pub mod link;
pub mod request;
pub mod response;
pub mod transaction_data;

use carnet_core::{Code, Problem};

/// URL scheme of request links.
pub const REQUEST_SCHEME: &str = "openid4vp";
/// Media type of a request object (OpenID4VP section 5.10.1).
pub const REQUEST_MEDIA_TYPE: &str = "application/oauth-authz-req+jwt";
/// Value of `aud` in a request object for a wallet that the verifier does not know (OpenID4VP section 5.8).
pub const SELF_ISSUED_AUDIENCE: &str = "https://self-issued.me/v2";
/// Maximum length of a nonce or a state, in bytes.
pub const MAX_NONCE_BYTES: usize = 512;

/// Response mode (OpenID4VP section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// `direct_post`: form posted to `response_uri`.
    DirectPost,
    /// `direct_post.jwt`: form with an encrypted response, posted to `response_uri`.
    DirectPostJwt,
}

impl ResponseMode {
    /// Returns the value of `response_mode`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectPost => "direct_post",
            Self::DirectPostJwt => "direct_post.jwt",
        }
    }

    /// Parses a `response_mode`.
    ///
    /// # Errors
    /// `request_malformed` for any other mode.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        [Self::DirectPost, Self::DirectPostJwt]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| Problem::new(Code::RequestMalformed, "response_mode is not direct_post or direct_post.jwt"))
    }
}

/// Checks a `nonce`, `state` or `wallet_nonce`: 1 to 512 URL-safe ASCII characters (OpenID4VP section 5.2). `name`
/// names the parameter in the error message.
///
/// # Errors
/// `request_malformed`
pub fn check_nonce(name: &str, value: &str) -> Result<(), Problem> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !value.is_empty() && value.len() <= MAX_NONCE_BYTES && value.bytes().all(safe) {
        return Ok(());
    }
    let what = format!("{name} is empty, over {MAX_NONCE_BYTES} bytes, or has characters that are not URL safe");
    Err(Problem::new(Code::RequestMalformed, what))
}
