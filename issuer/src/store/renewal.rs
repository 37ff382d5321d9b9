//! Stored renewals, and decisions of staff on them and on deferred offers.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{
    PageSlice, StoreError, StoreResult,
    issuances::{IssuanceRecord, ReissueTerms},
    status::StatusState,
};
use crate::secrets::Sha256Hash;

/// State of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalState {
    /// Waiting for the decision of staff.
    Pending,
    /// Approved by staff, and not yet collected by the wallet.
    Approved,
    Rejected,
    /// Issued; a renewal that needs no approval has this state from its intent on.
    Issued,
    /// Not decided or fetched in time, or replaced by a newer request of its wallet.
    Lapsed,
}

impl RenewalState {
    pub(crate) const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Rejected, Self::Issued, Self::Lapsed];

    /// Returns the stored name of the state.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Issued => "issued",
            Self::Lapsed => "lapsed",
        }
    }

    /// Parses a stored state.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub(crate) fn parse(text: &str) -> StoreResult<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(StoreError::Corrupt("renewals.state"))
    }
}

/// Renewal without its claims and keys.
#[derive(Debug, Clone)]
pub(crate) struct RenewalRecord {
    /// Sequence number, in the order of the requests.
    pub(crate) seq: i64,
    pub(crate) renewal_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) state: RenewalState,
    /// Number of the renewal of its credential: 1 for the first.
    pub(crate) generation: u32,
    /// Expiry of the renewed copies.
    pub(crate) valid_until: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    /// Name of the staff member who decided; empty once the record is erased.
    pub(crate) decided_by: Option<String>,
    /// Reason of the decision.
    pub(crate) reason: Option<String>,
}

/// Decision of staff on a pending renewal or a deferred offer.
#[derive(Debug, Clone)]
pub(crate) struct StaffDecision {
    /// `true` approves or releases, `false` rejects.
    pub(crate) approve: bool,
    /// Reason, which may be empty for an approval; the wallet receives that of a rejection.
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) staff_name: String,
    /// Time of the decision.
    pub(crate) now: Timestamp,
}

/// Data of a renewal that is kept until staff decide and the wallet fetches it.
pub(crate) struct NewPendingRenewal {
    pub(crate) transaction_hash: Sha256Hash,
    /// Claims, encrypted with a key derived from the transaction id, which is not stored.
    pub(crate) claims: Vec<u8>,
    /// Public keys of the copies as a JSON array of JWKs.
    pub(crate) holder_keys: String,
    /// Deadline for the decision and for the wallet's request.
    pub(crate) wait_until: Timestamp,
}

impl std::fmt::Debug for NewPendingRenewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPendingRenewal(redacted)")
    }
}

/// Renewal to be stored.
#[derive(Debug)]
pub(crate) struct NewRenewal<'a> {
    pub(crate) renewal_id: &'a str,
    pub(crate) offer_id: &'a str,
    pub(crate) terms: ReissueTerms,
    pub(crate) request_digest: &'a Sha256Hash,
    pub(crate) notification_hash: &'a Sha256Hash,
    /// JWK thumbprints of the new copies' keys.
    pub(crate) thumbprints: &'a [String],
    /// Data to keep until staff decide; `None`: no approval is needed, and the renewal is stored as issued.
    pub(crate) pending: Option<&'a NewPendingRenewal>,
    pub(crate) now: Timestamp,
}

/// Renewal in any state, found by its transaction id, with the data that its issuance needs.
#[derive(Debug)]
pub(crate) struct DeferredRenewal {
    pub(crate) record: RenewalRecord,
    pub(crate) format: CredentialFormat,
    pub(crate) terms: ReissueTerms,
    pub(crate) request_digest: Sha256Hash,
    /// Deadline for the decision and for the wallet's request.
    pub(crate) wait_until: Option<Timestamp>,
    /// Claims, encrypted with a key derived from the transaction id; `None` if they are erased.
    pub(crate) claims: Option<Vec<u8>>,
    /// Public keys of the copies as a JSON array of JWKs; empty if they are erased.
    pub(crate) holder_keys: String,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) notification_hash: Sha256Hash,
    /// Number of its stored credential request; `None` before the intent to sign is stored.
    pub(crate) issuance: Option<i64>,
}

/// Times of a pending or approved renewal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingRenewalTimes {
    pub(crate) asked_at: Timestamp,
    /// Time of the approval; `None` if it is pending.
    pub(crate) decided_at: Option<Timestamp>,
    /// Deadline for the decision and for the wallet's request.
    pub(crate) wait_until: Timestamp,
}

/// Store operations on renewals.
pub(crate) trait RenewalRows {
    /// Returns the most severe status of an offer's copies: revoked, then suspended, then valid.
    fn most_severe_state(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<StatusState>> + Send;
    /// Stores a renewal: as pending, with the data to keep, or as issued if it needs no approval.
    fn insert_renewal(&mut self, new: &NewRenewal<'_>) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the times of an offer's pending and approved renewals.
    fn pending_renewals(
        &mut self,
        offer_id: &str,
    ) -> impl Future<Output = StoreResult<Vec<PendingRenewalTimes>>> + Send;
    /// Returns the times of an offer's latest renewal requests that required a decision of staff, at most `limit`,
    /// newest first.
    fn deferred_renewal_request_times(
        &mut self,
        offer_id: &str,
        limit: i64,
    ) -> impl Future<Output = StoreResult<Vec<Timestamp>>> + Send;
    /// Marks an offer's pending and approved renewals as lapsed, and erases their claims and keys.
    fn lapse_renewals(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<()>> + Send;
    fn renewal(&mut self, renewal_id: &str) -> impl Future<Output = StoreResult<Option<RenewalRecord>>> + Send;
    /// Returns the renewal with this hash of a transaction id, in any state.
    fn renewal_by_transaction(
        &mut self,
        transaction_hash: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<DeferredRenewal>>> + Send;
    /// Links a renewal to the stored credential request of its copies.
    fn set_renewal_issuance(
        &mut self,
        renewal_id: &str,
        collection: i64,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Stores the decision of staff, and changes the state to approved or rejected; a rejection erases claims and keys.
    fn store_renewal_decision(
        &mut self,
        renewal_id: &str,
        decision: &StaffDecision,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Marks an approved renewal as issued, and erases its claims and keys; returns `false`, and changes nothing, if it
    /// is not approved.
    fn mark_renewal_issued(&mut self, renewal_id: &str) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Marks the renewal with this credential request as issued, if it is approved; otherwise does nothing.
    fn mark_renewal_of_issuance(&mut self, collection: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the stored credential request of a renewal's copies; `None` before the intent to sign is stored.
    fn issuance_of_renewal(
        &mut self,
        renewal_id: &str,
    ) -> impl Future<Output = StoreResult<Option<IssuanceRecord>>> + Send;
    /// Returns renewals in a state (`None`: in any), newest first, without those whose records were erased.
    fn renewals(
        &mut self,
        state: Option<RenewalState>,
        slice: PageSlice,
    ) -> impl Future<Output = StoreResult<Vec<RenewalRecord>>> + Send;
}
