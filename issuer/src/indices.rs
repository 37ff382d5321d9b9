//! Status indices of copies: drawn in random order from a status list, stored before anything is signed, and used once.

use carnet_core::time::Timestamp;
use rand_core::{OsRng, RngCore as _};

use crate::{
    error::Error,
    issuer::Issuer,
    secrets,
    shuffle::{self, PermutationKey},
    store::{Store, StoreTx, issuances::NewCopy, status::StatusIndex},
};

/// Stores a row with a new status index for each copy, before it is signed, and returns the indices in the order of
/// `thumbprints`, the JWK thumbprints of the copies' keys. Opens a new list first if the unused entries run low.
///
/// # Errors
/// [`Error::KeyUsed`] if a key already has a signed copy; store errors.
pub(crate) async fn insert_copies<T: StoreTx>(
    tx: &mut T,
    list_entries: u64,
    (collection, offer_id): (i64, &str),
    thumbprints: &[String],
    now: Timestamp,
) -> Result<Vec<StatusIndex>, Error> {
    open_list_if_low(tx, list_entries, now).await?;
    for (number, thumbprint) in thumbprints.iter().enumerate() {
        if tx.has_signed_copy(thumbprint).await? {
            return Err(Error::KeyUsed);
        }
        let (issued_id, status_index) = (secrets::random_id(), draw_status_index(tx).await?);
        let copy =
            NewCopy { issued_id: &issued_id, offer_id, collection, position: number, status_index, thumbprint, now };
        tx.insert_copy(&copy).await?;
    }
    Ok(tx.status_indices(collection).await?)
}

/// Opens a new list if the unused entries of all lists together are at most an eighth of `list_entries`, the size of a
/// list. Verifiers can then fetch it long before its first index is issued.
///
/// # Errors
/// Store errors.
pub(crate) async fn open_list_if_low<T: StoreTx>(tx: &mut T, list_entries: u64, now: Timestamp) -> Result<(), Error> {
    let entries = i64::try_from(list_entries).map_err(|_| Error::Corrupt("status_lists.entries"))?;
    if tx.unused_entries().await? > entries / 8 {
        return Ok(());
    }
    let mut seed = PermutationKey::default();
    OsRng.fill_bytes(&mut seed);
    let list = tx.open_list(entries, &seed, now).await?;
    tracing::info!(list, entries, "a status list was opened");
    Ok(())
}

impl<S: Store> Issuer<S> {
    /// Opens a new list if the unused entries run low, in a transaction of its own. At the start of the service, it is
    /// then published before its first index is issued.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn open_list_if_needed(&self) -> Result<(), Error> {
        let mut tx = self.store.begin("open_status_lists").await?;
        open_list_if_low(&mut tx, self.settings.list_entries, self.now()).await?;
        Ok(tx.commit().await?)
    }
}

/// Draws an unused status index from the oldest list that is not full.
///
/// # Errors
/// [`Error::Corrupt`] if all lists are full; store errors.
async fn draw_status_index<T: StoreTx>(tx: &mut T) -> Result<i64, Error> {
    let corrupt = || Error::Corrupt("status_lists");
    let draw = tx.draw_index().await?.ok_or_else(corrupt)?;
    let entry = shuffle::permuted_entry(&draw.seed, draw.entries, draw.draw_number).ok_or_else(corrupt)?;
    i64::try_from(draw.first_index.saturating_add(entry)).map_err(|_| corrupt())
}
