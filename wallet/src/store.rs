//! Wallet storage: one encrypted file, its lock, and its contents.

pub mod contents;
pub mod file;
pub mod forgetting;
pub mod log;
pub mod mark;
pub mod packing;
pub mod presentations;
pub mod refusals;
pub mod requests;
pub mod standing;
pub mod texts;
pub mod thresholds;
pub mod trust;
pub mod vouchers;

pub use contents::{Contents, Copy, HeldCredential, HolderKey, Pending, Redemption, Registrar, Stage};
pub use file::{Reading, WalletFile, read_only};
pub use log::{Entry, EntryKind, ShownPart};
pub use trust::{PinnedList, Trust};

use crate::failure::Failure;

/// Place that stores a wallet.
pub trait WalletStore {
    /// Stores the contents atomically; on failure those stored before remain.
    ///
    /// # Errors
    /// If they cannot be written.
    fn save(&mut self, contents: &mut Contents) -> Result<(), Failure>;
}

/// Wallet opened for changes, which [`Wallet::save`] stores.
pub struct Wallet<S> {
    /// Contents of the wallet.
    pub contents: Contents,
    /// Place that stores them.
    pub(crate) store: S,
}

impl<S: WalletStore> Wallet<S> {
    /// Opens contents that are stored in a place of the caller's.
    pub const fn new(contents: Contents, store: S) -> Self {
        Self { contents, store }
    }

    /// Stores the contents atomically; on failure those stored before remain.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save(&mut self) -> Result<(), Failure> {
        self.store.save(&mut self.contents)
    }
}

/// Store of a wallet that lives no longer than the program.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStore;

impl WalletStore for MemoryStore {
    fn save(&mut self, _: &mut Contents) -> Result<(), Failure> {
        Ok(())
    }
}
