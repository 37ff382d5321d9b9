//! Store of the verifier: requests, verdicts, and only those claims that a template says must be kept.
//!
//! [`Store`] is the interface of a database; each method is one named transaction. The trait is independent of SQLite,
//! which is the first implementation, so that PostgreSQL can be the second.

use std::future::Future;

use carnet_core::time::Timestamp;

use crate::{disclosed::KeptClaim, ids::RequestId, verdicts::Verdict};

mod redemptions;
mod sqlite;
#[cfg(test)]
mod tests;
mod trust;

pub(crate) use redemptions::{DoubleUse, Reconciled, RedemptionStore, TakeError, WrittenOff};
pub(crate) use sqlite::{MIGRATIONS, Sqlite};
pub(crate) use trust::{Remembered, TrustStore};

/// Number of wrong answers after which a request is closed: enough for a wallet's mistakes, and too few to overload a
/// verifier.
pub(crate) const MAX_ATTEMPTS: i64 = 10;

/// Error of the store; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Error of the database.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row is malformed.
    #[error("a stored request cannot be read")]
    Unreadable,
}

/// State of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waiting for the holder.
    Open,
    /// Answered and accepted. Final.
    Accepted,
    /// Answered and refused. It can be answered again until it expires or its attempts are used up.
    Refused,
    /// Not answered in time. Final.
    Expired,
    /// Its stored data was erased at the holder's request. Final.
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

/// Request to be stored. It has no `Debug`: its nonce is for the holder only.
pub(crate) struct NewRequest {
    pub(crate) id: RequestId,
    /// Id that the caller gave to the call.
    pub(crate) request_id: Option<String>,
    /// SHA-256 over the parameters of the call.
    pub(crate) parameters_digest: [u8; 32],
    pub(crate) template: String,
    /// DCQL query, as JSON text.
    pub(crate) query: String,
    pub(crate) audience: String,
    pub(crate) nonce: String,
    /// Signed request object (compact JWS).
    pub(crate) request_object: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Time at which it is deleted, with its verdict.
    pub(crate) keep_until: Timestamp,
}

/// Stored request.
pub(crate) struct StoredRequest {
    /// Sequence number, used for paging.
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
    /// Time at which it is deleted, with its verdict.
    pub(crate) keep_until: Timestamp,
    pub(crate) attempts: i64,
    pub(crate) verdict: Option<Verdict>,
    /// Time of its erasure at the holder's request.
    pub(crate) erased_at: Option<Timestamp>,
    stored_state: State,
}

impl StoredRequest {
    /// Returns the state at `now`, whether or not a sweep has run since it expired.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match self.stored_state {
            State::Open if now >= self.expires_at => State::Expired,
            state => state,
        }
    }

    /// Tests if the state is final.
    pub(crate) fn is_final(&self, now: Timestamp) -> bool {
        match self.state(now) {
            State::Open => false,
            State::Accepted | State::Expired | State::Erased => true,
            State::Refused => now >= self.expires_at || self.attempts >= MAX_ATTEMPTS,
        }
    }

    /// Returns the reason why it cannot be answered at `now`, if there is one.
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

/// Reason why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It has an accepted answer.
    Answered,
    /// It has expired.
    Expired,
    /// It had too many wrong answers.
    Exhausted,
}

/// Admission of an answer.
pub(crate) enum Admission {
    /// Admitted and counted.
    Admitted(Box<StoredRequest>),
    /// The request is closed.
    Closed(Closed),
    /// The request is unknown.
    Unknown,
}

/// Interface of a database. Each method is one atomic transaction.
pub(crate) trait Store: TrustStore + RedemptionStore + Send + Sync + 'static {
    /// Stores a request. If one with its `request_id` exists, that one is returned and nothing is stored.
    fn create_request(
        &self,
        new: &NewRequest,
    ) -> impl Future<Output = Result<Option<StoredRequest>, StoreError>> + Send;

    /// Reads a request.
    fn request(&self, id: &RequestId) -> impl Future<Output = Result<Option<StoredRequest>, StoreError>> + Send;

    /// Counts an attempt to answer before anything is verified, and refuses it if the request is closed.
    fn begin_answer(
        &self,
        id: &RequestId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Admission, StoreError>> + Send;

    /// Records a verdict, together with the claims that the template says must be kept. Returns false, and changes
    /// nothing, if the request was accepted or has expired in the meantime: the answer does not count. Of two
    /// concurrent accepting verdicts exactly one gets true.
    fn conclude(
        &self,
        id: &RequestId,
        verdict: &Verdict,
        kept: &[KeptClaim],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns the stored claims of an answer that are not due for erasure, ordered by path.
    fn kept(&self, number: i64, now: Timestamp) -> impl Future<Output = Result<Vec<KeptClaim>, StoreError>> + Send;

    /// Erases all data of a request but its id, and records the time, if the verdict was made at the given time with
    /// the given result. A receipt is good for its own verdict only: a stranger's refused answer must not erase an
    /// accepted one that followed. Returns the time of the first erasure; `None` if there is no such request, or it has
    /// another verdict.
    fn erase(
        &self,
        id: &RequestId,
        verdict: (bool, Timestamp),
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Timestamp>, StoreError>> + Send;

    /// Returns requests with a number below `before`, newest first, at most `size`.
    fn requests(&self, before: i64, size: i64) -> impl Future<Output = Result<Vec<StoredRequest>, StoreError>> + Send;

    /// Returns the latest time signed by an issuer; the minimum if none is known.
    fn clock_floor(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Raises the floor of the clock; never lowers it.
    fn raise_clock_floor(&self, at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lowers the floor of the clock, by decision of the operator; returns false if it is not higher.
    fn lower_clock_floor(&self, to: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes erased data from the database's log as well. Best effort; the next sweep tries again.
    fn settle(&self) -> impl Future<Output = ()> + Send;

    /// Erases query, nonce and object of expired requests and stored claims that are due, and deletes requests past
    /// their retention period. Returns the ids of expired requests.
    fn sweep(&self, now: Timestamp) -> impl Future<Output = Result<Vec<RequestId>, StoreError>> + Send;
}
