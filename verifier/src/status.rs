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
    secure::data_integrity::Cryptosuites,
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
    issuers::{AcceptedIssuers, StatusListDocuments},
    key_fetch_limits::KeyFetchLimits,
};

mod fetch;
mod list_problems;
#[cfg(test)]
mod tests;

use fetch::{FetchClock, FetchJob, FetchOutcome, deadline_after};
use list_problems::{IssuerListProblems, StatusListSnapshot};

/// Maximum number of issuers whose lists are fetched at the same time.
const MAX_CONCURRENT_JOBS: usize = 32;
/// Maximum time of one fetch job of an issuer; the remaining lists wait for the next job.
const JOB_TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum time for which [`StatusListCache::refresh`] waits. Slower fetches continue in the background.
const REFRESH_WAIT: Duration = Duration::from_secs(2);
/// Maximum time between two checks for due lists, in seconds.
const MAX_WAIT: i64 = 30;

/// Configuration of the fetching of status lists.
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
type IssuerLists = HashMap<String, Arc<VerifiedStatusList>>;

/// All status lists: by the DID of the credentials' issuer, then by URL.
pub(crate) type StatusListMap = HashMap<String, IssuerLists>;

fn lists_of_issuer<'a>(
    lists: &'a StatusListMap,
    issuer: &Did,
) -> impl Iterator<Item = (&'a String, &'a Arc<VerifiedStatusList>)> {
    lists.get(issuer.as_str()).into_iter().flatten()
}

/// Status lists of all accepted issuers, and the schedule of their fetches.
pub(crate) struct StatusListCache {
    lists: ArcSwap<StatusListMap>,
    /// Results of the last fetches, with the reasons for missing lists, by the DID of the issuer.
    list_problems: ArcSwap<HashMap<String, IssuerListProblems>>,
    /// Interval between fetches of a list, in seconds.
    refresh_seconds: i64,
    work: tokio::sync::Mutex<FetchSchedule>,
    /// Time at which the next list is due, in Unix seconds.
    next_due: AtomicI64,
    /// Ends the wait for that time early.
    documents_changed: Notify,
    /// Limits on fetches of documents for lists with an unknown key.
    fetch_limits: Arc<Mutex<KeyFetchLimits>>,
}

/// Known issuers with their sources, and running fetch jobs.
#[derive(Default)]
struct FetchSchedule {
    sources: BTreeMap<Did, IssuerSources>,
    /// Running fetch jobs.
    running: JoinSet<FetchOutcome>,
    /// Issuers of the running jobs.
    busy: HashMap<task::Id, Did>,
}

/// Directory and lists of one issuer, with the schedule of their fetches.
struct IssuerSources {
    /// URL of the directory of status lists.
    directory: String,
    /// Time at which the directory is due.
    due: Timestamp,
    /// `true` if the last job used up its time: the next one waits for those of other issuers.
    is_slow: bool,
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
            list_problems: ArcSwap::default(),
            refresh_seconds: config.refresh_seconds.into(),
            work: tokio::sync::Mutex::default(),
            next_due: AtomicI64::default(),
            documents_changed: Notify::new(),
            fetch_limits: Arc::default(),
        }
    }

    /// Returns the current lists.
    pub(crate) fn lists(&self) -> Arc<StatusListMap> {
        self.lists.load_full()
    }

    /// Returns the current lists, with the reasons for missing ones.
    pub(crate) fn snapshot(&self) -> StatusListSnapshot {
        StatusListSnapshot { lists: self.lists(), list_problems: self.list_problems.load_full() }
    }

    /// Records the reasons why an issuer's lists are missing; `None` clears the record.
    fn record_refusals(&self, issuer: &Did, refusals: Option<IssuerListProblems>) {
        if self.list_problems.load().get(issuer.as_str()) == refusals.as_ref() {
            return;
        }
        self.list_problems.rcu(|old| {
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
            let own = lists.entry(listed.credential_issuer().to_string()).or_default();
            own.insert(url.to_owned(), Arc::new(listed.clone()));
            lists
        });
    }

    #[cfg(test)]
    pub(crate) async fn is_idle(&self) -> bool {
        self.work.lock().await.busy.is_empty()
    }

    /// Waits until a list is due, but at least one second and at most 30. Returns at once if a DID document changes.
    pub(crate) async fn wait_until_due(&self) {
        let seconds = self.next_due.load(Ordering::Relaxed).saturating_sub(now().unix()).clamp(1, MAX_WAIT);
        let _ =
            tokio::time::timeout(Duration::from_secs(seconds.unsigned_abs()), self.documents_changed.notified()).await;
    }

    /// Removes an issuer's lists whose signing keys or signers its documents no longer contain, or mark as revoked.
    fn drop_unverifiable(&self, documents: &StatusListDocuments, at: Timestamp) {
        let did = documents.issuer.did();
        let stands = |listed: &VerifiedStatusList| listed.check_signer(documents, (at, CLOCK_SKEW)).is_ok();
        if lists_of_issuer(&self.lists(), did).any(|(_, listed)| !stands(listed)) {
            tracing::warn!(
                issuer = %did,
                "status lists were dropped: the documents of the issuer and of its list signer no longer contain \
                 their key, or mark it as revoked"
            );
            self.replace_lists(did, |_, listed| stands(listed), &[]);
            // The previous documents led to these refusals.
            self.record_refusals(did, None);
        }
    }

    /// Removes the lists of an issuer for which `keep` returns `false`, and inserts `fresh`.
    fn replace_lists(
        &self,
        issuer: &Did,
        keep: impl Fn(&str, &VerifiedStatusList) -> bool,
        fresh: &[(String, Arc<VerifiedStatusList>)],
    ) {
        self.lists.rcu(|old| {
            let stays = lists_of_issuer(old, issuer).filter(|(url, listed)| keep(url, listed));
            let stays = stays.map(|(url, listed)| (url.clone(), Arc::clone(listed)));
            let own: IssuerLists = stays.chain(fresh.iter().cloned()).collect();
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
    pub(crate) async fn refresh(
        &self,
        issuers: &AcceptedIssuers,
        suites: &Cryptosuites,
        floor: &ClockFloor,
        at: Timestamp,
    ) {
        let (clock, until) = (FetchClock::starting_at(at), deadline_after(REFRESH_WAIT));
        let mut work = self.work.lock().await;
        let dids = issuers.issuer_dids();
        let mut waiting = self.take_waiting_sources(issuers, &mut work, &dids, at).into_iter();
        let mut again = false;
        loop {
            while work.running.len() < MAX_CONCURRENT_JOBS
                && let Some((did, sources)) = waiting.next()
            {
                let job = FetchJob {
                    fetcher: issuers.fetcher(),
                    signer_documents: issuers.signer_document_fetcher(),
                    fetch_limits: Arc::clone(&self.fetch_limits),
                    suites: suites.clone(),
                    known_lists: self.lists(),
                    refresh_seconds: self.refresh_seconds,
                    clock,
                    deadline: deadline_after(JOB_TIMEOUT),
                };
                let task = work.running.spawn(async move { job.run(sources).await });
                work.busy.insert(task.id(), did);
            }
            let Ok(Some(done)) = timeout_at(until, work.running.join_next_with_id()).await else { break };
            let id = done.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let (Some(did), Ok((_, outcome))) = (work.busy.remove(&id), done) else { continue };
            again |= outcome.documents_changed;
            work.sources.insert(did.clone(), self.apply_outcome(issuers, floor, &did, outcome, clock.now()));
        }
        // Sources that are still waiting come first at the next refresh.
        work.sources.extend(waiting);
        let struck: Vec<Did> = work.sources.keys().filter(|did| !dids.contains(did)).cloned().collect();
        for did in struck {
            work.sources.remove(&did);
            self.replace_lists(&did, |_, _| false, &[]);
            self.record_refusals(&did, None);
        }
        let accepted = |party: &str| Did::parse(party).is_ok_and(|did| dids.contains(&did));
        self.fetch_limits.lock().unwrap_or_else(PoisonError::into_inner).retain(accepted);
        let next = work.sources.values().map(IssuerSources::next_due).min().map_or(0, Timestamp::unix);
        // Running jobs are checked soon, and so are lists whose signers have a new document.
        let next = if work.busy.is_empty() && !again { next } else { 0 };
        self.next_due.store(next, Ordering::Relaxed);
    }

    /// Returns the sources of all issuers that have no running job, the most overdue first and slow issuers last, for
    /// new jobs, which fetch only what is due. Removes lists that the issuers' current documents no longer support.
    fn take_waiting_sources(
        &self,
        issuers: &AcceptedIssuers,
        work: &mut FetchSchedule,
        dids: &BTreeSet<Did>,
        at: Timestamp,
    ) -> Vec<(Did, IssuerSources)> {
        let mut waiting = Vec::new();
        for did in dids {
            let Ok(documents) = issuers.status_list_documents(did, at) else { continue };
            if work.busy.values().any(|busy| busy == did) {
                // The running job may have started with other documents.
                self.drop_unverifiable(&documents, at);
                continue;
            }
            let Some(directory) = documents.issuer.status_lists_url().map(str::to_owned) else {
                work.sources.remove(did);
                self.replace_lists(did, |_, _| false, &[]);
                self.record_refusals(did, None);
                continue;
            };
            let known = work.sources.remove(did);
            let mut sources = known.unwrap_or_else(|| IssuerSources::new(directory.clone(), documents.clone(), at));
            if sources.directory != directory {
                // The previous directory's lists remain valid until the new one was read.
                (sources.directory, sources.due) = (directory, at);
            }
            let changed = !sources.documents.same_documents(&documents);
            if changed || sources.next_due() <= at {
                // Before any fetch: an attacker with a leaked key may also prevent the host from responding.
                self.drop_unverifiable(&documents, at);
            }
            if changed {
                // New documents may contain new keys, so all lists are verified again.
                sources.lists.clear();
            }
            // Even if they are equal: the reason for a missing list may have changed.
            sources.documents = documents;
            waiting.push((did.clone(), sources));
        }
        waiting.sort_by_key(|(_, sources)| (sources.is_slow, sources.next_due()));
        waiting
    }

    /// Applies the result of a fetch job to the lists and the clock floor, and returns the issuer's sources.
    fn apply_outcome(
        &self,
        issuers: &AcceptedIssuers,
        floor: &ClockFloor,
        did: &Did,
        outcome: FetchOutcome,
        at: Timestamp,
    ) -> IssuerSources {
        let published = |url: &str| outcome.sources.urls.as_ref().is_none_or(|urls| urls.contains(url));
        self.replace_lists(did, |url, _| published(url), &outcome.fetched_lists);
        // Each list was signed before the current time and was valid on arrival.
        outcome.fetched_lists.iter().for_each(|(_, listed)| floor.raise(listed.validity().issued_at));
        self.record_refusals(did, Some(IssuerListProblems::from_sources(&outcome.sources)));
        // The documents may have changed since the lists were verified.
        if let Ok(documents) = issuers.status_list_documents(did, at) {
            self.drop_unverifiable(&documents, at);
        }
        outcome.sources
    }

    /// Removes the lists whose signing keys were removed from the DID documents of the issuers or their list signers,
    /// or were revoked, and wakes [`Self::wait_until_due`], so that the other lists are verified again. Does nothing
    /// for an issuer whose documents are not available.
    pub(crate) fn apply_new_documents(&self, issuers: &AcceptedIssuers, at: Timestamp) {
        for did in issuers.issuer_dids() {
            if let Ok(documents) = issuers.status_list_documents(&did, at) {
                self.drop_unverifiable(&documents, at);
            }
        }
        self.documents_changed.notify_one();
    }
}

impl IssuerSources {
    fn new(directory: String, documents: StatusListDocuments, due: Timestamp) -> Self {
        Self {
            directory,
            due,
            is_slow: false,
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
    fn next_due(&self) -> Timestamp {
        self.lists.values().map(|list| list.due).fold(self.due, Timestamp::min)
    }
}
