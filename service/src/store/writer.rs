//! Queue of writers, with group commit.
//!
//! One task has the writing connection and lends it to transactions in the order of their requests. Each of them runs
//! in a savepoint of its own. Those that wait when one has ended form a group with it: they run in the same SQLite
//! transaction, and then the task commits. A transaction is acknowledged only after that commit, which is synced to the
//! disk once for the whole group. One that is dropped is rolled back to its savepoint, and undoes nothing
//! of the others. If the commit fails, every transaction of the group fails.
//!
//! A transaction reads what earlier ones of its group wrote, before it is durable. So a use case that answers from such
//! a read, and has written nothing, commits as well before it answers. A refusal needs no commit.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, Executor as _, sqlite::SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::LOCK_TIMEOUT;

/// Maximum number of transactions in one commit, which bounds the wait of the first.
const MAX_GROUP: usize = 64;
/// First and longest pause between attempts to begin a transaction while another process writes.
const BEGIN_PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// Result of the commit of a group, for each of its transactions.
type CommitResult = Result<(), Arc<sqlx::Error>>;

/// Request to the task that has the writing connection.
enum WriterRequest {
    Begin { requested: Instant, granted: oneshot::Sender<Result<WriteTransaction, sqlx::Error>> },
    Truncate { done: oneshot::Sender<Result<bool, sqlx::Error>> },
    Close { done: oneshot::Sender<()> },
}

/// Write transaction. It is committed with [`Self::commit`], and rolled back when it is dropped.
#[derive(Debug)]
pub struct WriteTransaction {
    connection: OwnedMutexGuard<SqliteConnection>,
    /// Tells the writer that the transaction has ended and is to be committed; dropped: it is rolled back.
    end: Option<oneshot::Sender<oneshot::Sender<CommitResult>>>,
}

impl WriteTransaction {
    /// Commits the transaction: it is on the disk when this returns.
    ///
    /// # Errors
    /// Errors of the database, after which nothing of the transaction remains.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        let (done, committed) = oneshot::channel();
        let end = self.end.take().ok_or(sqlx::Error::PoolClosed)?;
        end.send(done).map_err(|_| sqlx::Error::PoolClosed)?;
        // Gives the connection back.
        drop(self);
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(sqlx::Error::Io(io::Error::other(error))),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// Queue of writers; clones share it.
#[derive(Debug, Clone)]
pub(super) struct WriteQueue(mpsc::UnboundedSender<WriterRequest>);

impl WriteQueue {
    /// Starts the task that has the writing connection, which must not wait for locks of other processes.
    pub(super) fn start(connection: SqliteConnection) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let writer = Writer {
            connection: Arc::new(Mutex::new(connection)),
            requests,
            group: Vec::new(),
            joining: 0,
            state: GroupState::None,
        };
        tokio::spawn(writer.run());
        Self(sender)
    }

    /// Waits for the turn of a new transaction.
    ///
    /// # Errors
    /// The queue is closed; the wait in the queue or for another process's lock exceeded ten seconds.
    pub(super) async fn begin(&self, requested: Instant) -> Result<WriteTransaction, sqlx::Error> {
        let (granted, turn) = oneshot::channel();
        self.0.send(WriterRequest::Begin { requested, granted }).map_err(|_| sqlx::Error::PoolClosed)?;
        match tokio::time::timeout(LOCK_TIMEOUT, turn).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// Tries to transfer and truncate the write-ahead log, in the turn of a writer; `false` if a reader or another
    /// process was using it.
    ///
    /// # Errors
    /// The queue is closed; errors of the database.
    pub(super) async fn truncate_log(&self) -> Result<bool, sqlx::Error> {
        let (done, truncated) = oneshot::channel();
        self.0.send(WriterRequest::Truncate { done }).map_err(|_| sqlx::Error::PoolClosed)?;
        truncated.await.map_err(|_| sqlx::Error::PoolClosed)?
    }

    /// Closes the connection after the transactions that were requested before; later ones fail.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(WriterRequest::Close { done }).is_ok() {
            closed.await.ok();
        }
    }
}

/// State of the SQLite transaction of the current group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    /// None has begun.
    None,
    /// It has begun, and the savepoint of the next transaction is set.
    Prepared,
    /// The savepoint of the last transaction contains its changes.
    Ended,
}

/// Task that has the writing connection. It is never cancelled, so that each of its statements runs to its end.
struct Writer {
    /// Lent to one transaction at a time.
    connection: Arc<Mutex<SqliteConnection>>,
    requests: mpsc::UnboundedReceiver<WriterRequest>,
    /// Transactions of the current group that wait for its commit.
    group: Vec<oneshot::Sender<CommitResult>>,
    /// Number of requests that may still join the current group: those that waited when its first transaction ended.
    /// Others wait for the next, so that no transaction waits for those that came after it.
    joining: usize,
    state: GroupState,
}

impl Writer {
    async fn run(mut self) {
        while let Some(request) = self.next_request().await {
            match request {
                WriterRequest::Begin { requested, granted } => self.lend(requested, granted).await,
                WriterRequest::Truncate { done } => {
                    self.end_group().await;
                    let truncated = try_truncate_log(&mut *self.connection.lock().await).await;
                    done.send(truncated).ok();
                }
                WriterRequest::Close { done } => {
                    self.end_group().await;
                    self.requests.close();
                    // The only other owner is a transaction, of which there is none now.
                    if let Some(connection) = Arc::into_inner(self.connection)
                        && let Err(error) = connection.into_inner().close().await
                    {
                        tracing::warn!(%error, "the store was not closed as it should be; nothing committed is lost");
                    }
                    done.send(()).ok();
                    return;
                }
            }
        }
    }

    /// Returns the next request, after the end of the current group if it does not join that.
    async fn next_request(&mut self) -> Option<WriterRequest> {
        if self.state != GroupState::None {
            if (self.group.is_empty() || self.joining > 0)
                && let Ok(waiting) = self.requests.try_recv()
            {
                self.joining = self.joining.saturating_sub(1);
                return Some(waiting);
            }
            self.end_group().await;
        }
        self.requests.recv().await
    }

    /// Lends the connection to a transaction until that ends.
    async fn lend(&mut self, requested: Instant, granted: oneshot::Sender<Result<WriteTransaction, sqlx::Error>>) {
        if granted.is_closed() {
            return;
        }
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        if let Err(error) = self.prepare(&mut connection, requested).await {
            granted.send(Err(error)).ok();
            return;
        }
        let (end, ended) = oneshot::channel();
        // A caller that has gone drops it, as any transaction that is not committed.
        drop(granted.send(Ok(WriteTransaction { connection, end: Some(end) })));
        if let Ok(done) = ended.await {
            if self.group.is_empty() {
                self.joining = self.requests.len().min(MAX_GROUP.saturating_sub(1));
            }
            self.state = GroupState::Ended;
            self.group.push(done);
        } else if let Err(error) = self.execute("ROLLBACK TO member").await {
            self.fail_group(error).await;
        }
    }

    /// Sets the savepoint of the next transaction, in the current group or in a new one.
    async fn prepare(&mut self, connection: &mut SqliteConnection, requested: Instant) -> Result<(), sqlx::Error> {
        match self.state {
            GroupState::Prepared => return Ok(()),
            GroupState::Ended => match connection.execute("RELEASE member; SAVEPOINT member").await {
                Ok(_) => {
                    self.state = GroupState::Prepared;
                    return Ok(());
                }
                // SQLite ended the transaction at an error of the one before (section 3.1 of its page on transactions).
                Err(error) => self.forget_group(connection, error).await,
            },
            GroupState::None => {}
        }
        let (mut pause, longest) = BEGIN_PAUSES;
        loop {
            // Takes the write lock immediately, so that the transaction's reads remain valid until it writes.
            match connection.execute("BEGIN IMMEDIATE; SAVEPOINT member").await {
                Ok(_) => break,
                Err(error) if is_busy(&error) && requested.elapsed() < LOCK_TIMEOUT => tokio::time::sleep(pause).await,
                Err(error) => return Err(error),
            }
            pause = pause.saturating_mul(2).min(longest);
        }
        self.state = GroupState::Prepared;
        Ok(())
    }

    /// Commits the current group, and tells its transactions.
    async fn end_group(&mut self) {
        if self.state == GroupState::None {
            return;
        }
        let ended = self.execute(if self.group.is_empty() { "ROLLBACK" } else { "COMMIT" }).await;
        match ended {
            Ok(()) => {
                self.state = GroupState::None;
                for done in self.group.drain(..) {
                    done.send(Ok(())).ok();
                }
            }
            Err(error) => self.fail_group(error).await,
        }
    }

    async fn execute(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.connection.lock().await.execute(sql).await.map(drop)
    }

    async fn fail_group(&mut self, error: sqlx::Error) {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        self.forget_group(&mut connection, error).await;
    }

    /// Rolls the current group back, and tells its transactions the error.
    async fn forget_group(&mut self, connection: &mut SqliteConnection, error: sqlx::Error) {
        // It fails if SQLite has ended the transaction already.
        connection.execute("ROLLBACK").await.ok();
        self.state = GroupState::None;
        let error = Arc::new(error);
        for done in self.group.drain(..) {
            done.send(Err(Arc::clone(&error))).ok();
        }
    }
}

/// Transfers and truncates the write-ahead log; `false` if a reader or another process was using it.
///
/// A reader keeps the part of the log in use that existed when it began. No reader enters that part again as long as
/// nothing is written, so a few short pauses are enough for readers that take a few milliseconds.
async fn try_truncate_log(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    const PAUSES_MS: [u64; 6] = [0, 1, 1, 2, 4, 8];
    for pause in PAUSES_MS {
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        // SQLite reports success with a row even if the log was not truncated.
        let (busy, _in_log, _moved): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
        if busy == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the error is that another process holds the lock. The low byte of the code is the primary result
/// code of SQLite.
fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: u32 = 5;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

#[cfg(test)]
mod tests;
