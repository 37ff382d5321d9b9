//! Continuation with a store that was restored from an old backup. Status indices, codes and nonces that may have been
//! used since the backup are not used again, and published revocations and suspensions are applied.

use std::collections::BTreeSet;

use carnet_core::time::Timestamp;
use rand_core::{OsRng, RngCore as _};
use sqlx::Row as _;

use crate::{
    shuffle::PermutationKey,
    store::status::{PublishedStates, StatusState},
};

type Tx = carnet_service::store::WriteTransaction;

/// Distance of the new list's number from the highest known one: more lists than an issuer opens after a backup.
const LIST_NUMBER_GAP: i64 = 1_000;
/// Name recorded as the staff member of the acts.
const STAFF_NAME: &str = "restore";
const REASON: &str = "taken over from the published lists, after an older backup was restored";

/// Inserts a list with a given number, unless it exists.
const INSERT_LIST: &str = "INSERT INTO status_lists (list, first_index, entries, seed, drawn, opened_at, inherited) \
    SELECT ?1, (SELECT coalesce(max(first_index + entries), 0) FROM status_lists), ?2, ?3, ?4, ?5, ?6 \
    WHERE NOT EXISTS (SELECT 1 FROM status_lists WHERE list = ?1)";

/// Numbers of offers and copies that were changed to continue with an old backup.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestoreSummary {
    /// Number of open and redeemed offers that were closed.
    pub(crate) closed_offers: u64,
    /// Number of copies that were revoked or suspended because they are published in that state.
    pub(crate) changed_copies: u64,
    /// Number of those copies of which the store has no record.
    pub(crate) unknown_copies: u64,
}

/// Closes all lists and uncollected offers, opens a new list of `list_entries` entries, and applies the published
/// states that are more severe than those in the store.
///
/// # Errors
/// Errors of the database.
pub(crate) async fn continue_restored(
    tx: &mut Tx,
    now: Timestamp,
    list_entries: u64,
    published: &[PublishedStates],
) -> Result<RestoreSummary, sqlx::Error> {
    let offers = close_offers(tx).await?;
    close_lists(tx, now, list_entries, published).await?;
    let mut taken = RestoreSummary { closed_offers: offers, ..RestoreSummary::default() };
    for to in [StatusState::Revoked, StatusState::Suspended] {
        apply_published_state(tx, now, published, to, &mut taken).await?;
    }
    Ok(taken)
}

/// Closes open and redeemed offers and pending renewals, and erases their claims and all stored responses: copies may
/// have been issued since the backup, and the links would yield the credential a second time. Returns the number of
/// closed offers.
async fn close_offers(tx: &mut Tx) -> Result<u64, sqlx::Error> {
    let closed =
        sqlx::query("UPDATE offers SET state = 'cancelled', claims = NULL WHERE state IN ('open', 'redeemed')")
            .execute(&mut **tx)
            .await?
            .rows_affected();
    sqlx::query("UPDATE collections SET holder_keys = NULL, state = 'intended' WHERE state = 'deferred'")
        .execute(&mut **tx)
        .await?;
    sqlx::query("UPDATE collections SET sealed = NULL, sealed_until = NULL WHERE sealed IS NOT NULL")
        .execute(&mut **tx)
        .await?;
    sqlx::query("UPDATE issued SET holder_thumbprint = NULL WHERE issued_at IS NULL AND holder_thumbprint IS NOT NULL")
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE renewals SET state = 'lapsed', claims = NULL, holder_keys = NULL, thumbprints = NULL \
         WHERE state IN ('pending', 'approved')",
    )
    .execute(&mut **tx)
    .await?;
    Ok(closed)
}

/// Closes all lists, also published ones that the store does not have, and opens one with an unused number. Since the
/// backup, indices may have been drawn from the lists in the store and from later ones.
async fn close_lists(
    tx: &mut Tx,
    now: Timestamp,
    list_entries: u64,
    published: &[PublishedStates],
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE status_lists SET drawn = entries, inherited = 1 WHERE drawn < entries")
        .execute(&mut **tx)
        .await?;
    for list in published {
        sqlx::query(INSERT_LIST)
            .bind(list.list)
            .bind(integer(list.entries))
            .bind([0_u8; 32].as_slice())
            .bind(integer(list.entries))
            .bind(now.unix())
            .bind(1)
            .execute(&mut **tx)
            .await?;
    }
    let newest: i64 =
        sqlx::query_scalar("SELECT coalesce(max(list), 0) FROM status_lists").fetch_one(&mut **tx).await?;
    let mut seed = PermutationKey::default();
    OsRng.fill_bytes(&mut seed);
    sqlx::query(INSERT_LIST)
        .bind(newest.saturating_add(LIST_NUMBER_GAP))
        .bind(integer(list_entries))
        .bind(seed.as_slice())
        .bind(0)
        .bind(now.unix())
        .bind(0)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Copy that is published in a more severe state than that in the store.
struct Difference {
    status_index: i64,
    /// Offer of the copy, and its state in the store; `None` if the store has no record of it.
    offer_and_state: Option<(String, String)>,
}

/// Records one act for all copies published in the state `to`. A suspension whose end was published remains; staff can
/// end it.
async fn apply_published_state(
    tx: &mut Tx,
    now: Timestamp,
    published: &[PublishedStates],
    to: StatusState,
    taken: &mut RestoreSummary,
) -> Result<(), sqlx::Error> {
    let mut differences = Vec::new();
    for list in published {
        differences.append(&mut differences_in_list(tx, list, to).await?);
    }
    if differences.is_empty() {
        return Ok(());
    }
    let act = write_act(tx, now, to, &differences).await?;
    for difference in &differences {
        match &difference.offer_and_state {
            Some((_, before)) => set_state(tx, act, difference.status_index, before, to).await?,
            None => set_unknown_copy_state(tx, act, difference.status_index, to).await?,
        }
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let unknown = differences.iter().filter(|difference| difference.offer_and_state.is_none()).count();
    taken.changed_copies = taken.changed_copies.saturating_add(count(differences.len()));
    taken.unknown_copies = taken.unknown_copies.saturating_add(count(unknown));
    Ok(())
}

/// Returns the entries of a list that were published in the state `to`, and have a less severe one in the store.
async fn differences_in_list(
    tx: &mut Tx,
    list: &PublishedStates,
    to: StatusState,
) -> Result<Vec<Difference>, sqlx::Error> {
    let row = sqlx::query("SELECT first_index, entries FROM status_lists WHERE list = ?")
        .bind(list.list)
        .fetch_one(&mut **tx)
        .await?;
    let (first, entries): (i64, i64) = (row.try_get("first_index")?, row.try_get("entries")?);
    let mut differences = Vec::new();
    let positions = list.states.iter().filter(|(_, state)| *state == to).map(|(position, _)| integer(*position));
    for position in positions.filter(|position| *position < entries) {
        let status_index = first.saturating_add(position);
        let row = sqlx::query(
            "SELECT i.offer_id, coalesce(s.state, 'valid') AS state FROM issued i LEFT JOIN statuses s USING (status_index) \
             WHERE i.status_index = ?",
        )
        .bind(status_index)
        .fetch_optional(&mut **tx)
        .await?;
        let known: Option<(String, String)> = match row {
            Some(row) => Some((row.try_get("offer_id")?, row.try_get("state")?)),
            None => None,
        };
        let holds_more = match known.as_ref().map(|(_, state)| state.as_str()) {
            Some("revoked") => false,
            Some("suspended") => to == StatusState::Revoked,
            _ => true,
        };
        if holds_more {
            differences.push(Difference { status_index, offer_and_state: known });
        }
    }
    Ok(differences)
}

async fn set_state(tx: &mut Tx, act: i64, index: i64, before: &str, to: StatusState) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO status_changes (act, status_index, before, after) VALUES (?, ?, ?, ?)")
        .bind(act)
        .bind(index)
        .bind(before)
        .bind(to.as_str())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO statuses (status_index, state, act) VALUES (?, ?, ?) \
         ON CONFLICT (status_index) DO UPDATE SET state = excluded.state, act = excluded.act",
    )
    .bind(index)
    .bind(to.as_str())
    .bind(act)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn set_unknown_copy_state(tx: &mut Tx, act: i64, index: i64, to: StatusState) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO inherited_statuses (status_index, state, act) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(index)
        .bind(to.as_str())
        .bind(act)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn write_act(
    tx: &mut Tx,
    now: Timestamp,
    to: StatusState,
    differences: &[Difference],
) -> Result<i64, sqlx::Error> {
    let verb = if to == StatusState::Revoked { "revoke" } else { "suspend" };
    let id: String = sqlx::query_scalar("SELECT id FROM store_identity").fetch_one(&mut **tx).await?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let offers = differences
        .iter()
        .filter_map(|difference| difference.offer_and_state.as_ref())
        .map(|(offer, _)| offer.as_str());
    sqlx::query_scalar(
        "INSERT INTO status_acts (seq, request_id, request, verb, reason, who, at, credentials, copies, changed) \
         SELECT coalesce(max(seq), 0) + 1, ?1, zeroblob(32), ?2, ?3, ?4, ?5, ?6, ?7, ?7 FROM acts RETURNING seq",
    )
    .bind(format!("restore-{id}-{verb}"))
    .bind(verb)
    .bind(REASON)
    .bind(STAFF_NAME)
    .bind(now.unix())
    .bind(count(offers.collect::<BTreeSet<_>>().len()))
    .bind(count(differences.len()))
    .fetch_one(&mut **tx)
    .await
}
