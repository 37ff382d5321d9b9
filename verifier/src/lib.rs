//! Verifier service: requests presentations from holders, verifies them, and stores the result but not the claims.
//!
//! The use cases are methods of `verifier::Verifier`, independent of protocols and databases: `grpc` and `http` call
//! them, and `sqlite` implements the port `store`.

mod clock;
mod commands;
mod config;
mod decisions;
mod disclosed;
mod error;
mod foreign;
mod grpc;
mod holders_view;
mod http;
mod identity;
mod ids;
mod issuers;
mod key_lookups;
mod local;
mod openid;
mod presentations;
mod printable;
mod receipts;
mod recording;
mod redemption;
mod registration;
mod request;
mod requests;
mod results;
mod retention;
mod server;
mod setup;
mod sqlite;
mod statements;
mod status;
mod status_messages;
mod store;
mod tasks;
#[cfg(test)]
mod tests;
mod thresholds;
mod trust;
mod verdicts;
mod verification;
mod verifier;
mod watch;

pub use commands::{VerifierArguments, run};
