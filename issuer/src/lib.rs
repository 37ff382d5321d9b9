//! Issuer service: issues credentials to the wallets of their subjects.
//!
//! Use cases are methods of `issuer::Issuer`, independent of protocols and databases: they are generic over the port
//! `store::Store`, and their errors have a protocol-independent kind. `grpc/` and `http/` adapt the protocols;
//! `sqlite/` implements the store.
//!
//! Terms: staff create an *offer* with the claims of one credential. A wallet redeems it and receives a batch of
//! *copies*: the same credential signed several times, each for another key of the holder and with another status
//! index. A *refill* issues more copies, a *renewal* copies with a later expiry. An *act* is a recorded change of
//! status, or a message, by staff.

mod checks;
mod claims;
mod cohorts;
mod commands;
mod config;
mod credential;
mod decisions;
mod direct;
mod error;
mod format;
mod freshness;
mod grpc;
mod http;
mod import;
mod imports;
mod indices;
mod intent;
mod issuance;
mod issuer;
mod nonces;
mod offers;
mod policy;
mod proofs;
mod records;
mod redemption;
mod refill;
mod registrar;
mod reissue;
mod renewal;
mod renewal_intent;
mod secrets;
mod server;
mod setup;
mod shuffle;
mod sqlite;
mod statements;
mod status;
mod store;
mod suites;
mod sweep;
#[cfg(test)]
mod tests;
mod vouchers;
mod warnings;

pub use commands::{IssuerArguments, run};
