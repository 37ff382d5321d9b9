//! Watchers of requests, and their notifications.
//!
//! Disclosed claims are passed from the presentation to the clients that watch at that moment, and are not stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{broadcast, watch};

use crate::{disclosed::DisclosedClaims, error::Error, ids::RequestId};

/// Maximum number of watchers of one request.
const MAX_PER_REQUEST: usize = 16;

/// Maximum number of watchers of all requests together.
const MAX_WATCHERS: usize = 1_024;

/// Number of changes that are queued for a slow watcher; after that it misses changes, and reads the state again.
const BACKLOG: usize = 16;

/// Notification that a request changed, with the disclosed claims if a presentation was accepted.
#[derive(Debug, Clone)]
pub(crate) struct RequestChange(pub(crate) Option<Arc<DisclosedClaims>>);

/// Hub that notifies watchers of changes, by request.
pub(crate) struct WatchHub {
    requests: Mutex<HashMap<RequestId, broadcast::Sender<RequestChange>>>,
    stopping: watch::Sender<bool>,
}

impl WatchHub {
    pub(crate) fn new() -> Self {
        Self { requests: Mutex::new(HashMap::new()), stopping: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, broadcast::Sender<RequestChange>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to watch a request.
    ///
    /// # Errors
    /// [`Error::TooManyWatchers`]
    pub(crate) fn watch(&self, id: &RequestId) -> Result<RequestWatcher, Error> {
        let mut requests = self.lock();
        requests.retain(|_, sender| sender.receiver_count() > 0);
        let all = requests.values().map(broadcast::Sender::receiver_count).fold(0, usize::saturating_add);
        let here = requests.get(id).map_or(0, broadcast::Sender::receiver_count);
        if all >= MAX_WATCHERS || here >= MAX_PER_REQUEST {
            return Err(Error::TooManyWatchers);
        }
        let sender = requests.entry(id.clone()).or_insert_with(|| broadcast::Sender::new(BACKLOG));
        Ok(RequestWatcher { changes: sender.subscribe(), stopping: self.stopping.subscribe() })
    }

    /// Notifies the watchers of a request. Without watchers, the disclosed claims are dropped, and thereby erased from
    /// memory.
    pub(crate) fn notify(&self, id: &RequestId, disclosed: Option<DisclosedClaims>) {
        let sender = self.lock().get(id).cloned();
        if let Some(sender) = sender {
            sender.send(RequestChange(disclosed.map(Arc::new))).ok();
        }
    }

    /// Returns a wait for the shutdown, for streams.
    pub(crate) fn stopping(&self) -> ShutdownWait {
        ShutdownWait(self.stopping.subscribe())
    }

    /// Ends all watches, for the shutdown: each watcher gets [`Error::Stopping`].
    pub(crate) fn end_watches(&self) {
        self.stopping.send_replace(true);
    }
}

/// Wait for the shutdown of the service.
pub(crate) struct ShutdownWait(watch::Receiver<bool>);

impl ShutdownWait {
    /// Waits for the shutdown.
    pub(crate) async fn wait(&mut self) {
        self.0.wait_for(|stopping| *stopping).await.ok();
    }
}

/// Receiver of the changes of one request.
pub(crate) struct RequestWatcher {
    changes: broadcast::Receiver<RequestChange>,
    stopping: watch::Receiver<bool>,
}

impl RequestWatcher {
    /// Waits for the next change. If changes were missed, returns one without claims.
    ///
    /// # Errors
    /// [`Error::Stopping`]
    pub(crate) async fn next_change(&mut self) -> Result<RequestChange, Error> {
        tokio::select! {
            change = self.changes.recv() => match change {
                Ok(change) => Ok(change),
                Err(broadcast::error::RecvError::Lagged(_)) => Ok(RequestChange(None)),
                Err(broadcast::error::RecvError::Closed) => Err(Error::Stopping),
            },
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(Error::Stopping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn watchers_are_bounded_and_forgotten_when_they_leave() {
        let hub = WatchHub::new();
        let id = RequestId::generate(&mut rand_core::OsRng);
        let watchers: Vec<RequestWatcher> = (0..MAX_PER_REQUEST).map(|_| hub.watch(&id).unwrap()).collect();
        assert!(matches!(hub.watch(&id), Err(Error::TooManyWatchers)));
        drop(watchers);
        assert!(hub.watch(&id).is_ok());
        assert_eq!(hub.lock().len(), 1);
    }

    #[tokio::test]
    async fn what_was_disclosed_reaches_those_who_watch_and_nobody_later() {
        let hub = WatchHub::new();
        let id = RequestId::generate(&mut rand_core::OsRng);
        let mut early = hub.watch(&id).unwrap();
        hub.notify(&id, Some(DisclosedClaims::of(serde_json::Map::new())));
        let mut late = hub.watch(&id).unwrap();
        assert!(early.next_change().await.unwrap().0.is_some());
        hub.end_watches();
        assert!(matches!(late.next_change().await, Err(Error::Stopping)));
    }
}
