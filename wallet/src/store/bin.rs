//! Bin of a wallet: deleted credentials, which the holder can take back for 30 days.

use carnet_core::time::Timestamp;

use super::contents::{HeldCredential, WalletContents};

impl WalletContents {
    /// Returns all credentials whose texts the file has: those of the wallet, then those in its bin.
    pub(crate) fn stored_credentials(&self) -> impl Iterator<Item = &HeldCredential> {
        self.credentials.iter().chain(self.bin.iter().map(|binned| &binned.credential))
    }

    /// [`WalletContents::stored_credentials`], for changes.
    pub(crate) fn stored_credentials_mut(&mut self) -> impl Iterator<Item = &mut HeldCredential> {
        self.credentials.iter_mut().chain(self.bin.iter_mut().map(|binned| &mut binned.credential))
    }

    /// Returns whether the bin has a credential that was deleted more than 30 days ago.
    #[must_use]
    pub fn is_bin_due(&self, now: Timestamp) -> bool {
        self.bin.iter().any(|binned| now > binned.kept_until())
    }

    /// Permanently deletes the credentials that were put into the bin more than 30 days ago, and returns their number.
    pub fn empty_bin(&mut self, now: Timestamp) -> usize {
        let before = self.bin.len();
        self.bin.retain(|binned| now <= binned.kept_until());
        before.saturating_sub(self.bin.len())
    }
}
