//! The real services and the echo server, and callers of them.

use carnet_proto::{
    issuer::v1::{ReadMetadataRequest, issuance_service_client::IssuanceServiceClient},
    verifier::v1::{ReadRequestRequest, presentation_service_client::PresentationServiceClient},
};
use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
    visitor::{self, Copy},
};
use tonic::transport::Channel;

use crate::{
    echo::EchoServer,
    process,
    scenario::{self, Caller, PERMIT, TEMPLATE},
    wire,
};

/// Most connections of one run; callers beyond share them.
const CONNECTIONS: usize = 32;
/// Prepared presentations for each caller of direct verification.
const PREPARED: usize = 32;

/// Running services.
pub(crate) struct Services {
    pub(crate) stage: Stage,
    pub(crate) echo: EchoServer,
    issuer: String,
}

async fn channels(url: &str, callers: usize) -> Result<Vec<Channel>> {
    let mut open = Vec::new();
    for _ in 0..callers.min(CONNECTIONS) {
        open.push(Channel::from_shared(url.to_owned())?.tcp_nodelay(true).connect().await?);
    }
    Ok((0..callers).map(|caller| open[caller % open.len()].clone()).collect())
}

impl Services {
    /// Sets the stage and starts the echo server. With `pin`, the servers run on core 0 and this process on core 1.
    pub(crate) async fn start(pin: bool) -> Result<Self> {
        let stage = Stage::set(false).await?;
        let echo = EchoServer::start()?;
        if pin {
            for id in [echo.id(), stage.agency.service.id(), stage.authority.service.id()] {
                process::pin(id, 0)?;
            }
            process::pin(std::process::id(), 1)?;
        }
        let mut issuer = IssuanceServiceClient::connect(stage.authority.service.url.clone()).await?;
        let issuer = issuer.read_metadata(ReadMetadataRequest {}).await?.into_inner().issuer;
        Ok(Self { stage, echo, issuer })
    }

    pub(crate) async fn echoing(&self, callers: usize, exchanges: &[(usize, usize)]) -> Result<Vec<Caller>> {
        let channels = channels(&self.echo.url, callers).await?;
        Ok(channels.into_iter().map(|channel| Caller::Echo { channel, exchanges: exchanges.to_vec() }).collect())
    }

    async fn copy(&self) -> Result<Copy> {
        let offered = self.stage.offer(&self.stage.authority, PERMIT, &residence_permit(), &[])?;
        visitor::collect(&offered.uri, None, visitor::now()).await
    }

    pub(crate) async fn verifying_directly(&self, callers: usize) -> Result<Vec<Caller>> {
        let (agency, copy) = (&self.stage.agency, self.copy().await?);
        let (id, uri) = self.stage.request(TEMPLATE)?;
        let mut wallet = PresentationServiceClient::connect(agency.service.url.clone()).await?;
        let object = wallet.read_request(ReadRequestRequest { id }).await?.into_inner().request_object;
        let mut all = Vec::new();
        for channel in channels(&agency.service.url, callers).await? {
            let messages = scenario::direct_messages(&uri, &object, &copy, PREPARED)?;
            all.push(Caller::Direct { channel, token: agency.token()?, messages, next: 0 });
        }
        Ok(all)
    }

    pub(crate) async fn streaming(&self, callers: usize) -> Result<Vec<Caller>> {
        let mut all = Vec::new();
        for caller in self.verifying_directly(callers).await? {
            let Caller::Direct { channel, token, messages, .. } = caller else { continue };
            all.push(scenario::streaming(channel, &token, messages).await?);
        }
        Ok(all)
    }

    pub(crate) async fn presenting(&self, callers: usize) -> Result<Vec<Caller>> {
        let (agency, mut all) = (&self.stage.agency, Vec::new());
        for channel in channels(&agency.service.url, callers).await? {
            all.push(Caller::Chain { channel, token: agency.token()?, copy: Box::new(self.copy().await?) });
        }
        Ok(all)
    }

    pub(crate) async fn issuing(&self, callers: usize, copies: usize) -> Result<Vec<Caller>> {
        let (authority, mut all) = (&self.stage.authority, Vec::new());
        let claims = wire::to_struct(&residence_permit()).ok_or("the claims are no object")?;
        for channel in channels(&authority.service.url, callers).await? {
            let (token, issuer, claims) = (authority.token()?, self.issuer.clone(), claims.clone());
            all.push(Caller::Issue { channel, token, issuer, claims, copies });
        }
        Ok(all)
    }

    pub(crate) async fn reading(&self, callers: usize) -> Result<Vec<Caller>> {
        let (id, _) = self.stage.request(TEMPLATE)?;
        let channels = channels(&self.stage.agency.service.url, callers).await?;
        Ok(channels.into_iter().map(|channel| Caller::Read { channel, id: id.clone() }).collect())
    }
}
