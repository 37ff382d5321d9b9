//! Results of requests, for staff: single, listed and watched.

use std::{sync::Arc, time::Duration};

use carnet_core::time::Timestamp;
use carnet_service::time::now;

use crate::{
    disclosed::{DisclosedClaims, KeptClaim},
    error::Error,
    request::{RequestState, StoredRequest},
    store::{ReadRequests as _, Store},
    verifier::Verifier,
    watch::RequestWatcher,
};

/// Maximum wait for the disclosed claims after the state of an accepted request was read.
const DISCLOSURE_WAIT: Duration = Duration::from_millis(500);

/// State of a watched request.
pub(crate) struct WatchedResult {
    pub(crate) request: StoredRequest,
    /// Disclosed claims, in the first state after an acceptance while the request is watched; otherwise `None`.
    pub(crate) disclosed: Option<Arc<DisclosedClaims>>,
    /// Time at which the state was read.
    pub(crate) read_at: Timestamp,
}

/// Watch of one request by a client: yields its current state, and each change until a final state.
pub(crate) struct ResultWatch<S> {
    verifier: Arc<Verifier<S>>,
    id: String,
    watcher: RequestWatcher,
    disclosed: Option<Arc<DisclosedClaims>>,
    /// Expiry of the request, which ends the wait for a change; `None` before the first call of [`ResultWatch::next`].
    expires_at: Option<Timestamp>,
    /// `true` after a final state.
    is_done: bool,
}

impl<S: Store> Verifier<S> {
    /// Returns a request, and its retained claims that are not yet due for erasure.
    ///
    /// # Errors
    /// Unknown request; store errors.
    pub(crate) async fn request_with_claims(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<(StoredRequest, Vec<KeptClaim>), Error> {
        let request = self.stored_request(id).await?;
        let kept = self.store.read().await?.kept_claims(request.number, now).await?;
        Ok((request, kept))
    }

    /// Returns at most `size` requests with a sequence number below `before`, newest first, and the `before` of the
    /// next page; `None`: this is the last page.
    pub(crate) async fn requests_page(
        &self,
        before: i64,
        size: i64,
    ) -> Result<(Vec<StoredRequest>, Option<i64>), Error> {
        let requests = self.store.read().await?.requests(before, size).await?;
        let is_full = i64::try_from(requests.len()).is_ok_and(|rows| rows == size);
        let next = requests.last().filter(|_| is_full).map(|last| last.number);
        Ok((requests, next))
    }

    /// Starts to watch a request.
    ///
    /// # Errors
    /// Unknown request; too many watchers; store errors.
    pub(crate) async fn watch_result(self: &Arc<Self>, id: String) -> Result<ResultWatch<S>, Error> {
        let stored = self.stored_request(&id).await?;
        // Watching starts before the state is read again, so that no change is missed.
        let watcher = self.watch_hub.watch(&stored.id)?;
        let verifier = Arc::clone(self);
        Ok(ResultWatch { verifier, id, watcher, disclosed: None, expires_at: None, is_done: false })
    }
}

impl<S: Store> ResultWatch<S> {
    /// Returns the current state on the first call; then waits for the next change, or for the expiry, and returns the
    /// state after it. `None` after a final state.
    ///
    /// # Errors
    /// The request was deleted; the service is stopping; store errors.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchedResult>, Error> {
        if self.is_done {
            return Ok(None);
        }
        if let Some(expires_at) = self.expires_at {
            let left = expires_at.unix().saturating_sub(now().unix()).max(0).unsigned_abs();
            tokio::select! {
                changed = self.watcher.next_change() => self.disclosed = changed?.0,
                () = tokio::time::sleep(Duration::from_secs(left)) => {}
            }
        }
        let (request, at) = (self.verifier.stored_request(&self.id).await?, now());
        if request.state(at) == RequestState::Accepted && self.disclosed.is_none() {
            // The disclosed claims follow directly after the verdict, which a notification about a wrong answer may
            // show first.
            if let Ok(Ok(change)) = tokio::time::timeout(DISCLOSURE_WAIT, self.watcher.next_change()).await {
                self.disclosed = change.0;
            }
        }
        self.is_done = request.is_final(at);
        self.expires_at = Some(request.expires_at);
        Ok(Some(WatchedResult { request, disclosed: self.disclosed.take(), read_at: at }))
    }
}
