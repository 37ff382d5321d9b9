//! Clients of issuers and verifiers with any protocol.

use std::collections::BTreeMap;

use carnet_wallet::{
    ports::{
        CollectionResponse, CopyFreshness, IssuerClient, Notification, RedeemedOffer, SubmittedPresentation,
        VerifierClient,
    },
    promise::WalletIssuerMetadata,
    request::{AuthorizationRequestLink, PresentationRequest},
    store::{OfferRedemption, contents::WalletSecret},
    wire::Wire,
};

use super::{
    issuance::GrpcIssuer,
    openid::{issuance::OpenIdIssuer, presentation::OpenIdVerifier},
    presentation::GrpcVerifier,
};
use crate::{failure::Failure, session::Session};

/// Connection to an issuer.
pub(crate) enum Issuer {
    /// Carnet's gRPC protocol.
    Grpc(GrpcIssuer),
    /// OpenID4VCI.
    OpenId(Box<OpenIdIssuer>),
}

impl Issuer {
    /// Connects to the service of an issuer.
    pub(crate) async fn connect(session: &Session, endpoint: &str, wire: Wire) -> Result<Self, Failure> {
        match wire {
            Wire::Grpc => GrpcIssuer::connect(session, endpoint).await.map(Self::Grpc),
            Wire::OpenId => OpenIdIssuer::new(session, endpoint).map(|issuer| Self::OpenId(Box::new(issuer))),
        }
    }
}

impl IssuerClient for Issuer {
    async fn metadata(&mut self) -> Result<WalletIssuerMetadata, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.metadata().await,
            Self::OpenId(issuer) => issuer.metadata().await,
        }
    }

    async fn redeem(&mut self, redemption: &OfferRedemption, repeats: bool) -> Result<RedeemedOffer, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.redeem(redemption, repeats).await,
            Self::OpenId(issuer) => issuer.redeem(redemption, repeats).await,
        }
    }

    async fn nonce(&mut self) -> Result<String, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.nonce().await,
            Self::OpenId(issuer) => issuer.nonce().await,
        }
    }

    async fn collect(
        &mut self,
        token: &WalletSecret,
        id: &str,
        proofs: Vec<String>,
    ) -> Result<CollectionResponse, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.collect(token, id, proofs).await,
            Self::OpenId(issuer) => issuer.collect(token, id, proofs).await,
        }
    }

    async fn collect_deferred(
        &mut self,
        token: &WalletSecret,
        transaction: &WalletSecret,
    ) -> Result<CollectionResponse, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.collect_deferred(token, transaction).await,
            Self::OpenId(issuer) => issuer.collect_deferred(token, transaction).await,
        }
    }

    async fn refill(&mut self, presentation: String, proofs: Vec<String>) -> Result<(Vec<String>, String), Failure> {
        match self {
            Self::Grpc(issuer) => issuer.refill(presentation, proofs).await,
            Self::OpenId(issuer) => issuer.refill(presentation, proofs).await,
        }
    }

    async fn renew(&mut self, presentation: String, proofs: Vec<String>) -> Result<CollectionResponse, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.renew(presentation, proofs).await,
            Self::OpenId(issuer) => issuer.renew(presentation, proofs).await,
        }
    }

    async fn freshness(&mut self, handles: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure> {
        match self {
            Self::Grpc(issuer) => issuer.freshness(handles).await,
            Self::OpenId(issuer) => issuer.freshness(handles).await,
        }
    }

    async fn notify(&mut self, token: Option<&WalletSecret>, id: &str, event: Notification) -> Result<(), Failure> {
        match self {
            Self::Grpc(issuer) => issuer.notify(token, id, event).await,
            Self::OpenId(issuer) => issuer.notify(token, id, event).await,
        }
    }
}

/// Connection to a verifier.
pub(crate) enum Verifier {
    /// Carnet's gRPC protocol.
    Grpc(GrpcVerifier),
    /// OpenID4VP.
    OpenId(OpenIdVerifier),
}

impl Verifier {
    /// Connects to the service of a verifier.
    pub(crate) async fn connect(session: &Session, endpoint: &str, wire: Wire) -> Result<Self, Failure> {
        match wire {
            Wire::Grpc => GrpcVerifier::connect(session, endpoint).await.map(Self::Grpc),
            Wire::OpenId => OpenIdVerifier::new(session, endpoint).map(Self::OpenId),
        }
    }
}

impl VerifierClient for Verifier {
    async fn read(&mut self, pointer: &AuthorizationRequestLink) -> Result<String, Failure> {
        match self {
            Self::Grpc(verifier) => verifier.read(pointer).await,
            Self::OpenId(verifier) => verifier.read(pointer).await,
        }
    }

    async fn submit(
        &mut self,
        pointer: &AuthorizationRequestLink,
        request: &PresentationRequest,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmittedPresentation, Failure> {
        match self {
            Self::Grpc(verifier) => verifier.submit(pointer, request, vp_token).await,
            Self::OpenId(verifier) => verifier.submit(pointer, request, vp_token).await,
        }
    }

    async fn erase(&mut self, receipt: String, proof: String) -> Result<String, Failure> {
        match self {
            Self::Grpc(verifier) => verifier.erase(receipt, proof).await,
            Self::OpenId(verifier) => verifier.erase(receipt, proof).await,
        }
    }
}
