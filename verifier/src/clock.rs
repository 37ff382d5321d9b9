//! The floor of the clock: the latest time that an accepted issuer signed as now and this verifier has verified.
//!
//! A desk without a network has nobody to ask what time it is. Where its battery fails and its clock goes back, what has ended
//! would hold again; so the floor is kept in the store, and a clock that stands behind it refuses (spec/freshness.md 2.9).

use std::sync::atomic::{AtomicI64, Ordering};

use carnet_core::time::{CLOCK_SKEW, Timestamp};

use crate::{error::Error, store::Store, verifier::Verifier};

/// The floor, in memory and in the store.
#[derive(Debug, Default)]
pub(crate) struct ClockFloor {
    highest: AtomicI64,
    /// What the store has.
    stored: AtomicI64,
}

impl ClockFloor {
    /// Takes over what the store has.
    pub(crate) fn load(&self, stored: Timestamp) {
        self.stored.fetch_max(stored.unix(), Ordering::Relaxed);
        self.raise(stored);
    }

    /// Raises the floor; it never falls.
    pub(crate) fn raise(&self, at: Timestamp) {
        self.highest.fetch_max(at.unix(), Ordering::Relaxed);
    }

    /// Refuses a clock that stands further behind the floor than clocks may differ.
    ///
    /// # Errors
    /// [`Error::ClockBehind`]
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let floor = Timestamp::from_unix(self.highest.load(Ordering::Relaxed));
        if now.plus(CLOCK_SKEW) < floor { Err(Error::ClockBehind { now, floor }) } else { Ok(()) }
    }

    /// The floor, if the store has a lower one.
    fn unsaved(&self) -> Option<Timestamp> {
        let highest = self.highest.load(Ordering::Relaxed);
        (highest > self.stored.load(Ordering::Relaxed)).then(|| Timestamp::from_unix(highest))
    }
}

impl<S: Store> Verifier<S> {
    /// Stores the floor of the clock where it rose: a few times a day, since issuers round their times.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn keep_clock_floor(&self) -> Result<(), Error> {
        let clock = &self.verification.clock;
        if let Some(floor) = clock.unsaved() {
            self.store.raise_clock_floor(floor).await?;
            clock.stored.fetch_max(floor.unix(), Ordering::Relaxed);
        }
        Ok(())
    }
}
