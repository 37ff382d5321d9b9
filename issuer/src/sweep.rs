//! Sweep: erasure of expired data, in short transactions.
//!
//! Other writers can run in between. Without expired data, only indexes are read.

use carnet_core::{
    day,
    time::{CLOCK_SKEW, Timestamp},
};

use crate::{
    error::Error,
    issuer::Issuer,
    store::{
        Store, StoreTx,
        expiry::{ExpiringRows, OfferEnds},
        offers::OfferState,
    },
};

/// Maximum number of rows of one kind that one transaction erases.
const MAX_ROWS_PER_STEP: i64 = 100;

/// Kind of expired data, erased in transactions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpiringData {
    /// Offers that were not redeemed or collected in time, with their claims.
    Offers,
    Rows(ExpiringRows),
    /// Records of offers past their retention period.
    Records,
}

impl ExpiringData {
    const ALL: [Self; 7] = [
        Self::Offers,
        Self::Rows(ExpiringRows::Nonces),
        Self::Rows(ExpiringRows::Responses),
        Self::Rows(ExpiringRows::Renewals),
        Self::Rows(ExpiringRows::Copies),
        Self::Rows(ExpiringRows::Cohorts),
        Self::Records,
    ];

    /// Returns the name of the transaction, for logs.
    const fn name(self) -> &'static str {
        match self {
            Self::Offers => "close_ended_offers",
            Self::Rows(ExpiringRows::Nonces) => "erase_used_nonces",
            Self::Rows(ExpiringRows::Responses) => "erase_sealed_answers",
            Self::Rows(ExpiringRows::Renewals) => "lapse_renewals",
            Self::Rows(ExpiringRows::Copies) => "forget_ended_copies",
            Self::Rows(ExpiringRows::Cohorts) => "forget_ended_cohorts",
            Self::Records => "forget_ended_records",
        }
    }

    /// Erases the next rows of this kind in one transaction, and returns their number. Fewer than 100: nothing is left.
    async fn erase_step<T: StoreTx>(self, tx: &mut T, now: Timestamp, record_days: u32) -> Result<u64, Error> {
        match self {
            Self::Offers => close_expired(tx, now).await,
            Self::Records => {
                let kept = i64::from(record_days).saturating_mul(day::SECONDS);
                delete_due_records(tx, now, now.plus(kept.saturating_neg())).await
            }
            // A copy is known for as long as another clock may still consider it valid.
            Self::Rows(rows @ (ExpiringRows::Copies | ExpiringRows::Cohorts)) => {
                Ok(tx.erase(rows, now.plus(-CLOCK_SKEW), MAX_ROWS_PER_STEP).await?)
            }
            Self::Rows(rows) => Ok(tx.erase(rows, now, MAX_ROWS_PER_STEP).await?),
        }
    }
}

/// Closes the next expired offers, and returns their number.
async fn close_expired<T: StoreTx>(tx: &mut T, now: Timestamp) -> Result<u64, Error> {
    let expired = tx.expired_offers(now, MAX_ROWS_PER_STEP).await?;
    for offer_id in &expired {
        tx.close_offer(offer_id, OfferState::Expired).await?;
    }
    Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
}

/// Returns the latest end of an offer, its copies and its renewals; at least `now` if the offer is open or redeemed, or a
/// renewal is pending or approved: a drawn index may belong to an issued copy.
fn latest_end(ends: &OfferEnds, now: Timestamp) -> Timestamp {
    let of_offer = match ends.state {
        OfferState::Collected => ends.valid_until,
        OfferState::Open | OfferState::Redeemed => now,
        OfferState::Cancelled | OfferState::Expired | OfferState::Locked => ends.collect_until,
    };
    let of_renewals = ends.renewing.then_some(now);
    ends.copies_until.into_iter().chain(of_renewals).fold(of_offer, Timestamp::max)
}

/// Deletes the next records of offers that ended by `before`, and returns the number of records that it examined. A
/// record whose copies or renewals end later is examined again at the end of their retention period.
async fn delete_due_records<T: StoreTx>(tx: &mut T, now: Timestamp, before: Timestamp) -> Result<u64, Error> {
    let ended = tx.expired_records(before, MAX_ROWS_PER_STEP).await?;
    for offer_id in &ended {
        let last = latest_end(&tx.offer_ends(offer_id).await?, now);
        if last > before {
            // Its copies end later than was known, or it is not closed: it is checked again the same number of days
            // later.
            tx.set_retention_start(offer_id, last).await?;
        } else {
            tx.erase_record(offer_id).await?;
        }
    }
    Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
}

/// Erases all expired data: claims of expired offers, used nonces, encrypted responses, the claims and keys of pending
/// and approved renewals whose deadline is over, digests and keys of expired copies, counters of expired cohorts, and
/// records of offers whose last copy ended more than `record_days` days ago (of offers without copies: the offer
/// itself). Returns the number of offers that it closed as expired.
///
/// # Errors
/// Store errors.
pub(crate) async fn erase_expired<S: Store>(store: &S, now: Timestamp, record_days: u32) -> Result<u64, Error> {
    let mut closed = 0_u64;
    for part in ExpiringData::ALL {
        loop {
            // Each step queues again, behind writers that came in the meantime.
            let mut tx = store.begin(part.name()).await?;
            let rows = part.erase_step(&mut tx, now, record_days).await?;
            tx.commit().await?;
            if part == ExpiringData::Offers {
                closed = closed.saturating_add(rows);
            }
            if rows < MAX_ROWS_PER_STEP.unsigned_abs() {
                break;
            }
        }
    }
    store.purge_erased_data().await;
    Ok(closed)
}

impl<S: Store> Issuer<S> {
    /// Erases the expired data of this issuer's store, with the configured retention period, and returns the number of
    /// closed offers.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn erase_expired(&self, now: Timestamp) -> Result<u64, Error> {
        erase_expired(&self.store, now, self.settings.record_days).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_with_the_last_of_what_it_is_about() {
        let (at, now) = (Timestamp::from_unix, Timestamp::from_unix(5_000));
        let ends = OfferEnds {
            state: OfferState::Cancelled,
            valid_until: at(9_000),
            collect_until: at(100),
            copies_until: None,
            renewing: false,
        };
        for (ends, last) in [
            (ends, at(100)),
            (OfferEnds { state: OfferState::Collected, ..ends }, at(9_000)),
            (OfferEnds { state: OfferState::Open, ..ends }, now),
            (OfferEnds { state: OfferState::Redeemed, ..ends }, now),
            (OfferEnds { copies_until: Some(at(200)), ..ends }, at(200)),
            (OfferEnds { copies_until: Some(at(50)), ..ends }, at(100)),
            (OfferEnds { renewing: true, ..ends }, now),
            (OfferEnds { renewing: true, copies_until: Some(at(6_000)), ..ends }, at(6_000)),
        ] {
            assert_eq!(latest_end(&ends, now), last, "{ends:?}");
        }
    }
}
