//! Rows of voucher uses, of desks, and of totals.

use carnet_core::time::Timestamp;

use super::StoreFuture;

/// Name of this desk in the store.
pub(crate) const OWN_DESK: &str = "";

/// Stored use of a voucher. It contains the serial, or the voucher's number, as a digest only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UseMark {
    /// SHA-256 over issuer and serial, or issuer and number.
    pub(crate) entitlement: [u8; 32],
    /// Total number of uses: 1 for a serial, 1 to 1,000 for a number.
    pub(crate) uses: u32,
    pub(crate) marked_at: Timestamp,
    /// Time of its erasure.
    pub(crate) erase_at: Timestamp,
}

/// Number of uses marked in one month, by template, issuer and service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MonthlyTotal {
    /// Template of the request.
    pub(crate) template: String,
    /// Issuer of the vouchers.
    pub(crate) issuer: String,
    /// Service that was given; empty where the template names none, and for marks made before totals had it.
    pub(crate) service: String,
    /// Month in UTC, as `2026-11`.
    pub(crate) month: String,
    pub(crate) uses: u64,
}

/// State of a desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeskRow {
    pub(crate) name: String,
    /// Number of its last mark.
    pub(crate) last: u64,
    /// Number of its last export: made, for this desk, and imported, for another.
    pub(crate) exported: u64,
    /// Number of its last mark when it was last reconciled.
    pub(crate) synced: u64,
    /// Time when this desk was last reconciled.
    pub(crate) synced_at: Timestamp,
    /// Number of this desk's newest export that the other desk had imported.
    pub(crate) own_taken: u64,
    /// Time when it was written off, and the maximum number of unknown uses that it may have allowed.
    pub(crate) written_off: Option<(Timestamp, u64)>,
}

impl DeskRow {
    /// Creates the state of a desk of which nothing is known.
    pub(crate) fn unknown(name: &str) -> Self {
        let (name, synced_at) = (name.to_owned(), Timestamp::from_unix(0));
        Self { name, last: 0, exported: 0, synced: 0, synced_at, own_taken: 0, written_off: None }
    }

    /// Returns the number of uses marked since the last reconciliation.
    pub(crate) fn unsynced(&self) -> u64 {
        self.last.saturating_sub(self.synced)
    }
}

/// Reads of uses.
pub(crate) trait ReadUses: Send {
    /// Counts the marks of a voucher by all known desks.
    fn mark_count(&mut self, entitlement: &[u8; 32]) -> impl StoreFuture<u32>;

    /// Returns a mark.
    fn mark(&mut self, desk: &str, sequence: u64) -> impl StoreFuture<Option<UseMark>>;

    /// Returns the marks of a desk up to a number, with their numbers, which only rise.
    fn marks(&mut self, desk: &str, last: u64) -> impl StoreFuture<Vec<(u64, UseMark)>>;

    /// Returns all marks of each voucher that had more marks than uses, with their desks, ordered by voucher and time.
    fn overused_marks(&mut self) -> impl StoreFuture<Vec<(String, UseMark)>>;

    /// Returns the state of a desk; all zero for an unknown one.
    fn desk(&mut self, name: &str) -> impl StoreFuture<DeskRow>;

    /// Returns all known desks, ordered by name.
    fn desks(&mut self) -> impl StoreFuture<Vec<DeskRow>>;

    /// Returns all totals, ordered by template, issuer, service and month.
    fn totals(&mut self) -> impl StoreFuture<Vec<MonthlyTotal>>;
}

/// Changes of uses.
pub(crate) trait WriteUses: Send {
    /// Inserts a mark of a desk under its number.
    fn insert_mark(&mut self, desk: &str, sequence: u64, mark: &UseMark) -> impl StoreFuture<()>;

    /// Inserts or replaces the state of a desk.
    fn put_desk(&mut self, desk: &DeskRow) -> impl StoreFuture<()>;

    /// Adds to the total of a month.
    fn add_to_total(&mut self, total: &MonthlyTotal) -> impl StoreFuture<()>;
}
