//! gRPC service `carnet.issuer.v1.RenewalService`, for staff who decide on renewals.

use std::sync::Arc;

use carnet_proto::issuer::v1 as proto;
use carnet_service::{staff, wire};
use tonic::{Request, Response, Status};

use super::offers::{page_and_next_token, slice_with_extra_row};
use crate::{
    error::Error,
    issuer::Issuer,
    store::{
        Store,
        renewal::{RenewalRecord, RenewalState},
    },
};

/// gRPC renewal service of one issuer. Calls are authenticated as staff before they reach it.
pub(crate) struct RenewalGrpc<S>(pub(crate) Arc<Issuer<S>>);

#[tonic::async_trait]
impl<S: Store> proto::renewal_service_server::RenewalService for RenewalGrpc<S> {
    async fn list_renewals(
        &self,
        request: Request<proto::ListRenewalsRequest>,
    ) -> Result<Response<proto::ListRenewalsResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        let state = match proto::RenewalState::try_from(request.state) {
            Ok(proto::RenewalState::Unspecified) => None,
            Ok(proto::RenewalState::Pending) => Some(RenewalState::Pending),
            Ok(proto::RenewalState::Approved) => Some(RenewalState::Approved),
            Ok(proto::RenewalState::Rejected) => Some(RenewalState::Rejected),
            Ok(proto::RenewalState::Issued) => Some(RenewalState::Issued),
            Ok(proto::RenewalState::Lapsed) => Some(RenewalState::Lapsed),
            Err(_) => return Err(Error::invalid("state", "must be one of the renewal states").into()),
        };
        let rows = self.0.list_renewals(state, slice_with_extra_row(page)).await?;
        let (rows, next_page_token) = page_and_next_token(rows, page, |row| row.seq);
        Ok(Response::new(proto::ListRenewalsResponse {
            renewals: rows.into_iter().map(renewal_to_wire).collect(),
            next_page_token,
        }))
    }

    async fn decide_renewal(
        &self,
        request: Request<proto::DecideRenewalRequest>,
    ) -> Result<Response<proto::DecideRenewalResponse>, Status> {
        let who = staff::caller_name(&request)?;
        let request = request.into_inner();
        let decided = self.0.decide_renewal(&request.renewal_id, request.approve, &request.reason, who).await?;
        Ok(Response::new(proto::DecideRenewalResponse { renewal: Some(renewal_to_wire(decided)) }))
    }
}

fn renewal_to_wire(record: RenewalRecord) -> proto::Renewal {
    let state = match record.state {
        RenewalState::Pending => proto::RenewalState::Pending,
        RenewalState::Approved => proto::RenewalState::Approved,
        RenewalState::Rejected => proto::RenewalState::Rejected,
        RenewalState::Issued => proto::RenewalState::Issued,
        RenewalState::Lapsed => proto::RenewalState::Lapsed,
    };
    proto::Renewal {
        renewal_id: record.renewal_id,
        offer_id: record.offer_id,
        credential_type: record.credential_type,
        state: state.into(),
        generation: record.generation,
        valid_until: Some(wire::to_timestamp(record.valid_until)),
        asked_at: Some(wire::to_timestamp(record.asked_at)),
        decided_at: record.decided_at.map(wire::to_timestamp),
        decided_by: record.decided_by.unwrap_or_default(),
        reason: record.reason.unwrap_or_default(),
    }
}
