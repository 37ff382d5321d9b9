//! Newest accepted trust list in the store, and its replacement (spec/trust.md 4.2 to 4.6).

use carnet_core::trust::list::AcceptedList;

use crate::store::{
    ReadTrustLists as _, Store, StoreError, TrustListRow, TrustListState, WriteRows as _, WriteTrustLists as _,
};

/// Returns the newest accepted list with this list DID (`name`).
pub(crate) async fn stored_list<S: Store>(store: &S, name: &str) -> Result<Option<TrustListRow>, StoreError> {
    store.read().await?.trust_list(name).await
}

/// Stores a list, unless one with the same or a higher sequence number is stored and this one is not to be accepted
/// once. Returns the identity of the list that is then stored.
pub(crate) async fn store_list<S: Store>(
    store: &S,
    name: &str,
    seen: AcceptedList,
    document: String,
    timestamp: Option<String>,
) -> Result<AcceptedList, StoreError> {
    let mut transaction = store.begin("remember_trust_list").await?;
    let known = transaction.trust_list_state(name).await?;
    let mut accept = None;
    if let Some(known) = known {
        let is_accepted = known.accept_once.as_ref() == Some(&seen.digest);
        let is_same = known.accepted.sequence == seen.sequence && known.accepted.digest == seen.digest;
        if !(is_accepted || is_same || seen.sequence > known.accepted.sequence) {
            transaction.commit().await?;
            return Ok(known.accepted);
        }
        accept = known.accept_once.filter(|_| !is_accepted);
    }
    let state = TrustListState { accepted: seen.clone(), timestamp, drop_reason: None, accept_once: accept };
    transaction.put_trust_list(name, &TrustListRow { state, document }).await?;
    transaction.commit().await?;
    Ok(seen)
}

/// Stores a newer timestamp of the stored list, with the list's updated state; changes nothing if another list is
/// stored.
pub(super) async fn record_timestamp<S: Store>(
    store: &S,
    name: &str,
    seen: &AcceptedList,
    timestamp: &str,
) -> Result<(), StoreError> {
    let same = |state: &TrustListState| state.accepted.digest == seen.digest;
    let (seen, timestamp) = (seen.clone(), Some(timestamp.to_owned()));
    let stamped = |state: TrustListState| TrustListState { accepted: seen, timestamp, ..state };
    update_state(store, "stamp_trust_list", name, same, stamped).await.map(drop)
}

/// Records the reason why the stored list is not used, or `None` if it is used again; changes nothing if another list
/// is stored.
pub(super) async fn record_drop_reason<S: Store>(
    store: &S,
    name: &str,
    seen: &AcceptedList,
    why: Option<String>,
) -> Result<(), StoreError> {
    let same = |state: &TrustListState| state.accepted.digest == seen.digest;
    let dropped = |state: TrustListState| TrustListState { drop_reason: why, ..state };
    update_state(store, "note_dropped_trust_list", name, same, dropped).await.map(drop)
}

/// Records the digest of a list to be accepted once, regardless of the stored one. Returns `false` if no list is
/// stored.
pub(crate) async fn record_accept_once<S: Store>(store: &S, name: &str, digest: &str) -> Result<bool, StoreError> {
    let accepting = |state: TrustListState| TrustListState { accept_once: Some(digest.to_owned()), ..state };
    update_state(store, "accept_trust_list_once", name, |_| true, accepting).await
}

async fn update_state<S: Store>(
    store: &S,
    transaction: &'static str,
    name: &str,
    applies: impl FnOnce(&TrustListState) -> bool + Send,
    to: impl FnOnce(TrustListState) -> TrustListState + Send,
) -> Result<bool, StoreError> {
    let mut transaction = store.begin(transaction).await?;
    let Some(state) = transaction.trust_list_state(name).await?.filter(applies) else {
        transaction.commit().await?;
        return Ok(false);
    };
    transaction.set_trust_list_state(name, &to(state)).await?;
    transaction.commit().await?;
    Ok(true)
}
