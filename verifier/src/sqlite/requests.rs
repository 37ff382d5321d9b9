//! SQLite rows of requests, retained claims, and the clock floor.

use carnet_core::time::Timestamp;
use carnet_service::store::WriteTransaction;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{CORRUPT, RowConnection, SqliteRows};
use crate::{
    disclosed::KeptClaim,
    ids::RequestId,
    request::{NewRequest, RequestState, StoredRequest},
    store::{ErasableRows, ReadRequests, StoreError, VerdictRow, WriteRequests},
    verdicts::Verdict,
};

const EXPIRE_REQUESTS: &str = "UPDATE requests SET query = '', nonce = '', request_object = '', \
     state = CASE state WHEN 'open' THEN 'expired' ELSE state END WHERE number IN \
     (SELECT number FROM requests WHERE nonce <> '' AND expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING id";
const ERASE_CLAIMS: &str = "DELETE FROM kept_claims WHERE (request, query_id, path) IN \
     (SELECT request, query_id, path FROM kept_claims WHERE erase_at <= ? ORDER BY erase_at LIMIT ?)";
const ERASE_MARKS: &str = "DELETE FROM redemptions WHERE (desk, sequence) IN \
     (SELECT desk, sequence FROM redemptions WHERE erase_at <= ? ORDER BY erase_at LIMIT ?)";
const FORGET_REQUESTS: &str = "DELETE FROM requests WHERE number IN \
     (SELECT number FROM requests WHERE keep_until <= ? ORDER BY keep_until LIMIT ?)";

fn request_from_row(row: &SqliteRow) -> Result<StoredRequest, StoreError> {
    let verdict: Option<String> = row.try_get("verdict")?;
    let id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let at = |column: &str| row.try_get(column).map(Timestamp::from_unix);
    Ok(StoredRequest {
        number: row.try_get("number")?,
        id: RequestId::parse(&id).ok_or(CORRUPT)?,
        parameters_digest: row.try_get("parameters_digest")?,
        template: row.try_get("template")?,
        query: row.try_get("query")?,
        audience: row.try_get("audience")?,
        nonce: row.try_get("nonce")?,
        request_object: row.try_get("request_object")?,
        created_at: at("created_at")?,
        expires_at: at("expires_at")?,
        keep_until: at("keep_until")?,
        attempts: row.try_get("attempts")?,
        verdict: verdict.map(|text| Verdict::from_json(&text).ok_or(CORRUPT)).transpose()?,
        erased_at: row.try_get::<Option<i64>, _>("erased_at")?.map(Timestamp::from_unix),
        stored_state: RequestState::parse(&state).ok_or(CORRUPT)?,
    })
}

impl<C: RowConnection> ReadRequests for SqliteRows<C> {
    async fn request(&mut self, id: &RequestId) -> Result<Option<StoredRequest>, StoreError> {
        let row = sqlx::query("SELECT * FROM requests WHERE id = ?").bind(id.as_str());
        row.fetch_optional(&mut *self.0).await?.as_ref().map(request_from_row).transpose()
    }

    async fn request_by_call_id(&mut self, request_id: &str) -> Result<Option<StoredRequest>, StoreError> {
        let row = sqlx::query("SELECT * FROM requests WHERE request_id = ?").bind(request_id);
        row.fetch_optional(&mut *self.0).await?.as_ref().map(request_from_row).transpose()
    }

    async fn requests(&mut self, before: i64, size: i64) -> Result<Vec<StoredRequest>, StoreError> {
        let rows = sqlx::query("SELECT * FROM requests WHERE number < ? ORDER BY number DESC LIMIT ?");
        rows.bind(before).bind(size).fetch_all(&mut *self.0).await?.iter().map(request_from_row).collect()
    }

    async fn kept_claims(&mut self, number: i64, after: Timestamp) -> Result<Vec<KeptClaim>, StoreError> {
        let rows = sqlx::query("SELECT * FROM kept_claims WHERE request = ? AND erase_at > ? ORDER BY query_id, path")
            .bind(number)
            .bind(after.unix())
            .fetch_all(&mut *self.0)
            .await?;
        let claim = |row: &SqliteRow| {
            let value: String = row.try_get("value")?;
            let erase_at = Timestamp::from_unix(row.try_get("erase_at")?);
            KeptClaim::from_json_value(row.try_get("query_id")?, row.try_get("path")?, &value, erase_at).ok_or(CORRUPT)
        };
        rows.iter().map(claim).collect()
    }

    async fn clock_floor(&mut self) -> Result<Timestamp, StoreError> {
        let at: i64 = sqlx::query_scalar("SELECT at FROM clock_floor").fetch_one(&mut *self.0).await?;
        Ok(Timestamp::from_unix(at))
    }
}

impl WriteRequests for SqliteRows<WriteTransaction> {
    async fn insert_request(&mut self, new: &NewRequest) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO requests (id, request_id, parameters_digest, template, query, audience, nonce, request_object, \
             created_at, expires_at, keep_until, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
        )
        .bind(new.id.as_str())
        .bind(&new.request_id)
        .bind(new.parameters_digest.as_slice())
        .bind(&new.template)
        .bind(&new.query)
        .bind(&new.audience)
        .bind(&new.nonce)
        .bind(&new.request_object)
        .bind(new.created_at.unix())
        .bind(new.expires_at.unix())
        .bind(new.keep_until.unix())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn count_attempt(&mut self, number: i64) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE requests SET attempts = attempts + 1 WHERE number = ?");
        update.bind(number).execute(&mut *self.0).await?;
        Ok(())
    }

    async fn set_verdict(&mut self, number: i64, row: &VerdictRow<'_>) -> Result<(), StoreError> {
        // Erased in the same statement: a row with a request object takes several pages, and is written once.
        let update = if row.erases_content {
            sqlx::query(
                "UPDATE requests SET state = ?, verdict = ?, attempts = ?, query = '', nonce = '', request_object = '' \
                 WHERE number = ?",
            )
        } else {
            sqlx::query("UPDATE requests SET state = ?, verdict = ?, attempts = ? WHERE number = ?")
        };
        update
            .bind(row.state.as_str())
            .bind(row.verdict.to_json().ok_or(CORRUPT)?)
            .bind(row.attempts)
            .bind(number)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn insert_kept_claim(&mut self, number: i64, claim: &KeptClaim) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO kept_claims (request, query_id, path, value, erase_at) VALUES (?, ?, ?, ?, ?)")
            .bind(number)
            .bind(claim.query_id())
            .bind(claim.path())
            .bind(claim.value_to_json())
            .bind(claim.erase_at().unix())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn erase_request(&mut self, number: i64, erased_at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM kept_claims WHERE request = ?").bind(number).execute(&mut *self.0).await?;
        sqlx::query(
            "UPDATE requests SET state = 'erased', erased_at = ?, verdict = NULL, template = '', query = '', nonce = '', \
             request_object = '', request_id = NULL, parameters_digest = zeroblob(32) WHERE number = ?",
        )
        .bind(erased_at.unix())
        .bind(number)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn expire_requests(&mut self, now: Timestamp, size: u32) -> Result<Vec<RequestId>, StoreError> {
        let expired: Vec<String> =
            sqlx::query_scalar(EXPIRE_REQUESTS).bind(now.unix()).bind(size).fetch_all(&mut *self.0).await?;
        Ok(expired.iter().filter_map(|id| RequestId::parse(id)).collect())
    }

    async fn delete_expired(&mut self, rows: ErasableRows, now: Timestamp, size: u32) -> Result<u64, StoreError> {
        let delete = match rows {
            ErasableRows::Claims => sqlx::query(ERASE_CLAIMS),
            ErasableRows::Marks => sqlx::query(ERASE_MARKS),
            ErasableRows::Requests => sqlx::query(FORGET_REQUESTS),
        };
        Ok(delete.bind(now.unix()).bind(size).execute(&mut *self.0).await?.rows_affected())
    }

    async fn set_clock_floor(&mut self, at: Timestamp, by_operator: bool) -> Result<(), StoreError> {
        let update = sqlx::query("UPDATE clock_floor SET at = ?, lowered = lowered + ? WHERE one = 1");
        update.bind(at.unix()).bind(by_operator).execute(&mut *self.0).await?;
        Ok(())
    }
}
