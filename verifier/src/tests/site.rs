//! Web site on loopback, under its own certificate authority, that counts requests.

#![allow(clippy::arithmetic_side_effects)]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use carnet_core::did::Did;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::config::VerifierConfig;

/// Numbers of complete and of `not modified` responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) whole: usize,
    pub(super) unchanged: usize,
}

#[derive(Default)]
struct Shelf {
    files: BTreeMap<String, String>,
    asked: BTreeMap<String, Asked>,
}

pub(super) struct Site {
    pub(super) did: Did,
    origin: String,
    shelf: Arc<Mutex<Shelf>>,
    folder: TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(super) async fn open() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let served = Arc::clone(&shelf);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, shelf) = (acceptor.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let mut request = [0_u8; 4_096];
                    let read = stream.read(&mut request).await.unwrap_or_default();
                    let answer = answer(&shelf, &String::from_utf8_lossy(&request[..read]));
                    drop(stream.write_all(answer.as_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        let did = Did::parse(&format!("did:web:localhost%3A{port}")).unwrap();
        Self { did, origin: format!("https://localhost:{port}"), shelf, folder, task }
    }

    /// Lets a verifier fetch from this site.
    pub(super) fn allow(&self, config: &mut VerifierConfig) {
        config.serve.extra_ca = Some(self.ca());
        config.serve.private_hosts = ["localhost".to_owned()].into_iter().collect();
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the URL of a path.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(super) fn put(&self, path: &str, text: String) {
        self.shelf.lock().unwrap().files.insert(path.to_owned(), text);
    }

    /// Publishes the document of the site's DID.
    pub(super) fn put_document(&self, document: &serde_json::Value) {
        self.put(DOCUMENT, document.to_string());
    }

    pub(super) fn asked(&self, path: &str) -> Asked {
        self.shelf.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// Returns the number of fetches of the document.
    pub(super) fn documents(&self) -> usize {
        self.asked(DOCUMENT).whole
    }
}

const DOCUMENT: &str = "/.well-known/did.json";

fn answer(shelf: &Mutex<Shelf>, request: &str) -> String {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut shelf = shelf.lock().unwrap();
    let Some(body) = shelf.files.get(path).cloned() else {
        return "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    };
    let digest = Sha256::digest(&body);
    let etag = format!("\"{:02x}{:02x}{:02x}{:02x}\"", digest[0], digest[1], digest[2], digest[3]);
    let asked = shelf.asked.entry(path.to_owned()).or_default();
    if request.to_ascii_lowercase().contains(&format!("if-none-match: {etag}\r\n")) {
        asked.unchanged += 1;
        return format!("HTTP/1.1 304 Not Modified\r\netag: {etag}\r\nconnection: close\r\n\r\n");
    }
    asked.whole += 1;
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\netag: {etag}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
