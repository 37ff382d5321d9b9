//! Command `carnet passphrase`: changes the passphrase of the wallet.

use serde_json::json;

use crate::{arguments::ChangePassphrase, context::CommandContext, failure::Failure, secrets::PassphraseSource};

/// Changes the passphrase, and the work factor if given.
pub(crate) fn run(context: &CommandContext, arguments: &ChangePassphrase) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let source = PassphraseSource { file: arguments.new_passphrase_file.clone(), fd: arguments.new_passphrase_fd };
    let passphrase = context.passphrases.read_replacement(&source)?;
    if let Some(work_factor) = arguments.work_factor {
        wallet.contents.work_factor = work_factor;
    }
    let work_factor = wallet.contents.work_factor;
    wallet.change_passphrase(passphrase)?;
    let text = format!("{}\n", context.ui.messages.text("passphrase-changed"));
    context.ui.print_result(&text, &json!({"changed": true, "work_factor": work_factor}));
    Ok(())
}
