//! Rows of trust lists: the newest accepted list for each name.

use carnet_core::trust::list::AcceptedList;

use super::StoreFuture;

/// State of the newest accepted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListState {
    /// Identity of the list, to detect rollback.
    pub(crate) seen: AcceptedList,
    /// Newest timestamp of the list, as text.
    pub(crate) timestamp: Option<String>,
    /// Reason why it is no longer used, if it was invalid when verified again.
    pub(crate) dropped: Option<String>,
    /// Digest of a list to accept once, regardless of the stored one.
    pub(crate) accept: Option<String>,
}

/// Newest accepted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListRow {
    pub(crate) state: TrustListState,
    /// Text of the list.
    pub(crate) document: String,
}

/// Read operations on trust lists.
pub(crate) trait ReadTrustLists: Send {
    /// Returns the newest list for this name.
    fn trust_list(&mut self, name: &str) -> impl StoreFuture<Option<TrustListRow>>;

    /// Returns only its state.
    fn trust_list_state(&mut self, name: &str) -> impl StoreFuture<Option<TrustListState>>;
}

/// Write operations on trust lists.
pub(crate) trait WriteTrustLists: Send {
    /// Inserts or replaces the list for this name.
    fn put_trust_list(&mut self, name: &str, row: &TrustListRow) -> impl StoreFuture<()>;

    /// Sets the state of the stored list.
    fn set_trust_list_state(&mut self, name: &str, state: &TrustListState) -> impl StoreFuture<()>;
}
