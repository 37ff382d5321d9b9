//! Fetches for the command `doctor` of the services: the content, the server's clock, and TLS errors distinguished from
//! others.

use std::{error::Error, io};

use carnet_core::{Problem, time::Timestamp};
use reqwest::header::{ACCEPT, AGE, DATE, HeaderMap, HeaderName};

use crate::https::{HttpsFetcher, parse_fetch_url, read_body, request_problem, require_ok};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Response of a web site.
#[derive(Debug, Clone)]
pub struct SiteResponse {
    /// Body of the response.
    pub bytes: Vec<u8>,
    /// Server time: `Date`, plus `Age` of a cached response; `None` if `Date` is absent or malformed.
    pub server_time: Option<Timestamp>,
}

/// Error of a fetch from a web site.
#[derive(Debug, Clone)]
pub struct SiteError {
    /// Error, as of [`HttpsFetcher::fetch`].
    pub problem: Problem,
    /// `true` if the TLS handshake failed: untrusted or expired certificate, wrong host name.
    pub is_tls: bool,
}

impl HttpsFetcher {
    /// Fetches an https URL as [`HttpsFetcher::fetch`], and also returns the server's time.
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::fetch`], each with the information if TLS failed.
    pub async fn fetch_with_server_time(
        &self,
        url: &str,
        accept: &str,
        max_bytes: usize,
    ) -> Result<SiteResponse, SiteError> {
        let other = |problem| SiteError { problem, is_tls: false };
        let request = self.client.get(parse_fetch_url(url).map_err(other)?).header(ACCEPT, accept);
        let response = match request.send().await {
            Ok(response) => require_ok(response).map_err(other)?,
            Err(error) => {
                let is_tls = is_tls(&error);
                return Err(SiteError { problem: request_problem(error), is_tls });
            }
        };
        let server_time = server_time(response.headers());
        Ok(SiteResponse { bytes: read_body(response, max_bytes).await.map_err(other)?, server_time })
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // An I/O error does not name the error that it carries as its source.
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || carried.is_some_and(|carried| is_tls(carried)) || error.source().is_some_and(is_tls)
}

fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let age = text(AGE).and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or_default();
    Some(http_date(text(DATE)?)?.plus(age.into()))
}

/// Parses an IMF-fixdate (RFC 9110 section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)?.saturating_add(1);
    let is_whole = parts.next() == Some("GMT") && parts.next().is_none();
    if is_whole { Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_in_the_form_that_servers_send() {
        let read = |text: &str| http_date(text).map(|at| at.to_string());
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT").as_deref(), Some("1994-11-06T08:49:37Z"));
        for text in
            ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "", "x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn an_answer_from_a_cache_is_older_than_its_server_s_clock() {
        let mut headers = HeaderMap::new();
        assert_eq!(server_time(&headers), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        headers.insert(AGE, "23".parse().unwrap());
        assert_eq!(server_time(&headers).map(|at| at.to_string()).as_deref(), Some("1994-11-06T08:50:00Z"));
    }
}
