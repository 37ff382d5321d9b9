//! Totals of vouchers: updated when an offer is closed, and read for an audit.

use sqlx::Row as _;

use super::{SqliteStore, Tx};
use crate::{error::Error, vouchers::VoucherTotal};

/// Adds an issued voucher to the total of its month.
pub(super) async fn add(tx: &mut Tx, total: &VoucherTotal) -> Result<(), Error> {
    let number = |number: u64| i64::try_from(number).map_err(|_| Error::Corrupt("voucher_totals"));
    sqlx::query(
        "INSERT INTO voucher_totals (service, redeemer, month, vouchers, uses) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (service, redeemer, month) DO UPDATE SET vouchers = vouchers + excluded.vouchers, uses = uses + excluded.uses",
    )
    .bind(&total.service)
    .bind(&total.redeemer)
    .bind(&total.month)
    .bind(number(total.vouchers)?)
    .bind(number(total.uses)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl SqliteStore {
    /// Returns all totals, by service, redeemer and month.
    pub(crate) async fn voucher_totals(&self) -> Result<Vec<VoucherTotal>, Error> {
        let rows = sqlx::query("SELECT * FROM voucher_totals ORDER BY service, redeemer, month")
            .fetch_all(self.database.readers())
            .await?;
        let total = |row: &sqlx::sqlite::SqliteRow| {
            let number =
                |name: &str| u64::try_from(row.try_get::<i64, _>(name)?).map_err(|_| Error::Corrupt("voucher_totals"));
            Ok(VoucherTotal {
                service: row.try_get("service")?,
                redeemer: row.try_get("redeemer")?,
                month: row.try_get("month")?,
                vouchers: number("vouchers")?,
                uses: number("uses")?,
            })
        };
        rows.iter().map(total).collect()
    }
}
