//! SQLite implementation of the store: one file for each group of operations, and shared parts in `page.rs` and
//! `rows.rs`.

mod expiry;
mod indices;
mod issuances;
mod offers;
mod page;
#[cfg(test)]
mod probe;
mod records;
mod renewals;
pub(crate) mod restored;
mod rows;
mod status;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use probe::StoreProbe;

use std::{
    ops::{Deref, DerefMut},
    sync::LazyLock,
};

use carnet_service::{
    error::StoreError,
    store::{OpenStore, StoreIdentity, WriteTransaction},
};
use sqlx::{Sqlite, SqliteConnection, Transaction, migrate::Migrator};

use crate::store::{Store, StoreResult, StoreTx};

/// Migrations of the database schema, in order.
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

/// SQLite store in WAL mode; clones share the database.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore(pub(crate) OpenStore);

/// SQLite transaction, for writing or only for reading.
pub(crate) struct SqliteTx(TxConnection);

/// Connection of a transaction.
enum TxConnection {
    Read(Transaction<'static, Sqlite>),
    Write(WriteTransaction),
}

impl Deref for TxConnection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Read(transaction) => transaction,
            Self::Write(transaction) => transaction,
        }
    }
}

impl DerefMut for TxConnection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Read(transaction) => transaction,
            Self::Write(transaction) => transaction,
        }
    }
}

impl Store for SqliteStore {
    type Tx = SqliteTx;

    async fn begin(&self, name: &'static str) -> StoreResult<SqliteTx> {
        Ok(SqliteTx(TxConnection::Write(self.0.database.begin(name).await?)))
    }

    async fn read(&self) -> StoreResult<SqliteTx> {
        Ok(SqliteTx(TxConnection::Read(self.0.database.readers().begin().await?)))
    }

    async fn purge_erased_data(&self) {
        if let Err(error) = self.0.database.checkpoint().await {
            tracing::warn!(%error, "erased data may still be in the write-ahead log; the next sweep tries again");
        }
    }

    fn schedule_purge(&self) {
        self.0.database.checkpoint_soon();
    }

    async fn write_identity_mark(&self) -> StoreResult<StoreIdentity> {
        self.0.update_mark().await.map_err(|error| StoreError::Failed(Box::new(error)))
    }
}

impl StoreTx for SqliteTx {
    async fn commit(self) -> StoreResult<()> {
        match self.0 {
            TxConnection::Read(transaction) => Ok(transaction.commit().await?),
            TxConnection::Write(transaction) => Ok(transaction.commit().await?),
        }
    }
}
