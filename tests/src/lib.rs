//! The real programs as processes on loopback, for the demo and the end-to-end tests.
//!
//! [`programs`] builds, starts and stops them, [`terminal`] types to one as a person does, [`site`] is the web sites
//! where issuers publish their DID documents, [`desk`] the operators of a trust list, and [`visitor`] a holder
//! without a wallet, who can do what a wallet would not: forge. [`page`] writes the pages of `docs/` that are
//! made from a run, and [`journey`] those of a journey through several offices.

pub mod conformance;
pub mod desk;
pub mod journey;
pub mod keys;
pub mod page;
pub mod peer;
pub mod programs;
pub mod site;
pub mod stage;
pub mod stranger;
pub mod terminal;
pub mod visitor;

/// An error in the house: a sentence.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
