//! Store in SQLite: one file per subject, and their common parts here.

mod access;
mod indices;
mod issuance;
mod messages;
mod offers;
mod records;
mod refill;
mod renewal;
pub(crate) mod restored;
mod status;
mod sweep;
mod vouchers;
mod waiting;

use std::sync::LazyLock;

use carnet_core::{day, format::CredentialFormat, time::Timestamp};
use carnet_service::{error::StoreError, store::Database};
use sqlx::{Row as _, Sqlite, Transaction, migrate::Migrator, sqlite::SqliteRow};
use zeroize::Zeroizing;

use crate::{
    config::RECORD_DAYS,
    error::Error,
    store::{Claims, OfferRecord, OfferState, PIN_TRIES, Rows, Slice, Store, renewal::Decision},
};

/// Migrations of the schema.
pub(crate) static MIGRATIONS: LazyLock<Migrator> = carnet_service::migrations![
    1: "0001_offers_and_issuance",
    2: "0002_used_nonces",
    3: "0003_refills",
    4: "0004_statuses",
    5: "0005_renewals",
    6: "0006_status_messages",
    7: "0007_repeatable_redemptions",
    8: "0008_unique_claims",
    10: "0010_ends",
    11: "0011_store_identity",
    12: "0012_references",
    13: "0013_freshness_handles",
    14: "0014_status_publication",
    15: "0015_cohorts",
    16: "0016_voucher_totals",
    17: "0017_records_end",
    18: "0018_cohorts_as_seen",
];

/// Store in SQLite, in WAL mode.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    database: Database,
    /// Number of entries of a new status list.
    list_entries: u64,
    /// Maximum number of copies by refill of one offer, until it is renewed.
    refill_copies: u32,
    /// Retention period of an offer's record after the end of its last copy, in seconds.
    records: i64,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

type Tx = Transaction<'static, Sqlite>;

impl SqliteStore {
    /// Creates a store over a database, with the number of entries of new lists and the maximum number of refill copies
    /// per offer until it is renewed.
    pub(crate) fn new(database: Database, list_entries: u64, refill_copies: u32) -> Self {
        Self { database, list_entries, refill_copies, records: i64::from(RECORD_DAYS).saturating_mul(day::SECONDS) }
    }

    /// Sets the retention period of records, in days.
    pub(crate) fn with_record_days(self, days: u32) -> Self {
        Self { records: i64::from(days).saturating_mul(day::SECONDS), ..self }
    }

    /// Removes erased data from the write-ahead log as well. After a failure, the next sweep does it.
    async fn truncate_log(&self) {
        if let Err(error) = self.database.checkpoint().await {
            tracing::warn!(%error, "erased data may still be in the write-ahead log; the next sweep tries again");
        }
    }
}

impl Store for SqliteStore {
    async fn erase_expired(&self, now: Timestamp) -> Result<u64, Error> {
        self.sweep(now).await
    }
}

const OFFER: &str = "SELECT * FROM offers WHERE offer_id = ?";

fn offer_of(row: &SqliteRow) -> Result<OfferRecord, Error> {
    let text = |name: &str| Ok::<_, Error>(row.try_get::<Option<String>, _>(name)?.unwrap_or_default());
    Ok(OfferRecord {
        seq: row.try_get("seq")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: CredentialFormat::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?,
        state: match OfferState::parse(row.try_get("state")?)? {
            OfferState::Expired if row.try_get::<i64, _>("pin_failures")? >= PIN_TRIES => OfferState::Locked,
            state => state,
        },
        deferred: row.try_get("deferred")?,
        created_at: Timestamp::from_unix(row.try_get("created_at")?),
        expires_at: Timestamp::from_unix(row.try_get("expires_at")?),
        decision: decision_of(row)?,
        valid_from: Timestamp::from_unix(row.try_get("valid_from")?),
        valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
        reference: text("reference")?,
        created_by: text("created_by")?,
        forgotten: row.try_get::<Option<i64>, _>("record_from")?.is_none(),
    })
}

/// Number of rows to read at a time.
const CHUNK: i64 = 500;
/// Number of rows to read for one page. If few of them match, the page is short, and the next one continues from there.
const MOST_READ: i64 = 5_000;

/// Collects rows, newest first, until a page is full.
struct Page<T> {
    found: Rows<T>,
    most: usize,
    read: i64,
}

impl<T> Page<T> {
    fn new(slice: Slice) -> Self {
        let found = Rows { rows: Vec::new(), next: Some(slice.before) };
        Self { found, most: usize::try_from(slice.limit).unwrap_or_default(), read: 0 }
    }

    /// Returns the start of the next chunk; `None`: the page is complete.
    fn before(&self) -> Option<i64> {
        self.found.next.filter(|_| self.found.rows.len() < self.most && self.read < MOST_READ)
    }

    /// Adds the matching rows of a chunk.
    fn take(&mut self, chunk: Vec<T>, seq: impl Fn(&T) -> i64, matches: impl Fn(&T) -> bool) {
        let is_last = i64::try_from(chunk.len()).unwrap_or(i64::MAX) < CHUNK;
        let mut chunk = chunk.into_iter().peekable();
        self.read = self.read.saturating_add(CHUNK);
        while let Some(row) = chunk.next() {
            self.found.next = Some(seq(&row));
            if matches(&row) {
                self.found.rows.push(row);
            }
            if self.found.rows.len() >= self.most && chunk.peek().is_some() {
                return;
            }
        }
        if is_last {
            self.found.next = None;
        }
    }
}

fn decision_of(row: &SqliteRow) -> Result<Option<Decision>, Error> {
    let Some(at) = row.try_get::<Option<i64>, _>("decided_at")? else { return Ok(None) };
    Ok(Some(Decision {
        approve: row.try_get("released")?,
        reason: row.try_get::<Option<String>, _>("reason")?.unwrap_or_default(),
        who: row.try_get::<Option<String>, _>("decided_by")?.unwrap_or_default(),
        now: Timestamp::from_unix(at),
    }))
}

fn claims_of(row: &SqliteRow) -> Result<Option<Claims>, Error> {
    Ok(row.try_get::<Option<String>, _>("claims")?.map(|text| Claims(Zeroizing::new(text))))
}

/// Closes an offer, and erases its claims and the keys that waited with it.
async fn close(tx: &mut Tx, offer_id: &str, state: OfferState) -> Result<(), Error> {
    sqlx::query("UPDATE offers SET state = ?, claims = NULL WHERE offer_id = ?")
        .bind(state.as_str())
        .bind(offer_id)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE collections SET holder_keys = NULL, state = 'intended' WHERE offer_id = ? AND state = 'deferred'",
    )
    .bind(offer_id)
    .execute(&mut **tx)
    .await?;
    // Values that were never issued may be used for another offer.
    sqlx::query(
        "DELETE FROM unique_claims WHERE offer_id = ?1 AND NOT EXISTS (SELECT 1 FROM issued WHERE offer_id = ?1)",
    )
    .bind(offer_id)
    .execute(&mut **tx)
    .await?;
    forget_unsigned(tx, offer_id).await
}

/// Deletes the keys of copies that will not be signed any more.
async fn forget_unsigned(tx: &mut Tx, offer_id: &str) -> Result<(), Error> {
    sqlx::query("UPDATE issued SET holder_thumbprint = NULL WHERE offer_id = ? AND issued_at IS NULL")
        .bind(offer_id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_migration_is_embedded_as_its_file_is() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
        assert_eq!(carnet_service::store::not_as_files(&MIGRATIONS, folder).await.unwrap(), [0; 0]);
    }
}
