//! Application of status changes and messages: one transaction for each request, applied once for each request_id.

use std::collections::{HashMap, HashSet};

use carnet_core::{format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    secrets::{self, Sha256Hash},
    store::{
        Store, StoreTx,
        offers::OfferState,
        status::{
            CopyWithState, IssuancePeriodFilter, NewStatusAct, StatusActRecord, StatusAction, StatusRows as _,
            StatusState,
        },
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
    pub(crate) request_digest: Sha256Hash,
    pub(crate) action: StatusAction,
    pub(crate) reason: String,
    /// Name of the staff member.
    pub(crate) staff_name: String,
    pub(crate) target: StatusTarget,
    /// Expected number of credentials, compared with the number that match; `None`: not compared.
    pub(crate) expected_count: Option<u64>,
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
    pub(crate) act_number: Option<i64>,
    /// Number of matching credentials.
    pub(crate) credential_count: u64,
    /// Number of their copies.
    pub(crate) copy_count: u64,
    /// Number of copies whose state or message changed.
    pub(crate) changed_count: u64,
    /// Number of open or redeemed offers that match the filter, and from which nothing was issued yet; 0 for ids.
    pub(crate) open_offers: u64,
    /// Time of the credential's last status change; only if the request concerned one credential and changed nothing.
    pub(crate) unchanged_since: Option<Timestamp>,
    /// Time since which that last change waits for publication; `None` if it is published.
    pub(crate) pending_since: Option<Timestamp>,
}

/// Change of one copy: its status index, and the state or message number before and after.
enum CopyChange {
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
    if let Some(done) = repeated_change(&mut tx, act).await? {
        tx.commit().await?;
        return Ok(done);
    }
    let (targets, open) = match &act.target {
        StatusTarget::Ids(ids) => (copies_by_ids(&mut tx, ids, act.action).await?, 0),
        StatusTarget::Matching { credential_type, from, until } => {
            let issued =
                IssuancePeriodFilter { credential_type: credential_type.as_deref(), from: *from, until: *until };
            let (targets, open) = (tx.copies_matching(issued).await?, tx.count_open_offers(issued).await?);
            if targets.is_empty() {
                return Err(Error::NoCredentialMatches { open });
            }
            (targets, open)
        }
    };
    let changes = changes_to_copies(&mut tx, act.action, &targets).await?;
    let offers: HashSet<&str> = targets.iter().map(|target| target.offer_id.as_str()).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut acted = StatusChangeResult {
        act_number: None,
        credential_count: count(offers.len()),
        copy_count: count(targets.len()),
        changed_count: count(changes.len()),
        open_offers: open,
        unchanged_since: None,
        pending_since: None,
    };
    if act.dry_run {
        tx.commit().await?;
        return Ok(acted);
    }
    if let Some(expected) = act.expected_count.filter(|expected| *expected != acted.credential_count) {
        return Err(Error::UnexpectedCount { expected, found: acted.credential_count });
    }
    if changes.is_empty() {
        if acted.credential_count == 1 && !matches!(act.action, StatusAction::Message(_)) {
            (acted.unchanged_since, acted.pending_since) = last_change(&mut tx, &targets).await?;
        }
        tx.commit().await?;
        return Ok(acted);
    }
    acted.act_number = Some(record_change(&mut tx, act, &acted, &changes).await?);
    tx.commit().await?;
    Ok(acted)
}

/// Returns the result of an earlier request with this request_id; `None` if there is none.
///
/// # Errors
/// [`Error::RequestIdReused`] if that request was another one; store errors.
async fn repeated_change<T: StoreTx>(tx: &mut T, act: &StatusChange) -> Result<Option<StatusChangeResult>, Error> {
    let Some((request, record)) = tx.act_by_request(&act.request_id).await? else { return Ok(None) };
    if !secrets::equal_in_constant_time(&request, &act.request_digest) {
        return Err(Error::RequestIdReused { what: "a change of status" });
    }
    let StatusActRecord { seq, credentials, copies, changed, .. } = record;
    Ok(Some(StatusChangeResult {
        act_number: Some(seq),
        credential_count: credentials,
        copy_count: copies,
        changed_count: changed,
        open_offers: 0,
        unchanged_since: None,
        pending_since: None,
    }))
}

/// Returns the copies that the ids name. An offer's copies include those about to be signed, so that none is missed.
///
/// # Errors
/// An id is unknown; nothing was issued from an offer; all copies of an id are revoked, for a suspension or a
/// reinstatement; no copy of an id can receive the message; store errors.
async fn copies_by_ids<T: StoreTx>(
    tx: &mut T,
    ids: &[String],
    verb: StatusAction,
) -> Result<Vec<CopyWithState>, Error> {
    let mut targets: HashMap<i64, CopyWithState> = HashMap::new();
    for id in ids {
        let found = match tx.offer(id).await? {
            Some(content) if content.offer.state == OfferState::Collected => tx.copies_of_offer(id).await?,
            // An offer that was not collected is cancelled instead; it has no copies.
            Some(_) => return Err(Error::NothingIssued { id: id.clone() }),
            None => tx.copy_by_id(id).await?.into_iter().collect(),
        };
        if found.is_empty() {
            return Err(Error::CredentialUnknown { id: id.clone() });
        }
        match verb {
            StatusAction::Suspend | StatusAction::Reinstate
                if found.iter().all(|target| target.state == StatusState::Revoked) =>
            {
                return Err(Error::AlreadyRevoked { id: id.clone() });
            }
            StatusAction::Message(number) if current_messages(tx, &found).await?.is_empty() => {
                return Err(Error::MessageUndeliverable { id: id.clone(), number });
            }
            _ => {}
        }
        targets.extend(found.into_iter().map(|target| (target.status_index, target)));
    }
    Ok(targets.into_values().collect())
}

/// Returns the changes that an action makes to these copies; copies that it leaves unchanged are absent.
async fn changes_to_copies<T: StoreTx>(
    tx: &mut T,
    verb: StatusAction,
    targets: &[CopyWithState],
) -> Result<Vec<CopyChange>, Error> {
    if let StatusAction::Message(number) = verb {
        let have = current_messages(tx, targets).await?;
        let changed = have.into_iter().filter(|(_, before)| *before != number);
        return Ok(changed.map(|(status_index, before)| CopyChange::Message(status_index, before, number)).collect());
    }
    let change = |target: &CopyWithState| {
        Some(CopyChange::State(target.status_index, target.state, verb.new_state(target.state)?))
    };
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
async fn current_messages<T: StoreTx>(tx: &mut T, targets: &[CopyWithState]) -> Result<Vec<(i64, u8)>, Error> {
    let mut found = Vec::new();
    for target in targets {
        if let Some((CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt, before)) =
            tx.copy_format_and_message(target.status_index).await?
        {
            found.push((target.status_index, before));
        }
    }
    Ok(found)
}

/// Records the act and writes its changes. Returns the number of the act.
async fn record_change<T: StoreTx>(
    tx: &mut T,
    act: &StatusChange,
    acted: &StatusChangeResult,
    changes: &[CopyChange],
) -> Result<i64, Error> {
    let new = NewStatusAct {
        request_id: &act.request_id,
        request_digest: &act.request_digest,
        verb: act.action,
        reason: &act.reason,
        staff_name: &act.staff_name,
        urgent: act.urgent,
        now: act.now,
        credentials: acted.credential_count,
        copies: acted.copy_count,
        changed: acted.changed_count,
    };
    let seq = tx.insert_act(&new).await?;
    for change in changes {
        match *change {
            CopyChange::Message(status_index, before, after) => {
                tx.set_message(seq, (status_index, before, after)).await?
            }
            CopyChange::State(status_index, before, after) => {
                if act.urgent {
                    // Pending changes of the copy are published at once, too.
                    tx.end_publication_deferral(status_index).await?;
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
