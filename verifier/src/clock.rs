//! Clock floor: the latest time in a verified signature of an accepted issuer, a lower bound for the current time.
//!
//! An offline verifier has no time server. If its clock is reset to an earlier time, expired credentials would be valid
//! again; so the floor is stored, and the verifier refuses to verify while its clock is behind it (spec/freshness.md
//! 2.9).

use std::sync::atomic::{AtomicI64, Ordering};

use carnet_core::time::{CLOCK_SKEW, Timestamp};

use crate::{
    error::Error,
    store::{ReadRequests as _, Store, StoreError, WriteRequests as _, WriteRows as _},
};

/// Clock floor (see the module), in memory and in the store.
#[derive(Debug, Default)]
pub(crate) struct ClockFloor {
    /// Floor in memory, in Unix seconds.
    floor: AtomicI64,
    /// Floor in the store, in Unix seconds.
    stored: AtomicI64,
}

impl ClockFloor {
    /// Records the stored floor at the start, and raises the floor in memory to it.
    pub(crate) fn restore(&self, stored: Timestamp) {
        self.stored.fetch_max(stored.unix(), Ordering::Relaxed);
        self.raise(stored);
    }

    /// Raises the floor if `at` is later; never lowers it.
    pub(crate) fn raise(&self, at: Timestamp) {
        self.floor.fetch_max(at.unix(), Ordering::Relaxed);
    }

    /// Refuses a current time that is more than the clock skew before the floor.
    ///
    /// # Errors
    /// [`Error::ClockBehind`]
    pub(crate) fn require_not_behind(&self, now: Timestamp) -> Result<(), Error> {
        let floor = Timestamp::from_unix(self.floor.load(Ordering::Relaxed));
        if now.plus(CLOCK_SKEW) < floor { Err(Error::ClockBehind { now, floor }) } else { Ok(()) }
    }

    /// Returns the floor if it is later than the stored one; otherwise `None`.
    pub(crate) fn unsaved_floor(&self) -> Option<Timestamp> {
        let highest = self.floor.load(Ordering::Relaxed);
        (highest > self.stored.load(Ordering::Relaxed)).then(|| Timestamp::from_unix(highest))
    }

    /// Records that this floor was stored.
    pub(crate) fn mark_saved(&self, floor: Timestamp) {
        self.stored.fetch_max(floor.unix(), Ordering::Relaxed);
    }
}

/// Returns the stored floor; the Unix epoch if there is none.
pub(crate) async fn stored_floor<S: Store>(store: &S) -> Result<Timestamp, StoreError> {
    store.read().await?.clock_floor().await
}

/// Raises the stored floor to `at`; never lowers it.
pub(crate) async fn raise_stored_floor<S: Store>(store: &S, at: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.begin("raise_clock_floor").await?;
    if transaction.clock_floor().await? < at {
        transaction.set_clock_floor(at, false).await?;
    }
    transaction.commit().await
}

/// Lowers the stored floor to `to`, at the operator's request. Returns `false`, and changes nothing, if it is not later
/// than `to`.
pub(crate) async fn lower_stored_floor<S: Store>(store: &S, to: Timestamp) -> Result<bool, StoreError> {
    let mut transaction = store.begin("lower_clock_floor").await?;
    let is_higher = transaction.clock_floor().await? > to;
    if is_higher {
        transaction.set_clock_floor(to, true).await?;
    }
    transaction.commit().await?;
    Ok(is_higher)
}
