//! Port to the store: transactions with operations on rows.
//!
//! Rules stand above it, in the use cases: the store knows what is stored, and not why. A use case begins a
//! transaction, reads, decides, writes and commits. [`crate::intent`] describes the state after a power cut at each
//! step.

pub(crate) mod collections;
pub(crate) mod expiry;
pub(crate) mod filter;
pub(crate) mod offers;
pub(crate) mod records;
pub(crate) mod renewal;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod suite;

pub(crate) use carnet_service::error::StoreError;
use carnet_service::store::StoreIdentity;
use zeroize::Zeroizing;

/// Result of an operation on the store.
pub(crate) type Stored<T> = Result<T, StoreError>;

/// Claims of a person as JSON text: wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredClaims(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for StoredClaims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(redacted)")
    }
}

/// Slice of a list: newest first, `before` a row, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageSlice {
    pub(crate) before: i64,
    pub(crate) limit: i64,
}

/// Rows of a list, and the position of the next page.
#[derive(Debug)]
pub(crate) struct RowPage<T> {
    pub(crate) rows: Vec<T>,
    /// Row before which there may be more.
    pub(crate) next: Option<i64>,
}

/// Store of the issuer.
pub(crate) trait Store: Clone + Send + Sync + 'static {
    /// Transaction.
    type Tx: StoreTx;

    /// Begins a write transaction under a name, for logs. Writers take turns, in the order of their requests. A
    /// transaction that is dropped changes nothing, and is undone before the next one begins.
    fn begin(&self, name: &'static str) -> impl Future<Output = Stored<Self::Tx>> + Send;
    /// Begins a transaction that only reads: all of it as of one instant. It waits for no writer.
    fn read(&self) -> impl Future<Output = Stored<Self::Tx>> + Send;
    /// Removes erased data from every place where the database may still keep it. After a failure, the next sweep does
    /// it.
    fn purge_erased_data(&self) -> impl Future<Output = ()> + Send;
    /// Schedules [`Self::purge_erased_data`], for a caller that must not wait for it.
    fn purge_soon(&self);
    /// Brings the mark beside the keys up to what is committed, and returns what it says.
    fn update_mark(&self) -> impl Future<Output = Stored<StoreIdentity>> + Send;
}

/// Transaction of a [`Store`].
pub(crate) trait StoreTx:
    offers::OfferRows
    + collections::CollectionRows
    + collections::IndexRows
    + records::RecordRows
    + renewal::RenewalRows
    + status::StatusRows
    + expiry::ExpiryRows
    + Send
    + Sized
{
    /// Commits: what was written survives a power cut from here on.
    fn commit(self) -> impl Future<Output = Stored<()>> + Send;
}
