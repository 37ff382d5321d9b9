//! OpenID for Verifiable Credential Issuance 1.0.

pub mod credential;
pub mod encryption;
pub mod metadata;
pub mod offer;
pub mod token;

use carnet_core::{Code, Problem};
use url::Url;

use crate::link::parse_https_url;

/// Grant type of a pre-authorized code (OpenID4VCI section 4.1.1).
pub const PRE_AUTHORIZED_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
/// Name of the credential issuer metadata below `/.well-known/` (section 12.2.2).
pub const ISSUER_METADATA: &str = "openid-credential-issuer";
/// Name of the authorization server metadata (RFC 8414 section 3).
pub const AUTHORIZATION_SERVER_METADATA: &str = "oauth-authorization-server";
/// Name of the JWT VC issuer metadata (SD-JWT VC section 4).
pub const JWT_VC_ISSUER: &str = "jwt-vc-issuer";

/// Returns the well-known URL of an issuer: `/.well-known/` and `name` are inserted before the path of the issuer
/// identifier (OpenID4VCI section 12.2.2).
///
/// # Errors
/// `malformed_value` if the issuer identifier is invalid.
pub fn well_known_url(issuer: &str, name: &str) -> Result<String, Problem> {
    let mut url = parse_issuer_identifier(issuer)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("/.well-known/{name}{path}"));
    Ok(url.to_string())
}

/// Parses a credential issuer identifier: an https URL without query, fragment and user name (OpenID4VCI section
/// 12.2.1). `http` is permitted for loopback addresses.
///
/// # Errors
/// `malformed_value`
pub fn parse_issuer_identifier(text: &str) -> Result<Url, Problem> {
    let url = parse_https_url("credential_issuer", text)?;
    if url.query().is_some() {
        return Err(Problem::new(Code::MalformedValue, "credential_issuer has a query"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_name_stands_before_the_path() {
        for (issuer, expected) in [
            ("https://a.example", "https://a.example/.well-known/openid-credential-issuer"),
            ("https://a.example/", "https://a.example/.well-known/openid-credential-issuer"),
            ("https://a.example:8443/t/1", "https://a.example:8443/.well-known/openid-credential-issuer/t/1"),
            ("http://127.0.0.1:7401", "http://127.0.0.1:7401/.well-known/openid-credential-issuer"),
        ] {
            assert_eq!(well_known_url(issuer, ISSUER_METADATA).unwrap(), expected);
        }
    }

    #[test]
    fn only_https_urls_identify_an_issuer() {
        for good in ["https://a.example", "https://a.example/x", "http://[::1]:1", "http://localhost:1"] {
            assert!(parse_issuer_identifier(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "http://127.0.0.1.example",
            "did:web:a.example",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example#f",
            "https://a.example?q",
            "file:///etc/passwd",
            "https://",
        ] {
            assert_eq!(parse_issuer_identifier(bad).unwrap_err().code, Code::MalformedValue, "{bad}");
        }
    }
}
