//! Verifier service: requests presentations from holders, verifies them, and stores the result but not the claims.
//!
//! The use cases are methods of `verifier::Verifier`, independent of protocols and databases: `grpc` and `http` call
//! them, and `sqlite` implements the port `store`.

mod batches;
mod clock;
mod commands;
mod config;
mod decisions;
mod disclosed;
mod error;
mod foreign;
mod grpc;
mod holder_details;
mod http;
mod identity;
mod ids;
mod issuers;
mod key_fetch_limits;
mod local;
mod openid;
mod presentations;
mod receipts;
mod recording;
mod redemption;
mod registration;
mod request;
mod request_object;
mod requests;
mod results;
mod retention;
mod server;
mod setup;
mod sqlite;
mod statement_age;
mod status;
mod status_messages;
mod store;
mod tasks;
#[cfg(test)]
mod tests;
mod thresholds;
mod trust;
mod untrusted_text;
mod verdicts;
mod verification;
mod verifier;
mod watch;

pub use commands::{VerifierArguments, run};
