//! Cache of DID documents.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidMethod, Resolve, SelfContained, webvh::WebVhLog},
    time::Timestamp,
};

use crate::{HttpsFetcher, seen::AcceptedEntries};

/// Limit on stored documents; beyond it the oldest is dropped. A few more than a trust list may name (spec/trust.md
/// 2.1).
const CAPACITY: usize = 20_480;

/// Maximum age of a document whose refresh fails: one day. It tolerates an outage of a night, and limits the use of a
/// key that may have been revoked.
pub const MAX_STALE: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
struct Entry {
    /// A verified log may say that there is no longer a document.
    document: Result<Arc<DidDocument>, Problem>,
    /// Time to live that the controller states, if any.
    ttl: Option<Duration>,
    /// By the calendar and not by a monotonic clock, which stops while a machine sleeps.
    at: Timestamp,
}

/// Cache of fetched DID documents, which also resolves did:key and did:jwk. Clones share the cache.
///
/// It remembers the last accepted entry of each did:webvh log, and refuses a log that does not continue it: for its own
/// lifetime, or permanently with [`DidCache::persist_in`] or [`DidCache::remember`].
///
/// It holds at most 20,480 documents. [`Resolve::resolve`] answers from memory and never fetches. [`DidCache::refresh`]
/// fetches, and keeps the old document if that fails, until it is older than [`MAX_STALE`].
#[derive(Debug, Clone, Default)]
pub struct DidCache {
    entries: Arc<RwLock<HashMap<Did, Entry>>>,
    /// Problems of failed last fetches.
    refusals: Arc<RwLock<HashMap<Did, Problem>>>,
    seen: Arc<Mutex<AcceptedEntries>>,
}

impl DidCache {
    /// Inserts a document as fetched at `at`. Returns whether it differs from the previous one.
    pub fn insert(&self, did: &Did, document: Arc<DidDocument>, at: Timestamp) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        put(&mut entries, did, Entry { document: Ok(document), ttl: None, at })
    }

    /// Stores the last accepted entry of each log in a file, so that an older log is refused after a restart too.
    /// Entries in an existing file are loaded. Call it before any log is accepted.
    ///
    /// # Errors
    /// The file is unreadable or malformed.
    pub fn persist_in(&self, file: PathBuf) -> io::Result<()> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = AcceptedEntries::read(file)?;
        Ok(())
    }

    /// Sets the last accepted entries, stored by the caller: `versionId` by DID. Call it before any log is accepted.
    pub fn remember(&self, seen: BTreeMap<String, String>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = AcceptedEntries::of(seen);
    }

    /// Returns the last accepted entry of each log, for [`DidCache::remember`].
    #[must_use]
    pub fn remembered(&self) -> BTreeMap<String, String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last().clone()
    }

    /// Inserts a log as fetched at `at`, in place of the previous one. Returns whether the document changed.
    ///
    /// # Errors
    /// `did_log_forked`: the log does not continue the previous one, which stays; `did_unresolved`: its last entry
    /// could not be stored.
    pub fn insert_log(&self, log: WebVhLog, at: Timestamp) -> Result<bool, Problem> {
        // Held until the log is in, so that of two at the same time the longer one stays.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.advance(&log)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let did = log.did().clone();
        Ok(put(&mut entries, &did, Entry { document: log.document(), ttl: Some(Duration::from_secs(log.ttl())), at }))
    }

    /// Fetches the document of a DID, unless it is derived from the DID, or cached and younger than `max_age`. If it is
    /// unchanged, [`Resolve::resolve`] continues to return the same `Arc`.
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::did_web`] and [`HttpsFetcher::did_webvh`], and `did_log_forked` (a log that does not
    /// continue the previous one); the cached document stays.
    pub async fn refresh(&self, fetcher: &HttpsFetcher, did: &Did, max_age: Duration) -> Result<(), Problem> {
        self.update(fetcher, did, max_age).await.map(drop)
    }

    /// Refreshes the document of a DID, as [`DidCache::refresh`]. Returns whether it changed.
    ///
    /// # Errors
    /// Those of [`DidCache::refresh`].
    pub async fn update(&self, fetcher: &HttpsFetcher, did: &Did, max_age: Duration) -> Result<bool, Problem> {
        if did.is_self_contained() || self.is_fresh(did, max_age) {
            return Ok(false);
        }
        let fetched = self.fetch(fetcher, did).await;
        let mut refusals = self.refusals.write().unwrap_or_else(PoisonError::into_inner);
        match &fetched {
            Ok(_) => drop(refusals.remove(did)),
            // The earlier ones stay: a configuration or a trust list names the DIDs that are fetched.
            Err(_) if refusals.len() >= CAPACITY && !refusals.contains_key(did) => {}
            Err(problem) => drop(refusals.insert(did.clone(), problem.clone())),
        }
        fetched
    }

    async fn fetch(&self, fetcher: &HttpsFetcher, did: &Did) -> Result<bool, Problem> {
        if did.method() == DidMethod::WebVh {
            let fetched = now();
            return self.insert_log(fetcher.did_webvh(did, fetched).await?, fetched);
        }
        let document = fetcher.did_web(did).await?;
        Ok(self.insert(did, document, now()))
    }

    /// Returns the error of the last fetch of a DID's document; `None` if it succeeded, or there was none.
    /// [`is_fetch_failure`] distinguishes a failed fetch from an invalid document.
    #[must_use]
    pub fn refusal(&self, did: &Did) -> Option<Problem> {
        self.refusals.read().unwrap_or_else(PoisonError::into_inner).get(did).cloned()
    }

    /// Resolves a DID from the cache at `now`.
    ///
    /// # Errors
    /// `did_unresolved`: it was never fetched, or its last successful fetch is older than [`MAX_STALE`]; the error of
    /// an invalid document, if there is no earlier valid one; `did_deactivated`; `did_unsupported`.
    pub fn resolve_at(&self, did: &Did, now: Timestamp) -> Result<Arc<DidDocument>, Problem> {
        match did.method() {
            DidMethod::Key | DidMethod::Jwk => return SelfContained.resolve(did),
            DidMethod::Web | DidMethod::WebVh => {}
            DidMethod::Other => return Err(Code::DidUnsupported.into()),
        }
        let problem = |code, what: String| Problem::new(code, format!("the document of {did} {what}"));
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(did).ok_or_else(|| match self.refusal(did) {
            None => problem(Code::DidUnresolved, "has not been fetched".to_owned()),
            Some(away) if is_fetch_failure(away.code) => {
                problem(Code::DidUnresolved, format!("could not be fetched: {}", away.detail))
            }
            Some(bad) => problem(code_of_bad(did, bad.code), format!("was fetched and is refused: {bad}")),
        })?;
        if apart(now, entry.at) > MAX_STALE {
            let last = self.refusal(did).map(|last| format!("; the last time: {last}")).unwrap_or_default();
            return Err(problem(Code::DidUnresolved, format!("could not be fetched again for a day{last}")));
        }
        entry.document.clone()
    }

    fn is_fresh(&self, did: &Did, max_age: Duration) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(did).is_some_and(|entry| {
            // A controller may want a refresh more often than the caller would.
            apart(now(), entry.at) < entry.ttl.map_or(max_age, |ttl| ttl.min(max_age))
        })
    }
}

/// Returns the code for a document or log that is bad. Those of a proof or of JSON would be taken for a credential's.
fn code_of_bad(did: &Did, code: Code) -> Code {
    match code {
        Code::DidDocumentInvalid | Code::DidLogInvalid | Code::DidLogForked | Code::DidLogWitness => code,
        _ if did.method() == DidMethod::WebVh => Code::DidLogInvalid,
        _ => Code::DidDocumentInvalid,
    }
}

/// Returns whether a code is for a failed fetch, not for an invalid document.
#[must_use]
pub const fn is_fetch_failure(code: Code) -> bool {
    matches!(code, Code::DidUnresolved | Code::AddressForbidden)
}

/// Inserts an entry. Returns whether its document differs from the one before it, which stays if it does not, so that
/// a comparison of documents can compare pointers.
fn put(entries: &mut HashMap<Did, Entry>, did: &Did, mut entry: Entry) -> bool {
    if entries.len() >= CAPACITY && !entries.contains_key(did) {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.at).map(|(did, _)| did.clone());
        if let Some(oldest) = oldest {
            entries.remove(&oldest);
        }
    }
    let before = entries.get(did).filter(|before| before.document == entry.document);
    let equal = before.map(|before| before.document.clone());
    let differs = equal.is_none();
    if let Some(equal) = equal {
        entry.document = equal;
    }
    entries.insert(did.clone(), entry);
    differs
}

impl Resolve for DidCache {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        self.resolve_at(did, now())
    }
}

/// Returns the absolute difference of two times: after a clock was set back, a document from its future is old as
/// well.
fn apart(a: Timestamp, b: Timestamp) -> Duration {
    Duration::from_secs(a.unix().abs_diff(b.unix()))
}

/// Reads the clock for callers that do not pass the time in. A clock before 1970 makes all cached documents old.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
