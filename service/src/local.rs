//! Local mode: a did:web on `localhost`, whose web site the service itself serves over HTTPS with its own certificate.
//! For trials on one machine, never for production.
//!
//! `init --local` creates the self-signed certificate. Clients pin its fingerprint, which is in the file
//! `local-site.json` ([`carnet_fetch::local`]).

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use carnet_core::{
    day,
    did::{Did, web},
    time::Timestamp,
};
use carnet_fetch::local::{self, Fingerprint, LOCALHOST, LocalSite};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{service::Routes, transport::Server};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    calls::{CallLayer, CallLimits},
    config::{ServeConfig, StartError, TlsFiles},
    connections::{self, ConnectionLimits},
    disk, serve,
};

/// Notice printed by commands and services in local mode.
pub const LOCAL_MODE_NOTICE: &str = "LOCAL MODE: for trials on this machine, not for production";
/// Name of the file that describes the site to wallets and verifiers on this machine.
pub const SITE_FILE: &str = "local-site.json";
/// Name of the file with the first staff token, for staff commands on this machine.
pub const TOKEN_FILE: &str = "staff-token";
const CERTIFICATE_FILE: &str = "site.pem";
const KEY_FILE: &str = "site.key";
/// Validity of the certificate, in years from the first day of the month in which it is created.
const CERTIFICATE_YEARS: i32 = 2;

/// Options of `init --local`.
#[derive(Debug, Clone, Copy)]
pub struct LocalOptions {
    /// Port of the site.
    pub port: u16,
}

impl LocalOptions {
    /// Returns the did:web DID of a service whose site is on `localhost` at this port.
    #[must_use]
    pub fn did(self) -> String {
        format!("did:web:{LOCALHOST}%3A{}", self.port)
    }
}

/// Creates the self-signed certificate of a local site and its key in a data directory, and returns its fingerprint.
///
/// # Errors
/// A file cannot be written, for example because it already exists.
pub fn create_certificate(data: &Path, now: Timestamp) -> Result<Fingerprint, StartError> {
    let failed = |what: String| {
        StartError::new(
            format!("The certificate of the local site cannot be created: {what}. Nothing was created."),
            "Try again.",
        )
    };
    let (certificate, key) = certificate(now).map_err(|error| failed(error.to_string()))?;
    let write = |name: &str, text: &str, mode| {
        let path = data.join(name);
        disk::write_new(&path, text.as_bytes(), mode).map_err(|error| failed(format!("{}: {error}", path.display())))
    };
    write(KEY_FILE, &Zeroizing::new(key.serialize_pem()), 0o600)?;
    write(CERTIFICATE_FILE, &certificate.pem(), 0o644)?;
    Ok(Fingerprint::of(certificate.der()))
}

fn certificate(now: Timestamp) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([LOCALHOST.to_owned()])?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Carnet trial on this machine, not for production");
    params.distinguished_name = name;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // The first day of a month, so that the date exists in every year.
    let (year, month) = day::year_and_month(now).ok_or(rcgen::Error::Time)?;
    params.not_before = date_time_ymd(year, month, 1);
    params.not_after = date_time_ymd(year.saturating_add(CERTIFICATE_YEARS), month, 1);
    Ok((params.self_signed(&key)?, key))
}

/// Writes `local-site.json` and the first staff token into a data directory.
///
/// # Errors
/// A file cannot be written, for example because it already exists.
pub fn write_local_site_files(data: &Path, site: &LocalSite, staff_token: &str) -> Result<(), StartError> {
    let write = |name: &str, text: &str, mode| {
        let path = data.join(name);
        disk::write_new(&path, text.as_bytes(), mode).map_err(|error| {
            StartError::new(
                format!("{} could not be written: {error}.", path.display()),
                "Remove the directory that init has just made, and run init again.",
            )
        })
    };
    let text = serde_json::to_string_pretty(site).unwrap_or_default();
    write(SITE_FILE, &format!("{text}\n"), 0o644)?;
    write(TOKEN_FILE, &Zeroizing::new(format!("{staff_token}\n")), 0o600)
}

/// Reads a `local-site.json`.
///
/// # Errors
/// The file is unreadable or invalid.
pub fn read_site_file(path: &Path) -> Result<LocalSite, StartError> {
    let hint = format!("Give the {SITE_FILE} that `carnet-issuer init --local` wrote in its directory.");
    let bytes = disk::read_user_file(path).map_err(|error| {
        StartError::new(format!("{} cannot be read: {error}. Nothing was created.", path.display()), &hint)
            .input_missing()
    })?;
    LocalSite::parse(&bytes).map_err(|problem| {
        StartError::new(format!("{} is refused: {problem}. Nothing was created.", path.display()), &hint)
    })
}

/// Returns the text that explains local mode to the operator: the notice, the URL of the DID document, and the command
/// for wallets on this machine.
#[must_use]
pub fn local_mode_explanation(data: &Path, url: &str) -> String {
    format!(
        "{LOCAL_MODE_NOTICE}.\n`serve` publishes the DID document itself, at {url}.\nWallets on this machine are told once: carnet local add {}",
        data.join(SITE_FILE).display()
    )
}

/// Returns the words that state the location of the first staff token: its file in local mode, otherwise only the
/// output.
#[must_use]
pub fn staff_token_location(local: Option<LocalOptions>, data: &Path) -> String {
    match local {
        Some(_) => format!("also in {}", data.join(TOKEN_FILE).display()),
        None => "shown this once".to_owned(),
    }
}

/// Returns the words before the command that starts the service; they depend on whether it is already running.
#[must_use]
pub const fn start_introduction(is_serving: bool) -> &'static str {
    if is_serving { "Serving now; the next time" } else { "Next" }
}

/// Returns the configuration section `[serve.local]` (TOML) with these pins.
#[must_use]
pub fn config_section(pins: &[&Fingerprint]) -> String {
    let pins: Vec<String> = pins.iter().map(|pin| format!("    \"{pin}\",\n")).collect();
    format!("\n# {LOCAL_MODE_NOTICE}.\n[serve.local]\npins = [\n{}]\n", pins.concat())
}

/// HTTPS server of a local site; it stops on drop.
#[derive(Debug)]
pub struct LocalServer(JoinHandle<()>);

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the DID document in `data` and the routes of `published` over HTTPS at the location given by the DID; `None`
/// if the service is not in local mode. The server stops when the returned value is dropped.
///
/// # Errors
/// The DID is not a did:web on `localhost`, the port is in use, or the certificate cannot be used.
pub async fn serve_site(
    data: &Path,
    config: &ServeConfig,
    did: &Did,
    published: Option<Router>,
) -> Result<Option<LocalServer>, StartError> {
    if config.local.is_none() {
        return Ok(None);
    }
    let place =
        web::document_url(did).ok().and_then(|url| Url::parse(&url).ok()).zip(local::localhost_port(did.as_str()));
    let Some((url, port)) = place else {
        return Err(StartError::new(
            format!("Local mode needs a did:web on {LOCALHOST}, and did is {did}."),
            "Remove [serve.local] from the configuration: the site of this DID is published elsewhere.",
        )
        .nothing_started());
    };
    let files = TlsFiles { cert: data.join(CERTIFICATE_FILE), key: data.join(KEY_FILE) };
    let tls = serve::tls_acceptor(&files, &[b"h2", b"http/1.1"])?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        StartError::new(
            format!("The local site {url} cannot be served: {address} cannot be listened on: {error}."),
            "Stop what uses that port; or set the service up again with another: init --local=PORT.",
        )
        .nothing_started()
    })?;
    let document = data.join("did.json");
    let router = published.unwrap_or_default().route(url.path(), get(move || send_document(document.clone())));
    let incoming = connections::accept_connections(listener, Some(tls), ConnectionLimits::from_config(config));
    let server = Server::builder()
        .accept_http1(true)
        .layer(CallLayer::new(CallLimits::from_config(config), []))
        .add_routes(Routes::from(router));
    let serving = tokio::spawn(async move {
        if let Err(error) = server.serve_with_incoming(incoming).await {
            tracing::error!(%error, "the local site has stopped");
        }
    });
    Ok(Some(LocalServer(serving)))
}

/// Logs a warning that a service is in local mode.
pub fn warn_local_mode(config: &ServeConfig) {
    if config.local.is_some() {
        tracing::warn!("{LOCAL_MODE_NOTICE}");
    }
}

/// Serves the DID document for a command that fetches it while the service is stopped. `None` if the service is not in
/// local mode, or the site cannot be served, for example because the running service uses the port.
pub async fn serve_document(data: &Path, config: &ServeConfig, did: &Did) -> Option<LocalServer> {
    // The pin refuses any other program on that port.
    serve_site(data, config, did, None).await.ok().flatten()
}

/// Returns the DID document, read from the file at each request, so that a change of keys is published at once.
async fn send_document(document: PathBuf) -> Response {
    match tokio::fs::read(document).await {
        Ok(bytes) => ([(CONTENT_TYPE, "application/did+json")], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use carnet_core::{
        Code,
        did::DidDocument,
        keys::{SecretKey, SignatureAlgorithm, Signer as _},
    };

    use super::*;
    use crate::{config::LocalConfig, fetcher::create_fetcher, time};

    /// A data directory whose site is at a port that was free a moment ago.
    fn site() -> (tempfile::TempDir, Did, Fingerprint) {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let did = Did::parse(&LocalOptions { port }.did()).unwrap();
        let pin = create_certificate(dir.path(), time::now()).unwrap();
        let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
        let document = DidDocument::json_for_keys(&did, &[("key-1".to_owned(), key.public_key())]);
        std::fs::write(dir.path().join("did.json"), document.to_string()).unwrap();
        (dir, did, pin)
    }

    fn local(pins: &[&Fingerprint]) -> ServeConfig {
        let pins = pins.iter().map(ToString::to_string).collect();
        ServeConfig { local: Some(LocalConfig { pins }), ..ServeConfig::default() }
    }

    #[tokio::test]
    async fn the_document_is_served_to_those_who_pinned_the_certificate() {
        let (dir, did, pin) = site();
        let (_other, _, other_pin) = site();
        let _server = serve_site(dir.path(), &local(&[&pin]), &did, None).await.unwrap().unwrap();
        create_fetcher(&local(&[&other_pin, &pin])).unwrap().resolve_did(&did, crate::time::now()).await.unwrap();
        for config in
            [local(&[&other_pin]), ServeConfig { private_hosts: vec![LOCALHOST.to_owned()], ..ServeConfig::default() }]
        {
            assert_eq!(
                create_fetcher(&config).unwrap().resolve_did(&did, crate::time::now()).await.unwrap_err().code,
                Code::DidUnresolved
            );
        }
    }

    #[tokio::test]
    async fn a_service_in_local_mode_has_a_did_on_localhost_and_a_port_of_its_own() {
        let (dir, did, pin) = site();
        let elsewhere = Did::parse("did:web:university.example").unwrap();
        assert!(serve_site(dir.path(), &local(&[&pin]), &elsewhere, None).await.is_err());
        assert!(serve_site(dir.path(), &ServeConfig::default(), &elsewhere, None).await.unwrap().is_none());
        let _server = serve_site(dir.path(), &local(&[&pin]), &did, None).await.unwrap().unwrap();
        let taken = serve_site(dir.path(), &local(&[&pin]), &did, None).await.unwrap_err();
        assert!(taken.message.contains("cannot be listened on"), "{taken}");
    }

    #[test]
    fn what_is_secret_is_readable_by_its_owner_alone() {
        let (dir, did, pin) = site();
        let described =
            LocalSite { did: did.to_string(), name: "A".to_owned(), certificate_sha256: pin, registrar: None };
        write_local_site_files(dir.path(), &described, "carnet_staff_x").unwrap();
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(KEY_FILE), mode(TOKEN_FILE)), (0o600, 0o600));
        assert_eq!(read_site_file(&dir.path().join(SITE_FILE)).unwrap(), described);
        assert!(read_site_file(&dir.path().join(KEY_FILE)).is_err());
    }
}
