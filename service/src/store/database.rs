//! Connections to a store: one for writes, with a fair queue, and several for reads.
//!
//! SQLite allows one writer at a time. With two writing connections, one would wait in the busy handler, which sleeps
//! for up to 100 ms at a time and is not fair; here writers wait in a FIFO queue ([`super::writer`]). Readers never
//! wait for the writer: each of their transactions reads the state committed before it began.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::sync::Mutex;

use super::{
    LOCK_TIMEOUT,
    writer::{WriteQueue, WriteTransaction},
};

/// Delay between the call of [`Database::checkpoint_soon`] and its checkpoint.
pub(super) const CHECKPOINT_DELAY: Duration = Duration::from_secs(1);
/// Maximum number of connections for reads.
const MAX_READERS: u32 = 8;

/// SQLite database of a service: one connection for writes, several for reads.
#[derive(Debug, Clone)]
pub struct Database {
    /// Fair queue for the only connection that writes.
    writer: WriteQueue,
    readers: SqlitePool,
    checkpoints: Arc<Checkpoints>,
}

/// Requests for checkpoints: those made before a checkpoint began share it.
#[derive(Debug, Default)]
struct Checkpoints {
    /// Number of the last request.
    requested: AtomicU64,
    /// Number of the last request that a checkpoint has served; its lock is the checkpoint's turn.
    served: Mutex<u64>,
    /// `true` if [`Database::checkpoint_soon`] has scheduled a checkpoint that has not begun.
    scheduled: AtomicBool,
}

/// Error of a checkpoint: erased data may still be in the write-ahead log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A reader, or a writer or checkpoint of another process, was using the log.
    #[error("the write-ahead log is in use")]
    Busy,
    /// Error of the database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Database {
    /// Opens the connections with these options, which name the file and its settings.
    ///
    /// # Errors
    /// The file cannot be opened or is not a database.
    pub(super) async fn connect(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        // In this process only the writer takes the write lock, and it waits for others by itself.
        let writer = WriteQueue::start(options.clone().busy_timeout(Duration::ZERO).connect().await?);
        let reading = options.read_only(true).pragma("query_only", "ON").busy_timeout(LOCK_TIMEOUT);
        // Connections that fail are replaced when they are given back, so that none needs a test before its use.
        let readers = SqlitePoolOptions::new()
            .max_connections(MAX_READERS)
            .acquire_timeout(LOCK_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(reading)
            .await;
        match readers {
            Ok(readers) => Ok(Self { writer, readers, checkpoints: Arc::default() }),
            Err(error) => {
                writer.close().await;
                Err(error)
            }
        }
    }

    /// Returns the pool of connections for reads; a statement that writes fails on them.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a write transaction; `name` is for logs. It is committed with `.commit()`, and rolled back when it is
    /// dropped.
    ///
    /// Transactions begin in the order of their requests. One that is dropped, or whose caller is cancelled, is rolled
    /// back before the next one begins. Several that wait share one durable commit.
    ///
    /// # Errors
    /// The database is closed, or the wait in the queue or for another process's lock exceeded ten seconds.
    pub async fn begin(&self, name: &'static str) -> Result<WriteTransaction, sqlx::Error> {
        let start = Instant::now();
        let begun = self.writer.begin(start).await;
        let waited_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &begun {
            Ok(_) => tracing::debug!(transaction = name, waited_ms, "begun"),
            Err(error) => tracing::warn!(transaction = name, waited_ms, %error, "could not begin"),
        }
        begun
    }

    /// Transfers the write-ahead log into the database file and truncates the log, so that erased data is in neither.
    /// To be called after erasures, and regularly.
    ///
    /// It waits in the queue of writers; concurrent calls share one checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::Busy`]: the log could not be truncated within two seconds, and erased data may still be in
    /// it; errors of the database.
    pub async fn checkpoint(&self) -> Result<(), CheckpointError> {
        const LONGEST: Duration = Duration::from_secs(2);
        const PAUSE: Duration = Duration::from_millis(25);
        let request = self.checkpoints.requested.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let start = Instant::now();
        loop {
            {
                let mut served = self.checkpoints.served.lock().await;
                if *served >= request {
                    return Ok(());
                }
                // The callers counted here have committed their erasures.
                let requested = self.checkpoints.requested.load(Ordering::SeqCst);
                if self.writer.truncate_log().await? {
                    *served = requested;
                    return Ok(());
                }
            }
            if start.elapsed() > LONGEST {
                return Err(CheckpointError::Busy);
            }
            // Other transactions may write during the pause.
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Schedules a background checkpoint in one second, shared by all erasures until then. If it fails, a warning is
    /// logged, and the erased data is removed by the next checkpoint, at the latest when the store is closed.
    pub fn checkpoint_soon(&self) {
        if self.checkpoints.scheduled.swap(true, Ordering::SeqCst) {
            return;
        }
        let database = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CHECKPOINT_DELAY).await;
            // Before the checkpoint: an erasure while it runs schedules another one.
            database.checkpoints.scheduled.store(false, Ordering::SeqCst);
            match database.checkpoint().await {
                Ok(()) | Err(CheckpointError::Database(sqlx::Error::PoolClosed)) => {}
                Err(error) => {
                    tracing::warn!(%error, "erased data may still be in the write-ahead log; the next sweep tries \
                                            again");
                }
            }
        });
    }

    /// Closes all connections, after those in use were returned; calls that wait for a connection fail.
    pub async fn close(&self) {
        // The writer is closed last, since a read-only connection cannot truncate the log.
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests;
