//! Fetching of DID documents and logs over HTTPS, limited in time and size, without access to private networks.

mod accepted_entries;
mod address;
mod cache;
pub mod diagnostics;
mod https;
pub mod local;
pub mod service;

pub use cache::{DidCache, MAX_DOCUMENT_AGE, is_fetch_failure};
pub use https::{FetchOptions, FetchedResource, HttpsFetcher};
