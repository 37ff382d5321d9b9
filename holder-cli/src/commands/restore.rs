//! Command `carnet restore`: restores the wallet from a copy of its file.

use age::secrecy::{ExposeSecret as _, SecretString};
use carnet_wallet::housekeeping::restore_wallet;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    arguments::Restore,
    backup_secret::{BackupSecret, BackupSheet},
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
    ui::Ui,
};

/// Creates the wallet from a copy of its file; never replaces an existing wallet. Presentations made after the copy are
/// not in it, so all credential copies count as presented. The restored wallet gets its own rollback mark.
pub(crate) fn run(context: &CommandContext, arguments: &Restore) -> Result<(), Failure> {
    let path = context.location.file_path()?;
    if path.symlink_metadata().is_ok() {
        let message = Sentence::new("error-wallet-exists-untouched").with("path", path.display());
        return Err(Failure::new(FailureReason::WalletExists, message, Sentence::new("hint-move-away")));
    }
    let opens = if arguments.shares { ask_sheets(&context.ui)? } else { context.passphrases.read_existing()? };
    // Words in the spelling of the backup, however they were typed.
    let words = BackupSecret::from_words(opens.expose_secret());
    let opens = words.as_ref().map_or(opens, BackupSecret::passphrase);
    // Nobody has seen the words that sheets stand for.
    let passphrase = if arguments.shares { context.passphrases.read_initial()? } else { opens.clone() };
    let waiting = context.ui.wallet_notice().begin();
    let (contents, last) = restore_wallet((&arguments.file, &opens), (&path, passphrase), context.now())?;
    let last = last.map(|last| last.to_string());
    drop(waiting);
    let messages = &context.ui.messages;
    let mut text = format!("{}\n", messages.format("restored", &[("wallet", &path.display().to_string())]));
    if let Some(last) = &last {
        text.push_str(&format!("{}\n", messages.format("restored-log", &[("time", last)])));
    }
    if words.is_some() && !arguments.shares {
        text.push_str(&format!("{}\n", messages.text("restored-words")));
    }
    let object = json!({
        "wallet": path.display().to_string(), "credentials": contents.credentials.len(), "last_entry_at": last,
    });
    context.ui.print_result(&text, &object);
    Ok(())
}

/// Asks for the words of as many sheets as the first one says, and returns the passphrase of the backup.
///
/// # Errors
/// `sheets_needed` without a terminal, at the end of the input, and if the sheets do not belong together.
fn ask_sheets(ui: &Ui) -> Result<SecretString, Failure> {
    let needed = || {
        let hint = Sentence::new("hint-sheets");
        Failure::usage(FailureReason::Program("sheets_needed"), Sentence::new("error-sheets-needed"), hint)
    };
    if !ui.can_ask() {
        return Err(needed());
    }
    let mut sheets: Vec<BackupSheet> = Vec::new();
    loop {
        let number = sheets.len().saturating_add(1).to_string();
        ui.print_text(&format!("{}: ", ui.messages.format("restore-sheet", &[("number", &number)])));
        let line = Zeroizing::new(carnet_console::read_line().ok_or_else(needed)?);
        let belongs = |sheet: &BackupSheet| {
            let is_new = sheets.iter().all(|known| known.number != sheet.number);
            is_new && sheets.first().is_none_or(|first| sheet.belongs_with(first))
        };
        match BackupSheet::from_words(&line).filter(belongs) {
            Some(sheet) => sheets.push(sheet),
            None => ui.print_text(&ui.format_wrapped(0, &ui.messages.text("restore-sheet-again"))),
        }
        if sheets.first().is_some_and(|first| sheets.len() >= usize::from(first.needed)) {
            return BackupSecret::join(&sheets).map(|secret| secret.passphrase()).ok_or_else(needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        arguments::Backup,
        commands::{backup, list},
        verifier_desk::{Fault, VerifierScene},
        wallet::{LogEntryKind, WalletContents, deletion::UNKNOWN_VERIFIER},
    };

    fn all_are_suspect(contents: &WalletContents) -> bool {
        let mut copies = contents.credentials.iter().flat_map(|held| &held.copies);
        copies.all(|copy| copy.presented_to.iter().any(|seen| seen == UNKNOWN_VERIFIER) && copy.commitments.is_empty())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_restored_counts_as_shown() {
        let scene = VerifierScene::set(Fault::None).await;
        let (wallet, copy) = (scene.folder.path().join("wallet.age"), scene.folder.path().join("copy.age"));
        backup::run(&scene.context, &Backup { file: copy.clone(), words: false, shares: None, of: None }).unwrap();
        assert_eq!(fs::read(&wallet).unwrap(), fs::read(&copy).unwrap());
        let again = backup::run(&scene.context, &Backup { file: copy.clone(), words: false, shares: None, of: None })
            .unwrap_err();
        assert_eq!(again.reason, "file_unwritable");
        scene.present().await.unwrap();
        assert_eq!(scene.contents().credentials[0].unused_copies(), 2);
        // An existing wallet is not replaced.
        let restore = Restore { file: copy, shares: false };
        assert_eq!(run(&scene.context, &restore).unwrap_err().reason, "wallet_exists");
        fs::remove_file(&wallet).unwrap();
        run(&scene.context, &restore).unwrap();
        let contents = scene.contents();
        assert!(all_are_suspect(&contents) && contents.credentials[0].unused_copies() == 0);
        assert_eq!(contents.log.newest().unwrap().kind, LogEntryKind::Restored);
        // From now on it is the newest file of its lineage.
        scene.change(|_| ());
        assert_eq!(scene.kinds().iter().filter(|kind| **kind == LogEntryKind::Restored).count(), 1);
        list::run(&scene.context).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_was_set_back_by_other_means_is_known() {
        let scene = VerifierScene::set(Fault::None).await;
        let wallet = scene.folder.path().join("wallet.age");
        let earlier = fs::read(&wallet).unwrap();
        scene.present().await.unwrap();
        let newer = fs::read(&wallet).unwrap();
        // Puts the newest file back unchanged.
        fs::write(&wallet, &newer).unwrap();
        scene.change(|_| ());
        assert_eq!(scene.contents().credentials[0].unused_copies(), 2);
        fs::write(&wallet, &earlier).unwrap();
        scene.change(|_| ());
        assert!(all_are_suspect(&scene.contents()));
        assert_eq!(scene.kinds().last(), Some(&LogEntryKind::Restored));
        scene.change(|_| ());
        assert_eq!(scene.kinds().iter().filter(|kind| **kind == LogEntryKind::Restored).count(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_on_another_machine_is_known_once() {
        let scene = VerifierScene::set(Fault::None).await;
        scene.change(|_| ());
        assert_eq!(scene.contents().credentials[0].unused_copies(), 3);
        for entry in fs::read_dir(scene.folder.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".mark") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        scene.change(|_| ());
        scene.change(|_| ());
        assert!(all_are_suspect(&scene.contents()));
        assert_eq!(scene.kinds(), [LogEntryKind::Restored]);
    }
}
