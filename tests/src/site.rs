//! Web sites on loopback with a certificate authority of their own, where DID documents are published.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Result;

/// A web site at `https://localhost:PORT` that serves the documents put into it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    ca_pem: String,
    /// Certificate of the site, and its key, in PEM.
    certificate: (String, String),
    documents: Documents,
    requests: Requests,
    gate: Gate,
    /// The `Date` header of its answers, if they have one.
    server_time: ServerTime,
    serving: tokio::task::JoinHandle<()>,
}

/// Documents by path.
type Documents = Arc<Mutex<HashMap<String, String>>>;
/// The `Date` header of a site's answers, if they have one.
type ServerTime = Arc<Mutex<Option<String>>>;
/// Number of requests for each path.
type Requests = Arc<Mutex<HashMap<String, usize>>>;

/// Upstreams of the site: it passes requests for files that it lacks to the services behind it, as a reverse proxy
/// does.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Services (`http://HOST:PORT` or `https://HOST:PORT`) by the prefix of their paths.
    leads: Arc<Mutex<HashMap<String, String>>>,
    /// Trust in the certificate authority of the site, for services with its certificate.
    tls: Arc<rustls::ClientConfig>,
}

impl Gate {
    /// Passes everything under `/{name}/status/` on to `service` (`http://HOST:PORT` or `https://HOST:PORT`), and no
    /// longer to any other.
    pub fn lead(&self, name: &str, service: &str) {
        let mut leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        leads.insert(format!("/{name}/status/"), service.to_owned());
    }

    /// No longer passes on anything under `/{name}/status/`.
    pub fn close(&self, name: &str) {
        self.leads.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("/{name}/status/"));
    }

    fn behind(&self, path: &str) -> Option<String> {
        let leads = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        leads.iter().find(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, service)| service.clone())
    }

    /// Passes a request without a body on to a service; `None` if the service cannot be reached.
    async fn pass_on(&self, service: &str, request: &str) -> Result<Option<Vec<u8>>> {
        let address = service.trim_start_matches("http://").trim_start_matches("https://");
        let Ok(stream) = TcpStream::connect(address).await else { return Ok(None) };
        if service.starts_with("https://") {
            let stream = TlsConnector::from(Arc::clone(&self.tls)).connect("localhost".try_into()?, stream).await?;
            exchange(stream, request).await.map(Some)
        } else {
            exchange(stream, request).await.map(Some)
        }
    }
}

impl Site {
    /// Opens a site on a port that the system picks, under a certificate authority made for it.
    ///
    /// # Errors
    /// If no certificate can be made or no port is free.
    pub async fn open() -> Result<Self> {
        Self::open_at(0).await
    }

    /// Opens a site on a port that documents made earlier name.
    ///
    /// # Errors
    /// If no certificate can be made, or the port is in use.
    pub async fn open_at(port: u16) -> Result<Self> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Another name than the site's: OpenSSL takes a certificate whose issuer has its own name for self-signed.
        ca.distinguished_name.push(DnType::CommonName, "Certificate authority of the tests");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &ca)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(ca.der().clone())?;
        let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let documents = Arc::new(Mutex::new(HashMap::new()));
        let gate = Gate { leads: Arc::default(), tls: Arc::new(client) };
        let (requests, server_time) = (Requests::default(), Arc::default());
        let tls = TlsAcceptor::from(Arc::new(config));
        let serving = tokio::spawn(serve(
            listener,
            tls,
            (Arc::clone(&documents), Arc::clone(&requests), Arc::clone(&server_time)),
            gate.clone(),
        ));
        let certificate = (certificate.pem(), key.serialize_pem());
        Ok(Self { address, ca_pem: ca.pem(), certificate, documents, requests, gate, server_time, serving })
    }

    /// Returns how often the DID document of `name` was asked for.
    #[must_use]
    pub fn document_requests(&self, name: &str) -> usize {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.get(&format!("/{name}/did.json")).copied().unwrap_or_default()
    }

    /// The did:web DID whose document is published here under `name`.
    #[must_use]
    pub fn did(&self, name: &str) -> String {
        format!("did:web:localhost%3A{}:{name}", self.address.port())
    }

    /// Has its answers say that it is this time (a `Date` header).
    pub fn say_time(&self, date: &str) {
        *self.server_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.to_owned());
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The gate to the services behind the site.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Publishes the DID document of `name`.
    pub fn publish(&self, name: &str, document: &str) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(format!("/{name}/did.json"), document.to_owned());
    }

    /// Publishes the did:webvh log of `name`.
    pub fn publish_log(&self, name: &str, log: &str) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(format!("/{name}/did.jsonl"), log.to_owned());
    }

    /// Keeps copies of the status lists that a service (`http://HOST:PORT`) publishes under `name`, and serves those
    /// from now on; if the gate leads to a service again, only while that one does not answer.
    ///
    /// # Errors
    /// If the service does not answer.
    pub async fn keep_copies(&self, name: &str, service: &str) -> Result<()> {
        let address = service.trim_start_matches("http://").to_owned();
        let directory = format!("/{name}/status/lists");
        let listed = get(&address, &directory).await?;
        let urls: serde_json::Value = serde_json::from_str(&listed)?;
        let urls = urls.get("status_lists").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let mut copies = vec![(directory, listed)];
        for url in urls.iter().filter_map(serde_json::Value::as_str) {
            let (_, path) = url.split_once(&format!("/{name}/status/")).ok_or("a list is elsewhere")?;
            let path = format!("/{name}/status/{path}");
            copies.push((path.clone(), get(&address, &path).await?));
        }
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).extend(copies);
        self.gate.close(name);
        Ok(())
    }

    /// Writes the certificate for `localhost` and its key (PEM) to files, for services there.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_certificate(&self, certificate: &Path, key: &Path) -> Result<()> {
        std::fs::write(certificate, &self.certificate.0)?;
        Ok(std::fs::write(key, &self.certificate.1)?)
    }

    /// Writes the authority's certificate (PEM) to a file, for programs that are to trust it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_ca(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, &self.ca_pem)?)
    }
}

impl Site {
    /// Closes the site: it no longer answers.
    pub fn close(&self) {
        self.serving.abort();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.close();
    }
}

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    (documents, requests, server_time): (Documents, Requests, ServerTime),
    gate: Gate,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, gate) = (tls.clone(), gate.clone());
        let (documents, requests) = (Arc::clone(&documents), Arc::clone(&requests));
        let date = server_time.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let date = date.map(|date| format!("date: {date}\r\n")).unwrap_or_default();
        // A client that hangs up or speaks nonsense is ignored.
        tokio::spawn(async move { answer(stream, tls, (&documents, &requests, &date), &gate).await.ok() });
    }
}

async fn answer(
    stream: TcpStream,
    tls: TlsAcceptor,
    (documents, requests, date): (&Mutex<HashMap<String, String>>, &Requests, &str),
    gate: &Gate,
) -> Result<()> {
    let mut stream = tls.accept(stream).await?;
    let mut request = Vec::new();
    let mut chunk = [0_u8; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") && request.len() < 16_384 {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry(path.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    let behind = gate.behind(path);
    if let Some(service) = &behind
        && let Some(answer) = gate.pass_on(service, &text).await?
    {
        stream.write_all(&answer).await?;
        return Ok(stream.shutdown().await?);
    }
    let found = documents.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
    let missing = if behind.is_some() { "502 Bad Gateway" } else { "404 Not Found" };
    let (status, body) = found.map_or((missing, String::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/did+json\r\n{date}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Gets a text over HTTP.
async fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(format!("{path}: {head}").into()) }
}

/// Sends a request without a body, and returns the answer.
async fn exchange<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    mut to: S,
    request: &str,
) -> Result<Vec<u8>> {
    let kept = request.lines().take_while(|line| !line.is_empty());
    let kept = kept.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head: Vec<&str> = kept.chain(["connection: close", "", ""]).collect();
    to.write_all(head.join("\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer).await?;
    Ok(answer)
}
