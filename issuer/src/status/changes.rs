//! Changes of statuses: an act of staff in one transaction, once for each request_id.

use std::collections::{HashMap, HashSet};

use carnet_core::{format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    secrets::{self, Hash},
    store::{
        Store, StoreTx,
        offers::OfferState,
        status::{ActRecord, CopyState, IssuedIn, NewAct, State, StatusRows as _, Verb},
    },
};

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

/// Change of a copy: its status index, and the values before and after.
enum Change {
    State(i64, State, State),
    Message(i64, u8, u8),
}

/// Applies an act of staff atomically, once for each request_id, and records it.
///
/// # Errors
/// The request is refused, and nothing is changed; store errors.
pub(crate) async fn apply<S: Store>(store: &S, act: &Act) -> Result<Acted, Error> {
    let mut tx = store.begin("act_on_status").await?;
    if let Some(done) = done_before(&mut tx, act).await? {
        return Ok(done);
    }
    let (targets, open) = match &act.whom {
        Whom::Ids(ids) => (named(&mut tx, ids, act.verb).await?, 0),
        Whom::Matching { credential_type, from, until } => {
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
    let mut acted = Acted {
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
        if acted.credentials == 1 && !matches!(act.verb, Verb::Message(_)) {
            (acted.unchanged_since, acted.waits_since) = last_change(&mut tx, &targets).await?;
        }
        return Ok(acted);
    }
    acted.act = Some(write(&mut tx, act, &acted, &changes).await?);
    tx.commit().await?;
    Ok(acted)
}

/// Returns the result of an earlier act with this request_id, if there is one.
async fn done_before<T: StoreTx>(tx: &mut T, act: &Act) -> Result<Option<Acted>, Error> {
    let Some((request, record)) = tx.act_by_request(&act.request_id).await? else { return Ok(None) };
    if !secrets::same(&request, &act.request) {
        return Err(Error::RequestIdReused { what: "a change of status" });
    }
    let ActRecord { seq, credentials, copies, changed, .. } = record;
    Ok(Some(Acted { act: Some(seq), credentials, copies, changed, open: 0, unchanged_since: None, waits_since: None }))
}

/// Returns the copies that the ids name. An offer's copies include those about to be signed, so that none escapes.
async fn named<T: StoreTx>(tx: &mut T, ids: &[String], verb: Verb) -> Result<Vec<CopyState>, Error> {
    let mut targets: HashMap<i64, CopyState> = HashMap::new();
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
            Verb::Suspend | Verb::Reinstate if found.iter().all(|target| target.state == State::Revoked) => {
                return Err(Error::StatusRevoked { id: id.clone() });
            }
            Verb::Message(number) if messages_of(tx, &found).await?.is_empty() => {
                return Err(Error::MessageNotCarried { id: id.clone(), number });
            }
            _ => {}
        }
        targets.extend(found.into_iter().map(|target| (target.status_index, target)));
    }
    Ok(targets.into_values().collect())
}

/// Returns the changes that an act makes to its targets.
async fn changes<T: StoreTx>(tx: &mut T, verb: Verb, targets: &[CopyState]) -> Result<Vec<Change>, Error> {
    if let Verb::Message(number) = verb {
        let have = messages_of(tx, targets).await?;
        let changed = have.into_iter().filter(|(_, before)| *before != number);
        return Ok(changed.map(|(status_index, before)| Change::Message(status_index, before, number)).collect());
    }
    let change = |target: &CopyState| Some(Change::State(target.status_index, target.state, verb.of(target.state)?));
    Ok(targets.iter().filter_map(change).collect())
}

/// Returns the time of the copies' last change, and that from which the first of them waits for the lists.
async fn last_change<T: StoreTx>(
    tx: &mut T,
    targets: &[CopyState],
) -> Result<(Option<Timestamp>, Option<Timestamp>), Error> {
    let (mut changed, mut waits) = (None, None);
    for target in targets {
        let Some(last) = tx.last_change(target.status_index).await? else { continue };
        changed = changed.max(last.at);
        waits = [waits, last.waits_since].into_iter().flatten().min();
    }
    Ok((changed, waits))
}

/// Returns the targets that can have a message, with their current ones: wallets ask about SD-JWT copies only.
async fn messages_of<T: StoreTx>(tx: &mut T, targets: &[CopyState]) -> Result<Vec<(i64, u8)>, Error> {
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

async fn write<T: StoreTx>(tx: &mut T, act: &Act, acted: &Acted, changes: &[Change]) -> Result<i64, Error> {
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
            Change::Message(status_index, before, after) => tx.set_message(seq, (status_index, before, after)).await?,
            Change::State(status_index, before, after) => {
                if act.urgent {
                    // Pending changes of the copy are published at once, too.
                    tx.end_wait(status_index).await?;
                } else {
                    // A copy with a pending earlier change keeps waiting from that time.
                    tx.begin_wait(status_index, before, act.now).await?;
                }
                tx.set_state(seq, (status_index, before, after)).await?;
            }
        }
    }
    Ok(seq)
}
