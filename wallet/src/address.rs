//! Validation of service addresses from untrusted text.

use std::fmt;

use carnet_core::{
    Code,
    did::{self, Did},
};
use url::{Host, Url};

use crate::failure::{Failure, Sentence};

/// Reason why a service address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Not a URL, or a text with characters other than visible ASCII.
    NoUrl,
    /// A URL without a host.
    NoHost,
    /// A user name or a password in the URL.
    Password,
    /// Scheme http on a host other than this machine.
    Unencrypted,
    /// Scheme other than https and http.
    Scheme,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "The service's address is not a URL",
            Self::NoHost => "The service's address has no host",
            Self::Password => "The service's address has a user name or a password in it",
            Self::Unencrypted => "The service's address is not encrypted",
            Self::Scheme => "The service's address is neither http nor https",
        })
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        let why = match error {
            AddressError::NoUrl => "why-no-url",
            AddressError::NoHost => "why-no-host",
            AddressError::Password => "why-password",
            AddressError::Unencrypted => "why-unencrypted",
            AddressError::Scheme => "why-scheme",
        };
        let message = Sentence::id("error-address").with_part("why", Sentence::id(why));
        Self::new(Code::AddressForbidden, message, Sentence::id("hint-forbidden-address"))
    }
}

/// Parses the address of a service from untrusted text: an https URL, or an http URL whose host is `localhost` or a
/// loopback address. Only visible ASCII is accepted (RFC 3986 section 2): URL parsers drop control characters, which a
/// terminal would execute.
///
/// # Errors
/// The reason why the address is refused.
pub fn service_address(text: &str) -> Result<Url, AddressError> {
    let url = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let url = url.and_then(|text| Url::parse(text).ok()).ok_or(AddressError::NoUrl)?;
    if url.host().is_none() {
        return Err(AddressError::NoHost);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Password);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(AddressError::Unencrypted),
        _ => Err(AddressError::Scheme),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Returns whether a service address is known to belong to the issuer with this DID: its host is that of the did:web or
/// did:webvh, on any port, or it is on this machine. `false` if the address is invalid. The link of an offer can
/// contain any address, and valid copies prove nothing about it, since a relay can forward them from the issuer.
pub fn is_of_issuer(endpoint: &str, issuer: &str) -> bool {
    let Ok(endpoint) = service_address(endpoint) else { return false };
    let host = |text: String| Url::parse(&text).ok()?.host_str().map(str::to_owned);
    let published = |did: Did| did::web::document_url(&did).or_else(|_| did::webvh::log_url(&did));
    let named = Did::parse(issuer).and_then(published).ok().and_then(host);
    is_loopback(&endpoint) || (named.is_some() && named.as_deref() == endpoint.host_str())
}

/// Returns the origin of a URL: scheme, host, and the port unless it is the default of the scheme.
pub fn scheme_host_port(url: &Url) -> String {
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
            assert!(is_of_issuer(own, issuer), "{own}");
        }
        for other in [
            "https://relay.example",
            "https://issuer.example.relay.example",
            "https://a.issuer.example",
            "https://issuer.example@relay.example",
            "http://issuer.example",
            "x",
        ] {
            assert!(!is_of_issuer(other, issuer), "{other}");
        }
        assert!(is_of_issuer("http://127.0.0.1:4000", "did:web:localhost%3A4001"));
        let logged = "did:webvh:QmaQmViZ6varjf5HtkXpK8P5oMzhE61XH2siBdbyvN3ubX:issuer.example:permits";
        assert!(is_of_issuer("https://issuer.example:8443", logged) && !is_of_issuer("https://other.example", logged));
        assert!(
            !is_of_issuer("https://issuer.example", "did:jwk:e30") && is_of_issuer("http://localhost:1", "did:jwk:e30")
        );
    }

    #[test]
    fn only_encrypted_or_local_services_are_used() {
        for good in ["https://issuer.example", "http://127.0.0.1:4000", "http://localhost:1/x", "http://[::1]:5"] {
            assert!(service_address(good).is_ok(), "{good}");
        }
        for bad in
            ["http://issuer.example", "http://10.0.0.1:80", "ftp://a", "x", "https://u:p@a.example", "file:///etc"]
        {
            assert_eq!(Failure::from(service_address(bad).unwrap_err()).reason, "address_forbidden", "{bad}");
        }
        for hidden in ["https://a.example/\u{1b}[2J", "https://a.exa\nmple", " https://a.example", "https://ä.example"]
        {
            assert_eq!(service_address(hidden).unwrap_err(), AddressError::NoUrl, "{hidden:?}");
        }
        assert_eq!(
            scheme_host_port(&service_address("https://a.example:8443/x/y?z").unwrap()),
            "https://a.example:8443"
        );
    }
}
