//! Command `carnet backup`: copies the wallet file.

use serde_json::json;

use crate::{arguments::Backup, failure::Failure, session::Session};

/// Copies the encrypted wallet file to a new file, after the passphrase was checked.
pub(crate) fn run(session: &Session, arguments: &Backup) -> Result<(), Failure> {
    let wallet = session.open()?;
    wallet.copy_to(&arguments.file)?;
    let file = arguments.file.display().to_string();
    let text = session.ui.messages.with("backup-made", &[("file", &file)]);
    session.ui.result(&format!("{text}\n"), &json!({"backup": file}));
    Ok(())
}
