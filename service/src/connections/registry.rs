//! Registry of all connections of a server: their maximum number, and the choice of the one to close.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    ConnectionLimits,
    connection::{ClientConnection, ClosingOrder},
};

/// Registry of the open connections of a server.
#[derive(Debug)]
pub(super) struct ConnectionRegistry {
    limits: ConnectionLimits,
    /// Next number, and the open connections by number.
    open: Mutex<(u64, HashMap<u64, Arc<ClientConnection>>)>,
    /// Notified when a connection ends.
    connection_ended: Notify,
}

/// Entry of a connection in the registry; removed when it is dropped.
#[derive(Debug)]
pub(super) struct RegistryEntry {
    registry: Arc<ConnectionRegistry>,
    number: u64,
    pub(super) connection: Arc<ClientConnection>,
}

impl Drop for RegistryEntry {
    fn drop(&mut self) {
        self.registry.with_open(|(_, open)| open.remove(&self.number));
        self.registry.connection_ended.notify_one();
    }
}

impl ConnectionRegistry {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default(), connection_ended: Notify::new() })
    }

    fn with_open<T>(&self, act: impl FnOnce(&mut (u64, HashMap<u64, Arc<ClientConnection>>)) -> T) -> T {
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers a new connection. If the maximum is then reached, closes another connection to make room for the next
    /// one.
    pub(super) fn register(self: &Arc<Self>) -> RegistryEntry {
        let connection = Arc::new(ClientConnection::new(Instant::now()));
        let (number, full) = self.with_open(|(next, open)| {
            let number = *next;
            *next = next.saturating_add(1);
            open.insert(number, Arc::clone(&connection));
            (number, open.len() >= self.limits.max_connections)
        });
        if full {
            self.make_room(Some(number), Duration::ZERO);
        }
        RegistryEntry { registry: Arc::clone(self), number, connection }
    }

    /// Closes the connection that comes first in the order of [`ClosingOrder`], if there is one that may be closed. Never
    /// closes `newcomer`, the connection just registered, nor one that is younger than `patience` and has had no call.
    pub(super) fn make_room(&self, newcomer: Option<u64>, patience: Duration) {
        let now = Instant::now();
        let may_go = |rank: &ClosingOrder| match rank {
            ClosingOrder::Unused(since) => now.saturating_duration_since(*since) >= patience,
            ClosingOrder::Idle(_) | ClosingOrder::Streaming(_) => true,
        };
        let first = self.with_open(|(_, open)| {
            let others = open.iter().filter(|(number, open)| Some(**number) != newcomer && !open.is_closing());
            let ranked =
                others.filter_map(|(_, open)| Some((open.closing_order(now, self.limits.call_timeout)?, open)));
            ranked.filter(|(rank, _)| may_go(rank)).min_by_key(|(rank, _)| *rank).map(|(_, open)| Arc::clone(open))
        });
        if let Some(connection) = first {
            tracing::debug!("a connection was closed to make room for a new one");
            connection.close();
        }
    }

    /// Completes when a connection can be registered. Closes connections to make room while the maximum is reached.
    pub(super) async fn wait_for_room(&self) {
        loop {
            let gone = self.connection_ended.notified();
            let (open, closing) = self.with_open(|(_, open)| {
                (open.len(), open.values().filter(|connection| connection.is_closing()).count())
            });
            if open < self.limits.max_connections {
                return;
            }
            if closing == 0 {
                self.make_room(None, self.limits.sweep_interval());
            }
            // A call becomes a stream only by the passage of time, without a notification.
            let _ = tokio::time::timeout(self.limits.sweep_interval(), gone).await;
        }
    }

    /// Closes the connections that have exceeded a time limit ([`ClientConnection::is_overdue`]).
    fn close_overdue(&self) {
        let now = Instant::now();
        let overdue = |connection: &&Arc<ClientConnection>| {
            !connection.is_closing() && connection.is_overdue(now, self.limits.head_timeout, self.limits.idle_timeout)
        };
        let overdue = self.with_open(|(_, open)| open.values().filter(overdue).cloned().collect::<Vec<_>>());
        overdue.iter().for_each(|connection| connection.close());
    }
}

/// Closes overdue connections at this interval, until the registry is dropped.
pub(super) async fn close_overdue_regularly(registry: Weak<ConnectionRegistry>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(registry) = registry.upgrade() else { return };
        registry.close_overdue();
    }
}
