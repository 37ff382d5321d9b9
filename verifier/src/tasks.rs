//! Work on threads that serve no calls.

use crate::error::Error;

/// Runs CPU-bound work, or work that may block, on such a thread.
///
/// # Errors
/// Internal: the work was aborted.
pub(crate) async fn spawn_cpu<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}
