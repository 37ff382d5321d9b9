//! URLs of services, as given in messages, links and documents of others.

use std::fmt;

use url::{Host, Url};

/// Reason why the URL of a service is refused. The text is a predicate, such as "has no host".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointError {
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

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUrl => "is not a URL",
            Self::NoHost => "has no host",
            Self::Password => "has a user name or a password in it",
            Self::Unencrypted => "is not encrypted",
            Self::Scheme => "is neither http nor https",
        })
    }
}

/// Parses the URL of a service from untrusted text: an https URL, or, for trials, an http URL on this machine. Only
/// visible ASCII is accepted (RFC 3986 section 2): URL parsers drop control characters, which a terminal would execute.
///
/// # Errors
/// The reason why the URL is refused.
///
/// # Examples
/// ```
/// use carnet_core::endpoint::{EndpointError, parse_endpoint};
///
/// assert_eq!(parse_endpoint("https://issuer.example/a").map(|url| url.path().to_owned()), Ok("/a".to_owned()));
/// assert_eq!(parse_endpoint("http://issuer.example"), Err(EndpointError::Unencrypted));
/// ```
pub fn parse_endpoint(text: &str) -> Result<Url, EndpointError> {
    let url = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let url = url.and_then(|text| Url::parse(text).ok()).ok_or(EndpointError::NoUrl)?;
    if url.host().is_none() {
        return Err(EndpointError::NoHost);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::Password);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(EndpointError::Unencrypted),
        _ => Err(EndpointError::Scheme),
    }
}

/// Returns whether a URL is on this machine: its host is `localhost` or a loopback address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_or_local_services_are_used() {
        for good in [
            "https://issuer.example",
            "https://issuer.example:8443/a?b=%1B#c",
            "https://192.0.2.1/a",
            "http://127.0.0.1:4000",
            "http://127.9.9.9",
            "http://LocalHost:1/x",
            "http://[::1]:5",
        ] {
            assert!(parse_endpoint(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://issuer.example", EndpointError::Unencrypted),
            ("http://10.0.0.1:80", EndpointError::Unencrypted),
            ("http://localhost.issuer.example", EndpointError::Unencrypted),
            ("http://127.0.0.1.issuer.example", EndpointError::Unencrypted),
            ("ftp://a", EndpointError::Scheme),
            ("openid4vp://a", EndpointError::Scheme),
            ("x", EndpointError::NoUrl),
            ("", EndpointError::NoUrl),
            ("https://", EndpointError::NoUrl),
            ("//issuer.example", EndpointError::NoUrl),
            ("file:///etc/passwd", EndpointError::NoHost),
            ("data:text/plain,a", EndpointError::NoHost),
            ("https://u:p@a.example", EndpointError::Password),
            ("https://u@a.example", EndpointError::Password),
            ("https://:p@a.example", EndpointError::Password),
        ] {
            assert_eq!(parse_endpoint(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn characters_that_a_parser_drops_or_a_terminal_obeys_are_refused() {
        for hidden in [
            "https://a.example/\u{1b}[2J",
            "https://a.exa\nmple",
            "\thttps://a.example",
            " https://a.example",
            "https://a.example ",
            "https://ä.example",
            "https://a.example/\u{202e}",
        ] {
            assert_eq!(parse_endpoint(hidden), Err(EndpointError::NoUrl), "{hidden:?}");
        }
    }
}
