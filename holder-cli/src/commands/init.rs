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
    let path = context.location.file()?;
    if path.symlink_metadata().is_ok() {
        let message = Sentence::id("error-wallet-exists").with("path", path.display());
        return Err(Failure::new(FailureReason::WalletExists, message, Sentence::id("hint-wallet-exists")));
    }
    let sites = local::read(&arguments.local)?;
    let passphrase = context.passphrases.initial()?;
    let making = context.ui.wallet_wait().begin();
    let mut contents = WalletContents::new(arguments.work_factor);
    contents.log_days = arguments.keep_log;
    sites.iter().for_each(|site| pin_site(&mut contents, site));
    WalletFile::create_with(&path, passphrase, &mut contents)?;
    drop(making);
    let messages = &context.ui.messages;
    let text = format!(
        "{}\n{}\n{}\n{}",
        messages.with("init-done", &[("wallet", &path.display().to_string())]),
        messages.text("init-keep"),
        retention_text(context, arguments.keep_log),
        local::added(&context.ui, &sites),
    );
    context.ui.result(&text, &json!({"wallet": path.display().to_string(), "log_days": arguments.keep_log}));
    Ok(())
}
