//! SQLite rows of issued copies, cohorts and voucher totals, without claims.

use carnet_core::time::Timestamp;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    SqliteTx,
    page::{CHUNK, SqlitePage},
    rows::{format, integer, number, text, time, time_if_any},
};
use crate::store::{
    PageSlice, RowPage, Stored,
    records::{CohortCount, IssuedFilter, IssuedRecord, RecordRows, VoucherTotal},
};

impl RecordRows for SqliteTx {
    async fn issued(&mut self, filter: &IssuedFilter, slice: PageSlice) -> Stored<RowPage<IssuedRecord>> {
        let mut page = SqlitePage::new(slice);
        while let Some(before) = page.before() {
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
            let rows = query.bind(before).bind(CHUNK).fetch_all(&mut *self.0).await?;
            let chunk = rows.iter().map(issued_of).collect::<Result<_, _>>()?;
            page.take(chunk, |record| record.seq, |record| !record.forgotten && filter.matches(record));
        }
        Ok(page.found)
    }

    async fn issued_by_id(&mut self, issued_id: &str) -> Stored<Option<IssuedRecord>> {
        let row = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
             coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
             FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.issued_at IS NOT NULL AND i.issued_id = ?",
        )
        .bind(issued_id)
        .fetch_optional(&mut *self.0)
        .await?;
        let record = row.as_ref().map(issued_of).transpose()?;
        Ok(record.filter(|record| !record.forgotten))
    }

    async fn cohorts(&mut self, now: Timestamp) -> Stored<Vec<CohortCount>> {
        let rows = sqlx::query("SELECT * FROM cohorts WHERE valid_until > ? AND holders > 0")
            .bind(now.unix())
            .fetch_all(&mut *self.0)
            .await?;
        let cohort = |row: &SqliteRow| {
            Ok(CohortCount {
                credential_type: row.try_get("credential_type")?,
                format: format(row)?,
                valid_from: time(row, "valid_from")?,
                valid_until: time(row, "valid_until")?,
                kid: row.try_get("kid")?,
                list: row.try_get("list")?,
                holders: u64::try_from(row.try_get::<i64, _>("holders")?).unwrap_or_default(),
            })
        };
        rows.iter().map(cohort).collect()
    }

    async fn add_voucher(&mut self, total: &VoucherTotal) -> Stored<()> {
        sqlx::query(
            "INSERT INTO voucher_totals (service, redeemer, month, vouchers, uses) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (service, redeemer, month) DO UPDATE SET vouchers = vouchers + excluded.vouchers, uses = uses + excluded.uses",
        )
        .bind(&total.service)
        .bind(&total.redeemer)
        .bind(&total.month)
        .bind(integer(total.vouchers))
        .bind(integer(total.uses))
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    async fn voucher_totals(&mut self) -> Stored<Vec<VoucherTotal>> {
        let rows = sqlx::query("SELECT * FROM voucher_totals ORDER BY service, redeemer, month");
        let total = |row: &SqliteRow| {
            Ok(VoucherTotal {
                service: row.try_get("service")?,
                redeemer: row.try_get("redeemer")?,
                month: row.try_get("month")?,
                vouchers: number(row, "vouchers")?,
                uses: number(row, "uses")?,
            })
        };
        rows.fetch_all(&mut *self.0).await?.iter().map(total).collect()
    }
}

fn issued_of(row: &SqliteRow) -> Stored<IssuedRecord> {
    Ok(IssuedRecord {
        seq: row.try_get("seq")?,
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: format(row)?,
        status_index: row.try_get("status_index")?,
        issued_at: time(row, "issued_at")?,
        valid_until: time(row, "valid_until")?,
        notification: row.try_get("notification")?,
        reference: text(row, "reference")?,
        created_by: text(row, "created_by")?,
        forgotten: time_if_any(row, "record_from")?.is_none(),
    })
}
