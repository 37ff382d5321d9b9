//! Admission of presentations, and recording of their results in one transaction.
//!
//! An attempt to answer a request is counted in the transaction that records its result. Until then it is counted in
//! memory, so that the attempts that are verified at the same time are within the limit too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use carnet_core::time::Timestamp;

use crate::{
    disclosed::KeptClaim,
    error::Error,
    ids::RequestId,
    request::{ClosedReason, MAX_ATTEMPTS, RequestState, StoredRequest},
    store::{ReadRequests as _, Store, StoreError, VerdictRow, WriteRequests as _, WriteRows},
    verdicts::Verdict,
};

/// Attempts that are being verified, by request. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct RunningAttempts(Arc<Mutex<HashMap<RequestId, i64>>>);

impl RunningAttempts {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt beside `recorded` ones; `None` if these and the running ones reach the maximum.
    fn begin(&self, id: &RequestId, recorded: i64) -> Option<RunningAttempt> {
        let mut running = self.lock();
        let others = running.get(id).copied().unwrap_or_default();
        if recorded.saturating_add(others) >= MAX_ATTEMPTS {
            return None;
        }
        running.insert(id.clone(), others.saturating_add(1));
        drop(running);
        Some(RunningAttempt { all: self.clone(), id: id.clone() })
    }
}

/// Attempt that is being verified; it ends when this is dropped.
pub(crate) struct RunningAttempt {
    all: RunningAttempts,
    id: RequestId,
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        let mut running = self.all.lock();
        if let Some(count) = running.get_mut(&self.id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.id);
            }
        }
    }
}

/// Admits an attempt to answer a request, before the presentation is verified, and returns the request.
///
/// # Errors
/// The request is unknown or closed, or too many attempts are being verified; store errors.
pub(crate) async fn admit_attempt<S: Store>(
    store: &S,
    running: &RunningAttempts,
    id: &RequestId,
    now: Timestamp,
) -> Result<(StoredRequest, RunningAttempt), Error> {
    let request = store.read().await?.request(id).await?.ok_or(Error::RequestUnknown)?;
    if let Some(closed) = request.closed_reason(now) {
        return Err(Error::RequestClosed(closed));
    }
    let attempt = running.begin(id, request.attempts).ok_or(Error::RequestClosed(ClosedReason::Exhausted))?;
    Ok((request, attempt))
}

/// Counts an attempt that has no result, since its verification failed with an error.
pub(crate) async fn count_attempt<S: Store>(store: &S, id: &RequestId) -> Result<(), StoreError> {
    let mut transaction = store.begin("count_attempt").await?;
    if let Some(request) = transaction.request(id).await?.filter(StoredRequest::can_record_verdict) {
        transaction.count_attempt(request.number).await?;
    }
    transaction.commit().await
}

/// Records a result and counts its attempt, with the claims to be retained. Returns `false`, and changes nothing, if the
/// request was accepted, erased, deleted or marked as expired in the meantime, or its attempts are used up. Of two
/// concurrent accepting results, only one is recorded.
pub(crate) async fn record_verdict(
    transaction: &mut impl WriteRows,
    id: &RequestId,
    verdict: &Verdict,
    kept: &[KeptClaim],
) -> Result<bool, StoreError> {
    let is_open = |request: &StoredRequest| request.can_record_verdict() && request.attempts < MAX_ATTEMPTS;
    let request = transaction.request(id).await?.filter(is_open);
    let Some(StoredRequest { number, attempts, .. }) = request else { return Ok(false) };
    let attempts = attempts.saturating_add(1);
    let row = VerdictRow {
        state: if verdict.accepted() { RequestState::Accepted } else { RequestState::Refused },
        verdict,
        attempts,
        // An accepted presentation or the last permitted attempt closes the request, whose content is no longer needed.
        erases_content: verdict.accepted() || attempts >= MAX_ATTEMPTS,
    };
    transaction.set_verdict(number, &row).await?;
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
