//! gRPC services `carnet.issuer.v1.StatusListService`, for verifiers, and `StatusService`, for staff.

use std::sync::Arc;

use carnet_core::status::publication::ListFormat;
use carnet_proto::issuer::v1 as proto;
use carnet_service::{staff, wire};
use tonic::{Request, Response, Status};

use super::offers::{instant, one_page, slice};
use crate::{
    checks::check_id,
    error::Error,
    issuer::Issuer,
    status::{self, StatusTarget},
    store::{
        Store,
        status::{ActRecord, CopyStatus, StatusAction, StatusState},
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
        if self.0.status.base().is_none() {
            return Err(Error::NoStatusLists.into());
        }
        let urls = self.0.status.published_lists().urls().map(str::to_owned).collect();
        Ok(Response::new(proto::ListStatusListsResponse { urls }))
    }

    async fn read_status_list(
        &self,
        request: Request<proto::ReadStatusListRequest>,
    ) -> Result<Response<proto::ReadStatusListResponse>, Status> {
        let request = request.into_inner();
        let shelf = self.0.status.published_lists();
        let content = &shelf.at(&request.url).ok_or(Error::ListUnknown)?.content;
        let list = if request.if_none_match == content.etag { Vec::new() } else { content.bytes.to_vec() };
        Ok(Response::new(proto::ReadStatusListResponse {
            media_type: content.media_type.to_owned(),
            list,
            etag: content.etag.clone(),
            ttl_seconds: self.0.status.ttl(),
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
                from: instant("filter.from", filter.from.as_ref())?,
                until: instant("filter.until", filter.until.as_ref())?,
                credential_type: Some(filter.credential_type).filter(|name| !name.is_empty()),
            },
        };
        let (acted, publication) = self
            .0
            .change_status(status::StatusChangeRequest {
                request_id: request.request_id,
                who,
                verb,
                reason: request.reason,
                whom,
                expected: request.expected_count,
                dry_run: request.dry_run,
                urgency: urgency(request.urgency)?,
            })
            .await?;
        Ok(Response::new(proto::ChangeStatusResponse {
            act: number(acted.act.unwrap_or_default()),
            credentials: acted.credentials,
            copies: acted.copies,
            changed: acted.changed,
            published: publication == status::PublicationTime::Now,
            open_offers: acted.open,
            published_at: match publication {
                status::PublicationTime::At(at) => Some(wire::timestamp(at)),
                status::PublicationTime::Now | status::PublicationTime::Soon => None,
            },
            unchanged_since: acted.unchanged_since.map(wire::timestamp),
        }))
    }

    async fn read_status(
        &self,
        request: Request<proto::ReadStatusRequest>,
    ) -> Result<Response<proto::ReadStatusResponse>, Status> {
        let request = request.into_inner();
        check_id("id", &request.id)?;
        let copies = self.0.read_status(&request.id).await?;
        let copies = copies.iter().map(|copy| self.copy(copy)).collect();
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
        let rows = self.0.list_acts(&request.id, slice(page)).await?;
        let (rows, next_page_token) = one_page(rows, page, |row| row.seq);
        Ok(Response::new(proto::ListStatusActsResponse { acts: rows.iter().map(act).collect(), next_page_token }))
    }

    async fn list_status_changes(
        &self,
        request: Request<proto::ListStatusChangesRequest>,
    ) -> Result<Response<proto::ListStatusChangesResponse>, Status> {
        let request = request.into_inner();
        let page = wire::parse_page(request.page_size, &request.page_token)?;
        let act = i64::try_from(request.act).map_err(|_| Error::NotFound { what: "act" })?;
        let rows = self.0.list_changes(act, slice(page)).await?;
        let (rows, next_page_token) = one_page(rows, page, |row| row.seq);
        let changes = rows.into_iter().map(|row| proto::StatusChange {
            issued_id: row.issued_id,
            offer_id: row.offer_id,
            whole: row.whole,
        });
        Ok(Response::new(proto::ListStatusChangesResponse { changes: changes.collect(), next_page_token }))
    }
}

impl<S: Store> StatusGrpc<S> {
    fn copy(&self, copy: &CopyStatus) -> proto::CopyStatus {
        let state = match copy.state {
            StatusState::Valid => proto::CredentialStatus::Valid,
            StatusState::Suspended => proto::CredentialStatus::Suspended,
            StatusState::Revoked => proto::CredentialStatus::Revoked,
        };
        let shelf = self.0.status.published_lists();
        let urls = ListFormat::ALL.into_iter().filter_map(|form| self.0.status.url(form, copy.place.list));
        proto::CopyStatus {
            issued_id: copy.issued_id.clone(),
            offer_id: copy.offer_id.clone(),
            credential_type: copy.credential_type.clone(),
            issued_at: Some(wire::timestamp(copy.issued_at)),
            status: state.into(),
            lists: urls.filter(|url| shelf.at(url).is_some()).collect(),
            index: copy.place.position,
            act: number(copy.act.unwrap_or_default()),
            message: copy.message.into(),
            listed_from: copy.waits_since.and_then(|since| self.0.publication_after(since)).map(wire::timestamp),
        }
    }
}

/// Converts the requested urgency from its protobuf number; `None`: unspecified, the default of the action applies.
///
/// # Errors
/// [`Error::Invalid`] for an unknown number.
fn urgency(wire: i32) -> Result<Option<bool>, Error> {
    match proto::StatusUrgency::try_from(wire) {
        Ok(proto::StatusUrgency::Unspecified) => Ok(None),
        Ok(proto::StatusUrgency::Urgent) => Ok(Some(true)),
        Ok(proto::StatusUrgency::NotUrgent) => Ok(Some(false)),
        Err(_) => Err(Error::invalid("urgency", "must be one of the urgencies")),
    }
}

fn act(record: &ActRecord) -> proto::StatusAct {
    let (verb, message) = match record.verb {
        StatusAction::Revoke => (proto::StatusVerb::Revoke, 0),
        StatusAction::Suspend => (proto::StatusVerb::Suspend, 0),
        StatusAction::Reinstate => (proto::StatusVerb::Reinstate, 0),
        StatusAction::Message(number) => (proto::StatusVerb::Message, number),
    };
    proto::StatusAct {
        act: number(record.seq),
        verb: verb.into(),
        reason: record.reason.clone(),
        who: record.who.clone(),
        at: Some(wire::timestamp(record.at)),
        credentials: record.credentials,
        copies: record.copies,
        changed: record.changed,
        request_id: record.request_id.clone(),
        message: message.into(),
    }
}

/// Converts a sequence number; a negative one becomes 0.
fn number(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or_default()
}
