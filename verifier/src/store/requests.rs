//! Rows of requests, of stored claims, and of the floor of the clock.

use carnet_core::time::Timestamp;

use super::StoreFuture;
use crate::{
    disclosed::KeptClaim,
    ids::RequestId,
    request::{NewRequest, RequestState, StoredRequest},
    verdicts::Verdict,
};

/// Kinds of rows with a time of erasure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ExpiringRows {
    /// Stored claims, by their own time.
    Claims,
    /// Marks of uses, by their own time.
    Marks,
    /// Requests past their retention period, with their verdicts and claims.
    Requests,
}

/// Reads of requests.
pub(crate) trait ReadRequests: Send {
    /// Returns a request.
    fn request(&mut self, id: &RequestId) -> impl StoreFuture<Option<StoredRequest>>;

    /// Returns the request that a call with this `request_id` created.
    fn request_of_call(&mut self, request_id: &str) -> impl StoreFuture<Option<StoredRequest>>;

    /// Returns requests with a number below `before`, newest first, at most `size`.
    fn requests(&mut self, before: i64, size: i64) -> impl StoreFuture<Vec<StoredRequest>>;

    /// Returns the stored claims of a request's answer that are due for erasure later than `after`, ordered by path.
    fn kept_claims(&mut self, number: i64, after: Timestamp) -> impl StoreFuture<Vec<KeptClaim>>;

    /// Returns the latest time signed by an issuer; the minimum if none is known.
    fn clock_floor(&mut self) -> impl StoreFuture<Timestamp>;
}

/// Changes of requests.
pub(crate) trait WriteRequests: Send {
    /// Inserts a request.
    fn insert_request(&mut self, new: &NewRequest) -> impl StoreFuture<()>;

    /// Counts an attempt to answer.
    fn count_attempt(&mut self, number: i64) -> impl StoreFuture<()>;

    /// Sets state and verdict.
    fn set_verdict(&mut self, number: i64, state: RequestState, verdict: &Verdict) -> impl StoreFuture<()>;

    /// Inserts a claim of a request's answer.
    fn insert_kept_claim(&mut self, number: i64, claim: &KeptClaim) -> impl StoreFuture<()>;

    /// Erases query, nonce and object of a request.
    fn erase_content(&mut self, number: i64) -> impl StoreFuture<()>;

    /// Erases all data of a request but its id and its times, and its stored claims.
    fn erase_request(&mut self, number: i64, erased_at: Timestamp) -> impl StoreFuture<()>;

    /// Erases query, nonce and object of requests that expired by `now`, at most `size`; open ones become expired.
    /// Returns their ids.
    fn expire_requests(&mut self, now: Timestamp, size: u32) -> impl StoreFuture<Vec<RequestId>>;

    /// Deletes rows whose time of erasure has come, at most `size`, and returns their number.
    fn delete_expired(&mut self, rows: ExpiringRows, now: Timestamp, size: u32) -> impl StoreFuture<u64>;

    /// Sets the floor of the clock. A database may refuse to lower it unless an operator does.
    fn set_clock_floor(&mut self, at: Timestamp, by_operator: bool) -> impl StoreFuture<()>;
}
