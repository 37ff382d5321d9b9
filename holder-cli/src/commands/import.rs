//! Command `carnet import`: stores a copy of a credential from a file, after it was verified.

use std::{fs::File, io::Read as _, path::Path};

use carnet_wallet::transfer::{ImportedCopy, MAX_FILE, import_copy, sealed};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    arguments::Import,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    issuer_metadata::ExpectedCredential,
    ui::{labels::TypeLabels, parties, sanitise::sanitise},
};

/// Imports a copy that the holder accepts. The host of a stranger's DID document is announced.
pub(crate) async fn run(context: &CommandContext, arguments: &Import) -> Result<(), Failure> {
    let copy = read_copy(context, arguments)?;
    let catalogue = context.catalogue()?;
    let mut wallet = context.wallet.open()?;
    context.connections.set_known_hosts(&wallet.contents, context.now());
    let accept = |expected: &ExpectedCredential| accept(context, arguments, expected);
    let received = import_copy(context, &catalogue, &mut wallet, &copy, accept).await?;
    let messages = &context.ui.messages;
    let label = TypeLabels::new(&catalogue, &received.type_name, messages).type_label();
    let mut text = format!(
        "{} {label} ({}), {}\n",
        messages.text("import-done"),
        sanitise(&received.id),
        sanitise(&received.issuer_name)
    );
    text.push_str(&messages.skipped_checks_text(received.skipped_checks.iter().flatten().copied()));
    let object = json!({
        "imported": received.id, "type": received.type_name, "format": received.format, "issuer": received.issuer,
        "issuer_name": received.issuer_name, "label": label, "unchecked": received.skipped_checks,
        "valid_until": received.valid_until.map(|until| until.to_string()), "trust": received.trust_decision,
    });
    context.ui.print_result(&text, &object);
    Ok(())
}

fn read_copy(context: &CommandContext, arguments: &Import) -> Result<ImportedCopy, Failure> {
    let file = read(&arguments.file)?;
    if let Some(key) = &arguments.key {
        return ImportedCopy::from_raw(&file, &read(key)?);
    }
    if !sealed::is_sealed(&file) {
        return ImportedCopy::from_file(&file);
    }
    let passphrase = context.passphrases.read_for_file(&arguments.passphrase.source())?;
    ImportedCopy::from_file(&sealed::open(&file, &passphrase)?)
}

/// Shows the document of the file, and asks the holder.
fn accept(context: &CommandContext, arguments: &Import, expected: &ExpectedCredential) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    let (ui, catalogue) = (&context.ui, context.catalogue()?);
    let label = TypeLabels::new(&catalogue, &expected.type_name, &ui.messages).type_label();
    let issuer = parties::issuer_name(ui, &expected.issuer_name, &expected.issuer);
    let mut screen = format!("{}\n", ui.heading(&ui.messages.text("import-title")));
    screen.push_str(&ui.format_wrapped(2, &format!("{label} ({issuer})")));
    screen.push_str(&ui.format_wrapped(2, &ui.messages.text("import-note")));
    ui.print_text(&screen);
    if !ui.can_ask() {
        let message = Sentence::new("error-import-nobody");
        let (kind, format, issuer) = (&expected.type_name, expected.format, &expected.issuer);
        let members = json!({"offered": {"type": kind, "format": format, "issuer": issuer, "label": label}});
        return Err(
            Failure::new(FailureReason::ApprovalNeeded, message, Sentence::new("hint-yes")).with_members(members)
        );
    }
    ui.require_yes(&ui.messages.text("import-question"), Sentence::new("undone-imported"))
}

/// Reads a file of at most [`MAX_FILE`] bytes.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    let unreadable = |error: &dyn std::fmt::Display| {
        let message = Sentence::new("error-file-unreadable").with("path", path.display()).with_details(error);
        Failure::usage(FailureReason::Program("file_unreadable"), message, Sentence::new("hint-path"))
    };
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() > MAX_FILE {
        return Err(unreadable(&format!("> {MAX_FILE} bytes")));
    }
    Ok(bytes)
}
