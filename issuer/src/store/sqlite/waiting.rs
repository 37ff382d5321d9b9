//! Changes of status that the lists do not say yet: they wait for a set time, and are published together then.

use carnet_core::time::Timestamp;
use sqlx::Row as _;

use super::{SqliteStore, Tx, status::place_of};
use crate::{
    error::Error,
    store::status::{Act, Place, State},
};

/// Entries whose wait is over, with what the lists say of them from now on.
const RELEASED: &str = "SELECT s.state, l.list, w.status_index - l.first_index AS position \
     FROM waiting_statuses w INDEXED BY waiting_statuses_by_time JOIN statuses s USING (status_index) JOIN status_lists l \
     ON w.status_index >= l.first_index AND w.status_index < l.first_index + l.entries WHERE w.since < ?";

/// Notes what the lists go on saying of a copy until the change of an act that is not urgent is published. An urgent act ends the
/// wait of what it changes.
pub(super) async fn note(tx: &mut Tx, act: &Act, status_index: i64, before: State) -> Result<(), Error> {
    let query = if act.urgent {
        sqlx::query("DELETE FROM waiting_statuses WHERE status_index = ?").bind(status_index)
    } else {
        // A copy whose earlier change still waits goes on waiting from then.
        sqlx::query(
            "INSERT INTO waiting_statuses (status_index, listed, since) VALUES (?, ?, ?) \
             ON CONFLICT (status_index) DO NOTHING",
        )
        .bind(status_index)
        .bind(before.as_str())
        .bind(act.now.unix())
    };
    query.execute(&mut **tx).await?;
    Ok(())
}

impl SqliteStore {
    /// Ends the wait of what waits since before a time. Killed right after it, a service reads all that the lists say anew.
    pub(super) async fn release(&self, before: Timestamp) -> Result<Vec<(Place, State)>, Error> {
        let waits: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM waiting_statuses WHERE since < ?)")
            .bind(before.unix())
            .fetch_one(self.database.readers())
            .await?;
        if !waits {
            return Ok(Vec::new());
        }
        let mut tx = self.database.begin("release_statuses").await?;
        let rows = sqlx::query(RELEASED).bind(before.unix()).fetch_all(&mut *tx).await?;
        sqlx::query("DELETE FROM waiting_statuses WHERE since < ?").bind(before.unix()).execute(&mut *tx).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((place_of(row)?, State::parse(row.try_get("state")?)?))).collect()
    }
}
