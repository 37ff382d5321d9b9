//! The newest trust list that was accepted.

use std::future::Future;

use carnet_core::trust::list::Seen;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Sqlite, StoreError};

/// What is kept of the newest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Its number and digest.
    pub(crate) seen: Seen,
    /// The list itself.
    pub(crate) document: String,
    /// Its newest timestamp.
    pub(crate) timestamp: Option<String>,
    /// Why it decides no more, if it did not hold when it was verified anew.
    pub(crate) dropped: Option<String>,
    /// The digest of a list that is to be accepted once, whatever is kept.
    pub(crate) accept: Option<String>,
}

/// What a database has to offer for trust lists.
pub(crate) trait TrustStore: Send + Sync {
    /// The newest list of that name.
    fn remembered(&self, list: &str) -> impl Future<Output = Result<Option<Remembered>, StoreError>> + Send;

    /// Keeps a list unless another one is kept with its number or a greater one and this one was not to be accepted all
    /// the same. Which one is kept after that.
    fn remember(&self, list: &str, new: &Remembered) -> impl Future<Output = Result<Seen, StoreError>> + Send;

    /// Keeps a timestamp of the list that is kept, and what is to be remembered of that list from then on.
    fn stamp(&self, list: &str, kept: &Seen, timestamp: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes the digest of a list that is to be accepted once, whatever is kept. Returns whether a list is kept at all.
    fn accept_once(&self, list: &str, digest: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Notes why the list that is kept decides no more, or that it decides again.
    fn note_dropped(
        &self,
        list: &str,
        kept: &Seen,
        why: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a row says of the newest list. Rows of before there was a history have number and digest alone.
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
