//! Command `carnet restore`: restores the wallet from a copy of its file.

use carnet_wallet::housekeeping::restore_wallet;
use serde_json::json;

use crate::{
    arguments::Restore,
    context::CommandContext,
    failure::{Failure, FailureReason, Sentence},
};

/// Creates the wallet from a copy of its file; never replaces an existing wallet. Presentations made after the copy are
/// not in it, so all credential copies count as presented. The restored wallet gets its own rollback mark.
pub(crate) fn run(context: &CommandContext, arguments: &Restore) -> Result<(), Failure> {
    let path = context.location.file_path()?;
    if path.symlink_metadata().is_ok() {
        let message = Sentence::new("error-wallet-exists-untouched").with("path", path.display());
        return Err(Failure::new(FailureReason::WalletExists, message, Sentence::new("hint-move-away")));
    }
    let passphrase = context.passphrases.read_existing()?;
    let waiting = context.ui.wallet_notice().begin();
    let (contents, last) = restore_wallet(&arguments.file, &path, passphrase, context.now())?;
    let last = last.map(|last| last.to_string());
    drop(waiting);
    let messages = &context.ui.messages;
    let mut text = format!("{}\n", messages.format("restored", &[("wallet", &path.display().to_string())]));
    if let Some(last) = &last {
        text.push_str(&format!("{}\n", messages.format("restored-log", &[("time", last)])));
    }
    let object = json!({
        "wallet": path.display().to_string(), "credentials": contents.credentials.len(), "last_entry_at": last,
    });
    context.ui.print_result(&text, &object);
    Ok(())
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
        backup::run(&scene.context, &Backup { file: copy.clone() }).unwrap();
        assert_eq!(fs::read(&wallet).unwrap(), fs::read(&copy).unwrap());
        let again = backup::run(&scene.context, &Backup { file: copy.clone() }).unwrap_err();
        assert_eq!(again.reason, "file_unwritable");
        scene.present().await.unwrap();
        assert_eq!(scene.contents().credentials[0].unused_copies(), 2);
        // An existing wallet is not replaced.
        let restore = Restore { file: copy };
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
