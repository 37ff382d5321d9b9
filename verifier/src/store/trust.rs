//! Rows of trust lists: the newest accepted list under each name.

use carnet_core::trust::list::Seen;

use super::StoreFuture;

/// State of the newest accepted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListState {
    /// Number and digest of the list, and what is remembered of the lists before it.
    pub(crate) seen: Seen,
    /// Newest timestamp of the list.
    pub(crate) timestamp: Option<String>,
    /// Reason why it is no longer used, if it was invalid when verified again.
    pub(crate) dropped: Option<String>,
    /// Digest of a list to accept once, whatever is stored.
    pub(crate) accept: Option<String>,
}

/// Newest accepted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListRow {
    pub(crate) state: TrustListState,
    /// Text of the list.
    pub(crate) document: String,
}

/// Reads of trust lists.
pub(crate) trait ReadTrustLists: Send {
    /// Returns the newest list with this name.
    fn trust_list(&mut self, name: &str) -> impl StoreFuture<Option<TrustListRow>>;

    /// Returns its state only.
    fn trust_list_state(&mut self, name: &str) -> impl StoreFuture<Option<TrustListState>>;
}

/// Changes of trust lists.
pub(crate) trait WriteTrustLists: Send {
    /// Inserts or replaces the list with this name.
    fn put_trust_list(&mut self, name: &str, row: &TrustListRow) -> impl StoreFuture<()>;

    /// Sets the state of the stored list.
    fn set_trust_list_state(&mut self, name: &str, state: &TrustListState) -> impl StoreFuture<()>;
}
