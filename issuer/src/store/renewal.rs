//! Renewals: pending requests, the decisions of staff, and the results.

use carnet_core::{epoch::Epoch, format::CredentialFormat, time::Timestamp};

use super::{Finished, OfferRecord, Refill, SignedCopies, Slice};
use crate::{error::Error, nonces::Nonce, secrets::Hash};

/// Renewal rules of a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Time before its end from which a credential is renewable, in seconds.
    pub(crate) window: i64,
    /// Time by which the renewed credential ends later, in seconds.
    pub(crate) longer: i64,
    /// Maximum number of renewals.
    pub(crate) most: u32,
    /// Epoch of the type.
    pub(crate) epoch: Epoch,
}

/// Renewal request with a verified presentation and verified proofs.
#[derive(Debug)]
pub(crate) struct RenewalIntent {
    /// Digest of the presented copy.
    pub(crate) copy: Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Hash,
    pub(crate) notification_hash: Hash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    pub(crate) terms: Terms,
    /// Maximum number of copies by refill and renewal per day, for one offer.
    pub(crate) per_day: u32,
    /// Data to keep until staff decide; `None`: no approval is needed.
    pub(crate) waiting: Option<NewWaiting>,
    pub(crate) now: Timestamp,
}

/// Data of a renewal that waits for staff.
pub(crate) struct NewWaiting {
    pub(crate) transaction_hash: Hash,
    /// Claims, sealed under the transaction id, which is not stored.
    pub(crate) claims: Vec<u8>,
    /// Public keys of the copies as a JSON array.
    pub(crate) holder_keys: String,
    pub(crate) until: Timestamp,
}

impl std::fmt::Debug for NewWaiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewWaiting(redacted)")
    }
}

/// Outcome of a renewal that waited for staff.
#[derive(Debug)]
pub(crate) enum Waited {
    /// Undecided.
    Pending,
    /// Approved and to be signed; the intent is stored.
    Sign(Box<Approved>),
}

/// Approved renewal.
#[derive(Debug)]
pub(crate) struct Approved {
    pub(crate) renewal_id: String,
    pub(crate) refill: Refill,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) request_digest: Hash,
    pub(crate) claims: Vec<u8>,
    pub(crate) holder_keys: String,
}

/// State of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalState {
    Pending,
    /// Approved, and not collected by its wallet yet.
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

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Error::Corrupt("renewals.state"))
    }
}

/// Renewal without its claims and keys.
#[derive(Debug, Clone)]
pub(crate) struct RenewalRecord {
    pub(crate) seq: i64,
    pub(crate) renewal_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) state: RenewalState,
    /// Ordinal number of this renewal of its credential.
    pub(crate) generation: u32,
    pub(crate) valid_until: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) decided_by: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Decision of staff on a pending request.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) approve: bool,
    /// Reason; a wallet is told that of a refusal.
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) who: String,
    /// Time of the decision.
    pub(crate) now: Timestamp,
}

pub(crate) trait RenewalStore {
    /// Stores the intent to sign, or a request that waits for staff (`None`), and the use of the nonce.
    fn intend_renewal(&self, intent: RenewalIntent) -> impl Future<Output = Result<Option<Refill>, Error>> + Send;
    /// Stores the intent to sign a renewal that waited; `None` if there is none with this transaction id.
    fn intend_waited(
        &self,
        transaction_hash: Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Waited>, Error>> + Send;
    /// Erases the claims, marks the copies as issued with their names, and stores the sealed response.
    fn finish_waited(
        &self,
        renewal_id: &str,
        copies: SignedCopies<'_>,
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Finished, Error>> + Send;
    /// Records the decision of staff. Idempotent.
    fn decide(&self, renewal_id: &str, decision: Decision)
    -> impl Future<Output = Result<RenewalRecord, Error>> + Send;
    /// Records the decision of staff on a deferred offer; a refusal closes it and erases its claims.
    fn decide_offer(
        &self,
        offer_id: &str,
        decision: Decision,
    ) -> impl Future<Output = Result<OfferRecord, Error>> + Send;
    /// Returns renewals, newest first.
    fn renewals(
        &self,
        state: Option<RenewalState>,
        slice: Slice,
    ) -> impl Future<Output = Result<Vec<RenewalRecord>, Error>> + Send;
}
