//! SQLite rows of trust lists.

use carnet_core::trust::list::AcceptedList;
use carnet_service::store::WriteTransaction;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{CORRUPT, RowConnection, SqliteRows, to_i64, unsigned_column};
use crate::store::{ReadTrustLists, StoreError, TrustListRow, TrustListState, WriteTrustLists};

fn state_from_row(row: &SqliteRow) -> Result<TrustListState, StoreError> {
    let seen = match row.try_get::<Option<String>, _>("seen")? {
        Some(text) => serde_json::from_str(&text).map_err(|_| CORRUPT)?,
        // Rows from before the history contain number and digest only.
        None => AcceptedList {
            sequence: unsigned_column(row, "sequence")?,
            digest: row.try_get("digest")?,
            has_history: false,
            timestamped: false,
            operators: None,
        },
    };
    let (timestamp, dropped) = (row.try_get("timestamp")?, row.try_get("dropped")?);
    Ok(TrustListState { accepted: seen, timestamp, drop_reason: dropped, accept_once: row.try_get("accept")? })
}

fn accepted_to_json(state: &TrustListState) -> Result<String, StoreError> {
    serde_json::to_string(&state.accepted).map_err(|_| CORRUPT)
}

impl<C: RowConnection> ReadTrustLists for SqliteRows<C> {
    async fn trust_list(&mut self, name: &str) -> Result<Option<TrustListRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM trust_lists WHERE list = ?").bind(name);
        let row = row.fetch_optional(&mut *self.0).await?;
        row.map(|row| Ok(TrustListRow { state: state_from_row(&row)?, document: row.try_get("document")? })).transpose()
    }

    async fn trust_list_state(&mut self, name: &str) -> Result<Option<TrustListState>, StoreError> {
        let row =
            sqlx::query("SELECT sequence, digest, seen, timestamp, dropped, accept FROM trust_lists WHERE list = ?");
        row.bind(name).fetch_optional(&mut *self.0).await?.as_ref().map(state_from_row).transpose()
    }
}

impl WriteTrustLists for SqliteRows<WriteTransaction> {
    async fn put_trust_list(&mut self, name: &str, row: &TrustListRow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO trust_lists (list, sequence, digest, seen, document, timestamp, dropped, accept) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (list) DO UPDATE SET sequence = excluded.sequence, \
             digest = excluded.digest, seen = excluded.seen, document = excluded.document, \
             timestamp = excluded.timestamp, dropped = excluded.dropped, accept = excluded.accept",
        )
        .bind(name)
        .bind(to_i64(row.state.accepted.sequence)?)
        .bind(&row.state.accepted.digest)
        .bind(accepted_to_json(&row.state)?)
        .bind(&row.document)
        .bind(&row.state.timestamp)
        .bind(&row.state.drop_reason)
        .bind(&row.state.accept_once)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn set_trust_list_state(&mut self, name: &str, state: &TrustListState) -> Result<(), StoreError> {
        sqlx::query("UPDATE trust_lists SET seen = ?, timestamp = ?, dropped = ?, accept = ? WHERE list = ?")
            .bind(accepted_to_json(state)?)
            .bind(&state.timestamp)
            .bind(&state.drop_reason)
            .bind(&state.accept_once)
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}
