//! Command `carnet passphrase`: changes the passphrase of the wallet.

use serde_json::json;

use crate::{arguments::ChangePassphrase, failure::Failure, session::Session};

/// Changes the passphrase, and the work factor if given.
pub(crate) fn run(session: &Session, arguments: &ChangePassphrase) -> Result<(), Failure> {
    let mut wallet = session.open()?;
    let passphrase = session.read_new_passphrase(arguments)?;
    if let Some(work_factor) = arguments.work_factor {
        wallet.contents.work_factor = work_factor;
    }
    let work_factor = wallet.contents.work_factor;
    wallet.change_passphrase(passphrase)?;
    let text = format!("{}\n", session.ui.messages.text("passphrase-changed"));
    session.ui.result(&text, &json!({"changed": true, "work_factor": work_factor}));
    Ok(())
}
