//! Opening of the wallet file for a command.

use std::{path::Path, rc::Rc};

use age::secrecy::SecretString;
use carnet_fetch::DidCache;
use carnet_wallet::{
    housekeeping::{bring_up_to_date, is_change_due, preview},
    ports::Clock as _,
};

use crate::{
    clock::CommandClock,
    failure::Failure,
    location::WalletLocation,
    network::NetworkSettings,
    secrets::PassphraseReader,
    ui::{Ui, notices::forgotten_text},
    wallet::{WalletContents, WalletFile, WalletPart, file::require, read_only},
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
        let path = self.location.file()?;
        // Checked before asking for a passphrase.
        require(&path)?;
        self.open_with(&path, self.passphrases.existing()?)
    }

    fn open_with(&self, path: &Path, passphrase: SecretString) -> Result<WalletFile, Failure> {
        let mut wallet = WalletFile::open(path, passphrase, &self.ui.busy_wait(), Box::new(self.ui.wallet_wait()))?;
        wallet.check_logs(&self.dids);
        self.network.pin_local_sites(&wallet.contents.local_sites);
        let changes = bring_up_to_date(&mut wallet, self.location.marks(path), self.clock.now())?;
        if changes.restored {
            self.ui.note(&self.ui.messages.text("restored-noticed"));
        }
        if let Some((count, start)) = changes.forgotten {
            self.ui.note(&forgotten_text(&self.ui.messages, count, start));
        }
        Ok(wallet)
    }

    /// Reads the whole wallet. If changes are due (restoration from a copy, expired log entries), they are made first;
    /// if the file is locked, they are made in the returned contents only.
    pub(crate) fn read(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletPart::Whole)
    }

    /// Reads the wallet as [`Self::read`] does, without the texts of copies.
    pub(crate) fn read_without_texts(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletPart::WithoutTexts)
    }

    fn read_as(&self, reading: WalletPart) -> Result<WalletContents, Failure> {
        let path = self.location.file()?;
        require(&path)?;
        let passphrase = self.passphrases.existing()?;
        let opening = self.ui.wallet_wait().begin();
        let mut contents = read_only(&path, &passphrase, reading)?;
        drop(opening);
        let marks = self.location.marks(&path);
        if is_change_due(&contents, &marks, self.clock.now()) {
            if self.open_with(&path, passphrase.clone()).is_ok() {
                contents = read_only(&path, &passphrase, reading)?;
            } else if preview(&mut contents, &marks, self.clock.now()).restored {
                // If the file is locked, the owner sees the same content; the next command changes the file.
                self.ui.note(&self.ui.messages.text("restored-noticed"));
            }
        }
        self.dids.remember(contents.logs.clone());
        self.network.pin_local_sites(&contents.local_sites);
        Ok(contents)
    }
}

#[cfg(test)]
mod tests;
