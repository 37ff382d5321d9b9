//! `carnet.verifier.v1.VerificationService`, for staff and their systems.

use std::{sync::Arc, time::Duration};

use carnet_core::Code;
use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestResponse, ListRequestsRequest, ListRequestsResponse, ReadResultRequest,
    ReadResultResponse, VerifyCredentialRequest, VerifyCredentialResponse, VerifyPresentationRequest,
    VerifyPresentationResponse, WatchResultRequest, WatchResultResponse, create_request_request as create,
    verification_service_server::VerificationService,
};
use carnet_service::{time::now, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    error::Error,
    requests::{Create, What},
    store::{State, Store},
    verdicts::Disclosed,
    verifier::Verifier,
    watch::Watcher,
};

pub(super) struct Verifications<S>(pub(super) Arc<Verifier<S>>);

#[tonic::async_trait]
impl<S: Store> VerificationService for Verifications<S> {
    type WatchResultStream = ReceiverStream<Result<WatchResultResponse, Status>>;

    async fn create_request(
        &self,
        request: Request<CreateRequestRequest>,
    ) -> Result<Response<CreateRequestResponse>, Status> {
        let CreateRequestRequest { request_id, what, ttl_seconds } = request.into_inner();
        let what = match what {
            Some(create::What::Template(id)) => What::Template(id),
            Some(create::What::Query(query)) => What::Query {
                dcql: structure(query.dcql_query.as_ref(), "query.dcql_query")?,
                purpose: query.purpose.into_iter().collect(),
                legal_basis: query.legal_basis.into_iter().collect(),
                retention: query.retention.into_iter().collect(),
                intended_use: query.intended_use,
                allow_unknown: query.allow_unknown,
                freshness_seconds_max: Some(query.freshness_seconds_max).filter(|seconds| *seconds > 0),
            },
            None => return Err(Error::invalid("QUERY_MISSING", "what", "must be a template or a query").into()),
        };
        let created = self.0.create_request(Create { request_id, what, ttl_seconds }, now()).await?;
        Ok(Response::new(CreateRequestResponse {
            id: created.id.as_str().to_owned(),
            request_uri: created.uri,
            expires_at: Some(wire::timestamp(created.expires_at)),
        }))
    }

    async fn read_result(&self, request: Request<ReadResultRequest>) -> Result<Response<ReadResultResponse>, Status> {
        let (stored, now) = (self.0.stored(&request.into_inner().id).await?, now());
        let kept = self.0.store.kept(stored.number, now).await.map_err(Error::from)?;
        Ok(Response::new(ReadResultResponse { result: Some(convert::result(&stored, &kept, now)) }))
    }

    async fn watch_result(
        &self,
        request: Request<WatchResultRequest>,
    ) -> Result<Response<Self::WatchResultStream>, Status> {
        let id = request.into_inner().id;
        let stored = self.0.stored(&id).await?;
        // Watching starts before the state is read again, so that no change is missed.
        let watcher = self.0.hub.watch(&stored.id)?;
        let (sender, receiver) = mpsc::channel(1);
        let verifier = Arc::clone(&self.0);
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                ended = watch(&verifier, &id, watcher, &sender) => {
                    if let Err(error) = ended {
                        sender.send(Err(error.into())).await.ok();
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn verify_credential(
        &self,
        request: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        let (verdict, disclosed) = self.0.verify_credential(request.into_inner().credential, now()).await?;
        Ok(Response::new(VerifyCredentialResponse {
            verdict: Some(convert::verdict(&verdict)),
            disclosed: disclosed.as_ref().map(Disclosed::to_struct),
        }))
    }

    async fn verify_presentation(
        &self,
        request: Request<VerifyPresentationRequest>,
    ) -> Result<Response<VerifyPresentationResponse>, Status> {
        let VerifyPresentationRequest { vp_token, dcql_query, nonce, audience } = request.into_inner();
        let dcql = structure(dcql_query.as_ref(), "dcql_query")?;
        let vp_token = convert::vp_token(vp_token);
        let (verdict, disclosed) = self.0.verify_presentation(vp_token, dcql, nonce, audience, now()).await?;
        Ok(Response::new(VerifyPresentationResponse {
            verdict: Some(convert::verdict(&verdict)),
            disclosed: disclosed.as_ref().map(Disclosed::to_struct),
        }))
    }

    async fn list_requests(
        &self,
        request: Request<ListRequestsRequest>,
    ) -> Result<Response<ListRequestsResponse>, Status> {
        let ListRequestsRequest { page_size, page_token } = request.into_inner();
        let page = wire::page(page_size, &page_token)?;
        let stored = self.0.store.requests(page.before, page.size).await.map_err(Error::from)?;
        let full = i64::try_from(stored.len()).is_ok_and(|rows| rows == page.size);
        let last = stored.last().filter(|_| full).map(|last| wire::page_token(last.number));
        let now = now();
        Ok(Response::new(ListRequestsResponse {
            results: stored.iter().map(|stored| convert::result(stored, &[], now)).collect(),
            next_page_token: last.unwrap_or_default(),
        }))
    }
}

/// Maximum delay of the disclosed claims after their verdict.
const BEHIND: Duration = Duration::from_millis(500);

fn structure(
    wire: Option<&prost_types::Struct>,
    field: &'static str,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    let wire = wire.ok_or_else(|| Error::invalid("QUERY_MISSING", field, "must be a DCQL query"))?;
    wire::from_struct(wire).map_err(|problem| {
        let reason = if problem.code == Code::TooDeep { "TOO_DEEP" } else { "QUERY_MALFORMED" };
        Error::invalid(reason, field, problem.detail)
    })
}

/// Sends the current state and every change, until the state is final or the client disconnects.
async fn watch<S: Store>(
    verifier: &Verifier<S>,
    id: &str,
    mut watcher: Watcher,
    sender: &mpsc::Sender<Result<WatchResultResponse, Status>>,
) -> Result<(), Error> {
    let mut disclosed = None;
    loop {
        let (stored, at) = (verifier.stored(id).await?, now());
        if stored.state(at) == State::Accepted && disclosed.is_none() {
            // The disclosed claims follow directly after the verdict, which a notification about a wrong answer may
            // show first.
            if let Ok(Ok(change)) = tokio::time::timeout(BEHIND, watcher.changed()).await {
                disclosed = change.0;
            }
        }
        let done = stored.is_final(at);
        let shown = disclosed.take().map(|disclosed: Arc<Disclosed>| disclosed.to_struct());
        let message = WatchResultResponse { result: Some(convert::result(&stored, &[], at)), disclosed: shown };
        if sender.send(Ok(message)).await.is_err() || done {
            return Ok(());
        }
        let left = stored.expires_at.unix().saturating_sub(at.unix()).max(0).unsigned_abs();
        tokio::select! {
            changed = watcher.changed() => disclosed = changed?.0,
            () = tokio::time::sleep(Duration::from_secs(left)) => {}
        }
    }
}
