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

/// Clock floor, in memory and in the store.
#[derive(Debug, Default)]
pub(crate) struct ClockFloor {
    highest: AtomicI64,
    /// Value in the store.
    stored: AtomicI64,
}

impl ClockFloor {
    /// Sets the floor to the stored value.
    pub(crate) fn load(&self, stored: Timestamp) {
        self.stored.fetch_max(stored.unix(), Ordering::Relaxed);
        self.raise(stored);
    }

    /// Raises the floor if `at` is later; never lowers it.
    pub(crate) fn raise(&self, at: Timestamp) {
        self.highest.fetch_max(at.unix(), Ordering::Relaxed);
    }

    /// Refuses a current time that is before the floor by more than the clock skew.
    ///
    /// # Errors
    /// [`Error::ClockBehind`]
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let floor = Timestamp::from_unix(self.highest.load(Ordering::Relaxed));
        if now.plus(CLOCK_SKEW) < floor { Err(Error::ClockBehind { now, floor }) } else { Ok(()) }
    }

    /// Returns the floor if it is later than the stored one.
    pub(crate) fn unsaved_floor(&self) -> Option<Timestamp> {
        let highest = self.highest.load(Ordering::Relaxed);
        (highest > self.stored.load(Ordering::Relaxed)).then(|| Timestamp::from_unix(highest))
    }

    /// Records that this floor was stored.
    pub(crate) fn mark_saved(&self, floor: Timestamp) {
        self.stored.fetch_max(floor.unix(), Ordering::Relaxed);
    }
}

/// Returns the stored floor; the minimum if there is none.
pub(crate) async fn stored_floor<S: Store>(store: &S) -> Result<Timestamp, StoreError> {
    store.read().await?.clock_floor().await
}

/// Raises the stored floor; never lowers it.
pub(crate) async fn raise_stored_floor<S: Store>(store: &S, at: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.begin("raise_clock_floor").await?;
    if transaction.clock_floor().await? < at {
        transaction.set_clock_floor(at, false).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Lowers the stored floor, at the operator's request; returns `false` if it is not later than `to`.
pub(crate) async fn lower_stored_floor<S: Store>(store: &S, to: Timestamp) -> Result<bool, StoreError> {
    let mut transaction = store.begin("lower_clock_floor").await?;
    let is_higher = transaction.clock_floor().await? > to;
    if is_higher {
        transaction.set_clock_floor(to, true).await?;
        transaction.commit().await?;
    }
    Ok(is_higher)
}
