//! Renewals: what waits for staff, what they decided, what came of it.

use carnet_core::{epoch::Epoch, time::Timestamp};

use super::{CopyNames, Finished, OfferRecord, Refill, Slice};
use crate::{error::Error, format::Format, nonces::Nonce, secrets::Hash};

/// What the operator allows for a type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long before its end a credential may be renewed, in seconds.
    pub(crate) window: i64,
    /// How much later the renewed one ends, in seconds.
    pub(crate) longer: i64,
    /// How often one may be renewed.
    pub(crate) most: u32,
    /// The epoch of the type.
    pub(crate) epoch: Epoch,
}

/// A request for renewed copies; the copy that was shown, its key binding and the proofs hold.
#[derive(Debug)]
pub(crate) struct RenewalIntent {
    /// The digest of the copy that was shown.
    pub(crate) copy: Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Hash,
    pub(crate) notification_hash: Hash,
    /// The thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    pub(crate) terms: Terms,
    /// The most copies by refill and renewal in a day, for one offer.
    pub(crate) per_day: u32,
    /// What is kept until staff decide; `None`: nobody has to.
    pub(crate) waiting: Option<NewWaiting>,
    pub(crate) now: Timestamp,
}

/// What is kept until staff decide.
pub(crate) struct NewWaiting {
    pub(crate) transaction_hash: Hash,
    /// The claims, sealed under the transaction id, which is not stored.
    pub(crate) claims: Vec<u8>,
    /// The copies' public keys as a JSON array.
    pub(crate) holder_keys: String,
    pub(crate) until: Timestamp,
}

impl std::fmt::Debug for NewWaiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewWaiting(redacted)")
    }
}

/// What is to be done about a renewal that waited for staff.
#[derive(Debug)]
pub(crate) enum Waited {
    /// They have not decided.
    Pending,
    /// They approved: sign these; the intent is stored.
    Sign(Box<Approved>),
}

/// An approved renewal.
#[derive(Debug)]
pub(crate) struct Approved {
    pub(crate) renewal_id: String,
    pub(crate) refill: Refill,
    pub(crate) credential_type: String,
    pub(crate) format: Format,
    pub(crate) request_digest: Hash,
    pub(crate) claims: Vec<u8>,
    pub(crate) holder_keys: String,
}

/// Where a renewal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalState {
    Pending,
    /// Its wallet has not collected it yet.
    Approved,
    Rejected,
    Issued,
    /// It waited for too long, or its wallet asked anew.
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

/// A renewal, without claims and keys.
#[derive(Debug, Clone)]
pub(crate) struct RenewalRecord {
    pub(crate) seq: i64,
    pub(crate) renewal_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) state: RenewalState,
    /// The how manieth it is of its credential.
    pub(crate) generation: u32,
    pub(crate) valid_until: Timestamp,
    pub(crate) asked_at: Timestamp,
    pub(crate) decided_at: Option<Timestamp>,
    pub(crate) decided_by: Option<String>,
    pub(crate) reason: Option<String>,
}

/// What staff say to what waits for them.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) approve: bool,
    /// Why; told to the wallet where it is a no.
    pub(crate) reason: String,
    /// Who of staff.
    pub(crate) who: String,
    /// When.
    pub(crate) now: Timestamp,
}

/// Renewals.
pub(crate) trait RenewalStore {
    /// Stores what is about to be signed, or what waits for staff (`None`), and that the nonce was used.
    fn intend_renewal(&self, intent: RenewalIntent) -> impl Future<Output = Result<Option<Refill>, Error>> + Send;
    /// The same for a renewal that waited; `None` if no renewal waits under this transaction.
    fn intend_waited(
        &self,
        transaction_hash: Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Waited>, Error>> + Send;
    /// Erases the claims, marks the copies as issued with their names, keeps the sealed answer.
    fn finish_waited(
        &self,
        renewal_id: &str,
        names: &[Option<CopyNames>],
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Finished, Error>> + Send;
    /// Writes down what staff decided. The same again changes nothing.
    fn decide(&self, renewal_id: &str, decision: Decision)
    -> impl Future<Output = Result<RenewalRecord, Error>> + Send;
    /// The same for a deferred offer: a no closes it and erases its claims.
    fn decide_offer(
        &self,
        offer_id: &str,
        decision: Decision,
    ) -> impl Future<Output = Result<OfferRecord, Error>> + Send;
    /// Renewals, newest first.
    fn renewals(
        &self,
        state: Option<RenewalState>,
        slice: Slice,
    ) -> impl Future<Output = Result<Vec<RenewalRecord>, Error>> + Send;
}
