//! Assertions of the W3C's test suites over VC-API, in our own words, against the running program. Each section of a suite
//! is a function; each refused document stands beside one that passes.

// Where an assertion does not hold, a test ends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice
)]

mod bitstring;
mod client;
mod data_integrity;
mod data_model;
mod did_key;
mod jose;
mod marks;
mod presentations;
mod vc_api;
