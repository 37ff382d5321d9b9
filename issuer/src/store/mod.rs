//! Port to the store: transactions with operations on rows.
//!
//! Rules stand above it, in the use cases: the store does not know why something is stored. A use case begins a
//! transaction, reads, decides, writes and commits. Several transactions may share one durable commit, so that one can
//! read what is not durable yet: a use case that wrote nothing commits too before it answers from what it read.
//! [`crate::intent`] describes the state after a power failure at each step.

pub(crate) mod expiry;
pub(crate) mod filter;
pub(crate) mod issuances;
pub(crate) mod offers;
pub(crate) mod records;
pub(crate) mod renewal;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod suite;

pub(crate) use carnet_service::error::StoreError;
use carnet_service::store::StoreIdentity;
use zeroize::Zeroizing;

/// Result of a store operation.
pub(crate) type StoreResult<T> = Result<T, StoreError>;

/// Claims of a credential as JSON text: wiped from memory when dropped, and not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredClaims(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for StoredClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredClaims(redacted)")
    }
}

/// Part of a list that is sorted newest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSlice {
    /// Sequence number before which the rows are listed, exclusive.
    pub(crate) before: i64,
    /// Maximum number of rows.
    pub(crate) limit: i64,
}

/// Rows of one page of a list.
#[derive(Debug)]
pub(crate) struct RowPage<T> {
    pub(crate) rows: Vec<T>,
    /// Sequence number before which the next page starts; `None` if no rows are left. A page may be short although
    /// there is a next one.
    pub(crate) next: Option<i64>,
}

/// Store of the issuer; clones share it.
pub(crate) trait Store: Clone + Send + Sync + 'static {
    /// Transaction of this store, for reading or writing.
    type Tx: StoreTx;

    /// Begins a write transaction; `name` is for logs. Writers take turns, in the order of their requests. A
    /// transaction that is dropped changes nothing, and is rolled back before the next one begins.
    fn begin(&self, name: &'static str) -> impl Future<Output = StoreResult<Self::Tx>> + Send;
    /// Begins a transaction that only reads, and sees the store as of one instant. It does not wait for writers.
    fn read(&self) -> impl Future<Output = StoreResult<Self::Tx>> + Send;
    /// Removes erased data from every place where the database may still keep it, such as a write-ahead log. A failure
    /// is logged; the next sweep tries again.
    fn purge_erased_data(&self) -> impl Future<Output = ()> + Send;
    /// Schedules [`Self::purge_erased_data`] without waiting for it.
    fn schedule_purge(&self);
    /// Writes the identity of the store's committed state (its id, change number and publication number) to the file
    /// beside the keys, by which an outdated store is recognised, and returns it.
    fn write_identity_mark(&self) -> impl Future<Output = StoreResult<StoreIdentity>> + Send;
}

/// Transaction of a [`Store`], with the operations on all kinds of rows.
pub(crate) trait StoreTx:
    offers::OfferRows
    + issuances::IssuanceRows
    + issuances::IndexRows
    + records::RecordRows
    + renewal::RenewalRows
    + status::StatusRows
    + expiry::ExpiryRows
    + Send
    + Sized
{
    /// Commits the transaction: its changes survive a power failure once this returns.
    fn commit(self) -> impl Future<Output = StoreResult<()>> + Send;
}
