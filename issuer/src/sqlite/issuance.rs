//! Credential requests: the intent before the signature, the erasure after it.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{OFFER, SqliteStore, Tx, claims_of, forget_unsigned, indices, offer_of, vouchers};
use crate::{
    error::Error,
    format::chosen_format,
    nonces::Nonce,
    secrets::Hash,
    store::{CopyNames, Finished, Intended, Intent, IssuanceStore, OfferRecord, OfferState, SignedCopies, Work},
    vouchers::VoucherTotal,
};

impl IssuanceStore for SqliteStore {
    async fn intend(&self, intent: Intent) -> Result<Intended, Error> {
        let mut tx = self.database.begin("intend_issuance").await?;
        let now = intent.now;
        let offer = sqlx::query("SELECT * FROM offers WHERE token_hash = ? AND token_until > ?")
            .bind(intent.token_hash.as_slice())
            .bind(now.unix())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::TokenInvalid)?;
        let record = offer_of(&offer)?;
        let format = chosen_format(&record.credential_type, record.format, &intent.configuration_id)?;
        let known = sqlx::query("SELECT * FROM collections WHERE offer_id = ? AND request_digest = ?")
            .bind(&record.offer_id)
            .bind(intent.request_digest.as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = known {
            return repeated(&mut tx, &offer, record.state, &row, &intent).await;
        }
        require_collectable(&mut tx, &record).await?;
        if format != record.format {
            choose_format(&mut tx, &record.offer_id, format).await?;
        }
        use_up(&mut tx, intent.nonce.ok_or(Error::NonceInvalid)?).await?;
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
        let holders = &intent.thumbprints;
        indices::write_intents(&mut tx, self.list_entries, collection, &record.offer_id, holders, now).await?;
        // From here on the claims are kept as long as the offer would have waited: after a power cut before the
        // signature, the code can be redeemed again.
        let collect_until = if wait { intent.deferred_until } else { record.expires_at };
        sqlx::query("UPDATE offers SET collect_until = max(coalesce(collect_until, 0), ?) WHERE offer_id = ?")
            .bind(collect_until.unix())
            .bind(&record.offer_id)
            .execute(&mut *tx)
            .await?;
        let work = work_of(&mut tx, &offer, collection, intent.request_digest, None).await?;
        let work = Work { format, ..work };
        tx.commit().await?;
        Ok(if wait { Intended::Deferred } else { Intended::Sign(work) })
    }

    async fn intend_deferred(
        &self,
        transaction_hash: Hash,
        now: Timestamp,
    ) -> Result<(Hash, CredentialFormat, Intended), Error> {
        // This writes nothing, and waits for no writer: the indices were drawn and stored when the collection was
        // deferred.
        let mut tx = self.database.readers().begin().await?;
        let row = sqlx::query("SELECT * FROM collections WHERE transaction_hash = ?")
            .bind(transaction_hash.as_slice())
            .fetch_optional(&mut *tx)
            .await?
            .ok_or(Error::TransactionUnknown)?;
        let digest = hash_of(&row, "request_digest")?;
        let offer = sqlx::query(OFFER).bind(row.try_get::<String, _>("offer_id")?).fetch_one(&mut *tx).await?;
        let OfferRecord { state, format, .. } = offer_of(&offer)?;
        if offer.try_get("rejected")? {
            return Err(Error::Rejected { reason: offer.try_get::<Option<_>, _>("reason")?.unwrap_or_default() });
        }
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
                let work = work_of(&mut tx, &offer, row.try_get("seq")?, digest, keys).await?;
                Ok((digest, format, Intended::Sign(work)))
            }
            _ => Err(Error::TransactionUnknown),
        }
    }

    async fn finish(
        &self,
        collection: i64,
        copies: SignedCopies<'_>,
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        (valid_from, valid_until): (Timestamp, Timestamp),
        (now, voucher): (Timestamp, Option<VoucherTotal>),
    ) -> Result<Finished, Error> {
        let mut tx = self.database.begin("finish_issuance").await?;
        let closed = sqlx::query(
            "UPDATE offers SET state = 'collected', claims = NULL \
             WHERE offer_id = (SELECT offer_id FROM collections WHERE seq = ?) AND state = 'redeemed'",
        )
        .bind(collection)
        .execute(&mut *tx)
        .await?;
        if closed.rows_affected() != 1 {
            return answered_meanwhile(&mut tx, collection, now).await.map(Finished::Answered);
        }
        // The response is kept as long as its wallet can get a token for it by repeating the redemption.
        let offer_id: String = sqlx::query_scalar(
            "UPDATE collections SET state = 'signed', holder_keys = NULL, sealed = ?1, sealed_until = \
             (SELECT CASE WHEN o.challenge_hash IS NULL THEN ?2 ELSE max(?2, o.expires_at) END \
              FROM offers o WHERE o.offer_id = collections.offer_id), valid_from = ?3, valid_until = ?4, kid = ?5 WHERE seq = ?6 RETURNING offer_id",
        )
        .bind(sealed)
        .bind(sealed_until.unix())
        .bind(valid_from.unix())
        .bind(valid_until.unix())
        .bind(copies.kid)
        .bind(collection)
        .fetch_one(&mut *tx)
        .await?;
        mark_issued(&mut tx, collection, copies.names, now).await?;
        if let Some(voucher) = &voucher {
            vouchers::add(&mut tx, voucher).await?;
        }
        forget_unsigned(&mut tx, &offer_id).await?;
        tx.commit().await?;
        // Not done here: the wallet and every collection behind this one would wait for it.
        self.database.checkpoint_soon();
        Ok(Finished::Stored)
    }

    async fn notify(&self, notification_hash: Hash, event: i32) -> Result<(), Error> {
        // Anonymous callers can get here, so only somebody who knows an issuance may delay other writers.
        let known: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM collections WHERE notification_hash = ? AND state = 'signed')",
        )
        .bind(notification_hash.as_slice())
        .fetch_one(self.database.readers())
        .await?;
        if !known {
            return Err(Error::NotificationUnknown);
        }
        let mut tx = self.database.begin("notify").await?;
        sqlx::query(
            "UPDATE collections SET notification = ?, sealed = NULL, sealed_until = NULL \
             WHERE notification_hash = ? AND state = 'signed'",
        )
        .bind(event)
        .bind(notification_hash.as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Answers a repeated request. Its nonce was used up the first time and is not checked.
async fn repeated(
    tx: &mut Tx,
    offer: &SqliteRow,
    state: OfferState,
    known: &SqliteRow,
    intent: &Intent,
) -> Result<Intended, Error> {
    match known.try_get::<String, _>("state")?.as_str() {
        "signed" => Ok(Intended::Answered(sealed_of(known, intent.now)?.ok_or(Error::AlreadyCollected)?)),
        "deferred" => Ok(Intended::Deferred),
        _ if state == OfferState::Redeemed => {
            let work = work_of(tx, offer, known.try_get("seq")?, intent.request_digest, None).await?;
            Ok(Intended::Sign(work))
        }
        _ => Err(Error::TokenInvalid),
    }
}

/// Returns the response of another call to the same request while this one was signing, or the reason why there is
/// none.
async fn answered_meanwhile(tx: &mut Tx, collection: i64, now: Timestamp) -> Result<Vec<u8>, Error> {
    let row = sqlx::query("SELECT * FROM collections WHERE seq = ?").bind(collection).fetch_one(&mut **tx).await?;
    if let Some(sealed) = sealed_of(&row, now)? {
        return Ok(sealed);
    }
    if row.try_get::<Option<Vec<u8>>, _>("transaction_hash")?.is_some() {
        return Err(Error::TransactionUnknown);
    }
    let offer = sqlx::query(OFFER).bind(row.try_get::<String, _>("offer_id")?).fetch_one(&mut **tx).await?;
    require_collectable(tx, &offer_of(&offer)?).await?;
    Err(Error::AlreadyCollected)
}

/// Refuses an offer whose copies were issued to, or wait for their release under, another request.
async fn require_collectable(tx: &mut Tx, offer: &OfferRecord) -> Result<(), Error> {
    match offer.state {
        OfferState::Redeemed => {}
        OfferState::Collected => return Err(Error::AlreadyCollected),
        OfferState::Cancelled => return Err(Error::OfferCancelled),
        OfferState::Open | OfferState::Expired | OfferState::Locked => return Err(Error::TokenInvalid),
    }
    let waiting: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM collections WHERE offer_id = ? AND state = 'deferred'")
            .bind(&offer.offer_id)
            .fetch_optional(&mut **tx)
            .await?;
    if waiting.is_some() { Err(Error::AlreadyCollected) } else { Ok(()) }
}

/// Makes the format that the holder chose that of the offer. The first intent decides: copies of an earlier one may be
/// about to be signed in the other format.
async fn choose_format(tx: &mut Tx, offer_id: &str, format: CredentialFormat) -> Result<(), Error> {
    let chosen = sqlx::query(
        "UPDATE offers SET format = ? WHERE offer_id = ? AND NOT EXISTS \
         (SELECT 1 FROM collections c WHERE c.offer_id = offers.offer_id)",
    )
    .bind(format.as_str())
    .bind(offer_id)
    .execute(&mut **tx)
    .await?;
    if chosen.rows_affected() == 1 { Ok(()) } else { Err(Error::NotOffered) }
}

/// Stores a nonce until its end, and refuses a stored one.
pub(super) async fn use_up(tx: &mut Tx, nonce: Nonce) -> Result<(), Error> {
    let new = sqlx::query("INSERT INTO used_nonces (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING")
        .bind(nonce.hash.as_slice())
        .bind(nonce.until.unix())
        .execute(&mut **tx)
        .await?;
    if new.rows_affected() == 1 { Ok(()) } else { Err(Error::NonceInvalid) }
}

/// Marks a collection's copies as issued, with the names of the signed copies.
pub(super) async fn mark_issued(
    tx: &mut Tx,
    collection: i64,
    names: &[Option<CopyNames>],
    now: Timestamp,
) -> Result<(), Error> {
    for (position, names) in names.iter().enumerate() {
        sqlx::query(
            "UPDATE issued SET issued_at = ?, copy_digest = ?, handle_hash = ? WHERE collection = ? AND position = ?",
        )
        .bind(now.unix())
        .bind(names.as_ref().map(|names| names.digest.as_slice()))
        .bind(names.as_ref().map(|names| names.handle_hash.as_slice()))
        .bind(collection)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .execute(&mut **tx)
        .await
        .map_err(used_key)?;
    }
    Ok(())
}

/// Tells apart a key that got a copy in the meantime from other errors.
fn used_key(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(inner) if inner.is_unique_violation() => Error::KeyUsed,
        _ => error.into(),
    }
}

async fn work_of(
    tx: &mut Tx,
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
        places: indices::places(tx, collection).await?,
    })
}

pub(super) fn hash_of(row: &SqliteRow, column: &'static str) -> Result<Hash, Error> {
    row.try_get::<Vec<u8>, _>(column)?.try_into().map_err(|_| Error::Corrupt(column))
}

/// Returns the sealed response of a signed collection, unless it has expired.
pub(super) fn sealed_of(row: &SqliteRow, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
    let until: Option<i64> = row.try_get("sealed_until")?;
    let sealed: Option<Vec<u8>> = row.try_get("sealed")?;
    Ok(sealed.filter(|_| until.is_some_and(|until| now.unix() < until)))
}
