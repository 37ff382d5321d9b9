//! Rows of voucher uses, desks and totals.

use carnet_core::time::Timestamp;

use super::StoreFuture;

/// Name of this desk in the store.
pub(crate) const OWN_DESK: &str = "";

/// Mark of a redeemed use of a voucher. The serial, or the voucher's id, is stored only as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UseMark {
    /// SHA-256 over issuer and serial, or over issuer and voucher id.
    pub(crate) entitlement: [u8; 32],
    /// Number of uses that the voucher permits: 1 for a serial, 1 to 1,000 for a voucher id.
    pub(crate) uses: u32,
    pub(crate) marked_at: Timestamp,
    /// Time of its erasure.
    pub(crate) erase_at: Timestamp,
}

/// Number of uses redeemed in one month, by template, issuer and service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MonthlyTotal {
    /// Template of the request.
    pub(crate) template: String,
    /// DID of the vouchers' issuer.
    pub(crate) issuer: String,
    /// Service stated in the voucher; empty if the template does not define it, and for uses recorded by older
    /// versions.
    pub(crate) service: String,
    /// Month in UTC, as `2026-11`.
    pub(crate) month: String,
    pub(crate) uses: u64,
}

/// State of a desk, as known to this desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeskRow {
    pub(crate) name: String,
    /// Sequence number of its last known mark.
    pub(crate) last_mark: u64,
    /// Number of its last export: the last one created (this desk) or imported (another desk).
    pub(crate) last_export: u64,
    /// Sequence number that its last mark had at its last reconciliation.
    pub(crate) reconciled_mark: u64,
    /// Time of this desk's last reconciliation; not used for other desks.
    pub(crate) reconciled_at: Timestamp,
    /// Number of the newest export of this desk that the other desk has imported.
    pub(crate) imported_own_export: u64,
    /// Time at which it was written off, and the maximum number of unknown uses that it may have redeemed; `None`: not
    /// written off.
    pub(crate) written_off: Option<(Timestamp, u64)>,
}

impl DeskRow {
    /// Creates the state of a desk of which nothing is known.
    pub(crate) fn unknown(name: &str) -> Self {
        let (name, synced_at) = (name.to_owned(), Timestamp::from_unix(0));
        Self {
            name,
            last_mark: 0,
            last_export: 0,
            reconciled_mark: 0,
            reconciled_at: synced_at,
            imported_own_export: 0,
            written_off: None,
        }
    }

    /// Returns the number of uses that the desk has redeemed since its last reconciliation.
    pub(crate) fn unreconciled_uses(&self) -> u64 {
        self.last_mark.saturating_sub(self.reconciled_mark)
    }
}

/// Read operations on uses.
pub(crate) trait ReadUses: Send {
    /// Counts the recorded uses of a voucher or serial by all known desks.
    fn mark_count(&mut self, entitlement: &[u8; 32]) -> impl StoreFuture<u32>;

    /// Returns the mark of a desk with this sequence number; `None` if it is unknown or erased.
    fn mark(&mut self, desk: &str, sequence: u64) -> impl StoreFuture<Option<UseMark>>;

    /// Returns the marks of a desk up to and including the sequence number `last`, in ascending order of these numbers.
    fn marks(&mut self, desk: &str, last: u64) -> impl StoreFuture<Vec<(u64, UseMark)>>;

    /// Returns all marks of each voucher that has more marks than permitted uses, with the names of their desks,
    /// ordered by voucher and time.
    fn overused_marks(&mut self) -> impl StoreFuture<Vec<(String, UseMark)>>;

    /// Returns the state of a desk; [`DeskRow::unknown`] if it is not stored.
    fn desk(&mut self, name: &str) -> impl StoreFuture<DeskRow>;

    /// Returns the states of all stored desks, including this one, ordered by name.
    fn desks(&mut self) -> impl StoreFuture<Vec<DeskRow>>;

    /// Returns all totals, ordered by template, issuer, service and month.
    fn totals(&mut self) -> impl StoreFuture<Vec<MonthlyTotal>>;
}

/// Write operations on uses.
pub(crate) trait WriteUses: Send {
    /// Inserts a mark of a desk with its sequence number.
    fn insert_mark(&mut self, desk: &str, sequence: u64, mark: &UseMark) -> impl StoreFuture<()>;

    /// Inserts or replaces the state of a desk.
    fn put_desk(&mut self, desk: &DeskRow) -> impl StoreFuture<()>;

    /// Adds the uses to the stored total of the same template, issuer, service and month.
    fn add_to_total(&mut self, total: &MonthlyTotal) -> impl StoreFuture<()>;
}
