//! Commands `backup` and `restore`.

use carnet_service::store::{
    StagedStore,
    arguments::{self, BackupArgs, RestoreArgs},
};

use super::StaffFailure;
use crate::{
    config::VerifierConfig,
    sqlite::{MIGRATIONS, restored},
};

const LOST_DATA_TEXT: &str = "uses of vouchers counted after it, so those vouchers can be used again; verdicts; erasures \
                    confirmed to holders, so the erased data is present again; the newest trust list, until it is \
                    fetched.";

pub(super) async fn back_up(args: &BackupArgs) -> Result<u8, StaffFailure> {
    arguments::run_backup(args).await?;
    Ok(0)
}

pub(super) async fn restore(args: &RestoreArgs) -> Result<u8, StaffFailure> {
    VerifierConfig::load(&args.data, args.config.as_deref())?;
    let staged = StagedStore::stage(&args.data, args.from.as_deref()).await?;
    let behind = staged.lag();
    let unmarked = !staged.has_mark();
    // With --accept-loss, the operator states that something was lost, even without evidence.
    let lost = behind.is_some() || args.accept_loss;
    let (restored, more) = match behind {
        Some(behind) if !args.accept_loss => {
            let known = format!("number {} was written here", behind.newest);
            return Err(arguments::older_store_error(&staged, &known, LOST_DATA_TEXT).into());
        }
        _ if lost => {
            let restored = staged.install_older(&MIGRATIONS, 0, restored::end_outdated_state).await?;
            let more = format!(
                "Lost: {LOST_DATA_TEXT}\nOpen requests are closed: create them again. Desks must be reconciled before a use is \
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
            (staged.install(&MIGRATIONS).await?, more)
        }
    };
    let (value, text) = arguments::format_restored(&restored, lost, &more);
    carnet_console::print_line(if args.json { value.to_string() } else { text });
    Ok(0)
}
