//! Expired data to be erased, and the publication number.

use carnet_core::time::Timestamp;

use super::{StoreResult, offers::OfferState};

/// Kinds of data with an expiry time in their own rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiringRows {
    /// Used nonces that have expired.
    Nonces,
    /// Encrypted responses that no wallet acknowledged in time.
    Responses,
    /// Pending and approved renewals whose deadline is over.
    Renewals,
    /// Key thumbprints, digests and handle hashes of expired copies.
    Copies,
    /// Counters of cohorts whose copies have expired.
    Cohorts,
}

/// Identity of the store in its publications.
#[derive(Debug, Clone)]
pub(crate) struct PublicationRecord {
    /// Id of the store.
    pub(crate) store_id: String,
    /// Publication number, which increases with each act of staff and each new list, and otherwise at most once a day.
    pub(crate) number: i64,
    /// Time of the last daily check, which increments the number if the store changed.
    pub(crate) raised_at: Timestamp,
}

/// Ends of an offer, its copies and its renewals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfferEnds {
    pub(crate) state: OfferState,
    /// End of the credential when it was offered.
    pub(crate) valid_until: Timestamp,
    /// End of the time for its collection.
    pub(crate) collect_until: Timestamp,
    /// Latest end of its copies; `None`: there are none.
    pub(crate) copies_until: Option<Timestamp>,
    /// `true` if a renewal is pending or approved.
    pub(crate) renewing: bool,
}

/// Store operations on data that expires. Operations with a `limit` process at most that many rows of a kind, in the
/// order of expiry.
pub(crate) trait ExpiryRows {
    /// Returns the ids of open offers whose expiry, and of redeemed offers whose retention of claims, is at or before
    /// `now`; at most `limit` of each.
    fn expired_offers(&mut self, now: Timestamp, limit: i64) -> impl Future<Output = StoreResult<Vec<String>>> + Send;
    /// Erases data of this kind that expired by `until`, and returns the number of rows; for copies, the number of
    /// credential requests whose copies were processed.
    fn erase(
        &mut self,
        rows: ExpiringRows,
        until: Timestamp,
        limit: i64,
    ) -> impl Future<Output = StoreResult<u64>> + Send;
    /// Returns the ids of offers whose record's retention period starts at or before `before`.
    fn expired_records(
        &mut self,
        before: Timestamp,
        limit: i64,
    ) -> impl Future<Output = StoreResult<Vec<String>>> + Send;
    /// Returns the ends of an offer, its copies and its renewals.
    fn offer_ends(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<OfferEnds>> + Send;
    /// Sets the start of the retention period of an offer's record.
    fn set_retention_start(&mut self, offer_id: &str, from: Timestamp) -> impl Future<Output = StoreResult<()>> + Send;
    /// Erases the record of an offer: its request, reference, secrets' hashes, the names of staff, and the reasons of
    /// decisions. The remaining row says that status indices were used, when, and for which type.
    fn erase_record(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the store's id and publication number.
    fn publication_record(&mut self) -> impl Future<Output = StoreResult<PublicationRecord>> + Send;
    /// Returns the ids that the store had before it was restored from older backups.
    fn former_store_ids(&mut self) -> impl Future<Output = StoreResult<Vec<String>>> + Send;
    /// Increments the publication number if the store changed since the last call, and records the time.
    fn raise_publication_number(&mut self, now: Timestamp) -> impl Future<Output = StoreResult<()>> + Send;
}
