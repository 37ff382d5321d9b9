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
