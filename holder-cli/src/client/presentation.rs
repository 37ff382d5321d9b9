//! Client of the verifier's service.

use std::collections::BTreeMap;

use carnet_proto::verifier::v1::{
    PresentationList, ReadRequestRequest, RequestErasureRequest, SubmitPresentationRequest, SubmitPresentationResponse,
    presentation_service_client::PresentationServiceClient,
};
use tonic::transport::Channel;

use super::connect;
use crate::{
    failure::{Failure, Safety, Sentence, from_status},
    session::Session,
    ui::waiting::WaitNotice,
};

/// A connection to a verifier.
pub(crate) struct Verifier(PresentationServiceClient<Channel>, WaitNotice);

impl Verifier {
    pub(crate) async fn connect(session: &Session, origin: &str) -> Result<Self, Failure> {
        let (channel, wait) = connect(session, origin).await?;
        Ok(Self(PresentationServiceClient::new(channel), wait))
    }

    /// Fetches the signed request object.
    pub(crate) async fn read(&mut self, id: &str) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.read_request(ReadRequestRequest { id: id.to_owned() }).await;
        answer
            .map(|answer| answer.into_inner().request_object)
            .map_err(|status| from_status(&status, Sentence::id("error-service-request")))
    }

    /// Sends the presentations by credential query id.
    pub(crate) async fn submit(
        &mut self,
        id: &str,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmitPresentationResponse, Failure> {
        let _waiting = self.1.begin();
        let list = |(query, presentations)| (query, PresentationList { presentations });
        let vp_token = vp_token.into_iter().map(list).collect();
        let answer = self.0.submit_presentation(SubmitPresentationRequest { id: id.to_owned(), vp_token }).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| from_status(&status, Sentence::id("error-service-submit")).with_safety(Safety::Sent))
    }

    /// Requests erasure with a receipt, and returns the signed confirmation.
    pub(crate) async fn erase(&mut self, receipt: String, proof: String) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.request_erasure(RequestErasureRequest { receipt, proof }).await;
        answer
            .map(|answer| answer.into_inner().confirmation)
            .map_err(|status| from_status(&status, Sentence::id("error-service-erase")))
    }
}
