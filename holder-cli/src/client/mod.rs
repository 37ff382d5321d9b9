//! Connections to issuers and verifiers, over gRPC or OpenID4VCI and OpenID4VP.

use carnet_core::time::Timestamp;
use carnet_wallet::{
    hosts::KnownHosts,
    offer::ReceivedOffer,
    ports::{IssuerClient, VerifierClient},
    protocol::ServiceProtocol,
    store::WalletContents,
};
use url::Url;

use crate::{
    catalogue::CatalogueSource,
    clock::CommandClock,
    failure::{Failure, FaultParty},
    network::NetworkSettings,
    ui::wait_notice::ServiceNotices,
};

mod contacts;
mod grpc;
mod openid;

pub(crate) use contacts::ContactAnnouncer;
use grpc::{issuance::GrpcIssuer, presentation::GrpcVerifier};
use openid::{HttpServices, issuance::OpenIdIssuer, presentation::OpenIdVerifier};

/// Connections of one command to issuers and verifiers.
pub(crate) struct Connections {
    pub(crate) network: NetworkSettings,
    pub(crate) waits: ServiceNotices,
    /// Hosts that were announced to the holder.
    pub(crate) contacts: ContactAnnouncer,
    pub(crate) clock: CommandClock,
    pub(crate) catalogue: CatalogueSource,
}

impl Connections {
    /// Connects to the service of an issuer. For OpenID4VCI, no call is made yet.
    pub(crate) async fn connect_issuer(
        &self,
        endpoint: &str,
        wire: ServiceProtocol,
    ) -> Result<Box<dyn IssuerClient>, Failure> {
        Ok(match wire {
            ServiceProtocol::Grpc => {
                let (channel, wait) = grpc::connect(&self.network, &self.waits, endpoint).await?;
                Box::new(GrpcIssuer::new(channel, wait))
            }
            ServiceProtocol::OpenId => {
                let services = self.http_services(endpoint, FaultParty::Issuer)?;
                Box::new(OpenIdIssuer::new(services, self.catalogue.load()?, self.clock.clone(), endpoint))
            }
        })
    }

    /// Connects to the service of a verifier. For OpenID4VP, no call is made yet.
    pub(crate) async fn connect_verifier(
        &self,
        endpoint: &str,
        wire: ServiceProtocol,
    ) -> Result<Box<dyn VerifierClient>, Failure> {
        Ok(match wire {
            ServiceProtocol::Grpc => {
                let (channel, wait) = grpc::connect(&self.network, &self.waits, endpoint).await?;
                Box::new(GrpcVerifier::new(channel, wait))
            }
            ServiceProtocol::OpenId => {
                Box::new(OpenIdVerifier::new(self.http_services(endpoint, FaultParty::Verifier)?))
            }
        })
    }

    /// Fetches and parses the offer at a URL.
    ///
    /// # Errors
    /// The URL is unavailable or forbidden; those of [`ReceivedOffer::from_fetched`].
    pub(crate) async fn fetch_offer(&self, url: &Url) -> Result<ReceivedOffer, Failure> {
        let services = self.http_services(url.as_str(), FaultParty::Issuer)?;
        ReceivedOffer::from_fetched(&services.fetch_document(url.as_str(), "error-service-offer").await?)
    }

    /// Sets the hosts that the wallet knows, for announcements. It must be called before an OpenID service is
    /// contacted.
    pub(crate) fn set_known_hosts(&self, contents: &WalletContents, now: Timestamp) {
        self.contacts.set_known_hosts(KnownHosts::from_contents(contents, now));
    }

    fn http_services(&self, url: &str, party: FaultParty) -> Result<HttpServices, Failure> {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let wait = self.waits.notice(host.as_deref().unwrap_or(url));
        Ok(HttpServices::new(self.network.service_client(openid::CALL_TIMEOUT)?, self.contacts.clone(), wait, party))
    }
}
