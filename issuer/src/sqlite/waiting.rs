//! Status changes that the lists do not contain yet: they are published together at the next publication time.

use carnet_core::time::{CLOCK_SKEW, Timestamp};
use sqlx::Row as _;

use super::{SqliteStore, Tx, status::place_of};
use crate::{
    error::Error,
    store::status::{Act, Place, State},
};

/// Entries due for publication, with their new states. An act on a copy that had ended by then changes
/// nothing.
const RELEASED: &str = "SELECT coalesce((SELECT c.before FROM status_changes c JOIN status_acts a ON a.seq = c.act \
     WHERE c.status_index = w.status_index AND a.at > coalesce(k.valid_until, o.valid_until) + ?2 \
     ORDER BY c.act LIMIT 1), s.state) AS state, l.list, w.status_index - l.first_index AS position \
     FROM waiting_statuses w INDEXED BY waiting_statuses_by_time JOIN statuses s USING (status_index) \
     LEFT JOIN issued i USING (status_index) LEFT JOIN offers o USING (offer_id) LEFT JOIN collections k ON k.seq = i.collection \
     JOIN status_lists l ON w.status_index >= l.first_index AND w.status_index < l.first_index + l.entries \
     WHERE w.since < ?1";

/// Records the state that the lists continue to show for a copy until a change that is not urgent is published. An
/// urgent act publishes pending changes of its copies at once.
pub(super) async fn note(tx: &mut Tx, act: &Act, status_index: i64, before: State) -> Result<(), Error> {
    let query = if act.urgent {
        sqlx::query("DELETE FROM waiting_statuses WHERE status_index = ?").bind(status_index)
    } else {
        // A copy with a pending earlier change keeps waiting from that time.
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
    /// Releases the changes made before a time. If the service is killed right afterwards, it reads all lists again.
    pub(super) async fn release(&self, before: Timestamp) -> Result<Vec<(Place, State)>, Error> {
        let waits: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM waiting_statuses WHERE since < ?)")
            .bind(before.unix())
            .fetch_one(self.database.readers())
            .await?;
        if !waits {
            return Ok(Vec::new());
        }
        let mut tx = self.database.begin("release_statuses").await?;
        let rows = sqlx::query(RELEASED).bind(before.unix()).bind(CLOCK_SKEW).fetch_all(&mut *tx).await?;
        sqlx::query("DELETE FROM waiting_statuses WHERE since < ?").bind(before.unix()).execute(&mut *tx).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((place_of(row)?, State::parse(row.try_get("state")?)?))).collect()
    }
}
