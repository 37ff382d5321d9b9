//! CPU-bound and blocking work on separate threads.

use crate::error::Error;

/// Runs CPU-bound or blocking work on a separate thread, and waits for its result.
///
/// # Errors
/// [`Error::Internal`]: the work panicked.
pub(crate) async fn spawn_cpu<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}
