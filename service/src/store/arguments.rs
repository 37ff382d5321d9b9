//! Commands `backup` and `restore`: the parts shared by both services.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{RestoreResult, StagedStore, back_up};
use crate::config::StartError;

/// Arguments of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The data directory; the service may be running.
    #[arg(long, value_parser = crate::directory::DataDirectoryParser)]
    pub data: PathBuf,
    /// The file to write. An existing one is never overwritten.
    #[arg(long)]
    pub out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The data directory, with its keys; its service is stopped.
    #[arg(long, value_parser = crate::directory::DataDirectoryParser)]
    pub data: PathBuf,
    /// A TOML file whose fields override DIR/config.toml.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The backup to restore.
    #[arg(long, required_unless_present = "in_place")]
    pub from: Option<PathBuf>,
    /// Use the store in the directory: after the whole directory was restored, or if store.json is lost.
    #[arg(long, conflicts_with = "from")]
    pub in_place: bool,
    /// Continue with a store that is older than one that was in use here, even if nothing shows that it is older. All
    /// later changes are lost; run the command without this option first, to read which.
    #[arg(long)]
    pub accept_loss: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs `backup` and prints its result.
///
/// # Errors
/// Those of [`back_up`].
pub async fn run_backup(args: &BackupArgs) -> Result<(), StartError> {
    let backup = back_up(&args.data, &args.out).await?;
    let out = args.out.display().to_string();
    let identity = &backup.identity;
    if args.json {
        carnet_console::print_line(
            json!({ "backup": out, "bytes": backup.bytes, "store": identity.id, "number": identity.number, "checked": true }),
        );
    } else {
        carnet_console::print_line(format_args!(
            "Backup of store {} at change {}: {out}, {} bytes, checked.\nIt contains everything in the store, \
             personal data included: protect it like the data directory, and keep it elsewhere.",
            identity.id, identity.number, backup.bytes
        ));
    }
    Ok(())
}

/// Returns the error of a `restore` without `--accept-loss`, for a staged store that is older than the one used before.
/// `known` states the evidence, and `lost` what would be lost.
#[must_use]
pub fn older_store_error(staged: &StagedStore, known: &str, lost: &str) -> StartError {
    let number = staged.identity().map_or(0, |identity| identity.number);
    StartError::new(
        format!(
            "This store is older than the one used here before: its last change is number {number}, and {known}. \
             Nothing was changed.\n You would lose: {lost}"
        ),
        "Look for a newer backup, and for store.sqlite with its log, store.sqlite-wal, on the old disk: `restore \
         --from` accepts a copy of both. If there is none, run this again with --accept-loss.",
    )
}

/// Formats the result of a restore as JSON and as text, to which `more` is appended. `lost` states that the loss of
/// changes was accepted.
#[must_use]
pub fn format_restored(restored: &RestoreResult, lost: bool, more: &str) -> (Value, String) {
    let identity = &restored.identity;
    let aside = restored.previous_store.as_ref().map(|path| path.display().to_string());
    let value = json!({
        "store": identity.id, "number": identity.number, "publication": identity.publication, "accepted_loss": lost,
        "store_before": aside,
    });
    let mut text = format!("Store {} is restored, at change {}.\n", identity.id, identity.number);
    if let Some(aside) = aside {
        text.push_str(&format!(
            "The previous store is {aside}: delete it when it is no longer needed; it contains personal data.\n"
        ));
    }
    text.push_str(more);
    (value, text.trim_end().to_owned())
}
