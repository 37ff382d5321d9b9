//! Command `carnet export`: writes one copy of a credential with its private key to a file, for another wallet.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use carnet_wallet::transfer::{CopyExport, sealed};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::show::claim_views;
use crate::{
    arguments::Export,
    context::CommandContext,
    failure::{DataSafety, Failure, FailureReason, Sentence},
    ui::{labels::TypeLabels, parties},
    wallet::HeldCredential,
};

/// Exports a copy after the holder has seen what leaves. The copy counts as shown from before the file is written.
pub(crate) fn run(context: &CommandContext, arguments: &Export) -> Result<(), Failure> {
    let mut wallet = context.wallet.open()?;
    let index = wallet.contents.find_credential(&arguments.id)?;
    let export = CopyExport::prepare(&wallet.contents, index)?;
    if let Some(held) = wallet.contents.credentials.get(index) {
        approve(context, arguments, held, &export)?;
    }
    let mut files = vec![NewFile::create(&arguments.out)?];
    let mut texts: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    if let Some(key) = &arguments.key {
        files.push(NewFile::create(key)?);
        texts.push(export.text.as_bytes().to_vec().into());
        texts.push(export.key.as_bytes().to_vec().into());
    } else {
        let passphrase = context.passphrases.read_for_new_file(&arguments.passphrase.source())?;
        let sealed = sealed::seal(export.to_file().as_bytes(), &passphrase, wallet.contents.work_factor)?;
        texts.push(sealed.into());
    }
    export.record(&mut wallet, context.now())?;
    let mut written = Vec::new();
    for (file, text) in files.into_iter().zip(texts) {
        written.push(file.write(&text).map_err(|failure| failure.with_safety(DataSafety::Stored))?);
    }
    let text = context.ui.messages.format("export-done", &[("file", &written.join(" "))]);
    let object = json!({"exported": arguments.id, "files": written, "encrypted": arguments.key.is_none()});
    context.ui.print_result(&format!("{text}\n"), &object);
    Ok(())
}

/// Shows what leaves the wallet, and asks the holder. With a digest on the command line, nothing is asked.
///
/// # Errors
/// `approval_mismatch` for another digest; `approval_needed` without a terminal; `declined`, `not_answered`.
fn approve(
    context: &CommandContext,
    arguments: &Export,
    held: &HeldCredential,
    export: &CopyExport,
) -> Result<(), Failure> {
    if arguments.yes.as_deref() == Some(export.digest.as_str()) {
        return Ok(());
    }
    let (ui, catalogue) = (&context.ui, context.catalogue()?);
    let labels = TypeLabels::of_held(&catalogue, held, &ui.messages);
    let claims = claim_views(held, &labels)?;
    let encrypted = arguments.key.is_none();
    let failure = |reason, message| {
        let hint = Sentence::new("hint-export-yes").with("digest", &export.digest);
        let claims: Vec<Value> = claims.iter().map(|claim| claim.to_json()).collect();
        let members = json!({
            "leaves": {"id": held.id, "type": held.type_name, "issuer": held.issuer, "claims": claims, "private_key": true},
            "encrypted": encrypted, "digest": export.digest,
        });
        Failure::new(reason, Sentence::new(message), hint).with_members(members)
    };
    if arguments.yes.is_some() {
        return Err(failure(FailureReason::ApprovalMismatch, "error-export-mismatch"));
    }
    let mut screen = format!("{}\n", ui.heading(&ui.messages.text("export-title")));
    let issuer = parties::issuer_name(ui, &held.issuer_name, &held.issuer);
    screen.push_str(&ui.format_wrapped(2, &format!("{} ({issuer})", labels.type_label())));
    claims.iter().for_each(|claim| screen.push_str(&ui.format_wrapped(4, &claim.line(&ui.messages))));
    let protection = if encrypted { "export-encrypted" } else { "export-plain" };
    for id in ["export-key-note", protection] {
        screen.push_str(&ui.format_wrapped(2, &ui.messages.text(id)));
    }
    ui.print_text(&screen);
    if !ui.can_ask() {
        return Err(failure(FailureReason::ApprovalNeeded, "error-export-nobody"));
    }
    ui.require_yes(&ui.messages.text("export-question"), Sentence::new("undone-exported"))
}

/// New private file, removed on drop unless it was written.
struct NewFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = carnet_disk::create_new(path, 0o600).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), file, is_written: false })
    }

    /// Writes the content, and returns the path.
    fn write(mut self, content: &[u8]) -> Result<String, Failure> {
        let written = self.file.write_all(content).and_then(|()| self.file.sync_all());
        written.map_err(|error| unwritable(&self.path, &error))?;
        self.is_written = true;
        Ok(self.path.display().to_string())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_written {
            fs::remove_file(&self.path).ok();
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = Sentence::new("error-file-unwritable").with("path", path.display()).with_details(error);
    Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-other-place"))
}
