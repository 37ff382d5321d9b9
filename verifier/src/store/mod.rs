//! Port to the database: transactions, and operations on rows. The use cases above it contain the rules.
//!
//! A transaction sees a consistent state from its first read to its commit, and is rolled back on drop. Transactions
//! begin in the order in which they were requested.

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
pub(crate) use requests::{ErasableRows, ReadRequests, WriteRequests};
pub(crate) use trust::{ReadTrustLists, TrustListRow, TrustListState, WriteTrustLists};

/// Future with the result of a store operation.
pub(crate) trait StoreFuture<T>: Future<Output = Result<T, StoreError>> + Send {}
impl<T, F: Future<Output = Result<T, StoreError>> + Send> StoreFuture<T> for F {}

/// Port to the database.
pub(crate) trait Store: Send + Sync + 'static {
    type Reader: ReadRows;
    type Transaction: WriteRows;

    /// Returns a connection for reads, without waiting for writers.
    fn read(&self) -> impl StoreFuture<Self::Reader>;

    /// Begins a transaction; `name` is for logs.
    fn begin(&self, name: &'static str) -> impl StoreFuture<Self::Transaction>;

    /// Removes erased data from the database's log too. Best effort: the next sweep tries again.
    fn purge_log(&self) -> impl Future<Output = ()> + Send;
}

/// Read operations, in a transaction or outside of one.
pub(crate) trait ReadRows: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send {}
impl<T: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send> ReadRows for T {}

/// Operations in a transaction.
pub(crate) trait WriteRows:
    ReadRows + WriteRequests + WriteUses + WriteTrustLists + WriteOpenIdExchanges + Sized
{
    /// Commits the transaction.
    fn commit(self) -> impl StoreFuture<()>;
}
