//! Records for staff: issued copies, statuses and audit log.

use crate::{
    error::Error,
    issuer::Issuer,
    store::{
        PageSlice, RowPage, Store,
        records::{IssuedFilter, IssuedRecord, RecordRows as _},
        status::{ActRecord, ChangedCopy, CopyStatus, StatusRows as _},
    },
};

impl<S: Store> Issuer<S> {
    /// Returns issued copies, newest first.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_issued(
        &self,
        filter: &IssuedFilter,
        slice: PageSlice,
    ) -> Result<RowPage<IssuedRecord>, Error> {
        Ok(self.store.read().await?.issued(filter, slice).await?)
    }

    /// Returns one issued copy.
    ///
    /// # Errors
    /// [`Error::NotFound`]; store errors.
    pub(crate) async fn read_issued(&self, issued_id: &str) -> Result<IssuedRecord, Error> {
        let record = self.store.read().await?.issued_by_id(issued_id).await?;
        record.ok_or(Error::NotFound { what: "issued credential" })
    }

    /// Returns the status of each issued copy of an offer, or of one copy, by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; store errors.
    pub(crate) async fn read_status(&self, id: &str) -> Result<Vec<CopyStatus>, Error> {
        let copies = self.store.read().await?.status(id).await?;
        if copies.is_empty() { Err(Error::NotFound { what: "issued credential" }) } else { Ok(copies) }
    }

    /// Returns the acts of staff, newest first; with an id, only those that concern that offer or copy.
    ///
    /// # Errors
    /// Store errors.
    pub(crate) async fn list_acts(&self, id: &str, slice: PageSlice) -> Result<Vec<ActRecord>, Error> {
        Ok(self.store.read().await?.acts(id, slice).await?)
    }

    /// Returns the copies that an act changed, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`]; store errors.
    pub(crate) async fn list_changes(&self, act: i64, slice: PageSlice) -> Result<Vec<ChangedCopy>, Error> {
        let mut tx = self.store.read().await?;
        if !tx.has_act(act).await? {
            return Err(Error::NotFound { what: "act" });
        }
        Ok(tx.changed_by(act, slice).await?)
    }
}
