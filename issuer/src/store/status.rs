//! Status of issued copies: their entries in the lists, their states, and the acts that changed them.

use carnet_core::{status::message::Messages, time::Timestamp};

use super::Slice;
use crate::{error::Error, secrets::Hash};

/// Status index of a copy: an entry of a list, the same in each published format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the list, as in its URLs.
    pub(crate) list: i64,
    /// Index of the entry.
    pub(crate) position: u64,
}

/// State of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Valid,
    /// Suspended for now.
    Suspended,
    /// Revoked for good.
    Revoked,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Valid, Self::Suspended, Self::Revoked];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Error::Corrupt("statuses.state"))
    }
}

/// Action of staff on credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Revoke,
    Suspend,
    Reinstate,
    /// Sends a message, by its number; 0 removes it. The states are unchanged.
    Message(u8),
}

impl Verb {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Message(_) => "message",
        }
    }

    /// Parses the name of the action, with the number of a message.
    pub(crate) fn parse(text: &str, number: Option<u8>) -> Result<Self, Error> {
        let all = [Self::Revoke, Self::Suspend, Self::Reinstate];
        let known = all.into_iter().chain(number.map(Self::Message)).find(|verb| verb.as_str() == text);
        known.ok_or(Error::Corrupt("status_acts.verb"))
    }

    /// Tests if an act is published at once by default: revocations and suspensions are, reinstatements are not.
    pub(crate) const fn is_urgent(self) -> bool {
        matches!(self, Self::Revoke | Self::Suspend)
    }

    /// Returns the new state of a copy in this state; `None`: unchanged.
    pub(crate) const fn of(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Revoke, State::Valid | State::Suspended) => Some(State::Revoked),
            (Self::Suspend, State::Valid) => Some(State::Suspended),
            (Self::Reinstate, State::Suspended) => Some(State::Valid),
            _ => None,
        }
    }
}

/// Credentials that an act is about. A credential is all copies of one offer.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// Ids of offers, each for all of its copies, or of single issued copies.
    Ids(Vec<String>),
    /// Credentials of a type (`None`: any) whose first copy was issued between these instants, inclusive.
    Matching { credential_type: Option<String>, from: Option<Timestamp>, until: Option<Timestamp> },
}

/// Request of staff.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) request_id: String,
    /// Digest that identifies a repeated request.
    pub(crate) request: Hash,
    pub(crate) verb: Verb,
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) who: String,
    pub(crate) whom: Whom,
    /// Expected number of credentials; `None`: not given.
    pub(crate) expected: Option<u64>,
    /// True to count only.
    pub(crate) dry_run: bool,
    /// True to publish at once; otherwise at the next publication time, with all pending changes.
    pub(crate) urgent: bool,
    pub(crate) now: Timestamp,
}

/// Result of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acted {
    /// Number of the act, which is the version of the lists that include it; `None` for a dry run, and where nothing
    /// changed.
    pub(crate) act: Option<i64>,
    /// Number of matching credentials.
    pub(crate) credentials: u64,
    /// Number of their copies.
    pub(crate) copies: u64,
    /// Number of copies whose state or message changed.
    pub(crate) changed: u64,
    /// Number of open offers that match the filter.
    pub(crate) open: u64,
    /// Time of the last change of one credential's status, where the act changed nothing.
    pub(crate) unchanged_since: Option<Timestamp>,
    /// Beginning of that status's wait for the lists.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Copy changed by an act.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    /// True if all copies of the offer changed.
    pub(crate) whole: bool,
}

/// Recorded act.
#[derive(Debug, Clone)]
pub(crate) struct ActRecord {
    pub(crate) seq: i64,
    pub(crate) request_id: String,
    pub(crate) verb: Verb,
    pub(crate) reason: String,
    pub(crate) who: String,
    pub(crate) at: Timestamp,
    pub(crate) credentials: u64,
    pub(crate) copies: u64,
    pub(crate) changed: u64,
}

/// Status of a copy.
#[derive(Debug, Clone)]
pub(crate) struct CopyStatus {
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) state: State,
    pub(crate) place: Place,
    /// Number of its message; 0: none.
    pub(crate) message: u8,
    /// Last act that changed its state.
    pub(crate) act: Option<i64>,
    /// Beginning of its state's wait for the lists, which show another state.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Standing of a copy, for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyStanding {
    /// SHA-256 of its issuer-signed JWT.
    pub(crate) digest: Hash,
    pub(crate) state: State,
    pub(crate) valid_until: Timestamp,
    /// True if a public list has marked its index, or it has a message: its holder replaces it by a new copy.
    pub(crate) replace: bool,
    /// Number of the newest message on its credential; 0: none.
    pub(crate) message: u8,
}

/// Open or full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListRecord {
    pub(crate) list: i64,
    pub(crate) entries: u64,
}

/// Changes since a version, read in one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    /// Version after the changes.
    pub(crate) version: i64,
    /// All lists.
    pub(crate) lists: Vec<ListRecord>,
    /// Changed entries, with their published states.
    pub(crate) entries: Vec<(Place, State)>,
}

/// States of issued copies.
pub(crate) trait StatusStore {
    /// Opens the next list when little of the last one is left, so that it is published before anything is issued on
    /// it.
    fn open_lists(&self, now: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Records the meanings of messages on copies issued from now on. The meanings in issued copies must not change.
    fn settle_messages(&self, messages: Option<&Messages>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Tests if a list is full and all its copies ended before a time.
    fn list_ended(&self, list: i64, before: Timestamp) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Applies an act of staff atomically, once for each request_id, and records it.
    fn act(&self, act: Act) -> impl Future<Output = Result<Acted, Error>> + Send;
    /// Returns the status of each issued copy of an offer, or of one copy, by its id.
    fn status(&self, id: &str) -> impl Future<Output = Result<Vec<CopyStatus>, Error>> + Send;
    /// Returns the standings of copies by the stored forms of their handles, in order; `None`: no copy of this issuer.
    fn standings(&self, handles: &[Hash]) -> impl Future<Output = Result<Vec<Option<CopyStanding>>, Error>> + Send;
    /// Returns acts, newest first; if an id is given, only those on that offer or copy.
    fn acts(&self, id: &str, slice: Slice) -> impl Future<Output = Result<Vec<ActRecord>, Error>> + Send;
    /// Returns the copies that an act changed, newest first.
    fn changed_by(&self, act: i64, slice: Slice) -> impl Future<Output = Result<Vec<Changed>, Error>> + Send;
    /// Releases changes that have waited since before a time. Returns the entries changed by that, followed by all
    /// changes since a version; 0: all entries.
    fn changes_since(
        &self,
        version: i64,
        waiting_before: Timestamp,
    ) -> impl Future<Output = Result<Changes, Error>> + Send;
}
