//! SQLite rows of status lists: operations that draw status indices.

use carnet_core::time::Timestamp;
use carnet_service::error::StoreError;
use sqlx::Row as _;

use super::{
    SqliteTx,
    rows::{read_number, read_status_index},
};
use crate::store::{
    StoreResult,
    issuances::{DrawnEntry, IndexRows},
    status::StatusIndex,
};

impl IndexRows for SqliteTx {
    async fn unused_entries(&mut self) -> StoreResult<i64> {
        let left = sqlx::query_scalar("SELECT coalesce(sum(entries - drawn), 0) FROM status_lists");
        Ok(left.fetch_one(&mut *self.0).await?)
    }

    async fn open_list(&mut self, entries: i64, seed: &[u8; 32], now: Timestamp) -> StoreResult<i64> {
        Ok(sqlx::query_scalar(
            "INSERT INTO status_lists (list, first_index, entries, seed, opened_at) \
             SELECT coalesce(max(list) + 1, 0), coalesce(max(first_index + entries), 0), ?, ?, ? FROM status_lists RETURNING list",
        )
        .bind(entries)
        .bind(seed.as_slice())
        .bind(now.unix())
        .fetch_one(&mut *self.0)
        .await?)
    }

    async fn draw_index(&mut self) -> StoreResult<Option<DrawnEntry>> {
        let row = sqlx::query(
            "UPDATE status_lists SET drawn = drawn + 1 WHERE list = (SELECT min(list) FROM status_lists WHERE drawn < entries) \
             RETURNING first_index, entries, seed, drawn",
        )
        .fetch_optional(&mut *self.0)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let seed = row.try_get::<Vec<u8>, _>("seed")?;
        Ok(Some(DrawnEntry {
            first_index: read_number(&row, "first_index")?,
            entries: read_number(&row, "entries")?,
            seed: seed.try_into().map_err(|_| StoreError::Corrupt("status_lists.seed"))?,
            draw_number: read_number(&row, "drawn")?.saturating_sub(1),
        }))
    }

    async fn status_indices(&mut self, collection: i64) -> StoreResult<Vec<StatusIndex>> {
        sqlx::query(
            "SELECT l.list, i.status_index - l.first_index AS position FROM issued i JOIN status_lists l \
             ON i.status_index >= l.first_index AND i.status_index < l.first_index + l.entries \
             WHERE i.collection = ? ORDER BY i.position",
        )
        .bind(collection)
        .fetch_all(&mut *self.0)
        .await?
        .iter()
        .map(read_status_index)
        .collect()
    }
}
