//! Status lists (spec/status.md, For verifiers): fetched in the background for the accepted issuers, verified and
//! decompressed once, and shared by all verifications.
//!
//! The issuers' DID documents determine the set of lists. A verification looks lists up in memory and never fetches
//! them, so that fetches reveal nothing about presentations, and holders cannot cause requests. All lists are one
//! immutable value that is replaced atomically: a verification sees a consistent state without a lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use carnet_core::{
    Problem,
    did::Did,
    secure::data_integrity::Suites,
    status::VerifiedStatusList,
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_service::time::now;
use serde::Deserialize;
use tokio::{
    sync::Notify,
    task::{self, JoinError, JoinSet},
    time::timeout_at,
};

use crate::{
    clock::ClockFloor,
    issuers::{Issuers, StatusListDocuments},
    key_lookups::KeyLookups,
};

mod fetch;
mod refusals;
#[cfg(test)]
mod tests;

use fetch::{FetchClock, FetchJob, FetchOutcome, after};
use refusals::{Refusals, StatusListSnapshot};

/// Maximum number of issuers whose lists are fetched at the same time.
const AT_ONCE: usize = 32;
/// Maximum time of one fetch job of an issuer; the remaining lists wait for the next job.
const PATIENCE: Duration = Duration::from_secs(20);
/// Maximum time for which [`StatusListCache::refresh`] waits. Slower fetches continue in the background.
const LEAD: Duration = Duration::from_secs(2);
/// Maximum time between two checks for due lists, in seconds.
const LONGEST_PAUSE: i64 = 30;

/// Configuration of the status lists.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StatusConfig {
    /// Interval between fetches of a list, in seconds; the list's time to live may require a shorter one.
    pub(crate) refresh_seconds: u32,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { refresh_seconds: 60 }
    }
}

/// Status lists of one issuer's credentials, by URL.
type OfOne = HashMap<String, Arc<VerifiedStatusList>>;

/// All status lists: by the DID of the credentials' issuer, then by URL.
pub(crate) type StatusListMap = HashMap<String, OfOne>;

fn of<'a>(lists: &'a StatusListMap, issuer: &Did) -> impl Iterator<Item = (&'a String, &'a Arc<VerifiedStatusList>)> {
    lists.get(issuer.as_str()).into_iter().flatten()
}

/// Status lists of all accepted issuers, and the schedule of their fetches.
pub(crate) struct StatusListCache {
    lists: ArcSwap<StatusListMap>,
    /// Results of the last fetches, with the reasons for missing lists, by the DID of the issuer.
    refusals: ArcSwap<HashMap<String, Refusals>>,
    /// Interval between fetches of a list, in seconds.
    refresh: i64,
    work: tokio::sync::Mutex<Work>,
    /// Time at which the next list is due, in Unix seconds.
    next: AtomicI64,
    /// Ends the wait for that time early.
    woken: Notify,
    /// Limits on fetches of documents for lists with an unknown key.
    lookups: Arc<Mutex<KeyLookups>>,
}

/// Known issuers with their sources, and running fetch jobs.
#[derive(Default)]
struct Work {
    sources: BTreeMap<Did, Sources>,
    /// Running fetch jobs.
    running: JoinSet<FetchOutcome>,
    /// Issuers of the running jobs.
    busy: HashMap<task::Id, Did>,
}

/// Directory and lists of one issuer, with the schedule of their fetches.
struct Sources {
    /// URL of the directory of status lists.
    directory: String,
    /// Time at which the directory is due.
    due: Timestamp,
    /// `true` if the last job used up its time: the next one waits for those of other issuers.
    slow: bool,
    /// URLs of the lists in the directory; `None` before it was read.
    urls: Option<BTreeSet<String>>,
    /// Lifetime of the issuer's freshness statements in seconds, according to the directory.
    freshness_seconds: Option<u32>,
    /// Reason why the directory could not be read last.
    problem: Option<Problem>,
    lists: BTreeMap<String, ListSource>,
    /// DID documents with which the lists are verified.
    documents: StatusListDocuments,
}

/// Schedule of one list.
struct ListSource {
    /// Time at which the list is due.
    due: Timestamp,
    /// Entity tag of the last fetched version.
    etag: Option<String>,
    /// Reason why no newer version could be fetched last.
    problem: Option<Problem>,
}

impl StatusListCache {
    pub(crate) fn new(config: &StatusConfig) -> Self {
        Self {
            lists: ArcSwap::default(),
            refusals: ArcSwap::default(),
            refresh: config.refresh_seconds.into(),
            work: tokio::sync::Mutex::default(),
            next: AtomicI64::default(),
            woken: Notify::new(),
            lookups: Arc::default(),
        }
    }

    /// Returns the current lists.
    pub(crate) fn lists(&self) -> Arc<StatusListMap> {
        self.lists.load_full()
    }

    /// Returns the current lists, with the reasons for missing ones.
    pub(crate) fn snapshot(&self) -> StatusListSnapshot {
        StatusListSnapshot { lists: self.lists(), refusals: self.refusals.load_full() }
    }

    /// Records the reasons why an issuer's lists are missing; `None` clears the record.
    fn note_refusals(&self, issuer: &Did, refusals: Option<Refusals>) {
        if self.refusals.load().get(issuer.as_str()) == refusals.as_ref() {
            return;
        }
        self.refusals.rcu(|old| {
            let mut all = HashMap::clone(old);
            match &refusals {
                Some(refusals) => all.insert(issuer.to_string(), refusals.clone()),
                None => all.remove(issuer.as_str()),
            };
            all
        });
    }

    #[cfg(test)]
    pub(crate) fn put(&self, url: &str, listed: VerifiedStatusList) {
        self.lists.rcu(|old| {
            let mut lists = StatusListMap::clone(old);
            let own = lists.entry(listed.on_behalf_of().to_string()).or_default();
            own.insert(url.to_owned(), Arc::new(listed.clone()));
            lists
        });
    }

    #[cfg(test)]
    pub(crate) async fn is_idle(&self) -> bool {
        self.work.lock().await.busy.is_empty()
    }

    /// Waits until a list is due or a DID document changed, at least one second if nothing changed and at most 30.
    pub(crate) async fn wait_until_due(&self) {
        let seconds = self.next.load(Ordering::Relaxed).saturating_sub(now().unix()).clamp(1, LONGEST_PAUSE);
        let _ = tokio::time::timeout(Duration::from_secs(seconds.unsigned_abs()), self.woken.notified()).await;
    }

    /// Removes an issuer's lists whose signing keys or signers its documents no longer contain, or mark as revoked.
    fn drop_unless_by(&self, documents: &StatusListDocuments, at: Timestamp) {
        let did = documents.issuer.did();
        let stands = |listed: &VerifiedStatusList| listed.check_signer(documents, (at, CLOCK_SKEW)).is_ok();
        if of(&self.lists(), did).any(|(_, listed)| !stands(listed)) {
            tracing::warn!(
                issuer = %did,
                "status lists were dropped: the documents of the issuer and of its list signer no longer contain \
                 their key, or mark it as revoked"
            );
            self.replace(did, |_, listed| stands(listed), &[]);
            // The previous documents led to these refusals.
            self.note_refusals(did, None);
        }
    }

    /// Removes the lists of an issuer for which `keep` returns `false`, and inserts `fresh`.
    fn replace(
        &self,
        issuer: &Did,
        keep: impl Fn(&str, &VerifiedStatusList) -> bool,
        fresh: &[(String, Arc<VerifiedStatusList>)],
    ) {
        self.lists.rcu(|old| {
            let stays = of(old, issuer).filter(|(url, listed)| keep(url, listed));
            let stays = stays.map(|(url, listed)| (url.clone(), Arc::clone(listed)));
            let own: OfOne = stays.chain(fresh.iter().cloned()).collect();
            let mut lists = StatusListMap::clone(old);
            if own.is_empty() {
                lists.remove(issuer.as_str());
            } else {
                lists.insert(issuer.to_string(), own);
            }
            lists
        });
    }
}

impl StatusListCache {
    /// Fetches the due lists of every accepted issuer and verifies them with the cached documents and the cryptosuites
    /// of the program. Returns after at most two seconds; slower fetches continue in the background. Failures are logged
    /// as warnings, and lists in memory remain in use until they expire. Removes the lists of issuers that are no longer
    /// accepted.
    pub(crate) async fn refresh(&self, issuers: &Issuers, suites: &Suites, floor: &ClockFloor, at: Timestamp) {
        let (clock, until) = (FetchClock::from(at), after(LEAD));
        let mut work = self.work.lock().await;
        let dids = issuers.issuer_dids();
        let mut waiting = self.due_sources(issuers, &mut work, &dids, at).into_iter();
        let mut again = false;
        loop {
            while work.running.len() < AT_ONCE
                && let Some((did, sources)) = waiting.next()
            {
                let job = FetchJob {
                    fetcher: issuers.fetcher(),
                    signers: issuers.signers(),
                    lookups: Arc::clone(&self.lookups),
                    suites: suites.clone(),
                    held: self.lists(),
                    refresh: self.refresh,
                    clock,
                    until: after(PATIENCE),
                };
                let task = work.running.spawn(async move { job.run(sources).await });
                work.busy.insert(task.id(), did);
            }
            let Ok(Some(done)) = timeout_at(until, work.running.join_next_with_id()).await else { break };
            let id = done.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let (Some(did), Ok((_, outcome))) = (work.busy.remove(&id), done) else { continue };
            again |= outcome.documents_changed;
            work.sources.insert(did.clone(), self.apply(issuers, floor, &did, outcome, clock.now()));
        }
        // Sources that are still waiting come first at the next refresh.
        work.sources.extend(waiting);
        let struck: Vec<Did> = work.sources.keys().filter(|did| !dids.contains(did)).cloned().collect();
        for did in struck {
            work.sources.remove(&did);
            self.replace(&did, |_, _| false, &[]);
            self.note_refusals(&did, None);
        }
        let accepted = |party: &str| Did::parse(party).is_ok_and(|did| dids.contains(&did));
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner).retain(accepted);
        let next = work.sources.values().map(Sources::next).min().map_or(0, Timestamp::unix);
        // Running jobs are checked soon, and so are lists whose signers have a new document.
        let next = if work.busy.is_empty() && !again { next } else { 0 };
        self.next.store(next, Ordering::Relaxed);
    }

    /// Returns the sources of all issuers that have no running job, the most overdue first and slow issuers last, for
    /// new jobs, which fetch only what is due. Removes lists that the issuers' current documents no longer support.
    fn due_sources(
        &self,
        issuers: &Issuers,
        work: &mut Work,
        dids: &BTreeSet<Did>,
        at: Timestamp,
    ) -> Vec<(Did, Sources)> {
        let mut waiting = Vec::new();
        for did in dids {
            let Ok(documents) = issuers.status_list_documents(did, at) else { continue };
            if work.busy.values().any(|busy| busy == did) {
                // The running job may have started with other documents.
                self.drop_unless_by(&documents, at);
                continue;
            }
            let Some(directory) = documents.issuer.status_lists().map(str::to_owned) else {
                work.sources.remove(did);
                self.replace(did, |_, _| false, &[]);
                self.note_refusals(did, None);
                continue;
            };
            let known = work.sources.remove(did);
            let mut sources = known.unwrap_or_else(|| Sources::new(directory.clone(), documents.clone(), at));
            if sources.directory != directory {
                // The previous directory's lists remain valid until the new one was read.
                (sources.directory, sources.due) = (directory, at);
            }
            let changed = !sources.documents.same_documents(&documents);
            if changed || sources.next() <= at {
                // Before any fetch: an attacker with a leaked key may also prevent the host from responding.
                self.drop_unless_by(&documents, at);
            }
            if changed {
                // New documents may contain new keys, so all lists are verified again.
                sources.lists.clear();
            }
            // Even if they are equal: the reason for a missing list may have changed.
            sources.documents = documents;
            waiting.push((did.clone(), sources));
        }
        waiting.sort_by_key(|(_, sources)| (sources.slow, sources.next()));
        waiting
    }

    /// Applies the result of a fetch job to the lists and the clock floor, and returns the issuer's sources.
    fn apply(&self, issuers: &Issuers, floor: &ClockFloor, did: &Did, outcome: FetchOutcome, at: Timestamp) -> Sources {
        let published = |url: &str| outcome.sources.urls.as_ref().is_none_or(|urls| urls.contains(url));
        self.replace(did, |url, _| published(url), &outcome.fresh);
        // Each list was signed before the current time and was valid on arrival.
        outcome.fresh.iter().for_each(|(_, listed)| floor.raise(listed.freshness().issued));
        self.note_refusals(did, Some(Refusals::of(&outcome.sources)));
        // The documents may have changed since the lists were verified.
        if let Ok(documents) = issuers.status_list_documents(did, at) {
            self.drop_unless_by(&documents, at);
        }
        outcome.sources
    }

    /// Removes the lists whose signing keys were removed from the documents or revoked, and wakes
    /// [`Self::wait_until_due`], so that the other lists are verified again.
    pub(crate) fn apply_new_documents(&self, issuers: &Issuers, at: Timestamp) {
        for did in issuers.issuer_dids() {
            if let Ok(documents) = issuers.status_list_documents(&did, at) {
                self.drop_unless_by(&documents, at);
            }
        }
        self.woken.notify_one();
    }
}

impl Sources {
    fn new(directory: String, documents: StatusListDocuments, due: Timestamp) -> Self {
        Self {
            directory,
            due,
            slow: false,
            urls: None,
            freshness_seconds: None,
            problem: None,
            lists: BTreeMap::new(),
            documents,
        }
    }

    /// Returns the DID of the issuer of the credentials.
    fn did(&self) -> &Did {
        self.documents.issuer.did()
    }

    /// Returns the time at which the directory or the first list is due.
    fn next(&self) -> Timestamp {
        self.lists.values().map(|list| list.due).fold(self.due, Timestamp::min)
    }
}
