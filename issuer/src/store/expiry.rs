//! Expired data: what the sweep erases, and the record of the publication.

use carnet_core::time::Timestamp;

use super::Stored;

/// Kinds of rows that end at a time of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiringRows {
    /// Nonces too old to be used again.
    Nonces,
    /// Sealed responses that were not acknowledged.
    Responses,
    /// Renewals that waited too long for staff or for their wallet.
    Renewals,
    /// Expired copies: nothing looks them up by key, digest or handle any more.
    Copies,
    /// Cohorts whose credentials have expired.
    Cohorts,
}

/// State of the publication.
#[derive(Debug, Clone)]
pub(crate) struct PublicationRecord {
    /// Id of the store.
    pub(crate) store: String,
    /// Number of the publication.
    pub(crate) number: i64,
    /// Last time at which the number was raised without an act.
    pub(crate) noted_at: Timestamp,
}

/// Rows that expire. At most `limit` rows are read and erased at a time, in the order of their ends.
pub(crate) trait ExpiryRows {
    /// Returns offers that nobody redeemed or collected in time.
    fn expired_offers(&mut self, now: Timestamp, limit: i64) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Erases rows that ended by a time, and returns their number.
    fn erase(&mut self, rows: ExpiringRows, until: Timestamp, limit: i64) -> impl Future<Output = Stored<u64>> + Send;
    /// Returns offers whose records are due to be forgotten by a time.
    fn ended_records(&mut self, before: Timestamp, limit: i64) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Returns the end of an offer, of its copies and of its renewals; that of an open one is `now`.
    fn record_end(&mut self, offer_id: &str, now: Timestamp) -> impl Future<Output = Stored<Timestamp>> + Send;
    /// Sets the time from which the record's retention period counts.
    fn set_record_from(&mut self, offer_id: &str, from: Timestamp) -> impl Future<Output = Stored<()>> + Send;
    /// Erases the record of an offer, and the names of staff in its renewals.
    fn forget_record(&mut self, offer_id: &str) -> impl Future<Output = Stored<()>> + Send;
    fn publication(&mut self) -> impl Future<Output = Stored<PublicationRecord>> + Send;
    /// Returns the ids that the store had before it was restored.
    fn former_stores(&mut self) -> impl Future<Output = Stored<Vec<String>>> + Send;
    /// Raises the number of the publication, if the store changed since it was noted.
    fn raise_publication(&mut self, now: Timestamp) -> impl Future<Output = Stored<()>> + Send;
}
