//! Exchange of use marks between the desks of one organisation (spec/entitlement.md section 5).

use std::collections::BTreeSet;

use carnet_core::time::Timestamp;

use super::{desks::max_unseen_uses, export::DeskExport};
use crate::store::{DeskRow, OWN_DESK, ReadUses as _, Store, StoreError, UseMark, WriteRows, WriteUses as _};

/// Voucher with more recorded uses than it permits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OverusedVoucher {
    /// Digest of the voucher or serial, as in [`UseMark`].
    pub(crate) entitlement: [u8; 32],
    /// Number of uses that the voucher permits.
    pub(crate) uses: u32,
    /// Recorded uses, oldest first: the name of the desk (empty: this one) and the time.
    pub(crate) marks: Vec<(String, Timestamp)>,
}

/// Desk that was written off: it is lost, and reconciliation continues without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenOffDesk {
    pub(crate) desk: String,
    /// Time at which it was written off.
    pub(crate) written_off_at: Timestamp,
    /// Sequence number of its last known mark.
    pub(crate) last_mark: u64,
    /// Maximum number of uses that it may have redeemed and that are unknown to this desk.
    pub(crate) max_unseen_uses: u64,
}

/// Result of importing exports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reconciliation {
    /// Desks with an imported export that is newer than all earlier ones, and was created after this desk's last
    /// reconciliation.
    pub(crate) newer_exports: BTreeSet<String>,
    /// `true` if these are all other desks that were not written off, so that the count towards this desk's limit
    /// restarts.
    pub(crate) is_complete: bool,
    /// All vouchers with more recorded uses than they permit, not only those of this import.
    pub(crate) overused: Vec<OverusedVoucher>,
}

/// Error of an import.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReconcileError {
    /// Two different marks of one desk have the same number: two desks share a name, or one was restored from a backup.
    #[error("desk \"{desk}\" has two different marks with the number {sequence}")]
    Conflict {
        /// Name of the desk.
        desk: String,
        /// Sequence number of both marks.
        sequence: u64,
    },
    /// The desk was written off: a finder of its key might have signed the export.
    #[error("desk \"{desk}\" was written off here")]
    WrittenOff {
        /// Name of the desk.
        desk: String,
    },
    /// Error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates this desk's export with the next export number, unsigned.
pub(crate) async fn create_export<S: Store>(store: &S, desk: &str, now: Timestamp) -> Result<DeskExport, StoreError> {
    let mut transaction = store.begin("export_redemptions").await?;
    let mut own = transaction.desk(OWN_DESK).await?;
    own.last_export = own.last_export.saturating_add(1);
    transaction.put_desk(&own).await?;
    let others = transaction.desks().await?.into_iter().filter(|other| other.name != OWN_DESK);
    let taken = others.map(|other| (other.name, other.last_export)).collect();
    transaction.commit().await?;
    // Marks are only appended with rising numbers, or erased at their end, so that this read needs no transaction.
    let marks = store.read().await?.marks(OWN_DESK, own.last_mark).await?;
    let DeskRow { last_export: number, last_mark: last, reconciled_mark: synced, .. } = own;
    Ok(DeskExport {
        desk: desk.to_owned(),
        number,
        created_at: now,
        last_mark: last,
        reconciled_mark: synced,
        imported_exports: taken,
        marks,
    })
}

/// Writes off another desk: later exports of it are refused, and this desk reconciles without it. The maximum number of
/// uses that it may have redeemed unseen is computed once, from its limit (`bound`). A desk that is already written off
/// stays unchanged.
pub(crate) async fn write_off<S: Store>(
    store: &S,
    desk: &str,
    bound: u32,
    now: Timestamp,
) -> Result<WrittenOffDesk, StoreError> {
    let mut transaction = store.begin("write_off_desk").await?;
    let own = transaction.desk(OWN_DESK).await?;
    let mut other = transaction.desk(desk).await?;
    // The first write-off remains: later events are no reason to count fewer uses.
    let (at, unseen) = *other.written_off.get_or_insert_with(|| {
        let exports_since = own.last_export.saturating_sub(other.imported_own_export);
        (now, max_unseen_uses(bound, other.last_mark.saturating_sub(other.reconciled_mark), exports_since))
    });
    transaction.put_desk(&other).await?;
    transaction.commit().await?;
    Ok(WrittenOffDesk { desk: other.name, written_off_at: at, last_mark: other.last_mark, max_unseen_uses: unseen })
}

/// Returns the desks that were written off.
pub(crate) async fn written_off_desks<S: Store>(store: &S) -> Result<Vec<WrittenOffDesk>, StoreError> {
    let desks = store.read().await?.desks().await?.into_iter();
    let gone = desks.filter_map(|DeskRow { name, last_mark: last, written_off, .. }| {
        let (at, unseen) = written_off?;
        Some(WrittenOffDesk { desk: name, written_off_at: at, last_mark: last, max_unseen_uses: unseen })
    });
    Ok(gone.collect())
}

/// Imports exports of other desks; repeated marks count once. An export of this desk itself is only compared with the
/// store. `desk` is this desk's name, and `others` are the configured other desks.
///
/// # Errors
/// An export of a desk that was written off; two different marks with one number; store errors. Nothing is imported
/// then.
pub(crate) async fn reconcile<S: Store>(
    store: &S,
    desk: &str,
    others: &[String],
    exports: &[DeskExport],
    now: Timestamp,
) -> Result<Reconciliation, ReconcileError> {
    let mut transaction = store.begin("take_redemptions").await?;
    let mut own = transaction.desk(OWN_DESK).await?;
    let desks = transaction.desks().await?.into_iter();
    let gone: BTreeSet<String> = desks.filter(|desk| desk.written_off.is_some()).map(|desk| desk.name).collect();
    let mut fresh = BTreeSet::new();
    for export in exports {
        if gone.contains(&export.desk) {
            return Err(ReconcileError::WrittenOff { desk: export.desk.clone() });
        }
        let is_own = export.desk == desk;
        import_marks(&mut transaction, export, is_own, now).await?;
        if is_own {
            continue;
        }
        let mut other = transaction.desk(&export.desk).await?;
        if export.number > other.last_export && export.last_mark >= other.last_mark {
            (other.last_mark, other.last_export, other.reconciled_mark) =
                (export.last_mark, export.number, export.reconciled_mark);
            other.imported_own_export = export.imported_exports.get(desk).copied().unwrap_or_default();
            transaction.put_desk(&other).await?;
            // Otherwise, each delayed export could restart the limit, without information about uses since then.
            if export.created_at >= own.reconciled_at {
                fresh.insert(export.desk.clone());
            }
        }
    }
    let synced = others.iter().filter(|other| !gone.contains(*other)).all(|other| fresh.contains(other));
    if synced {
        (own.reconciled_mark, own.reconciled_at) = (own.last_mark, now);
        transaction.put_desk(&own).await?;
    }
    let double = overused_vouchers(transaction.overused_marks().await?);
    transaction.commit().await?;
    Ok(Reconciliation { newer_exports: fresh, is_complete: synced, overused: double })
}

async fn import_marks(
    transaction: &mut impl WriteRows,
    export: &DeskExport,
    is_own: bool,
    now: Timestamp,
) -> Result<(), ReconcileError> {
    let name = if is_own { OWN_DESK } else { &export.desk };
    for (sequence, mark) in export.marks.iter().filter(|(_, mark)| mark.erase_at > now) {
        match transaction.mark(name, *sequence).await? {
            Some(known) if known == *mark => {}
            None if !is_own => transaction.insert_mark(name, *sequence, mark).await?,
            _ => return Err(ReconcileError::Conflict { desk: export.desk.clone(), sequence: *sequence }),
        }
    }
    Ok(())
}

/// Groups marks, which are ordered by voucher, and returns the vouchers that have more marks than permitted uses.
fn overused_vouchers(marks: Vec<(String, UseMark)>) -> Vec<OverusedVoucher> {
    let mut double: Vec<OverusedVoucher> = Vec::new();
    for (desk, UseMark { entitlement, uses, marked_at, .. }) in marks {
        match double.last_mut() {
            Some(last) if last.entitlement == entitlement => {
                last.uses = last.uses.max(uses);
                last.marks.push((desk, marked_at));
            }
            _ => double.push(OverusedVoucher { entitlement, uses, marks: vec![(desk, marked_at)] }),
        }
    }
    double.retain(|voucher| u32::try_from(voucher.marks.len()).is_ok_and(|marks| marks > voucher.uses));
    double
}
