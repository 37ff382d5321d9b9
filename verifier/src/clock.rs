//! Floor of the clock: the latest signing time of an accepted issuer that this verifier has verified.
//!
//! A desk without a network cannot ask for the time. If its battery fails and its clock falls back, expired credentials
//! would be valid again; so the floor is kept in the store, and the verifier refuses to verify while its clock is
//! behind it (spec/freshness.md 2.9).

use std::sync::atomic::{AtomicI64, Ordering};

use carnet_core::time::{CLOCK_SKEW, Timestamp};

use crate::{
    error::Error,
    store::{ReadRequests as _, Store, StoreError, WriteRequests as _, WriteRows as _},
};

/// Floor, in memory and in the store.
#[derive(Debug, Default)]
pub(crate) struct ClockFloor {
    highest: AtomicI64,
    /// Value in the store.
    stored: AtomicI64,
}

impl ClockFloor {
    /// Loads the value from the store.
    pub(crate) fn load(&self, stored: Timestamp) {
        self.stored.fetch_max(stored.unix(), Ordering::Relaxed);
        self.raise(stored);
    }

    /// Raises the floor; it never falls.
    pub(crate) fn raise(&self, at: Timestamp) {
        self.highest.fetch_max(at.unix(), Ordering::Relaxed);
    }

    /// Refuses a clock that is behind the floor by more than the accepted skew.
    ///
    /// # Errors
    /// [`Error::ClockBehind`]
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let floor = Timestamp::from_unix(self.highest.load(Ordering::Relaxed));
        if now.plus(CLOCK_SKEW) < floor { Err(Error::ClockBehind { now, floor }) } else { Ok(()) }
    }

    /// Returns the floor if the store has a lower one.
    pub(crate) fn unsaved(&self) -> Option<Timestamp> {
        let highest = self.highest.load(Ordering::Relaxed);
        (highest > self.stored.load(Ordering::Relaxed)).then(|| Timestamp::from_unix(highest))
    }

    /// Records that the store has this floor.
    pub(crate) fn saved(&self, floor: Timestamp) {
        self.stored.fetch_max(floor.unix(), Ordering::Relaxed);
    }
}

/// Returns the floor in the store; the minimum if none is known.
pub(crate) async fn stored_floor<S: Store>(store: &S) -> Result<Timestamp, StoreError> {
    store.read().await?.clock_floor().await
}

/// Raises the floor in the store; never lowers it.
pub(crate) async fn raise_stored_floor<S: Store>(store: &S, at: Timestamp) -> Result<(), StoreError> {
    let mut transaction = store.begin("raise_clock_floor").await?;
    if transaction.clock_floor().await? < at {
        transaction.set_clock_floor(at, false).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Lowers the floor in the store, by decision of the operator; returns false if it is not higher.
pub(crate) async fn lower_stored_floor<S: Store>(store: &S, to: Timestamp) -> Result<bool, StoreError> {
    let mut transaction = store.begin("lower_clock_floor").await?;
    let is_higher = transaction.clock_floor().await? > to;
    if is_higher {
        transaction.set_clock_floor(to, true).await?;
        transaction.commit().await?;
    }
    Ok(is_higher)
}
