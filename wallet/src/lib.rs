//! Holder's wallet as a library: offers and requests, least-disclosure answers, received copies, trust, the log, and
//! the encrypted file. It has no user interface, no network protocol and no clock of its own.
//!
//! Terms: a credential is issued in several *copies* with the same claims, each with its own holder key, salts and
//! signature, so that verifiers cannot link its presentations. A *refill* is the issuance of more copies, a *renewal*
//! of copies with a later expiry, both against a copy presented to the issuer. A *voucher* is a credential with a
//! limited number of uses, each shown by a *serial* (spec/entitlement.md). An *approval digest* approves one answer to
//! one request.

pub mod address;
pub mod answer;
pub mod automatic_refill;
pub mod deletion;
pub mod erasure;
pub mod failure;
pub mod foreign_display;
pub mod freshness;
pub mod hosts;
pub mod housekeeping;
pub mod issuance;
pub mod issuer_metadata;
pub mod languages;
pub mod link;
pub mod log_check;
#[cfg(any(test, feature = "fixtures"))]
pub mod memory;
pub mod need;
pub mod offer;
pub mod papers;
pub mod pinning;
pub mod ports;
pub mod present;
pub mod progress;
pub mod protocol;
pub mod receipt;
pub mod receive;
pub mod reissue;
pub mod request;
pub mod sanitise;
pub mod store;
pub mod transfer;
pub mod trust;
pub mod trust_lists;
pub mod verifier_identity;
