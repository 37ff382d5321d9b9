//! Records for staff: issued copies, their status, and the acts of staff on it (the audit log).

use crate::{
    error::Error,
    issuer::Issuer,
    store::{
        PageSlice, RowPage, Store,
        records::{IssuedFilter, IssuedRecord, RecordRows as _},
        status::{ChangedCopy, CopyStatus, StatusActRecord, StatusRows as _},
    },
};

impl<S: Store> Issuer<S> {
    /// Returns the records of issued copies that match a filter, newest first.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_issued_copies(
        &self,
        filter: &IssuedFilter,
        slice: PageSlice,
    ) -> Result<RowPage<IssuedRecord>, Error> {
        Ok(self.store.read().await?.issued_copies(filter, slice).await?)
    }

    /// Returns the record of one issued copy.
    ///
    /// # Errors
    /// [`Error::NotFound`], also if the record is past its retention period; store errors.
    pub(crate) async fn read_issued_copy(&self, issued_id: &str) -> Result<IssuedRecord, Error> {
        let record = self.store.read().await?.issued_copy_by_id(issued_id).await?;
        record.ok_or(Error::NotFound { what: "issued credential" })
    }

    /// Returns the status of all issued copies of an offer, or of one copy. `id`: the id of the offer or of the copy.
    ///
    /// # Errors
    /// [`Error::NotFound`], also if nothing was issued from the offer; store errors.
    pub(crate) async fn read_copy_statuses(&self, id: &str) -> Result<Vec<CopyStatus>, Error> {
        let copies = self.store.read().await?.copy_statuses(id).await?;
        if copies.is_empty() { Err(Error::NotFound { what: "issued credential" }) } else { Ok(copies) }
    }

    /// Returns the recorded acts of staff, newest first: changes of status, and messages. `id`: only those that changed
    /// this offer's copies or this copy; empty: all.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_status_acts(&self, id: &str, slice: PageSlice) -> Result<Vec<StatusActRecord>, Error> {
        Ok(self.store.read().await?.status_acts(id, slice).await?)
    }

    /// Returns the copies whose status or message an act changed, newest first. `act`: number of the act.
    ///
    /// # Errors
    /// [`Error::NotFound`]; store errors.
    pub(crate) async fn list_status_changes(&self, act: i64, slice: PageSlice) -> Result<Vec<ChangedCopy>, Error> {
        let mut tx = self.store.read().await?;
        if !tx.has_act(act).await? {
            return Err(Error::NotFound { what: "act" });
        }
        Ok(tx.copies_changed_by(act, slice).await?)
    }
}
