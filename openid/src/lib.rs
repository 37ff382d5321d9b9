//! Messages of OpenID4VCI 1.0 and OpenID4VP 1.0, with the rules of the specifications.
//!
//! The crate parses and serialises messages, without I/O, clock or async. Parsers refuse invalid messages with the
//! error codes of the specifications, ignore unknown members where the specifications require it, and use the strict
//! JSON parser of [`carnet_core::json`]. Serialisers emit only members that the specifications define, unless a comment
//! says otherwise.

pub mod error;
pub mod form;
pub mod link;
mod secret;
pub mod vci;
pub mod vp;

pub use secret::SecretText;
