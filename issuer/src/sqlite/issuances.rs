//! SQLite rows of credential requests, nonces and copies.

use carnet_core::time::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    rows::{read_hash, read_optional_hash, read_optional_time, read_state, read_time},
};
use crate::{
    nonces::Nonce,
    secrets::Sha256Hash,
    store::{
        StoreResult,
        issuances::{
            CopyIdentifiers, IssuanceRecord, IssuanceRows, IssuanceState, NewCopy, NewIssuance, SealedResponse,
            SignedCopyRecord, SigningResult,
        },
    },
};

/// Signed copy by its digest, with its offer, validity period, number of renewals and state.
const COPY_BY_DIGEST: &str = "SELECT o.offer_id, coalesce(c.valid_from, o.valid_from) AS valid_from, \
     coalesce(c.valid_until, o.valid_until) AS valid_until, c.generation, coalesce(s.state, 'valid') AS state \
     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
     LEFT JOIN statuses s USING (status_index) \
     WHERE i.copy_digest = ? AND i.issued_at IS NOT NULL";

/// Time of the last act on a credential after which wallets replace its copies: a reinstatement or a message.
const LAST_REPLACEMENT: &str = "SELECT max(at) FROM (\
     SELECT a.at FROM issued i JOIN status_changes c USING (status_index) JOIN status_acts a ON a.seq = c.act \
     WHERE i.offer_id = ?1 AND c.after = 'valid' UNION ALL \
     SELECT a.at FROM issued i JOIN message_changes c USING (status_index) JOIN message_acts a ON a.seq = c.act \
     WHERE i.offer_id = ?1)";

impl IssuanceRows for SqliteTx {
    async fn store_used_nonce(&mut self, nonce: &Nonce) -> StoreResult<bool> {
        let new = sqlx::query("INSERT INTO used_nonces (hash, expires_at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING")
            .bind(nonce.hash.as_slice())
            .bind(nonce.expires_at.unix())
            .execute(&mut *self.0)
            .await?;
        Ok(new.rows_affected() == 1)
    }

    async fn insert_issuance(&mut self, new: &NewIssuance<'_>) -> StoreResult<i64> {
        Ok(sqlx::query_scalar(
            "INSERT INTO collections (offer_id, request_digest, state, transaction_hash, notification_hash, holder_keys, \
             refill, valid_from, valid_until, generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        )
        .bind(new.offer_id)
        .bind(new.request_digest.as_slice())
        .bind(new.state.as_str())
        .bind(new.transaction_hash.map(<[u8; 32]>::as_slice))
        .bind(new.notification_hash.as_slice())
        .bind(new.holder_keys)
        .bind(new.reissue.is_some())
        .bind(new.reissue.map(|terms| terms.valid_from.unix()))
        .bind(new.reissue.map(|terms| terms.valid_until.unix()))
        .bind(new.reissue.map_or(0, |terms| terms.generation))
        .fetch_one(&mut *self.0)
        .await?)
    }

    async fn issuance(&mut self, collection: i64) -> StoreResult<Option<IssuanceRecord>> {
        let row = sqlx::query("SELECT * FROM collections WHERE seq = ?").bind(collection);
        row.fetch_optional(&mut *self.0).await?.as_ref().map(issuance_from_row).transpose()
    }

    async fn issuance_by_request(
        &mut self,
        offer_id: &str,
        request_digest: &Sha256Hash,
    ) -> StoreResult<Option<IssuanceRecord>> {
        let row = sqlx::query("SELECT * FROM collections WHERE offer_id = ? AND request_digest = ?")
            .bind(offer_id)
            .bind(request_digest.as_slice());
        row.fetch_optional(&mut *self.0).await?.as_ref().map(issuance_from_row).transpose()
    }

    async fn issuance_by_transaction(&mut self, transaction_hash: &Sha256Hash) -> StoreResult<Option<IssuanceRecord>> {
        let row = sqlx::query("SELECT * FROM collections WHERE transaction_hash = ?").bind(transaction_hash.as_slice());
        row.fetch_optional(&mut *self.0).await?.as_ref().map(issuance_from_row).transpose()
    }

    async fn has_issuance(&mut self, offer_id: &str, state: IssuanceState) -> StoreResult<bool> {
        Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM collections WHERE offer_id = ? AND state = ?)")
            .bind(offer_id)
            .bind(state.as_str())
            .fetch_one(&mut *self.0)
            .await?)
    }

    async fn mark_issuance_signed(&mut self, collection: i64, signature: &SigningResult<'_>) -> StoreResult<()> {
        let SigningResult { kid, response, validity } = signature;
        sqlx::query(
            "UPDATE collections SET state = 'signed', holder_keys = NULL, sealed = ?, sealed_until = ?, kid = ?, \
             valid_from = coalesce(?, valid_from), valid_until = coalesce(?, valid_until) WHERE seq = ?",
        )
        .bind(response.as_ref().map(|response| response.ciphertext.as_slice()))
        .bind(response.as_ref().map(|response| response.keep_until.unix()))
        .bind(*kid)
        .bind(validity.map(|(from, _)| from.unix()))
        .bind(validity.map(|(_, until)| until.unix()))
        .bind(collection)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn request_digest_by_notification(
        &mut self,
        notification_hash: &Sha256Hash,
    ) -> StoreResult<Option<Sha256Hash>> {
        let row =
            sqlx::query("SELECT request_digest FROM collections WHERE notification_hash = ? AND state = 'signed'")
                .bind(notification_hash.as_slice());
        row.fetch_optional(&mut *self.0).await?.map(|row| read_hash(&row, "request_digest")).transpose()
    }

    async fn store_notification(&mut self, notification_hash: &Sha256Hash, event: i32) -> StoreResult<()> {
        sqlx::query(
            "UPDATE collections SET notification = ?, sealed = NULL, sealed_until = NULL \
             WHERE notification_hash = ? AND state = 'signed'",
        )
        .bind(event)
        .bind(notification_hash.as_slice())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn has_signed_copy(&mut self, thumbprint: &str) -> StoreResult<bool> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM issued WHERE holder_thumbprint = ? AND issued_at IS NOT NULL)",
        )
        .bind(thumbprint)
        .fetch_one(&mut *self.0)
        .await?)
    }

    async fn insert_copy(&mut self, copy: &NewCopy<'_>) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at, holder_thumbprint) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(copy.issued_id)
        .bind(copy.offer_id)
        .bind(copy.collection)
        .bind(i64::try_from(copy.position).unwrap_or(i64::MAX))
        .bind(copy.status_index)
        .bind(copy.now.unix())
        .bind(copy.thumbprint)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn mark_copy_issued(
        &mut self,
        collection: i64,
        number: usize,
        names: Option<&CopyIdentifiers>,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let issued = sqlx::query(
            "UPDATE issued SET issued_at = ?, copy_digest = ?, handle_hash = ? WHERE collection = ? AND position = ?",
        )
        .bind(now.unix())
        .bind(names.map(|names| names.digest.as_slice()))
        .bind(names.map(|names| names.handle_hash.as_slice()))
        .bind(collection)
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(&mut *self.0)
        .await;
        match issued {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn erase_unsigned_keys(&mut self, offer_id: &str) -> StoreResult<()> {
        sqlx::query("UPDATE issued SET holder_thumbprint = NULL WHERE offer_id = ? AND issued_at IS NULL")
            .bind(offer_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn copy_by_digest(&mut self, digest: &Sha256Hash) -> StoreResult<Option<SignedCopyRecord>> {
        let row = sqlx::query(COPY_BY_DIGEST).bind(digest.as_slice()).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(copy_from_row).transpose()
    }

    async fn last_replacement_time(&mut self, offer_id: &str) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar(LAST_REPLACEMENT).bind(offer_id).fetch_one(&mut *self.0).await?;
        Ok(at.map(Timestamp::from_unix))
    }

    async fn refill_times(&mut self, offer_id: &str, since: Timestamp) -> StoreResult<Vec<Timestamp>> {
        let times: Vec<i64> = sqlx::query_scalar(
            "SELECT i.intended_at FROM issued i JOIN collections c ON c.seq = i.collection \
             WHERE i.offer_id = ? AND c.refill = 1 AND i.intended_at > ? ORDER BY i.intended_at",
        )
        .bind(offer_id)
        .bind(since.unix())
        .fetch_all(&mut *self.0)
        .await?;
        Ok(times.into_iter().map(Timestamp::from_unix).collect())
    }

    async fn refill_count(&mut self, offer_id: &str, generation: i64, since: Option<Timestamp>) -> StoreResult<i64> {
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM issued i JOIN collections c ON c.seq = i.collection \
             WHERE i.offer_id = ? AND c.refill = 1 AND c.generation = ? AND i.intended_at > ?",
        )
        .bind(offer_id)
        .bind(generation)
        .bind(since.map_or(i64::MIN, Timestamp::unix))
        .fetch_one(&mut *self.0)
        .await?)
    }
}

pub(super) fn issuance_from_row(row: &SqliteRow) -> StoreResult<IssuanceRecord> {
    let sealed: Option<Vec<u8>> = row.try_get("sealed")?;
    let response = sealed.zip(read_optional_time(row, "sealed_until")?);
    Ok(IssuanceRecord {
        collection: row.try_get("seq")?,
        offer_id: row.try_get("offer_id")?,
        state: IssuanceState::parse(row.try_get("state")?)?,
        request_digest: read_hash(row, "request_digest")?,
        has_transaction: read_optional_hash(row, "transaction_hash")?.is_some(),
        holder_keys: row.try_get("holder_keys")?,
        response: response.map(|(sealed, until)| SealedResponse { ciphertext: sealed, keep_until: until }),
    })
}

fn copy_from_row(row: &SqliteRow) -> StoreResult<SignedCopyRecord> {
    Ok(SignedCopyRecord {
        offer_id: row.try_get("offer_id")?,
        valid_from: read_time(row, "valid_from")?,
        valid_until: read_time(row, "valid_until")?,
        generation: row.try_get("generation")?,
        state: read_state(row)?,
    })
}
