//! Port for notices about slow work, such as a line on a terminal.

use std::any::Any;

/// Observer of one kind of slow work.
pub trait Waiting: Send + Sync {
    /// Starts the work; it ends when the returned value is dropped.
    fn begin(&self) -> Box<dyn Any>;
}

/// Observer that does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Waiting for Silent {
    fn begin(&self) -> Box<dyn Any> {
        Box::new(())
    }
}
