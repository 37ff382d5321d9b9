//! Web sites on loopback with a certificate authority of their own, where DID documents are published.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::Result;

/// A web site at `https://localhost:PORT` that serves the documents put into it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    ca_pem: String,
    documents: Arc<Mutex<HashMap<String, String>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Site {
    /// Opens a site on a port that the system picks, under a certificate authority made for it.
    ///
    /// # Errors
    /// If no certificate can be made or no port be had.
    pub async fn open() -> Result<Self> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &ca)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let documents = Arc::new(Mutex::new(HashMap::new()));
        let serving = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), Arc::clone(&documents)));
        Ok(Self { address, ca_pem: ca.pem(), documents, serving })
    }

    /// The did:web DID whose document is published here under `name`.
    #[must_use]
    pub fn did(&self, name: &str) -> String {
        format!("did:web:localhost%3A{}:{name}", self.address.port())
    }

    /// Publishes the DID document of `name`.
    pub fn publish(&self, name: &str, document: &str) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(format!("/{name}/did.json"), document.to_owned());
    }

    /// Writes the authority's certificate (PEM) to a file, for those who are to trust it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_ca(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, &self.ca_pem)?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, documents: Arc<Mutex<HashMap<String, String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, documents) = (tls.clone(), Arc::clone(&documents));
        // A visitor who hangs up or speaks nonsense is no concern of the site's.
        tokio::spawn(async move { answer(stream, tls, &documents).await.ok() });
    }
}

async fn answer(stream: TcpStream, tls: TlsAcceptor, documents: &Mutex<HashMap<String, String>>) -> Result<()> {
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
    let found = documents.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
    let (status, body) = found.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/did+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
