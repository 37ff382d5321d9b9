//! Application of status changes and messages: one transaction for each request, applied once for each request_id.

use std::collections::{HashMap, HashSet};

use carnet_core::{format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    secrets::{self, SecretHash},
    store::{
        Store, StoreTx,
        offers::OfferState,
        status::{ActRecord, CopyWithState, IssuedIn, NewAct, StatusAction, StatusRows as _, StatusState},
    },
};

/// Credentials to which a status change applies. A credential consists of all copies of one offer.
#[derive(Debug, Clone)]
pub(crate) enum StatusTarget {
    /// Ids of offers, each for all of its copies, or of single issued copies.
    Ids(Vec<String>),
    /// Credentials of a type (`None`: any) whose first copy was issued between `from` and `until`, both inclusive;
    /// `None`: no bound.
    Matching { credential_type: Option<String>, from: Option<Timestamp>, until: Option<Timestamp> },
}

/// Checked status change or message, to be applied.
#[derive(Debug, Clone)]
pub(crate) struct StatusChange {
    pub(crate) request_id: String,
    /// Digest of the request, by which a repetition is recognised.
    pub(crate) request: SecretHash,
    pub(crate) verb: StatusAction,
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) who: String,
    pub(crate) whom: StatusTarget,
    /// Expected number of credentials, compared with the number that match; `None`: not compared.
    pub(crate) expected: Option<u64>,
    /// `true` only counts, and changes nothing.
    pub(crate) dry_run: bool,
    /// `true` publishes the change with the next publication, `false` not before the next publication time.
    pub(crate) urgent: bool,
    pub(crate) now: Timestamp,
}

/// Result of a status change or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusChangeResult {
    /// Number of the recorded act, which is also the version of the lists that include it. `None` for a dry run, and if
    /// nothing changed.
    pub(crate) act: Option<i64>,
    /// Number of matching credentials.
    pub(crate) credentials: u64,
    /// Number of their copies.
    pub(crate) copies: u64,
    /// Number of copies whose state or message changed.
    pub(crate) changed: u64,
    /// Number of open or redeemed offers that match the filter, and from which nothing was issued yet; 0 for ids.
    pub(crate) open: u64,
    /// Time of the credential's last status change; only if the request concerned one credential and changed nothing.
    pub(crate) unchanged_since: Option<Timestamp>,
    /// Time since which that last change waits for publication; `None` if it is published.
    pub(crate) waits_since: Option<Timestamp>,
}

/// Change of one copy: its status index, and the state or message number before and after.
enum AppliedChange {
    State(i64, StatusState, StatusState),
    Message(i64, u8, u8),
}

/// Applies a status change or message in one transaction, and records it. If the request_id was used for the same
/// request, the recorded result is returned, and nothing is changed.
///
/// # Errors
/// The request is refused, and nothing is changed: no credential matches, an id is unknown, the expected number
/// differs, the credential is revoked, the message cannot reach the holder, or the request_id was used for another
/// request; store errors.
pub(crate) async fn apply_change<S: Store>(store: &S, act: &StatusChange) -> Result<StatusChangeResult, Error> {
    let mut tx = store.begin("act_on_status").await?;
    if let Some(done) = done_before(&mut tx, act).await? {
        return Ok(done);
    }
    let (targets, open) = match &act.whom {
        StatusTarget::Ids(ids) => (named(&mut tx, ids, act.verb).await?, 0),
        StatusTarget::Matching { credential_type, from, until } => {
            let issued = IssuedIn { credential_type: credential_type.as_deref(), from: *from, until: *until };
            let (targets, open) = (tx.copies_issued_in(issued).await?, tx.open_offers_in(issued).await?);
            if targets.is_empty() {
                return Err(Error::NothingMatches { open });
            }
            (targets, open)
        }
    };
    let changes = changes(&mut tx, act.verb, &targets).await?;
    let offers: HashSet<&str> = targets.iter().map(|target| target.offer_id.as_str()).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut acted = StatusChangeResult {
        act: None,
        credentials: count(offers.len()),
        copies: count(targets.len()),
        changed: count(changes.len()),
        open,
        unchanged_since: None,
        waits_since: None,
    };
    if act.dry_run {
        return Ok(acted);
    }
    if let Some(expected) = act.expected.filter(|expected| *expected != acted.credentials) {
        return Err(Error::CountDiffers { expected, found: acted.credentials });
    }
    if changes.is_empty() {
        if acted.credentials == 1 && !matches!(act.verb, StatusAction::Message(_)) {
            (acted.unchanged_since, acted.waits_since) = last_change(&mut tx, &targets).await?;
        }
        return Ok(acted);
    }
    acted.act = Some(write(&mut tx, act, &acted, &changes).await?);
    tx.commit().await?;
    Ok(acted)
}

/// Returns the result of an earlier request with this request_id; `None` if there is none.
///
/// # Errors
/// [`Error::RequestIdReused`] if that request was another one; store errors.
async fn done_before<T: StoreTx>(tx: &mut T, act: &StatusChange) -> Result<Option<StatusChangeResult>, Error> {
    let Some((request, record)) = tx.act_by_request(&act.request_id).await? else { return Ok(None) };
    if !secrets::equal_in_constant_time(&request, &act.request) {
        return Err(Error::RequestIdReused { what: "a change of status" });
    }
    let ActRecord { seq, credentials, copies, changed, .. } = record;
    Ok(Some(StatusChangeResult {
        act: Some(seq),
        credentials,
        copies,
        changed,
        open: 0,
        unchanged_since: None,
        waits_since: None,
    }))
}

/// Returns the copies that the ids name. An offer's copies include those about to be signed, so that none is missed.
///
/// # Errors
/// An id is unknown; nothing was issued from an offer; all copies of an id are revoked, for a suspension or a
/// reinstatement; no copy of an id can receive the message; store errors.
async fn named<T: StoreTx>(tx: &mut T, ids: &[String], verb: StatusAction) -> Result<Vec<CopyWithState>, Error> {
    let mut targets: HashMap<i64, CopyWithState> = HashMap::new();
    for id in ids {
        let found = match tx.offer(id).await? {
            Some(content) if content.offer.state == OfferState::Collected => tx.copies_of_offer(id).await?,
            // An offer that was not collected is cancelled instead; it has no copies.
            Some(_) => return Err(Error::NotIssued { id: id.clone() }),
            None => tx.issued_copy(id).await?.into_iter().collect(),
        };
        if found.is_empty() {
            return Err(Error::StatusUnknown { id: id.clone() });
        }
        match verb {
            StatusAction::Suspend | StatusAction::Reinstate
                if found.iter().all(|target| target.state == StatusState::Revoked) =>
            {
                return Err(Error::StatusRevoked { id: id.clone() });
            }
            StatusAction::Message(number) if messages_of(tx, &found).await?.is_empty() => {
                return Err(Error::MessageNotCarried { id: id.clone(), number });
            }
            _ => {}
        }
        targets.extend(found.into_iter().map(|target| (target.status_index, target)));
    }
    Ok(targets.into_values().collect())
}

/// Returns the changes that an action makes to these copies; copies that it leaves unchanged are absent.
async fn changes<T: StoreTx>(
    tx: &mut T,
    verb: StatusAction,
    targets: &[CopyWithState],
) -> Result<Vec<AppliedChange>, Error> {
    if let StatusAction::Message(number) = verb {
        let have = messages_of(tx, targets).await?;
        let changed = have.into_iter().filter(|(_, before)| *before != number);
        return Ok(changed
            .map(|(status_index, before)| AppliedChange::Message(status_index, before, number))
            .collect());
    }
    let change =
        |target: &CopyWithState| Some(AppliedChange::State(target.status_index, target.state, verb.of(target.state)?));
    Ok(targets.iter().filter_map(change).collect())
}

/// Returns the time of the latest change of these copies, and the earliest time since which a change of them waits for
/// publication.
async fn last_change<T: StoreTx>(
    tx: &mut T,
    targets: &[CopyWithState],
) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let (mut changed, mut waits) = (None, None);
    for target in targets {
        let Some(last) = tx.last_change(target.status_index).await? else { continue };
        changed = changed.max(last.at);
        waits = [waits, last.waits_since].into_iter().flatten().min();
    }
    Ok((changed, waits))
}

/// Returns the copies among these that can have a message, with the number of their current one (0: none): only SD-JWT
/// copies, since wallets request the status of no others.
async fn messages_of<T: StoreTx>(tx: &mut T, targets: &[CopyWithState]) -> Result<Vec<(i64, u8)>, Error> {
    let mut found = Vec::new();
    for target in targets {
        if let Some((CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt, before)) =
            tx.message_of(target.status_index).await?
        {
            found.push((target.status_index, before));
        }
    }
    Ok(found)
}

/// Records the act and writes its changes. Returns the number of the act.
async fn write<T: StoreTx>(
    tx: &mut T,
    act: &StatusChange,
    acted: &StatusChangeResult,
    changes: &[AppliedChange],
) -> Result<i64, Error> {
    let new = NewAct {
        request_id: &act.request_id,
        request: &act.request,
        verb: act.verb,
        reason: &act.reason,
        who: &act.who,
        urgent: act.urgent,
        now: act.now,
        credentials: acted.credentials,
        copies: acted.copies,
        changed: acted.changed,
    };
    let seq = tx.insert_act(&new).await?;
    for change in changes {
        match *change {
            AppliedChange::Message(status_index, before, after) => {
                tx.set_message(seq, (status_index, before, after)).await?
            }
            AppliedChange::State(status_index, before, after) => {
                if act.urgent {
                    // Pending changes of the copy are published at once, too.
                    tx.publish_deferred(status_index).await?;
                } else {
                    // A copy with a pending earlier change keeps waiting from that time.
                    tx.defer_publication(status_index, before, act.now).await?;
                }
                tx.set_state(seq, (status_index, before, after)).await?;
            }
        }
    }
    Ok(seq)
}
