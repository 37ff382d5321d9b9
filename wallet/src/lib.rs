//! Holder's wallet as a library: offers and requests, least-disclosure answers, received copies, trust, the log, and
//! the encrypted file. It has no user interface, no network protocol and no clock of its own.

pub mod address;
pub mod answer;
pub mod collect;
pub mod deletion;
pub mod erasure;
pub mod failure;
pub mod freshness;
pub mod hosts;
pub mod housekeeping;
pub mod introduction;
pub mod languages;
pub mod link;
pub mod log_check;
#[cfg(any(test, feature = "fixtures"))]
pub mod memory;
pub mod need;
pub mod offer;
pub mod pinning;
pub mod ports;
pub mod present;
pub mod promise;
pub mod receipt;
pub mod receive;
pub mod reissue;
pub mod request;
pub mod sanitise;
pub mod store;
pub mod trust;
pub mod trust_lists;
pub mod upkeep;
pub mod waiting;
pub mod wire;
