//! gRPC service `carnet.issuer.v1.OfferService`, for staff and their systems.

use std::sync::Arc;

use carnet_proto::issuer::v1 as proto;
use carnet_service::{
    staff,
    wire::{self, PageRequest},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    imports,
    values::{
        claims_from_wire, day_start_from_wire, epoch_to_wire, format_from_wire, format_to_wire, offer_to_wire,
        timestamp_from_wire,
    },
};
use crate::{
    checks::{check_change_ids, check_id},
    cohorts::{TypeCohorts, VisibleCohort},
    error::Error,
    issuer::Issuer,
    offers::{OfferRequest, ReceivedClaims},
    store::{
        PageSlice, RowPage, Store,
        filter::CommonFilter,
        offers::{OfferFilter, OfferState},
        records::{IssuedFilter, IssuedRecord},
    },
};

/// gRPC offer service of one issuer. Calls are authenticated as staff before they reach it.
pub(crate) struct OfferGrpc<S>(pub(crate) Arc<Issuer<S>>);

#[tonic::async_trait]
impl<S: Store> proto::offer_service_server::OfferService for OfferGrpc<S> {
    async fn create_offer(
        &self,
        request: Request<proto::CreateOfferRequest>,
    ) -> Result<Response<proto::CreateOfferResponse>, Status> {
        let created_by = staff::caller_name(&request)?;
        let request = request.into_inner();
        let format = format_from_wire(request.format)
            .ok_or_else(|| Error::invalid("format", "must be one of the credential formats"))?;
        let claims = claims_from_wire(request.claims.as_ref())?;
        let made = self
            .0
            .create_offer(OfferRequest {
                request_id: request.request_id,
                credential_type: request.credential_type,
                format,
                claims: ReceivedClaims(claims),
                with_pin: request.with_pin,
                ttl_seconds: request.offer_ttl_seconds,
                valid_from: day_start_from_wire("valid_from", request.valid_from.as_ref())?,
                valid_until: day_start_from_wire("valid_until", request.valid_until.as_ref())?,
                deferred: request.deferred,
                reference: request.reference,
                created_by,
            })
            .await?;
        let (offer_uri, offer_reference_uri) =
            made.links.map(|links| (links.by_value.to_string(), links.by_reference.to_string())).unwrap_or_default();
        Ok(Response::new(proto::CreateOfferResponse {
            offer: Some(offer_to_wire(&made.offer)),
            offer_uri,
            offer_reference_uri,
            pin: made.pin.map(|pin| pin.to_string()).unwrap_or_default(),
            warnings: made.warnings,
        }))
    }

    type ImportOffersStream = ReceiverStream<Result<proto::ImportOffersResponse, Status>>;

    async fn import_offers(
        &self,
        request: Request<Streaming<proto::ImportOffersRequest>>,
    ) -> Result<Response<Self::ImportOffersStream>, Status> {
        let created_by = staff::caller_name(&request)?;
        Ok(Response::new(imports::import_stream(Arc::clone(&self.0), request.into_inner(), created_by)))
    }

    async fn list_offers(
        &self,
        request: Request<proto::ListOffersRequest>,
    ) -> Result<Response<proto::ListOffersResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        let state = match proto::OfferState::try_from(request.state) {
            Ok(proto::OfferState::Unspecified) => None,
            Ok(proto::OfferState::Open) => Some(OfferState::Open),
            Ok(proto::OfferState::Redeemed) => Some(OfferState::Redeemed),
            Ok(proto::OfferState::Collected) => Some(OfferState::Collected),
            Ok(proto::OfferState::Cancelled) => Some(OfferState::Cancelled),
            Ok(proto::OfferState::Expired) => Some(OfferState::Expired),
            Ok(proto::OfferState::Locked) => Some(OfferState::Locked),
            Err(_) => return Err(Error::invalid("state", "must be one of the offer states").into()),
        };
        let (from, until) = (request.created_from.as_ref(), request.created_until.as_ref());
        let times = [("created_from", from), ("created_until", until)];
        let common = common_filter(request.credential_type, request.reference, request.created_by, times)?;
        let RowPage { rows, next } = self.0.list_offers(&OfferFilter { state, common }, page_slice(page)).await?;
        let next_page_token = next.map(wire::page_token).unwrap_or_default();
        Ok(Response::new(proto::ListOffersResponse {
            offers: rows.iter().map(offer_to_wire).collect(),
            next_page_token,
        }))
    }

    async fn cancel_offer(
        &self,
        request: Request<proto::CancelOfferRequest>,
    ) -> Result<Response<proto::CancelOfferResponse>, Status> {
        let request = request.into_inner();
        let cancelled = self.0.cancel_offer(&request.offer_id, &request.request_id).await?;
        Ok(Response::new(proto::CancelOfferResponse { offer: Some(offer_to_wire(&cancelled)) }))
    }

    async fn release_offer(
        &self,
        request: Request<proto::ReleaseOfferRequest>,
    ) -> Result<Response<proto::ReleaseOfferResponse>, Status> {
        let who = staff::caller_name(&request)?;
        let request = request.into_inner();
        check_change_ids(&request.offer_id, &request.request_id)?;
        let released = self.0.decide_offer(&request.offer_id, true, &request.reason, who).await?;
        Ok(Response::new(proto::ReleaseOfferResponse { offer: Some(offer_to_wire(&released)) }))
    }

    async fn reject_offer(
        &self,
        request: Request<proto::RejectOfferRequest>,
    ) -> Result<Response<proto::RejectOfferResponse>, Status> {
        let who = staff::caller_name(&request)?;
        let request = request.into_inner();
        let rejected = self.0.decide_offer(&request.offer_id, false, &request.reason, who).await?;
        Ok(Response::new(proto::RejectOfferResponse { offer: Some(offer_to_wire(&rejected)) }))
    }

    async fn list_issued(
        &self,
        request: Request<proto::ListIssuedRequest>,
    ) -> Result<Response<proto::ListIssuedResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        if !request.offer_id.is_empty() {
            check_id("offer_id", &request.offer_id)?;
        }
        let (from, until) = (request.issued_from.as_ref(), request.issued_until.as_ref());
        let times = [("issued_from", from), ("issued_until", until)];
        let common = common_filter(request.credential_type, request.reference, request.created_by, times)?;
        let filter = IssuedFilter { offer_id: request.offer_id, common };
        let RowPage { rows, next } = self.0.list_issued_copies(&filter, page_slice(page)).await?;
        let next_page_token = next.map(wire::page_token).unwrap_or_default();
        Ok(Response::new(proto::ListIssuedResponse {
            issued: rows.iter().map(issued_to_wire).collect(),
            next_page_token,
        }))
    }

    async fn read_issued(
        &self,
        request: Request<proto::ReadIssuedRequest>,
    ) -> Result<Response<proto::ReadIssuedResponse>, Status> {
        let request = request.into_inner();
        check_id("issued_id", &request.issued_id)?;
        let record = self.0.read_issued_copy(&request.issued_id).await?;
        Ok(Response::new(proto::ReadIssuedResponse { issued: Some(issued_to_wire(&record)) }))
    }

    async fn read_cohorts(
        &self,
        _: Request<proto::ReadCohortsRequest>,
    ) -> Result<Response<proto::ReadCohortsResponse>, Status> {
        let types = self.0.cohorts().await?;
        let least = self.0.settings.cohort_policy.least;
        Ok(Response::new(proto::ReadCohortsResponse { types: types.iter().map(type_cohorts_to_wire).collect(), least }))
    }
}

/// Returns the conditions that both lists share. The last argument has the names and values of the request's fields for
/// the first and the last time.
///
/// # Errors
/// [`Error::Invalid`]
fn common_filter(
    credential_type: String,
    reference: String,
    created_by: String,
    [(from, first), (until, last)]: [(&'static str, Option<&prost_types::Timestamp>); 2],
) -> Result<CommonFilter, Error> {
    let (from, until) = (timestamp_from_wire(from, first)?, timestamp_from_wire(until, last)?);
    Ok(CommonFilter { credential_type, reference, created_by, from, until })
}

/// Returns the slice of a page; the store returns where the next page starts.
fn page_slice(page: PageRequest) -> PageSlice {
    PageSlice { before: page.before, limit: page.size }
}

/// Returns the slice of a page with one extra row, which shows whether another page follows.
pub(super) fn slice_with_extra_row(page: PageRequest) -> PageSlice {
    PageSlice { before: page.before, limit: page.size.saturating_add(1) }
}

/// Returns the rows of a page without the extra row, and the token of the next page; empty if this is the last one.
/// `seq` returns a row's sequence number.
pub(super) fn page_and_next_token<T>(mut rows: Vec<T>, page: PageRequest, seq: impl Fn(&T) -> i64) -> (Vec<T>, String) {
    let size = usize::try_from(page.size).unwrap_or_default();
    if rows.len() <= size {
        return (rows, String::new());
    }
    rows.truncate(size);
    let token = rows.last().map(|row| wire::page_token(seq(row))).unwrap_or_default();
    (rows, token)
}

fn type_cohorts_to_wire(of: &TypeCohorts) -> proto::TypeCohorts {
    let cohort = |cohort: &VisibleCohort| proto::Cohort {
        format: format_to_wire(cohort.visible_members.format).into(),
        valid_from: Some(wire::to_timestamp(cohort.visible_members.valid_from)),
        valid_until: Some(wire::to_timestamp(cohort.visible_members.valid_until)),
        holders: cohort.holders,
        kid: cohort.visible_members.kid.clone(),
        status_list: cohort.visible_members.status_list.clone().unwrap_or_default(),
    };
    proto::TypeCohorts {
        credential_type: of.credential_type.clone(),
        epoch: epoch_to_wire(of.epoch).into(),
        holders: of.summary.holders,
        smallest: of.summary.smallest_size,
        median: of.summary.median_size,
        below: of.holders_below_minimum,
        cohorts: of.cohorts.iter().map(cohort).collect(),
    }
}

fn issued_to_wire(record: &IssuedRecord) -> proto::IssuedRecord {
    proto::IssuedRecord {
        issued_id: record.issued_id.clone(),
        offer_id: record.offer_id.clone(),
        credential_type: record.credential_type.clone(),
        format: format_to_wire(record.format).into(),
        status_index: u64::try_from(record.status_index).unwrap_or_default(),
        issued_at: Some(wire::to_timestamp(record.issued_at)),
        valid_until: Some(wire::to_timestamp(record.valid_until)),
        notification: record.notification,
        reference: record.reference.clone(),
        created_by: record.created_by.clone(),
    }
}
