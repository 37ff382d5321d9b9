//! Wallet storage: one encrypted file, its lock, and its contents.

pub(crate) mod contents;
pub(crate) mod file;
pub(crate) mod forgetting;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod packing;
pub(crate) mod presentations;
pub(crate) mod refusals;
pub(crate) mod requests;
pub(crate) mod standing;
pub(crate) mod texts;
pub(crate) mod thresholds;
pub(crate) mod trust;
pub(crate) mod vouchers;

pub(crate) use contents::{Contents, Copy, HeldCredential, HolderKey, Pending, Redemption, Registrar, Stage};
pub(crate) use file::{Reading, WalletFile, read_only};
pub(crate) use log::{Entry, EntryKind, ShownPart};
pub(crate) use trust::{PinnedList, Trust};
