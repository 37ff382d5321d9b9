//! Authorization responses at `response_uri` (section 8).

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
    secure::jwe::{ContentEncryption, DecryptionKey, decrypt},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    check_nonce,
    error::{RECEIPT_MEMBER, WalletErrorCode},
};
use crate::{Secret, form::Form};

/// Media type of the body.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Presentations by credential query id: text of an SD-JWT, or JSON text.
pub type Presentations = BTreeMap<String, Vec<String>>;

/// Parsed body, whose content is not decrypted.
#[derive(Debug)]
pub enum ResponseForm {
    /// `vp_token`, as JSON text, and `state`.
    Plain(Secret, Option<String>),
    /// `response`: a JWE.
    Encrypted(Secret),
    /// `error`: the wallet declines.
    Declined(WalletErrorCode),
}

/// Response with presentations.
pub struct AuthorizationResponse {
    /// `vp_token`
    pub presentations: Presentations,
    /// `state`
    pub state: Option<String>,
    /// Thumbprint of the sender's ephemeral key, if the response was encrypted.
    pub ephemeral: Option<String>,
}

impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorizationResponse(redacted)")
    }
}

impl ResponseForm {
    /// Reads a body of [`FORM`]. Unknown parameters are ignored.
    ///
    /// # Errors
    /// Those of [`Form::parse`]; `token_malformed` unless there is exactly one of `vp_token`, `response` and `error`, or
    /// if `error` is unknown.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
        let form = Form::parse(body)?;
        match (form.get("vp_token"), form.get("response"), form.get("error")) {
            (Some(token), None, None) => {
                let state = form.get("state").map(|state| state.expose().to_owned());
                Ok(Self::Plain(token.clone(), state))
            }
            (None, Some(response), None) => Ok(Self::Encrypted(response.clone())),
            (None, None, Some(error)) => {
                let code = WalletErrorCode::parse(error.expose());
                code.map(Self::Declined).ok_or_else(|| malformed("the error is not one of the text's"))
            }
            _ => Err(malformed("the response must have exactly one of vp_token, response and error")),
        }
    }
}

impl AuthorizationResponse {
    /// Reads `vp_token`, as JSON text, of a response that is not encrypted.
    ///
    /// # Errors
    /// Those of [`json::parse`], and `token_malformed`.
    pub fn from_plain(vp_token: &str, state: Option<String>, limits: Limits) -> Result<Self, Problem> {
        let mut value = json::parse(vp_token.as_bytes(), limits)?;
        let read = presentations(&value);
        carnet_core::wipe(&mut value);
        Ok(Self { presentations: read?, state, ephemeral: None })
    }

    /// Decrypts and reads the parameter `response` (section 8.3).
    ///
    /// # Errors
    /// Those of [`decrypt`] and [`json::parse`], and `token_malformed`.
    pub fn from_encrypted(response: &str, key: &DecryptionKey, limits: Limits) -> Result<Self, Problem> {
        // Base64url makes four characters of three bytes; the rest is for header and tag.
        let most = limits.max_bytes.saturating_mul(3) / 2;
        let decrypted = decrypt(response, key, &ContentEncryption::ALL, most)?;
        let mut value = Value::Object(json::parse_object(&decrypted.plaintext, limits)?);
        let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
        let state = match value.get("state") {
            None => Ok(None),
            Some(Value::String(state)) => Ok(Some(state.clone())),
            Some(_) => Err(malformed("state is not a string")),
        };
        let read = value.get("vp_token").map_or_else(|| Err(malformed("there is no vp_token")), presentations);
        carnet_core::wipe(&mut value);
        Ok(Self { presentations: read?, state: state?, ephemeral: Some(decrypted.ephemeral) })
    }

    /// Checks that `state` is the request's, or is absent where the request has none.
    ///
    /// # Errors
    /// `nonce_replayed`
    pub fn require_state(&self, expected: Option<&str>) -> Result<(), Problem> {
        if self.state.as_deref() == expected {
            return Ok(());
        }
        Err(Problem::new(Code::NonceReplayed, "the state is that of another request"))
    }

    /// Writes the parameters as a JSON object: the content of an encrypted response.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut members = Map::from_iter([("vp_token".to_owned(), self.vp_token())]);
        if let Some(state) = &self.state {
            members.insert("state".to_owned(), state.as_str().into());
        }
        Zeroizing::new(Value::Object(members).to_string())
    }

    /// Returns `vp_token`. Presentations that are JSON objects are written as such.
    #[must_use]
    pub fn vp_token(&self) -> Value {
        let one = |text: &String| match json::parse(text.as_bytes(), Limits::DOCUMENT) {
            Ok(Value::Object(members)) => Value::Object(members),
            _ => Value::String(text.clone()),
        };
        let entries = self.presentations.iter();
        entries.map(|(id, all)| (id.clone(), all.iter().map(one).collect())).collect::<Map<_, _>>().into()
    }
}

/// Reads `vp_token`: by credential query id a list of presentations, never empty (section 8.1).
fn presentations(value: &Value) -> Result<Presentations, Problem> {
    let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
    let members = value.as_object().ok_or_else(|| malformed("vp_token is not an object"))?;
    let one = |presentation: &Value| match presentation {
        Value::String(text) => Ok(text.clone()),
        Value::Object(_) => Ok(presentation.to_string()),
        _ => Err(malformed("a presentation is neither a string nor an object")),
    };
    let list = |(id, all): (&String, &Value)| {
        let all = all.as_array().filter(|all| !all.is_empty());
        let all = all.ok_or_else(|| malformed("an entry of vp_token is not a list of presentations"))?;
        Ok((id.clone(), all.iter().map(one).collect::<Result<_, _>>()?))
    };
    members.iter().map(list).collect()
}

/// Body of an accepted response (section 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// `redirect_uri`: URL that the wallet opens.
    pub redirect_uri: Option<String>,
    /// `carnet_receipt`, which other wallets ignore: a signed receipt, as JSON text.
    pub receipt: Option<String>,
}

impl Accepted {
    /// Writes the body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members = [("redirect_uri", &self.redirect_uri), (RECEIPT_MEMBER, &self.receipt)];
        let members = members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into())));
        Value::Object(members.collect::<Map<_, _>>()).to_string()
    }
}

/// Appends a response code to the URL that the wallet opens (section 13.3): in the fragment, which no server logs.
///
/// # Errors
/// `request_malformed`
pub fn with_response_code(return_url: &str, code: &str) -> Result<String, Problem> {
    check_nonce("response_code", code)?;
    let url = crate::link::https_url("return_url", return_url)
        .map_err(|problem| Problem::new(Code::RequestMalformed, problem.detail))?;
    Ok(format!("{url}#response_code={code}"))
}

#[cfg(test)]
mod tests;
