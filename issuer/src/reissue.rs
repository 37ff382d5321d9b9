//! Checks shared by refills and renewals: state of the presented copy, and limits on the number of copies.

use carnet_core::{Code, Problem, day, time::Timestamp};

use crate::{
    error::Error,
    secrets::Sha256Hash,
    store::{
        StoreTx,
        issuances::SignedCopyRecord,
        status::{StatusIndex, StatusState},
    },
};

/// Stored intent to sign the copies of a refill or a renewal. The claims are not stored: they come from the presented
/// copy.
#[derive(Debug)]
pub(crate) struct ReissueIntent {
    /// Number of the stored request.
    pub(crate) issuance: i64,
    pub(crate) offer_id: String,
    /// Status indices of the new copies, in order.
    pub(crate) status_indices: Vec<StatusIndex>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

/// Returns the record of a presented copy, found by its digest, if the copy is valid.
///
/// # Errors
/// [`Error::CopyUnknown`] if this issuer has no record of it; [`Error::PresentationInvalid`] if it was revoked or
/// suspended; store errors.
pub(crate) async fn require_valid_copy<T: StoreTx>(tx: &mut T, copy: &Sha256Hash) -> Result<SignedCopyRecord, Error> {
    // A valid signature is not enough: with a leaked key, anybody could sign claims for their own key.
    let known = tx.copy_by_digest(copy).await?.ok_or(Error::CopyUnknown)?;
    require_valid(known.state)?;
    Ok(known)
}

/// Refuses a revoked or suspended credential.
///
/// # Errors
/// [`Error::PresentationInvalid`]
pub(crate) fn require_valid(state: StatusState) -> Result<(), Error> {
    let problem = match state {
        StatusState::Valid => return Ok(()),
        StatusState::Revoked => Problem::new(Code::Revoked, "the issuer revoked this credential; ask it why"),
        StatusState::Suspended => Problem::new(Code::Suspended, "the credential is suspended; ask the issuer why"),
    };
    Err(Error::PresentationInvalid(problem))
}

/// Refuses a refill or renewal of `copies` copies that would exceed the offer's limit of the last 24 hours. Copies
/// before the last reinstatement or message do not count, since their holder had to replace them.
///
/// # Errors
/// [`Error::RefillLimit`] with the number of seconds after which a retry may succeed; store errors.
pub(crate) async fn require_daily_refill_capacity<T: StoreTx>(
    tx: &mut T,
    offer_id: &str,
    copies: usize,
    per_day: u32,
    now: Timestamp,
) -> Result<(), Error> {
    // Copies issued before the wallet had to discard its copies do not count: their holder did not ask for that.
    let yesterday = now.plus(-day::SECONDS);
    let since = tx.last_replacement_time(offer_id).await?.map_or(yesterday, |mark| mark.max(yesterday));
    // Intended copies count, too: their indices are used up.
    let times = tx.refill_times(offer_id, since).await?;
    let most = usize::try_from(per_day).unwrap_or(usize::MAX);
    let excess = times.len().saturating_add(copies).saturating_sub(most);
    let Some(last) = excess.checked_sub(1) else { return Ok(()) };
    // Copies are available again when the excess ones are a day old.
    let at = times.get(last).or(times.last()).copied().unwrap_or(now);
    let seconds = u32::try_from(at.unix().saturating_sub(yesterday.unix())).unwrap_or(u32::MAX);
    Err(Error::RefillLimit { per_day, seconds })
}

/// Refuses a refill or renewal of `copies` copies that would exceed the offer's limit of all copies by refill. Only
/// those since the last renewal (`generation`: number of renewals) and since the last reinstatement or message count.
///
/// # Errors
/// The limit is reached; store errors.
pub(crate) async fn require_total_refill_capacity<T: StoreTx>(
    tx: &mut T,
    offer_id: &str,
    generation: i64,
    copies: usize,
    most: u32,
) -> Result<(), Error> {
    let since = tx.last_replacement_time(offer_id).await?;
    let had = tx.refill_count(offer_id, generation, since).await?;
    let all = had.saturating_add(i64::try_from(copies).unwrap_or(i64::MAX));
    if all > i64::from(most) { Err(Error::RefillTotalReached { most }) } else { Ok(()) }
}
