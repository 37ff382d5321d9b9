//! Client identifiers and their prefixes (OpenID4VP section 5.9).

use std::fmt;

use carnet_core::{Code, Problem, did::Did};
use url::Url;

use crate::link::parse_https_url;

/// Client identifier prefix for a DID.
const DID_PREFIX: &str = "decentralized_identifier";
/// Client identifier prefix for the URL of the response endpoint.
const REDIRECT_URI_PREFIX: &str = "redirect_uri";

/// Client identifier with a supported prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientId {
    /// DID whose document has the key that signs the request (OpenID4VP section 5.9.3).
    DecentralizedIdentifier(Did),
    /// URL of the response endpoint. Requests with this identifier are never signed, and the verifier is not
    /// authenticated.
    RedirectUri(Url),
}

impl ClientId {
    /// Parses a full client identifier, with its prefix.
    ///
    /// # Errors
    /// `request_malformed`: another prefix or none, since there are no pre-registered clients; an invalid DID or URL.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |what: &str| Problem::new(Code::RequestMalformed, what);
        match text.split_once(':') {
            Some((DID_PREFIX, did)) => Did::parse(did)
                .map(Self::DecentralizedIdentifier)
                .map_err(|_| refused("the client id has no valid DID")),
            Some((REDIRECT_URI_PREFIX, url)) => {
                parse_https_url("client_id", url).map(Self::RedirectUri).map_err(|problem| refused(&problem.detail))
            }
            Some(_) => Err(refused("the client id has a prefix that is not supported")),
            None => Err(refused("the client id has no prefix")),
        }
    }

    /// Returns `true` if a request with this identifier must be signed, `false` if it must not be (OpenID4VP section
    /// 5.9.3).
    #[must_use]
    pub fn requires_signed_request(&self) -> bool {
        matches!(self, Self::DecentralizedIdentifier(_))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecentralizedIdentifier(did) => write!(f, "{DID_PREFIX}:{did}"),
            Self::RedirectUri(url) => write!(f, "{REDIRECT_URI_PREFIX}:{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_prefixes_are_taken() {
        for text in [
            "decentralized_identifier:did:web:agency.example",
            "redirect_uri:https://agency.example/response",
            "redirect_uri:http://127.0.0.1:7402/response",
        ] {
            assert_eq!(ClientId::parse(text).unwrap().to_string(), text);
        }
        assert!(ClientId::parse("decentralized_identifier:did:web:a.example").unwrap().requires_signed_request());
        assert!(!ClientId::parse("redirect_uri:https://a.example/r").unwrap().requires_signed_request());
    }

    #[test]
    fn other_identifiers_are_refused() {
        for text in [
            "",
            "agency",
            "did:web:agency.example",
            "decentralized_identifier:",
            "decentralized_identifier:https://agency.example",
            "Decentralized_Identifier:did:web:agency.example",
            "redirect_uri:http://agency.example/response",
            "redirect_uri:https://user@agency.example/",
            "redirect_uri:openid4vp://",
            "x509_san_dns:agency.example",
            "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk",
            "verifier_attestation:agency",
            "openid_federation:https://agency.example",
            "origin:https://agency.example",
        ] {
            assert_eq!(ClientId::parse(text).unwrap_err().code, Code::RequestMalformed, "{text}");
        }
    }
}
