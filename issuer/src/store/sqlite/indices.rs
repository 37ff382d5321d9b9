//! Status indices: drawn at random, stored before they are signed, given out once.

use carnet_core::time::Timestamp;

use super::Tx;
use crate::{error::Error, secrets};

/// The entries of one status list (Bitstring Status List 1.0, section 6.1: the least there may be).
const LIST_ENTRIES: u32 = 131_072;
/// How many indices are drawn from one list before the next one begins.
const LIST_FILL: i64 = 98_304;

/// Writes a row for each copy, before it is signed: one for each holder's key, by its thumbprint. A key that has a copy
/// already is refused.
pub(super) async fn write_intents(
    tx: &mut Tx,
    collection: i64,
    offer_id: &str,
    thumbprints: &[String],
    now: Timestamp,
) -> Result<(), Error> {
    for (position, thumbprint) in thumbprints.iter().enumerate() {
        let used: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM issued WHERE holder_thumbprint = ? AND issued_at IS NOT NULL)",
        )
        .bind(thumbprint)
        .fetch_one(&mut **tx)
        .await?;
        if used {
            return Err(Error::KeyUsed);
        }
        let index = draw_status_index(tx).await?;
        sqlx::query(
            "INSERT INTO issued (issued_id, offer_id, collection, position, status_index, intended_at, holder_thumbprint) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(secrets::draw_id())
        .bind(offer_id)
        .bind(collection)
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .bind(index)
        .bind(now.unix())
        .bind(thumbprint)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Draws a status index that was never given out.
///
/// Indices are drawn at random (Bitstring Status List 1.0, section 5.1) from one list's worth; once the copies would fill three
/// quarters of the lists so far, draws go to the next list, so that drawing stays quick.
async fn draw_status_index(tx: &mut Tx) -> Result<i64, Error> {
    let given: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM issued").fetch_one(&mut **tx).await?;
    let entries = i64::from(LIST_ENTRIES);
    let list = given.checked_div(LIST_FILL).unwrap_or_default();
    loop {
        let index = list.saturating_mul(entries).saturating_add(i64::from(secrets::draw_below(LIST_ENTRIES)));
        let taken: Option<i64> = sqlx::query_scalar("SELECT seq FROM issued WHERE status_index = ?")
            .bind(index)
            .fetch_optional(&mut **tx)
            .await?;
        if taken.is_none() {
            return Ok(index);
        }
    }
}
