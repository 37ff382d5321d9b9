//! Status lists (spec/status.md, For verifiers): fetched in the background for the issuers that are accepted, verified and
//! unpacked once, and shared by all verdicts.
//!
//! Which lists there are is what an issuer's own DID document leads to. What a credential names is looked up in memory and
//! never fetched, so that nobody learns from this service who is presenting what, and nobody can make it send a request.
//! All lists together are one value that is replaced as a whole: a verdict looks at one state of all of them, and takes no lock.

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
    status::Listed,
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_service::time::now;
use serde::Deserialize;
use tokio::{
    sync::Notify,
    task::{self, JoinError, JoinSet},
    time::timeout_at,
};

use crate::{issuers::ListDocuments, verification::Verification};

mod fetch;
pub(crate) mod lookups;
mod refusals;
#[cfg(test)]
mod tests;

use fetch::{Clock, FetchJob, FetchOutcome, after};
use lookups::KeyLookups;
use refusals::{Refusals, StatusSnapshot};

/// How many issuers' lists are fetched at the same time.
const AT_ONCE: usize = 32;
/// Longest time for which the lists of one issuer are fetched; the rest of them waits for the next time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for all issuers together. Slower fetches continue in the background.
const LEAD: Duration = Duration::from_secs(2);
/// Longest time between two looks at what is due, in seconds.
const LONGEST_PAUSE: i64 = 30;

/// What the operator decides.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StatusConfig {
    /// How often lists are fetched again, in seconds; sooner where a list says so itself.
    pub(crate) refresh_seconds: u32,
}

impl Default for StatusConfig {
    fn default() -> Self {
        Self { refresh_seconds: 60 }
    }
}

/// The lists about one issuer's credentials, by URL.
type OfOne = HashMap<String, Arc<Listed>>;

/// All lists, by the DID of whose credentials they are about.
pub(crate) type Lists = HashMap<String, OfOne>;

fn of<'a>(lists: &'a Lists, issuer: &Did) -> impl Iterator<Item = (&'a String, &'a Arc<Listed>)> {
    lists.get(issuer.as_str()).into_iter().flatten()
}

/// The lists of all accepted issuers, and when which is fetched again.
pub(crate) struct Statuses {
    lists: ArcSwap<Lists>,
    /// Reasons for which there are no others, by issuer.
    refusals: ArcSwap<HashMap<String, Refusals>>,
    refresh: i64,
    work: tokio::sync::Mutex<Work>,
    /// When the next one is due, in Unix seconds.
    next: AtomicI64,
    /// Ends the pause before that.
    woken: Notify,
    lookups: Arc<Mutex<KeyLookups>>,
}

/// Sources found so far, and running fetches.
#[derive(Default)]
struct Work {
    sources: BTreeMap<Did, Sources>,
    running: JoinSet<FetchOutcome>,
    /// Whose they are.
    busy: HashMap<task::Id, Did>,
}

/// Where the lists of one issuer come from.
struct Sources {
    directory: String,
    due: Timestamp,
    /// The last job took all its time: the next one comes after those of others.
    slow: bool,
    /// URLs that the directory names; none before it was read.
    urls: Option<BTreeSet<String>>,
    /// For how long each freshness statement of the issuer holds, as the directory says.
    freshness_seconds: Option<u32>,
    /// Reason for which the directory was not read the last time.
    problem: Option<Problem>,
    lists: BTreeMap<String, ListSource>,
    /// By what they were verified.
    documents: ListDocuments,
}

/// One list's next time.
struct ListSource {
    due: Timestamp,
    etag: Option<String>,
    /// Reason for which there was no newer one the last time.
    problem: Option<Problem>,
}

impl Statuses {
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

    /// All lists as they are now.
    pub(crate) fn lists(&self) -> Arc<Lists> {
        self.lists.load_full()
    }

    /// All lists as they are now, and why there are no others.
    pub(crate) fn snapshot(&self) -> StatusSnapshot {
        StatusSnapshot { lists: self.lists(), refusals: self.refusals.load_full() }
    }

    /// Notes why lists of an issuer did not come; `None` forgets it.
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
    pub(crate) fn put(&self, url: &str, listed: Listed) {
        self.lists.rcu(|old| {
            let mut lists = Lists::clone(old);
            let own = lists.entry(listed.on_behalf_of().to_string()).or_default();
            own.insert(url.to_owned(), Arc::new(listed.clone()));
            lists
        });
    }

    #[cfg(test)]
    pub(crate) async fn is_idle(&self) -> bool {
        self.work.lock().await.busy.is_empty()
    }

    /// Waits until something is due, or a document has changed.
    pub(crate) async fn pause(&self) {
        let seconds = self.next.load(Ordering::Relaxed).saturating_sub(now().unix()).clamp(1, LONGEST_PAUSE);
        let _ = tokio::time::timeout(Duration::from_secs(seconds.unsigned_abs()), self.woken.notified()).await;
    }

    /// Drops an issuer's lists by keys, or by signers, that its documents do not name any more or mark as revoked.
    fn drop_unless_by(&self, documents: &ListDocuments, at: Timestamp) {
        let did = documents.issuer.did();
        let stands = |listed: &Listed| listed.stands_by(documents, (at, CLOCK_SKEW)).is_ok();
        if of(&self.lists(), did).any(|(_, listed)| !stands(listed)) {
            tracing::warn!(issuer = %did, "status lists were dropped: the documents of the issuer and of who signs its lists do not have the key of theirs any more, or mark it as revoked");
            self.replace(did, |_, listed| stands(listed), &[]);
            // What was refused was refused by the documents of before.
            self.note_refusals(did, None);
        }
    }

    /// Puts lists in the place of an issuer's.
    fn replace(&self, issuer: &Did, keep: impl Fn(&str, &Listed) -> bool, fresh: &[(String, Arc<Listed>)]) {
        self.lists.rcu(|old| {
            let stays = of(old, issuer).filter(|(url, listed)| keep(url, listed));
            let stays = stays.map(|(url, listed)| (url.clone(), Arc::clone(listed)));
            let own: OfOne = stays.chain(fresh.iter().cloned()).collect();
            let mut lists = Lists::clone(old);
            if own.is_empty() {
                lists.remove(issuer.as_str());
            } else {
                lists.insert(issuer.to_string(), own);
            }
            lists
        });
    }
}

impl Verification {
    /// Fetches every list that is due of every accepted issuer, by the documents that are in memory. What cannot be
    /// fetched, or is refused, is warned of; what is in memory stays until its own end.
    pub(crate) async fn refresh_statuses(&self, at: Timestamp) {
        let (statuses, clock, until) = (&self.statuses, Clock::from(at), after(LEAD));
        let mut work = statuses.work.lock().await;
        let dids = self.issuers.dids();
        let mut waiting = self.sources(&mut work, &dids, at).into_iter();
        let mut again = false;
        loop {
            while work.running.len() < AT_ONCE
                && let Some((did, sources)) = waiting.next()
            {
                let job = FetchJob {
                    fetcher: self.issuers.fetcher(),
                    signers: self.issuers.signers(),
                    lookups: Arc::clone(&statuses.lookups),
                    held: statuses.lists(),
                    refresh: statuses.refresh,
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
            work.sources.insert(did.clone(), self.take(&did, outcome, clock.now()));
        }
        // Whose turn did not come has the first one of the next time.
        work.sources.extend(waiting);
        let struck: Vec<Did> = work.sources.keys().filter(|did| !dids.contains(did)).cloned().collect();
        for did in struck {
            work.sources.remove(&did);
            statuses.replace(&did, |_, _| false, &[]);
            statuses.note_refusals(&did, None);
        }
        let accepted = |party: &str| Did::parse(party).is_ok_and(|did| dids.contains(&did));
        statuses.lookups.lock().unwrap_or_else(PoisonError::into_inner).retain(accepted);
        let next = work.sources.values().map(Sources::next).min().map_or(0, Timestamp::unix);
        // Jobs that are running are looked after soon, and so are lists of whose signers there is a new document.
        let next = if work.busy.is_empty() && !again { next } else { 0 };
        statuses.next.store(next, Ordering::Relaxed);
    }

    /// Returns the sources of all issuers whose lists are not being fetched, those that are due first.
    fn sources(&self, work: &mut Work, dids: &BTreeSet<Did>, at: Timestamp) -> Vec<(Did, Sources)> {
        let statuses = &self.statuses;
        let mut waiting = Vec::new();
        for did in dids {
            let Ok(documents) = self.issuers.of_lists(did, at) else { continue };
            if work.busy.values().any(|busy| busy == did) {
                // The job that is running may have begun with other documents.
                statuses.drop_unless_by(&documents, at);
                continue;
            }
            let Some(directory) = documents.issuer.status_lists().map(str::to_owned) else {
                work.sources.remove(did);
                statuses.replace(did, |_, _| false, &[]);
                statuses.note_refusals(did, None);
                continue;
            };
            let known = work.sources.remove(did);
            let mut sources = known.unwrap_or_else(|| Sources::new(directory.clone(), documents.clone(), at));
            if sources.directory != directory {
                // The lists of the one before it count until the new one was read.
                (sources.directory, sources.due) = (directory, at);
            }
            let changed = !sources.documents.are(&documents);
            if changed || sources.next() <= at {
                // Before anything is fetched: who has a key that leaked may be the one who keeps the host from
                // answering.
                statuses.drop_unless_by(&documents, at);
            }
            if changed {
                // Other documents, and perhaps other keys: all lists are verified by them.
                sources.lists.clear();
            }
            // Also where they say the same: the reason for a missing one may be another by now.
            sources.documents = documents;
            waiting.push((did.clone(), sources));
        }
        waiting.sort_by_key(|(_, sources)| (sources.slow, sources.next()));
        waiting
    }

    /// Takes over what a job has brought.
    fn take(&self, did: &Did, outcome: FetchOutcome, at: Timestamp) -> Sources {
        let published = |url: &str| outcome.sources.urls.as_ref().is_none_or(|urls| urls.contains(url));
        self.statuses.replace(did, |url, _| published(url), &outcome.fresh);
        // By the clock of now each was signed before: they held when they came.
        outcome.fresh.iter().for_each(|(_, listed)| self.clock.raise(listed.freshness().issued));
        self.statuses.note_refusals(did, Some(Refusals::of(&outcome.sources)));
        // The documents may be others by now than those by which the lists were verified.
        if let Ok(documents) = self.issuers.of_lists(did, at) {
            self.statuses.drop_unless_by(&documents, at);
        }
        outcome.sources
    }

    /// Drops the lists by keys that the documents in memory do not have any more, or mark as revoked, and has the
    /// others verified by those documents soon.
    pub(crate) fn heed_new_documents(&self, at: Timestamp) {
        for did in self.issuers.dids() {
            if let Ok(documents) = self.issuers.of_lists(&did, at) {
                self.statuses.drop_unless_by(&documents, at);
            }
        }
        self.statuses.woken.notify_one();
    }
}

impl Sources {
    fn new(directory: String, documents: ListDocuments, due: Timestamp) -> Self {
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

    /// The issuer for whose credentials they are.
    fn did(&self) -> &Did {
        self.documents.issuer.did()
    }

    /// Returns the time at which the first of its lists is due.
    fn next(&self) -> Timestamp {
        self.lists.values().map(|list| list.due).fold(self.due, Timestamp::min)
    }
}
