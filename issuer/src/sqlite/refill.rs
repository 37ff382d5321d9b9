//! Refills: the presented copy, the daily limit of its offer, and the intent.

use carnet_core::{Code, Problem, day, time::Timestamp};
use sqlx::{Row as _, SqliteExecutor, sqlite::SqliteRow};

use super::{
    SqliteStore, Tx,
    indices::write_intents,
    issuance::{mark_issued, use_up},
};
use crate::{
    error::Error,
    secrets::Hash,
    store::{Refill, RefillIntent, RefillStore, SignedCopies, status::State},
};

/// Offer and validity of a signed copy, by its digest.
const COPY: &str = "SELECT o.offer_id, coalesce(c.valid_from, o.valid_from) AS valid_from, \
     coalesce(c.valid_until, o.valid_until) AS valid_until, c.generation, coalesce(s.state, 'valid') AS state \
     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
     LEFT JOIN statuses s USING (status_index) \
     WHERE i.copy_digest = ? AND i.issued_at IS NOT NULL";

/// Last reinstatement of a credential, or message on it.
const LAST_MARK: &str = "SELECT max(at) FROM (\
     SELECT a.at FROM issued i JOIN status_changes c USING (status_index) JOIN status_acts a ON a.seq = c.act \
     WHERE i.offer_id = ?1 AND c.after = 'valid' UNION ALL \
     SELECT a.at FROM issued i JOIN message_changes c USING (status_index) JOIN message_acts a ON a.seq = c.act \
     WHERE i.offer_id = ?1)";

impl RefillStore for SqliteStore {
    async fn require_copy(&self, copy: &Hash) -> Result<(), Error> {
        shown_copy(self.database.readers(), copy).await.map(drop)
    }

    async fn intend_refill(&self, intent: RefillIntent) -> Result<Refill, Error> {
        let mut tx = self.database.begin("intend_refill").await?;
        let offer = shown_copy(&mut *tx, &intent.copy).await?;
        let offer_id: String = offer.try_get("offer_id")?;
        use_up(&mut tx, intent.nonce).await?;
        require_room(&mut tx, &offer_id, intent.thumbprints.len(), intent.per_day, intent.now).await?;
        let generation = offer.try_get("generation")?;
        require_rest(&mut tx, &offer_id, generation, intent.thumbprints.len(), self.refill_copies).await?;
        let (from, until) = validity(&offer)?;
        // Copies from before epochs get the dates of their epoch, unless no validity would be left.
        let (valid_from, valid_until) = intent.epoch.validity(from, until, intent.now).unwrap_or((from, until));
        let collection: i64 = sqlx::query_scalar(
            "INSERT INTO collections (offer_id, request_digest, state, notification_hash, refill, valid_from, valid_until, \
             generation) VALUES (?, ?, 'intended', ?, 1, ?, ?, ?) RETURNING seq",
        )
        .bind(&offer_id)
        .bind(intent.request_digest.as_slice())
        .bind(intent.notification_hash.as_slice())
        .bind(valid_from.unix())
        .bind(valid_until.unix())
        .bind(generation)
        .fetch_one(&mut *tx)
        .await?;
        let holders = &intent.thumbprints;
        let places = write_intents(&mut tx, self.list_entries, collection, &offer_id, holders, intent.now).await?;
        tx.commit().await?;
        Ok(Refill { collection, offer_id, places, valid_from, valid_until })
    }

    async fn finish_refill(&self, collection: i64, copies: SignedCopies<'_>, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.begin("finish_refill").await?;
        sqlx::query("UPDATE collections SET state = 'signed', kid = ? WHERE seq = ?")
            .bind(copies.kid)
            .bind(collection)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE renewals SET state = 'issued' WHERE collection = ? AND state = 'approved'")
            .bind(collection)
            .execute(&mut *tx)
            .await?;
        mark_issued(&mut tx, collection, copies.names, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Returns the row of [`COPY`] for a presented copy.
///
/// # Errors
/// [`Error::CopyUnknown`]: it was not issued here; it was revoked or suspended.
pub(super) async fn shown_copy(executor: impl SqliteExecutor<'_>, copy: &Hash) -> Result<SqliteRow, Error> {
    // A valid signature is not enough: with a leaked key, anybody could sign claims for their own key.
    let row = sqlx::query(COPY).bind(copy.as_slice()).fetch_optional(executor).await?.ok_or(Error::CopyUnknown)?;
    require_valid(&row)?;
    Ok(row)
}

/// Refuses a copy that is revoked or suspended.
fn require_valid(row: &SqliteRow) -> Result<(), Error> {
    let problem = match State::parse(row.try_get("state")?)? {
        State::Valid => return Ok(()),
        State::Revoked => Problem::new(Code::Revoked, "the issuer revoked this credential; ask it why"),
        State::Suspended => Problem::new(Code::Suspended, "the credential is suspended; ask the issuer why"),
    };
    Err(Error::PresentationInvalid(problem))
}

/// Returns start and end of a copy's validity.
pub(super) fn validity(copy: &SqliteRow) -> Result<(Timestamp, Timestamp), Error> {
    let time = |column: &str| copy.try_get(column).map(Timestamp::from_unix);
    Ok((time("valid_from")?, time("valid_until")?))
}

/// Refuses more copies by refill than an offer may have per day; the error says when copies are available again.
pub(super) async fn require_room(
    tx: &mut Tx,
    offer_id: &str,
    copies: usize,
    per_day: u32,
    now: Timestamp,
) -> Result<(), Error> {
    // Copies issued before the wallet had to discard its copies do not count: their holder did not ask for that.
    let since = now.plus(-day::SECONDS).unix().max(last_mark(tx, offer_id).await?);
    // Intended copies count, too: their indices are used up.
    let times: Vec<i64> = sqlx::query_scalar(
        "SELECT i.intended_at FROM issued i JOIN collections c ON c.seq = i.collection \
         WHERE i.offer_id = ? AND c.refill = 1 AND i.intended_at > ? ORDER BY i.intended_at",
    )
    .bind(offer_id)
    .bind(since)
    .fetch_all(&mut **tx)
    .await?;
    let most = usize::try_from(per_day).unwrap_or(usize::MAX);
    let excess = times.len().saturating_add(copies).saturating_sub(most);
    let Some(last) = excess.checked_sub(1) else { return Ok(()) };
    // Copies are available again when the excess ones are a day old.
    let at = times.get(last).or(times.last()).copied().unwrap_or_else(|| now.unix());
    let seconds = u32::try_from(at.saturating_sub(since)).unwrap_or(u32::MAX);
    Err(Error::RefillLimit { per_day, seconds })
}

/// Returns the time of the last act after which a wallet discards its copies, a reinstatement or a message; the minimum
/// if there is none.
async fn last_mark(tx: &mut Tx, offer_id: &str) -> Result<i64, Error> {
    let at: Option<i64> = sqlx::query_scalar(LAST_MARK).bind(offer_id).fetch_one(&mut **tx).await?;
    Ok(at.unwrap_or(i64::MIN))
}

/// Refuses more copies by refill than an offer may have until it is renewed.
pub(super) async fn require_rest(
    tx: &mut Tx,
    offer_id: &str,
    generation: i64,
    copies: usize,
    most: u32,
) -> Result<(), Error> {
    let had: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM issued i JOIN collections c ON c.seq = i.collection \
         WHERE i.offer_id = ? AND c.refill = 1 AND c.generation = ? AND i.intended_at > ?",
    )
    .bind(offer_id)
    .bind(generation)
    .bind(last_mark(tx, offer_id).await?)
    .fetch_one(&mut **tx)
    .await?;
    let all = had.saturating_add(i64::try_from(copies).unwrap_or(i64::MAX));
    if all > i64::from(most) { Err(Error::RefillSpent { most }) } else { Ok(()) }
}
