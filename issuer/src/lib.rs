//! The issuer: issues credentials to the wallets of the people they are about.
//!
//! Use cases are methods of [`issuer::Issuer`] and know no wire and no database: they are generic over the port
//! [`store::Store`], and their errors have a neutral kind. `grpc/` and `http/` convert between wire and use cases;
//! `sqlite/` stores.

mod claims;
mod cohorts;
mod commands;
mod config;
mod credential;
mod error;
mod format;
mod freshness;
mod grpc;
mod http;
mod issuance;
mod issuer;
#[cfg(feature = "jsonld")]
mod jsonld;
mod nonces;
mod offers;
mod proofs;
mod redemption;
mod refill;
mod registrar;
mod renewal;
mod secrets;
mod server;
mod setup;
mod sqlite;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod vouchers;
mod warnings;

pub use commands::{Arguments, run};
