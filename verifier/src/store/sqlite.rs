//! The SQLite store.

use carnet_core::time::Timestamp;
use carnet_service::store::begin;
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};

use super::{Admission, NewRequest, State, Store, StoreError, StoredRequest};
use crate::{ids::RequestId, verdicts::Verdict};

/// The migrations, oldest first.
pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Requests and verdicts in `store.sqlite`.
#[derive(Clone)]
pub(crate) struct Sqlite {
    pool: SqlitePool,
}

impl Sqlite {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

fn read(row: &SqliteRow) -> Result<StoredRequest, StoreError> {
    let verdict: Option<String> = row.try_get("verdict")?;
    let id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let at = |column: &str| row.try_get(column).map(Timestamp::from_unix);
    Ok(StoredRequest {
        number: row.try_get("number")?,
        id: RequestId::parse(&id).ok_or(StoreError::Unreadable)?,
        parameters_digest: row.try_get("parameters_digest")?,
        template: row.try_get("template")?,
        query: row.try_get("query")?,
        audience: row.try_get("audience")?,
        nonce: row.try_get("nonce")?,
        request_object: row.try_get("request_object")?,
        created_at: at("created_at")?,
        expires_at: at("expires_at")?,
        attempts: row.try_get("attempts")?,
        verdict: verdict.map(|text| Verdict::from_stored(&text).ok_or(StoreError::Unreadable)).transpose()?,
        stored_state: State::parse(&state)?,
    })
}

impl Store for Sqlite {
    async fn create_request(&self, new: &NewRequest) -> Result<Option<StoredRequest>, StoreError> {
        let mut transaction = begin(&self.pool, "create_request").await?;
        if let Some(request_id) = &new.request_id {
            let row = sqlx::query("SELECT * FROM requests WHERE request_id = ?")
                .bind(request_id)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(row) = row {
                return read(&row).map(Some);
            }
        }
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
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(None)
    }

    async fn request(&self, id: &RequestId) -> Result<Option<StoredRequest>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM requests WHERE id = ?").bind(id.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    async fn begin_answer(&self, id: &RequestId, now: Timestamp) -> Result<Admission, StoreError> {
        let mut transaction = begin(&self.pool, "begin_answer").await?;
        let row = sqlx::query("SELECT * FROM requests WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(Admission::Unknown) };
        let mut request = read(&row)?;
        if let Some(closed) = request.closed(now) {
            return Ok(Admission::Closed(closed));
        }
        sqlx::query("UPDATE requests SET attempts = attempts + 1 WHERE id = ?")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        request.attempts = request.attempts.saturating_add(1);
        Ok(Admission::Admitted(Box::new(request)))
    }

    async fn conclude(&self, id: &RequestId, verdict: &Verdict) -> Result<bool, StoreError> {
        let text = verdict.to_stored().ok_or(StoreError::Unreadable)?;
        let mut transaction = begin(&self.pool, "conclude_answer").await?;
        // The condition on the state is what makes an answer count once.
        let changed = if verdict.accepted() {
            sqlx::query(
                "UPDATE requests SET state = 'accepted', verdict = ?, nonce = '', request_object = '' \
                 WHERE id = ? AND state IN ('open', 'refused')",
            )
        } else {
            sqlx::query(
                "UPDATE requests SET state = 'refused', verdict = ? WHERE id = ? AND state IN ('open', 'refused')",
            )
        }
        .bind(text)
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(changed == 1)
    }

    async fn requests(&self, before: i64, size: i64) -> Result<Vec<StoredRequest>, StoreError> {
        let rows = sqlx::query("SELECT * FROM requests WHERE number < ? ORDER BY number DESC LIMIT ?")
            .bind(before)
            .bind(size)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<RequestId>, StoreError> {
        let mut transaction = begin(&self.pool, "sweep_requests").await?;
        let rows = sqlx::query(
            "UPDATE requests SET nonce = '', request_object = '', state = CASE state WHEN 'open' THEN 'expired' ELSE state END \
             WHERE nonce <> '' AND expires_at <= ? RETURNING id",
        )
        .bind(now.unix())
        .fetch_all(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM requests WHERE keep_until <= ?").bind(now.unix()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        let mut expired = Vec::new();
        for row in &rows {
            let id: String = row.try_get("id")?;
            expired.extend(RequestId::parse(&id));
        }
        Ok(expired)
    }
}
