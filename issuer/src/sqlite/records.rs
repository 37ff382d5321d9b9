//! SQLite rows of issued copies, cohorts and voucher totals, without claims.

use carnet_core::time::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    page::{PageReader, ROWS_PER_CHUNK},
    rows::{read_format, read_number, read_optional_time, read_text, read_time, to_sqlite_integer},
};
use crate::store::{
    PageSlice, RowPage, StoreResult,
    records::{CohortCount, IssuedFilter, IssuedRecord, RecordRows, VoucherTotal},
};

impl RecordRows for SqliteTx {
    async fn issued_copies(&mut self, filter: &IssuedFilter, slice: PageSlice) -> StoreResult<RowPage<IssuedRecord>> {
        let mut page = PageReader::new(slice);
        while let Some(before) = page.next_before() {
            let (offer_id, reference) = (&filter.offer_id, &filter.common.reference);
            let query = if !offer_id.is_empty() {
                sqlx::query(
                    "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
                     coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
                     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
                     WHERE i.offer_id = ? AND i.issued_at IS NOT NULL AND i.seq < ? ORDER BY i.seq DESC LIMIT ?",
                )
                .bind(offer_id)
            } else if !reference.is_empty() {
                // From the few offers with the reference to their copies, never the other way round.
                sqlx::query(
                    "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
                     coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
                     FROM offers o CROSS JOIN issued i USING (offer_id) CROSS JOIN collections c ON c.seq = i.collection \
                     WHERE o.reference = ? AND i.issued_at IS NOT NULL AND i.seq < ? ORDER BY i.seq DESC LIMIT ?",
                )
                .bind(reference)
            } else {
                sqlx::query(
                    "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
                     coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
                     FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
                     WHERE i.issued_at IS NOT NULL AND i.seq < ? ORDER BY i.seq DESC LIMIT ?",
                )
            };
            let rows = query.bind(before).bind(ROWS_PER_CHUNK).fetch_all(&mut *self.0).await?;
            let chunk = rows.iter().map(issued_from_row).collect::<Result<_, _>>()?;
            page.add_chunk(chunk, |record| record.seq, |record| !record.is_erased && filter.matches(record));
        }
        Ok(page.page)
    }

    async fn issued_copy_by_id(&mut self, issued_id: &str) -> StoreResult<Option<IssuedRecord>> {
        let row = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
             coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
             FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.issued_at IS NOT NULL AND i.issued_id = ?",
        )
        .bind(issued_id)
        .fetch_optional(&mut *self.0)
        .await?;
        let record = row.as_ref().map(issued_from_row).transpose()?;
        Ok(record.filter(|record| !record.is_erased))
    }

    async fn cohorts(&mut self, now: Timestamp) -> StoreResult<Vec<CohortCount>> {
        let rows = sqlx::query("SELECT * FROM cohorts WHERE valid_until > ? AND holders > 0")
            .bind(now.unix())
            .fetch_all(&mut *self.0)
            .await?;
        let cohort = |row: &SqliteRow| {
            Ok(CohortCount {
                credential_type: row.try_get("credential_type")?,
                format: read_format(row)?,
                valid_from: read_time(row, "valid_from")?,
                valid_until: read_time(row, "valid_until")?,
                kid: row.try_get("kid")?,
                list: row.try_get("list")?,
                holders: u64::try_from(row.try_get::<i64, _>("holders")?).unwrap_or_default(),
            })
        };
        rows.iter().map(cohort).collect()
    }

    async fn add_to_voucher_totals(&mut self, total: &VoucherTotal) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO voucher_totals (service, redeemer, month, vouchers, uses) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (service, redeemer, month) DO UPDATE SET vouchers = vouchers + excluded.vouchers, uses = uses + excluded.uses",
        )
        .bind(&total.service)
        .bind(&total.redeemer)
        .bind(&total.month)
        .bind(to_sqlite_integer(total.vouchers))
        .bind(to_sqlite_integer(total.uses))
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn voucher_totals(&mut self) -> StoreResult<Vec<VoucherTotal>> {
        let rows = sqlx::query("SELECT * FROM voucher_totals ORDER BY service, redeemer, month");
        let total = |row: &SqliteRow| {
            Ok(VoucherTotal {
                service: row.try_get("service")?,
                redeemer: row.try_get("redeemer")?,
                month: row.try_get("month")?,
                vouchers: read_number(row, "vouchers")?,
                uses: read_number(row, "uses")?,
            })
        };
        rows.fetch_all(&mut *self.0).await?.iter().map(total).collect()
    }
}

fn issued_from_row(row: &SqliteRow) -> StoreResult<IssuedRecord> {
    Ok(IssuedRecord {
        seq: row.try_get("seq")?,
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: read_format(row)?,
        status_index: row.try_get("status_index")?,
        issued_at: read_time(row, "issued_at")?,
        valid_until: read_time(row, "valid_until")?,
        notification: row.try_get("notification")?,
        reference: read_text(row, "reference")?,
        created_by: read_text(row, "created_by")?,
        is_erased: read_optional_time(row, "record_from")?.is_none(),
    })
}
