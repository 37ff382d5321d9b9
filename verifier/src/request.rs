//! Requests as they are stored, and the rules about their states.

use carnet_core::time::Timestamp;

use crate::{ids::RequestId, verdicts::Verdict};

/// Number of wrong answers after which a request is closed: enough for a wallet's mistakes, and too few to overload a
/// verifier.
pub(crate) const MAX_ATTEMPTS: i64 = 10;

/// State of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestState {
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

impl RequestState {
    const ALL: [Self; 5] = [Self::Open, Self::Accepted, Self::Refused, Self::Expired, Self::Erased];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Erased => "erased",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
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
    /// State when it was last written; see [`Self::state`].
    pub(crate) stored_state: RequestState,
}

impl StoredRequest {
    /// Returns the state at `now`, whether or not a sweep has run since it expired.
    pub(crate) fn state(&self, now: Timestamp) -> RequestState {
        match self.stored_state {
            RequestState::Open if now >= self.expires_at => RequestState::Expired,
            state => state,
        }
    }

    /// Tests if the state is final.
    pub(crate) fn is_final(&self, now: Timestamp) -> bool {
        match self.state(now) {
            RequestState::Open => false,
            RequestState::Accepted | RequestState::Expired | RequestState::Erased => true,
            RequestState::Refused => now >= self.expires_at || self.attempts >= MAX_ATTEMPTS,
        }
    }

    /// Returns the reason why it cannot be answered at `now`, if there is one.
    pub(crate) fn closed(&self, now: Timestamp) -> Option<ClosedReason> {
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

    /// Tests if a verdict can be recorded: no answer was accepted, and no sweep has found it expired.
    pub(crate) fn takes_verdict(&self) -> bool {
        matches!(self.stored_state, RequestState::Open | RequestState::Refused)
    }
}

/// Reason why a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosedReason {
    /// It has an accepted answer.
    Answered,
    /// It has expired.
    Expired,
    /// It had too many wrong answers.
    Exhausted,
}
