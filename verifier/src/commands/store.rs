//! `backup` and `restore`.

use carnet_core::time::Timestamp;
use carnet_service::store::{
    StagedStore,
    arguments::{self, BackupArgs, RestoreArgs},
};
use sqlx::{Sqlite, Transaction};

use super::Failure;
use crate::{
    config::VerifierConfig,
    store::{MAX_ATTEMPTS, MIGRATIONS},
};

const LOST: &str = "uses of vouchers counted after it, so those vouchers can be used again; verdicts; erasures \
                    confirmed to holders, so the erased data is present again; the newest trust list, until it is \
                    fetched.";
/// Gap in the numbers of marks and exports, wider than the numbers used after any backup.
const GAP: i64 = 1 << 30;

pub(super) async fn back_up(args: &BackupArgs) -> Result<u8, Failure> {
    arguments::run_backup(args).await?;
    Ok(0)
}

pub(super) async fn restore(args: &RestoreArgs) -> Result<u8, Failure> {
    VerifierConfig::load(&args.data, args.config.as_deref())?;
    let staged = StagedStore::stage(&args.data, args.from.as_deref()).await?;
    let behind = staged.behind();
    let unmarked = !staged.has_mark();
    // With --accept-loss the operator says that something was lost, whatever shows it.
    let lost = behind.is_some() || args.accept_loss;
    let (restored, more) = match behind {
        Some(behind) if !args.accept_loss => {
            let known = format!("number {} was written here", behind.newest);
            return Err(arguments::refuse_older(&staged, &known, LOST).into());
        }
        _ if lost => {
            let restored = staged.put_older(&MIGRATIONS, 0, go_on).await?;
            let more = format!(
                "Lost: {LOST}\nOpen requests are closed: create them again. Desks must be reconciled before a use is \
                 counted here.\n"
            );
            (restored, more)
        }
        _ => {
            let more = if unmarked {
                "There was no store.json, so it is unknown whether this was the newest store.\n".to_owned()
            } else {
                String::new()
            };
            (staged.put(&MIGRATIONS).await?, more)
        }
    };
    let (value, text) = arguments::said(&restored, lost, &more);
    carnet_console::line(if args.json { value.to_string() } else { text });
    Ok(0)
}

/// Closes requests in an older store, and skips numbers. An open request may have been answered since, and the answer
/// could be presented again. Numbers of marks and exports must not be reused, and no use is counted before the desks
/// are reconciled.
async fn go_on(tx: &mut Transaction<'static, Sqlite>, _now: Timestamp) -> Result<(), sqlx::Error> {
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
    .bind(GAP)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
