//! SQLite implementation of the store: one file for each part of the port `store`, and their shared parts in this
//! module.

mod openid;
mod redemptions;
mod requests;
pub(crate) mod restored;
#[cfg(test)]
mod tests;
mod trust;

use std::{ops::DerefMut, sync::LazyLock};

use carnet_service::store::{Database, WriteTransaction};
use sqlx::{Row as _, Sqlite, SqliteConnection, migrate::Migrator, pool::PoolConnection, sqlite::SqliteRow};

use crate::store::{Store, StoreError, WriteRows};

/// Migrations of the schema, oldest first.
pub(crate) static MIGRATIONS: LazyLock<Migrator> = carnet_service::migrations![
    1: "0001_requests",
    2: "0002_receipts_and_kept_claims",
    4: "0004_redemptions",
    5: "0005_trust_lists",
    6: "0006_trust_lists_dropped",
    7: "0007_reconciled_at",
    10: "0010_used_too_often",
    11: "0011_store_identity",
    12: "0012_clock_floor",
    13: "0013_desks_and_totals",
    14: "0014_trust_list_chains",
    15: "0015_clock_floor_lowered",
    16: "0016_totals_by_service",
    17: "0017_openid_exchanges",
    18: "0018_openid_request_objects",
];

/// Store in a SQLite database.
#[derive(Clone)]
pub(crate) struct SqliteStore(Database);

impl SqliteStore {
    pub(crate) fn new(database: Database) -> Self {
        Self(database)
    }

    #[cfg(test)]
    fn database(&self) -> &Database {
        &self.0
    }
}

/// Row operations on a connection or in a transaction.
pub(crate) struct SqliteRows<C>(C);

/// Connection or transaction that [`SqliteRows`] can use.
pub(crate) trait RowConnection: DerefMut<Target = SqliteConnection> + Send {}
impl<C: DerefMut<Target = SqliteConnection> + Send> RowConnection for C {}

impl Store for SqliteStore {
    type Reader = SqliteRows<PoolConnection<Sqlite>>;
    type Transaction = SqliteRows<WriteTransaction>;

    async fn read(&self) -> Result<Self::Reader, StoreError> {
        Ok(SqliteRows(self.0.readers().acquire().await?))
    }

    async fn begin(&self, name: &'static str) -> Result<Self::Transaction, StoreError> {
        Ok(SqliteRows(self.0.begin(name).await?))
    }

    async fn purge_log(&self) {
        if let Err(error) = self.0.checkpoint().await {
            tracing::warn!(%error, "erased data could not be removed from the write-ahead log yet; retrying");
        }
    }
}

impl WriteRows for SqliteRows<WriteTransaction> {
    async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

const CORRUPT: StoreError = StoreError::Corrupt("a row of the verifier's store");

fn to_i64(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| CORRUPT)
}

fn unsigned_column<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    T::try_from(row.try_get::<i64, _>(column)?).map_err(|_| CORRUPT)
}
