//! Configuration of the OpenID4VP interface.

use carnet_openid::vp::{ResponseMode, response::append_response_code};
use serde::Deserialize;

/// Form of the request in the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RequestForm {
    /// URL of the signed request object (`request_uri`).
    Reference,
    /// Signed request object (`request`).
    Value,
    /// Unsigned parameters, with a client identifier of the prefix `redirect_uri`.
    Unsigned,
}

/// Configuration of the OpenID4VP interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OpenIdConfig {
    /// `true` if responses are encrypted to a key in the request (`direct_post.jwt`); otherwise only TLS protects them
    /// (`direct_post`).
    pub(crate) encrypt_responses: bool,
    /// Form of requests for wallets of others: "reference" (a link to the signed request), "value" (the signed request
    /// in the link), or "unsigned" (the parameters in the link, for wallets that know no DIDs: nothing shows who asks).
    pub(crate) requests: RequestForm,
    /// URL that a wallet on the same device opens after an accepted response; `None`: none.
    pub(crate) return_url: Option<String>,
}

impl Default for OpenIdConfig {
    fn default() -> Self {
        Self { encrypt_responses: true, requests: RequestForm::Reference, return_url: None }
    }
}

impl OpenIdConfig {
    /// Checks the return URL; an error is a phrase for people.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let Some(url) = &self.return_url else { return Ok(()) };
        let checked = append_response_code(url, "code").map_err(|problem| problem.detail);
        checked.map(|_| ()).map_err(|why| format!("openid.return_url: {why}"))
    }

    pub(crate) fn mode(&self) -> ResponseMode {
        if self.encrypt_responses { ResponseMode::DirectPostJwt } else { ResponseMode::DirectPost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_checked() {
        let config = |text: &str| toml::from_str::<OpenIdConfig>(text);
        assert_eq!(config("").unwrap().mode(), ResponseMode::DirectPostJwt);
        assert_eq!(config("encrypt_responses = false").unwrap().mode(), ResponseMode::DirectPost);
        assert!(config("encrypt_responses = \"no\"").is_err() && config("unknown = 1").is_err());
        assert_eq!(config("").unwrap().requests, RequestForm::Reference);
        assert_eq!(config("requests = \"unsigned\"").unwrap().requests, RequestForm::Unsigned);
        assert!(config("requests = \"Value\"").is_err() && config("requests = true").is_err());
        assert!(config("return_url = \"https://agency.example/done\"").unwrap().validate().is_ok());
        for refused in ["http://agency.example/", "https://agency.example/#a", "agency"] {
            assert!(config(&format!("return_url = {refused:?}")).unwrap().validate().is_err(), "{refused}");
        }
    }
}
