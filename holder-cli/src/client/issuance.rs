//! Client of the issuer's service.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{epoch::Epoch, format::CredentialFormat};
use carnet_proto::issuer::v1::{
    self as proto, CollectCredentialsRequest, CollectDeferredRequest, CollectFreshnessRequest, CopyFreshness,
    IssueNonceRequest, IssuedCopy, NotificationEvent, NotifyRequest, ReadMetadataRequest, ReadMetadataResponse,
    RedeemOfferRequest, RedeemOfferResponse, RefillCredentialsRequest, RenewCredentialsRequest, ValidityEpoch,
    issuance_service_client::IssuanceServiceClient,
};
use carnet_wallet::promise::{CredentialConfiguration, IssuerMetadata};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use super::{authorised, connect};
use crate::{
    failure::{Failure, Sentence, from_status},
    session::Session,
    ui::waiting::WaitNotice,
    wallet::{Redemption, contents::Secret},
};

/// A connection to an issuer.
pub(crate) struct Issuer(IssuanceServiceClient<Channel>, WaitNotice);

/// Response of an issuer to a credential request.
pub(crate) enum Collected {
    /// Copies in the order of the proofs, and the notification id.
    Ready(Vec<IssuedCopy>, String),
    /// Deferred: the transaction id (if it is new), and the interval in seconds.
    NotReady(Option<Secret>, u32),
}

impl Issuer {
    pub(crate) async fn connect(session: &Session, origin: &str) -> Result<Self, Failure> {
        let (channel, wait) = connect(session, origin).await?;
        Ok(Self(IssuanceServiceClient::new(channel), wait))
    }

    /// Returns the issuer metadata.
    pub(crate) async fn metadata(&mut self) -> Result<IssuerMetadata, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.read_metadata(ReadMetadataRequest {}).await;
        answer
            .map(|answer| metadata_of(answer.into_inner()))
            .map_err(|status| from_status(&status, Sentence::id("error-service-metadata")))
    }

    /// Exchanges the code for a token; with the code verifier if an earlier call may have arrived.
    pub(crate) async fn redeem(
        &mut self,
        redemption: &Redemption,
        repeats: bool,
    ) -> Result<RedeemOfferResponse, Failure> {
        let _waiting = self.1.begin();
        let verifier = URL_SAFE_NO_PAD.decode(redemption.verifier.expose()).map_err(|_| {
            Failure::new("record_damaged", Sentence::id("error-record-damaged"), Sentence::id("hint-new-offer"))
        })?;
        let request = RedeemOfferRequest {
            pre_authorized_code: redemption.code.expose().to_owned(),
            tx_code: redemption.pin.as_ref().map(|pin| pin.expose().to_owned()),
            redemption_challenge: Some(Sha256::digest(&verifier).to_vec()),
            redemption_verifier: repeats.then_some(verifier),
        };
        let answer = self.0.redeem_offer(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| from_status(&status, Sentence::id("error-service-redeem")))
    }

    /// Requests a nonce for the proofs.
    pub(crate) async fn nonce(&mut self) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.issue_nonce(IssueNonceRequest {}).await;
        answer
            .map(|answer| answer.into_inner().c_nonce)
            .map_err(|status| from_status(&status, Sentence::id("error-service-nonce")))
    }

    /// Requests the copies.
    pub(crate) async fn collect(&mut self, token: &str, id: &str, proofs: Vec<String>) -> Result<Collected, Failure> {
        let _waiting = self.1.begin();
        let request = CollectCredentialsRequest { credential_configuration_id: id.to_owned(), proofs };
        let answer = self.0.collect_credentials(authorised(request, token)?).await;
        let answer = answer.map_err(|status| from_status(&status, Sentence::id("error-service-collect")))?.into_inner();
        Ok(if answer.transaction_id.is_empty() {
            Collected::Ready(answer.credentials, answer.notification_id)
        } else {
            Collected::NotReady(Some(Secret::new(answer.transaction_id)), answer.interval_seconds)
        })
    }

    /// Requests the copies of a deferred transaction.
    pub(crate) async fn collect_deferred(&mut self, token: &str, transaction: &str) -> Result<Collected, Failure> {
        let _waiting = self.1.begin();
        let request = CollectDeferredRequest { transaction_id: transaction.to_owned() };
        let answer = self.0.collect_deferred(authorised(request, token)?).await;
        let answer = answer.map_err(|status| from_status(&status, Sentence::id("error-service-collect")))?.into_inner();
        Ok(if answer.credentials.is_empty() {
            Collected::NotReady(None, answer.interval_seconds)
        } else {
            Collected::Ready(answer.credentials, answer.notification_id)
        })
    }

    /// Exchanges a presented copy for one copy per proof, and the notification id.
    pub(crate) async fn refill(
        &mut self,
        presentation: String,
        proofs: Vec<String>,
    ) -> Result<(Vec<IssuedCopy>, String), Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.refill_credentials(RefillCredentialsRequest { presentation, proofs }).await;
        let answer = answer.map_err(|status| from_status(&status, Sentence::id("error-service-refill")))?.into_inner();
        Ok((answer.credentials, answer.notification_id))
    }

    /// Exchanges a presented copy for copies with a later end.
    pub(crate) async fn renew(&mut self, presentation: String, proofs: Vec<String>) -> Result<Collected, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.renew_credentials(RenewCredentialsRequest { presentation, proofs }).await;
        let answer = answer.map_err(|status| from_status(&status, Sentence::id("error-service-renew")))?.into_inner();
        Ok(if answer.transaction_id.is_empty() {
            Collected::Ready(answer.credentials, answer.notification_id)
        } else {
            Collected::NotReady(Some(Secret::new(answer.transaction_id)), answer.interval_seconds)
        })
    }

    /// Requests freshness statements by the copies' handles; returns them in the same order.
    pub(crate) async fn freshness(&mut self, handles: Vec<Vec<u8>>) -> Result<Vec<CopyFreshness>, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.collect_freshness(CollectFreshnessRequest { handles, ..Default::default() }).await;
        answer
            .map(|answer| answer.into_inner().copies)
            .map_err(|status| from_status(&status, Sentence::id("error-service-freshness")))
    }

    /// Notifies the issuer of the result; after a refill there is no token.
    pub(crate) async fn notify(
        &mut self,
        token: Option<&str>,
        id: &str,
        event: NotificationEvent,
    ) -> Result<(), Failure> {
        let _waiting = self.1.begin();
        let request = NotifyRequest { notification_id: id.to_owned(), event: event.into() };
        let request = match token {
            Some(token) => authorised(request, token)?,
            None => tonic::Request::new(request),
        };
        let answer = self.0.notify(request).await;
        answer.map(|_| ()).map_err(|status| from_status(&status, Sentence::id("error-service-notify")))
    }
}

fn metadata_of(said: ReadMetadataResponse) -> IssuerMetadata {
    let configurations = said.configurations.into_iter().map(|configuration| CredentialConfiguration {
        format: format_from_wire(configuration.format),
        epoch: epoch_of(configuration.validity_epoch),
        id: configuration.id,
        credential_type: configuration.credential_type,
        renewal_window_days: configuration.renewal_window_days,
    });
    IssuerMetadata {
        configurations: configurations.collect(),
        issuer: said.issuer,
        display_name: said.display_name.into_iter().collect(),
        max_batch_size: said.max_batch_size,
        freshness_seconds: said.freshness_seconds,
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

/// Reads a format of a message; `None` for an unspecified or unknown one.
fn format_from_wire(format: i32) -> Option<CredentialFormat> {
    match proto::CredentialFormat::try_from(format).ok()? {
        proto::CredentialFormat::Unspecified => None,
        proto::CredentialFormat::VcSdJwt => Some(CredentialFormat::VcSdJwt),
        proto::CredentialFormat::DcSdJwt => Some(CredentialFormat::DcSdJwt),
        proto::CredentialFormat::LdpVc => Some(CredentialFormat::LdpVc),
        proto::CredentialFormat::DiVcJcs => Some(CredentialFormat::DiVcJcs),
    }
}
