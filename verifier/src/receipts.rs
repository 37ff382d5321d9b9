//! Receipts for holders, and erasure at their request (spec/receipts.md).

use carnet_core::{
    Code, Problem,
    did::DidUrl,
    json::{self, Limits},
    receipt::{
        DisclosedCredential, ErasureConfirmation, ErasureRequest, Receipt, ReceiptContent, RedeemedUse, RetainedClaim,
    },
    time::{CLOCK_SKEW, Timestamp},
};
use serde_json::Value;

use crate::{
    disclosed::KeptClaim,
    error::Error,
    identity::OwnIdentity,
    ids::RequestId,
    request::StoredRequest,
    request_object::RequestObjectMembers,
    retention::erase_presentation_data,
    store::{ReadRequests as _, Store},
    verdicts::{CredentialSummary, DisclosureRecord, Verdict},
    verifier::Verifier,
};

/// Maximum age of an erasure request, in seconds.
const MAX_ERASURE_REQUEST_AGE: i64 = 300;

/// Digests of the request object and the presentation, for a receipt.
pub(crate) struct ReceiptDigests {
    /// Digest of the answered request object.
    pub(crate) request_digest: String,
    /// Digest of the presentation as received; `None` if it could not be computed.
    pub(crate) presentation_digest: Option<String>,
}

impl<S: Store> Verifier<S> {
    /// Signs a receipt for the holder, with the disclosed paths, the result, and the times of erasure, and returns it
    /// as JSON text. `None` if it cannot be signed; the result stays recorded.
    pub(crate) async fn sign_receipt(
        &self,
        (request, members): (&StoredRequest, &RequestObjectMembers),
        digests: ReceiptDigests,
        verdict: &Verdict,
        record: &DisclosureRecord,
        kept: &[KeptClaim],
        now: Timestamp,
    ) -> Option<String> {
        let template = self.verification.catalogue.template(&request.template);
        let redeem = template.and_then(|template| template.redemption.as_ref());
        let redeemed = redeem.zip(verdict.redeemed_use()).map(|(redeem, used)| {
            let (number, of) = used.number_and_total().unzip();
            RedeemedUse { query_id: redeem.query_id.clone(), number, total: of }
        });
        let ReceiptDigests { request_digest, presentation_digest } = digests;
        let content = receipt_content((request, members), verdict, record, kept, now);
        let content = ReceiptContent { redeemed, request_digest, presentation_digest, ..content };
        let signed = self.identity.run_signing(move |identity| {
            Receipt::issue(content, &DidUrl::parse(&identity.kid)?, &identity.keyring, now)
        });
        match signed.await.unwrap_or_else(|error| Err(Problem::new(Code::ProofGeneration, error.to_string()))) {
            Ok(receipt) => Some(Value::Object(receipt.document().clone()).to_string()),
            Err(problem) => {
                tracing::warn!(code = %problem.code, detail = problem.detail, "no receipt could be signed");
                None
            }
        }
    }

    /// Erases the stored data of a presentation, after verifying its receipt and a proof signed with a key that
    /// presented it. Returns a signed confirmation as JSON text, also if the data was already erased.
    ///
    /// # Errors
    /// An invalid receipt or proof, or one of another verifier; the confirmation cannot be signed; store errors.
    pub(crate) async fn erase_presentation(&self, receipt: &str, proof: &str, now: Timestamp) -> Result<String, Error> {
        let own = self.identity.own_resolver()?;
        let document = json::parse_object(receipt.as_bytes(), Limits::DOCUMENT)?;
        let receipt = Receipt::verify_own(&document, self.identity.did.as_str(), now, CLOCK_SKEW, &own)?;
        ErasureRequest::verify(proof, &receipt, now, MAX_ERASURE_REQUEST_AGE, CLOCK_SKEW)?;
        let id = RequestId::parse(&receipt.content().request_id).ok_or(Error::RequestUnknown)?;
        let content = receipt.content();
        // The verdict of the receipt may be erased already, because of a later one, or by its retention period.
        let erased_at =
            match erase_presentation_data(&self.store, &id, (content.accepted, content.verified_at), now).await? {
                Some(erased_at) => erased_at,
                None if self.store.read().await?.request(&id).await?.is_some() => now,
                None => now.min(content.erase_at),
            };
        self.store.purge_log().await;
        tracing::info!("a presentation was erased at its holder's request");
        self.watch_hub.notify(&id, None);
        let confirm = move |identity: &OwnIdentity| {
            let kid = DidUrl::parse(&identity.kid)?;
            ErasureConfirmation::issue(&receipt, erased_at, &kid, &identity.keyring, now)
        };
        let confirmation = self.identity.run_signing(confirm).await??;
        Ok(Value::Object(confirmation.document().clone()).to_string())
    }
}

fn receipt_content(
    (request, members): (&StoredRequest, &RequestObjectMembers),
    verdict: &Verdict,
    record: &DisclosureRecord,
    kept: &[KeptClaim],
    now: Timestamp,
) -> ReceiptContent {
    ReceiptContent {
        request_id: request.id.as_str().to_owned(),
        request_digest: String::new(),
        presentation_digest: None,
        intended_use: members.intended_use().to_owned(),
        purpose: members.purpose(),
        accepted: verdict.accepted(),
        reason: (!verdict.accepted()).then(|| verdict.reason().to_owned()),
        disclosed: record.credentials.iter().map(disclosed_credential).collect(),
        holder_keys: record.holder_keys.clone(),
        redeemed: None,
        verified_at: now,
        erase_at: request.keep_until.max(now),
        retained: kept
            .iter()
            .map(|claim| RetainedClaim { path: claim.path().to_owned(), erase_at: claim.erase_at() })
            .collect(),
    }
}

fn disclosed_credential(summary: &CredentialSummary) -> DisclosedCredential {
    DisclosedCredential {
        query_id: summary.query_id.clone(),
        credential_type: summary.credential_type.clone(),
        issuer: Some(summary.issuer.clone()),
        paths: summary.disclosed_paths.clone(),
        thresholds: summary.thresholds.clone(),
    }
}
