//! Renewals: pending requests, and the decisions of staff on them and on deferred offers.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{
    PageSlice, StoreError, Stored,
    collections::{CollectionRecord, ReissueTerms},
    status::StatusState,
};
use crate::secrets::SecretHash;

/// State of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalState {
    Pending,
    /// Approved by staff, and not yet collected by the wallet.
    Approved,
    Rejected,
    Issued,
    /// Expired, or replaced by a newer request of its wallet.
    Lapsed,
}

impl RenewalState {
    pub(crate) const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Rejected, Self::Issued, Self::Lapsed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Issued => "issued",
            Self::Lapsed => "lapsed",
        }
    }

    pub(crate) fn parse(text: &str) -> Stored<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(StoreError::Corrupt("renewals.state"))
    }
}

/// Renewal, without its claims and keys.
#[derive(Debug, Clone)]
pub(crate) struct RenewalRecord {
    pub(crate) seq: i64,
    pub(crate) renewal_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) state: RenewalState,
    /// Number of the renewal of its credential, from 1.
    pub(crate) generation: u32,
    pub(crate) valid_until: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) decided_by: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Decision of staff on a pending renewal or a deferred offer.
#[derive(Debug, Clone)]
pub(crate) struct StaffDecision {
    pub(crate) approve: bool,
    /// Reason; sent to the wallet in case of a refusal.
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) who: String,
    /// Time of the decision.
    pub(crate) now: Timestamp,
}

/// Data of a renewal that requires a decision of staff.
pub(crate) struct NewPendingRenewal {
    pub(crate) transaction_hash: SecretHash,
    /// Claims, encrypted with the transaction id, which is not stored.
    pub(crate) claims: Vec<u8>,
    /// Public keys of the copies as a JSON array.
    pub(crate) holder_keys: String,
    pub(crate) until: Timestamp,
}

impl std::fmt::Debug for NewPendingRenewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewWaiting(redacted)")
    }
}

/// Renewal to be stored.
#[derive(Debug)]
pub(crate) struct NewRenewal<'a> {
    pub(crate) renewal_id: &'a str,
    pub(crate) offer_id: &'a str,
    pub(crate) terms: ReissueTerms,
    pub(crate) request_digest: &'a SecretHash,
    pub(crate) notification_hash: &'a SecretHash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: &'a [String],
    /// Data to store until staff decide; `None`: no approval is needed.
    pub(crate) waiting: Option<&'a NewPendingRenewal>,
    pub(crate) now: Timestamp,
}

/// Renewal found by its transaction id.
#[derive(Debug)]
pub(crate) struct PendingRenewal {
    pub(crate) record: RenewalRecord,
    pub(crate) format: CredentialFormat,
    pub(crate) terms: ReissueTerms,
    pub(crate) request_digest: SecretHash,
    /// Deadline for the decision and the collection.
    pub(crate) wait_until: Option<Timestamp>,
    /// Encrypted claims; `None`: erased.
    pub(crate) claims: Option<Vec<u8>>,
    pub(crate) holder_keys: String,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) notification_hash: SecretHash,
    /// Number of its collection, once the intent is stored.
    pub(crate) collection: Option<i64>,
}

/// Times of a pending or approved renewal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingTimes {
    pub(crate) asked_at: Timestamp,
    /// Time of the approval; `None`: pending.
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) wait_until: Timestamp,
}

/// Store operations on renewals.
pub(crate) trait RenewalRows {
    /// Returns the most severe state of a credential's copies.
    fn most_severe_state(&mut self, offer_id: &str) -> impl Future<Output = Stored<StatusState>> + Send;
    fn insert_renewal(&mut self, new: &NewRenewal<'_>) -> impl Future<Output = Stored<()>> + Send;
    /// Returns the times of an offer's pending and approved renewals.
    fn pending_renewals(&mut self, offer_id: &str) -> impl Future<Output = Stored<Vec<PendingTimes>>> + Send;
    /// Returns the times of an offer's renewals that required a decision of staff, newest first.
    fn renewal_request_times(
        &mut self,
        offer_id: &str,
        limit: i64,
    ) -> impl Future<Output = Stored<Vec<Timestamp>>> + Send;
    /// Marks an offer's pending and approved renewals as lapsed.
    fn lapse_renewals(&mut self, offer_id: &str) -> impl Future<Output = Stored<()>> + Send;
    fn renewal(&mut self, renewal_id: &str) -> impl Future<Output = Stored<Option<RenewalRecord>>> + Send;
    fn renewal_by_transaction(
        &mut self,
        transaction_hash: &SecretHash,
    ) -> impl Future<Output = Stored<Option<PendingRenewal>>> + Send;
    /// Stores the collection of a renewal.
    fn set_renewal_collection(&mut self, renewal_id: &str, collection: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Stores the decision of staff; a refusal erases claims and keys.
    fn decide_renewal(&mut self, renewal_id: &str, decision: &StaffDecision)
    -> impl Future<Output = Stored<()>> + Send;
    /// Marks an approved renewal as issued, and erases claims and keys; returns `false` if it is not approved.
    fn issue_renewal(&mut self, renewal_id: &str) -> impl Future<Output = Stored<bool>> + Send;
    /// Marks the renewal of a collection as issued, if it is approved.
    fn issue_renewal_of(&mut self, collection: i64) -> impl Future<Output = Stored<()>> + Send;
    fn collection_of_renewal(
        &mut self,
        renewal_id: &str,
    ) -> impl Future<Output = Stored<Option<CollectionRecord>>> + Send;
    /// Returns renewals, newest first.
    fn renewals(
        &mut self,
        state: Option<RenewalState>,
        slice: PageSlice,
    ) -> impl Future<Output = Stored<Vec<RenewalRecord>>> + Send;
}
