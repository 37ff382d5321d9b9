//! The newest trust list that was accepted.

use std::future::Future;

use carnet_core::trust::list::Seen;
use sqlx::Row as _;

use super::{Sqlite, StoreError};

/// What is kept of the newest list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Its number and digest.
    pub(crate) seen: Seen,
    /// The list itself.
    pub(crate) document: String,
    /// Why it decides no more, if it did not hold when it was verified anew.
    pub(crate) dropped: Option<String>,
}

/// What a database has to offer for trust lists.
pub(crate) trait TrustStore: Send + Sync {
    /// The newest list of that name.
    fn remembered(&self, list: &str) -> impl Future<Output = Result<Option<Remembered>, StoreError>> + Send;

    /// Keeps a list unless another one is kept with its number or a greater one. Which one is kept after that.
    fn remember(&self, list: &str, new: &Remembered) -> impl Future<Output = Result<Seen, StoreError>> + Send;

    /// Notes why the list that is kept decides no more, or that it decides again.
    fn note_dropped(
        &self,
        list: &str,
        kept: &Seen,
        why: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl TrustStore for Sqlite {
    async fn remembered(&self, list: &str) -> Result<Option<Remembered>, StoreError> {
        let row = sqlx::query("SELECT sequence, digest, document, dropped FROM trust_lists WHERE list = ?")
            .bind(list)
            .fetch_optional(self.database().readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sequence = u64::try_from(row.try_get::<i64, _>("sequence")?).map_err(|_| StoreError::Unreadable)?;
        let seen = Seen { sequence, digest: row.try_get("digest")? };
        Ok(Some(Remembered { seen, document: row.try_get("document")?, dropped: row.try_get("dropped")? }))
    }

    async fn remember(&self, list: &str, new: &Remembered) -> Result<Seen, StoreError> {
        let sequence = i64::try_from(new.seen.sequence).map_err(|_| StoreError::Unreadable)?;
        let mut transaction = self.database().begin("remember_trust_list").await?;
        sqlx::query(
            "INSERT INTO trust_lists (list, sequence, digest, document) VALUES (?, ?, ?, ?) ON CONFLICT (list) DO UPDATE \
             SET sequence = excluded.sequence, digest = excluded.digest, document = excluded.document, dropped = NULL \
             WHERE excluded.sequence > trust_lists.sequence OR (excluded.sequence = trust_lists.sequence \
             AND excluded.digest = trust_lists.digest)",
        )
        .bind(list)
        .bind(sequence)
        .bind(&new.seen.digest)
        .bind(&new.document)
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query("SELECT sequence, digest FROM trust_lists WHERE list = ?")
            .bind(list)
            .fetch_one(&mut *transaction)
            .await?;
        let sequence = u64::try_from(row.try_get::<i64, _>("sequence")?).map_err(|_| StoreError::Unreadable)?;
        let seen = Seen { sequence, digest: row.try_get("digest")? };
        transaction.commit().await?;
        Ok(seen)
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
