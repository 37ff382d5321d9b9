//! Command `clock`: displays the clock floor, and lowers it if it is too late.

use carnet_core::time::{CLOCK_SKEW, Timestamp};
use carnet_service::{config::StartError, directory::DirectoryArgs, store as ground, time};
use clap::Args;
use serde_json::json;

use super::StaffFailure;
use crate::{
    clock::{lower_stored_floor, stored_floor},
    config::VerifierConfig,
    sqlite::{MIGRATIONS, SqliteStore},
    store::StoreError,
};

#[derive(Debug, Args)]
pub(super) struct ClockArgs {
    #[command(flatten)]
    place: DirectoryArgs,
    /// Lower the floor to this machine's clock. Check the clock first, and stop the service.
    #[arg(long)]
    lower: bool,
}

pub(super) async fn run(args: &ClockArgs) -> Result<u8, StaffFailure> {
    let place = &args.place;
    VerifierConfig::load(&place.data, place.config.as_deref())?;
    // A running service has the floor in memory, and would raise it again.
    let (store, _lock) = if args.lower {
        let (store, lock) = ground::open_store_for_service(&place.data, &MIGRATIONS).await?;
        (store, Some(lock))
    } else {
        (ground::open_store(&place.data, &MIGRATIONS).await?, None)
    };
    let sqlite = SqliteStore::new(store.database.clone());
    let now = time::now();
    let read = async {
        let before = stored_floor(&sqlite).await?;
        let is_lowered = args.lower && lower_stored_floor(&sqlite, now).await?;
        Ok::<_, StoreError>((before, is_lowered))
    };
    let done = read.await;
    store.close().await;
    let (before, is_lowered) = done.map_err(|error| {
        StartError::new(
            format!("The store cannot be used: {error}. Nothing was changed."),
            "Check the disk, and run this again.",
        )
    })?;
    let floor = if is_lowered { now } else { before };
    let is_behind = now.plus(CLOCK_SKEW) < floor;
    if place.json {
        let before = (before.unix() > 0).then(|| before.to_string());
        let floor = (floor.unix() > 0).then(|| floor.to_string());
        carnet_console::print_line(
            json!({"clock": now.to_string(), "floor": floor, "floor_before": before, "lowered": is_lowered, "behind": is_behind}),
        );
    } else {
        carnet_console::print_line(text(now, before, is_lowered));
    }
    Ok(u8::from(is_behind))
}

fn text(now: Timestamp, before: Timestamp, is_lowered: bool) -> String {
    if is_lowered {
        return format!(
            "The floor was lowered from {before} to {now}, the clock of this machine. Start the service.\nIf the \
             clock is wrong, expired or revoked credentials may be accepted until it is set."
        );
    }
    if before.unix() == 0 {
        return format!("The clock of this machine says {now}; no issuer's time is known yet.");
    }
    if now.plus(CLOCK_SKEW) < before {
        return format!(
            "The clock of this machine says {now}; an issuer signed {before}, which is later. Nothing is verified \
             before that time.\nSet the clock. If it is right, the floor is too high: stop the service, and run this \
             again with --lower."
        );
    }
    format!("The clock of this machine says {now}; the latest time that an issuer signed is {before}.")
}
