//! SQLite rows of voucher uses, desks and totals.

use carnet_core::time::Timestamp;
use carnet_service::store::WriteTransaction;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{CORRUPT, RowConnection, SqliteRows, to_i64, unsigned_column};
use crate::store::{DeskRow, MonthlyTotal, ReadUses, StoreError, UseMark, WriteUses};

fn mark(row: &SqliteRow) -> Result<UseMark, StoreError> {
    let entitlement: Vec<u8> = row.try_get("entitlement")?;
    Ok(UseMark {
        entitlement: entitlement.try_into().map_err(|_| CORRUPT)?,
        uses: unsigned_column(row, "uses")?,
        marked_at: Timestamp::from_unix(row.try_get("marked_at")?),
        erase_at: Timestamp::from_unix(row.try_get("erase_at")?),
    })
}

fn desk(row: &SqliteRow) -> Result<DeskRow, StoreError> {
    let written_off = match row.try_get::<Option<i64>, _>("written_off_at")? {
        Some(at) => Some((Timestamp::from_unix(at), unsigned_column(row, "unseen")?)),
        None => None,
    };
    Ok(DeskRow {
        name: row.try_get("desk")?,
        last_mark: unsigned_column(row, "last")?,
        last_export: unsigned_column(row, "exported")?,
        reconciled_mark: unsigned_column(row, "synced")?,
        reconciled_at: Timestamp::from_unix(row.try_get("synced_at")?),
        imported_own_export: unsigned_column(row, "own_taken")?,
        written_off,
    })
}

fn total(row: &SqliteRow) -> Result<MonthlyTotal, StoreError> {
    let (template, issuer, month) = (row.try_get("template")?, row.try_get("issuer")?, row.try_get("month")?);
    Ok(MonthlyTotal { template, issuer, service: row.try_get("service")?, month, uses: unsigned_column(row, "uses")? })
}

impl<C: RowConnection> ReadUses for SqliteRows<C> {
    async fn mark_count(&mut self, entitlement: &[u8; 32]) -> Result<u32, StoreError> {
        let row = sqlx::query("SELECT count(*) AS marks FROM redemptions WHERE entitlement = ?");
        unsigned_column(&row.bind(entitlement.as_slice()).fetch_one(&mut *self.0).await?, "marks")
    }

    async fn mark(&mut self, desk: &str, sequence: u64) -> Result<Option<UseMark>, StoreError> {
        let row = sqlx::query("SELECT * FROM redemptions WHERE desk = ? AND sequence = ?");
        let row = row.bind(desk).bind(to_i64(sequence)?).fetch_optional(&mut *self.0).await?;
        row.as_ref().map(mark).transpose()
    }

    async fn marks(&mut self, desk: &str, last: u64) -> Result<Vec<(u64, UseMark)>, StoreError> {
        let rows = sqlx::query("SELECT * FROM redemptions WHERE desk = ? AND sequence <= ? ORDER BY sequence");
        let rows = rows.bind(desk).bind(to_i64(last)?).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Ok((unsigned_column(row, "sequence")?, mark(row)?))).collect()
    }

    async fn overused_marks(&mut self) -> Result<Vec<(String, UseMark)>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.* FROM overused_entitlements o CROSS JOIN redemptions r USING (entitlement) \
             ORDER BY r.entitlement, r.marked_at, r.desk, r.sequence",
        );
        let rows = rows.fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Ok((row.try_get("desk")?, mark(row)?))).collect()
    }

    async fn desk(&mut self, name: &str) -> Result<DeskRow, StoreError> {
        let row = sqlx::query("SELECT * FROM redemption_desks WHERE desk = ?").bind(name);
        let row = row.fetch_optional(&mut *self.0).await?;
        row.as_ref().map_or_else(|| Ok(DeskRow::unknown(name)), desk)
    }

    async fn desks(&mut self) -> Result<Vec<DeskRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM redemption_desks ORDER BY desk").fetch_all(&mut *self.0).await?;
        rows.iter().map(desk).collect()
    }

    async fn totals(&mut self) -> Result<Vec<MonthlyTotal>, StoreError> {
        let rows = sqlx::query("SELECT * FROM redemption_totals ORDER BY template, issuer, service, month");
        rows.fetch_all(&mut *self.0).await?.iter().map(total).collect()
    }
}

impl WriteUses for SqliteRows<WriteTransaction> {
    async fn insert_mark(&mut self, desk: &str, sequence: u64, mark: &UseMark) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO redemptions (desk, sequence, entitlement, uses, marked_at, erase_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(desk)
        .bind(to_i64(sequence)?)
        .bind(mark.entitlement.as_slice())
        .bind(i64::from(mark.uses))
        .bind(mark.marked_at.unix())
        .bind(mark.erase_at.unix())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn put_desk(&mut self, desk: &DeskRow) -> Result<(), StoreError> {
        let (written_off_at, unseen) = desk.written_off.unzip();
        sqlx::query(
            "INSERT INTO redemption_desks \
             (desk, last, exported, synced, synced_at, own_taken, written_off_at, unseen) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (desk) DO UPDATE SET last = excluded.last, \
             exported = excluded.exported, synced = excluded.synced, synced_at = excluded.synced_at, \
             own_taken = excluded.own_taken, written_off_at = excluded.written_off_at, unseen = excluded.unseen",
        )
        .bind(&desk.name)
        .bind(to_i64(desk.last_mark)?)
        .bind(to_i64(desk.last_export)?)
        .bind(to_i64(desk.reconciled_mark)?)
        .bind(desk.reconciled_at.unix())
        .bind(to_i64(desk.imported_own_export)?)
        .bind(written_off_at.map(Timestamp::unix))
        .bind(unseen.map(to_i64).transpose()?)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn add_to_total(&mut self, total: &MonthlyTotal) -> Result<(), StoreError> {
        let MonthlyTotal { template, issuer, service, month, uses } = total;
        sqlx::query(
            "INSERT INTO redemption_totals (template, issuer, service, month, uses) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (template, issuer, service, month) DO UPDATE SET uses = uses + excluded.uses",
        )
        .bind(template)
        .bind(issuer)
        .bind(service)
        .bind(month)
        .bind(to_i64(*uses)?)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }
}
