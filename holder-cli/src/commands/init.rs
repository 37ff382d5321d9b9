//! Command `carnet init`: creates a wallet.

use carnet_wallet::pinning::pin_site;
use serde_json::json;

use super::{local, log::forget::retention_text};
use crate::{
    arguments::Init,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    wallet::{WalletContents, WalletFile},
};

pub(crate) fn run(context: &CommandContext, arguments: &Init) -> Result<(), Failure> {
    let path = context.location.file_path()?;
    if path.symlink_metadata().is_ok() {
        let message = Sentence::new("error-wallet-exists").with("path", path.display());
        return Err(Failure::new(FailureReason::WalletExists, message, Sentence::new("hint-wallet-exists")));
    }
    let sites = local::read_sites(&arguments.local)?;
    let passphrase = context.passphrases.read_initial()?;
    let making = context.ui.wallet_notice().begin();
    let mut contents = WalletContents::new(arguments.work_factor);
    contents.log_retention_days = arguments.keep_log;
    sites.iter().for_each(|site| pin_site(&mut contents, site));
    WalletFile::create_with_contents(&path, passphrase, &mut contents)?;
    drop(making);
    let messages = &context.ui.messages;
    let text = format!(
        "{}\n{}\n{}\n{}",
        messages.format("init-done", &[("wallet", &path.display().to_string())]),
        messages.text("init-keep"),
        retention_text(context, arguments.keep_log),
        local::added_text(&context.ui, &sites),
    );
    context.ui.print_result(&text, &json!({"wallet": path.display().to_string(), "log_days": arguments.keep_log}));
    Ok(())
}
