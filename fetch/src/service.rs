//! Calls of HTTP services whose URLs come from outside, with the same restrictions as for DID documents.
//!
//! Only public addresses of the host are contacted, and private ones of hosts in the configuration; no redirect is
//! followed, no cookie is kept, and time and size are bounded. HTTP without TLS is permitted only for a loopback
//! address in the configuration.

use std::{collections::BTreeSet, sync::Arc};

use carnet_core::{
    Code, Problem,
    endpoint::{EndpointError, parse_endpoint},
};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use url::{Host, Url};

use crate::{
    address::{ForbiddenAddress, GuardedResolver, normalize_host},
    https::{FetchOptions, create_client, guarded_resolver, read_body, request_problem},
    local::LOCALHOST,
};

/// Response header with the stable reason of an error, sent by Carnet's services.
const REASON_HEADER: HeaderName = HeaderName::from_static("carnet-reason");
/// Maximum length of the reason, in bytes.
const MAX_REASON_BYTES: usize = 64;

/// Body of a call, which determines its method.
#[derive(Debug, Clone, Copy)]
pub enum CallContent<'a> {
    /// GET.
    None,
    /// POST without a body.
    Empty,
    /// POST of `application/x-www-form-urlencoded`.
    Form(&'a str),
    /// POST of `application/json`.
    Json(&'a str),
}

/// Call of an HTTP service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCall<'a> {
    /// URL of the endpoint.
    pub url: &'a str,
    /// Body and method.
    pub content: CallContent<'a>,
    /// Value of the `Accept` header.
    pub accept: &'a str,
    /// Bearer token; empty: none.
    pub token: &'a str,
    /// Maximum size of the response, in bytes.
    pub max_document_bytes: usize,
}

/// HTTP response of a service, with any status.
#[derive(Debug, Clone)]
pub struct ServiceResponse {
    /// Status code.
    pub status: u16,
    /// Media type in lower case, without parameters; empty: not stated.
    pub media_type: String,
    /// Value of the header `Carnet-Reason`, in lower case: the stable reason of an error of a Carnet service. `None` if
    /// it is absent or malformed.
    pub reason: Option<String>,
    /// Value of `Retry-After` in seconds; `None` if it is absent or a date.
    pub retry_after: Option<u64>,
    /// Body of the response.
    pub body: Vec<u8>,
}

/// HTTP client for services.
#[derive(Debug, Clone)]
pub struct ServiceClient {
    https: Client,
    /// Client for loopback addresses without TLS.
    loopback: Client,
    /// Resolver of `https`.
    resolver: GuardedResolver,
    private_hosts: Arc<BTreeSet<String>>,
}

impl ServiceClient {
    /// Creates a client with the timeout, CA certificates, pins and private hosts of the options.
    ///
    /// # Errors
    /// `key_invalid`: the additional CA certificates cannot be read or are none, or TLS cannot be set up.
    pub fn new(options: FetchOptions) -> Result<Self, Problem> {
        let hosts = options.private_hosts.iter().map(|host| normalize_url_host(host)).collect();
        let loopback = FetchOptions { private_hosts: BTreeSet::from([LOCALHOST.to_owned()]), ..options.clone() };
        Ok(Self {
            resolver: guarded_resolver(&options, true),
            https: create_client(options, true)?,
            loopback: create_client(loopback, false)?,
            private_hosts: Arc::new(hosts),
        })
    }

    /// Calls a service, and returns its response with any status.
    ///
    /// # Errors
    /// `malformed_value` (not an http or https URL, one with a user name, or a token that no header can carry);
    /// `address_forbidden` (a host that is not permitted, an https URL with an IP address, or http to a host other than
    /// a configured loopback address); `did_unresolved` (no response in time, TLS error); `too_large`
    pub async fn call(&self, call: ServiceCall<'_>) -> Result<ServiceResponse, Problem> {
        let (client, url) = self.client_for(call.url)?;
        let request = match call.content {
            CallContent::None => client.get(url),
            CallContent::Empty => client.post(url),
            CallContent::Form(text) => with_body(client.post(url), "application/x-www-form-urlencoded", text),
            CallContent::Json(text) => with_body(client.post(url), "application/json", text),
        };
        let request = request.header(ACCEPT, call.accept);
        let request = if call.token.is_empty() { request } else { request.header(AUTHORIZATION, bearer(call.token)?) };
        read_response(request.send().await.map_err(request_problem)?, call.max_document_bytes).await
    }

    /// Checks that a URL may be called, and looks up its host; nothing is sent to it.
    ///
    /// # Errors
    /// Those of [`ServiceClient::call`] for the URL itself; `address_forbidden` if the host has an address that is not
    /// permitted; `did_unresolved` if it has none.
    pub async fn check(&self, url: &str) -> Result<(), Problem> {
        let (_, url) = self.client_for(url)?;
        let Some(Host::Domain(host)) = url.host().filter(|_| url.scheme() == "https") else { return Ok(()) };
        match self.resolver.clone().lookup(host.to_owned()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is::<ForbiddenAddress>() => {
                Err(Problem::new(Code::AddressForbidden, error.to_string()))
            }
            Err(error) => Err(Problem::new(Code::DidUnresolved, error.to_string())),
        }
    }

    /// Returns the client for a URL, which depends on its scheme; an error if the URL must not be called.
    fn client_for(&self, url: &str) -> Result<(&Client, Url), Problem> {
        let url = parse_endpoint(url).map_err(|error| {
            let code = if error == EndpointError::Unencrypted { Code::AddressForbidden } else { Code::MalformedValue };
            Problem::new(code, format!("the URL {error}"))
        })?;
        let forbidden = |why: &str| Err(Problem::new(Code::AddressForbidden, why));
        if url.scheme() == "https" {
            return match url.host() {
                Some(Host::Domain(_)) => Ok((&self.https, url)),
                _ => forbidden("the URL has to name a host, not an IP address"),
            };
        }
        if self.private_hosts.contains(&url.host_str().map(normalize_url_host).unwrap_or_default()) {
            return Ok((&self.loopback, url));
        }
        forbidden("the URL is on this machine, which the configuration does not allow")
    }
}

/// Normalises a host for comparison: lower case, without trailing dots and without the brackets of an IPv6 address.
fn normalize_url_host(host: &str) -> String {
    normalize_host(host.trim_start_matches('[').trim_end_matches(']'))
}

fn with_body(request: RequestBuilder, media_type: &'static str, text: &str) -> RequestBuilder {
    request.header(CONTENT_TYPE, media_type).body(text.to_owned())
}

fn bearer(token: &str) -> Result<HeaderValue, Problem> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| Problem::new(Code::MalformedValue, "the token cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read_response(response: Response, max_bytes: usize) -> Result<ServiceResponse, Problem> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let media_type =
        header_text(headers, &CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let reason =
        Some(header_text(headers, &REASON_HEADER)).filter(|reason| is_reason(reason)).map(str::to_ascii_lowercase);
    let retry_after = header_text(headers, &RETRY_AFTER).trim().parse().ok();
    Ok(ServiceResponse { status, media_type, reason, retry_after, body: read_body(response, max_bytes).await? })
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Returns whether a header value can be a reason of a Carnet service: 1 to 64 ASCII letters, digits and underscores.
fn is_reason(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_REASON_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn client(hosts: &[&str]) -> ServiceClient {
        let private_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        ServiceClient::new(FetchOptions { private_hosts, ..FetchOptions::default() }).unwrap()
    }

    fn get(url: &str) -> ServiceCall<'_> {
        ServiceCall {
            url,
            content: CallContent::None,
            accept: "application/json",
            token: "",
            max_document_bytes: 1_000,
        }
    }

    #[tokio::test]
    async fn a_url_is_checked_before_anything_is_sent_to_it() {
        let refusal =
            async |hosts: &[&str], url: &str| client(hosts).check(url).await.err().map(|problem| problem.code);
        assert_eq!(refusal(&[], "https://localhost/x").await, Some(Code::AddressForbidden));
        assert_eq!(refusal(&["localhost"], "https://localhost/x").await, None);
        assert_eq!(refusal(&[], "https://127.0.0.1/x").await, Some(Code::AddressForbidden));
        assert_eq!(refusal(&[], "http://127.0.0.1:1/x").await, Some(Code::AddressForbidden));
        assert_eq!(refusal(&["127.0.0.1"], "http://127.0.0.1:1/x").await, None);
        assert_eq!(refusal(&[], "https://nobody.invalid/x").await, Some(Code::DidUnresolved));
    }

    #[test]
    fn only_public_hosts_and_configured_loopback_addresses_are_called() {
        let refusal = |hosts: &[&str], url: &str| client(hosts).client_for(url).err().map(|problem| problem.code);
        for (host, url) in
            [("127.0.0.1", "http://127.0.0.1:1/a"), ("::1", "http://[::1]:1/a"), ("LocalHost", "http://localhost:1")]
        {
            assert_eq!(refusal(&[host], url), None, "{url}");
            assert_eq!(refusal(&[], url), Some(Code::AddressForbidden), "{url}");
            assert_eq!(refusal(&["agency.example"], url), Some(Code::AddressForbidden), "{url}");
        }
        assert_eq!(refusal(&[], "https://agency.example/a"), None);
        for url in ["http://agency.example", "https://127.0.0.1", "https://[::1]", "http://10.0.0.1", "http://0.0.0.0"]
        {
            assert_eq!(
                refusal(&["127.0.0.1", "10.0.0.1", "0.0.0.0", "agency.example"], url),
                Some(Code::AddressForbidden)
            );
        }
        for url in ["ftp://agency.example", "https://u:p@agency.example", "file:///etc/passwd", "data:text/plain,a"] {
            assert_eq!(refusal(&[], url), Some(Code::MalformedValue), "{url}");
        }
    }

    /// Answers one connection with a text, and returns the request.
    async fn serve(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") && !seen.ends_with(b"a=1") {
                let mut buffer = [0; 1_024];
                let count = stream.read(&mut buffer).await.unwrap();
                seen.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        (url, served)
    }

    #[tokio::test]
    async fn an_answer_of_any_status_comes_with_its_reason() {
        let (url, served) = serve(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: Application/JSON; charset=utf-8\r\ncarnet-reason: OFFER_USED\r\n\
             retry-after: 3\r\ncontent-length: 2\r\n\r\n{}",
        )
        .await;
        let call = ServiceCall { content: CallContent::Form("a=1"), token: "t0k", ..get(&url) };
        let answer = client(&["127.0.0.1"]).call(call).await.unwrap();
        assert_eq!((answer.status, answer.media_type.as_str(), answer.retry_after), (400, "application/json", Some(3)));
        assert_eq!((answer.reason.as_deref(), answer.body.as_slice()), (Some("offer_used"), b"{}".as_slice()));
        let seen = served.await.unwrap().to_lowercase();
        assert!(seen.starts_with("post /x ") && seen.contains("authorization: bearer t0k"), "{seen}");
        assert!(!seen.contains("user-agent") && !seen.contains("cookie") && !seen.contains("referer"), "{seen}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed_and_large_answers_are_cut_off() {
        let (url, _served) =
            serve("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(client(&["127.0.0.1"]).call(get(&url)).await.unwrap().status, 302);
        let (url, _served) = serve("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n").await;
        let refused = client(&["127.0.0.1"]).call(get(&url)).await.unwrap_err();
        assert_eq!(refused.code, Code::TooLarge);
    }

    #[test]
    fn a_reason_is_a_name() {
        assert!(is_reason("OFFER_USED") && is_reason("x509"));
        for bad in ["", "a b", "a\u{1b}", "ä", &"a".repeat(65)] {
            assert!(!is_reason(bad), "{bad}");
        }
    }
}
