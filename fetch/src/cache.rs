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

#[derive(Debug, Clone)]
struct Entry {
    document: Arc<DidDocument>,
    at: Instant,
}

/// DID documents that were fetched before; resolves did:key and did:jwk by itself. Cheap to clone and share.
///
/// It holds at most 1,024 documents. [`Resolve::resolve`] answers from memory whatever the age;
/// the age is [`DidCache::refresh`]'s matter, which takes a document out when it is too old and
/// cannot be had anew: a key that may have been withdrawn verifies nothing.
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
    /// What [`HttpsFetcher::did_web`] refuses; a document that is too old is gone then.
    pub async fn refresh(&self, fetcher: &HttpsFetcher, did: &Did, max_age: Duration) -> Result<(), Problem> {
        if matches!(did.method(), "key" | "jwk") || self.is_fresh(did, max_age) {
            return Ok(());
        }
        match fetcher.did_web(did).await {
            Ok(document) => {
                self.insert(did, document);
                Ok(())
            }
            Err(problem) => {
                // Unless another call had it in the meantime.
                if !self.is_fresh(did, max_age) {
                    self.entries.write().unwrap_or_else(PoisonError::into_inner).remove(did);
                }
                Err(problem)
            }
        }
    }

    fn is_fresh(&self, did: &Did, max_age: Duration) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(did).is_some_and(|entry| entry.at.elapsed() < max_age)
    }
}

impl Resolve for DidCache {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        match did.method() {
            "key" | "jwk" => SelfContained.resolve(did),
            "web" => {
                let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
                entries.get(did).map(|entry| Arc::clone(&entry.document)).ok_or_else(|| {
                    Problem::new(Code::DidUnresolved, format!("the document of {did} has not been fetched"))
                })
            }
            _ => Err(Code::DidUnsupported.into()),
        }
    }
}
