//! Port to the database: transactions, and operations on rows. The use cases above it contain the rules.
//!
//! A transaction sees a consistent state from its first read to its commit, and is rolled back on drop. Transactions
//! begin in the order in which they were requested. Several may share one durable commit, so that one can read what is
//! not durable yet: a use case that wrote nothing commits too before it answers from what it read.

use std::future::Future;

pub(crate) use carnet_service::error::StoreError;

mod openid;
mod redemptions;
mod requests;
#[cfg(test)]
pub(crate) mod suite;
mod trust;

pub(crate) use openid::{OpenIdExchange, ReadOpenIdExchanges, WriteOpenIdExchanges};
pub(crate) use redemptions::{DeskRow, MonthlyTotal, OWN_DESK, ReadUses, UseMark, WriteUses};
pub(crate) use requests::{ErasableRows, ReadRequests, VerdictRow, WriteRequests};
pub(crate) use trust::{ReadTrustLists, TrustListRow, TrustListState, WriteTrustLists};

/// Future with the result of a store operation.
pub(crate) trait StoreFuture<T>: Future<Output = Result<T, StoreError>> + Send {}
impl<T, F: Future<Output = Result<T, StoreError>> + Send> StoreFuture<T> for F {}

/// Port to the database.
pub(crate) trait Store: Send + Sync + 'static {
    /// Connection for reads.
    type Reader: ReadRows;
    /// Transaction with reads and writes.
    type Transaction: WriteRows;

    /// Returns a connection for reads, which does not wait for writers.
    fn read(&self) -> impl StoreFuture<Self::Reader>;

    /// Begins a transaction for writes; `name` is for logs.
    fn begin(&self, name: &'static str) -> impl StoreFuture<Self::Transaction>;

    /// Removes erased data from the database's write-ahead log too. Best effort: an error is logged, and the next sweep
    /// tries again.
    fn purge_log(&self) -> impl Future<Output = ()> + Send;
}

/// All read operations, in a transaction or outside of one.
pub(crate) trait ReadRows: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send {}
impl<T: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send> ReadRows for T {}

/// All operations in a transaction, which is rolled back unless it is committed.
pub(crate) trait WriteRows:
    ReadRows + WriteRequests + WriteUses + WriteTrustLists + WriteOpenIdExchanges + Sized
{
    /// Commits the transaction.
    fn commit(self) -> impl StoreFuture<()>;
}
