//! Shared parts of the issuer and the verifier services: configuration, staff identity, keys, stores, limits, and
//! errors in gRPC and HTTP responses.

mod calls;
pub mod client;
pub mod config;
mod connections;
pub mod directory;
pub mod doctor;
pub mod error;
pub mod failure;
pub mod fetcher;
pub mod http_wire;
pub mod keys;
pub mod local;
pub mod one_time_output;
pub mod qr;
pub mod serve;
pub mod staff;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod uri;
pub mod vc_api;
pub mod wire;

pub use carnet_disk as disk;
