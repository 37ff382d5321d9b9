//! Records of issued copies, without claims.

use carnet_core::{format::CredentialFormat, time::Timestamp};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{CHUNK, Page, SqliteStore};
use crate::{
    cohorts::CohortCount,
    error::Error,
    store::{IssuedRecord, RecordStore, Rows, Slice, filter::IssuedFilter},
};

impl RecordStore for SqliteStore {
    async fn issued(&self, filter: &IssuedFilter, slice: Slice) -> Result<Rows<IssuedRecord>, Error> {
        let mut page = Page::new(slice);
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
            let rows = query.bind(before).bind(CHUNK).fetch_all(self.database.readers()).await?;
            let chunk = rows.iter().map(issued_of).collect::<Result<_, _>>()?;
            page.take(chunk, |record| record.seq, |record| !record.forgotten && filter.matches(record));
        }
        Ok(page.found)
    }

    async fn issued_by_id(&self, issued_id: &str) -> Result<IssuedRecord, Error> {
        let row = sqlx::query(
            "SELECT i.seq, i.issued_id, i.offer_id, i.status_index, i.issued_at, o.credential_type, o.format, \
             coalesce(c.valid_until, o.valid_until) AS valid_until, c.notification, o.reference, o.created_by, o.record_from \
             FROM issued i JOIN offers o USING (offer_id) JOIN collections c ON c.seq = i.collection \
             WHERE i.issued_at IS NOT NULL AND i.issued_id = ?",
        )
        .bind(issued_id)
        .fetch_optional(self.database.readers())
        .await?
        .ok_or(Error::NotFound { what: "issued credential" })?;
        let record = issued_of(&row)?;
        if record.forgotten { Err(Error::NotFound { what: "issued credential" }) } else { Ok(record) }
    }

    async fn cohorts(&self, now: Timestamp) -> Result<Vec<CohortCount>, Error> {
        let rows = sqlx::query("SELECT * FROM cohorts WHERE valid_until > ? AND holders > 0")
            .bind(now.unix())
            .fetch_all(self.database.readers())
            .await?;
        let cohort = |row: &SqliteRow| {
            Ok(CohortCount {
                credential_type: row.try_get("credential_type")?,
                format: CredentialFormat::parse(row.try_get("format")?).ok_or(Error::Corrupt("cohorts.format"))?,
                valid_from: Timestamp::from_unix(row.try_get("valid_from")?),
                valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
                kid: row.try_get("kid")?,
                list: row.try_get("list")?,
                holders: u64::try_from(row.try_get::<i64, _>("holders")?).unwrap_or_default(),
            })
        };
        rows.iter().map(cohort).collect()
    }
}

fn issued_of(row: &SqliteRow) -> Result<IssuedRecord, Error> {
    Ok(IssuedRecord {
        seq: row.try_get("seq")?,
        issued_id: row.try_get("issued_id")?,
        offer_id: row.try_get("offer_id")?,
        credential_type: row.try_get("credential_type")?,
        format: CredentialFormat::parse(row.try_get("format")?).ok_or(Error::Corrupt("offers.format"))?,
        status_index: row.try_get("status_index")?,
        issued_at: Timestamp::from_unix(row.try_get("issued_at")?),
        valid_until: Timestamp::from_unix(row.try_get("valid_until")?),
        notification: row.try_get("notification")?,
        reference: row.try_get::<Option<String>, _>("reference")?.unwrap_or_default(),
        created_by: row.try_get::<Option<String>, _>("created_by")?.unwrap_or_default(),
        forgotten: row.try_get::<Option<i64>, _>("record_from")?.is_none(),
    })
}
