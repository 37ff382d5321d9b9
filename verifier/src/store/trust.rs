//! Rows of trust lists: the newest accepted list for each list DID.

use carnet_core::trust::list::AcceptedList;

use super::StoreFuture;

/// State of the newest accepted trust list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListState {
    /// Sequence number, digest and history of the list, to detect an older or different one.
    pub(crate) accepted: AcceptedList,
    /// Newest timestamp of the list, as JSON text.
    pub(crate) timestamp: Option<String>,
    /// Reason why it is not used, if it was invalid when it was verified again.
    pub(crate) drop_reason: Option<String>,
    /// Digest of a list that is accepted once, even if it is older than the stored one or does not descend from it.
    pub(crate) accept_once: Option<String>,
}

/// Newest accepted trust list, with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustListRow {
    pub(crate) state: TrustListState,
    /// Text of the list.
    pub(crate) document: String,
}

/// Read operations on trust lists.
pub(crate) trait ReadTrustLists: Send {
    /// Returns the newest accepted list with this list DID (`name`).
    fn trust_list(&mut self, name: &str) -> impl StoreFuture<Option<TrustListRow>>;

    /// Returns only the state of that list.
    fn trust_list_state(&mut self, name: &str) -> impl StoreFuture<Option<TrustListState>>;
}

/// Write operations on trust lists.
pub(crate) trait WriteTrustLists: Send {
    /// Inserts or replaces the list with this list DID (`name`).
    fn put_trust_list(&mut self, name: &str, row: &TrustListRow) -> impl StoreFuture<()>;

    /// Sets the state of the stored list; the list itself stays.
    fn set_trust_list_state(&mut self, name: &str, state: &TrustListState) -> impl StoreFuture<()>;
}
