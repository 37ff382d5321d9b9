//! gRPC service `carnet.issuer.v1.IssuanceService`, for wallets.

use std::sync::Arc;

use carnet_core::format::CredentialFormat;
use carnet_proto::issuer::v1 as proto;
use carnet_service::{staff::bearer_token, wire};
use tonic::{Request, Response, Status};

use super::values::{epoch_to_wire, format_to_wire};
use crate::{
    checks::check_id,
    error::Error,
    format::configuration_id,
    freshness::{CopyStatusReport, FreshnessResponse},
    issuance::{IssuanceOutcome, NotificationEvent},
    issuer::Issuer,
    redemption::RedemptionRequest,
    store::Store,
};

/// gRPC issuance service of one issuer, open to every wallet.
pub(crate) struct IssuanceGrpc<S>(pub(crate) Arc<Issuer<S>>);

#[tonic::async_trait]
impl<S: Store> proto::issuance_service_server::IssuanceService for IssuanceGrpc<S> {
    async fn read_metadata(
        &self,
        _: Request<proto::ReadMetadataRequest>,
    ) -> Result<Response<proto::ReadMetadataResponse>, Status> {
        let issuer = &self.0;
        let configurations = issuer.supported_configurations().map(|known| proto::CredentialConfiguration {
            id: known.id,
            credential_type: known.credential_type.name.clone(),
            format: format_to_wire(known.format).into(),
            renewal_window_days: match known.format {
                CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => {
                    let policy = issuer.settings.renewal_policies.get(&known.credential_type.name);
                    policy.map_or(0, |policy| policy.window_days)
                }
                _ => 0,
            },
            validity_epoch: epoch_to_wire(issuer.validity_epoch(&known.credential_type.name)).into(),
            vct: match known.format {
                CredentialFormat::DcSdJwt => known.credential_type.vct.clone(),
                _ => String::new(),
            },
        });
        Ok(Response::new(proto::ReadMetadataResponse {
            issuer: issuer.did.to_string(),
            display_name: issuer.settings.display_name.clone().into_iter().collect(),
            configurations: configurations.collect(),
            max_batch_size: u32::try_from(issuer.settings.max_batch_size).unwrap_or(u32::MAX),
            freshness_seconds: issuer.settings.freshness_seconds,
        }))
    }

    async fn redeem_offer(
        &self,
        request: Request<proto::RedeemOfferRequest>,
    ) -> Result<Response<proto::RedeemOfferResponse>, Status> {
        let request = request.into_inner();
        let grant = self
            .0
            .redeem_offer(&RedemptionRequest {
                code: request.pre_authorized_code.into(),
                pin: request.tx_code.map(Into::into),
                challenge: request.redemption_challenge.map(Into::into),
                verifier: request.redemption_verifier.map(Into::into),
            })
            .await?;
        Ok(Response::new(proto::RedeemOfferResponse {
            access_token: grant.access_token.to_string(),
            expires_at: Some(wire::to_timestamp(grant.expires_at)),
            credential_configuration_ids: vec![configuration_id(&grant.offer.credential_type, grant.offer.format)],
            repeatable: grant.repeatable,
        }))
    }

    async fn issue_nonce(
        &self,
        _: Request<proto::IssueNonceRequest>,
    ) -> Result<Response<proto::IssueNonceResponse>, Status> {
        let (nonce, until) = self.0.issue_nonce();
        Ok(Response::new(proto::IssueNonceResponse {
            c_nonce: nonce.to_string(),
            expires_at: Some(wire::to_timestamp(until)),
        }))
    }

    async fn collect_credentials(
        &self,
        request: Request<proto::CollectCredentialsRequest>,
    ) -> Result<Response<proto::CollectCredentialsResponse>, Status> {
        let token = zeroize::Zeroizing::new(bearer_token(&request)?.to_owned());
        let request = request.into_inner();
        check_id("credential_configuration_id", &request.credential_configuration_id)?;
        let audience = self.0.did.as_str();
        let collected = self
            .0
            .handle_credential_request(&token, &request.credential_configuration_id, request.proofs, audience)
            .await?;
        Ok(Response::new(match collected {
            IssuanceOutcome::Issued { .. } => {
                let (credentials, notification_id) = issued_copies(&collected);
                proto::CollectCredentialsResponse { credentials, notification_id, ..Default::default() }
            }
            IssuanceOutcome::Deferred { transaction_id, interval } => proto::CollectCredentialsResponse {
                transaction_id: transaction_id.to_string(),
                interval_seconds: interval,
                ..Default::default()
            },
        }))
    }

    async fn collect_deferred(
        &self,
        request: Request<proto::CollectDeferredRequest>,
    ) -> Result<Response<proto::CollectDeferredResponse>, Status> {
        let request = request.into_inner();
        check_id("transaction_id", &request.transaction_id)?;
        let collected = self.0.handle_deferred_request(&request.transaction_id).await?;
        Ok(Response::new(match collected {
            IssuanceOutcome::Issued { .. } => {
                let (credentials, notification_id) = issued_copies(&collected);
                proto::CollectDeferredResponse { credentials, notification_id, ..Default::default() }
            }
            IssuanceOutcome::Deferred { interval, .. } => {
                proto::CollectDeferredResponse { interval_seconds: interval, ..Default::default() }
            }
        }))
    }

    async fn refill_credentials(
        &self,
        request: Request<proto::RefillCredentialsRequest>,
    ) -> Result<Response<proto::RefillCredentialsResponse>, Status> {
        let request = request.into_inner();
        let presentation = zeroize::Zeroizing::new(request.presentation);
        let refilled = self.0.refill(presentation, request.proofs).await?;
        let (credentials, notification_id) = issued_copies(&refilled);
        Ok(Response::new(proto::RefillCredentialsResponse { credentials, notification_id }))
    }

    async fn renew_credentials(
        &self,
        request: Request<proto::RenewCredentialsRequest>,
    ) -> Result<Response<proto::RenewCredentialsResponse>, Status> {
        let request = request.into_inner();
        let presentation = zeroize::Zeroizing::new(request.presentation);
        let renewed = self.0.renew(presentation, request.proofs).await?;
        Ok(Response::new(match renewed {
            IssuanceOutcome::Issued { .. } => {
                let (credentials, notification_id) = issued_copies(&renewed);
                proto::RenewCredentialsResponse { credentials, notification_id, ..Default::default() }
            }
            IssuanceOutcome::Deferred { transaction_id, interval } => proto::RenewCredentialsResponse {
                transaction_id: transaction_id.to_string(),
                interval_seconds: interval,
                ..Default::default()
            },
        }))
    }

    async fn collect_freshness(
        &self,
        request: Request<proto::CollectFreshnessRequest>,
    ) -> Result<Response<proto::CollectFreshnessResponse>, Status> {
        let request = request.into_inner();
        let answers = self.0.answer_freshness_request(&request.handles, &request.copies).await?;
        let copies = answers.into_iter().map(|FreshnessResponse { status, should_replace, message }| {
            let (state, statements) = match status {
                CopyStatusReport::Valid(statements) => (proto::CopyState::Valid, statements),
                CopyStatusReport::Suspended => (proto::CopyState::Suspended, Vec::new()),
                CopyStatusReport::Revoked => (proto::CopyState::Revoked, Vec::new()),
                CopyStatusReport::Expired => (proto::CopyState::Ended, Vec::new()),
                CopyStatusReport::Unknown => (proto::CopyState::Unknown, Vec::new()),
            };
            let mut statements = statements.into_iter();
            let statement = statements.next().unwrap_or_default();
            let earlier_statements = statements.collect();
            proto::CopyFreshness {
                state: state.into(),
                statement,
                replace: should_replace,
                message,
                earlier_statements,
            }
        });
        Ok(Response::new(proto::CollectFreshnessResponse { copies: copies.collect() }))
    }

    async fn notify(&self, request: Request<proto::NotifyRequest>) -> Result<Response<proto::NotifyResponse>, Status> {
        let request = request.into_inner();
        check_id("notification_id", &request.notification_id)?;
        let event = match proto::NotificationEvent::try_from(request.event) {
            Ok(proto::NotificationEvent::CredentialAccepted) => NotificationEvent::Accepted,
            Ok(proto::NotificationEvent::CredentialFailure) => NotificationEvent::Failure,
            Ok(proto::NotificationEvent::CredentialDeleted) => NotificationEvent::Deleted,
            Ok(proto::NotificationEvent::Unspecified) | Err(_) => {
                return Err(Error::invalid("event", "must be one of the events").into());
            }
        };
        self.0.record_notification(&request.notification_id, event).await?;
        Ok(Response::new(proto::NotifyResponse {}))
    }
}

/// Returns the copies and the notification id of an issuance; both empty if it is deferred.
fn issued_copies(collected: &IssuanceOutcome) -> (Vec<proto::IssuedCopy>, String) {
    let IssuanceOutcome::Issued { format, copies, notification_id } = collected else {
        return Default::default();
    };
    let format = format_to_wire(*format).into();
    let copies = copies.iter().map(|credential| proto::IssuedCopy { format, credential: credential.clone() });
    (copies.collect(), notification_id.to_string())
}
