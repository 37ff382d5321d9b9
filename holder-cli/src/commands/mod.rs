//! One file a verb.

pub(crate) mod delete;
pub(crate) mod erase;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod passphrase;
pub(crate) mod present;
pub(crate) mod receive;
pub(crate) mod refill;
pub(crate) mod refresh;
pub(crate) mod registrar;
pub(crate) mod renew;
pub(crate) mod report;
pub(crate) mod show;
pub(crate) mod trust;
