//! Port to a database: transactions, and operations on rows. Rules stand above it.
//!
//! A transaction sees no change by others from its first read to its commit, and is rolled back when it is dropped.
//! Transactions begin in the order of the requests for them, so that no writer waits forever.

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
pub(crate) use requests::{ExpiringRows, ReadRequests, WriteRequests};
pub(crate) use trust::{ReadTrustLists, TrustListRow, TrustListState, WriteTrustLists};

/// Result of a store operation, in the future.
pub(crate) trait StoreFuture<T>: Future<Output = Result<T, StoreError>> + Send {}
impl<T, F: Future<Output = Result<T, StoreError>> + Send> StoreFuture<T> for F {}

/// Port to a database.
pub(crate) trait Store: Send + Sync + 'static {
    type Reader: ReadRows;
    type Transaction: WriteRows;

    /// Returns a connection for reads, which waits for no writer.
    fn read(&self) -> impl StoreFuture<Self::Reader>;

    /// Begins a transaction under a name, for logs.
    fn begin(&self, name: &'static str) -> impl StoreFuture<Self::Transaction>;

    /// Removes erased data from the database's log as well. Best effort; the next sweep tries again.
    fn settle(&self) -> impl Future<Output = ()> + Send;
}

/// Reads of rows, in a transaction or outside of one.
pub(crate) trait ReadRows: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send {}
impl<T: ReadRequests + ReadUses + ReadTrustLists + ReadOpenIdExchanges + Send> ReadRows for T {}

/// Operations on rows in a transaction.
pub(crate) trait WriteRows:
    ReadRows + WriteRequests + WriteUses + WriteTrustLists + WriteOpenIdExchanges + Sized
{
    /// Commits the transaction.
    fn commit(self) -> impl StoreFuture<()>;
}
