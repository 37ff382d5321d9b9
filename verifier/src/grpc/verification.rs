//! gRPC service `carnet.verifier.v1.VerificationService`, for staff and their systems.

use std::sync::Arc;

use carnet_proto::verifier::v1::{
    CreateRequestRequest, CreateRequestResponse, CreateRequestsRequest, CreateRequestsResponse, ListRequestsRequest,
    ListRequestsResponse, ReadResultRequest, ReadResultResponse, VerifyCredentialRequest, VerifyCredentialResponse,
    VerifyPresentationRequest, VerifyPresentationResponse, VerifyPresentationsRequest, VerifyPresentationsResponse,
    WatchResultRequest, WatchResultResponse, verification_service_server::VerificationService,
};
use carnet_service::{time::now, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{batches, convert};
use crate::{store::Store, verifier::Verifier};

pub(super) struct VerificationGrpc<S>(pub(super) Arc<Verifier<S>>);

#[tonic::async_trait]
impl<S: Store> VerificationService for VerificationGrpc<S> {
    type WatchResultStream = ReceiverStream<Result<WatchResultResponse, Status>>;
    type VerifyPresentationsStream = ReceiverStream<Result<VerifyPresentationsResponse, Status>>;

    async fn create_request(
        &self,
        request: Request<CreateRequestRequest>,
    ) -> Result<Response<CreateRequestResponse>, Status> {
        let call = convert::create_request(request.into_inner())?;
        Ok(Response::new(convert::created_request(self.0.create_request(call, now()).await?)))
    }

    async fn create_requests(
        &self,
        request: Request<CreateRequestsRequest>,
    ) -> Result<Response<CreateRequestsResponse>, Status> {
        Ok(Response::new(batches::create_requests(&self.0, request.into_inner().requests).await?))
    }

    async fn read_result(&self, request: Request<ReadResultRequest>) -> Result<Response<ReadResultResponse>, Status> {
        let now = now();
        let ReadResultRequest { id, response_code } = request.into_inner();
        let (stored, kept) = self.0.request_with_claims(&id, now).await?;
        if !response_code.is_empty() {
            self.0.check_response_code(&stored, &response_code).await?;
        }
        Ok(Response::new(ReadResultResponse { result: Some(convert::request_result(&stored, &kept, now)) }))
    }

    async fn watch_result(
        &self,
        request: Request<WatchResultRequest>,
    ) -> Result<Response<Self::WatchResultStream>, Status> {
        let mut watch = self.0.watch_result(request.into_inner().id).await?;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    () = sender.closed() => break,
                    next = watch.next() => match next {
                        Ok(Some(watched)) => Ok(convert::watch_response(&watched)),
                        Ok(None) => break,
                        Err(error) => Err(error.into()),
                    },
                };
                let is_last = message.is_err();
                if sender.send(message).await.is_err() || is_last {
                    break;
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
            disclosed: disclosed.as_ref().map(convert::disclosed),
        }))
    }

    async fn verify_presentation(
        &self,
        request: Request<VerifyPresentationRequest>,
    ) -> Result<Response<VerifyPresentationResponse>, Status> {
        let VerifyPresentationRequest { vp_token, dcql_query, nonce, audience } = request.into_inner();
        let dcql = convert::parse_query_struct(dcql_query.as_ref(), "dcql_query")?;
        let vp_token = convert::vp_token(vp_token);
        let (verdict, disclosed) = self.0.verify_presentation(vp_token, dcql, nonce, audience, now()).await?;
        Ok(Response::new(VerifyPresentationResponse {
            verdict: Some(convert::verdict(&verdict)),
            disclosed: disclosed.as_ref().map(convert::disclosed),
        }))
    }

    async fn verify_presentations(
        &self,
        request: Request<Streaming<VerifyPresentationsRequest>>,
    ) -> Result<Response<Self::VerifyPresentationsStream>, Status> {
        Ok(Response::new(batches::verify_stream(Arc::clone(&self.0), request.into_inner())))
    }

    async fn list_requests(
        &self,
        request: Request<ListRequestsRequest>,
    ) -> Result<Response<ListRequestsResponse>, Status> {
        let ListRequestsRequest { page_size, page_token } = request.into_inner();
        let page = wire::parse_page(page_size, &page_token)?;
        let (stored, next) = self.0.requests_page(page.before, page.size).await?;
        let now = now();
        Ok(Response::new(ListRequestsResponse {
            results: stored.iter().map(|stored| convert::request_result(stored, &[], now)).collect(),
            next_page_token: next.map(wire::page_token).unwrap_or_default(),
        }))
    }
}
