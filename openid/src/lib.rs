//! Messages of the OpenID wires, and the rules that their texts state.
//!
//! The crate does for OpenID4VCI 1.0 what `carnet-proto` does for gRPC: it reads and writes messages, without I/O, clock
//! or async. Its readers refuse what the texts forbid with the texts' own error codes, ignore unknown members where
//! the texts demand it, and take JSON from [`carnet_core::json`] alone, which accepts no name twice. Its writers emit no
//! member that the texts do not define, except where a comment says so.

pub mod error;
pub mod form;
pub mod link;
mod secret;
pub mod vci;
pub mod vp;

pub use secret::Secret;
