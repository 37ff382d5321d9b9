//! Subcommands, one file each.

pub(crate) mod backup;
pub(crate) mod delete;
pub(crate) mod erase;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod local;
pub(crate) mod log;
pub(crate) mod menu;
pub(crate) mod need;
pub(crate) mod paper;
pub(crate) mod passphrase;
pub(crate) mod present;
pub(crate) mod receipt;
pub(crate) mod receive;
pub(crate) mod refill;
pub(crate) mod refresh;
pub(crate) mod registrar;
pub(crate) mod renew;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod trust;
pub(crate) mod undo;
