//! Token endpoint with the pre-authorized code grant (OpenID4VCI section 6).

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::PRE_AUTHORIZED_CODE_GRANT;
use crate::{
    SecretText,
    error::{ErrorCode, ErrorResponse},
    form::{self, FormParameters},
};

/// Token request with a pre-authorized code.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Pre-authorized code.
    pub code: SecretText,
    /// Transaction code entered by the holder; `None`: absent or empty.
    pub tx_code: Option<SecretText>,
}

impl TokenRequest {
    /// Parses the body. Unknown parameters are ignored.
    ///
    /// # Errors
    /// `invalid_request`; `unsupported_grant_type` for any grant other than that of a pre-authorized code.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorResponse> {
        let invalid = |why: String| ErrorResponse::new(ErrorCode::InvalidRequest, why);
        let form = FormParameters::parse(body).map_err(|problem| invalid(problem.detail))?;
        let grant = form.get("grant_type").ok_or_else(|| invalid("grant_type is missing".to_owned()))?;
        if grant.expose() != PRE_AUTHORIZED_CODE_GRANT {
            let why = "only the pre-authorized code grant is supported";
            return Err(ErrorResponse::new(ErrorCode::UnsupportedGrantType, why));
        }
        let code = form.get("pre-authorized_code").cloned();
        let code = code.ok_or_else(|| invalid("pre-authorized_code is missing".to_owned()))?;
        Ok(Self { code, tx_code: form.get("tx_code").cloned() })
    }

    /// Serialises the body.
    #[must_use]
    pub fn to_form(&self) -> Zeroizing<String> {
        let mut parameters =
            vec![("grant_type", PRE_AUTHORIZED_CODE_GRANT), ("pre-authorized_code", self.code.expose())];
        parameters.extend(self.tx_code.as_ref().map(|code| ("tx_code", code.expose())));
        form::encode_form(&parameters)
    }
}

/// Token response.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// Access token, a bearer token.
    pub access_token: SecretText,
    /// Lifetime in seconds; `None`: not stated.
    pub expires_in: Option<u64>,
}

impl TokenResponse {
    /// Serialises the body.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut body = json!({ "access_token": self.access_token.expose(), "token_type": "Bearer" });
        if let (Some(seconds), Some(members)) = (self.expires_in, body.as_object_mut()) {
            members.insert("expires_in".to_owned(), json!(seconds));
        }
        Zeroizing::new(body.to_string())
    }

    /// Parses the body. Unknown members are ignored.
    ///
    /// # Errors
    /// The errors of [`json::parse_object`]; `malformed_value` for a missing token, another token type, or a malformed
    /// lifetime.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let members = json::parse_object(body, Limits::SMALL)?;
        let malformed = |what: &str| Problem::new(Code::MalformedValue, what.to_owned());
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(malformed("token_type is not Bearer"));
        }
        let token = text("access_token").filter(|token| !token.is_empty());
        let expires_in = match members.get("expires_in") {
            None => None,
            Some(seconds) => {
                Some(json::as_unsigned_integer(seconds).ok_or_else(|| malformed("expires_in is not a number"))?)
            }
        };
        Ok(Self { access_token: token.ok_or_else(|| malformed("access_token is missing"))?.into(), expires_in })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code";

    fn refused(body: &str) -> ErrorCode {
        TokenRequest::parse(body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_token_request_has_one_code() {
        let read = |rest: &str| TokenRequest::parse(format!("{GRANT}{rest}").as_bytes());
        let plain = read("&pre-authorized_code=a&client_id=b&unknown=c").unwrap();
        assert_eq!(plain, TokenRequest { code: "a".into(), tx_code: None });
        assert_eq!(read("&pre-authorized_code=a&tx_code=123456").unwrap().tx_code, Some("123456".into()));
        for tx_code in [None, Some("1 2+3".into())] {
            let request = TokenRequest { code: "a&b=c".into(), tx_code };
            assert_eq!(TokenRequest::parse(request.to_form().as_bytes()).unwrap(), request);
        }
        // A parameter without a value counts as absent.
        assert_eq!(read("&pre-authorized_code=a&tx_code=").unwrap().tx_code, None);
        for (rest, code) in [
            ("", ErrorCode::InvalidRequest),
            ("&pre-authorized_code=", ErrorCode::InvalidRequest),
            ("&pre-authorized_code=a&pre-authorized_code=a", ErrorCode::InvalidRequest),
            ("&pre-authorized_code=a&tx_code=1&tx_code=2", ErrorCode::InvalidRequest),
            ("&pre-authorized_code=%zz", ErrorCode::InvalidRequest),
        ] {
            assert_eq!(refused(&format!("{GRANT}{rest}")), code, "{rest}");
        }
        assert_eq!(refused("pre-authorized_code=a"), ErrorCode::InvalidRequest);
        assert_eq!(refused("grant_type=authorization_code&code=a"), ErrorCode::UnsupportedGrantType);
        assert_eq!(refused(r#"{"grant_type":"x"}"#), ErrorCode::InvalidRequest);
    }

    #[test]
    fn a_token_response_comes_back_and_its_faults_are_refused() {
        let response = TokenResponse { access_token: "t".into(), expires_in: Some(300) };
        assert_eq!(TokenResponse::parse(response.to_json().as_bytes()).unwrap(), response);
        for bad in [
            json!({"access_token": "t"}),
            json!({"access_token": "t", "token_type": "DPoP"}),
            json!({"access_token": "", "token_type": "Bearer"}),
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": -1}),
            json!({"access_token": "t", "token_type": "Bearer", "expires_in": "300"}),
        ] {
            let refused = TokenResponse::parse(bad.to_string().as_bytes()).unwrap_err();
            assert_eq!(refused.code, Code::MalformedValue, "{bad}");
        }
        let more = json!({"access_token": "t", "token_type": "bearer", "c_nonce": "x"}).to_string();
        assert_eq!(TokenResponse::parse(more.as_bytes()).unwrap().access_token.expose(), "t");
    }
}
