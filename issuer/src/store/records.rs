//! Records of issued copies, without claims, and counts of them.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, RowPage, Stored, filter::CommonFilter};

/// Issued copy, without its claims and its holder's key.
#[derive(Debug, Clone)]
pub(crate) struct IssuedRecord {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) status_index: i64,
    pub(crate) issued_at: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Number of the last notification event.
    pub(crate) notification: i32,
    /// Reference of its offer; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who created its offer.
    pub(crate) created_by: String,
    /// `true` if the record of its offer is past its retention period.
    pub(crate) forgotten: bool,
}

/// Number of holders with the same visible members.
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

/// Numbers of vouchers and uses issued in one month for a service of a redeemer.
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

/// Filter for issued copies, by offer and time of issuance.
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
    /// Returns issued copies, newest first.
    fn issued(
        &mut self,
        filter: &IssuedFilter,
        slice: PageSlice,
    ) -> impl Future<Output = Stored<RowPage<IssuedRecord>>> + Send;
    fn issued_by_id(&mut self, issued_id: &str) -> impl Future<Output = Stored<Option<IssuedRecord>>> + Send;
    /// Returns the numbers of holders whose usable copies have the same visible members.
    fn cohorts(&mut self, now: Timestamp) -> impl Future<Output = Stored<Vec<CohortCount>>> + Send;
    /// Adds an issued voucher to the total of its month.
    fn add_voucher(&mut self, total: &VoucherTotal) -> impl Future<Output = Stored<()>> + Send;
    /// Returns all totals, by service, redeemer and month.
    fn voucher_totals(&mut self) -> impl Future<Output = Stored<Vec<VoucherTotal>>> + Send;
}
