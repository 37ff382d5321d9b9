//! Command `carnet init`: creates a wallet.

use serde_json::json;

use super::{local, log::forget::retention_text};
use crate::{
    arguments::Init,
    failure::{Failure, Sentence},
    session::Session,
    wallet::{WalletContents, WalletFile},
};

pub(crate) fn run(session: &Session, arguments: &Init) -> Result<(), Failure> {
    let path = session.wallet_path()?;
    if path.symlink_metadata().is_ok() {
        let message = Sentence::id("error-wallet-exists").with("path", path.display());
        return Err(Failure::new("wallet_exists", message, Sentence::id("hint-wallet-exists")));
    }
    let sites = local::read(&arguments.local)?;
    let passphrase = session.passphrase(true)?;
    let making = session.ui.wallet_wait().begin();
    let mut contents = WalletContents::new(arguments.work_factor);
    contents.log_days = arguments.keep_log;
    sites.iter().for_each(|site| local::add(&mut contents, site));
    WalletFile::create_with(&path, passphrase, &mut contents)?;
    drop(making);
    let messages = &session.ui.messages;
    let text = format!(
        "{}\n{}\n{}\n{}",
        messages.with("init-done", &[("wallet", &path.display().to_string())]),
        messages.text("init-keep"),
        retention_text(session, arguments.keep_log),
        local::added(&session.ui, &sites),
    );
    session.ui.result(&text, &json!({"wallet": path.display().to_string(), "log_days": arguments.keep_log}));
    Ok(())
}
