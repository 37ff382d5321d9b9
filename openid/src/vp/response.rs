//! Authorization responses at `response_uri` (OpenID4VP section 8).

use std::collections::BTreeMap;

use carnet_core::{
    Code, Problem, Rng,
    json::{self, Limits},
    secure::jwe::{ContentEncryption, DecryptionKey, decrypt, encrypt},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    ResponseMode, check_nonce,
    error::{RECEIPT_MEMBER, WalletErrorCode},
    request::AuthorizationRequest,
};
use crate::{
    SecretText,
    form::{self, FormParameters},
};

/// Media type of a form body.
pub const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Presentations by credential query id, each as SD-JWT text or JSON text.
pub type Presentations = BTreeMap<String, Vec<String>>;

/// Parsed form body of an authorization response; its content is not yet decrypted or parsed.
#[derive(Debug)]
pub enum ResponseForm {
    /// Unencrypted response: `vp_token` as JSON text, `state`, and the answered request object.
    Plain(SecretText, Option<String>, AnsweredObject),
    /// Encrypted response: `response`, a compact JWE.
    Encrypted(SecretText),
    /// Error response: `error`.
    Declined(WalletErrorCode),
}

/// Member of Carnet's profile with the `wallet_nonce` of the answered request object; other verifiers ignore it.
/// Carnet's verifier uses it to identify that object in its receipt (spec/openid4vp.md 4.5).
pub const WALLET_NONCE_MEMBER: &str = "carnet_wallet_nonce";

/// Member of Carnet's profile with the signature of that object, which only its recipient has: a verifier that signed no
/// object with the nonce refuses the response.
pub const REQUEST_SIGNATURE_MEMBER: &str = "carnet_request_signature";

/// Members of Carnet's profile that identify the answered request object; both are absent if it has no `wallet_nonce`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnsweredObject {
    /// Value of [`WALLET_NONCE_MEMBER`].
    pub wallet_nonce: Option<String>,
    /// Value of [`REQUEST_SIGNATURE_MEMBER`]: the signature part of the compact JWS.
    pub signature: Option<String>,
}

/// Authorization response with presentations.
#[derive(Default)]
pub struct AuthorizationResponse {
    /// `vp_token`
    pub presentations: Presentations,
    /// `state`
    pub state: Option<String>,
    /// Answered request object.
    pub answered: AnsweredObject,
    /// JWK thumbprint (RFC 7638) of the wallet's ephemeral encryption key; `None` if the response was not encrypted.
    pub ephemeral_thumbprint: Option<String>,
}

impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorizationResponse(redacted)")
    }
}

impl ResponseForm {
    /// Parses a body of media type [`FORM_MEDIA_TYPE`]. Unknown parameters are ignored.
    ///
    /// # Errors
    /// Those of [`FormParameters::parse`]; `token_malformed` unless there is exactly one of `vp_token`, `response` and
    /// `error`, or if `error` is unknown.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
        let form = FormParameters::parse(body)?;
        match (form.get("vp_token"), form.get("response"), form.get("error")) {
            (Some(token), None, None) => {
                let text = |name: &str| form.get(name).map(|text| text.expose().to_owned());
                let (wallet_nonce, signature) = (text(WALLET_NONCE_MEMBER), text(REQUEST_SIGNATURE_MEMBER));
                Ok(Self::Plain(token.clone(), text("state"), AnsweredObject { wallet_nonce, signature }))
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
    /// Parses the `vp_token` (JSON text) of an unencrypted response. `answered` is left empty.
    ///
    /// # Errors
    /// Those of [`json::parse`]; `token_malformed` if it is not an object with non-empty lists of presentations.
    pub fn from_vp_token(vp_token: &str, state: Option<String>, limits: Limits) -> Result<Self, Problem> {
        let mut value = json::parse(vp_token.as_bytes(), limits)?;
        let read = parse_vp_token(&value);
        carnet_core::wipe(&mut value);
        Ok(Self { presentations: read?, state, ..Self::default() })
    }

    /// Decrypts and parses the parameter `response` (OpenID4VP section 8.3).
    ///
    /// # Errors
    /// Those of [`decrypt`] and [`json::parse_object`]; `token_malformed` if `vp_token` is missing, or a member is
    /// malformed.
    pub fn from_encrypted(response: &str, key: &DecryptionKey, limits: Limits) -> Result<Self, Problem> {
        // Base64url encodes three bytes as four characters; the rest is for header and tag.
        let most = limits.max_bytes.saturating_mul(3) / 2;
        let decrypted = decrypt(response, key, &ContentEncryption::ALL, most)?;
        let mut value = Value::Object(json::parse_object(&decrypted.plaintext, limits)?);
        let malformed = |what: &str| Problem::new(Code::TokenMalformed, what);
        let text = |name: &str| match value.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(&format!("{name} is not a string"))),
        };
        let state = text("state");
        let (wallet_nonce, signature) = (text(WALLET_NONCE_MEMBER), text(REQUEST_SIGNATURE_MEMBER));
        let read = value.get("vp_token").map_or_else(|| Err(malformed("there is no vp_token")), parse_vp_token);
        carnet_core::wipe(&mut value);
        let ephemeral = Some(decrypted.ephemeral_thumbprint);
        let answered = AnsweredObject { wallet_nonce: wallet_nonce?, signature: signature? };
        Ok(Self { presentations: read?, state: state?, answered, ephemeral_thumbprint: ephemeral })
    }

    /// Checks that `state` equals that of the request (`expected`), or is absent if the request has none.
    ///
    /// # Errors
    /// `nonce_replayed`
    pub fn require_state(&self, expected: Option<&str>) -> Result<(), Problem> {
        if self.state.as_deref() == expected {
            return Ok(());
        }
        Err(Problem::new(Code::NonceReplayed, "the state is that of another request"))
    }

    /// Returns the parameters as a JSON object, which is the plaintext of an encrypted response.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut members = Map::from_iter([("vp_token".to_owned(), self.vp_token())]);
        for (name, text) in self.text_parameters() {
            members.insert(name.to_owned(), text.into());
        }
        Zeroizing::new(Value::Object(members).to_string())
    }

    /// Serialises the form body, encrypted if the response mode is `direct_post.jwt`.
    ///
    /// # Errors
    /// `response_encryption` if the request has no encryption parameters, and those of [`encrypt`].
    pub fn to_form(&self, request: &AuthorizationRequest, rng: Rng<'_>) -> Result<Zeroizing<String>, Problem> {
        if request.response_mode == ResponseMode::DirectPost {
            let token = Zeroizing::new(self.vp_token().to_string());
            let mut parameters = vec![("vp_token", token.as_str())];
            parameters.extend(self.text_parameters());
            return Ok(form::encode_form(&parameters));
        }
        let encryption = request.client_metadata.as_ref().and_then(|metadata| metadata.encryption.as_ref());
        let encryption = encryption.ok_or_else(|| Problem::from(Code::ResponseEncryption))?;
        let method = encryption.content_encryptions.first().ok_or_else(|| Problem::from(Code::ResponseEncryption))?;
        let response = encrypt(self.to_json().as_bytes(), &encryption.key, *method, request.nonce.as_bytes(), rng)?;
        Ok(form::encode_form(&[("response", &response)]))
    }

    /// Returns the text parameters other than `vp_token`, with their names.
    fn text_parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let AnsweredObject { wallet_nonce, signature } = &self.answered;
        let texts =
            [("state", &self.state), (WALLET_NONCE_MEMBER, wallet_nonce), (REQUEST_SIGNATURE_MEMBER, signature)];
        texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    /// Returns `vp_token`. A presentation whose text is a JSON object is included as an object, any other as a string.
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

/// Parses `vp_token`: a non-empty list of presentations for each credential query id (OpenID4VP section 8.1).
fn parse_vp_token(value: &Value) -> Result<Presentations, Problem> {
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

/// Body of the response to an accepted presentation (OpenID4VP section 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptedResponse {
    /// `redirect_uri`: URL that the wallet opens for the holder.
    pub redirect_uri: Option<String>,
    /// `carnet_receipt`: a signed receipt, as JSON text; wallets other than Carnet's ignore it.
    pub receipt: Option<String>,
}

impl AcceptedResponse {
    /// Serialises the body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members = [("redirect_uri", &self.redirect_uri), (RECEIPT_MEMBER, &self.receipt)];
        let members = members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_deref()?.into())));
        Value::Object(members.collect::<Map<_, _>>()).to_string()
    }

    /// Parses the body. Unknown members are ignored, and so is a `redirect_uri` that is not a valid https URL.
    ///
    /// # Errors
    /// The errors of [`json::parse_object`]; `token_malformed` if a member is not a string.
    pub fn parse(body: &[u8]) -> Result<Self, Problem> {
        let members = json::parse_object(body, Limits::DOCUMENT)?;
        let malformed = |name: &str| Problem::new(Code::TokenMalformed, format!("{name} is malformed"));
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(name)),
        };
        let redirect_uri = text("redirect_uri")?;
        // A URL that must not be opened is dropped, without invalidating the receipt.
        let redirect_uri = redirect_uri.filter(|url| {
            // The fragment contains the response code.
            let before = url.split_once('#').map_or(url.as_str(), |(before, _)| before);
            crate::link::parse_https_url("redirect_uri", before).is_ok()
                && url.bytes().all(|byte| byte.is_ascii_graphic())
        });
        Ok(Self { redirect_uri, receipt: text(RECEIPT_MEMBER)? })
    }
}

/// Appends a response code to the URL that the wallet opens (OpenID4VP section 13.3), in the fragment, which servers do
/// not receive.
///
/// # Errors
/// `request_malformed`: the code has characters other than those of [`check_nonce`], or the URL is not https or already
/// has a fragment.
pub fn append_response_code(return_url: &str, code: &str) -> Result<String, Problem> {
    check_nonce("response_code", code)?;
    let url = crate::link::parse_https_url("return_url", return_url)
        .map_err(|problem| Problem::new(Code::RequestMalformed, problem.detail))?;
    Ok(format!("{url}#response_code={code}"))
}

#[cfg(test)]
mod tests;
