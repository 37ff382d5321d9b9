//! SQLite statements for expired data, and the publication number.
//!
//! Statements for expired data use indexes of expiry times, and read only the rows that they erase.

use carnet_core::time::Timestamp;
use sqlx::Row as _;

use super::{
    SqliteTx,
    rows::{read_optional_time, read_time},
};
use crate::store::{
    StoreResult,
    expiry::{ExpiringRows, ExpiryRows, OfferEnds, PublicationRecord},
    offers::OfferState,
};

// Indexes by name: without statistics, SQLite chooses those by state, and reads all open or waiting rows.
const EXPIRED_OPEN_OFFERS: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_expire \
     WHERE state = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?";
const EXPIRED_REDEEMED_OFFERS: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_erase \
     WHERE state = 'redeemed' AND collect_until <= ? ORDER BY collect_until LIMIT ?";
const LAPSE_RENEWALS: &str = "UPDATE renewals SET state = 'lapsed', claims = NULL, holder_keys = NULL, thumbprints = NULL \
     WHERE seq IN (SELECT seq FROM renewals INDEXED BY renewals_to_lapse \
     WHERE state IN ('pending', 'approved') AND wait_until <= ? ORDER BY wait_until LIMIT ?)";
const DELETE_NONCES: &str = "DELETE FROM used_nonces WHERE hash IN \
     (SELECT hash FROM used_nonces WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";
const ERASE_RESPONSES: &str = "UPDATE collections SET sealed = NULL, sealed_until = NULL WHERE seq IN \
     (SELECT seq FROM collections WHERE sealed_until <= ? ORDER BY sealed_until LIMIT ?)";
const ERASE_COPY_IDENTIFIERS: &str = "UPDATE issued SET holder_thumbprint = NULL, copy_digest = NULL, handle_hash = NULL WHERE collection IN \
     (SELECT seq FROM collections WHERE known_until < ? ORDER BY known_until, seq LIMIT ?)";
const CLEAR_COPY_EXPIRY: &str = "UPDATE collections SET known_until = NULL WHERE seq IN \
     (SELECT seq FROM collections WHERE known_until < ? ORDER BY known_until, seq LIMIT ?)";
// The table is small and needs no index. Its rows have a composite key.
const DELETE_COHORTS: &str = "DELETE FROM cohorts WHERE (credential_type, format, valid_from, valid_until, kid, list) IN \
     (SELECT credential_type, format, valid_from, valid_until, kid, list FROM cohorts WHERE valid_until < ? LIMIT ?)";

const EXPIRED_RECORDS: &str = "SELECT offer_id FROM offers INDEXED BY offers_to_forget \
     WHERE record_from <= ? ORDER BY record_from LIMIT ?";
const ENDS: &str = "SELECT o.state, o.valid_until, max(o.expires_at, coalesce(o.collect_until, 0)) AS collect_until, \
     (SELECT max(coalesce(c.valid_until, o.valid_until)) FROM collections c WHERE c.offer_id = o.offer_id) AS copies_until, \
     EXISTS (SELECT 1 FROM renewals r WHERE r.offer_id = o.offer_id AND r.state IN ('pending', 'approved')) AS renewing \
     FROM offers o WHERE o.offer_id = ?";
// The remaining row records that an index was used, for which type, when, and the result. A valid request_id has no
// control characters, so that none equals the replacement.
const ERASE_RECORD: &str = "UPDATE offers SET record_from = NULL, request_id = char(10) || offer_id, terms = '', reference = NULL, \
     created_by = NULL, decided_by = NULL, reason = NULL, pin_hash = NULL, challenge_hash = NULL, token_salt = NULL \
     WHERE offer_id = ?";

impl ExpiryRows for SqliteTx {
    async fn expired_offers(&mut self, now: Timestamp, limit: i64) -> StoreResult<Vec<String>> {
        let open = sqlx::query_scalar(EXPIRED_OPEN_OFFERS).bind(now.unix()).bind(limit);
        let mut ended: Vec<String> = open.fetch_all(&mut *self.0).await?;
        let redeemed = sqlx::query_scalar(EXPIRED_REDEEMED_OFFERS).bind(now.unix()).bind(limit);
        ended.extend(redeemed.fetch_all(&mut *self.0).await?);
        Ok(ended)
    }

    async fn erase(&mut self, rows: ExpiringRows, until: Timestamp, limit: i64) -> StoreResult<u64> {
        let query = match rows {
            ExpiringRows::Nonces => sqlx::query(DELETE_NONCES),
            ExpiringRows::Responses => sqlx::query(ERASE_RESPONSES),
            ExpiringRows::Renewals => sqlx::query(LAPSE_RENEWALS),
            ExpiringRows::Cohorts => sqlx::query(DELETE_COHORTS),
            ExpiringRows::Copies => {
                sqlx::query(ERASE_COPY_IDENTIFIERS).bind(until.unix()).bind(limit).execute(&mut *self.0).await?;
                sqlx::query(CLEAR_COPY_EXPIRY)
            }
        };
        Ok(query.bind(until.unix()).bind(limit).execute(&mut *self.0).await?.rows_affected())
    }

    async fn expired_records(&mut self, before: Timestamp, limit: i64) -> StoreResult<Vec<String>> {
        let ended = sqlx::query_scalar(EXPIRED_RECORDS).bind(before.unix()).bind(limit);
        Ok(ended.fetch_all(&mut *self.0).await?)
    }

    async fn offer_ends(&mut self, offer_id: &str) -> StoreResult<OfferEnds> {
        let row = sqlx::query(ENDS).bind(offer_id).fetch_one(&mut *self.0).await?;
        Ok(OfferEnds {
            state: OfferState::from_stored(row.try_get("state")?, 0)?,
            valid_until: read_time(&row, "valid_until")?,
            collect_until: read_time(&row, "collect_until")?,
            copies_until: read_optional_time(&row, "copies_until")?,
            renewing: row.try_get("renewing")?,
        })
    }

    async fn set_retention_start(&mut self, offer_id: &str, from: Timestamp) -> StoreResult<()> {
        let set = sqlx::query("UPDATE offers SET record_from = ? WHERE offer_id = ?").bind(from.unix()).bind(offer_id);
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn erase_record(&mut self, offer_id: &str) -> StoreResult<()> {
        sqlx::query(ERASE_RECORD).bind(offer_id).execute(&mut *self.0).await?;
        sqlx::query("UPDATE renewals SET decided_by = '', reason = NULL WHERE offer_id = ? AND decided_at IS NOT NULL")
            .bind(offer_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn publication_record(&mut self) -> StoreResult<PublicationRecord> {
        let row = sqlx::query("SELECT id, publication, noted_at FROM store_identity").fetch_one(&mut *self.0).await?;
        Ok(PublicationRecord {
            store_id: row.try_get("id")?,
            number: row.try_get("publication")?,
            raised_at: read_time(&row, "noted_at")?,
        })
    }

    async fn former_store_ids(&mut self) -> StoreResult<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT id FROM former_stores").fetch_all(&mut *self.0).await?)
    }

    async fn raise_publication_number(&mut self, now: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "UPDATE store_identity SET publication = publication + (number > noted), noted = number, noted_at = ?",
        )
        .bind(now.unix())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }
}
