//! Client of a verifier on Carnet's own wire.

use std::collections::BTreeMap;

use carnet_proto::verifier::v1::{
    self as proto, PresentationList, ReadRequestRequest, RequestErasureRequest, SubmitPresentationRequest,
    SubmitPresentationResponse, presentation_service_client::PresentationServiceClient,
};
use carnet_wallet::ports::{CheckOutcome, SubmittedPresentation, VerdictCheck, VerifierClient};
use tonic::transport::Channel;

use super::connect;
use crate::{
    failure::{Failure, Fault, Safety, Sentence, from_status},
    request::{Pointer, Request},
    session::Session,
    ui::waiting::WaitNotice,
};

/// A connection to a verifier.
pub(crate) struct GrpcVerifier(PresentationServiceClient<Channel>, WaitNotice);

impl GrpcVerifier {
    pub(crate) async fn connect(session: &Session, origin: &str) -> Result<Self, Failure> {
        let (channel, wait) = connect(session, origin).await?;
        Ok(Self(PresentationServiceClient::new(channel), wait))
    }
}

impl VerifierClient for GrpcVerifier {
    async fn read(&mut self, pointer: &Pointer) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.read_request(ReadRequestRequest { id: pointer.id.clone() }).await;
        answer
            .map(|answer| answer.into_inner().request_object)
            .map_err(|status| from_status(&status, Fault::Asker, Sentence::id("error-service-request")))
    }

    async fn submit(
        &mut self,
        pointer: &Pointer,
        _: &Request,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmittedPresentation, Failure> {
        let _waiting = self.1.begin();
        let list = |(query, presentations)| (query, PresentationList { presentations });
        let vp_token = vp_token.into_iter().map(list).collect();
        let answer = self.0.submit_presentation(SubmitPresentationRequest { id: pointer.id.clone(), vp_token }).await;
        answer.map(|answer| verdict_of(answer.into_inner())).map_err(|status| {
            from_status(&status, Fault::Asker, Sentence::id("error-service-submit")).with_safety(Safety::Sent)
        })
    }

    async fn erase(&mut self, receipt: String, proof: String) -> Result<String, Failure> {
        let _waiting = self.1.begin();
        let answer = self.0.request_erasure(RequestErasureRequest { receipt, proof }).await;
        answer
            .map(|answer| answer.into_inner().confirmation)
            .map_err(|status| from_status(&status, Fault::Asker, Sentence::id("error-service-erase")))
    }
}

fn verdict_of(answer: SubmitPresentationResponse) -> SubmittedPresentation {
    let outcome = |outcome| match proto::CheckOutcome::try_from(outcome) {
        Ok(proto::CheckOutcome::Passed) => CheckOutcome::Passed,
        Ok(proto::CheckOutcome::Failed) => CheckOutcome::Failed,
        Ok(proto::CheckOutcome::Tolerated) => CheckOutcome::Tolerated,
        Ok(proto::CheckOutcome::NotApplicable) => CheckOutcome::NotApplicable,
        _ => CheckOutcome::Unknown,
    };
    let checks = answer.checks.into_iter().map(|check| VerdictCheck {
        outcome: outcome(check.outcome),
        name: check.name,
        about: check.about,
        code: check.code,
        detail: check.detail,
    });
    SubmittedPresentation {
        checks: checks.collect(),
        accepted: answer.accepted,
        reason: answer.reason,
        receipt: answer.receipt,
        return_url: None,
    }
}
