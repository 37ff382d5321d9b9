//! Expired data to be erased, and the record of the publication.

use carnet_core::time::Timestamp;

use super::Stored;

/// Kinds of rows with an expiry time of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiringRows {
    /// Used nonces that have expired.
    Nonces,
    /// Encrypted responses that were not acknowledged.
    Responses,
    /// Renewals that waited too long for staff or for the wallet.
    Renewals,
    /// Expired copies, whose key, digest and handle are no longer looked up.
    Copies,
    /// Cohorts whose credentials have expired.
    Cohorts,
}

/// Record of the publication.
#[derive(Debug, Clone)]
pub(crate) struct PublicationRecord {
    /// Id of the store.
    pub(crate) store: String,
    /// Publication number.
    pub(crate) number: i64,
    /// Last time at which the number was incremented without an act.
    pub(crate) noted_at: Timestamp,
}

/// Store operations on rows that expire. At most `limit` rows are read or erased at a time, in the order of expiry.
pub(crate) trait ExpiryRows {
    /// Returns offers that were not redeemed or collected in time.
    fn expired_offers(&mut self, now: Timestamp, limit: i64) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Erases rows that expired by a time, and returns their number.
    fn erase(&mut self, rows: ExpiringRows, until: Timestamp, limit: i64) -> impl Future<Output = Stored<u64>> + Send;
    /// Returns offers whose records are past their retention period.
    fn records_due(&mut self, before: Timestamp, limit: i64) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Returns the latest end of an offer, its copies and its renewals; `now` for an open one.
    fn latest_end(&mut self, offer_id: &str, now: Timestamp) -> impl Future<Output = Stored<Timestamp>> + Send;
    /// Sets the start of the record's retention period.
    fn set_record_from(&mut self, offer_id: &str, from: Timestamp) -> impl Future<Output = Stored<()>> + Send;
    /// Erases the record of an offer, and the names of staff in its renewals.
    fn delete_record(&mut self, offer_id: &str) -> impl Future<Output = Stored<()>> + Send;
    fn publication(&mut self) -> impl Future<Output = Stored<PublicationRecord>> + Send;
    /// Returns the former ids of the store, from before it was restored.
    fn former_stores(&mut self) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Increments the publication number, if the store changed since the last increment.
    fn raise_publication(&mut self, now: Timestamp) -> impl Future<Output = Stored<()>> + Send;
}
