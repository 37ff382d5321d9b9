//! Continuation with an older store after a restore with loss.

use carnet_core::time::Timestamp;
use carnet_service::store::WriteTransaction;

use crate::request::MAX_ATTEMPTS;

/// Number of skipped sequence numbers of marks and exports; more than can have been used since any backup.
const SEQUENCE_GAP: i64 = 1 << 30;

/// Closes the unanswered and refused requests in an older store, and skips sequence numbers. A request may have been
/// answered since the backup, and its presentation could be replayed. Numbers of marks and exports must not be reused,
/// and with a limit on uses between reconciliations, none is redeemed before the desks are reconciled.
pub(crate) async fn end_outdated_state(tx: &mut WriteTransaction, _now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE requests SET state = 'expired', query = '', nonce = '', request_object = '' WHERE state = 'open'",
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE requests SET attempts = max(attempts, ?), query = '', nonce = '', request_object = '' WHERE state = 'refused'",
    )
    .bind(MAX_ATTEMPTS)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO redemption_desks (desk, last, exported) VALUES ('', ?1, ?1) \
         ON CONFLICT (desk) DO UPDATE SET last = last + ?1, exported = exported + ?1, synced = 0",
    )
    .bind(SEQUENCE_GAP)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
