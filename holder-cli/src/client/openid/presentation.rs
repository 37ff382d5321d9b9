//! OpenID4VP 1.0 client of a verifier.

use std::collections::BTreeMap;

use async_trait::async_trait;
use carnet_core::Code;
use carnet_fetch::service::{CallContent, ServiceCall};
use carnet_openid::{
    form,
    vp::{
        REQUEST_MEDIA_TYPE,
        error::ReceivedVerifierError,
        link::{RequestSource, RequestUriMethod},
        response::{AcceptedResponse, AnsweredObject, AuthorizationResponse},
    },
};
use carnet_wallet::{
    ports::{ReportedOutcome, SubmissionResponse, VerdictCheck, VerifierClient},
    present::CLOSED,
    request::{AuthorizationRequestLink, MAX_REQUEST_BYTES, PresentationRequest},
};
use rand_core::OsRng;

use super::{HttpServices, JSON};
use crate::failure::{DataSafety, Failure, FailureKind, FailureReason, Sentence};

/// Maximum size of the verifier's response to a presentation, in bytes.
const MOST_ANSWER: usize = 262_144;

/// Connection to a verifier over OpenID4VP.
pub(crate) struct OpenIdVerifier(HttpServices);

impl OpenIdVerifier {
    /// Creates the client without making a call.
    pub(crate) const fn new(services: HttpServices) -> Self {
        Self(services)
    }
}

#[async_trait(?Send)]
impl VerifierClient for OpenIdVerifier {
    async fn fetch_request(&mut self, pointer: &AuthorizationRequestLink) -> Result<String, Failure> {
        let message = "error-service-request";
        let Some(openid) = &pointer.openid else { return Err(unsupported()) };
        let (url, method) = match &openid.source {
            RequestSource::Object(object) => return Ok(object.clone()),
            RequestSource::Parameters(_) => return Err(unsupported()),
            RequestSource::Reference(url, method) => (url, method),
        };
        let nonce = openid.wallet_nonce.as_deref().unwrap_or_default();
        let posted = form::encode_form(&[("wallet_nonce", nonce)]);
        let content = match method {
            RequestUriMethod::Get => CallContent::None,
            RequestUriMethod::Post => CallContent::Form(&posted),
        };
        let accept = REQUEST_MEDIA_TYPE;
        let call = ServiceCall { url: url.as_str(), content, accept, token: "", max_document_bytes: MAX_REQUEST_BYTES };
        let answer = self.0.call(call, message).await?;
        if answer.status != 200 {
            return Err(self.0.refused(&answer, message));
        }
        String::from_utf8(answer.body).map(|object| object.trim().to_owned()).map_err(|_| {
            Failure::new(Code::TokenMalformed, Sentence::new(message), Sentence::new("hint-name-in-brackets"))
        })
    }

    async fn submit(
        &mut self,
        pointer: &AuthorizationRequestLink,
        request: &PresentationRequest,
        vp_token: BTreeMap<String, Vec<String>>,
    ) -> Result<SubmissionResponse, Failure> {
        let message = "error-service-submit";
        let Some(parameters) = &request.openid else { return Err(unsupported()) };
        // Others would learn by it that this is Carnet's wallet.
        let openid = pointer.openid.as_ref().filter(|_| request.has_carnet_parameters());
        let wallet_nonce = openid.and_then(|openid| openid.wallet_nonce.clone());
        let signature = request.request_object.rsplit('.').next().filter(|_| wallet_nonce.is_some());
        let answered = AnsweredObject { signature: signature.map(str::to_owned), wallet_nonce };
        let state = parameters.state.clone();
        let response = AuthorizationResponse { presentations: vp_token, state, answered, ephemeral_thumbprint: None };
        let body = response.to_form(parameters, &mut OsRng).map_err(|problem| self.0.malformed(&problem, message))?;
        let call = ServiceCall {
            url: parameters.response_uri.as_str(),
            content: CallContent::Form(&body),
            accept: JSON,
            token: "",
            max_document_bytes: MOST_ANSWER,
        };
        let answer = self.0.call(call, message).await.map_err(|failure| failure.with_safety(DataSafety::Sent))?;
        if (200..300).contains(&answer.status) {
            // The answer counts whatever the verifier says beside it.
            let AcceptedResponse { redirect_uri, receipt } = AcceptedResponse::parse(&answer.body).unwrap_or_default();
            let receipt = receipt.unwrap_or_default();
            return Ok(SubmissionResponse { accepted: true, receipt, return_url: redirect_uri, ..Default::default() });
        }
        let failure = self.0.refused(&answer, message).with_safety(DataSafety::Sent);
        let is_verdict = (400..500).contains(&answer.status) && failure.kind == FailureKind::Permanent;
        // A closed request is no verdict.
        if !is_verdict || CLOSED.contains(&failure.reason) {
            return Err(failure);
        }
        let ReceivedVerifierError { description: detail, receipt, .. } = ReceivedVerifierError::parse(&answer.body);
        let check = VerdictCheck {
            name: "response".to_owned(),
            query_id: String::new(),
            outcome: ReportedOutcome::Failed,
            code: failure.reason.to_string(),
            detail,
        };
        Ok(SubmissionResponse {
            accepted: false,
            reason: failure.reason.to_string(),
            checks: vec![check],
            receipt: receipt.unwrap_or_default(),
            return_url: None,
        })
    }

    async fn request_erasure(&mut self, _: String, _: String) -> Result<String, Failure> {
        Err(unsupported())
    }
}

/// Returns the failure for a call that OpenID4VP does not have.
fn unsupported() -> Failure {
    Failure::new(
        FailureReason::WireUnsupported,
        Sentence::new("error-wire-unsupported"),
        Sentence::new("hint-name-in-brackets"),
    )
}
