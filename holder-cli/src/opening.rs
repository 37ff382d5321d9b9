//! Opening of the wallet file for a command.

use std::{path::Path, rc::Rc};

use age::secrecy::SecretString;
use carnet_fetch::DidCache;
use carnet_wallet::{
    housekeeping::{apply_due_changes, apply_in_memory, is_change_due},
    ports::Clock as _,
};

use crate::{
    clock::CommandClock,
    failure::Failure,
    location::WalletLocation,
    network::NetworkSettings,
    secrets::PassphraseReader,
    ui::{Ui, notices::forgotten_text},
    wallet::{WalletContents, WalletFile, WalletScope, file::require_exists, read_wallet},
};

/// Opener of the wallet file of a command.
pub(crate) struct WalletOpener {
    pub(crate) location: Rc<WalletLocation>,
    pub(crate) passphrases: PassphraseReader,
    pub(crate) ui: Rc<Ui>,
    pub(crate) clock: CommandClock,
    /// Cache of DID documents, which gets the last accepted entries of did:webvh logs from the wallet.
    pub(crate) dids: DidCache,
    /// Network settings, which get the local services of the wallet.
    pub(crate) network: NetworkSettings,
}

impl WalletOpener {
    /// Opens the wallet for changes, after asking for the passphrase. Changes that are due are made, and the holder is
    /// told.
    ///
    /// # Errors
    /// `wallet_missing`; those of the passphrase and of [`WalletFile::open`].
    pub(crate) fn open(&self) -> Result<WalletFile, Failure> {
        let path = self.location.file_path()?;
        // Checked before asking for a passphrase.
        require_exists(&path)?;
        self.open_with(&path, self.passphrases.read_existing()?)
    }

    fn open_with(&self, path: &Path, passphrase: SecretString) -> Result<WalletFile, Failure> {
        let mut wallet = WalletFile::open(path, passphrase, &self.ui.lock_notice(), Box::new(self.ui.wallet_notice()))?;
        wallet.use_did_cache(&self.dids);
        self.network.pin_local_sites(&wallet.contents.local_services);
        let changes = apply_due_changes(&mut wallet, self.location.mark_directories(path), self.clock.now())?;
        if changes.restored {
            self.ui.print_note(&self.ui.messages.text("restored-noticed"));
        }
        if let Some((count, start)) = changes.deleted {
            self.ui.print_note(&forgotten_text(&self.ui.messages, count, start));
        }
        Ok(wallet)
    }

    /// Reads the whole wallet. If changes are due (restoration from a copy, expired log entries), they are made first;
    /// if the file is locked, they are made in the returned contents only.
    pub(crate) fn read(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletScope::Whole)
    }

    /// Reads the wallet as [`Self::read`] does, without the texts of copies.
    pub(crate) fn read_without_texts(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletScope::WithoutTexts)
    }

    fn read_as(&self, reading: WalletScope) -> Result<WalletContents, Failure> {
        let path = self.location.file_path()?;
        require_exists(&path)?;
        let passphrase = self.passphrases.read_existing()?;
        let opening = self.ui.wallet_notice().begin();
        let mut contents = read_wallet(&path, &passphrase, reading)?;
        drop(opening);
        let marks = self.location.mark_directories(&path);
        if is_change_due(&contents, &marks, self.clock.now()) {
            if self.open_with(&path, passphrase.clone()).is_ok() {
                contents = read_wallet(&path, &passphrase, reading)?;
            } else if apply_in_memory(&mut contents, &marks, self.clock.now()).restored {
                // If the file is locked, the owner sees the same content; the next command changes the file.
                self.ui.print_note(&self.ui.messages.text("restored-noticed"));
            }
        }
        self.dids.set_accepted_entries(contents.webvh_versions.clone());
        self.network.pin_local_sites(&contents.local_services);
        Ok(contents)
    }
}

#[cfg(test)]
mod tests;
