//! Port for progress notices about slow work.

use std::any::Any;

/// Observer of one kind of slow work.
pub trait WorkObserver: Send + Sync {
    /// Starts the notice; it ends when the returned value is dropped.
    fn begin(&self) -> Box<dyn Any>;
}

/// Observer without notices.
#[derive(Debug, Clone, Copy)]
pub struct SilentObserver;

impl WorkObserver for SilentObserver {
    fn begin(&self) -> Box<dyn Any> {
        Box::new(())
    }
}
