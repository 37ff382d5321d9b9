//! Status indices: drawn in the shuffled order of their list, stored before anything is signed, and used once.

use carnet_core::time::Timestamp;
use rand_core::{OsRng, RngCore as _};
use sqlx::Row as _;

use super::{Tx, status::place_of};
use crate::{
    error::Error,
    secrets,
    status::shuffle::{self, Seed},
    store::status::Place,
};

/// Writes a row for each copy before it is signed, one per holder key, by its thumbprint. A key that has a copy is
/// refused. Returns the status indices.
pub(super) async fn write_intents(
    tx: &mut Tx,
    list_entries: u64,
    collection: i64,
    offer_id: &str,
    thumbprints: &[String],
    now: Timestamp,
) -> Result<Vec<Place>, Error> {
    open_next(tx, list_entries, now).await?;
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
        let index = draw(tx).await?;
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
    places(tx, collection).await
}

/// Returns the status indices of a collection's copies, in their order.
pub(super) async fn places(tx: &mut Tx, collection: i64) -> Result<Vec<Place>, Error> {
    sqlx::query(
        "SELECT l.list, i.status_index - l.first_index AS position FROM issued i JOIN status_lists l \
         ON i.status_index >= l.first_index AND i.status_index < l.first_index + l.entries \
         WHERE i.collection = ? ORDER BY i.position",
    )
    .bind(collection)
    .fetch_all(&mut **tx)
    .await?
    .iter()
    .map(place_of)
    .collect()
}

/// Opens a list when less than an eighth of the last one is left: verifiers fetch it long before anything is issued on
/// it.
pub(super) async fn open_next(tx: &mut Tx, list_entries: u64, now: Timestamp) -> Result<(), Error> {
    let left: i64 =
        sqlx::query_scalar("SELECT coalesce(sum(entries - drawn), 0) FROM status_lists").fetch_one(&mut **tx).await?;
    let entries = i64::try_from(list_entries).map_err(|_| Error::Corrupt("status_lists.entries"))?;
    if left > entries / 8 {
        return Ok(());
    }
    let mut seed = Seed::default();
    OsRng.fill_bytes(&mut seed);
    let list: i64 = sqlx::query_scalar(
        "INSERT INTO status_lists (list, first_index, entries, seed, opened_at) \
         SELECT coalesce(max(list) + 1, 0), coalesce(max(first_index + entries), 0), ?, ?, ? FROM status_lists RETURNING list",
    )
    .bind(entries)
    .bind(seed.as_slice())
    .bind(now.unix())
    .fetch_one(&mut **tx)
    .await?;
    tracing::info!(list, entries, "a status list was opened");
    Ok(())
}

/// Draws an index from the oldest list that is not full.
async fn draw(tx: &mut Tx) -> Result<i64, Error> {
    let corrupt = || Error::Corrupt("status_lists");
    let row = sqlx::query(
        "UPDATE status_lists SET drawn = drawn + 1 WHERE list = (SELECT min(list) FROM status_lists WHERE drawn < entries) \
         RETURNING first_index, entries, seed, drawn",
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(corrupt)?;
    let number =
        |column: &str| -> Result<u64, Error> { u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| corrupt()) };
    let seed: Seed = row.try_get::<Vec<u8>, _>("seed")?.try_into().map_err(|_| corrupt())?;
    let entry = shuffle::entry(&seed, number("entries")?, number("drawn")?.saturating_sub(1)).ok_or_else(corrupt)?;
    let index = number("first_index")?.saturating_add(entry);
    i64::try_from(index).map_err(|_| corrupt())
}
