//! Erasure: of what has reached its end, and of an answer at its holder's request.

use carnet_core::time::Timestamp;

use crate::{
    ids::RequestId,
    store::{ExpiringRows, ReadRequests as _, Store, StoreError, WriteRequests as _, WriteRows as _},
    verdicts::Verdict,
};

/// Maximum number of rows of one kind that a sweep erases in one transaction.
const STEP: u32 = 100;

/// Erases query, nonce and object of expired requests and stored claims that are due, and deletes requests past their
/// retention period. Returns the ids of expired requests.
pub(crate) async fn sweep<S: Store>(store: &S, now: Timestamp) -> Result<Vec<RequestId>, StoreError> {
    let mut expired = Vec::new();
    loop {
        // Each step queues again, behind writers that came in the meantime.
        let mut transaction = store.begin("expire_requests").await?;
        let mut ids = transaction.expire_requests(now, STEP).await?;
        transaction.commit().await?;
        let is_last = ids.len() < STEP as usize;
        expired.append(&mut ids);
        if is_last {
            break;
        }
    }
    for (name, rows) in [
        ("erase_kept_claims", ExpiringRows::Claims),
        ("erase_redemptions", ExpiringRows::Marks),
        ("forget_requests", ExpiringRows::Requests),
    ] {
        loop {
            let mut transaction = store.begin(name).await?;
            let erased = transaction.delete_expired(rows, now, STEP).await?;
            transaction.commit().await?;
            if erased < u64::from(STEP) {
                break;
            }
        }
    }
    Ok(expired)
}

/// Erases all data of a request but its id, and records the time, if the verdict was made at the given time with the
/// given result. A receipt is good for its own verdict only: a stranger's refused answer must not erase an accepted one
/// that followed. Returns the time of the first erasure; `None` if there is no such request, or it has another verdict.
pub(crate) async fn erase_answer<S: Store>(
    store: &S,
    id: &RequestId,
    verdict: (bool, Timestamp),
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut transaction = store.begin("erase_request").await?;
    let Some(request) = transaction.request(id).await? else { return Ok(None) };
    let same = |stored: &Verdict| (stored.accepted(), stored.verified_at()) == verdict;
    if request.erased_at.is_some() || !request.verdict.as_ref().is_some_and(same) {
        return Ok(request.erased_at);
    }
    transaction.erase_request(request.number, now).await?;
    transaction.commit().await?;
    Ok(Some(now))
}
