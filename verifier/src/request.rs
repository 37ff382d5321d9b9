//! Stored requests, and the rules for their states.

use carnet_core::time::Timestamp;

use crate::{ids::RequestId, verdicts::Verdict};

/// Maximum number of attempts to answer a request: enough for a wallet's mistakes, and too few to overload a verifier.
pub(crate) const MAX_ATTEMPTS: i64 = 10;

/// State of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestState {
    /// Waiting for the holder.
    Open,
    /// A presentation was accepted. Final.
    Accepted,
    /// A presentation was refused. Others are possible until the request expires or its attempts are used up.
    Refused,
    /// Expired without an accepted presentation. Final.
    Expired,
    /// Its stored data was erased at the holder's request. Final.
    Erased,
}

impl RequestState {
    const ALL: [Self; 5] = [Self::Open, Self::Accepted, Self::Refused, Self::Expired, Self::Erased];

    /// Returns the name of the state in the store.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Erased => "erased",
        }
    }

    /// Parses the name of a state; `None` if it is unknown.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Request to be stored. It has no `Debug`, since its nonce is only for the holder.
pub(crate) struct NewRequest {
    pub(crate) id: RequestId,
    /// `request_id` of the call that created it; `None`: none.
    pub(crate) request_id: Option<String>,
    /// SHA-256 of the parameters of that call.
    pub(crate) parameters_digest: [u8; 32],
    /// Id of the template; empty for a custom query.
    pub(crate) template: String,
    /// DCQL query, as JSON text.
    pub(crate) query: String,
    /// Client identifier of the verifier, to which presentations are bound.
    pub(crate) audience: String,
    pub(crate) nonce: String,
    /// Signed request object (compact JWS).
    pub(crate) request_object: String,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Time at which it is deleted, with its result.
    pub(crate) keep_until: Timestamp,
}

/// Stored request. Query, nonce and request object are erased (empty) once a presentation was accepted, the attempts
/// are used up, or a sweep has found the request expired.
pub(crate) struct StoredRequest {
    /// Sequence number, used for pagination.
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
    /// Time at which it is deleted, with its result.
    pub(crate) keep_until: Timestamp,
    /// Number of attempts to answer it.
    pub(crate) attempts: i64,
    /// Result of the last recorded attempt; `None`: none yet, or erased.
    pub(crate) verdict: Option<Verdict>,
    /// Time of its erasure at the holder's request; `None`: not erased.
    pub(crate) erased_at: Option<Timestamp>,
    /// State at the last write; [`Self::state`] returns the current one.
    pub(crate) stored_state: RequestState,
}

impl StoredRequest {
    /// Returns the state at `now`: an open request past its expiry is expired, even before a sweep has marked it.
    pub(crate) fn state(&self, now: Timestamp) -> RequestState {
        match self.stored_state {
            RequestState::Open if now >= self.expires_at => RequestState::Expired,
            state => state,
        }
    }

    /// Returns whether the request can no longer be answered at `now`.
    pub(crate) fn is_final(&self, now: Timestamp) -> bool {
        match self.state(now) {
            RequestState::Open => false,
            RequestState::Accepted | RequestState::Expired | RequestState::Erased => true,
            RequestState::Refused => now >= self.expires_at || self.attempts >= MAX_ATTEMPTS,
        }
    }

    /// Returns the reason why the request cannot be answered at `now`; `None` if it can.
    pub(crate) fn closed_reason(&self, now: Timestamp) -> Option<ClosedReason> {
        match self.state(now) {
            RequestState::Accepted | RequestState::Erased => Some(ClosedReason::Answered),
            RequestState::Expired => Some(ClosedReason::Expired),
            RequestState::Open | RequestState::Refused if now >= self.expires_at => Some(ClosedReason::Expired),
            RequestState::Open | RequestState::Refused if self.attempts >= MAX_ATTEMPTS => {
                Some(ClosedReason::Exhausted)
            }
            RequestState::Open | RequestState::Refused => None,
        }
    }

    /// Returns whether a result can be recorded: no presentation was accepted, its data was not erased, and no sweep
    /// has marked it as expired. An attempt admitted before the expiry can still be recorded.
    pub(crate) fn can_record_verdict(&self) -> bool {
        matches!(self.stored_state, RequestState::Open | RequestState::Refused)
    }
}

/// Reason why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosedReason {
    /// A presentation was accepted, or its data was erased.
    Answered,
    /// It has expired.
    Expired,
    /// The maximum number of attempts is reached.
    Exhausted,
}
