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
    did::{Did, DidDocument, DidMethods, Resolve, ResolvedDid},
    time::Timestamp,
};

use crate::{HttpsFetcher, accepted_entries::AcceptedEntries};

/// Maximum number of cached documents, and of stored fetch errors. A new document then replaces the one fetched longest
/// ago. Slightly more than the DIDs that a trust list may contain (spec/trust.md 2.1).
const MAX_DOCUMENTS: usize = 20_480;

/// Maximum age of a cached document: one day since its last successful fetch. It tolerates an outage of a night, and
/// limits the use of a key that may have been revoked.
pub const MAX_DOCUMENT_AGE: Duration = Duration::from_secs(86_400);

/// Cached document.
#[derive(Debug, Clone)]
struct CachedDocument {
    /// Document, or the reason why a verified log has none, such as deactivation.
    document: Result<Arc<DidDocument>, Problem>,
    /// Time to live stated in the log of the did:webvh; `None` for did:web.
    ttl: Option<Duration>,
    /// Time of the fetch, by the calendar and not by a monotonic clock, which stops while a machine sleeps.
    fetched_at: Timestamp,
}

/// Cache of fetched DID documents, which also resolves DIDs that contain their document. Clones share the cache.
///
/// For each did:webvh log it keeps the `versionId` of the last accepted entry, and refuses a log that does not continue
/// from it. The cache keeps these in memory; [`DidCache::persist_in`] stores them in a file, and
/// [`DidCache::accepted_entries`] returns them for storage by the caller.
///
/// It holds at most 20,480 documents. [`Resolve::resolve`] answers from memory and never fetches. [`DidCache::refresh`]
/// fetches, and keeps the old document if that fails; documents older than [`MAX_DOCUMENT_AGE`] are not used.
#[derive(Debug, Clone)]
pub struct DidCache {
    methods: DidMethods,
    entries: Arc<RwLock<HashMap<Did, CachedDocument>>>,
    /// Error of the last fetch, by DID; absent if the last fetch succeeded.
    fetch_errors: Arc<RwLock<HashMap<Did, Problem>>>,
    /// Last accepted entries of the did:webvh logs.
    accepted: Arc<Mutex<AcceptedEntries>>,
}

impl Default for DidCache {
    /// Creates an empty cache for the methods of carnet-core.
    fn default() -> Self {
        Self::new(DidMethods::standard())
    }
}

impl DidCache {
    /// Creates an empty cache for these DID methods.
    #[must_use]
    pub fn new(methods: DidMethods) -> Self {
        Self { methods, entries: Arc::default(), fetch_errors: Arc::default(), accepted: Arc::default() }
    }

    /// Returns the DID methods that are resolved.
    #[must_use]
    pub fn methods(&self) -> &DidMethods {
        &self.methods
    }

    /// Inserts a document fetched at `at`, in place of a previous one. Returns whether it differs from the previous
    /// one; `true` if there was none.
    pub fn insert_document(&self, did: &Did, document: Arc<DidDocument>, at: Timestamp) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        insert_entry(&mut entries, did, CachedDocument { document: Ok(document), ttl: None, fetched_at: at })
    }

    /// Stores the last accepted entry of each log in `file` from now on, so that an older log is refused after a
    /// restart too. Loads the entries of an existing file. To be called before any log is accepted.
    ///
    /// # Errors
    /// The file is unreadable or malformed.
    pub fn persist_in(&self, file: PathBuf) -> io::Result<()> {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = AcceptedEntries::load(file)?;
        Ok(())
    }

    /// Sets the last accepted entries, which the caller has stored: `versionId` by DID. To be called before any log is
    /// accepted.
    pub fn set_accepted_entries(&self, seen: BTreeMap<String, String>) {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = AcceptedEntries::in_memory(seen);
    }

    /// Returns the `versionId` of the last accepted entry of each log, by DID; input of [`DidCache::set_accepted_entries`].
    #[must_use]
    pub fn accepted_entries(&self) -> BTreeMap<String, String> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).by_did().clone()
    }

    /// Inserts a DID as resolved at `at`, in place of the previous result. Returns whether the document changed.
    ///
    /// # Errors
    /// `did_log_forked`: its history does not continue the previous one, which stays; `did_unresolved`: its last
    /// version could not be stored.
    pub fn insert_resolved(&self, did: &Did, resolved: ResolvedDid, at: Timestamp) -> Result<bool, Problem> {
        // The lock is held until the history is inserted, so that the longer of two concurrent ones stays.
        let mut seen = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        seen.advance(did, &resolved.versions)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let ttl = resolved.ttl.map(Duration::from_secs);
        Ok(insert_entry(&mut entries, did, CachedDocument { document: resolved.document, ttl, fetched_at: at }))
    }

    /// Fetches and caches the document of a DID, unless it is derived from the DID, or cached and younger than
    /// `max_age` and than the time to live stated in its log. If it is unchanged, [`Resolve::resolve`] continues to
    /// return the same `Arc`.
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::resolve_did`], and `did_log_forked` (a history that does not continue the previous one);
    /// the cached document stays.
    pub async fn refresh(&self, fetcher: &HttpsFetcher, did: &Did, max_age: Duration) -> Result<(), Problem> {
        self.refresh_and_compare(fetcher, did, max_age).await.map(drop)
    }

    /// Refreshes the document of a DID, as [`DidCache::refresh`]. Returns whether it changed; `false` if it was not
    /// fetched.
    ///
    /// # Errors
    /// Those of [`DidCache::refresh`].
    pub async fn refresh_and_compare(
        &self,
        fetcher: &HttpsFetcher,
        did: &Did,
        max_age: Duration,
    ) -> Result<bool, Problem> {
        let is_derived = self.methods.driver(did).is_ok_and(|driver| driver.derive(did).is_some());
        if is_derived || self.is_fresh(did, max_age) {
            return Ok(false);
        }
        let fetched = self.fetch(fetcher, did).await;
        let mut refusals = self.fetch_errors.write().unwrap_or_else(PoisonError::into_inner);
        match &fetched {
            Ok(_) => drop(refusals.remove(did)),
            // Beyond the maximum, earlier errors stay: a configuration or a trust list names the DIDs that are fetched.
            Err(_) if refusals.len() >= MAX_DOCUMENTS && !refusals.contains_key(did) => {}
            Err(problem) => drop(refusals.insert(did.clone(), problem.clone())),
        }
        fetched
    }

    /// Fetches and caches the document of a DID. Returns whether it changed.
    async fn fetch(&self, fetcher: &HttpsFetcher, did: &Did) -> Result<bool, Problem> {
        let fetched = now();
        self.insert_resolved(did, fetcher.resolve_did(did, fetched).await?, fetched)
    }

    /// Returns the error of the last fetch of a DID's document; `None` if it succeeded, or nothing was fetched.
    /// [`is_fetch_failure`] distinguishes a failed fetch from an invalid document.
    #[must_use]
    pub fn last_fetch_error(&self, did: &Did) -> Option<Problem> {
        self.fetch_errors.read().unwrap_or_else(PoisonError::into_inner).get(did).cloned()
    }

    /// Resolves a DID at `now`, from the cache, or from the DID itself for did:key and did:jwk.
    ///
    /// # Errors
    /// `did_unresolved`: it was never fetched successfully, or its last successful fetch is more than [`MAX_DOCUMENT_AGE`]
    /// ago. If the fetched document was invalid, and there is no earlier valid one: `did_document_invalid`,
    /// `did_log_invalid`, `did_log_forked` or `did_log_witness`. `did_deactivated`; `did_unsupported` (another method);
    /// an invalid did:key or did:jwk.
    pub fn resolve_at(&self, did: &Did, now: Timestamp) -> Result<Arc<DidDocument>, Problem> {
        let driver = self.methods.driver(did)?;
        if let Some(derived) = driver.derive(did) {
            return derived.map(Arc::new);
        }
        let problem = |code, what: String| Problem::new(code, format!("the document of {did} {what}"));
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(did).ok_or_else(|| match self.last_fetch_error(did) {
            None => problem(Code::DidUnresolved, "has not been fetched".to_owned()),
            Some(away) if is_fetch_failure(away.code) => {
                problem(Code::DidUnresolved, format!("could not be fetched: {}", away.detail))
            }
            Some(bad) => {
                let code = code_of_bad(driver.invalid_code(), bad.code);
                problem(code, format!("was fetched and is refused: {}", bad.text_within(code)))
            }
        })?;
        if time_difference(now, entry.fetched_at) > MAX_DOCUMENT_AGE {
            let last = self.last_fetch_error(did).map(|last| format!("; the last time: {last}")).unwrap_or_default();
            return Err(problem(Code::DidUnresolved, format!("could not be fetched again for a day{last}")));
        }
        entry.document.clone()
    }

    fn is_fresh(&self, did: &Did, max_age: Duration) -> bool {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(did).is_some_and(|entry| {
            // The DID controller may require more frequent refreshes than the caller.
            time_difference(now(), entry.fetched_at) < entry.ttl.map_or(max_age, |ttl| ttl.min(max_age))
        })
    }
}

/// Returns the error code for an invalid document or log. Codes about proofs or JSON would be mistaken for errors of a
/// credential.
fn code_of_bad(invalid: Code, code: Code) -> Code {
    match code {
        Code::DidDocumentInvalid | Code::DidLogInvalid | Code::DidLogForked | Code::DidLogWitness => code,
        _ => invalid,
    }
}

/// Returns whether a code is that of a failed fetch (`did_unresolved`, `address_forbidden`), and not of an invalid
/// document.
#[must_use]
pub const fn is_fetch_failure(code: Code) -> bool {
    matches!(code, Code::DidUnresolved | Code::AddressForbidden)
}

/// Inserts an entry. Returns whether its document differs from the previous one. An equal previous document is kept, so
/// that a comparison of documents can compare pointers.
fn insert_entry(entries: &mut HashMap<Did, CachedDocument>, did: &Did, mut entry: CachedDocument) -> bool {
    if entries.len() >= MAX_DOCUMENTS && !entries.contains_key(did) {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.fetched_at).map(|(did, _)| did.clone());
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

/// Returns the absolute difference of two times: after a clock was set back, a document fetched in its future counts as
/// old as well.
fn time_difference(a: Timestamp, b: Timestamp) -> Duration {
    Duration::from_secs(a.unix().abs_diff(b.unix()))
}

/// Returns the current time, for callers that do not pass it in. A clock before 1970 makes all cached documents old.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
