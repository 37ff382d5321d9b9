//! The store in SQLite.

use carnet_core::time::Timestamp;
use carnet_service::store::{begin, checkpoint};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction, migrate::Migrator, sqlite::SqliteRow};
use zeroize::Zeroizing;

use super::{
    Claims, Creation, Intended, Intent, IssuedRecord, NewOffer, OfferRecord, OfferState, PIN_TRIES, Redemption, Slice,
    Store, Work,
};
use crate::{
    error::Error,
    format::{Format, configuration_id},
    secrets::{self, Hash},
};

/// The schema.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// How many nonces may be outstanding: they cost a row each, and anyone may ask for one.
const MOST_NONCES: i64 = 100_000;
/// The entries of one status list (Bitstring Status List 1.0, section 6.1: the least there may be).
const LIST_ENTRIES: u32 = 131_072;
/// How many indices are drawn from one list before the next one begins.
const LIST_FILL: i64 = 98_304;

/// SQLite in WAL mode.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    pool: SqlitePool,
}

type Tx = Transaction<'static, Sqlite>;

impl SqliteStore {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Takes what was just erased out of the write-ahead log too. When that fails, the next sweep does it.
    async fn truncate_log(&self) {
        if let Err(error) = checkpoint(&self.pool).await {
            tracing::warn!(%error, "the write-ahead log could not be emptied; the next sweep tries again");
        }
    }
}

const OFFER: &str = "SELECT * FROM offers WHERE offer_id = ?";

fn offer_of(row: &SqliteRow) -> Result<OfferRecord, Error> {
    Ok(OfferRecord {
        seq: row.try_get("seq")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: Format::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?,
        state: OfferState::parse(row.try_get("state")?)?,
        deferred: row.try_get("deferred")?,
        created_at: Timestamp::from_unix(row.try_get("created_at")?),
        expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
    })
}

fn claims_of(row: &SqliteRow) -> Result<Option<Claims>, Error> {
    Ok(row.try_get::<Option<String>, _>("claims")?.map(|text| Claims(Zeroizing::new(text))))
}

fn issued_of(row: &SqliteRow) -> Result<IssuedRecord, Error> {
    Ok(IssuedRecord {
        seq: row.try_get("seq")?,
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: Format::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?,
        status_index: row.try_get("status_index")?,
        issued_at: Timestamp::from_unix(row.try_get("issued_at")?),
        valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
        notification: row.try_get("notification")?,
    })
}

/// Closes an offer: its claims, and the keys that waited with it, are gone after this.
async fn close(tx: &mut Tx, offer_id: &str, state: OfferState) -> Result<(), Error> {
    sqlx::query("UPDATE offers SET state = ?, claims = NULL WHERE offer_id = ?")
        .bind(state.as_str())
        .bind(offer_id)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE collections SET holder_keys = NULL, state = 'intended' WHERE offer_id = ? AND state = 'deferred'",
    )
    .bind(offer_id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Draws a status index that was never given out.
///
/// Indices are drawn at random (Bitstring Status List 1.0, section 5.1) from one list's worth; once the copies would fill three
/// quarters of the lists so far, draws go to the next list, so that drawing stays quick.
async fn draw_status_index(tx: &mut Tx) -> Result<i64, Error> {
    let given: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM issued").fetch_one(&mut **tx).await?;
    let entries = i64::from(LIST_ENTRIES);
    let list = given.checked_div(LIST_FILL).unwrap_or_default();
    loop {
        let index = list.saturating_mul(entries).saturating_add(i64::from(secrets::draw_below(LIST_ENTRIES)));
        let taken: Option<i64> = sqlx::query_scalar("SELECT seq FROM issued WHERE status_index = ?")
            .bind(index)
            .fetch_optional(&mut **tx)
            .await?;
        if taken.is_none() {
            return Ok(index);
        }
    }
}

/// Writes a row for each copy, before it is signed.
async fn write_intents(
    tx: &mut Tx,
    collection: i64,
    offer_id: &str,
    copies: usize,
    now: Timestamp,
) -> Result<(), Error> {
    for position in 0..copies {
        let index = draw_status_index(tx).await?;
        sqlx::query(
            "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(secrets::draw_id())
        .bind(offer_id)
        .bind(collection)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .bind(index)
        .bind(now.unix())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

fn work_of(
    offer: &SqliteRow,
    collection: i64,
    request_digest: Hash,
    holder_keys: Option<String>,
) -> Result<Work, Error> {
    let record = offer_of(offer)?;
    Ok(Work {
        collection,
        offer_id: record.offer_id,
        credential_type: record.credential_type,
        format: record.format,
        claims: claims_of(offer)?.ok_or(Error::Corrupt("offers.claims"))?,
        valid_from: Timestamp::from_unix(offer.try_get("valid_from")?),
        valid_until: Timestamp::from_unix(offer.try_get("valid_until")?),
        request_digest,
        holder_keys,
    })
}

fn hash_of(row: &SqliteRow, column: &'static str) -> Result<Hash, Error> {
    row.try_get::<Vec<u8>, _>(column)?.try_into().map_err(|_| Error::Corrupt(column))
}

/// The sealed answer of a collection that was signed, if its time is not over.
fn sealed_of(row: &SqliteRow, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
    let until: Option<i64> = row.try_get("sealed_until")?;
    let sealed: Option<Vec<u8>> = row.try_get("sealed")?;
    Ok(sealed.filter(|_| until.is_some_and(|until| now.unix() < until)))
}

impl Store for SqliteStore {
    async fn create_offer(&self, offer: NewOffer) -> Result<Creation, Error> {
        let mut tx = begin(&self.pool, "create_offer").await?;
        if let Some(row) = sqlx::query("SELECT * FROM offers WHERE request_id = ?")
            .bind(&offer.request_id)
            .fetch_optional(&mut *tx)
            .await?
        {
            return Ok(Creation::Known {
                offer: offer_of(&row)?,
                terms: row.try_get("terms")?,
                claims: claims_of(&row)?,
            });
        }
        sqlx::query(
            "INSERT INTO offers (offer_id, request_id, terms, credential_type, format, claims, valid_from, valid_until, \
             code_hash, pin_hash, state, deferred, created_at, expires_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)",
        )
        .bind(&offer.offer_id)
        .bind(&offer.request_id)
        .bind(&offer.terms)
        .bind(&offer.credential_type)
        .bind(offer.format.as_str())
        .bind(offer.claims.0.as_str())
        .bind(offer.valid_from.unix())
        .bind(offer.valid_until.unix())
        .bind(offer.code_hash.as_slice())
        .bind(offer.pin_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(offer.deferred)
        .bind(offer.created_at.unix())
        .bind(offer.expires_at.unix())
        .execute(&mut *tx)
        .await?;
        let row = sqlx::query(OFFER).bind(&offer.offer_id).fetch_one(&mut *tx).await?;
        let record = offer_of(&row)?;
        tx.commit().await?;
        Ok(Creation::Stored(record))
    }

    async fn redeem(
        &self,
        code_hash: Hash,
        pin_hash: Option<Hash>,
        token_hash: Hash,
        token_until: Timestamp,
        now: Timestamp,
    ) -> Result<Redemption, Error> {
        let mut tx = begin(&self.pool, "redeem_offer").await?;
        let Some(row) = sqlx::query("SELECT * FROM offers WHERE code_hash = ?")
            .bind(code_hash.as_slice())
            .fetch_optional(&mut *tx)
            .await?
        else {
            return Ok(Redemption::Refused(Error::OfferUnknown));
        };
        let offer = offer_of(&row)?;
        let failures: i64 = row.try_get("pin_failures")?;
        match offer.state {
            OfferState::Open => {}
            OfferState::Redeemed | OfferState::Collected => return Ok(Redemption::Refused(Error::OfferUsed)),
            OfferState::Cancelled => return Ok(Redemption::Refused(Error::OfferCancelled)),
            OfferState::Expired if failures >= PIN_TRIES => return Ok(Redemption::Refused(Error::OfferLocked)),
            OfferState::Expired => return Ok(Redemption::Refused(Error::OfferExpired)),
        }
        if offer.expires_at <= now {
            close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
            tx.commit().await?;
            self.truncate_log().await;
            return Ok(Redemption::Refused(Error::OfferExpired));
        }
        let expected: Option<Vec<u8>> = row.try_get("pin_hash")?;
        match (expected, pin_hash) {
            (None, None) => {}
            (Some(_), None) => return Ok(Redemption::Refused(Error::PinMissing)),
            (None, Some(_)) => return Ok(Redemption::Refused(Error::PinUnexpected)),
            (Some(expected), Some(given)) if secrets::same(&expected, &given) => {}
            (Some(_), Some(_)) => {
                let failures = failures.saturating_add(1);
                sqlx::query("UPDATE offers SET pin_failures = ? WHERE offer_id = ?")
                    .bind(failures)
                    .bind(&offer.offer_id)
                    .execute(&mut *tx)
                    .await?;
                let locked = failures >= PIN_TRIES;
                if locked {
                    close(&mut tx, &offer.offer_id, OfferState::Expired).await?;
                }
                // The count is kept although the call is refused: that is what limits guessing.
                tx.commit().await?;
                if locked {
                    self.truncate_log().await;
                    return Ok(Redemption::Refused(Error::OfferLocked));
                }
                return Ok(Redemption::Refused(Error::PinWrong { left: PIN_TRIES.saturating_sub(failures) }));
            }
        }
        sqlx::query(
            "UPDATE offers SET state = 'redeemed', token_hash = ?, token_until = ?, collect_until = ? WHERE offer_id = ?",
        )
        .bind(token_hash.as_slice())
        .bind(token_until.unix())
        .bind(token_until.unix())
        .bind(&offer.offer_id)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Redemption::Granted(OfferRecord { state: OfferState::Redeemed, ..offer }))
    }

    async fn add_nonce(&self, hash: Hash, until: Timestamp, now: Timestamp) -> Result<(), Error> {
        let mut tx = begin(&self.pool, "issue_nonce").await?;
        sqlx::query("DELETE FROM nonces WHERE expires_at <= ?").bind(now.unix()).execute(&mut *tx).await?;
        let outstanding: i64 = sqlx::query_scalar("SELECT count(*) FROM nonces").fetch_one(&mut *tx).await?;
        if outstanding >= MOST_NONCES {
            return Err(Error::NoncesExhausted);
        }
        sqlx::query("INSERT INTO nonces (hash, expires_at) VALUES (?, ?)")
            .bind(hash.as_slice())
            .bind(until.unix())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn intend(&self, intent: Intent) -> Result<Intended, Error> {
        let mut tx = begin(&self.pool, "intend_issuance").await?;
        let now = intent.now;
        let offer = sqlx::query("SELECT * FROM offers WHERE token_hash = ? AND token_until > ?")
            .bind(intent.token_hash.as_slice())
            .bind(now.unix())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::TokenInvalid)?;
        let record = offer_of(&offer)?;
        if configuration_id(&record.credential_type, record.format) != intent.configuration_id {
            return Err(Error::NotOffered);
        }
        let known = sqlx::query("SELECT * FROM collections WHERE offer_id = ? AND request_digest = ?")
            .bind(&record.offer_id)
            .bind(intent.request_digest.as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = known {
            // The same request again: its nonce was taken the first time.
            return match row.try_get::<String, _>("state")?.as_str() {
                "signed" => Ok(Intended::Answered(sealed_of(&row, now)?.ok_or(Error::AlreadyCollected)?)),
                "deferred" => Ok(Intended::Deferred),
                _ if record.state == OfferState::Redeemed => {
                    Ok(Intended::Sign(work_of(&offer, row.try_get("seq")?, intent.request_digest, None)?))
                }
                _ => Err(Error::TokenInvalid),
            };
        }
        match record.state {
            OfferState::Redeemed => {}
            OfferState::Collected => return Err(Error::AlreadyCollected),
            OfferState::Cancelled => return Err(Error::OfferCancelled),
            OfferState::Open | OfferState::Expired => return Err(Error::TokenInvalid),
        }
        let waiting: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM collections WHERE offer_id = ? AND state = 'deferred'")
                .bind(&record.offer_id)
                .fetch_optional(&mut *tx)
                .await?;
        if waiting.is_some() {
            return Err(Error::AlreadyCollected);
        }
        let taken = sqlx::query("DELETE FROM nonces WHERE hash = ? AND expires_at > ?")
            .bind(intent.nonce_hash.as_slice())
            .bind(now.unix())
            .execute(&mut *tx)
            .await?;
        if taken.rows_affected() != 1 {
            return Err(Error::NonceInvalid);
        }
        let wait = record.deferred && !offer.try_get::<bool, _>("released")?;
        let collection: i64 = sqlx::query_scalar(
            "INSERT INTO collections (offer_id, request_digest, state, transaction_hash, notification_hash, holder_keys) \
             VALUES (?, ?, ?, ?, ?, ?) RETURNING seq",
        )
        .bind(&record.offer_id)
        .bind(intent.request_digest.as_slice())
        .bind(if wait { "deferred" } else { "intended" })
        .bind(wait.then_some(intent.transaction_hash.as_slice()))
        .bind(intent.notification_hash.as_slice())
        .bind(wait.then_some(&intent.holder_keys))
        .fetch_one(&mut *tx)
        .await?;
        write_intents(&mut tx, collection, &record.offer_id, intent.copies, now).await?;
        if wait {
            sqlx::query("UPDATE offers SET collect_until = ? WHERE offer_id = ?")
                .bind(intent.deferred_until.unix())
                .bind(&record.offer_id)
                .execute(&mut *tx)
                .await?;
        }
        let work = work_of(&offer, collection, intent.request_digest, None)?;
        tx.commit().await?;
        Ok(if wait { Intended::Deferred } else { Intended::Sign(work) })
    }

    async fn intend_deferred(&self, transaction_hash: Hash, now: Timestamp) -> Result<(Hash, Format, Intended), Error> {
        // Nothing is written: the indices were drawn, and their rows stored, when the collection was deferred.
        let mut tx = begin(&self.pool, "intend_deferred_issuance").await?;
        let row = sqlx::query("SELECT * FROM collections WHERE transaction_hash = ?")
            .bind(transaction_hash.as_slice())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::TransactionUnknown)?;
        let digest = hash_of(&row, "request_digest")?;
        let offer = sqlx::query(OFFER).bind(row.try_get::<String, _>("offer_id")?).fetch_one(&mut *tx).await?;
        let OfferRecord { state, format, .. } = offer_of(&offer)?;
        match row.try_get::<String, _>("state")?.as_str() {
            "signed" => {
                let sealed = sealed_of(&row, now)?.ok_or(Error::TransactionUnknown)?;
                Ok((digest, format, Intended::Answered(sealed)))
            }
            "deferred" => {
                let waits: Option<i64> = offer.try_get("collect_until")?;
                if state != OfferState::Redeemed || waits.is_none_or(|until| until <= now.unix()) {
                    return Err(Error::TransactionUnknown);
                }
                if !offer.try_get::<bool, _>("released")? {
                    return Ok((digest, format, Intended::Deferred));
                }
                let keys = row.try_get("holder_keys")?;
                Ok((digest, format, Intended::Sign(work_of(&offer, row.try_get("seq")?, digest, keys)?)))
            }
            _ => Err(Error::TransactionUnknown),
        }
    }

    async fn finish(
        &self,
        collection: i64,
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = begin(&self.pool, "finish_issuance").await?;
        let closed = sqlx::query(
            "UPDATE offers SET state = 'collected', claims = NULL \
             WHERE offer_id = (SELECT offer_id FROM collections WHERE seq = ?) AND state = 'redeemed'",
        )
        .bind(collection)
        .execute(&mut *tx)
        .await?;
        if closed.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE collections SET state = 'signed', holder_keys = NULL, sealed = ?, sealed_until = ? WHERE seq = ?",
        )
        .bind(sealed)
        .bind(sealed_until.unix())
        .bind(collection)
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE issued SET issued_at = ? WHERE collection = ?")
            .bind(now.unix())
            .bind(collection)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(true)
    }

    async fn notify(&self, notification_hash: Hash, event: i32) -> Result<(), Error> {
        let mut tx = begin(&self.pool, "notify").await?;
        let known = sqlx::query(
            "UPDATE collections SET notification = ?, sealed = NULL, sealed_until = NULL \
             WHERE notification_hash = ? AND state = 'signed'",
        )
        .bind(event)
        .bind(notification_hash.as_slice())
        .execute(&mut *tx)
        .await?;
        if known.rows_affected() != 1 {
            return Err(Error::NotificationUnknown);
        }
        tx.commit().await?;
        Ok(())
    }

    async fn cancel(&self, offer_id: &str) -> Result<OfferRecord, Error> {
        let mut tx = begin(&self.pool, "cancel_offer").await?;
        let row = sqlx::query(OFFER)
            .bind(offer_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::NotFound { what: "offer" })?;
        let offer = offer_of(&row)?;
        match offer.state {
            OfferState::Cancelled => return Ok(offer),
            OfferState::Open | OfferState::Redeemed => {}
            state @ (OfferState::Collected | OfferState::Expired) => {
                return Err(Error::WrongState { state: state.as_str(), verb: "cancelled" });
            }
        }
        close(&mut tx, offer_id, OfferState::Cancelled).await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(OfferRecord { state: OfferState::Cancelled, ..offer })
    }

    async fn release(&self, offer_id: &str) -> Result<OfferRecord, Error> {
        let mut tx = begin(&self.pool, "release_offer").await?;
        let row = sqlx::query(OFFER)
            .bind(offer_id)
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::NotFound { what: "offer" })?;
        let offer = offer_of(&row)?;
        if !offer.deferred {
            return Err(Error::NotDeferred);
        }
        if row.try_get::<bool, _>("released")? {
            return Ok(offer);
        }
        if !matches!(offer.state, OfferState::Open | OfferState::Redeemed) {
            return Err(Error::WrongState { state: offer.state.as_str(), verb: "released" });
        }
        sqlx::query("UPDATE offers SET released = 1 WHERE offer_id = ?").bind(offer_id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(offer)
    }

    async fn offers(&self, state: Option<OfferState>, slice: Slice) -> Result<Vec<OfferRecord>, Error> {
        let state = state.map(OfferState::as_str);
        sqlx::query("SELECT * FROM offers WHERE seq < ? AND (? IS NULL OR state = ?) ORDER BY seq DESC LIMIT ?")
            .bind(slice.before)
            .bind(state)
            .bind(state)
            .bind(slice.limit)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(offer_of)
            .collect()
    }

    async fn issued(&self, offer_id: &str, slice: Slice) -> Result<Vec<IssuedRecord>, Error> {
        sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
             o.valid_until, c.notification \
             FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.issued_at IS NOT NULL AND i.seq < ? AND (? = '' OR i.offer_id = ?) ORDER BY i.seq DESC LIMIT ?",
        )
        .bind(slice.before)
        .bind(offer_id)
        .bind(offer_id)
        .bind(slice.limit)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(issued_of)
        .collect()
    }

    async fn issued_by_id(&self, issued_id: &str) -> Result<IssuedRecord, Error> {
        let row = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
             o.valid_until, c.notification \
             FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.issued_at IS NOT NULL AND i.issued_id = ?",
        )
        .bind(issued_id)
        .fetch_optional(&self.pool)
        .await?
        .ok_or(Error::NotFound { what: "issued credential" })?;
        issued_of(&row)
    }

    async fn erase_expired(&self, now: Timestamp) -> Result<u64, Error> {
        let mut tx = begin(&self.pool, "erase_expired").await?;
        let ended: Vec<String> = sqlx::query_scalar(
            "SELECT offer_id FROM offers WHERE (state = 'open' AND expires_at <= ?) \
             OR (state = 'redeemed' AND collect_until <= ?)",
        )
        .bind(now.unix())
        .bind(now.unix())
        .fetch_all(&mut *tx)
        .await?;
        for offer_id in &ended {
            close(&mut tx, offer_id, OfferState::Expired).await?;
        }
        sqlx::query("DELETE FROM nonces WHERE expires_at <= ?").bind(now.unix()).execute(&mut *tx).await?;
        sqlx::query("UPDATE collections SET sealed = NULL, sealed_until = NULL WHERE sealed_until <= ?")
            .bind(now.unix())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.truncate_log().await;
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }
}
