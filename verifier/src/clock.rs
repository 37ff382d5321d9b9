//! Floor of the clock: the latest signing time of an accepted issuer that this verifier has verified.
//!
//! A desk without a network cannot ask for the time. If its battery fails and its clock falls back, expired credentials
//! would be valid again; so the floor is kept in the store, and the verifier refuses to verify while its clock is
//! behind it (spec/freshness.md 2.9).

use std::sync::atomic::{AtomicI64, Ordering};

use carnet_core::time::{CLOCK_SKEW, Timestamp};

use crate::error::Error;

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
