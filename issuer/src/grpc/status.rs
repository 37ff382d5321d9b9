//! gRPC services `carnet.issuer.v1.StatusListService`, for verifiers, and `StatusService`, for staff.

use std::sync::Arc;

use carnet_core::status::publication::ListFormat;
use carnet_proto::issuer::v1 as proto;
use carnet_service::{staff, wire};
use tonic::{Request, Response, Status};

use super::{
    offers::{page_and_next_token, slice_with_extra_row},
    values::timestamp_from_wire,
};
use crate::{
    checks::check_id,
    error::Error,
    issuer::Issuer,
    status::{self, StatusTarget},
    store::{
        Store,
        status::{CopyStatus, StatusActRecord, StatusAction, StatusState},
    },
};

/// gRPC status list service of one issuer, open to everybody.
pub(crate) struct StatusListGrpc<S>(pub(crate) Arc<Issuer<S>>);

/// gRPC status service of one issuer. Calls are authenticated as staff before they reach it.
pub(crate) struct StatusGrpc<S>(pub(crate) Arc<Issuer<S>>);

#[tonic::async_trait]
impl<S: Store> proto::status_list_service_server::StatusListService for StatusListGrpc<S> {
    async fn list_status_lists(
        &self,
        _: Request<proto::ListStatusListsRequest>,
    ) -> Result<Response<proto::ListStatusListsResponse>, Status> {
        if self.0.status_publisher.base_url().is_none() {
            return Err(Error::NoStatusLists.into());
        }
        let urls = self.0.status_publisher.published_lists().urls().map(str::to_owned).collect();
        Ok(Response::new(proto::ListStatusListsResponse { urls }))
    }

    async fn read_status_list(
        &self,
        request: Request<proto::ReadStatusListRequest>,
    ) -> Result<Response<proto::ReadStatusListResponse>, Status> {
        let request = request.into_inner();
        let shelf = self.0.status_publisher.published_lists();
        let content = &shelf.by_url(&request.url).ok_or(Error::ListUnknown)?.content;
        let list = if request.if_none_match == content.etag { Vec::new() } else { content.bytes.to_vec() };
        Ok(Response::new(proto::ReadStatusListResponse {
            media_type: content.media_type.to_owned(),
            list,
            etag: content.etag.clone(),
            ttl_seconds: self.0.status_publisher.ttl_seconds(),
        }))
    }
}

#[tonic::async_trait]
impl<S: Store> proto::status_service_server::StatusService for StatusGrpc<S> {
    async fn change_status(
        &self,
        request: Request<proto::ChangeStatusRequest>,
    ) -> Result<Response<proto::ChangeStatusResponse>, Status> {
        let who = staff::caller_name(&request)?;
        let request = request.into_inner();
        let verb = match proto::StatusVerb::try_from(request.verb) {
            Ok(proto::StatusVerb::Revoke) => StatusAction::Revoke,
            Ok(proto::StatusVerb::Suspend) => StatusAction::Suspend,
            Ok(proto::StatusVerb::Reinstate) => StatusAction::Reinstate,
            Ok(proto::StatusVerb::Message) => StatusAction::Message(
                u8::try_from(request.message).map_err(|_| Error::invalid("message", "must be from 0 to 15"))?,
            ),
            Ok(proto::StatusVerb::Unspecified) | Err(_) => {
                return Err(Error::invalid("verb", "must be one of the verbs").into());
            }
        };
        if request.message > 0 && !matches!(verb, StatusAction::Message(_)) {
            return Err(Error::invalid("message", "is allowed only with the verb for messages").into());
        }
        let whom = match request.filter {
            None => StatusTarget::Ids(request.ids),
            Some(_) if !request.ids.is_empty() => {
                return Err(Error::invalid("filter", "cannot be combined with ids").into());
            }
            Some(filter) => StatusTarget::Matching {
                from: timestamp_from_wire("filter.from", filter.from.as_ref())?,
                until: timestamp_from_wire("filter.until", filter.until.as_ref())?,
                credential_type: Some(filter.credential_type).filter(|name| !name.is_empty()),
            },
        };
        let (acted, publication) = self
            .0
            .change_status(status::StatusChangeRequest {
                request_id: request.request_id,
                staff_name: who,
                action: verb,
                reason: request.reason,
                target: whom,
                expected_count: request.expected_count,
                dry_run: request.dry_run,
                urgent: urgency_from_wire(request.urgency)?,
            })
            .await?;
        Ok(Response::new(proto::ChangeStatusResponse {
            act: sequence_to_wire(acted.act_number.unwrap_or_default()),
            credentials: acted.credential_count,
            copies: acted.copy_count,
            changed: acted.changed_count,
            published: publication == status::PublicationTime::Published,
            open_offers: acted.open_offers,
            published_at: match publication {
                status::PublicationTime::At(at) => Some(wire::to_timestamp(at)),
                status::PublicationTime::Published | status::PublicationTime::Unscheduled => None,
            },
            unchanged_since: acted.unchanged_since.map(wire::to_timestamp),
        }))
    }

    async fn read_status(
        &self,
        request: Request<proto::ReadStatusRequest>,
    ) -> Result<Response<proto::ReadStatusResponse>, Status> {
        let request = request.into_inner();
        check_id("id", &request.id)?;
        let copies = self.0.read_copy_statuses(&request.id).await?;
        let copies = copies.iter().map(|copy| self.copy_status_to_wire(copy)).collect();
        Ok(Response::new(proto::ReadStatusResponse { copies }))
    }

    async fn list_status_acts(
        &self,
        request: Request<proto::ListStatusActsRequest>,
    ) -> Result<Response<proto::ListStatusActsResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        if !request.id.is_empty() {
            check_id("id", &request.id)?;
        }
        let rows = self.0.list_status_acts(&request.id, slice_with_extra_row(page)).await?;
        let (rows, next_page_token) = page_and_next_token(rows, page, |row| row.seq);
        Ok(Response::new(proto::ListStatusActsResponse {
            acts: rows.iter().map(act_to_wire).collect(),
            next_page_token,
        }))
    }

    async fn list_status_changes(
        &self,
        request: Request<proto::ListStatusChangesRequest>,
    ) -> Result<Response<proto::ListStatusChangesResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        let act = i64::try_from(request.act).map_err(|_| Error::NotFound { what: "act" })?;
        let rows = self.0.list_status_changes(act, slice_with_extra_row(page)).await?;
        let (rows, next_page_token) = page_and_next_token(rows, page, |row| row.seq);
        let changes = rows.into_iter().map(|row| proto::StatusChange {
            issued_id: row.issued_id,
            offer_id: row.offer_id,
            whole: row.is_whole_offer,
        });
        Ok(Response::new(proto::ListStatusChangesResponse { changes: changes.collect(), next_page_token }))
    }
}

impl<S: Store> StatusGrpc<S> {
    fn copy_status_to_wire(&self, copy: &CopyStatus) -> proto::CopyStatus {
        let state = match copy.state {
            StatusState::Valid => proto::CredentialStatus::Valid,
            StatusState::Suspended => proto::CredentialStatus::Suspended,
            StatusState::Revoked => proto::CredentialStatus::Revoked,
        };
        let shelf = self.0.status_publisher.published_lists();
        let urls = ListFormat::ALL
            .into_iter()
            .filter_map(|form| self.0.status_publisher.list_url(form, copy.status_index.list));
        proto::CopyStatus {
            issued_id: copy.issued_id.clone(),
            offer_id: copy.offer_id.clone(),
            credential_type: copy.credential_type.clone(),
            issued_at: Some(wire::to_timestamp(copy.issued_at)),
            status: state.into(),
            lists: urls.filter(|url| shelf.by_url(url).is_some()).collect(),
            index: copy.status_index.position,
            act: sequence_to_wire(copy.last_act.unwrap_or_default()),
            message: copy.message.into(),
            listed_from: copy
                .waits_since
                .and_then(|since| self.0.publication_time_after(since))
                .map(wire::to_timestamp),
        }
    }
}

/// Converts the requested urgency from its protobuf number; `None`: unspecified, the default of the action applies.
///
/// # Errors
/// [`Error::Invalid`] for an unknown number.
fn urgency_from_wire(wire: i32) -> Result<Option<bool>, Error> {
    match proto::StatusUrgency::try_from(wire) {
        Ok(proto::StatusUrgency::Unspecified) => Ok(None),
        Ok(proto::StatusUrgency::Urgent) => Ok(Some(true)),
        Ok(proto::StatusUrgency::NotUrgent) => Ok(Some(false)),
        Err(_) => Err(Error::invalid("urgency", "must be one of the urgencies")),
    }
}

fn act_to_wire(record: &StatusActRecord) -> proto::StatusAct {
    let (verb, message) = match record.verb {
        StatusAction::Revoke => (proto::StatusVerb::Revoke, 0),
        StatusAction::Suspend => (proto::StatusVerb::Suspend, 0),
        StatusAction::Reinstate => (proto::StatusVerb::Reinstate, 0),
        StatusAction::Message(number) => (proto::StatusVerb::Message, number),
    };
    proto::StatusAct {
        act: sequence_to_wire(record.seq),
        verb: verb.into(),
        reason: record.reason.clone(),
        who: record.staff_name.clone(),
        at: Some(wire::to_timestamp(record.at)),
        credentials: record.credentials,
        copies: record.copies,
        changed: record.changed,
        request_id: record.request_id.clone(),
        message: message.into(),
    }
}

/// Converts a sequence number; a negative one becomes 0.
fn sequence_to_wire(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or_default()
}
