//! OpenID4VCI 1.0 over HTTP, against the running issuer: a wallet that shares no code with it, and the conditions of
//! the OpenID Foundation's conformance modules under their names.

// Where something does not hold, a test ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod client;
mod conformance;
mod doors;
mod wallet;
