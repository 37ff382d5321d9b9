//! Newest accepted trust list.

use std::future::Future;

use carnet_core::trust::list::Seen;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Sqlite, StoreError};

/// Record of the newest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Number and digest of the list.
    pub(crate) seen: Seen,
    /// Text of the list.
    pub(crate) document: String,
    /// Newest timestamp of the list.
    pub(crate) timestamp: Option<String>,
    /// Reason why it is no longer used, if it was invalid when verified again.
    pub(crate) dropped: Option<String>,
    /// Digest of a list to accept once, whatever is stored.
    pub(crate) accept: Option<String>,
}

/// Interface of a database for trust lists.
pub(crate) trait TrustStore: Send + Sync {
    /// Returns the newest list with this name.
    fn remembered(&self, list: &str) -> impl Future<Output = Result<Option<Remembered>, StoreError>> + Send;

    /// Stores a list unless one with the same or a higher number is stored and this one is not to be accepted once.
    /// Returns the list that is stored afterwards.
    fn remember(&self, list: &str, new: &Remembered) -> impl Future<Output = Result<Seen, StoreError>> + Send;

    /// Stores a timestamp of the stored list, and the updated state of that list.
    fn stamp(&self, list: &str, kept: &Seen, timestamp: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Records the digest of a list to accept once, whatever is stored. Returns true if any list is stored.
    fn accept_once(&self, list: &str, digest: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Records the reason why the stored list is no longer used, or that it is used again.
    fn note_dropped(
        &self,
        list: &str,
        kept: &Seen,
        why: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Reads the state of the newest list from a row. Rows from before the history contain number and digest only.
fn seen(row: &SqliteRow) -> Result<Seen, StoreError> {
    if let Some(text) = row.try_get::<Option<String>, _>("seen")? {
        return serde_json::from_str(&text).map_err(|_| StoreError::Unreadable);
    }
    let sequence = u64::try_from(row.try_get::<i64, _>("sequence")?).map_err(|_| StoreError::Unreadable)?;
    Ok(Seen { sequence, digest: row.try_get("digest")?, chained: false, timestamped: false, operators: None })
}

impl TrustStore for Sqlite {
    async fn remembered(&self, list: &str) -> Result<Option<Remembered>, StoreError> {
        let row = sqlx::query(
            "SELECT sequence, digest, seen, document, timestamp, dropped, accept FROM trust_lists WHERE list = ?",
        )
        .bind(list)
        .fetch_optional(self.database().readers())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (document, dropped, accept) = (row.try_get("document")?, row.try_get("dropped")?, row.try_get("accept")?);
        Ok(Some(Remembered { seen: seen(&row)?, document, timestamp: row.try_get("timestamp")?, dropped, accept }))
    }

    async fn remember(&self, list: &str, new: &Remembered) -> Result<Seen, StoreError> {
        let sequence = i64::try_from(new.seen.sequence).map_err(|_| StoreError::Unreadable)?;
        let mut transaction = self.database().begin("remember_trust_list").await?;
        sqlx::query(
            "INSERT INTO trust_lists (list, sequence, digest, seen, document, timestamp) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT (list) DO UPDATE SET sequence = excluded.sequence, digest = excluded.digest, \
             seen = excluded.seen, document = excluded.document, timestamp = excluded.timestamp, dropped = NULL, \
             accept = NULLIF(trust_lists.accept, excluded.digest) \
             WHERE excluded.sequence > trust_lists.sequence OR (excluded.sequence = trust_lists.sequence \
             AND excluded.digest = trust_lists.digest) OR excluded.digest = trust_lists.accept",
        )
        .bind(list)
        .bind(sequence)
        .bind(&new.seen.digest)
        .bind(serde_json::to_string(&new.seen).map_err(|_| StoreError::Unreadable)?)
        .bind(&new.document)
        .bind(&new.timestamp)
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query("SELECT sequence, digest, seen FROM trust_lists WHERE list = ?")
            .bind(list)
            .fetch_one(&mut *transaction)
            .await?;
        let seen = seen(&row)?;
        transaction.commit().await?;
        Ok(seen)
    }

    async fn stamp(&self, list: &str, kept: &Seen, timestamp: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().begin("stamp_trust_list").await?;
        sqlx::query("UPDATE trust_lists SET timestamp = ?, seen = ? WHERE list = ? AND digest = ?")
            .bind(timestamp)
            .bind(serde_json::to_string(kept).map_err(|_| StoreError::Unreadable)?)
            .bind(list)
            .bind(&kept.digest)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn accept_once(&self, list: &str, digest: &str) -> Result<bool, StoreError> {
        let mut transaction = self.database().begin("accept_trust_list_once").await?;
        let noted = sqlx::query("UPDATE trust_lists SET accept = ? WHERE list = ?")
            .bind(digest)
            .bind(list)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(noted.rows_affected() > 0)
    }

    async fn note_dropped(&self, list: &str, kept: &Seen, why: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.database().begin("note_dropped_trust_list").await?;
        sqlx::query("UPDATE trust_lists SET dropped = ? WHERE list = ? AND digest = ?")
            .bind(why)
            .bind(list)
            .bind(&kept.digest)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
