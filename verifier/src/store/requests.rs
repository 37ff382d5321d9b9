//! Rows of requests, of retained claims, and of the clock floor.

use carnet_core::time::Timestamp;

use super::StoreFuture;
use crate::{
    disclosed::KeptClaim,
    ids::RequestId,
    request::{NewRequest, RequestState, StoredRequest},
    verdicts::Verdict,
};

/// Kinds of rows with an erasure time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ErasableRows {
    /// Retained claims.
    Claims,
    /// Marks of uses.
    Marks,
    /// Requests past their retention period, with their results and claims.
    Requests,
}

/// Result of an attempt, as it is stored with its request.
pub(crate) struct VerdictRow<'a> {
    pub(crate) state: RequestState,
    pub(crate) verdict: &'a Verdict,
    /// Number of attempts, with this one.
    pub(crate) attempts: i64,
    /// `true` if query, nonce and request object are erased.
    pub(crate) erases_content: bool,
}

/// Read operations on requests.
pub(crate) trait ReadRequests: Send {
    /// Returns a request by its id.
    fn request(&mut self, id: &RequestId) -> impl StoreFuture<Option<StoredRequest>>;

    /// Returns the request that was created with this `request_id` (idempotency key of the call).
    fn request_by_call_id(&mut self, request_id: &str) -> impl StoreFuture<Option<StoredRequest>>;

    /// Returns at most `size` requests with a sequence number below `before`, newest first.
    fn requests(&mut self, before: i64, size: i64) -> impl StoreFuture<Vec<StoredRequest>>;

    /// Returns the retained claims of a request that are due for erasure later than `after`, ordered by query id and
    /// path.
    fn kept_claims(&mut self, number: i64, after: Timestamp) -> impl StoreFuture<Vec<KeptClaim>>;

    /// Returns the stored clock floor; the Unix epoch if there is none.
    fn clock_floor(&mut self) -> impl StoreFuture<Timestamp>;
}

/// Write operations on requests.
pub(crate) trait WriteRequests: Send {
    /// Inserts a request.
    fn insert_request(&mut self, new: &NewRequest) -> impl StoreFuture<()>;

    /// Increments the number of attempts of a request.
    fn count_attempt(&mut self, number: i64) -> impl StoreFuture<()>;

    /// Sets state, result and number of attempts of a request, and erases its content if the row says so.
    fn set_verdict(&mut self, number: i64, row: &VerdictRow<'_>) -> impl StoreFuture<()>;

    /// Inserts a retained claim of a request.
    fn insert_kept_claim(&mut self, number: i64, claim: &KeptClaim) -> impl StoreFuture<()>;

    /// Erases the content, the parameters, the result and the retained claims of a request, and sets its state to
    /// erased. Its id and its times remain.
    fn erase_request(&mut self, number: i64, erased_at: Timestamp) -> impl StoreFuture<()>;

    /// Erases query, nonce and request object of at most `size` requests that expired by `now`; open ones become
    /// expired. Returns the ids of all these requests.
    fn expire_requests(&mut self, now: Timestamp, size: u32) -> impl StoreFuture<Vec<RequestId>>;

    /// Deletes at most `size` rows that are due for erasure, and returns their number.
    fn delete_expired(&mut self, rows: ErasableRows, now: Timestamp, size: u32) -> impl StoreFuture<u64>;

    /// Sets the clock floor. A lower one is permitted only with `by_operator`, which is recorded.
    fn set_clock_floor(&mut self, at: Timestamp, by_operator: bool) -> impl StoreFuture<()>;
}
