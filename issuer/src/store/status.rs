//! Status of issued copies: their entries in the lists, their states, and the acts that changed them.

pub(crate) use carnet_core::status::StatusState;
use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, StoreError, Stored};
use crate::secrets::SecretHash;

/// Status index of a copy: an entry of a list, the same in all published forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusIndex {
    /// Number of the list, as in its URLs.
    pub(crate) list: i64,
    /// Index of the entry in the list.
    pub(crate) position: u64,
}

/// Parses the state of a copy.
pub(crate) fn parse_state(text: &str) -> Stored<StatusState> {
    StatusState::parse(text).ok_or(StoreError::Corrupt("statuses.state"))
}

/// Action that staff apply to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusAction {
    Revoke,
    Suspend,
    Reinstate,
    /// Sends a message, by its number; 0 removes the message. The state is unchanged.
    Message(u8),
}

impl StatusAction {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Message(_) => "message",
        }
    }

    /// Parses the name of an action, with the number of a message.
    pub(crate) fn parse(text: &str, number: Option<u8>) -> Stored<Self> {
        let all = [Self::Revoke, Self::Suspend, Self::Reinstate];
        let known = all.into_iter().chain(number.map(Self::Message)).find(|verb| verb.as_str() == text);
        known.ok_or(StoreError::Corrupt("status_acts.verb"))
    }

    /// Returns whether an act is published immediately by default: revocations and suspensions are, reinstatements are
    /// not.
    pub(crate) const fn is_urgent(self) -> bool {
        matches!(self, Self::Revoke | Self::Suspend)
    }

    /// Returns the new state of a copy that is in this state; `None`: unchanged.
    pub(crate) const fn of(self, state: StatusState) -> Option<StatusState> {
        match (self, state) {
            (Self::Revoke, StatusState::Valid | StatusState::Suspended) => Some(StatusState::Revoked),
            (Self::Suspend, StatusState::Valid) => Some(StatusState::Suspended),
            (Self::Reinstate, StatusState::Suspended) => Some(StatusState::Valid),
            _ => None,
        }
    }
}

/// Copy changed by an act.
#[derive(Debug, Clone)]
pub(crate) struct ChangedCopy {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    /// `true` if all copies of the offer changed.
    pub(crate) whole: bool,
}

/// Recorded act of staff.
#[derive(Debug, Clone)]
pub(crate) struct ActRecord {
    pub(crate) seq: i64,
    pub(crate) request_id: String,
    pub(crate) verb: StatusAction,
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
    pub(crate) state: StatusState,
    pub(crate) place: StatusIndex,
    /// Number of its message; 0: none.
    pub(crate) message: u8,
    /// Last act that changed its state.
    pub(crate) act: Option<i64>,
    /// Time since which its state waits for publication; until then, the lists show another state.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Status of a copy, for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyStanding {
    /// SHA-256 of its issuer-signed JWT.
    pub(crate) digest: SecretHash,
    pub(crate) state: StatusState,
    pub(crate) valid_until: Timestamp,
    /// `true` if the holder should replace the copy with a new one: its entry in a public list was changed, or it has a
    /// message.
    pub(crate) replace: bool,
    /// Number of the newest message about its credential; 0: none.
    pub(crate) message: u8,
}

/// Open or full status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListRecord {
    pub(crate) list: i64,
    pub(crate) entries: u64,
}

/// Published states of one list.
#[derive(Debug)]
pub(crate) struct PublishedStates {
    pub(crate) list: i64,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Entries other than valid ones, with their states.
    pub(crate) states: Vec<(u64, StatusState)>,
}

/// Copy with its state.
#[derive(Debug, Clone)]
pub(crate) struct CopyWithState {
    pub(crate) status_index: i64,
    pub(crate) offer_id: String,
    pub(crate) state: StatusState,
}

/// Act of staff, to be recorded.
#[derive(Debug)]
pub(crate) struct NewAct<'a> {
    pub(crate) request_id: &'a str,
    /// Digest that identifies a repeated request.
    pub(crate) request: &'a SecretHash,
    pub(crate) verb: StatusAction,
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
    /// Time since which it waits for publication.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Filter for credentials by type (`None`: any) and by the time of issuance of their first copy, inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuedIn<'a> {
    pub(crate) credential_type: Option<&'a str>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// Store operations on statuses, acts, messages and lists.
pub(crate) trait StatusRows {
    /// Returns an earlier act by its request id, with the request's digest.
    fn act_by_request(
        &mut self,
        request_id: &str,
    ) -> impl Future<Output = Stored<Option<(SecretHash, ActRecord)>>> + Send;
    /// Returns an offer's copies, including those about to be signed.
    fn copies_of_offer(&mut self, offer_id: &str) -> impl Future<Output = Stored<Vec<CopyWithState>>> + Send;
    fn issued_copy(&mut self, issued_id: &str) -> impl Future<Output = Stored<Option<CopyWithState>>> + Send;
    /// Returns all copies of matching credentials.
    fn copies_issued_in(&mut self, issued: IssuedIn<'_>) -> impl Future<Output = Stored<Vec<CopyWithState>>> + Send;
    /// Counts the open offers with a matching time of creation.
    fn open_offers_in(&mut self, created: IssuedIn<'_>) -> impl Future<Output = Stored<u64>> + Send;
    /// Returns the format of a copy, and the number of its message; 0: none.
    fn message_of(&mut self, status_index: i64) -> impl Future<Output = Stored<Option<(CredentialFormat, u8)>>> + Send;
    fn last_change(&mut self, status_index: i64) -> impl Future<Output = Stored<Option<LastChange>>> + Send;
    /// Records an act and returns its number.
    fn insert_act(&mut self, act: &NewAct<'_>) -> impl Future<Output = Stored<i64>> + Send;
    /// Changes the state of a copy. `change`: its status index, the old and the new state.
    fn set_state(
        &mut self,
        act: i64,
        change: (i64, StatusState, StatusState),
    ) -> impl Future<Output = Stored<()>> + Send;
    /// Changes the message of a copy. `change`: its status index, the old and the new number.
    fn set_message(&mut self, act: i64, change: (i64, u8, u8)) -> impl Future<Output = Stored<()>> + Send;
    /// Defers the publication of a copy's change: the lists continue to show the state `listed`. An earlier deferral
    /// stays.
    fn defer_publication(
        &mut self,
        status_index: i64,
        listed: StatusState,
        since: Timestamp,
    ) -> impl Future<Output = Stored<()>> + Send;
    /// Publishes the deferred change of a copy.
    fn publish_deferred(&mut self, status_index: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Returns whether changes have been deferred since before a time.
    fn has_deferred(&mut self, before: Timestamp) -> impl Future<Output = Stored<bool>> + Send;
    /// Publishes the changes that have been deferred since before a time, and returns their entries.
    fn publish_all_deferred(
        &mut self,
        before: Timestamp,
    ) -> impl Future<Output = Stored<Vec<(StatusIndex, StatusState)>>> + Send;
    /// Returns the number of the last act, the version of the lists.
    fn version(&mut self) -> impl Future<Output = Stored<i64>> + Send;
    fn lists(&mut self) -> impl Future<Output = Stored<Vec<ListRecord>>> + Send;
    /// Returns the published states of the entries that acts changed since a version; 0: all entries.
    fn published_states_since(
        &mut self,
        version: i64,
    ) -> impl Future<Output = Stored<Vec<(StatusIndex, StatusState)>>> + Send;
    /// Returns whether a list is full and all its copies expired before a time.
    fn list_ended(&mut self, list: i64, before: Timestamp) -> impl Future<Output = Stored<bool>> + Send;
    /// Returns the number of the last copy.
    fn last_copy(&mut self) -> impl Future<Output = Stored<i64>> + Send;
    /// Returns the texts of messages.
    fn messages(&mut self) -> impl Future<Output = Stored<Vec<(u8, String)>>> + Send;
    /// Deletes message texts that were recorded after a copy and that no act has used.
    fn delete_messages(&mut self, after: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Records the text of a message for copies after this one; a recorded text is not changed.
    fn insert_message(&mut self, number: u8, text: &str, after: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Returns the status of each issued copy of an offer, or of one copy, by its id.
    fn status(&mut self, id: &str) -> impl Future<Output = Stored<Vec<CopyStatus>>> + Send;
    /// Returns the status of a copy and whether its holder must replace it. `handle` is the hash of the copy's handle.
    fn standing(&mut self, handle: &SecretHash) -> impl Future<Output = Stored<Option<CopyStanding>>> + Send;
    /// Returns the acts of staff, newest first; with an id, only those that concern that offer or copy.
    fn acts(&mut self, id: &str, slice: PageSlice) -> impl Future<Output = Stored<Vec<ActRecord>>> + Send;
    fn has_act(&mut self, act: i64) -> impl Future<Output = Stored<bool>> + Send;
    /// Returns the copies that an act changed, newest first.
    fn changed_by(&mut self, act: i64, slice: PageSlice) -> impl Future<Output = Stored<Vec<ChangedCopy>>> + Send;
}
