//! Submission of presentations: only while the request is open, counted as an attempt, and accepted at most once.

use std::{collections::BTreeSet, sync::Arc};

use carnet_core::{
    receipt::{presentation_digest, request_digest},
    status::freshness,
    time::Timestamp,
};
use serde_json::{Map, Value};

use crate::{
    disclosed::DisclosedClaims,
    error::Error,
    ids::RequestId,
    receipts::ReceiptDigests,
    recording::{admit_attempt, commit_verdict, count_attempt},
    redemption::RedeemingPresentation,
    request::{ClosedReason, StoredRequest},
    request_object::RequestObjectMembers,
    requests::{parse_custom_query, parse_stored_query},
    store::{ReadRequests as _, Store},
    verdicts::{Verdict, VerificationResult},
    verification::{PresentationExpectations, VpToken},
    verifier::Verifier,
};

/// Result of a submission, for the holder.
#[derive(Debug)]
pub(crate) struct SubmissionResponse {
    pub(crate) verdict: Verdict,
    /// Signed receipt, as JSON text; `None` if no receipt could be signed.
    pub(crate) receipt: Option<String>,
}

/// Verified answer to a request, which is not recorded yet.
struct VerifiedAnswer {
    result: VerificationResult,
    digests: ReceiptDigests,
    /// Query ids that the wallet used.
    sent_ids: BTreeSet<String>,
}

/// Variant of the query in the request object that the wallet answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnsweredQuery {
    /// Original query.
    Original,
    /// Query with alternative formats (spec/openid4vp.md 3.1).
    WithAlternatives {
        /// Digest of the answered request object, for the receipt.
        request_digest: String,
    },
}

impl<S: Store> Verifier<S> {
    /// Verifies a presentation that answers the request object served over gRPC, records the result, and returns it
    /// with a receipt.
    ///
    /// An invalid presentation leaves the request open, so that a third party who saw the link cannot close it with one
    /// call. Each attempt is counted, and the request closes after [`crate::request::MAX_ATTEMPTS`].
    ///
    /// # Errors
    /// The request is unknown or closed; [`Error::ClockBehind`]; [`Error::IssuerKeyUnknown`]; store errors. A
    /// presentation that fails a check is no error: the result says so.
    pub(crate) async fn submit_presentation(
        self: &Arc<Self>,
        id: &str,
        vp_token: VpToken,
        now: Timestamp,
    ) -> Result<SubmissionResponse, Error> {
        self.submit_for_variant(id, vp_token, AnsweredQuery::Original, now).await
    }

    /// Verifies a presentation as [`Self::submit_presentation`], for a request object with this variant of the query. Continues if
    /// the client disconnects.
    pub(crate) async fn submit_for_variant(
        self: &Arc<Self>,
        id: &str,
        vp_token: VpToken,
        offered: AnsweredQuery,
        now: Timestamp,
    ) -> Result<SubmissionResponse, Error> {
        let id = RequestId::parse(id).ok_or(Error::RequestUnknown)?;
        let this = Arc::clone(self);
        // A separate task completes even if the client disconnects.
        tokio::spawn(async move { this.verify_and_record(&id, vp_token, offered, now).await })
            .await
            .map_err(|error| Error::Internal(error.to_string()))?
    }

    async fn verify_and_record(
        &self,
        id: &RequestId,
        vp_token: VpToken,
        offered: AnsweredQuery,
        now: Timestamp,
    ) -> Result<SubmissionResponse, Error> {
        self.verification.clock.require_not_behind(now)?;
        // Held until the attempt is counted.
        let (request, _attempt) = admit_attempt(&self.store, &self.running_attempts, id, now).await?;
        let members = RequestObjectMembers::read(&request.request_object);
        match self.verify_answer(&request, &members, vp_token, offered, now).await {
            Ok(answer) => {
                self.save_clock_floor().await?;
                self.record_answer(&request, &members, answer, now).await
            }
            Err(error) => {
                count_attempt(&self.store, id).await?;
                Err(error)
            }
        }
    }

    async fn verify_answer(
        &self,
        request: &StoredRequest,
        members: &RequestObjectMembers,
        vp_token: VpToken,
        offered: AnsweredQuery,
        now: Timestamp,
    ) -> Result<VerifiedAnswer, Error> {
        let query = parse_stored_query(request)?;
        // Digest of the received text, valid or not.
        let presented = presentation_digest(&vp_token).ok();
        let sent_ids: BTreeSet<String> = vp_token.keys().cloned().collect();
        let (query, vp_token, audience, request_digest) = match offered {
            AnsweredQuery::Original => {
                (query, vp_token, request.audience.clone(), request_digest(&request.request_object))
            }
            AnsweredQuery::WithAlternatives { request_digest } => {
                let (query, vp_token) = self.with_chosen_formats(request, query, vp_token);
                (query, vp_token, self.openid_client_id(request).await?, request_digest)
            }
        };
        let digests = ReceiptDigests { request_digest, presentation_digest: presented };
        let template = self.verification.catalogue.template(&request.template);
        if template.is_none() && !request.template.is_empty() {
            // It is no longer known if the presentation would be a use of a voucher.
            return Err(Error::Internal("the template of a stored request is no longer in the catalogue".to_owned()));
        }
        let binding = PresentationExpectations {
            query,
            nonce: request.nonce.clone(),
            audience,
            max_stale_seconds: template.map_or(0, |template| template.max_stale_status_seconds.into()),
            max_statement_age: members.max_statement_age().unwrap_or(freshness::DEFAULT_LIFETIME),
        };
        let result = self.verification.verify_presentation(vp_token, binding, now).await?;
        Ok(VerifiedAnswer { result, digests, sent_ids })
    }

    /// Records the result of an answer, notifies those who watch, and signs the receipt.
    async fn record_answer(
        &self,
        request: &StoredRequest,
        members: &RequestObjectMembers,
        answer: VerifiedAnswer,
        now: Timestamp,
    ) -> Result<SubmissionResponse, Error> {
        let VerifiedAnswer { result: VerificationResult { verdict, disclosed, record }, digests, sent_ids } = answer;
        let id = &request.id;
        let template = self.verification.catalogue.template(&request.template);
        let keep = template.map(|template| template.retained_claims.as_slice()).unwrap_or_default();
        let kept = disclosed.as_ref().map(|disclosed| disclosed.keep(keep, now, request.keep_until));
        let kept = kept.unwrap_or_default();
        let redeem = template.and_then(|template| Some((template.id.as_str(), template.redemption.as_ref()?)));
        let (verdict, counts) = match redeem.zip(disclosed.as_ref()) {
            Some(((template, redeem), disclosed)) => {
                let counted = RedeemingPresentation { template_id: template, redemption_claims: redeem, disclosed };
                self.record_use(id, verdict, &kept, counted, now).await?
            }
            None => {
                let counts = commit_verdict(&self.store, id, &verdict, &kept).await?;
                (verdict, counts)
            }
        };
        // The presentation can be valid although its use is refused.
        let (disclosed, kept) = if verdict.accepted() { (disclosed, kept) } else { (None, Vec::new()) };
        if !counts && verdict.accepted() {
            // Another presentation was accepted first, or the request has expired: the disclosed claims are dropped
            // here.
            let closed = self.store.read().await?.request(id).await?.and_then(|request| request.closed_reason(now));
            return Err(Error::RequestClosed(closed.unwrap_or(ClosedReason::Answered)));
        }
        tracing::info!(accepted = verdict.accepted(), reason = verdict.reason(), "a request was answered");
        let record = Self::with_sent_ids(record, &sent_ids);
        let receipt = self.sign_receipt((request, members), digests, &verdict, &record, &kept, now).await;
        self.watch_hub.notify(id, disclosed);
        Ok(SubmissionResponse { verdict, receipt })
    }

    /// Verifies a presentation without a stored request, against the caller's query, nonce and audience. Stores nothing
    /// about the presentation.
    ///
    /// # Errors
    /// An empty nonce or audience; an invalid or unsupported query; [`Error::ClockBehind`];
    /// [`Error::IssuerKeyUnknown`]; store errors.
    pub(crate) async fn verify_presentation(
        &self,
        vp_token: VpToken,
        dcql: Map<String, Value>,
        nonce: String,
        audience: String,
        now: Timestamp,
    ) -> Result<(Verdict, Option<DisclosedClaims>), Error> {
        require_nonce(&nonce)?;
        require_audience(&audience)?;
        let (_, query) = parse_custom_query(dcql, "dcql_query")?;
        let binding = PresentationExpectations {
            query,
            nonce,
            audience,
            max_stale_seconds: 0,
            max_statement_age: freshness::DEFAULT_LIFETIME,
        };
        self.verification.clock.require_not_behind(now)?;
        let result = self.verification.verify_presentation(vp_token, binding, now).await?;
        self.save_clock_floor().await?;
        Ok((result.verdict, result.disclosed))
    }

    /// Verifies a credential without a presentation. Stores nothing about the credential.
    ///
    /// # Errors
    /// An empty credential; [`Error::ClockBehind`]; [`Error::IssuerKeyUnknown`]; store errors.
    pub(crate) async fn verify_credential(
        &self,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<(Verdict, Option<DisclosedClaims>), Error> {
        if bytes.is_empty() {
            return Err(Error::invalid("CREDENTIAL_MISSING", "credential", "must be the credential"));
        }
        self.verification.clock.require_not_behind(now)?;
        let verified = self.verification.verify_credential(bytes, now).await?;
        self.save_clock_floor().await?;
        Ok(verified)
    }
}

/// Refuses a presentation that was handed over without its nonce.
pub(crate) fn require_nonce(nonce: &str) -> Result<(), Error> {
    let why = "must be the nonce that you sent: without one a presentation could be a replay";
    if nonce.is_empty() { Err(Error::invalid("CHALLENGE_MISSING", "nonce", why)) } else { Ok(()) }
}

/// Refuses a presentation that was handed over without its audience.
pub(crate) fn require_audience(audience: &str) -> Result<(), Error> {
    let why = "must be your full client id: without one a presentation could be meant for another";
    if audience.is_empty() { Err(Error::invalid("DOMAIN_MISSING", "audience", why)) } else { Ok(()) }
}
