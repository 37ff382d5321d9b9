//! Connections: accepted up to the process's file limit, and closed on a timeout or to make room.
//!
//! A client has `header_seconds` for its TLS handshake, the same time for the HTTP/2 preface or the head of its first
//! request, and the same for each later head. A connection without a call is closed after `idle_seconds`, regardless of
//! pings. When the limit is reached, one connection is closed for the next: the oldest without any call so far;
//! otherwise the one that has been idle longest; otherwise the one with the oldest streaming call. A connection with a
//! unary call in progress is never closed; if all have one, the next connection waits in the system's queue.

mod connection;
mod framing;
mod registry;
mod stream;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use futures::Stream;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

pub(crate) use connection::{CallGuard, ClientConnection};
use registry::{ConnectionRegistry, RegistryEntry};
use stream::{Transport, WatchedStream};

use crate::config::ServeConfig;

/// Maximum number of connections, also if the system sets no limit on open files.
const MAX_CONNECTIONS: u64 = 10_000;
/// Minimum number of file descriptors reserved for the store, fetches and other needs of the program.
const RESERVED_FILES: u64 = 64;
/// Longest pause after the system could not accept a connection.
const MAX_ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// Maximum number of connections.
    pub(crate) max_connections: usize,
    /// Maximum time for a TLS handshake, and for an HTTP/2 preface or a request head.
    pub(crate) head_timeout: Duration,
    /// Maximum time without a call.
    pub(crate) idle_timeout: Duration,
    /// Maximum duration of a unary call; a longer call counts as a stream.
    pub(crate) call_timeout: Duration,
}

impl ConnectionLimits {
    /// Returns the limits set in the configuration. The number of connections is reduced to the process's file limit,
    /// with a warning, and is at least 2.
    pub(crate) fn from_config(config: &ServeConfig) -> Self {
        let room = connection_capacity(open_files());
        let wanted = config.max_connections.map_or(MAX_CONNECTIONS, |most| u64::try_from(most).unwrap_or(u64::MAX));
        if config.max_connections.is_some() && wanted > room {
            tracing::warn!(wanted, room, "max_connections is more than the limit on open files allows");
        }
        Self {
            max_connections: usize::try_from(wanted.min(room)).unwrap_or(usize::MAX).max(2),
            head_timeout: Duration::from_secs(config.header_seconds.max(1)),
            idle_timeout: Duration::from_secs(config.idle_seconds.max(1)),
            call_timeout: Duration::from_secs(config.timeout_seconds),
        }
    }

    fn sweep_interval(&self) -> Duration {
        let shortest = self.head_timeout.min(self.idle_timeout);
        shortest.checked_div(4).unwrap_or_default().clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// Returns the process's limit on open files; `None` if there is no limit.
#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files() -> Option<u64> {
    None
}

/// Returns the number of connections for which a limit on open files leaves room.
fn connection_capacity(files: Option<u64>) -> u64 {
    let Some(files) = files else { return MAX_CONNECTIONS };
    let reserved =
        RESERVED_FILES.max(files.checked_div(4).unwrap_or_default()).min(files.checked_div(2).unwrap_or_default());
    files.saturating_sub(reserved).min(MAX_CONNECTIONS)
}

/// Starts to accept connections, with TLS handshakes if `tls` is given, and returns the stream of those that are ready.
/// Ends when the stream is dropped.
pub(crate) fn accept_connections(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
) -> impl Stream<Item = io::Result<WatchedStream>> {
    let (ready, accepted) = mpsc::channel(1);
    let registry = ConnectionRegistry::new(limits);
    tokio::spawn(registry::close_overdue_regularly(Arc::downgrade(&registry), limits.sweep_interval()));
    tokio::spawn(async move {
        tokio::select! {
            () = ready.closed() => {}
            () = accept_loop(listener, tls, &registry, &ready) => {}
        }
    });
    futures::stream::unfold(accepted, |mut accepted| async move {
        accepted.recv().await.map(|stream| (Ok(stream), accepted))
    })
}

async fn accept_loop(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    registry: &Arc<ConnectionRegistry>,
    ready: &mpsc::Sender<WatchedStream>,
) {
    let mut pause = Duration::ZERO;
    loop {
        registry.wait_for_room().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = Duration::ZERO;
                let _ = stream.set_nodelay(true);
                tokio::spawn(complete_handshake(stream, tls.clone(), registry.register(), ready.clone()));
            }
            // The client's fault; the connection has ended.
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                pause = pause.saturating_mul(2).clamp(Duration::from_millis(10), MAX_ACCEPT_PAUSE);
                tracing::warn!(%error, "no connection can be accepted now");
                registry.make_room(None, Duration::ZERO);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Performs the TLS handshake, if any, and sends the connection to the server.
async fn complete_handshake(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    registered: RegistryEntry,
    ready: mpsc::Sender<WatchedStream>,
) {
    let transport = match tls {
        None => Transport::Plain(stream),
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = tls.accept(stream) => handshake,
                () = registered.connection.wait_until_closing() => return,
            };
            let Ok(stream) = handshake else { return };
            registered.connection.restart_head_timeout();
            Transport::Tls(Box::new(stream))
        }
    };
    // Without a receiver the server stops, and the connection ends with it.
    let _ = ready.send(WatchedStream::new(transport, registered)).await;
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | Interrupted | TimedOut | WouldBlock)
}
