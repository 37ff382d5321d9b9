//! Fetching DID documents and their logs over HTTPS, with a time limit, a size limit and no way into private networks.

mod address;
mod cache;
mod https;
pub mod local;
mod seen;
pub mod visit;

pub use cache::{DidCache, MAX_STALE, is_unreachable};
pub use https::{FetchOptions, Fetched, HttpsFetcher};
