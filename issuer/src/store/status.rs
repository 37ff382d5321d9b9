//! Status of issued copies: their entries in the lists, their states, and the acts that changed them.

pub(crate) use carnet_core::status::StatusState as State;
use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{Slice, StoreError, Stored};
use crate::secrets::Hash;

/// Status index of a copy: an entry of a list, the same in each published format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of the list, as in its URLs.
    pub(crate) list: i64,
    /// Index of the entry.
    pub(crate) position: u64,
}

/// Parses the state of a copy.
pub(crate) fn parse_state(text: &str) -> Stored<State> {
    State::parse(text).ok_or(StoreError::Corrupt("statuses.state"))
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
    pub(crate) fn parse(text: &str, number: Option<u8>) -> Stored<Self> {
        let all = [Self::Revoke, Self::Suspend, Self::Reinstate];
        let known = all.into_iter().chain(number.map(Self::Message)).find(|verb| verb.as_str() == text);
        known.ok_or(StoreError::Corrupt("status_acts.verb"))
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

/// Published states of one list.
#[derive(Debug)]
pub(crate) struct PublishedStates {
    pub(crate) list: i64,
    /// Number of its entries.
    pub(crate) entries: u64,
    /// Entries that are not valid, with their states.
    pub(crate) states: Vec<(u64, State)>,
}

/// Copy and its state.
#[derive(Debug, Clone)]
pub(crate) struct CopyState {
    pub(crate) status_index: i64,
    pub(crate) offer_id: String,
    pub(crate) state: State,
}

/// Act to be recorded.
#[derive(Debug)]
pub(crate) struct NewAct<'a> {
    pub(crate) request_id: &'a str,
    /// Digest that identifies a repeated request.
    pub(crate) request: &'a Hash,
    pub(crate) verb: Verb,
    pub(crate) reason: &'a str,
    pub(crate) who: &'a str,
    pub(crate) urgent: bool,
    pub(crate) now: Timestamp,
    pub(crate) credentials: u64,
    pub(crate) copies: u64,
    pub(crate) changed: u64,
}

/// Last change of a copy's status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastChange {
    pub(crate) at: Option<Timestamp>,
    /// Beginning of its wait for the lists.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Credentials by their type (`None`: any) and by the time of their first copy, inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuedIn<'a> {
    pub(crate) credential_type: Option<&'a str>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// Rows of statuses, acts, messages and lists.
pub(crate) trait StatusRows {
    /// Returns an earlier act by its request, with the request's digest.
    fn act_by_request(&mut self, request_id: &str) -> impl Future<Output = Stored<Option<(Hash, ActRecord)>>> + Send;
    /// Returns an offer's copies, those about to be signed included.
    fn copies_of_offer(&mut self, offer_id: &str) -> impl Future<Output = Stored<Vec<CopyState>>> + Send;
    fn issued_copy(&mut self, issued_id: &str) -> impl Future<Output = Stored<Option<CopyState>>> + Send;
    /// Returns all copies of matching credentials, whenever each copy was issued.
    fn copies_issued_in(&mut self, issued: IssuedIn<'_>) -> impl Future<Output = Stored<Vec<CopyState>>> + Send;
    /// Counts the open offers that would match if collected, by their time of creation.
    fn open_offers_in(&mut self, created: IssuedIn<'_>) -> impl Future<Output = Stored<u64>> + Send;
    /// Returns the format of a copy, and the number of its message; 0: none.
    fn message_of(&mut self, status_index: i64) -> impl Future<Output = Stored<Option<(CredentialFormat, u8)>>> + Send;
    fn last_change(&mut self, status_index: i64) -> impl Future<Output = Stored<Option<LastChange>>> + Send;
    /// Records an act and returns its number.
    fn insert_act(&mut self, act: &NewAct<'_>) -> impl Future<Output = Stored<i64>> + Send;
    /// Changes the state of a copy: its status index, and the states before and after.
    fn set_state(&mut self, act: i64, change: (i64, State, State)) -> impl Future<Output = Stored<()>> + Send;
    /// Changes the message of a copy: its status index, and the messages before and after.
    fn set_message(&mut self, act: i64, change: (i64, u8, u8)) -> impl Future<Output = Stored<()>> + Send;
    /// Lets the lists show a copy's earlier state until its change is released; an earlier wait stays.
    fn begin_wait(
        &mut self,
        status_index: i64,
        listed: State,
        since: Timestamp,
    ) -> impl Future<Output = Stored<()>> + Send;
    /// Releases the pending change of a copy.
    fn end_wait(&mut self, status_index: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Tests if changes wait since before a time.
    fn has_waits(&mut self, before: Timestamp) -> impl Future<Output = Stored<bool>> + Send;
    /// Releases the changes that wait since before a time, and returns their entries.
    fn end_waits(&mut self, before: Timestamp) -> impl Future<Output = Stored<Vec<(Place, State)>>> + Send;
    /// Returns the number of the last act.
    fn version(&mut self) -> impl Future<Output = Stored<i64>> + Send;
    fn lists(&mut self) -> impl Future<Output = Stored<Vec<ListRecord>>> + Send;
    /// Returns the listed states of the entries that acts changed since a version; 0: all of them.
    fn listed_since(&mut self, version: i64) -> impl Future<Output = Stored<Vec<(Place, State)>>> + Send;
    /// Tests if a list is full and all its copies ended before a time.
    fn list_ended(&mut self, list: i64, before: Timestamp) -> impl Future<Output = Stored<bool>> + Send;
    /// Returns the number of the last copy.
    fn last_copy(&mut self) -> impl Future<Output = Stored<i64>> + Send;
    /// Returns the meanings of messages.
    fn messages(&mut self) -> impl Future<Output = Stored<Vec<(u8, String)>>> + Send;
    /// Forgets meanings recorded after a copy that no act has used.
    fn forget_messages(&mut self, after: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Records the meaning of a message on copies after this one; a recorded meaning stays.
    fn insert_message(&mut self, number: u8, text: &str, after: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Returns the status of each issued copy of an offer, or of one copy, by its id.
    fn status(&mut self, id: &str) -> impl Future<Output = Stored<Vec<CopyStatus>>> + Send;
    /// Returns the status of a copy and whether its holder must replace it. `handle` is the hash of the copy's handle.
    fn standing(&mut self, handle: &Hash) -> impl Future<Output = Stored<Option<CopyStanding>>> + Send;
    /// Returns acts, newest first; if an id is given, only those on that offer or copy.
    fn acts(&mut self, id: &str, slice: Slice) -> impl Future<Output = Stored<Vec<ActRecord>>> + Send;
    fn has_act(&mut self, act: i64) -> impl Future<Output = Stored<bool>> + Send;
    /// Returns the copies that an act changed, newest first.
    fn changed_by(&mut self, act: i64, slice: Slice) -> impl Future<Output = Stored<Vec<Changed>>> + Send;
}
