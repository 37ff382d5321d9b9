//! gRPC service `carnet.verifier.v1.PresentationService`, for wallets.

use std::sync::Arc;

use carnet_proto::verifier::v1::{
    ReadRequestRequest, ReadRequestResponse, RequestErasureRequest, RequestErasureResponse, SubmitPresentationRequest,
    SubmitPresentationResponse, presentation_service_server::PresentationService,
};
use carnet_service::time::now;
use tonic::{Request, Response, Status};

use super::convert;
use crate::{presentations::SubmissionResponse, store::Store, verifier::Verifier};

pub(super) struct PresentationGrpc<S>(pub(super) Arc<Verifier<S>>);

#[tonic::async_trait]
impl<S: Store> PresentationService for PresentationGrpc<S> {
    async fn read_request(
        &self,
        request: Request<ReadRequestRequest>,
    ) -> Result<Response<ReadRequestResponse>, Status> {
        let request_object = self.0.read_request(&request.into_inner().id, now()).await?;
        Ok(Response::new(ReadRequestResponse { request_object }))
    }

    async fn submit_presentation(
        &self,
        request: Request<SubmitPresentationRequest>,
    ) -> Result<Response<SubmitPresentationResponse>, Status> {
        let SubmitPresentationRequest { id, vp_token } = request.into_inner();
        let SubmissionResponse { verdict, receipt } =
            self.0.submit_presentation(&id, convert::vp_token(vp_token), now()).await?;
        Ok(Response::new(SubmitPresentationResponse {
            receipt: receipt.unwrap_or_default(),
            accepted: verdict.accepted(),
            reason: verdict.reason().to_owned(),
            checks: verdict.checks().iter().map(convert::check_for_holder).collect(),
        }))
    }

    async fn request_erasure(
        &self,
        request: Request<RequestErasureRequest>,
    ) -> Result<Response<RequestErasureResponse>, Status> {
        let RequestErasureRequest { receipt, proof } = request.into_inner();
        let confirmation = self.0.erase_presentation(&receipt, &proof, now()).await?;
        Ok(Response::new(RequestErasureResponse { confirmation }))
    }
}
