//! Fetching of DID documents and logs over HTTPS, limited in time and size, without access to private networks.

mod address;
mod cache;
mod https;
pub mod local;
mod seen;
pub mod service;
pub mod visit;

pub use cache::{DidCache, MAX_STALE, is_fetch_failure};
pub use https::{FetchOptions, FetchedResource, HttpsFetcher};
