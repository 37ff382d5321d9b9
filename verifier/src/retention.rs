//! Erasure of expired data, and of a presentation's data at the holder's request.

use carnet_core::time::Timestamp;

use crate::{
    ids::RequestId,
    store::{ErasableRows, ReadRequests as _, Store, StoreError, WriteRequests as _, WriteRows as _},
    verdicts::Verdict,
};

/// Maximum number of rows that one transaction of a sweep erases.
const BATCH_SIZE: u32 = 100;

/// Erases query, nonce and request object of expired requests, and retained claims and use marks that are due for
/// erasure; deletes requests past their retention period. Returns the ids of the expired requests.
pub(crate) async fn erase_expired<S: Store>(store: &S, now: Timestamp) -> Result<Vec<RequestId>, StoreError> {
    let mut expired = Vec::new();
    loop {
        // Each batch queues again, behind writers that are waiting.
        let mut transaction = store.begin("expire_requests").await?;
        let mut ids = transaction.expire_requests(now, BATCH_SIZE).await?;
        transaction.commit().await?;
        let is_last = ids.len() < BATCH_SIZE as usize;
        expired.append(&mut ids);
        if is_last {
            break;
        }
    }
    for (name, rows) in [
        ("erase_kept_claims", ErasableRows::Claims),
        ("erase_redemptions", ErasableRows::Marks),
        ("forget_requests", ErasableRows::Requests),
    ] {
        loop {
            let mut transaction = store.begin(name).await?;
            let erased = transaction.delete_expired(rows, now, BATCH_SIZE).await?;
            transaction.commit().await?;
            if erased < u64::from(BATCH_SIZE) {
                break;
            }
        }
    }
    Ok(expired)
}

/// Erases all data of a request except its id and its times, and records the time of the erasure, if its result has the
/// given `(accepted, verified_at)`. A receipt applies only to its own result, so that a third party's refused
/// presentation cannot erase a later accepted one. Returns the time of the first erasure; `None` if there is no such
/// request, or its result differs.
pub(crate) async fn erase_presentation_data<S: Store>(
    store: &S,
    id: &RequestId,
    verdict: (bool, Timestamp),
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut transaction = store.begin("erase_request").await?;
    let Some(request) = transaction.request(id).await? else {
        transaction.commit().await?;
        return Ok(None);
    };
    let same = |stored: &Verdict| (stored.accepted(), stored.verified_at()) == verdict;
    if request.erased_at.is_some() || !request.verdict.as_ref().is_some_and(same) {
        transaction.commit().await?;
        return Ok(request.erased_at);
    }
    transaction.erase_request(request.number, now).await?;
    transaction.commit().await?;
    Ok(Some(now))
}
