//! The life of what was issued: where its status stands, what it is, and who changed it.

use carnet_core::{status::message::Messages, time::Timestamp};

use super::Slice;
use crate::{error::Error, secrets::Hash};

/// Where a copy's status stands: an entry of a list, the same in each form in which the list is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The list's number, as in its URLs.
    pub(crate) list: i64,
    /// The entry.
    pub(crate) position: u64,
}

/// The state of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Valid,
    /// It does not hold for now.
    Suspended,
    /// It was withdrawn for good.
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

/// What staff do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Revoke,
    Suspend,
    Reinstate,
    /// To say something on credentials, by its number; 0: nothing any more. It leaves their states as they are.
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

    /// By its name, and the number of a message.
    pub(crate) fn parse(text: &str, number: Option<u8>) -> Result<Self, Error> {
        let all = [Self::Revoke, Self::Suspend, Self::Reinstate];
        let known = all.into_iter().chain(number.map(Self::Message)).find(|verb| verb.as_str() == text);
        known.ok_or(Error::Corrupt("status_acts.verb"))
    }

    /// Tells if an act is published at once where staff do not say: what takes a credential back is, what gives it back is not.
    pub(crate) const fn is_urgent(self) -> bool {
        matches!(self, Self::Revoke | Self::Suspend)
    }

    /// What becomes of a copy in this state; `None`: nothing.
    pub(crate) const fn of(self, state: State) -> Option<State> {
        match (self, state) {
            (Self::Revoke, State::Valid | State::Suspended) => Some(State::Revoked),
            (Self::Suspend, State::Valid) => Some(State::Suspended),
            (Self::Reinstate, State::Suspended) => Some(State::Valid),
            _ => None,
        }
    }
}

/// Which credentials an act is about. A credential is all copies of one offer.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// Each is the id of an offer, and stands for all of its copies, or that of one issued copy.
    Ids(Vec<String>),
    /// Credentials of a type (`None`: any) whose first copy was issued from and until these instants, both included.
    Matching { credential_type: Option<String>, from: Option<Timestamp>, until: Option<Timestamp> },
}

/// What staff ask for.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    pub(crate) request_id: String,
    /// What makes two requests the same one.
    pub(crate) request: Hash,
    pub(crate) verb: Verb,
    pub(crate) reason: String,
    /// Who asks.
    pub(crate) who: String,
    pub(crate) whom: Whom,
    /// How many credentials it must be; `None`: not said.
    pub(crate) expected: Option<u64>,
    /// Only count.
    pub(crate) dry_run: bool,
    /// Published at once; otherwise with all that waits, at the next set time.
    pub(crate) urgent: bool,
    pub(crate) now: Timestamp,
}

/// What an act came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acted {
    /// The act's number, and so the version of the lists that show it; `None` for a dry run.
    pub(crate) act: Option<i64>,
    /// Credentials that it was about.
    pub(crate) credentials: u64,
    /// Their copies.
    pub(crate) copies: u64,
    /// Copies whose state or message it changed.
    pub(crate) changed: u64,
    /// Offers that a filter would take, and that are not collected yet.
    pub(crate) open: u64,
}

/// A copy that an act changed.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    /// It changed all copies of the offer.
    pub(crate) whole: bool,
}

/// An act as it was written down.
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

/// A copy's status.
#[derive(Debug, Clone)]
pub(crate) struct CopyStatus {
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) state: State,
    pub(crate) place: Place,
    /// The number of its message; 0: none.
    pub(crate) message: u8,
    /// The last act that changed its state.
    pub(crate) act: Option<i64>,
}

/// A copy, for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyStanding {
    /// SHA-256 of its issuer-signed JWT.
    pub(crate) digest: Hash,
    pub(crate) state: State,
    pub(crate) valid_until: Timestamp,
    /// Its own index was marked in public, or something was said on it: its holder discards it for a new one.
    pub(crate) replace: bool,
    /// The number of the newest message on its credential; 0: none.
    pub(crate) message: u8,
}

/// An open or a full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListRecord {
    pub(crate) list: i64,
    pub(crate) entries: u64,
}

/// What happened since a version: all of it is from one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    /// The version that this leads to.
    pub(crate) version: i64,
    /// Every list that there is.
    pub(crate) lists: Vec<ListRecord>,
    /// The entries that changed since, with what the lists say of them.
    pub(crate) entries: Vec<(Place, State)>,
}

/// The states of what was issued.
pub(crate) trait StatusStore {
    /// Opens the next list where little is left of the last one, so that it is published before anything is issued on it.
    fn open_lists(&self, now: Timestamp) -> impl Future<Output = Result<(), Error>> + Send;
    /// Writes down what the messages mean that are issued from now on. What copies carry must go on meaning the same.
    fn settle_messages(&self, messages: Option<&Messages>) -> impl Future<Output = Result<(), Error>> + Send;
    /// Whether nothing more is issued on a list, and all that was ended before.
    fn list_ended(&self, list: i64, before: Timestamp) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Does what staff ask for, wholly or not at all, once for each request_id, and writes it down.
    fn act(&self, act: Act) -> impl Future<Output = Result<Acted, Error>> + Send;
    /// The status of each copy of an offer that went out, or of one copy, by its id.
    fn status(&self, id: &str) -> impl Future<Output = Result<Vec<CopyStatus>, Error>> + Send;
    /// The standings of copies by the stored forms of their handles, in order; `None`: no copy of this issuer's.
    fn standings(&self, handles: &[Hash]) -> impl Future<Output = Result<Vec<Option<CopyStanding>>, Error>> + Send;
    /// What was done, newest first; to one offer or copy only, if an id is given.
    fn acts(&self, id: &str, slice: Slice) -> impl Future<Output = Result<Vec<ActRecord>, Error>> + Send;
    /// The copies that an act changed, the newest first.
    fn changed_by(&self, act: i64, slice: Slice) -> impl Future<Output = Result<Vec<Changed>, Error>> + Send;
    /// Lets the lists say what waited since before a time. Tells what of them changed by that, and then what changed since a
    /// version; 0: everything.
    fn changes_since(
        &self,
        version: i64,
        waiting_before: Timestamp,
    ) -> impl Future<Output = Result<Changes, Error>> + Send;
}
