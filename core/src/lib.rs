//! Credentials, their proofs, and their verification.
//!
//! The issuer, the verifier and the wallet build on this crate. It does no I/O, reads no clock, draws no randomness of
//! its own and keeps no global state: the caller passes in the time as a [`time::Timestamp`] and randomness as a
//! [`Rng`], and documents come through [`did::Resolve`].
//!
//! Bytes from outside are parsed once, strictly ([`json`]). [`verify`] returns a [`verify::VerificationReport`] of
//! named checks. Only a report without failures yields a [`verify::Verified`] value; nothing else can make one.

pub mod at_least;
mod cbor;
pub mod cohort;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod credential;
pub mod day;
pub mod did;
pub mod endpoint;
pub mod epoch;
pub mod format;
pub mod input;
pub mod json;
pub mod keys;
mod metadata;
pub mod presentation;
pub mod problem;
pub mod query;
pub mod readable;
pub mod receipt;
pub mod secure;
#[cfg(test)]
mod seeded;
pub mod spelling;
pub mod status;
pub mod text;
pub mod time;
pub mod trust;
pub mod verify;
mod wipe;

pub use problem::{Code, Problem};
pub use wipe::wipe;

/// Cryptographically secure random number generator that the caller passes in.
pub type Rng<'a> = &'a mut dyn rand_core::CryptoRngCore;
