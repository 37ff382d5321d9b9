//! Authorization request links: by reference (`request_uri`), or by value (OpenID4VP section 5, RFC 9101).

use carnet_core::{
    Code, Problem,
    json::{self, Limits},
};
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value};
use url::Url;

use super::{REQUEST_SCHEME, request::MAX_URL_BYTES};
use crate::{
    form::PERCENT_ENCODED,
    link::{self, parse_https_url},
};

/// Maximum length of a request link, in bytes.
const MAX_LINK_BYTES: usize = 65_536;
/// Parameters whose value in a query is JSON (OpenID4VP section 5.1).
const JSON_PARAMETERS: [&str; 4] = ["dcql_query", "client_metadata", "transaction_data", "verifier_info"];

/// HTTP method with which a wallet fetches a request object (OpenID4VP section 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestUriMethod {
    /// `get`
    Get,
    /// `post`, with `wallet_nonce` and `wallet_metadata`.
    Post,
}

/// Content of a request link, except the client identifier.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestSource {
    /// URL of the request object (`request_uri`), and the method with which it is fetched.
    Reference(Url, RequestUriMethod),
    /// Signed request object (`request`), not yet verified.
    Object(String),
    /// Unsigned request parameters, including the client identifier.
    Parameters(Map<String, Value>),
}

/// Authorization request link.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestLink {
    /// Full client identifier, with its prefix.
    pub client_id: String,
    /// Request object, request parameters, or URL of the request object.
    pub source: RequestSource,
}

impl RequestLink {
    /// Parses a link: `openid4vp://`, or an https URL with the same parameters.
    ///
    /// # Errors
    /// `too_large`: longer than 65,536 bytes; `unknown_format` for another scheme; those of
    /// [`crate::form::FormParameters::parse`]; `request_malformed`: no `client_id`, both `request` and `request_uri`,
    /// or an invalid `request_uri` or `request_uri_method`; those of [`json::parse`] for a parameter whose value is
    /// JSON.
    pub fn parse(link: &str) -> Result<Self, Problem> {
        let malformed = |what: &str| Problem::new(Code::RequestMalformed, what);
        let (url, form) = link::parse_link(link, REQUEST_SCHEME, MAX_LINK_BYTES)?;
        let text = |name: &str| form.get(name).map(|value| value.expose().to_owned());
        let client_id = text("client_id").ok_or_else(|| malformed("the link has no client_id"))?;
        let source = match (text("request_uri"), text("request")) {
            (Some(_), Some(_)) => return Err(malformed("the link has request and request_uri")),
            (Some(uri), None) => {
                if uri.len() > MAX_URL_BYTES {
                    return Err(malformed("request_uri is too long"));
                }
                let uri = parse_https_url("request_uri", &uri).map_err(|problem| malformed(&problem.detail))?;
                let method = match text("request_uri_method").as_deref() {
                    None | Some("get") => RequestUriMethod::Get,
                    Some("post") => RequestUriMethod::Post,
                    Some(_) => return Err(malformed("request_uri_method is neither get nor post")),
                };
                RequestSource::Reference(uri, method)
            }
            (None, _) if form.contains("request_uri_method") => {
                return Err(malformed("request_uri_method without request_uri"));
            }
            (None, Some(object)) => RequestSource::Object(object),
            (None, None) => RequestSource::Parameters(parse_parameters(&url)?),
        };
        Ok(Self { client_id, source })
    }

    /// Serialises the link with the scheme `openid4vp`.
    #[must_use]
    pub fn to_link(&self) -> String {
        let mut query = vec![("client_id", self.client_id.clone())];
        match &self.source {
            RequestSource::Reference(uri, method) => {
                query.push(("request_uri", uri.to_string()));
                if *method == RequestUriMethod::Post {
                    query.push(("request_uri_method", "post".to_owned()));
                }
            }
            RequestSource::Object(object) => query.push(("request", object.clone())),
            RequestSource::Parameters(parameters) => {
                let others = parameters.iter().filter(|(name, _)| *name != "client_id");
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                query.extend(others.map(|(name, value)| (name.as_str(), text(value))));
            }
        }
        let pair = |(name, value): (&str, String)| format!("{name}={}", utf8_percent_encode(&value, PERCENT_ENCODED));
        format!("{REQUEST_SCHEME}://?{}", query.into_iter().map(pair).collect::<Vec<_>>().join("&"))
    }
}

/// Parses the parameters of an unsigned request in a query string, whose parameters are known to be unique. Empty ones
/// are omitted.
fn parse_parameters(url: &Url) -> Result<Map<String, Value>, Problem> {
    let read = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let value = if JSON_PARAMETERS.contains(&name.as_ref()) {
            json::parse(value.as_bytes(), Limits::SMALL)?
        } else {
            Value::String(value.into_owned())
        };
        Ok((name.into_owned(), value))
    };
    url.query_pairs().filter(|(_, value)| !value.is_empty()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CLIENT: &str = "decentralized_identifier:did:web:agency.example";

    fn refused(link: &str) -> Code {
        RequestLink::parse(link).unwrap_err().code
    }

    #[test]
    fn links_come_back() {
        let uri = Url::parse("https://agency.example/openid/request/1").unwrap();
        for source in [
            RequestSource::Reference(uri.clone(), RequestUriMethod::Get),
            RequestSource::Reference(uri, RequestUriMethod::Post),
            RequestSource::Object("e30.e30.AA".to_owned()),
        ] {
            let link = RequestLink { client_id: CLIENT.to_owned(), source };
            assert_eq!(RequestLink::parse(&link.to_link()).unwrap(), link);
        }
        let parameters =
            json!({"client_id": "redirect_uri:https://a.example/r", "nonce": "n", "dcql_query": {"a": [1]}});
        let parameters = parameters.as_object().unwrap().clone();
        let client_id = "redirect_uri:https://a.example/r".to_owned();
        let link = RequestLink { client_id, source: RequestSource::Parameters(parameters) };
        assert_eq!(RequestLink::parse(&link.to_link()).unwrap(), link);
        let by_https = link.to_link().replace("openid4vp://", "https://wallet.example/authorize");
        assert_eq!(RequestLink::parse(&by_https).unwrap(), link);
    }

    #[test]
    fn faults_are_refused() {
        let uri = "request_uri=https%3A%2F%2Fa.example%2F1";
        assert!(RequestLink::parse(&format!("openid4vp://?client_id=x&{uri}")).is_ok());
        for (link, code) in [
            (format!("openid4vp://?{uri}"), Code::RequestMalformed),
            (format!("openid4vp://?client_id=x&client_id=y&{uri}"), Code::DuplicateKey),
            (format!("openid4vp://?client_id=x&request=a&{uri}"), Code::RequestMalformed),
            (format!("openid4vp://?client_id=x&request_uri_method=put&{uri}"), Code::RequestMalformed),
            (format!("openid4vp://?client_id=x&request_uri_method=POST&{uri}"), Code::RequestMalformed),
            ("openid4vp://?client_id=x&request_uri_method=post".to_owned(), Code::RequestMalformed),
            ("openid4vp://?client_id=x&request_uri=http%3A%2F%2Fa.example".to_owned(), Code::RequestMalformed),
            ("openid4vp://?client_id=x&request_uri=file%3A%2F%2F%2Fetc".to_owned(), Code::RequestMalformed),
            ("openid4vp://?client_id=x&dcql_query=%7B%22a%22%3A1%2C%22a%22%3A2%7D".to_owned(), Code::DuplicateKey),
            ("javascript:alert(1)".to_owned(), Code::UnknownFormat),
            ("http://wallet.example/?client_id=x".to_owned(), Code::UnknownFormat),
            (format!("openid4vp://?client_id={}", "x".repeat(MAX_LINK_BYTES)), Code::TooLarge),
        ] {
            assert_eq!(refused(&link), code, "{}", link.chars().take(100).collect::<String>());
        }
    }
}
