//! gRPC client of an issuer's service.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{epoch::Epoch, format::CredentialFormat, time::Timestamp};
use carnet_proto::issuer::v1::{
    self as proto, CollectCredentialsRequest, CollectDeferredRequest, CollectFreshnessRequest, CopyState,
    IssueNonceRequest, IssuedCopy, NotificationEvent, NotifyRequest, ReadMetadataRequest, ReadMetadataResponse,
    RedeemOfferRequest, RefillCredentialsRequest, RenewCredentialsRequest, ValidityEpoch,
    issuance_service_client::IssuanceServiceClient,
};
use carnet_wallet::{
    issuer_metadata::{OfferedConfiguration, WalletIssuerMetadata},
    ports::{CopyFreshness, IssuanceNotification, IssuanceResponse, IssuerClient, RedeemedOffer},
    store::cached_status::CopyState as State,
};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use super::with_token;
use crate::{
    failure::{Failure, FailureReason, FaultParty, Sentence, from_grpc_status},
    ui::wait_notice::WaitNotice,
    wallet::{OfferRedemption, holder_key::WalletSecret},
};

/// Connection to an issuer over gRPC.
pub(crate) struct GrpcIssuer(IssuanceServiceClient<Channel>, WaitNotice);

impl GrpcIssuer {
    /// Creates the client on a channel to the service. `wait` is the notice for slow calls.
    pub(crate) fn new(channel: Channel, wait: WaitNotice) -> Self {
        Self(IssuanceServiceClient::new(channel), wait)
    }
}

#[async_trait(?Send)]
impl IssuerClient for GrpcIssuer {
    async fn metadata(&mut self, _: Option<&str>) -> Result<WalletIssuerMetadata, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.read_metadata(ReadMetadataRequest {}).await;
        answer
            .map(|answer| metadata_of(answer.into_inner()))
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-metadata")))
    }

    async fn redeem(&mut self, redemption: &OfferRedemption, repeats: bool) -> Result<RedeemedOffer, Failure> {
        let _waiting = self.1.begin();
        let verifier = URL_SAFE_NO_PAD.decode(redemption.code_verifier.expose()).map_err(|_| {
            Failure::new(
                FailureReason::RecordDamaged,
                Sentence::new("error-record-damaged"),
                Sentence::new("hint-new-offer"),
            )
        })?;
        let request = RedeemOfferRequest {
            pre_authorized_code: redemption.code.expose().to_owned(),
            tx_code: redemption.pin.as_ref().map(|pin| pin.expose().to_owned()),
            redemption_challenge: Some(Sha256::digest(&verifier).to_vec()),
            redemption_verifier: repeats.then_some(verifier),
        };
        let answer = self.0.redeem_offer(request).await;
        let answer = answer
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-redeem")))?
            .into_inner();
        Ok(RedeemedOffer {
            access_token: WalletSecret::new(answer.access_token),
            expires_at: answer.expires_at.map(|end| Timestamp::from_unix(end.seconds)),
            repeatable: answer.repeatable,
        })
    }

    async fn request_nonce(&mut self) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.issue_nonce(IssueNonceRequest {}).await;
        answer
            .map(|answer| answer.into_inner().c_nonce)
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-nonce")))
    }

    async fn request_credential(
        &mut self,
        token: &WalletSecret,
        id: &str,
        proofs: Vec<String>,
    ) -> Result<IssuanceResponse, Failure> {
        let _waiting = self.1.begin();
        let request = CollectCredentialsRequest { credential_configuration_id: id.to_owned(), proofs };
        let answer = self.0.collect_credentials(with_token(request, token.expose())?).await;
        let answer = answer
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-collect")))?
            .into_inner();
        Ok(if answer.transaction_id.is_empty() {
            IssuanceResponse::Issued(texts(answer.credentials), answer.notification_id)
        } else {
            IssuanceResponse::Deferred(Some(WalletSecret::new(answer.transaction_id)), answer.interval_seconds)
        })
    }

    async fn request_deferred(
        &mut self,
        token: &WalletSecret,
        transaction: &WalletSecret,
    ) -> Result<IssuanceResponse, Failure> {
        let _waiting = self.1.begin();
        let request = CollectDeferredRequest { transaction_id: transaction.expose().to_owned() };
        let answer = self.0.collect_deferred(with_token(request, token.expose())?).await;
        let answer = answer
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-collect")))?
            .into_inner();
        Ok(if answer.credentials.is_empty() {
            IssuanceResponse::Deferred(None, answer.interval_seconds)
        } else {
            IssuanceResponse::Issued(texts(answer.credentials), answer.notification_id)
        })
    }

    async fn refill(&mut self, presentation: String, proofs: Vec<String>) -> Result<(Vec<String>, String), Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.refill_credentials(RefillCredentialsRequest { presentation, proofs }).await;
        let answer = answer
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-refill")))?
            .into_inner();
        Ok((texts(answer.credentials), answer.notification_id))
    }

    async fn renew(&mut self, presentation: String, proofs: Vec<String>) -> Result<IssuanceResponse, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.renew_credentials(RenewCredentialsRequest { presentation, proofs }).await;
        let answer = answer
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-renew")))?
            .into_inner();
        Ok(if answer.transaction_id.is_empty() {
            IssuanceResponse::Issued(texts(answer.credentials), answer.notification_id)
        } else {
            IssuanceResponse::Deferred(Some(WalletSecret::new(answer.transaction_id)), answer.interval_seconds)
        })
    }

    async fn request_freshness(&mut self, handles: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.collect_freshness(CollectFreshnessRequest { handles, ..Default::default() }).await;
        answer
            .map(|answer| answer.into_inner().copies.into_iter().map(freshness_of).collect())
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-freshness")))
    }

    async fn notify(
        &mut self,
        token: Option<&WalletSecret>,
        id: &str,
        event: IssuanceNotification,
    ) -> Result<(), Failure> {
        let _waiting = self.1.begin();
        let event = match event {
            IssuanceNotification::Accepted => NotificationEvent::CredentialAccepted,
            IssuanceNotification::Failure => NotificationEvent::CredentialFailure,
        };
        let request = NotifyRequest { notification_id: id.to_owned(), event: event.into() };
        let request = match token {
            Some(token) => with_token(request, token.expose())?,
            None => tonic::Request::new(request),
        };
        let answer = self.0.notify(request).await;
        answer
            .map(|_| ())
            .map_err(|status| from_grpc_status(&status, FaultParty::Issuer, Sentence::new("error-service-notify")))
    }
}

fn texts(copies: Vec<IssuedCopy>) -> Vec<String> {
    copies.into_iter().map(|copy| copy.credential).collect()
}

fn freshness_of(said: proto::CopyFreshness) -> CopyFreshness {
    let state = match CopyState::try_from(said.state) {
        Ok(CopyState::Valid) => Some(State::Valid),
        Ok(CopyState::Suspended) => Some(State::Suspended),
        Ok(CopyState::Revoked) => Some(State::Revoked),
        Ok(CopyState::Ended) => Some(State::Expired),
        Ok(CopyState::Unknown) => Some(State::Unknown),
        Ok(CopyState::Unspecified) | Err(_) => None,
    };
    CopyFreshness {
        state,
        statement: said.statement,
        earlier_statements: said.earlier_statements,
        replace: said.replace,
        message: said.message,
    }
}

fn metadata_of(said: ReadMetadataResponse) -> WalletIssuerMetadata {
    let configurations = said.configurations.into_iter().map(|configuration| OfferedConfiguration {
        format: format_from_proto(configuration.format),
        epoch: epoch_of(configuration.validity_epoch),
        id: configuration.id,
        credential_type: configuration.credential_type,
        renewal_window_days: configuration.renewal_window_days,
        proof_algorithms: Vec::new(),
        display: Default::default(),
    });
    WalletIssuerMetadata {
        configurations: configurations.collect(),
        audience: said.issuer.clone(),
        issuer: said.issuer,
        display_name: said.display_name.into_iter().collect(),
        max_batch_size: said.max_batch_size,
        freshness_lifetime_seconds: said.freshness_seconds,
        token_endpoint: None,
    }
}

fn epoch_of(validity_epoch: i32) -> Option<Epoch> {
    match ValidityEpoch::try_from(validity_epoch) {
        Ok(ValidityEpoch::Day) => Some(Epoch::Day),
        Ok(ValidityEpoch::Week) => Some(Epoch::Week),
        Ok(ValidityEpoch::Month) => Some(Epoch::Month),
        Ok(ValidityEpoch::Quarter) => Some(Epoch::Quarter),
        Ok(ValidityEpoch::Unspecified) | Err(_) => None,
    }
}

/// Converts the format in a message; `None` for an unspecified or unknown one.
fn format_from_proto(format: i32) -> Option<CredentialFormat> {
    match proto::CredentialFormat::try_from(format).ok()? {
        proto::CredentialFormat::Unspecified => None,
        proto::CredentialFormat::VcSdJwt => Some(CredentialFormat::VcSdJwt),
        proto::CredentialFormat::DcSdJwt => Some(CredentialFormat::DcSdJwt),
        proto::CredentialFormat::LdpVc => Some(CredentialFormat::LdpVc),
        proto::CredentialFormat::DiVcJcs => Some(CredentialFormat::DiVcJcs),
    }
}
