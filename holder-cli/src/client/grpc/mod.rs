//! Clients of issuers and verifiers over gRPC.

use std::time::Duration;

use carnet_wallet::sanitise::sanitise;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    failure::{Failure, FailureReason, Fault, Sentence},
    network::NetworkSettings,
    ui::waiting::{ServiceWaits, WaitNotice},
};

pub(crate) mod issuance;
pub(crate) mod presentation;

/// Time limit of one call.
const CALL: Duration = Duration::from_secs(30);
/// Time limit of a connection attempt.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to the service at an origin. Returns the channel, and the notice for slow calls.
///
/// # Errors
/// `unavailable`, `ca_unreadable`
pub(crate) async fn connect(
    network: &NetworkSettings,
    waits: &ServiceWaits,
    origin: &str,
) -> Result<(Channel, WaitNotice), Failure> {
    let ca = network.ca()?;
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let wait = waits.notice(host);
    let guard = wait.begin();
    let channel = channel(origin, ca.as_deref()).await?;
    drop(guard);
    Ok((channel, wait))
}

async fn channel(origin: &str, ca: Option<&[u8]>) -> Result<Channel, Failure> {
    let later = |detail: String| {
        let message = Sentence::id("error-unreachable").with("origin", origin).details(detail);
        Failure::later(FailureReason::Unavailable, message, Sentence::id("hint-connection")).by(Fault::Network)
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
        endpoint = endpoint.tls_config(tls).map_err(|_| {
            Failure::usage(
                FailureReason::Program("ca_unreadable"),
                Sentence::id("error-ca-unusable"),
                Sentence::id("hint-ca"),
            )
        })?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        later(sanitise(&cause))
    })
}

/// Builds a request with an access token. Without a token, as for a renewal, the message itself authorises the call.
fn authorised<T>(message: T, token: &str) -> Result<tonic::Request<T>, Failure> {
    if token.is_empty() {
        return Ok(tonic::Request::new(message));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
        Failure::new(FailureReason::Protocol, Sentence::id("error-token"), Sentence::id("hint-tell-issuer"))
            .by(Fault::Issuer)
    })?;
    value.set_sensitive(true);
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}
