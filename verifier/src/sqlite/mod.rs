//! Store in SQLite.

use std::sync::LazyLock;

use carnet_core::time::Timestamp;
use carnet_service::store::Database;
use sqlx::{Row as _, Transaction, migrate::Migrator, sqlite::SqliteRow};

use super::{Admission, MAX_ATTEMPTS, NewRequest, State, Store, StoreError, StoredRequest};
use crate::{disclosed::KeptClaim, ids::RequestId, verdicts::Verdict};

/// Migrations, oldest first.
pub(crate) static MIGRATIONS: LazyLock<Migrator> = carnet_service::migrations![
    1: "0001_requests",
    2: "0002_receipts_and_kept_claims",
    4: "0004_redemptions",
    5: "0005_trust_lists",
    6: "0006_trust_lists_dropped",
    7: "0007_reconciled_at",
    10: "0010_used_too_often",
    11: "0011_store_identity",
    12: "0012_clock_floor",
    13: "0013_desks_and_totals",
    14: "0014_trust_list_chains",
    15: "0015_clock_floor_lowered",
    16: "0016_totals_by_service",
];

/// Requests and verdicts in `store.sqlite`.
#[derive(Clone)]
pub(crate) struct Sqlite {
    database: Database,
}

impl Sqlite {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

/// Maximum number of rows of one kind that a sweep erases in one transaction.
const STEP: i64 = 100;
const EXPIRE: &str = "UPDATE requests SET query = '', nonce = '', request_object = '', \
     state = CASE state WHEN 'open' THEN 'expired' ELSE state END WHERE number IN \
     (SELECT number FROM requests WHERE nonce <> '' AND expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING id";
const ERASE_CLAIMS: &str = "DELETE FROM kept_claims WHERE (request, query_id, path) IN \
     (SELECT request, query_id, path FROM kept_claims WHERE erase_at <= ? ORDER BY erase_at LIMIT ?)";
const ERASE_MARKS: &str = "DELETE FROM redemptions WHERE (desk, sequence) IN \
     (SELECT desk, sequence FROM redemptions WHERE erase_at <= ? ORDER BY erase_at LIMIT ?)";
const FORGET_REQUESTS: &str = "DELETE FROM requests WHERE number IN \
     (SELECT number FROM requests WHERE keep_until <= ? ORDER BY keep_until LIMIT ?)";

/// Kinds of expiring rows.
#[derive(Debug, Clone, Copy)]
enum Due {
    Claims,
    Marks,
    Requests,
}

impl Due {
    const ALL: [Self; 3] = [Self::Claims, Self::Marks, Self::Requests];

    /// Returns the name of the transaction.
    const fn name(self) -> &'static str {
        match self {
            Self::Claims => "erase_kept_claims",
            Self::Marks => "erase_redemptions",
            Self::Requests => "forget_requests",
        }
    }

    fn query(self) -> sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
        match self {
            Self::Claims => sqlx::query(ERASE_CLAIMS),
            Self::Marks => sqlx::query(ERASE_MARKS),
            Self::Requests => sqlx::query(FORGET_REQUESTS),
        }
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
        keep_until: at("keep_until")?,
        attempts: row.try_get("attempts")?,
        verdict: verdict.map(|text| Verdict::from_stored(&text).ok_or(StoreError::Unreadable)).transpose()?,
        erased_at: row.try_get::<Option<i64>, _>("erased_at")?.map(Timestamp::from_unix),
        stored_state: State::parse(&state)?,
    })
}

/// Records a verdict in a transaction, with the claims to keep; returns true if the answer counts.
pub(super) async fn conclude_in(
    transaction: &mut Transaction<'static, sqlx::Sqlite>,
    id: &RequestId,
    verdict: &Verdict,
    kept: &[KeptClaim],
) -> Result<bool, StoreError> {
    let text = verdict.to_stored().ok_or(StoreError::Unreadable)?;
    // The condition on the state ensures that only one answer counts.
    let changed = if verdict.accepted() {
        sqlx::query(
            "UPDATE requests SET state = 'accepted', verdict = ?, query = '', nonce = '', request_object = '' \
                 WHERE id = ? AND state IN ('open', 'refused')",
        )
    } else {
        sqlx::query("UPDATE requests SET state = 'refused', verdict = ? WHERE id = ? AND state IN ('open', 'refused')")
    }
    .bind(text)
    .bind(id.as_str())
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    // The last wrong answer closes the request, and its content is no longer needed.
    sqlx::query("UPDATE requests SET query = '', nonce = '', request_object = '' WHERE id = ? AND attempts >= ?")
        .bind(id.as_str())
        .bind(MAX_ATTEMPTS)
        .execute(&mut **transaction)
        .await?;
    if changed == 1 {
        for claim in kept {
            sqlx::query(
                "INSERT INTO kept_claims (request, query_id, path, value, erase_at) \
                     SELECT number, ?, ?, ?, ? FROM requests WHERE id = ?",
            )
            .bind(claim.query_id())
            .bind(claim.path())
            .bind(claim.to_stored())
            .bind(claim.erase_at().unix())
            .bind(id.as_str())
            .execute(&mut **transaction)
            .await?;
        }
    }
    Ok(changed == 1)
}

impl Store for Sqlite {
    async fn create_request(&self, new: &NewRequest) -> Result<Option<StoredRequest>, StoreError> {
        let mut transaction = self.database().begin("create_request").await?;
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
        let row = sqlx::query("SELECT * FROM requests WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(self.database().readers())
            .await?;
        row.as_ref().map(read).transpose()
    }

    async fn begin_answer(&self, id: &RequestId, now: Timestamp) -> Result<Admission, StoreError> {
        let mut transaction = self.database().begin("begin_answer").await?;
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

    async fn conclude(&self, id: &RequestId, verdict: &Verdict, kept: &[KeptClaim]) -> Result<bool, StoreError> {
        let mut transaction = self.database().begin("conclude_answer").await?;
        let counts = conclude_in(&mut transaction, id, verdict, kept).await?;
        transaction.commit().await?;
        Ok(counts)
    }

    async fn clock_floor(&self) -> Result<Timestamp, StoreError> {
        let at: i64 = sqlx::query_scalar("SELECT at FROM clock_floor").fetch_one(self.database().readers()).await?;
        Ok(Timestamp::from_unix(at))
    }

    async fn raise_clock_floor(&self, at: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.database().begin("raise_clock_floor").await?;
        sqlx::query("UPDATE clock_floor SET at = max(at, ?)").bind(at.unix()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn lower_clock_floor(&self, to: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.database().begin("lower_clock_floor").await?;
        let done = sqlx::query("UPDATE clock_floor SET at = ?1, lowered = lowered + 1 WHERE one = 1 AND at > ?1")
            .bind(to.unix())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    async fn kept(&self, number: i64, now: Timestamp) -> Result<Vec<KeptClaim>, StoreError> {
        let rows = sqlx::query("SELECT * FROM kept_claims WHERE request = ? AND erase_at > ? ORDER BY query_id, path")
            .bind(number)
            .bind(now.unix())
            .fetch_all(self.database().readers())
            .await?;
        rows.iter()
            .map(|row| {
                let value: String = row.try_get("value")?;
                let erase_at = Timestamp::from_unix(row.try_get("erase_at")?);
                KeptClaim::from_stored(row.try_get("query_id")?, row.try_get("path")?, &value, erase_at)
                    .ok_or(StoreError::Unreadable)
            })
            .collect()
    }

    async fn erase(
        &self,
        id: &RequestId,
        verdict: (bool, Timestamp),
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut transaction = self.database().begin("erase_request").await?;
        let row = sqlx::query("SELECT * FROM requests WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(stored) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        let same = |stored: &Verdict| (stored.accepted(), stored.verified_at()) == verdict;
        if stored.erased_at.is_none() && !stored.verdict.as_ref().is_some_and(same) {
            return Ok(None);
        }
        sqlx::query("DELETE FROM kept_claims WHERE request = (SELECT number FROM requests WHERE id = ?)")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query(
            "UPDATE requests SET state = 'erased', erased_at = coalesce(erased_at, ?), verdict = NULL, template = '', \
             query = '', nonce = '', request_object = '', request_id = NULL, parameters_digest = zeroblob(32) \
             WHERE id = ? RETURNING erased_at",
        )
        .bind(now.unix())
        .bind(id.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        row.map(|row| Ok(Timestamp::from_unix(row.try_get("erased_at")?))).transpose()
    }

    async fn requests(&self, before: i64, size: i64) -> Result<Vec<StoredRequest>, StoreError> {
        let rows = sqlx::query("SELECT * FROM requests WHERE number < ? ORDER BY number DESC LIMIT ?")
            .bind(before)
            .bind(size)
            .fetch_all(self.database().readers())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn settle(&self) {
        if let Err(error) = self.database.checkpoint().await {
            tracing::warn!(%error, "erased data could not be removed from the write-ahead log yet; retrying");
        }
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<RequestId>, StoreError> {
        let mut expired = Vec::new();
        loop {
            // Each step queues again, behind writers that came in the meantime.
            let mut transaction = self.database.begin("expire_requests").await?;
            let rows: Vec<String> =
                sqlx::query_scalar(EXPIRE).bind(now.unix()).bind(STEP).fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            expired.extend(rows.iter().filter_map(|id| RequestId::parse(id)));
            if u64::try_from(rows.len()).unwrap_or(u64::MAX) < STEP.unsigned_abs() {
                break;
            }
        }
        for due in Due::ALL {
            loop {
                let mut transaction = self.database.begin(due.name()).await?;
                let erased = due.query().bind(now.unix()).bind(STEP).execute(&mut *transaction).await?.rows_affected();
                transaction.commit().await?;
                if erased < STEP.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(expired)
    }
}
