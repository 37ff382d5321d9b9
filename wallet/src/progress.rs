//! Port for progress notices about slow work, such as decrypting the wallet file or waiting for its lock.

use std::any::Any;

/// Observer that notifies the holder while one kind of work is slow.
pub trait WorkObserver: Send + Sync {
    /// Marks the start of the work. Dropping the returned value marks its end.
    fn begin(&self) -> Box<dyn Any>;
}

/// Observer that gives no notices.
#[derive(Debug, Clone, Copy)]
pub struct SilentObserver;

impl WorkObserver for SilentObserver {
    fn begin(&self) -> Box<dyn Any> {
        Box::new(())
    }
}
