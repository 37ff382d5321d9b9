//! Status indices: drawn in the shuffled order of their list, stored before anything is signed, and used once.

use carnet_core::time::Timestamp;
use rand_core::{OsRng, RngCore as _};

use crate::{
    error::Error,
    issuer::Issuer,
    secrets,
    shuffle::{self, Seed},
    store::{Store, StoreTx, collections::NewCopy, status::Place},
};

/// Writes a row for each copy before it is signed, one per holder key, by its thumbprint. A key that has a copy is
/// refused. Returns the status indices.
pub(crate) async fn write_copies<T: StoreTx>(
    tx: &mut T,
    list_entries: u64,
    (collection, offer_id): (i64, &str),
    thumbprints: &[String],
    now: Timestamp,
) -> Result<Vec<Place>, Error> {
    open_next(tx, list_entries, now).await?;
    for (number, thumbprint) in thumbprints.iter().enumerate() {
        if tx.has_copy(thumbprint).await? {
            return Err(Error::KeyUsed);
        }
        let (issued_id, status_index) = (secrets::draw_id(), draw(tx).await?);
        let copy = NewCopy { issued_id: &issued_id, offer_id, collection, number, status_index, thumbprint, now };
        tx.insert_copy(&copy).await?;
    }
    Ok(tx.places(collection).await?)
}

/// Opens a list when less than an eighth of the last one is left: verifiers fetch it long before anything is issued on
/// it.
pub(crate) async fn open_next<T: StoreTx>(tx: &mut T, list_entries: u64, now: Timestamp) -> Result<(), Error> {
    let entries = i64::try_from(list_entries).map_err(|_| Error::Corrupt("status_lists.entries"))?;
    if tx.entries_left().await? > entries / 8 {
        return Ok(());
    }
    let mut seed = Seed::default();
    OsRng.fill_bytes(&mut seed);
    let list = tx.open_list(entries, &seed, now).await?;
    tracing::info!(list, entries, "a status list was opened");
    Ok(())
}

impl<S: Store> Issuer<S> {
    /// Opens the next list when little of the last one is left, so that it is published before anything is issued on
    /// it.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn open_lists(&self) -> Result<(), Error> {
        let mut tx = self.store.begin("open_status_lists").await?;
        open_next(&mut tx, self.settings.list_entries, self.now()).await?;
        Ok(tx.commit().await?)
    }
}

/// Draws an index from the oldest list that is not full.
async fn draw<T: StoreTx>(tx: &mut T) -> Result<i64, Error> {
    let corrupt = || Error::Corrupt("status_lists");
    let draw = tx.draw_index().await?.ok_or_else(corrupt)?;
    let entry = shuffle::entry(&draw.seed, draw.entries, draw.draw).ok_or_else(corrupt)?;
    i64::try_from(draw.first_index.saturating_add(entry)).map_err(|_| corrupt())
}
