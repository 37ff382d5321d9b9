//! Documents that were fetched before.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, Resolve, SelfContained},
};

use crate::HttpsFetcher;

/// The most documents that are kept; beyond it the oldest goes.
const CAPACITY: usize = 1024;

/// How long a document is believed that cannot be had anew: a day. A site that is down for a night stops nobody, and a
/// key that may have been withdrawn does not verify for ever.
pub const MAX_STALE: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
struct Entry {
    document: Arc<DidDocument>,
    at: Instant,
}

/// DID documents that were fetched before; resolves did:key and did:jwk by itself. Cheap to clone and share.
///
/// It holds at most 1,024 documents. [`Resolve::resolve`] answers from memory and never fetches; [`DidCache::refresh`]
/// fetches, and leaves the document in place that it could not have anew. After [`MAX_STALE`] it is refused.
#[derive(Debug, Clone, Default)]
pub struct DidCache {
    entries: Arc<RwLock<HashMap<Did, Entry>>>,
}

impl DidCache {
    /// Puts a document in, as if it had been fetched now.
    pub fn insert(&self, did: &Did, document: Arc<DidDocument>) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY && !entries.contains_key(did) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.at).map(|(did, _)| did.clone());
            if let Some(oldest) = oldest {
                entries.remove(&oldest);
            }
        }
        entries.insert(did.clone(), Entry { document, at: Instant::now() });
    }

    /// Fetches one DID's document unless it is self-contained, or cached and younger than `max_age`.
    ///
    /// # Errors
    /// What [`HttpsFetcher::did_web`] refuses; the document that was there stays.
    pub async fn refresh(&self, fetcher: &HttpsFetcher, did: &Did, max_age: Duration) -> Result<(), Problem> {
        if matches!(did.method(), "key" | "jwk") || self.is_fresh(did, max_age) {
            return Ok(());
        }
        let document = fetcher.did_web(did).await?;
        self.insert(did, document);
        Ok(())
    }

    /// What [`Resolve::resolve`] answers at an instant.
    ///
    /// # Errors
    /// `did_unresolved`: it was never fetched, or not for longer than [`MAX_STALE`]; `did_unsupported`.
    pub fn resolve_at(&self, did: &Did, now: Instant) -> Result<Arc<DidDocument>, Problem> {
        match did.method() {
            "key" | "jwk" => return SelfContained.resolve(did),
            "web" => {}
            _ => return Err(Code::DidUnsupported.into()),
        }
        let unresolved = |why: &str| Problem::new(Code::DidUnresolved, format!("the document of {did} {why}"));
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(did).ok_or_else(|| unresolved("has not been fetched"))?;
        if now.saturating_duration_since(entry.at) > MAX_STALE {
            return Err(unresolved("could not be fetched again for a day"));
        }
        Ok(Arc::clone(&entry.document))
    }

    fn is_fresh(&self, did: &Did, max_age: Duration) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(did).is_some_and(|entry| entry.at.elapsed() < max_age)
    }
}

impl Resolve for DidCache {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.resolve_at(did, Instant::now())
    }
}
