//! Marks of uses by this desk and the others.

use std::{collections::BTreeSet, future::Future};

use carnet_core::time::Timestamp;
use sqlx::{Row as _, Sqlite as Database, Transaction, sqlite::SqliteRow};

use super::{Sqlite, StoreError, sqlite::conclude_in};
use crate::{
    disclosed::KeptClaim,
    ids::RequestId,
    redemption::{Claimed, Counted, Mark, Total, desks::unseen_uses, export::Export, redeemed, refused},
    verdicts::Verdict,
};

/// Name of this desk in the store.
const OWN: &str = "";

/// Voucher that was used more often than it allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DoubleUse {
    /// SHA-256 over issuer and id.
    pub(crate) entitlement: Vec<u8>,
    /// Number of its uses.
    pub(crate) uses: u32,
    /// Marks, oldest first: the desk (empty: this one) and the time.
    pub(crate) marks: Vec<(String, Timestamp)>,
}

/// Desk that was written off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenOff {
    pub(crate) desk: String,
    pub(crate) at: Timestamp,
    /// Number of its last known mark.
    pub(crate) last: u64,
    /// Maximum number of further uses that it may have allowed.
    pub(crate) unseen: u64,
}

/// Result of importing the others' marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reconciled {
    /// Desks whose export was newer than any imported before, and than this desk's last reconciliation.
    pub(crate) fresh: BTreeSet<String>,
    /// True if these were all others, so that the count towards this desk's bound restarts.
    pub(crate) synced: bool,
    pub(crate) double: Vec<DoubleUse>,
}

/// Reason why the others' marks are not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// Two marks of one desk have the same number: two desks share a name, or one was restored from a backup.
    #[error("desk \"{desk}\" has two different marks with the number {sequence}")]
    Conflict {
        /// Name of the desk.
        desk: String,
        /// Number of both marks.
        sequence: u64,
    },
    /// The desk was written off, and a finder of its key may have signed the export.
    #[error("desk \"{desk}\" was written off here")]
    WrittenOff {
        /// Name of the desk.
        desk: String,
    },
    /// Error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for TakeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Interface of a database for uses of vouchers. Each method is one transaction.
pub(crate) trait RedemptionStore: Send + Sync {
    /// Records an accepting verdict with the use that it marks, or a refusing one if no use is left, atomically.
    /// Returns the recorded verdict; `None` if the request was accepted or has expired in the meantime. Of two
    /// concurrent calls for the last use exactly one is accepted.
    fn conclude_use(
        &self,
        id: &RequestId,
        verdict: &Verdict,
        kept: &[KeptClaim],
        claimed: &Claimed,
        offline_uses: Option<u32>,
    ) -> impl Future<Output = Result<Option<Verdict>, StoreError>> + Send;

    /// Returns the number of uses that this desk has marked since its last reconciliation.
    fn unsynced(&self) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Returns this desk's marks under its name, with the next export number.
    fn export(&self, desk: &str, now: Timestamp) -> impl Future<Output = Result<Export, StoreError>> + Send;

    /// Writes another desk off: its exports are refused from now on, and this desk is reconciled without it. The uses
    /// that it may have allowed are computed from its bound, once.
    fn write_off(
        &self,
        desk: &str,
        bound: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<WrittenOff, StoreError>> + Send;

    /// Returns the totals of this desk, by template, issuer and month.
    fn totals(&self) -> impl Future<Output = Result<Vec<Total>, StoreError>> + Send;

    /// Returns the other desks that were written off.
    fn written_off(&self) -> impl Future<Output = Result<Vec<WrittenOff>, StoreError>> + Send;

    /// Imports other desks' marks; repeated marks count once. An export of this desk itself is compared only.
    fn take(
        &self,
        desk: &str,
        others: &[String],
        exports: &[Export],
        now: Timestamp,
    ) -> impl Future<Output = Result<Reconciled, TakeError>> + Send;
}

fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Unreadable)
}

fn unsigned<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    T::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Unreadable)
}

fn read(row: &SqliteRow) -> Result<(u64, Mark), StoreError> {
    let entitlement: Vec<u8> = row.try_get("entitlement")?;
    let mark = Mark {
        entitlement: entitlement.try_into().map_err(|_| StoreError::Unreadable)?,
        uses: unsigned(row, "uses")?,
        marked_at: Timestamp::from_unix(row.try_get("marked_at")?),
        erase_at: Timestamp::from_unix(row.try_get("erase_at")?),
    };
    Ok((unsigned(row, "sequence")?, mark))
}

async fn insert(
    transaction: &mut Transaction<'static, Database>,
    desk: &str,
    sequence: i64,
    mark: &Mark,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO redemptions (desk, sequence, entitlement, uses, marked_at, erase_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(desk)
    .bind(sequence)
    .bind(mark.entitlement.as_slice())
    .bind(i64::from(mark.uses))
    .bind(mark.marked_at.unix())
    .bind(mark.erase_at.unix())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

impl RedemptionStore for Sqlite {
    async fn conclude_use(
        &self,
        id: &RequestId,
        verdict: &Verdict,
        kept: &[KeptClaim],
        claimed: &Claimed,
        offline_uses: Option<u32>,
    ) -> Result<Option<Verdict>, StoreError> {
        let mark = &claimed.mark;
        // Nobody else writes from here to the commit.
        let mut transaction = self.database().begin("conclude_use").await?;
        let counted = sqlx::query(
            "SELECT (SELECT count(*) FROM redemptions WHERE entitlement = ?) AS marks, \
             coalesce((SELECT last - synced FROM redemption_desks WHERE desk = ''), 0) AS unsynced",
        )
        .bind(mark.entitlement.as_slice())
        .fetch_one(&mut *transaction)
        .await?;
        let counted = Counted { marks: unsigned(&counted, "marks")?, unsynced: unsigned(&counted, "unsynced")? };
        let next = counted.next(claimed, offline_uses);
        let (verdict, kept) = match next {
            Ok(used) => (redeemed(verdict.clone(), used), kept),
            Err(refusal) => (refused(verdict.clone(), refusal), &[][..]),
        };
        if !conclude_in(&mut transaction, id, &verdict, kept).await? {
            return Ok(None);
        }
        if next.is_ok() {
            let row = sqlx::query(
                "INSERT INTO redemption_desks (desk, last) VALUES ('', 1) \
                 ON CONFLICT (desk) DO UPDATE SET last = last + 1 RETURNING last",
            )
            .fetch_one(&mut *transaction)
            .await?;
            insert(&mut transaction, OWN, row.try_get("last")?, mark).await?;
            let Total { template, issuer, service, month, .. } = &claimed.total;
            sqlx::query(
                "INSERT INTO redemption_totals (template, issuer, service, month, uses) VALUES (?, ?, ?, ?, 1) \
                 ON CONFLICT (template, issuer, service, month) DO UPDATE SET uses = uses + 1",
            )
            .bind(template)
            .bind(issuer)
            .bind(service)
            .bind(month)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(Some(verdict))
    }

    async fn unsynced(&self) -> Result<u32, StoreError> {
        let row = sqlx::query("SELECT last - synced AS unsynced FROM redemption_desks WHERE desk = ''")
            .fetch_optional(self.database().readers())
            .await?;
        row.as_ref().map_or(Ok(0), |row| unsigned(row, "unsynced"))
    }

    async fn export(&self, desk: &str, now: Timestamp) -> Result<Export, StoreError> {
        let mut transaction = self.database().begin("export_redemptions").await?;
        let row = sqlx::query(
            "INSERT INTO redemption_desks (desk, exported) VALUES ('', 1) \
             ON CONFLICT (desk) DO UPDATE SET exported = exported + 1 RETURNING exported, last, synced",
        )
        .fetch_one(&mut *transaction)
        .await?;
        let others = sqlx::query("SELECT desk, exported FROM redemption_desks WHERE desk <> ''")
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let taken = others.iter().map(|row| Ok((row.try_get("desk")?, unsigned(row, "exported")?)));
        let taken = taken.collect::<Result<_, StoreError>>()?;
        let (number, last, synced) = (unsigned(&row, "exported")?, unsigned(&row, "last")?, unsigned(&row, "synced")?);
        // Marks are only appended with rising numbers, or erased at their end, so that this read needs no lock.
        let marks = sqlx::query("SELECT * FROM redemptions WHERE desk = '' AND sequence <= ? ORDER BY sequence")
            .bind(signed(last)?)
            .fetch_all(self.database().readers())
            .await?;
        let marks = marks.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Export { desk: desk.to_owned(), number, made_at: now, last, synced, taken, marks })
    }

    async fn write_off(&self, desk: &str, bound: u32, now: Timestamp) -> Result<WrittenOff, StoreError> {
        let mut transaction = self.database().begin("write_off_desk").await?;
        let own: Option<i64> = sqlx::query_scalar("SELECT exported FROM redemption_desks WHERE desk = ''")
            .fetch_optional(&mut *transaction)
            .await?;
        let own = u64::try_from(own.unwrap_or_default()).map_err(|_| StoreError::Unreadable)?;
        sqlx::query("INSERT INTO redemption_desks (desk) VALUES (?) ON CONFLICT (desk) DO NOTHING")
            .bind(desk)
            .execute(&mut *transaction)
            .await?;
        let row = desk_row(&mut transaction, desk).await?;
        // The first write-off remains: later events are no reason to count fewer uses.
        if row.try_get::<Option<i64>, _>("written_off_at")?.is_none() {
            let (last, synced): (u64, u64) = (unsigned(&row, "last")?, unsigned(&row, "synced")?);
            let unseen =
                unseen_uses(bound, last.saturating_sub(synced), own.saturating_sub(unsigned(&row, "own_taken")?));
            sqlx::query("UPDATE redemption_desks SET written_off_at = ?, unseen = ? WHERE desk = ?")
                .bind(now.unix())
                .bind(signed(unseen)?)
                .bind(desk)
                .execute(&mut *transaction)
                .await?;
        }
        let row = desk_row(&mut transaction, desk).await?;
        transaction.commit().await?;
        written_off(&row)
    }

    async fn totals(&self) -> Result<Vec<Total>, StoreError> {
        let rows = sqlx::query("SELECT * FROM redemption_totals ORDER BY template, issuer, service, month")
            .fetch_all(self.database().readers())
            .await?;
        let total = |row: &SqliteRow| {
            let (template, issuer, month) = (row.try_get("template")?, row.try_get("issuer")?, row.try_get("month")?);
            Ok(Total { template, issuer, service: row.try_get("service")?, month, uses: unsigned(row, "uses")? })
        };
        rows.iter().map(total).collect()
    }

    async fn written_off(&self) -> Result<Vec<WrittenOff>, StoreError> {
        let rows = sqlx::query("SELECT * FROM redemption_desks WHERE written_off_at IS NOT NULL ORDER BY desk")
            .fetch_all(self.database().readers())
            .await?;
        rows.iter().map(written_off).collect()
    }

    async fn take(
        &self,
        desk: &str,
        others: &[String],
        exports: &[Export],
        now: Timestamp,
    ) -> Result<Reconciled, TakeError> {
        let mut transaction = self.database().begin("take_redemptions").await?;
        let synced_at: Option<i64> = sqlx::query_scalar("SELECT synced_at FROM redemption_desks WHERE desk = ''")
            .fetch_optional(&mut *transaction)
            .await?;
        let gone: Vec<String> =
            sqlx::query_scalar("SELECT desk FROM redemption_desks WHERE written_off_at IS NOT NULL")
                .fetch_all(&mut *transaction)
                .await?;
        let mut fresh = BTreeSet::new();
        for export in exports {
            if gone.contains(&export.desk) {
                return Err(TakeError::WrittenOff { desk: export.desk.clone() });
            }
            let own = export.desk == desk;
            let name = if own { OWN } else { &export.desk };
            for (sequence, mark) in &export.marks {
                if mark.erase_at <= now {
                    continue;
                }
                let known = sqlx::query("SELECT * FROM redemptions WHERE desk = ? AND sequence = ?")
                    .bind(name)
                    .bind(signed(*sequence)?)
                    .fetch_optional(&mut *transaction)
                    .await?;
                match known.as_ref().map(read).transpose()? {
                    Some((_, known)) if known == *mark => {}
                    None if !own => insert(&mut transaction, name, signed(*sequence)?, mark).await?,
                    // Dropping the transaction rolls it back.
                    _ => return Err(TakeError::Conflict { desk: export.desk.clone(), sequence: *sequence }),
                }
            }
            if own {
                continue;
            }
            let newer = sqlx::query(
                "INSERT INTO redemption_desks (desk, last, exported, synced, own_taken) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (desk) DO UPDATE SET last = excluded.last, exported = excluded.exported, \
                 synced = excluded.synced, own_taken = excluded.own_taken \
                 WHERE excluded.exported > redemption_desks.exported AND excluded.last >= redemption_desks.last",
            )
            .bind(name)
            .bind(signed(export.last)?)
            .bind(signed(export.number)?)
            .bind(signed(export.synced)?)
            .bind(signed(export.taken.get(desk).copied().unwrap_or_default())?)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            // Exports held back could otherwise each restart the bound, without information about uses since.
            if newer == 1 && synced_at.is_none_or(|synced_at| export.made_at.unix() >= synced_at) {
                fresh.insert(export.desk.clone());
            }
        }
        let synced = others.iter().filter(|other| !gone.contains(other)).all(|other| fresh.contains(other));
        if synced {
            sqlx::query(
                "INSERT INTO redemption_desks (desk, synced_at) VALUES ('', ?) \
                 ON CONFLICT (desk) DO UPDATE SET synced = last, synced_at = excluded.synced_at",
            )
            .bind(now.unix())
            .execute(&mut *transaction)
            .await?;
        }
        let double = double_uses(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Reconciled { fresh, synced, double })
    }
}

/// Reads everything that is known about a desk.
async fn desk_row(connection: &mut sqlx::SqliteConnection, desk: &str) -> Result<SqliteRow, StoreError> {
    Ok(sqlx::query("SELECT * FROM redemption_desks WHERE desk = ?").bind(desk).fetch_one(connection).await?)
}

fn written_off(row: &SqliteRow) -> Result<WrittenOff, StoreError> {
    Ok(WrittenOff {
        desk: row.try_get("desk")?,
        at: Timestamp::from_unix(row.try_get("written_off_at")?),
        last: unsigned(row, "last")?,
        unseen: unsigned(row, "unseen")?,
    })
}

async fn double_uses(transaction: &mut Transaction<'static, Database>) -> Result<Vec<DoubleUse>, StoreError> {
    let rows = sqlx::query(
        "SELECT r.*, (SELECT max(uses) FROM redemptions t WHERE t.entitlement = o.entitlement) AS most \
         FROM overused_entitlements o CROSS JOIN redemptions r USING (entitlement) \
         WHERE (SELECT count(*) > max(uses) FROM redemptions t WHERE t.entitlement = o.entitlement) \
         ORDER BY r.entitlement, r.marked_at, r.desk, r.sequence",
    )
    .fetch_all(&mut **transaction)
    .await?;
    let mut double: Vec<DoubleUse> = Vec::new();
    for row in &rows {
        let entitlement: Vec<u8> = row.try_get("entitlement")?;
        let mark = (row.try_get("desk")?, Timestamp::from_unix(row.try_get("marked_at")?));
        match double.last_mut() {
            Some(last) if last.entitlement == entitlement => last.marks.push(mark),
            _ => double.push(DoubleUse { entitlement, uses: unsigned(row, "most")?, marks: vec![mark] }),
        }
    }
    Ok(double)
}
