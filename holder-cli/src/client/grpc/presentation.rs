//! gRPC client of a verifier's service.

use std::collections::BTreeMap;

use async_trait::async_trait;
use carnet_proto::verifier::v1::{
    self as proto, PresentationList, ReadRequestRequest, RequestErasureRequest, SubmitPresentationRequest,
    SubmitPresentationResponse, presentation_service_client::PresentationServiceClient,
};
use carnet_wallet::ports::{ReportedOutcome, SubmissionResponse, VerdictCheck, VerifierClient};
use tonic::transport::Channel;

use crate::{
    failure::{DataSafety, Failure, FaultParty, Sentence, from_grpc_status},
    request::{AuthorizationRequestLink, PresentationRequest},
    ui::wait_notice::WaitNotice,
};

/// Connection to a verifier over gRPC.
pub(crate) struct GrpcVerifier(PresentationServiceClient<Channel>, WaitNotice);

impl GrpcVerifier {
    /// Creates the client on a channel to the service. `wait` is the notice for slow calls.
    pub(crate) fn new(channel: Channel, wait: WaitNotice) -> Self {
        Self(PresentationServiceClient::new(channel), wait)
    }
}

#[async_trait(?Send)]
impl VerifierClient for GrpcVerifier {
    async fn fetch_request(&mut self, pointer: &AuthorizationRequestLink) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.read_request(ReadRequestRequest { id: pointer.request_id.clone() }).await;
        answer
            .map(|answer| answer.into_inner().request_object)
            .map_err(|status| from_grpc_status(&status, FaultParty::Verifier, Sentence::new("error-service-request")))
    }

    async fn submit(
        &mut self,
        pointer: &AuthorizationRequestLink,
        _: &PresentationRequest,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmissionResponse, Failure> {
        let _waiting = self.1.begin();
        let list = |(query, presentations)| (query, PresentationList { presentations });
        let vp_token = vp_token.into_iter().map(list).collect();
        let answer =
            self.0.submit_presentation(SubmitPresentationRequest { id: pointer.request_id.clone(), vp_token }).await;
        answer.map(|answer| verdict_of(answer.into_inner())).map_err(|status| {
            from_grpc_status(&status, FaultParty::Verifier, Sentence::new("error-service-submit"))
                .with_safety(DataSafety::Sent)
        })
    }

    async fn request_erasure(&mut self, receipt: String, proof: String) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.request_erasure(RequestErasureRequest { receipt, proof }).await;
        answer
            .map(|answer| answer.into_inner().confirmation)
            .map_err(|status| from_grpc_status(&status, FaultParty::Verifier, Sentence::new("error-service-erase")))
    }
}

fn verdict_of(answer: SubmitPresentationResponse) -> SubmissionResponse {
    let outcome = |outcome| match proto::CheckOutcome::try_from(outcome) {
        Ok(proto::CheckOutcome::Passed) => ReportedOutcome::Passed,
        Ok(proto::CheckOutcome::Failed) => ReportedOutcome::Failed,
        Ok(proto::CheckOutcome::Tolerated) => ReportedOutcome::Tolerated,
        Ok(proto::CheckOutcome::NotApplicable) => ReportedOutcome::NotApplicable,
        _ => ReportedOutcome::Unknown,
    };
    let checks = answer.checks.into_iter().map(|check| VerdictCheck {
        outcome: outcome(check.outcome),
        name: check.name,
        query_id: check.about,
        code: check.code,
        detail: check.detail,
    });
    SubmissionResponse {
        checks: checks.collect(),
        accepted: answer.accepted,
        reason: answer.reason,
        receipt: answer.receipt,
        return_url: None,
    }
}
