//! Links that start an issuance or a presentation, and URLs in messages.

use std::fmt::Display;

use carnet_core::{Code, Problem, endpoint::parse_endpoint};
use url::Url;

use crate::form::FormParameters;

/// Parses a link of at most `most_bytes` bytes, which has the given scheme or is an https URL. Returns the URL and the
/// parameters of its query.
///
/// # Errors
/// `too_large`; `unknown_format` (no URL, another scheme, or an https URL that [`parse_https_url`] refuses); those of
/// [`FormParameters::parse`].
pub(crate) fn parse_link(link: &str, scheme: &str, most_bytes: usize) -> Result<(Url, FormParameters), Problem> {
    if link.len() > most_bytes {
        return Err(Problem::new(Code::TooLarge, format!("a link is at most {most_bytes} bytes")));
    }
    let url = Url::parse(link).map_err(|_| Problem::new(Code::UnknownFormat, "not a link"))?;
    if url.scheme() != scheme {
        parse_https_url("the link", link).map_err(|problem| Problem::new(Code::UnknownFormat, problem.detail))?;
    }
    let form = FormParameters::parse(url.query().unwrap_or_default().as_bytes())?;
    Ok((url, form))
}

/// Parses a URL in a message: that of an endpoint ([`parse_endpoint`]), without a fragment. `member` names the URL in
/// the error message.
///
/// # Errors
/// `malformed_value`
pub fn parse_https_url(member: &str, text: &str) -> Result<Url, Problem> {
    let refuse = |why: &dyn Display| Problem::new(Code::MalformedValue, format!("{member} {why}"));
    let url = parse_endpoint(text).map_err(|error| refuse(&error))?;
    if url.fragment().is_some() {
        return Err(refuse(&"has a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_a_message_is_visible_ascii() {
        assert!(parse_https_url("token_endpoint", "https://a.example/t%1B").is_ok());
        for hidden in
            ["https://a.example/\u{1b}[2J", "https://a.exa\nmple/", "\thttps://a.example", "https://ä.example"]
        {
            assert_eq!(parse_https_url("token_endpoint", hidden).unwrap_err().code, Code::MalformedValue, "{hidden:?}");
        }
    }
}
