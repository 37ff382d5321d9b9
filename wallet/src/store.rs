//! Wallet storage: the contents of a wallet, the encrypted file with its lock, and the log.

pub mod bin;
pub mod cached_status;
pub mod contents;
pub mod deletion;
pub mod file;
mod held_states;
pub mod holder_key;
pub mod log;
mod lookup;
pub mod packing;
pub mod papers;
pub mod presentations;
pub mod refusals;
pub mod requests;
pub mod rollback_mark;
mod stored_text;
pub mod stored_texts;
pub mod thresholds;
pub mod trust;
pub mod vouchers;

pub use contents::{
    CredentialCopy, HeldCredential, IssuanceStage, OfferRedemption, PendingIssuance, PinnedRegistrar, WalletContents,
};
pub use file::{WalletFile, WalletScope, read_wallet};
pub use holder_key::HolderKey;
pub use log::{LogEntryKind, LoggedCredential, WalletLogEntry};
pub use trust::{PinnedList, WalletTrust};

use crate::failure::Failure;

/// Storage for the contents of a wallet.
pub trait WalletStore {
    /// Stores the contents atomically; on failure, the previously stored contents are unchanged.
    ///
    /// # Errors
    /// The contents cannot be written.
    fn save(&mut self, contents: &mut WalletContents) -> Result<(), Failure>;
}

/// Wallet opened for changes. Changes of the contents are stored by [`Wallet::save`].
pub struct Wallet<S> {
    /// Contents of the wallet.
    pub contents: WalletContents,
    /// Storage of the contents.
    pub(crate) store: S,
}

impl<S: WalletStore> Wallet<S> {
    /// Creates a wallet from contents and their storage.
    pub const fn new(contents: WalletContents, store: S) -> Self {
        Self { contents, store }
    }

    /// Stores the contents atomically; on failure, the previously stored contents are unchanged.
    ///
    /// # Errors
    /// The contents cannot be written.
    pub fn save(&mut self) -> Result<(), Failure> {
        self.store.save(&mut self.contents)
    }
}

/// Storage that keeps nothing, for tests and examples: the contents stay in the [`Wallet`].
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStore;

impl WalletStore for MemoryStore {
    fn save(&mut self, _: &mut WalletContents) -> Result<(), Failure> {
        Ok(())
    }
}
