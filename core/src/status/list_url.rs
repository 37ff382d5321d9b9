//! URLs of an issuer's published status lists.

use std::fmt;

use super::publication::ListFormat;

/// URL of a published status list: `BASE/FORMAT/NUMBER`.
///
/// # Examples
/// ```
/// use carnet_core::status::{StatusListUrl, publication::ListFormat};
///
/// let url = StatusListUrl::parse("https://uni.example/status/token/3").unwrap();
/// assert_eq!((url.base, url.form, url.number), ("https://uni.example/status", ListFormat::Token, 3));
/// assert_eq!(url.to_string(), "https://uni.example/status/token/3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusListUrl<'a> {
    /// URL under which the lists are published, without a trailing slash.
    pub base: &'a str,
    /// Format of the list.
    pub form: ListFormat,
    /// Number of the list, from 0.
    pub number: i64,
}

impl<'a> StatusListUrl<'a> {
    /// Parses a URL; `None` for other forms. A number is written in one way only.
    #[must_use]
    pub fn parse(url: &'a str) -> Option<Self> {
        let (rest, digits) = url.rsplit_once('/')?;
        let (base, name) = rest.rsplit_once('/')?;
        let form = ListFormat::WITH_MESSAGES.into_iter().find(|form| form.as_str() == name)?;
        let number: i64 = digits.parse().ok()?;
        (number >= 0 && number.to_string() == digits).then_some(Self { base, form, number })
    }
}

impl fmt::Display for StatusListUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.base, self.form.as_str(), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_written_and_read_in_one_way() {
        for form in ListFormat::WITH_MESSAGES {
            let url = StatusListUrl { base: "https://uni.example/a/status", form, number: 12 };
            assert_eq!(StatusListUrl::parse(&url.to_string()), Some(url));
        }
        for other in [
            "https://uni.example/status/token/-1",
            "https://uni.example/status/token/+1",
            "https://uni.example/status/token/01",
            "https://uni.example/status/token/",
            "https://uni.example/status/token/9223372036854775808",
            "https://uni.example/status/tokens/1",
            "https://uni.example/status/Token/1",
            "token/1",
            "1",
            "",
        ] {
            assert_eq!(StatusListUrl::parse(other), None, "{other}");
        }
    }
}
