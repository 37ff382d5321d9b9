//! The wallet: one encrypted file, its lock, what is in it.

pub(crate) mod contents;
pub(crate) mod file;
pub(crate) mod thresholds;

pub(crate) use contents::{
    Contents, Copy, Entry, EntryKind, HeldCredential, HolderKey, Pending, Registrar, ShownPart, Stage,
};
pub(crate) use file::{WalletFile, read_only};
