//! Admission of presentations, and recording of their results, each within one transaction.

use carnet_core::time::Timestamp;

use crate::{
    disclosed::KeptClaim,
    error::Error,
    ids::RequestId,
    request::{MAX_ATTEMPTS, RequestState, StoredRequest},
    store::{ReadRequests as _, Store, StoreError, WriteRequests as _, WriteRows},
    verdicts::Verdict,
};

/// Counts an attempt to answer a request, before the presentation is verified, and returns the request.
///
/// # Errors
/// The request is unknown or closed; store errors.
pub(crate) async fn admit_attempt<S: Store>(store: &S, id: &RequestId, now: Timestamp) -> Result<StoredRequest, Error> {
    let mut transaction = store.begin("begin_answer").await?;
    let mut request = transaction.request(id).await?.ok_or(Error::RequestUnknown)?;
    if let Some(closed) = request.closed_reason(now) {
        return Err(Error::RequestClosed(closed));
    }
    transaction.count_attempt(request.number).await?;
    transaction.commit().await?;
    request.attempts = request.attempts.saturating_add(1);
    Ok(request)
}

/// Records a result, with the claims to be retained. Returns `false`, and changes nothing, if the request was accepted,
/// erased, deleted or marked as expired in the meantime. Of two concurrent accepting results, only one is recorded.
pub(crate) async fn record_verdict(
    transaction: &mut impl WriteRows,
    id: &RequestId,
    verdict: &Verdict,
    kept: &[KeptClaim],
) -> Result<bool, StoreError> {
    let request = transaction.request(id).await?.filter(StoredRequest::can_record_verdict);
    let Some(StoredRequest { number, attempts, .. }) = request else { return Ok(false) };
    let state = if verdict.accepted() { RequestState::Accepted } else { RequestState::Refused };
    transaction.set_verdict(number, state, verdict).await?;
    // An accepted presentation or the last permitted attempt closes the request, whose content is no longer needed.
    if verdict.accepted() || attempts >= MAX_ATTEMPTS {
        transaction.erase_content(number).await?;
    }
    for claim in kept {
        transaction.insert_kept_claim(number, claim).await?;
    }
    Ok(true)
}

/// Records a result as [`record_verdict`], in a transaction of its own.
pub(crate) async fn commit_verdict<S: Store>(
    store: &S,
    id: &RequestId,
    verdict: &Verdict,
    kept: &[KeptClaim],
) -> Result<bool, StoreError> {
    let mut transaction = store.begin("conclude_answer").await?;
    let counts = record_verdict(&mut transaction, id, verdict, kept).await?;
    transaction.commit().await?;
    Ok(counts)
}
