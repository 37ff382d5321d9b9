use std::path::PathBuf;

use tokio::sync::oneshot;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;

pub(crate) const NAME: &str = "carnet.test.v1.Test";

/// No services, under these names.
fn nothing<'a>(names: &'a [&'a str]) -> ServerContent<'a> {
    ServerContent { names, descriptors: &[], routes: Routes::default() }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<(), StartError>>,
}

impl Running {
    /// Tells it to stop, and returns its result.
    pub(crate) fn stop(self) -> tokio::task::JoinHandle<Result<(), StartError>> {
        self.stop.send(()).unwrap();
        self.served
    }
}

pub(crate) async fn start(config: ServeConfig) -> Running {
    let listening = bind(&config, 0).unwrap().listen().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let served = tokio::spawn(async move {
        let stop = async move { stopped.await.unwrap_or(()) };
        serve(listening, &config, nothing(&[NAME]), (stop, Duration::from_millis(300)), |line| tell.send(line).unwrap())
            .await
    });
    let line: serde_json::Value = serde_json::from_str(&told.await.unwrap()).unwrap();
    assert_eq!(line["event"], "ready");
    let address = line["address"].as_str().unwrap().parse().unwrap();
    Running { address, url: line["url"].as_str().unwrap().to_owned(), stop, served }
}

pub(crate) async fn healthy(channel: Channel) -> bool {
    let request = HealthCheckRequest { service: NAME.to_owned() };
    HealthClient::new(channel).check(request).await.unwrap().into_inner().status == 1
}

#[tokio::test]
async fn it_serves_health_on_the_printed_address_and_stops() {
    let running = start(ServeConfig::default()).await;
    assert_eq!(running.url, format!("http://{}", running.address));
    let channel = Endpoint::from_shared(running.url).unwrap().connect().await.unwrap();
    assert!(healthy(channel.clone()).await);
    running.stop.send(()).unwrap();
    drop(channel);
    running.served.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn a_stream_that_never_ends_does_not_hold_the_stop_for_ever() {
    let running = start(ServeConfig::default()).await;
    let channel = Endpoint::from_shared(running.url).unwrap().connect().await.unwrap();
    let request = HealthCheckRequest { service: NAME.to_owned() };
    let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);
    running.stop.send(()).unwrap();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 2, "not serving any more");
    running.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn tls_is_spoken_when_it_is_configured_and_only_to_those_who_trust_it() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        let path: PathBuf = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files =
        TlsFiles { cert: write("cert.pem", made.cert.pem()), key: write("key.pem", made.signing_key.serialize_pem()) };
    let running = start(ServeConfig { tls: Some(files), ..ServeConfig::default() }).await;
    let url = format!("https://localhost:{}", running.address.port());
    let connect = async |tls: ClientTlsConfig| {
        Endpoint::from_shared(url.clone()).unwrap().tls_config(tls).unwrap().connect().await
    };
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem()));
    assert!(healthy(connect(trusting).await.unwrap()).await);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    assert!(connect(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(other.cert.pem()))).await.is_err());
    running.served.abort();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cert.pem");
    std::fs::write(&path, "no certificate").unwrap();
    for cert in [path.clone(), dir.path().join("missing.pem")] {
        let config = ServeConfig { tls: Some(TlsFiles { cert, key: path.clone() }), ..ServeConfig::default() };
        let listening = bind(&config, 0).unwrap().listen().unwrap();
        let error = serve(listening, &config, nothing(&[]), (async {}, SHUTDOWN_GRACE), |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("Nothing was started"), "{error}");
    }
}

#[tokio::test]
async fn off_loopback_it_needs_tls() {
    let config = ServeConfig { listen: Some(SocketAddr::from(([0, 0, 0, 0], 0))), ..ServeConfig::default() };
    assert!(bind(&config, 0).unwrap_err().hint.contains("tls.cert"));
    let loopback = ServeConfig::default();
    let listening = bind(&loopback, 0).unwrap().listen().unwrap();
    let taken = ServeConfig { listen: Some(listening.listener.local_addr().unwrap()), ..ServeConfig::default() };
    assert!(bind(&taken, 0).unwrap_err().message.contains("cannot be listened on"));
}

/// A service that looks at its own web site first would otherwise wait for itself.
#[tokio::test]
async fn an_address_that_is_bound_refuses_connections_until_it_is_listened_on() {
    let bound = bind(&ServeConfig::default(), 0).unwrap();
    let address = bound.address;
    let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let listening = bound.listen().unwrap();
    assert_eq!(listening.public_url, format!("http://{address}"));
    tokio::net::TcpStream::connect(address).await.unwrap();
}

#[tokio::test]
async fn of_two_services_that_bound_one_address_only_one_listens() {
    let bound = bind(&ServeConfig::default(), 0).unwrap();
    let same = ServeConfig { listen: Some(bound.address), ..ServeConfig::default() };
    // Some systems refuse it here already.
    let Ok(second) = bind(&same, 0) else { return };
    let _first = bound.listen().unwrap();
    assert!(second.listen().unwrap_err().message.contains("cannot be listened on"));
}

#[tokio::test]
async fn the_public_url_is_an_origin_and_secure() {
    let with = |url: &str| ServeConfig { public_url: Some(url.to_owned()), ..ServeConfig::default() };
    assert_eq!(bind(&with("https://Issuer.example/"), 0).unwrap().public_url, "https://issuer.example");
    assert_eq!(bind(&with("http://localhost:8080"), 0).unwrap().public_url, "http://localhost:8080");
    for url in ["http://issuer.example", "https://issuer.example/path", "https://a@b.example", "issuer", "https://x/?q"]
    {
        assert!(bind(&with(url), 0).is_err(), "{url}");
    }
}
