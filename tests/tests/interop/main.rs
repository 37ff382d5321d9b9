//! Interoperability with independent implementations from npm and PyPI: the real programs on one side, a peer's library
//! on the other. `docs/interop.md` has the results; `UPDATE_DOCS=1` writes it again.

// Where something does not hold, a test ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod conformance;
mod credo;
mod data_integrity;
mod our_wallet;
mod report;
mod sd_jwt;
