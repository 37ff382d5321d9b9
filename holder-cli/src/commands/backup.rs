//! Command `carnet backup`: copies the wallet file.

use serde_json::json;

use crate::{arguments::Backup, context::CommandContext, failure::Failure};

/// Copies the encrypted wallet file to a new file, after the passphrase was checked.
pub(crate) fn run(context: &CommandContext, arguments: &Backup) -> Result<(), Failure> {
    let wallet = context.wallet.open()?;
    wallet.copy_to(&arguments.file)?;
    let file = arguments.file.display().to_string();
    let text = context.ui.messages.format("backup-made", &[("file", &file)]);
    context.ui.print_result(&format!("{text}\n"), &json!({"backup": file}));
    Ok(())
}
