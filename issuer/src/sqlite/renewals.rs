//! SQLite rows of renewals.

use carnet_core::time::Timestamp;
use carnet_service::error::StoreError;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    issuances::issuance_from_row,
    rows::{read_format, read_hash, read_optional_time, read_text, read_time},
};
use crate::{
    secrets::Sha256Hash,
    store::{
        PageSlice, StoreResult,
        issuances::{IssuanceRecord, ReissueTerms},
        renewal::{
            DeferredRenewal, NewRenewal, PendingRenewalTimes, RenewalRecord, RenewalRows, RenewalState, StaffDecision,
        },
        status::{StatusState, parse_state},
    },
};

const RENEWAL_BY_ID: &str = "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
     WHERE r.renewal_id = ?";

impl RenewalRows for SqliteTx {
    async fn most_severe_state(&mut self, offer_id: &str) -> StoreResult<StatusState> {
        // The names of the states sort by severity.
        let worst: Option<String> = sqlx::query_scalar(
            "SELECT s.state FROM issued i JOIN statuses s USING (status_index) WHERE i.offer_id = ? AND s.state <> 'valid' \
             ORDER BY s.state LIMIT 1",
        )
        .bind(offer_id)
        .fetch_optional(&mut *self.0)
        .await?;
        worst.as_deref().map_or(Ok(StatusState::Valid), parse_state)
    }

    async fn insert_renewal(&mut self, new: &NewRenewal<'_>) -> StoreResult<()> {
        let waiting = new.pending;
        sqlx::query(
            "INSERT INTO renewals (renewal_id, offer_id, state, generation, valid_from, valid_until, asked_at, claims, \
             holder_keys, thumbprints, wait_until, transaction_hash, notification_hash, request_digest) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.renewal_id)
        .bind(new.offer_id)
        .bind(if waiting.is_some() { RenewalState::Pending } else { RenewalState::Issued }.as_str())
        .bind(new.terms.generation)
        .bind(new.terms.valid_from.unix())
        .bind(new.terms.valid_until.unix())
        .bind(new.now.unix())
        .bind(waiting.map(|waiting| waiting.claims.as_slice()))
        .bind(waiting.map(|waiting| waiting.holder_keys.as_str()))
        .bind(waiting.map(|_| new.thumbprints.join(" ")))
        .bind(waiting.map(|waiting| waiting.wait_until.unix()))
        .bind(waiting.map(|waiting| waiting.transaction_hash.as_slice()))
        .bind(waiting.map(|_| new.notification_hash.as_slice()))
        .bind(new.request_digest.as_slice())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn pending_renewals(&mut self, offer_id: &str) -> StoreResult<Vec<PendingRenewalTimes>> {
        sqlx::query(
            "SELECT asked_at, decided_at, wait_until FROM renewals WHERE offer_id = ? AND state IN ('pending', 'approved')",
        )
        .bind(offer_id)
        .fetch_all(&mut *self.0)
        .await?
        .iter()
        .map(|row| {
            Ok(PendingRenewalTimes {
                asked_at: read_time(row, "asked_at")?,
                decided_at: read_optional_time(row, "decided_at")?,
                wait_until: read_time(row, "wait_until")?,
            })
        })
        .collect()
    }

    async fn deferred_renewal_request_times(&mut self, offer_id: &str, limit: i64) -> StoreResult<Vec<Timestamp>> {
        let times: Vec<i64> = sqlx::query_scalar(
            "SELECT asked_at FROM renewals WHERE offer_id = ? AND wait_until IS NOT NULL ORDER BY asked_at DESC LIMIT ?",
        )
        .bind(offer_id)
        .bind(limit)
        .fetch_all(&mut *self.0)
        .await?;
        Ok(times.into_iter().map(Timestamp::from_unix).collect())
    }

    async fn lapse_renewals(&mut self, offer_id: &str) -> StoreResult<()> {
        sqlx::query(
            "UPDATE renewals SET state = 'lapsed', claims = NULL, holder_keys = NULL, thumbprints = NULL \
             WHERE offer_id = ? AND state IN ('pending', 'approved')",
        )
        .bind(offer_id)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn renewal(&mut self, renewal_id: &str) -> StoreResult<Option<RenewalRecord>> {
        let row = sqlx::query(RENEWAL_BY_ID).bind(renewal_id).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(record_from_row).transpose()
    }

    async fn renewal_by_transaction(&mut self, transaction_hash: &Sha256Hash) -> StoreResult<Option<DeferredRenewal>> {
        let row = sqlx::query(
            "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
             WHERE r.transaction_hash = ?",
        )
        .bind(transaction_hash.as_slice())
        .fetch_optional(&mut *self.0)
        .await?;
        row.as_ref().map(deferred_renewal_from_row).transpose()
    }

    async fn set_renewal_issuance(&mut self, renewal_id: &str, collection: i64) -> StoreResult<()> {
        sqlx::query("UPDATE renewals SET collection = ? WHERE renewal_id = ?")
            .bind(collection)
            .bind(renewal_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn store_renewal_decision(&mut self, renewal_id: &str, decision: &StaffDecision) -> StoreResult<()> {
        let (query, state) = if decision.approve {
            let query = sqlx::query(
                "UPDATE renewals SET state = ?, decided_at = ?, decided_by = ?, reason = ? WHERE renewal_id = ?",
            );
            (query, RenewalState::Approved)
        } else {
            let query = sqlx::query(
                "UPDATE renewals SET state = ?, decided_at = ?, decided_by = ?, reason = ?, claims = NULL, \
                 holder_keys = NULL, thumbprints = NULL WHERE renewal_id = ?",
            );
            (query, RenewalState::Rejected)
        };
        query
            .bind(state.as_str())
            .bind(decision.now.unix())
            .bind(&decision.staff_name)
            .bind(&decision.reason)
            .bind(renewal_id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn mark_renewal_issued(&mut self, renewal_id: &str) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE renewals SET state = 'issued', claims = NULL, holder_keys = NULL, thumbprints = NULL \
             WHERE renewal_id = ? AND state = 'approved'",
        )
        .bind(renewal_id)
        .execute(&mut *self.0)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn mark_renewal_of_issuance(&mut self, collection: i64) -> StoreResult<()> {
        let issue = sqlx::query("UPDATE renewals SET state = 'issued' WHERE collection = ? AND state = 'approved'");
        issue.bind(collection).execute(&mut *self.0).await?;
        Ok(())
    }

    async fn issuance_of_renewal(&mut self, renewal_id: &str) -> StoreResult<Option<IssuanceRecord>> {
        let row =
            sqlx::query("SELECT c.* FROM collections c JOIN renewals r ON r.collection = c.seq WHERE r.renewal_id = ?")
                .bind(renewal_id)
                .fetch_optional(&mut *self.0)
                .await?;
        row.as_ref().map(issuance_from_row).transpose()
    }

    async fn renewals(&mut self, state: Option<RenewalState>, slice: PageSlice) -> StoreResult<Vec<RenewalRecord>> {
        let query = match state {
            None => sqlx::query(
                "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
                 WHERE o.record_from IS NOT NULL AND r.seq < ? ORDER BY r.seq DESC LIMIT ?",
            ),
            Some(state) => sqlx::query(
                "SELECT r.*, o.credential_type, o.format FROM renewals r JOIN offers o USING (offer_id) \
                 WHERE o.record_from IS NOT NULL AND r.state = ? AND r.seq < ? ORDER BY r.seq DESC LIMIT ?",
            )
            .bind(state.as_str()),
        };
        let rows = query.bind(slice.before).bind(slice.limit).fetch_all(&mut *self.0).await?;
        rows.iter().map(record_from_row).collect()
    }
}

fn record_from_row(row: &SqliteRow) -> StoreResult<RenewalRecord> {
    Ok(RenewalRecord {
        seq: row.try_get("seq")?,
        renewal_id: row.try_get("renewal_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        state: RenewalState::parse(row.try_get("state")?)?,
        generation: u32::try_from(row.try_get::<i64, _>("generation")?)
            .map_err(|_| StoreError::Corrupt("renewals.generation"))?,
        valid_until: read_time(row, "valid_until")?,
        asked_at: read_time(row, "asked_at")?,
        decided_at: read_optional_time(row, "decided_at")?,
        decided_by: row.try_get("decided_by")?,
        reason: row.try_get("reason")?,
    })
}

fn deferred_renewal_from_row(row: &SqliteRow) -> StoreResult<DeferredRenewal> {
    Ok(DeferredRenewal {
        record: record_from_row(row)?,
        format: read_format(row)?,
        terms: ReissueTerms {
            valid_from: read_time(row, "valid_from")?,
            valid_until: read_time(row, "valid_until")?,
            generation: row.try_get("generation")?,
        },
        request_digest: read_hash(row, "request_digest")?,
        wait_until: read_optional_time(row, "wait_until")?,
        claims: row.try_get("claims")?,
        holder_keys: read_text(row, "holder_keys")?,
        thumbprints: read_text(row, "thumbprints")?.split_whitespace().map(str::to_owned).collect(),
        notification_hash: read_hash(row, "notification_hash")?,
        issuance: row.try_get("collection")?,
    })
}
