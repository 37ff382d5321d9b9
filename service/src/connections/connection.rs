//! State of one connection, its timeouts, and its closing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use tokio::time::Instant;

use super::framing::Framing;

/// State of a connection that determines if it may be closed.
#[derive(Debug)]
struct ConnectionProgress {
    framing: Framing,
    /// Number of calls in progress.
    calls: usize,
    /// `true` if a call has ever begun on the connection.
    had_call: bool,
    /// Time since which a handshake, preface, frame or request head is incomplete; `None`: none is.
    incomplete_since: Option<Instant>,
    /// Last change of the number of calls; before the first call, the time at which the connection was accepted.
    calls_changed_at: Instant,
}

/// State of a connection, shared by its stream, its calls and the registry.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    progress: Mutex<ConnectionProgress>,
    closing: AtomicBool,
    reader: AtomicWaker,
}

/// Order in which connections are closed to make room: the smallest first. Each value has the last change of the number
/// of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClosingOrder {
    /// No call was ever made on it.
    Unused(Instant),
    /// Calls were made, and none is in progress.
    Idle(Instant),
    /// A call has been in progress for longer than a unary call may take, so it is a stream.
    Streaming(Instant),
}

impl ClientConnection {
    pub(crate) fn new(now: Instant) -> Self {
        let progress = ConnectionProgress {
            framing: Framing::Preface(0),
            calls: 0,
            had_call: false,
            incomplete_since: Some(now),
            calls_changed_at: now,
        };
        Self { progress: Mutex::new(progress), closing: AtomicBool::new(false), reader: AtomicWaker::new() }
    }

    fn with_progress<T>(&self, change: impl FnOnce(&mut ConnectionProgress) -> T) -> T {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the connection: reads return the end of the stream, and writes fail.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.reader.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn poll_closing(&self, cx: &Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.is_closing() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Completes when [`ClientConnection::close`] is called.
    pub(super) async fn wait_until_closing(&self) {
        std::future::poll_fn(|cx| self.poll_closing(cx)).await;
    }

    /// Restarts the time limit for the client's next bytes after the TLS handshake.
    pub(super) fn restart_head_timeout(&self) {
        self.with_progress(|progress| progress.incomplete_since = Some(Instant::now()));
    }

    pub(super) fn record_received(&self, bytes: &[u8]) {
        self.with_progress(|progress| {
            progress.framing.advance(bytes);
            // In HTTP/1, bytes received during a call are its body.
            let partial = match progress.framing {
                Framing::Http1 => progress.calls == 0,
                _ => progress.framing.is_partial(),
            };
            progress.incomplete_since =
                if partial { Some(progress.incomplete_since.unwrap_or_else(Instant::now)) } else { None };
        });
    }

    /// Begins a call, which ends when the returned guard is dropped. Also returns the number of calls in progress,
    /// including this one.
    pub(crate) fn begin_call(self: &Arc<Self>) -> (CallGuard, usize) {
        let calls = self.with_progress(|progress| {
            progress.calls = progress.calls.saturating_add(1);
            progress.had_call = true;
            progress.calls_changed_at = Instant::now();
            if matches!(progress.framing, Framing::Http1) {
                progress.incomplete_since = None;
            }
            progress.calls
        });
        (CallGuard(Arc::clone(self)), calls)
    }

    /// Returns `true` if no call is in progress, and a handshake, preface, frame or request head has been incomplete
    /// for longer than `head`, or there has been no call for longer than `idle`.
    pub(super) fn is_overdue(&self, now: Instant, head: Duration, idle: Duration) -> bool {
        self.with_progress(|progress| {
            let longer = |since: Instant, most: Duration| now.saturating_duration_since(since) > most;
            progress.calls == 0
                && (progress.incomplete_since.is_some_and(|since| longer(since, head))
                    || longer(progress.calls_changed_at, idle))
        })
    }

    /// Returns the position of the connection among those that may be closed to make room; `None` if a call is in
    /// progress that is not longer than `call`, the maximum time of a unary call.
    pub(super) fn closing_order(&self, now: Instant, call: Duration) -> Option<ClosingOrder> {
        self.with_progress(|progress| match (progress.calls, progress.had_call) {
            (0, false) => Some(ClosingOrder::Unused(progress.calls_changed_at)),
            (0, true) => Some(ClosingOrder::Idle(progress.calls_changed_at)),
            _ if now.saturating_duration_since(progress.calls_changed_at) > call => {
                Some(ClosingOrder::Streaming(progress.calls_changed_at))
            }
            _ => None,
        })
    }
}

/// Guard of a call in progress; the call ends when it is dropped.
#[derive(Debug)]
pub(crate) struct CallGuard(Arc<ClientConnection>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.with_progress(|progress| {
            progress.calls = progress.calls.saturating_sub(1);
            progress.calls_changed_at = Instant::now();
            if matches!(progress.framing, Framing::Http1) {
                progress.incomplete_since = None;
            }
        });
    }
}
