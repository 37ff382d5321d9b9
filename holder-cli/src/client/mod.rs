//! The gRPC clients.

use std::time::Duration;

use carnet_core::did::{self, Did};
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use url::{Host, Url};

use crate::{
    failure::{Failure, Sentence},
    session::Session,
    ui::waiting::WaitNotice,
};

pub(crate) mod issuance;
pub(crate) mod presentation;

/// Deadline of one call.
const CALL: Duration = Duration::from_secs(30);
/// Deadline of a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);

/// Parses the address of a service from untrusted text: https, or http on this machine only.
pub(crate) fn service_address(text: &str) -> Result<Url, Failure> {
    let bad = |why| {
        let message = Sentence::id("error-address").with_part("why", Sentence::id(why));
        Failure::new("address_forbidden", message, Sentence::id("hint-forbidden-address"))
    };
    let url = Url::parse(text).map_err(|_| bad("why-no-url"))?;
    if url.host().is_none() {
        return Err(bad("why-no-host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("why-password"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(bad("why-unencrypted")),
        _ => Err(bad("why-scheme")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Tests if the service address is proven to belong to the issuer: it is on the host of its did:web or did:webvh, on
/// any port, or on this machine. An offer's link can name any address, and valid copies do not prove it: a relay can
/// forward the issuer's own.
pub(crate) fn is_of(endpoint: &str, issuer: &str) -> bool {
    let Ok(endpoint) = service_address(endpoint) else { return false };
    let host = |text: String| Url::parse(&text).ok()?.host_str().map(str::to_owned);
    let published = |did: Did| did::web::url(&did).or_else(|_| did::webvh::url(&did));
    let named = Did::parse(issuer).and_then(published).ok().and_then(host);
    is_loopback(&endpoint) || (named.is_some() && named.as_deref() == endpoint.host_str())
}

/// Returns scheme, host and port, to which a channel connects.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Connects, and returns the notice to show while waiting.
pub(crate) async fn connect(session: &Session, origin: &str) -> Result<(Channel, WaitNotice), Failure> {
    let ca = session.ca()?;
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let wait = session.ui.service_wait(host);
    let guard = wait.begin();
    let channel = channel(origin, ca.as_deref()).await?;
    drop(guard);
    Ok((channel, wait))
}

async fn channel(origin: &str, ca: Option<&[u8]>) -> Result<Channel, Failure> {
    let later = |detail: String| {
        let message = Sentence::id("error-unreachable").with("origin", origin).details(detail);
        Failure::later("unavailable", message, Sentence::id("hint-connection"))
    };
    let mut endpoint = Endpoint::from_shared(origin.to_owned())
        .map_err(|_| later(String::new()))?
        .timeout(CALL)
        .connect_timeout(CONNECT);
    if origin.starts_with("https:") {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(pem) = ca {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        endpoint = endpoint
            .tls_config(tls)
            .map_err(|_| Failure::usage("ca_unreadable", Sentence::id("error-ca-unusable"), Sentence::id("hint-ca")))?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        later(crate::ui::sanitise::clean(&cause))
    })
}

/// Builds a request with the token that authorises it; without a token, as for a renewal, the message itself authorises
/// it.
fn authorised<T>(message: T, token: &str) -> Result<tonic::Request<T>, Failure> {
    if token.is_empty() {
        return Ok(tonic::Request::new(message));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| Failure::new("protocol", Sentence::id("error-token"), Sentence::id("hint-tell-issuer")))?;
    value.set_sensitive(true);
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_issuers_on_the_host_of_its_did() {
        let issuer = "did:web:issuer.example%3A8443:schools:one";
        for own in ["https://issuer.example", "https://issuer.example:9443", "http://127.0.0.1:4000", "http://[::1]:5"]
        {
            assert!(is_of(own, issuer), "{own}");
        }
        for other in [
            "https://relay.example",
            "https://issuer.example.relay.example",
            "https://a.issuer.example",
            "https://issuer.example@relay.example",
            "http://issuer.example",
            "x",
        ] {
            assert!(!is_of(other, issuer), "{other}");
        }
        assert!(is_of("http://127.0.0.1:4000", "did:web:localhost%3A4001"));
        let logged = "did:webvh:QmaQmViZ6varjf5HtkXpK8P5oMzhE61XH2siBdbyvN3ubX:issuer.example:permits";
        assert!(is_of("https://issuer.example:8443", logged) && !is_of("https://other.example", logged));
        assert!(!is_of("https://issuer.example", "did:jwk:e30") && is_of("http://localhost:1", "did:jwk:e30"));
    }

    #[test]
    fn only_encrypted_or_local_services_are_used() {
        for good in ["https://issuer.example", "http://127.0.0.1:4000", "http://localhost:1/x", "http://[::1]:5"] {
            assert!(service_address(good).is_ok(), "{good}");
        }
        for bad in
            ["http://issuer.example", "http://10.0.0.1:80", "ftp://a", "x", "https://u:p@a.example", "file:///etc"]
        {
            assert_eq!(service_address(bad).unwrap_err().reason, "address_forbidden", "{bad}");
        }
        assert_eq!(origin(&service_address("https://a.example:8443/x/y?z").unwrap()), "https://a.example:8443");
    }
}
