//! What the verifier keeps: requests, verdicts, and of claims those alone that a template says must be kept.
//!
//! [`Store`] is what a database has to offer; each method is one named transaction. SQLite is the first, and
//! PostgreSQL can be the second: nothing in the trait is of one of them.

use std::future::Future;

use carnet_core::time::Timestamp;

use crate::{
    ids::RequestId,
    verdicts::{KeptClaim, Verdict},
};

mod redemptions;
mod sqlite;
#[cfg(test)]
mod tests;
mod trust;

pub(crate) use redemptions::{DoubleUse, Reconciled, RedemptionStore, TakeError, WrittenOff};
pub(crate) use sqlite::{MIGRATIONS, Sqlite};
pub(crate) use trust::{Remembered, TrustStore};

/// How often one request may be answered wrongly before it is closed: enough for a wallet's mistakes,
/// too few to work a verifier with.
pub(crate) const MAX_ATTEMPTS: i64 = 10;

/// The store could not do it; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database said no.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row is not what this version writes.
    #[error("a stored request cannot be read")]
    Unreadable,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waiting for the holder.
    Open,
    /// Answered, and everything held. Final.
    Accepted,
    /// Answered, and something did not hold. It may be answered again until it expires or its attempts are used up.
    Refused,
    /// Nobody answered in time. Final.
    Expired,
    /// The holder had what was kept of it erased. Final.
    Erased,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Erased => "erased",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        [Self::Open, Self::Accepted, Self::Refused, Self::Expired, Self::Erased]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(StoreError::Unreadable)
    }
}

/// A request to be stored. It has no `Debug`: its nonce is for the holder alone.
pub(crate) struct NewRequest {
    pub(crate) id: RequestId,
    /// The caller's own name for the call.
    pub(crate) request_id: Option<String>,
    /// SHA-256 over the call's parameters.
    pub(crate) parameters_digest: [u8; 32],
    pub(crate) template: String,
    /// DCQL, as JSON text.
    pub(crate) query: String,
    pub(crate) audience: String,
    pub(crate) nonce: String,
    /// The signed request object (compact JWS).
    pub(crate) request_object: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When it is forgotten, verdict and all.
    pub(crate) keep_until: Timestamp,
}

/// A request as it is stored.
pub(crate) struct StoredRequest {
    /// Rising with each request: what pages are made of.
    pub(crate) number: i64,
    pub(crate) id: RequestId,
    pub(crate) parameters_digest: Vec<u8>,
    pub(crate) template: String,
    pub(crate) query: String,
    pub(crate) audience: String,
    pub(crate) nonce: String,
    pub(crate) request_object: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// When it is forgotten, verdict and all.
    pub(crate) keep_until: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) verdict: Option<Verdict>,
    /// When the holder had it erased.
    pub(crate) erased_at: Option<Timestamp>,
    stored_state: State,
}

impl StoredRequest {
    /// Where it stands at `now`, whether or not a sweep has passed since it expired.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match self.stored_state {
            State::Open if now >= self.expires_at => State::Expired,
            state => state,
        }
    }

    /// Whether nothing will change any more.
    pub(crate) fn is_final(&self, now: Timestamp) -> bool {
        match self.state(now) {
            State::Open => false,
            State::Accepted | State::Expired | State::Erased => true,
            State::Refused => now >= self.expires_at || self.attempts >= MAX_ATTEMPTS,
        }
    }

    /// Why it cannot be answered at `now`, if so.
    pub(crate) fn closed(&self, now: Timestamp) -> Option<Closed> {
        match self.state(now) {
            State::Accepted | State::Erased => Some(Closed::Answered),
            State::Expired => Some(Closed::Expired),
            State::Open | State::Refused if now >= self.expires_at => Some(Closed::Expired),
            State::Open | State::Refused if self.attempts >= MAX_ATTEMPTS => Some(Closed::Exhausted),
            State::Open | State::Refused => None,
        }
    }
}

/// Why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It was answered, and that was accepted.
    Answered,
    /// Its time is over.
    Expired,
    /// It was answered wrongly too often.
    Exhausted,
}

/// Whether an answer may be looked at.
pub(crate) enum Admission {
    /// It may, and it is counted.
    Admitted(Box<StoredRequest>),
    /// It may not.
    Closed(Closed),
    /// There is no such request.
    Unknown,
}

/// What a database has to offer. Each method is one transaction, and leaves nothing half done.
pub(crate) trait Store: TrustStore + RedemptionStore + Send + Sync + 'static {
    /// Stores a request. If one with its `request_id` is there, that one is returned and nothing is stored.
    fn create_request(
        &self,
        new: &NewRequest,
    ) -> impl Future<Output = Result<Option<StoredRequest>, StoreError>> + Send;

    /// Reads a request.
    fn request(&self, id: &RequestId) -> impl Future<Output = Result<Option<StoredRequest>, StoreError>> + Send;

    /// Counts an attempt to answer, before anything is verified, and refuses it if the request is closed.
    fn begin_answer(
        &self,
        id: &RequestId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Admission, StoreError>> + Send;

    /// Records a verdict. False if the request was accepted or expired meanwhile: then nothing changed, and the
    /// answer does not count. Of two answers at the same time exactly one gets true for an accepting verdict.
    /// What the template says must be kept of the claims is stored with it, or neither is.
    fn conclude(
        &self,
        id: &RequestId,
        verdict: &Verdict,
        kept: &[KeptClaim],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The claims that are kept of an answer, and not yet due, in the order of their paths.
    fn kept(&self, number: i64, now: Timestamp) -> impl Future<Output = Result<Vec<KeptClaim>, StoreError>> + Send;

    /// Erases verdict, claims and all else of a request but its id, and records when, if the verdict is the one that was
    /// made at that time and accepted or not: a receipt is good for its own verdict, and a stranger's refused answer must not
    /// erase an accepted one that came after it. The time of the first erasure; none if there is no such request, or another
    /// verdict of it.
    fn erase(
        &self,
        id: &RequestId,
        verdict: (bool, Timestamp),
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Requests with a number below `before`, newest first, at most `size`.
    fn requests(&self, before: i64, size: i64) -> impl Future<Output = Result<Vec<StoredRequest>, StoreError>> + Send;

    /// The latest time that an issuer signed as now; the beginning of time where none is known.
    fn clock_floor(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Raises it; by this it never falls.
    fn raise_clock_floor(&self, at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lowers it, by the word of the operator; false: it is no higher than that.
    fn lower_clock_floor(&self, to: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes what was erased out of the database's log too, as far as that can be had now; the next sweep tries again.
    fn settle(&self) -> impl Future<Output = ()> + Send;

    /// Erases query, nonce and object of what has expired and kept claims that are due, and forgets what is past its keeping. The ids of those that expired.
    fn sweep(&self, now: Timestamp) -> impl Future<Output = Result<Vec<RequestId>, StoreError>> + Send;
}
