//! Clock of a command.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use carnet_core::time::Timestamp;
use carnet_wallet::ports::Clock;

/// Source of the current time: the system clock, or a function in tests.
#[derive(Clone)]
pub(crate) struct CommandClock(Rc<dyn Fn() -> Timestamp>);

impl CommandClock {
    /// Returns the system clock, which advances while the machine sleeps.
    pub(crate) fn system() -> Self {
        Self(Rc::new(system_time))
    }

    /// Returns a clock that a test sets.
    #[cfg(test)]
    pub(crate) fn from_fn(read: impl Fn() -> Timestamp + 'static) -> Self {
        Self(Rc::new(read))
    }
}

impl Clock for CommandClock {
    fn now(&self) -> Timestamp {
        (self.0)()
    }

    async fn with_timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit, work).await.ok()
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
