//! SQLite implementation of the store: one file for each group of operations, and shared parts in `page.rs` and
//! `rows.rs`.

mod collections;
mod expiry;
mod indices;
mod offers;
mod page;
mod records;
mod renewals;
pub(crate) mod restored;
mod rows;
mod status;

use std::sync::LazyLock;

use carnet_service::{
    error::StoreError,
    store::{OpenStore, StoreIdentity},
};
use sqlx::{Sqlite, Transaction, migrate::Migrator};

use crate::store::{Store, StoreTx, Stored};

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
pub(crate) struct SqliteTx(Transaction<'static, Sqlite>);

impl Store for SqliteStore {
    type Tx = SqliteTx;

    async fn begin(&self, name: &'static str) -> Stored<SqliteTx> {
        Ok(SqliteTx(self.0.database.begin(name).await?))
    }

    async fn read(&self) -> Stored<SqliteTx> {
        Ok(SqliteTx(self.0.database.readers().begin().await?))
    }

    async fn purge_erased_data(&self) {
        if let Err(error) = self.0.database.checkpoint().await {
            tracing::warn!(%error, "erased data may still be in the write-ahead log; the next sweep tries again");
        }
    }

    fn purge_soon(&self) {
        self.0.database.checkpoint_soon();
    }

    async fn update_mark(&self) -> Stored<StoreIdentity> {
        self.0.update_mark().await.map_err(|error| StoreError::Failed(Box::new(error)))
    }
}

impl StoreTx for SqliteTx {
    async fn commit(self) -> Stored<()> {
        Ok(self.0.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_migration_is_embedded_as_its_file_is() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
        assert_eq!(carnet_service::store::differing_migrations(&MIGRATIONS, folder).await.unwrap(), [0; 0]);
    }

    /// Runs tests of the suite, each on a new store.
    macro_rules! suite {
        ($($name:ident),+ $(,)?) => {
            $(
                #[tokio::test]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    carnet_service::store::create_store(folder.path(), &MIGRATIONS).await.unwrap();
                    let opened = carnet_service::store::open_store(folder.path(), &MIGRATIONS).await.unwrap();
                    crate::store::suite::$name(SqliteStore(opened)).await;
                }
            )+
        };
    }

    suite! {
        a_transaction_that_is_dropped_changes_nothing,
        a_reader_waits_for_no_writer_and_cannot_write,
        writers_take_turns_in_order,
        a_nonce_is_used_once,
        an_offer_is_found_by_its_names_and_secrets,
        a_closed_offer_has_no_claims,
        pages_follow_each_other,
        a_collection_keeps_its_response_until_it_is_acknowledged,
        a_key_has_one_copy,
        no_index_is_drawn_twice,
        refills_are_counted_by_time_and_renewal,
        a_renewal_waits_and_is_decided_once,
        acts_change_states_and_lists,
        credentials_are_selected_by_type_and_time,
        meanings_of_used_messages_stay,
        what_expired_is_erased_in_steps,
        a_forgotten_record_is_in_no_list,
        vouchers_add_up_by_month,
        the_publication_rises_with_changes_alone,
    }
}
