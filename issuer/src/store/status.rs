//! Status of issued copies: their entries in the lists, their states and messages, and the acts of staff that changed
//! them.

pub(crate) use carnet_core::status::StatusState;
use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, StoreError, StoreResult};
use crate::secrets::Sha256Hash;

/// Status index of a copy: its entry in a status list, the same in all published formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusIndex {
    /// Number of the list, as in its URLs.
    pub(crate) list: i64,
    /// Index of the entry in the list, from 0.
    pub(crate) position: u64,
}

/// Parses the stored state of a copy.
///
/// # Errors
/// [`StoreError::Corrupt`]
pub(crate) fn parse_state(text: &str) -> StoreResult<StatusState> {
    StatusState::parse(text).ok_or(StoreError::Corrupt("statuses.state"))
}

/// Action of staff on credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusAction {
    Revoke,
    Suspend,
    Reinstate,
    /// Sends a message with this number; 0 removes the current message. The status is unchanged.
    Message(u8),
}

impl StatusAction {
    /// Returns the stored name of the action, without the number of a message.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::Message(_) => "message",
        }
    }

    /// Parses a stored action; `number` is that of a message.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an unknown name, or a message without number.
    pub(crate) fn parse(text: &str, number: Option<u8>) -> StoreResult<Self> {
        let all = [Self::Revoke, Self::Suspend, Self::Reinstate];
        let known = all.into_iter().chain(number.map(Self::Message)).find(|verb| verb.as_str() == text);
        known.ok_or(StoreError::Corrupt("status_acts.verb"))
    }

    /// Returns whether an action is published at once unless staff say otherwise: revocations and suspensions are,
    /// reinstatements and messages are not.
    pub(crate) const fn is_urgent(self) -> bool {
        matches!(self, Self::Revoke | Self::Suspend)
    }

    /// Returns the new state of a copy in the given state; `None` if the action does not change it. A revocation is
    /// final.
    pub(crate) const fn new_state(self, state: StatusState) -> Option<StatusState> {
        match (self, state) {
            (Self::Revoke, StatusState::Valid | StatusState::Suspended) => Some(StatusState::Revoked),
            (Self::Suspend, StatusState::Valid) => Some(StatusState::Suspended),
            (Self::Reinstate, StatusState::Suspended) => Some(StatusState::Valid),
            _ => None,
        }
    }
}

/// Copy whose status or message an act changed.
#[derive(Debug, Clone)]
pub(crate) struct ChangedCopy {
    /// Sequence number of the copy, in the order of the intents to sign.
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    /// `true` if the act changed all issued copies of the offer.
    pub(crate) is_whole_offer: bool,
}

/// Entry of a list whose state acts changed, with what decides on its published state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangedEntry {
    pub(crate) status_index: StatusIndex,
    /// Current state.
    pub(crate) state: StatusState,
    /// State that stays published while the change is deferred, and the time of the first deferred change.
    pub(crate) deferred: Option<(StatusState, Timestamp)>,
    /// End of the copy; `None`: the store has no record of it.
    pub(crate) ends: Option<Timestamp>,
    /// State before the first change that was made after the end of the copy, and so is never published; `None`: there
    /// was no such change.
    pub(crate) before_late: Option<StatusState>,
}

/// Recorded act of staff: a status change or a message. The numbers are those at the time of the act.
#[derive(Debug, Clone)]
pub(crate) struct StatusActRecord {
    /// Number of the act.
    pub(crate) seq: i64,
    pub(crate) request_id: String,
    pub(crate) verb: StatusAction,
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) staff_name: String,
    pub(crate) at: Timestamp,
    /// Number of credentials to which it applied.
    pub(crate) credentials: u64,
    /// Number of their copies.
    pub(crate) copies: u64,
    /// Number of copies whose state or message changed.
    pub(crate) changed: u64,
}

/// Status of an issued copy, for staff.
#[derive(Debug, Clone)]
pub(crate) struct CopyStatus {
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) state: StatusState,
    /// Entry of the copy in a status list.
    pub(crate) status_index: StatusIndex,
    /// Number of its message; 0: none.
    pub(crate) message: u8,
    /// Number of the last act that changed its state; `None` if there was none.
    pub(crate) last_act: Option<i64>,
    /// Time since which its state waits for publication, while the lists show another one; `None` if it is published.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Status of a copy, for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HolderCopyStatus {
    /// SHA-256 of its issuer-signed JWT.
    pub(crate) digest: Sha256Hash,
    pub(crate) state: StatusState,
    pub(crate) valid_until: Timestamp,
    /// `true` if the wallet should replace the copy with a new one: it was reinstated, so that archived lists
    /// distinguish it, or a message was sent about it.
    pub(crate) should_replace: bool,
    /// Number of the newest message about its credential; 0: none.
    pub(crate) message: u8,
}

/// Status list: its number and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusListRecord {
    pub(crate) list: i64,
    /// Number of entries.
    pub(crate) entries: u64,
}

/// States in one published status list.
#[derive(Debug)]
pub(crate) struct PublishedStates {
    pub(crate) list: i64,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Index and state of each entry that is not valid.
    pub(crate) states: Vec<(u64, StatusState)>,
}

/// Copy with its current state.
#[derive(Debug, Clone)]
pub(crate) struct CopyWithState {
    /// Status index over all lists of the issuer.
    pub(crate) status_index: i64,
    pub(crate) offer_id: String,
    pub(crate) state: StatusState,
}

/// Act of staff to be recorded: a status change or a message.
#[derive(Debug)]
pub(crate) struct NewStatusAct<'a> {
    pub(crate) request_id: &'a str,
    /// Digest of the request, by which a repetition is recognised.
    pub(crate) request_digest: &'a Sha256Hash,
    pub(crate) verb: StatusAction,
    pub(crate) reason: &'a str,
    /// Name of the staff member.
    pub(crate) staff_name: &'a str,
    /// `true` if it is published at once; not stored for a message.
    pub(crate) urgent: bool,
    pub(crate) now: Timestamp,
    pub(crate) credentials: u64,
    pub(crate) copies: u64,
    pub(crate) changed: u64,
}

/// Last change of a copy's state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastStatusChange {
    /// Time of the act that changed it.
    pub(crate) at: Option<Timestamp>,
    /// Time since which the change waits for publication; `None` if it is published.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Filter by type (`None`: any) and time, both bounds inclusive (`None`: no bound): the time of issuance of a
/// credential's first copy, or of an offer's creation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IssuancePeriodFilter<'a> {
    pub(crate) credential_type: Option<&'a str>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// Store operations on the status of copies, acts of staff, messages and status lists.
pub(crate) trait StatusRows {
    /// Returns the act with this request id, and the digest of its request.
    fn act_by_request(
        &mut self,
        request_id: &str,
    ) -> impl Future<Output = StoreResult<Option<(Sha256Hash, StatusActRecord)>>> + Send;
    /// Returns all copies of an offer, including those about to be signed.
    fn copies_of_offer(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<Vec<CopyWithState>>> + Send;
    /// Returns one issued copy.
    fn copy_by_id(&mut self, issued_id: &str) -> impl Future<Output = StoreResult<Option<CopyWithState>>> + Send;
    /// Returns all copies of the credentials that match, including those about to be signed.
    fn copies_matching(
        &mut self,
        issued: IssuancePeriodFilter<'_>,
    ) -> impl Future<Output = StoreResult<Vec<CopyWithState>>> + Send;
    /// Counts the open and redeemed offers that match, by their time of creation.
    fn count_open_offers(&mut self, created: IssuancePeriodFilter<'_>)
    -> impl Future<Output = StoreResult<u64>> + Send;
    /// Returns the format of a copy, and the number of its current message (0: none).
    fn copy_format_and_message(
        &mut self,
        status_index: i64,
    ) -> impl Future<Output = StoreResult<Option<(CredentialFormat, u8)>>> + Send;
    /// Returns the last change of a copy's state; `None` if it never changed.
    fn last_change(&mut self, status_index: i64) -> impl Future<Output = StoreResult<Option<LastStatusChange>>> + Send;
    /// Records an act and returns its number. Acts of all kinds share one sequence.
    fn insert_act(&mut self, act: &NewStatusAct<'_>) -> impl Future<Output = StoreResult<i64>> + Send;
    /// Records the change of a copy's state by an act. `change`: its status index, the old and the new state.
    fn set_state(
        &mut self,
        act: i64,
        change: (i64, StatusState, StatusState),
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Records the change of a copy's message by an act. `change`: its status index, the old and the new number.
    fn set_message(&mut self, act: i64, change: (i64, u8, u8)) -> impl Future<Output = StoreResult<()>> + Send;
    /// Defers the publication of a copy's changes from `since` on: the lists continue to show the state `listed`. A
    /// deferral that exists already remains.
    fn defer_publication(
        &mut self,
        status_index: i64,
        listed: StatusState,
        since: Timestamp,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Ends the deferral of a copy's changes, if there is one.
    fn end_publication_deferral(&mut self, status_index: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns whether the publication of any change has been deferred since before a time.
    fn has_deferred_changes(&mut self, before: Timestamp) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Ends the deferrals that began before a time, and returns their entries. A change is late if it was made more than
    /// `skew` seconds after the end of the copy.
    fn release_deferred(
        &mut self,
        before: Timestamp,
        skew: i64,
    ) -> impl Future<Output = StoreResult<Vec<ChangedEntry>>> + Send;
    /// Returns the number of the last act, which is also the version of the lists; 0 if there was none.
    fn last_act_number(&mut self) -> impl Future<Output = StoreResult<i64>> + Send;
    /// Returns all status lists, including full ones.
    fn status_lists(&mut self) -> impl Future<Output = StoreResult<Vec<StatusListRecord>>> + Send;
    /// Returns the entries whose state was changed by acts after `version` (0: by any act). A change is late if it was
    /// made more than `skew` seconds after the end of the copy.
    fn entries_changed_since(
        &mut self,
        version: i64,
        skew: i64,
    ) -> impl Future<Output = StoreResult<Vec<ChangedEntry>>> + Send;
    /// Returns whether a list is full and all of its copies expired before a time. Always `false` for a list that was
    /// open or unknown when the store was restored from an older backup, since it may have copies without a record.
    fn is_list_expired(&mut self, list: i64, before: Timestamp) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Returns the sequence number of the newest copy; 0 if there is none.
    fn last_copy_number(&mut self) -> impl Future<Output = StoreResult<i64>> + Send;
    /// Returns the recorded message texts, by their numbers.
    fn message_texts(&mut self) -> impl Future<Output = StoreResult<Vec<(u8, String)>>> + Send;
    /// Deletes recorded message texts that no act has used, and that were recorded when `after` or a later copy was the
    /// newest.
    fn delete_unused_messages(&mut self, after: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Stores the text of a message number, and `after`, the sequence number of the newest copy at that time. Does
    /// nothing if the number has a text already.
    fn insert_message(&mut self, number: u8, text: &str, after: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the status of all issued copies of an offer, or of one issued copy; `id` is the id of either. Empty for
    /// an unknown id.
    fn copy_statuses(&mut self, id: &str) -> impl Future<Output = StoreResult<Vec<CopyStatus>>> + Send;
    /// Returns the status of an issued copy for its holder, by the hash of the copy's handle.
    fn holder_status_by_handle(
        &mut self,
        handle: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<HolderCopyStatus>>> + Send;
    /// Returns recorded acts, newest first. `id`: only those that changed copies of this offer, or this copy; empty:
    /// all.
    fn status_acts(
        &mut self,
        id: &str,
        slice: PageSlice,
    ) -> impl Future<Output = StoreResult<Vec<StatusActRecord>>> + Send;
    /// Returns whether an act with this number is recorded.
    fn has_act(&mut self, act: i64) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Returns the issued copies whose state or message an act changed, newest first.
    fn copies_changed_by(
        &mut self,
        act: i64,
        slice: PageSlice,
    ) -> impl Future<Output = StoreResult<Vec<ChangedCopy>>> + Send;
}
