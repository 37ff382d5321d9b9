//! HTTPS fetcher: fixed scheme, no redirects, limited time and size.

use std::{collections::BTreeSet, error::Error, sync::Arc, time::Duration};

use carnet_core::{
    Code, Problem,
    did::{Did, DidMethods, PublishedDidFile, ResolutionStep, ResolvedDid},
    endpoint::{EndpointError, parse_endpoint},
    text::quoted,
    time::Timestamp,
};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, ETAG, IF_NONE_MATCH},
    redirect::Policy,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use url::{Host, Url};

use crate::{
    address::{ForbiddenAddress, GuardedResolver, normalize_host},
    local::{Fingerprint, PinnedLocalhostVerifier},
};

/// Maximum number of further files of one DID.
const MOST_FILES: usize = 8;

/// Limits of fetches, trusted certificates, and permitted private hosts.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// CA certificates (PEM) that are trusted in addition to the system's.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Host names that may resolve to loopback or private addresses. Link-local and reserved addresses are always
    /// refused.
    pub private_hosts: BTreeSet<String>,
    /// Pinned certificates of local sites ([`crate::local`]). If not empty, only these are trusted for `localhost`,
    /// which is then contacted at 127.0.0.1.
    pub local_pins: BTreeSet<Fingerprint>,
    /// Timeout of a whole fetch, from name resolution to the last byte.
    pub timeout: Duration,
    /// DID methods that are resolved.
    pub methods: DidMethods,
}

impl Default for FetchOptions {
    /// No additional certificates, no private hosts, no local sites, a timeout of five seconds, and the methods of
    /// carnet-core.
    fn default() -> Self {
        Self {
            extra_ca_pem: None,
            private_hosts: BTreeSet::new(),
            local_pins: BTreeSet::new(),
            timeout: Duration::from_secs(5),
            methods: DidMethods::standard(),
        }
    }
}

/// HTTPS fetcher, also for the published files of DIDs. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpsFetcher {
    pub(crate) client: Client,
    methods: DidMethods,
}

impl HttpsFetcher {
    /// Creates a fetcher that trusts the system's CA certificates and those of the options.
    ///
    /// # Errors
    /// `key_invalid`: the additional CA certificates cannot be read or are none, or TLS cannot be set up.
    pub fn new(options: FetchOptions) -> Result<Self, Problem> {
        let methods = options.methods.clone();
        Ok(Self { client: create_client(options, true)?, methods })
    }

    /// Returns the DID methods that are resolved.
    #[must_use]
    pub fn methods(&self) -> &DidMethods {
        &self.methods
    }

    /// Fetches the published files of a DID, and verifies them.
    ///
    /// # Errors
    /// `did_unsupported`: the method is unknown, or publishes nothing; those of [`HttpsFetcher::fetch`] and of the
    /// method.
    pub async fn resolve_did(&self, did: &Did, now: Timestamp) -> Result<ResolvedDid, Problem> {
        let file = self.did_file(&self.methods.location(did)?).await?;
        self.read_did(did, &file, now).await
    }

    /// Verifies the first published file of a DID, fetched at `now`, and fetches and verifies the others, if any.
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::resolve_did`].
    pub async fn read_did(&self, did: &Did, file: &[u8], now: Timestamp) -> Result<ResolvedDid, Problem> {
        let mut step = self.methods.driver(did)?.read(did, file, now)?;
        for _ in 0..MOST_FILES {
            match step {
                ResolutionStep::Resolved(resolved) => return Ok(resolved),
                ResolutionStep::Fetch(file, read) => step = read(&self.did_file(&file).await?, now)?,
            }
        }
        Err(Problem::new(Code::DidUnresolved, format!("{did} has too many published files")))
    }

    async fn did_file(&self, file: &PublishedDidFile) -> Result<Vec<u8>, Problem> {
        self.fetch(&file.url, file.accept, file.max_bytes).await
    }

    /// Fetches an https URL, with the same restrictions as for DID documents and at most `max_bytes`. `accept` is the
    /// `Accept` header. Only for configured URLs, never for one received from an unknown party.
    ///
    /// # Errors
    /// `did_malformed` (not an https URL, or one with a user name); `address_forbidden` (also an IP address as host);
    /// `did_unresolved` (timeout, TLS error, a status other than 200, a redirect); `too_large`
    pub async fn fetch(&self, url: &str, accept: &str, max_bytes: usize) -> Result<Vec<u8>, Problem> {
        read_body(require_ok(self.send_get(url, accept).await?)?, max_bytes).await
    }

    /// Fetches as [`HttpsFetcher::fetch`] from a server that may be a reverse proxy; `None` if it reports that its
    /// backend is unavailable (status 502, 503 or 504).
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::fetch`].
    pub async fn fetch_through_proxy(
        &self,
        url: &str,
        accept: &str,
        max_bytes: usize,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let response = self.send_get(url, accept).await?;
        let unreached = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
        if unreached.contains(&response.status()) {
            return Ok(None);
        }
        read_body(require_ok(response)?, max_bytes).await.map(Some)
    }

    /// Sends a GET request to a checked URL, and returns the response with any status.
    async fn send_get(&self, url: &str, accept: &str) -> Result<Response, Problem> {
        self.client.get(parse_fetch_url(url)?).header(ACCEPT, accept).send().await.map_err(request_problem)
    }

    /// Fetches as [`HttpsFetcher::fetch`], with `If-None-Match` if an entity tag is given; `None` if the resource still
    /// has that tag (status 304).
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::fetch`].
    pub async fn fetch_if_changed(
        &self,
        url: &str,
        accept: &str,
        max_bytes: usize,
        etag: Option<&str>,
    ) -> Result<Option<FetchedResource>, Problem> {
        let request = self.client.get(parse_fetch_url(url)?).header(ACCEPT, accept);
        let request = etag.iter().fold(request, |request, etag| request.header(IF_NONE_MATCH, *etag));
        let response = request.send().await.map_err(request_problem)?;
        if etag.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let response = require_ok(response)?;
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        Ok(Some(FetchedResource { bytes: read_body(response, max_bytes).await?, etag }))
    }
}

/// Creates an HTTP client with the restrictions of this crate. Without `https_only` it also sends requests over http,
/// and resolves `localhost` to 127.0.0.1 without DNS; the caller then checks the URL.
pub(crate) fn create_client(options: FetchOptions, https_only: bool) -> Result<Client, Problem> {
    let tls = client_config(root_certificates(options.extra_ca_pem.as_deref())?, options.local_pins.clone())?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(https_only)
        .http1_only()
        // A redirect could lead to another host; a document is only accepted from the location named by its DID or URL.
        .redirect(Policy::none())
        // A proxy would resolve the name itself, and bypass the guarded resolver.
        .no_proxy()
        .referer(false)
        .dns_resolver(guarded_resolver(&options, https_only))
        .timeout(options.timeout)
        .build()
        .map_err(|error| Problem::new(Code::KeyInvalid, format!("TLS cannot be set up: {error}")))
}

/// Returns the resolver of a client ([`create_client`]).
pub(crate) fn guarded_resolver(options: &FetchOptions, https_only: bool) -> GuardedResolver {
    let private_hosts = options.private_hosts.iter().map(|host| normalize_host(host)).collect();
    GuardedResolver {
        private_hosts: Arc::new(private_hosts),
        localhost_is_loopback: !https_only || !options.local_pins.is_empty(),
    }
}

/// Resource fetched by [`HttpsFetcher::fetch_if_changed`].
#[derive(Debug, Clone)]
pub struct FetchedResource {
    /// Body.
    pub bytes: Vec<u8>,
    /// Entity tag (`ETag`), if any.
    pub etag: Option<String>,
}

/// Returns the response if its status is 200; otherwise `did_unresolved`, with URL and status.
pub(crate) fn require_ok(response: Response) -> Result<Response, Problem> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    Err(Problem::new(
        Code::DidUnresolved,
        format!("{} answered {status}; only 200 is accepted, and redirects are not followed", response.url()),
    ))
}

/// Parses a URL to be fetched, as the last check before the request: https, without user name and password, with a host
/// name and not an IP address.
///
/// # Errors
/// `did_malformed`; `address_forbidden` for an IP address.
pub(crate) fn parse_fetch_url(text: &str) -> Result<Url, Problem> {
    let refused = |error: EndpointError| Problem::new(Code::DidMalformed, format!("{} {error}", quoted(text)));
    let url = parse_endpoint(text).map_err(refused)?;
    if url.scheme() != "https" {
        return Err(Problem::new(Code::DidMalformed, "the URL is not a plain https URL"));
    }
    match url.host() {
        Some(Host::Domain(_)) => Ok(url),
        _ => Err(Problem::new(Code::AddressForbidden, "the URL has to name a host, not an IP address")),
    }
}

/// Reads the body of a response: `too_large` for more than `max_bytes`, `did_unresolved` if it breaks off.
pub(crate) async fn read_body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, Problem> {
    let url = response.url().clone();
    let too_large = || Problem::new(Code::TooLarge, format!("{url} has more than {max_bytes} bytes"));
    if response.content_length().is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max_bytes))
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let cut = |error: reqwest::Error| request_problem(error.with_url(url.clone()));
    while let Some(chunk) = response.chunk().await.map_err(cut)? {
        if bytes.len().saturating_add(chunk.len()) > max_bytes {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Converts an HTTP client error to `address_forbidden` or `did_unresolved`. It takes the error by value, for
/// `map_err`.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn request_problem(error: reqwest::Error) -> Problem {
    let asked = error.url().map_or_else(|| "the server".to_owned(), ToString::to_string);
    // The URL is named once, at the front.
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if inner.is::<ForbiddenAddress>() {
            return Problem::new(Code::AddressForbidden, ForbiddenAddress.to_string());
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        return Problem::new(Code::DidUnresolved, format!("{asked} did not answer in time"));
    }
    Problem::new(Code::DidUnresolved, format!("{asked} could not be reached: {last}"))
}

fn client_config(roots: RootCertStore, pins: BTreeSet<Fingerprint>) -> Result<ClientConfig, Problem> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(Code::KeyInvalid, format!("TLS cannot be set up: {error}")))?;
    if pins.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let verifier = PinnedLocalhostVerifier::new(pins, roots, provider)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Returns the system's CA certificates and the additional ones (PEM).
fn root_certificates(extra: Option<&[u8]>) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    // Some of the system's certificates may be unreadable; those are not trusted, the others are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = extra {
        let unreadable = || Problem::new(Code::KeyInvalid, "an extra CA certificate cannot be read as PEM");
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
            any = true;
        }
        if !any {
            return Err(unreadable());
        }
    }
    Ok(roots)
}
