//! HTTPS server on loopback, with a certificate of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use carnet_core::{
    did::{Did, DidDocument},
    keys::{SecretKey, SignatureAlgorithm, Signer as _},
};
use carnet_fetch::{FetchOptions, local::Fingerprint};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// Behaviour of the server after the request.
#[derive(Clone)]
pub(super) enum Answer {
    /// Sends this, whole.
    Send(String),
    /// Sends a body of this many bytes without saying how many.
    Endless(usize),
    /// Sends the head and one byte a time, never to the end.
    Slow,
    /// Sends the site's current file at that path.
    Files(Files),
    /// Sends this under the entity tag `"v1"`, or 304 to a client that has it.
    Tagged(String),
}

/// Files of a site, by path; they can change.
pub(super) type Files = Arc<Mutex<BTreeMap<&'static str, String>>>;

pub(super) struct Site {
    pub(super) did: Did,
    pub(super) ca_pem: String,
    /// Pin of its certificate.
    pub(super) pin: Fingerprint,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn document(did: &Did) -> String {
    let key = SecretKey::generate(SignatureAlgorithm::EdDsa, &mut rand_core::OsRng);
    DidDocument::json_for_keys(did, &[("key-1".to_owned(), key.public_key())]).to_string()
}

pub(super) async fn serve(answer: impl Fn(&Did) -> Answer) -> Site {
    serve_with(answer, false).await
}

pub(super) async fn serve_with(answer: impl Fn(&Did) -> Answer, self_signed: bool) -> Site {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let cert = if self_signed { params.self_signed(&key) } else { params.signed_by(&key, &issuer) }.unwrap();
    let pin = Fingerprint::of(cert.der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let did = Did::parse(&format!("did:web:localhost%3A{}", listener.local_addr().unwrap().port())).unwrap();
    let answer = answer(&did);
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate hangs up here.
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let mut request = [0_u8; 2048];
                let n = stream.read(&mut request).await.unwrap();
                let asked = str::from_utf8(&request[..n]).unwrap();
                let path = asked.strip_prefix("GET ").unwrap().split(' ').next().unwrap();
                assert!(path == "/.well-known/did.json" || matches!(answer, Answer::Files(_)));
                // A client that has enough hangs up, which is no failure of the server.
                match answer {
                    Answer::Send(text) => drop(stream.write_all(text.as_bytes()).await),
                    Answer::Files(files) => {
                        let found = files.lock().unwrap().get(path).map(|body| ok(body));
                        let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
                        drop(stream.write_all(found.unwrap_or(none).as_bytes()).await);
                    }
                    Answer::Tagged(body) => {
                        let has_it = asked.to_ascii_lowercase().contains("\r\nif-none-match: \"v1\"\r\n");
                        let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned();
                        let whole = ok(&body).replacen("\r\n", "\r\netag: \"v1\"\r\n", 1);
                        drop(stream.write_all(if has_it { unchanged } else { whole }.as_bytes()).await);
                    }
                    Answer::Endless(bytes) => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
                        let _ = stream.write_all(&vec![b' '; bytes]).await;
                    }
                    Answer::Slow => {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
                        while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    Site { did, ca_pem, pin, task }
}

pub(super) fn options(site: &Site) -> FetchOptions {
    FetchOptions {
        extra_ca_pem: Some(site.ca_pem.clone().into_bytes()),
        private_hosts: ["localhost".to_owned()].into(),
        ..FetchOptions::default()
    }
}
