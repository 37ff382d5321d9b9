//! Clients of issuers and verifiers over gRPC.

use std::time::Duration;

use carnet_wallet::sanitise::sanitise;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    failure::{Failure, FailureReason, FaultParty, Sentence},
    network::NetworkSettings,
    ui::wait_notice::{ServiceNotices, WaitNotice},
};

pub(crate) mod issuance;
pub(crate) mod presentation;

/// Time limit of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the service at an origin. Returns the channel, and the notice for slow calls.
///
/// # Errors
/// `unavailable`, `ca_unreadable`
pub(crate) async fn connect(
    network: &NetworkSettings,
    waits: &ServiceNotices,
    origin: &str,
) -> Result<(Channel, WaitNotice), Failure> {
    let ca = network.read_ca()?;
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    let wait = waits.notice(host);
    let guard = wait.begin();
    let channel = channel(origin, ca.as_deref()).await?;
    drop(guard);
    Ok((channel, wait))
}

async fn channel(origin: &str, ca: Option<&[u8]>) -> Result<Channel, Failure> {
    let later = |detail: String| {
        let message = Sentence::new("error-unreachable").with("origin", origin).with_details(detail);
        Failure::temporary(FailureReason::Unavailable, message, Sentence::new("hint-connection"))
            .with_fault(FaultParty::Network)
    };
    let mut endpoint = Endpoint::from_shared(origin.to_owned())
        .map_err(|_| later(String::new()))?
        .timeout(CALL_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT);
    if origin.starts_with("https:") {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(pem) = ca {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        endpoint = endpoint.tls_config(tls).map_err(|_| {
            Failure::usage(
                FailureReason::Program("ca_unreadable"),
                Sentence::new("error-ca-unusable"),
                Sentence::new("hint-ca"),
            )
        })?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        later(sanitise(&cause))
    })
}

/// Builds a request with an access token. Without a token, as for a renewal, the message itself authorises the call.
fn with_token<T>(message: T, token: &str) -> Result<tonic::Request<T>, Failure> {
    if token.is_empty() {
        return Ok(tonic::Request::new(message));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
        Failure::new(FailureReason::Protocol, Sentence::new("error-token"), Sentence::new("hint-tell-issuer"))
            .with_fault(FaultParty::Issuer)
    })?;
    value.set_sensitive(true);
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}
