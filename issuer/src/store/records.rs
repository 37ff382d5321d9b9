//! Records of issued copies, counters of cohorts, and voucher totals; all without claims.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, RowPage, StoreResult, filter::CommonFilter};

/// Record of an issued copy, without claims and holder's key.
#[derive(Debug, Clone)]
pub(crate) struct IssuedRecord {
    /// Sequence number, in the order of the intents to sign.
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    /// Status index over all lists of the issuer.
    pub(crate) status_index: i64,
    pub(crate) issued_at: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Number of the last event that the wallet reported; 0: none.
    pub(crate) notification: i32,
    /// Reference of its offer; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who created its offer; empty in records of early versions.
    pub(crate) created_by: String,
    /// `true` if the record of its offer was erased after its retention period.
    pub(crate) is_erased: bool,
}

/// Number of holders with usable copies that have the same visible members.
#[derive(Debug, Clone)]
pub(crate) struct CohortCount {
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// DID URL of the signing key; empty for copies of older versions.
    pub(crate) kid: String,
    /// Number of the status list.
    pub(crate) list: i64,
    pub(crate) holders: u64,
}

/// Numbers of vouchers and of their uses issued in one month, for one service of one redeemer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VoucherTotal {
    pub(crate) service: String,
    /// DID of the redeemer.
    pub(crate) redeemer: String,
    /// Month in UTC, as `2026-11`.
    pub(crate) month: String,
    pub(crate) vouchers: u64,
    pub(crate) uses: u64,
}

/// Filter for issued copies by offer and common conditions; times are those of issuance.
#[derive(Debug, Clone, Default)]
pub(crate) struct IssuedFilter {
    /// Id of the offer; empty: all offers.
    pub(crate) offer_id: String,
    pub(crate) common: CommonFilter,
}

impl IssuedFilter {
    pub(crate) fn matches(&self, record: &IssuedRecord) -> bool {
        let names = (record.credential_type.as_str(), record.reference.as_str(), record.created_by.as_str());
        (self.offer_id.is_empty() || self.offer_id == record.offer_id) && self.common.matches(names, record.issued_at)
    }
}

/// Store operations on records and counts.
pub(crate) trait RecordRows {
    /// Returns a page of the issued copies that match a filter, newest first, without erased records.
    fn issued_copies(
        &mut self,
        filter: &IssuedFilter,
        slice: PageSlice,
    ) -> impl Future<Output = StoreResult<RowPage<IssuedRecord>>> + Send;
    /// Returns the record of an issued copy; `None` also if the record of its offer was erased.
    fn issued_copy_by_id(&mut self, issued_id: &str) -> impl Future<Output = StoreResult<Option<IssuedRecord>>> + Send;
    /// Returns the sizes of the cohorts of copies that have not expired at `now`. Holders whose copies are all revoked
    /// or suspended are not counted.
    fn cohorts(&mut self, now: Timestamp) -> impl Future<Output = StoreResult<Vec<CohortCount>>> + Send;
    /// Adds the numbers of vouchers and uses in `total` to the stored total of its service, redeemer and month.
    fn add_to_voucher_totals(&mut self, total: &VoucherTotal) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns all totals, sorted by service, redeemer and month.
    fn voucher_totals(&mut self) -> impl Future<Output = StoreResult<Vec<VoucherTotal>>> + Send;
}
