//! Addresses of services: their owners, and what a person is told of a refused one.

use carnet_core::{
    Code,
    did::{self, Did},
    endpoint::{EndpointError, is_loopback, parse_endpoint},
};
use url::Url;

use crate::failure::{Failure, Sentence};

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        let why = match error {
            EndpointError::NoUrl => "why-no-url",
            EndpointError::NoHost => "why-no-host",
            EndpointError::Password => "why-password",
            EndpointError::Unencrypted => "why-unencrypted",
            EndpointError::Scheme => "why-scheme",
        };
        let message = Sentence::new("error-address").with_part("why", Sentence::new(why));
        Self::new(Code::AddressForbidden, message, Sentence::new("hint-forbidden-address"))
    }
}

/// Returns whether a service address is known to belong to the issuer with this DID: its host is that of the did:web or
/// did:webvh, on any port, or it is on this machine. `false` if the address is invalid. The link of an offer can
/// contain any address, and valid copies prove nothing about it, since a relay can forward them from the issuer.
pub fn belongs_to_issuer(endpoint: &str, issuer: &str) -> bool {
    let Ok(endpoint) = parse_endpoint(endpoint) else { return false };
    let host = |text: String| Url::parse(&text).ok()?.host_str().map(str::to_owned);
    let published = |did: Did| did::web::document_url(&did).or_else(|_| did::webvh::log_url(&did));
    let named = Did::parse(issuer).and_then(published).ok().and_then(host);
    is_loopback(&endpoint) || (named.is_some() && named.as_deref() == endpoint.host_str())
}

/// Returns the origin of a URL: scheme, host, and the port unless it is the default of the scheme.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_issuers_on_the_host_of_its_did() {
        let issuer = "did:web:issuer.example%3A8443:schools:one";
        for own in ["https://issuer.example", "https://issuer.example:9443", "http://127.0.0.1:4000", "http://[::1]:5"]
        {
            assert!(belongs_to_issuer(own, issuer), "{own}");
        }
        for other in [
            "https://relay.example",
            "https://issuer.example.relay.example",
            "https://a.issuer.example",
            "https://issuer.example@relay.example",
            "http://issuer.example",
            "x",
        ] {
            assert!(!belongs_to_issuer(other, issuer), "{other}");
        }
        assert!(belongs_to_issuer("http://127.0.0.1:4000", "did:web:localhost%3A4001"));
        let logged = "did:webvh:QmaQmViZ6varjf5HtkXpK8P5oMzhE61XH2siBdbyvN3ubX:issuer.example:permits";
        assert!(
            belongs_to_issuer("https://issuer.example:8443", logged)
                && !belongs_to_issuer("https://other.example", logged)
        );
        assert!(
            !belongs_to_issuer("https://issuer.example", "did:jwk:e30")
                && belongs_to_issuer("http://localhost:1", "did:jwk:e30")
        );
    }

    #[test]
    fn a_refused_address_is_told_as_such() {
        for bad in ["http://issuer.example", "ftp://a", "x", "https://u:p@a.example", "file:///etc"] {
            assert_eq!(Failure::from(parse_endpoint(bad).unwrap_err()).reason, "address_forbidden", "{bad}");
        }
        assert_eq!(origin(&parse_endpoint("https://a.example:8443/x/y?z").unwrap()), "https://a.example:8443");
    }
}
