//! Status lists (spec/status.md, For verifiers): fetched in the background for the issuers that are accepted, verified and
//! unpacked once, and shared by all verdicts.
//!
//! Which lists there are is what an issuer's own DID document leads to. What a credential names is looked up in memory and
//! never fetched, so that nobody learns from this service who is presenting what, and nobody can make it send a request.
//! All lists together are one value that is replaced as a whole: a verdict looks at one state of all of them, and takes no lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use carnet_core::{
    Code, Problem,
    did::Did,
    json::{self, Limits},
    secure::data_integrity::{Cryptosuite, eddsa_jcs::EddsaJcs2022},
    status::{Listed, publication::CREDENTIAL_MEDIA_TYPE, token},
    time::Timestamp,
    verify::StatusLists as _,
};
use carnet_fetch::HttpsFetcher;
use carnet_service::time::now;
use rand_core::{OsRng, RngCore as _};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use url::Url;

use crate::{
    issuers::ListDocuments,
    verification::{SKEW, Verification},
};

/// How many issuers' lists are fetched at the same time.
const AT_ONCE: usize = 32;
/// How long one issuer is looked at; what is left of its lists then waits for the next time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long all are waited for together. Who takes longer is gone on with, and nobody waits for them.
const LEAD: Duration = Duration::from_secs(2);
/// The most lists of one issuer.
const MAX_LISTS: usize = 384;
/// The most memory for the lists of one issuer, in bytes.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// The most memory for the lists of all issuers together, in bytes.
const MAX_BYTES_OF_ALL: usize = 2 * 1024 * 1024 * 1024;
/// The longest directory of lists, in bytes.
const MAX_DIRECTORY: usize = 128 * 1024;
/// How soon it is tried again what could not be had, in seconds.
const RETRY: i64 = 15;
/// The longest time between two looks at what is due, in seconds.
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
    refresh: i64,
    work: tokio::sync::Mutex<Work>,
    /// When the next one is due, in Unix seconds.
    next: AtomicI64,
}

/// What was found so far, and what is being looked at.
#[derive(Default)]
struct Work {
    sources: BTreeMap<Did, Sources>,
    running: JoinSet<Looked>,
    /// Whose they are.
    busy: HashMap<task::Id, Did>,
}

/// Where the lists of one issuer come from.
struct Sources {
    directory: String,
    due: Timestamp,
    /// The last look took all its time: the next one comes after those of others.
    slow: bool,
    urls: BTreeSet<String>,
    lists: BTreeMap<String, Source>,
    /// By what they were verified.
    documents: ListDocuments,
}

/// One list's next time.
struct Source {
    due: Timestamp,
    etag: Option<String>,
}

impl Statuses {
    pub(crate) fn new(config: &StatusConfig) -> Self {
        Self {
            lists: ArcSwap::default(),
            refresh: config.refresh_seconds.into(),
            work: tokio::sync::Mutex::default(),
            next: AtomicI64::default(),
        }
    }

    /// All lists as they are now.
    pub(crate) fn lists(&self) -> Arc<Lists> {
        self.lists.load_full()
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

    /// How long to wait until something is due.
    pub(crate) fn pause(&self) -> Duration {
        let seconds = self.next.load(Ordering::Relaxed).saturating_sub(now().unix()).clamp(1, LONGEST_PAUSE);
        Duration::from_secs(seconds.unsigned_abs())
    }

    /// Drops an issuer's lists by keys, or by somebody, that sign none any more.
    fn drop_unless_by(&self, documents: &ListDocuments, at: Timestamp) {
        let (lists, did) = (self.lists(), documents.issuer.did());
        let gone = |listed: &Listed| listed.stands_by(documents, (at, SKEW)).is_err();
        let gone: BTreeSet<&str> =
            of(&lists, did).filter(|(_, listed)| gone(listed)).map(|(url, _)| url.as_str()).collect();
        if !gone.is_empty() {
            tracing::warn!(issuer = %did, "status lists were dropped: who signed them does not sign the issuer's lists any more, or not with that key");
            self.replace(did, |url| !gone.contains(url), &[]);
        }
    }

    /// Puts lists in the place of an issuer's.
    fn replace(&self, issuer: &Did, keep: impl Fn(&str) -> bool, fresh: &[(String, Arc<Listed>)]) {
        self.lists.rcu(|old| {
            let stays = of(old, issuer).filter(|(url, _)| keep(url));
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
    /// Fetches every list that is due of every accepted issuer, by the documents that are in memory. What cannot be had is
    /// warned of; what is there stays until its own end.
    pub(crate) async fn refresh_statuses(&self, at: Timestamp) {
        let statuses = &self.statuses;
        let mut work = statuses.work.lock().await;
        let dids = self.issuers.dids();
        let mut waiting = Vec::new();
        for did in &dids {
            let Ok(documents) = self.issuers.of_lists(did, at) else { continue };
            if work.busy.values().any(|busy| busy == did) {
                // It may be looked at with what counted before.
                statuses.drop_unless_by(&documents, at);
                continue;
            }
            let Some(directory) = documents.issuer.status_lists().map(str::to_owned) else {
                work.sources.remove(did);
                statuses.replace(did, |_| false, &[]);
                continue;
            };
            let known = work.sources.remove(did);
            if known.as_ref().is_some_and(|known| !known.documents.are(&documents)) {
                // Before anything is fetched: who has a key that leaked may be the one who keeps the host from answering.
                statuses.drop_unless_by(&documents, at);
            }
            let known = known.filter(|known| known.directory == directory).unwrap_or_else(|| Sources {
                directory,
                due: at,
                slow: false,
                urls: BTreeSet::new(),
                lists: BTreeMap::new(),
                documents: documents.clone(),
            });
            waiting.push((did.clone(), known, documents));
        }
        waiting.sort_by_key(|(_, known, _)| (known.slow, known.next()));
        let until = after(LEAD);
        let mut waiting = waiting.into_iter();
        loop {
            while work.running.len() < AT_ONCE
                && let Some((did, known, documents)) = waiting.next()
            {
                let look = Look {
                    fetcher: self.issuers.fetcher(),
                    documents,
                    held: statuses.lists(),
                    refresh: statuses.refresh,
                    until: after(PATIENCE),
                };
                let task = work.running.spawn(async move { look.at(known).await });
                work.busy.insert(task.id(), did);
            }
            let Ok(Some(done)) = timeout_at(until, work.running.join_next_with_id()).await else { break };
            let id = done.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let (Some(did), Ok((_, looked))) = (work.busy.remove(&id), done) else { continue };
            let dropped = looked.dropped;
            let urls = &looked.sources.urls;
            statuses.replace(&did, |url| urls.contains(url) && !dropped.contains(url), &looked.fresh);
            work.sources.insert(did, looked.sources);
        }
        // Whose turn did not come has the first one of the next time.
        work.sources.extend(waiting.map(|(did, known, _)| (did, known)));
        let struck: Vec<Did> = work.sources.keys().filter(|did| !dids.contains(did)).cloned().collect();
        for did in struck {
            work.sources.remove(&did);
            statuses.replace(&did, |_| false, &[]);
        }
        let next = work.sources.values().map(Sources::next).min().map_or(0, Timestamp::unix);
        // Those that are being looked at are looked after soon.
        let next = if work.busy.is_empty() { next } else { 0 };
        statuses.next.store(next, Ordering::Relaxed);
    }
}

impl Sources {
    /// When the first of what it names is due.
    fn next(&self) -> Timestamp {
        self.lists.values().map(|list| list.due).fold(self.due, Timestamp::min)
    }
}

/// A look at what one issuer publishes.
struct Look {
    fetcher: HttpsFetcher,
    documents: ListDocuments,
    held: Arc<Lists>,
    refresh: i64,
    until: Instant,
}

/// What came of it.
struct Looked {
    sources: Sources,
    fresh: Vec<(String, Arc<Listed>)>,
    /// Lists by keys that do not sign lists any more.
    dropped: BTreeSet<String>,
}

impl Look {
    async fn at(&self, mut sources: Sources) -> Looked {
        let did = self.documents.issuer.did();
        // Another document, and perhaps other keys: what was verified by the one before is verified again.
        if !sources.documents.are(&self.documents) {
            sources.documents = self.documents.clone();
            sources.lists.clear();
        }
        sources.slow = false;
        let began = now();
        if sources.due <= began {
            match self.in_time(self.directory(&sources.directory)).await {
                Ok(urls) => {
                    sources.due = began.plus(earlier(self.refresh));
                    sources.lists.retain(|url, _| urls.contains(url));
                    sources.urls = urls;
                }
                Err(problem) => {
                    tracing::warn!(issuer = %did, code = %problem.code, detail = problem.detail, "an issuer's directory of status lists could not be had; it is tried again, and the lists that are there are used until their own end");
                    sources.due = began.plus(RETRY.min(self.refresh));
                }
            }
        }
        let mut looked = Looked { sources, fresh: Vec::new(), dropped: BTreeSet::new() };
        for url in looked.sources.urls.clone() {
            let before = looked.sources.lists.get(&url);
            let began = now();
            if before.is_some_and(|list| list.due > began) {
                continue;
            }
            let etag = before.and_then(|list| list.etag.clone());
            if self.until <= Instant::now() {
                looked.sources.slow = true;
                tracing::warn!(issuer = %did, "an issuer's status lists take too long; the others of it are fetched the next time");
                break;
            }
            let (due, etag, reached) = match self.in_time(self.list(&url, etag.clone(), &looked.fresh)).await {
                Ok((listed, etag)) => {
                    let due = due(&listed, self.refresh);
                    looked.fresh.push((url.clone(), listed));
                    (due, etag, true)
                }
                Err(problem) => {
                    tracing::warn!(issuer = %did, url, code = %problem.code, detail = problem.detail, "a status list could not be had; it is tried again, and the one that is there is used until its own end");
                    if matches!(problem.code, Code::KeyInvalid | Code::MethodUnknown | Code::MethodRelationship) {
                        looked.dropped.insert(url.clone());
                    }
                    (now().plus(RETRY.min(self.refresh)), etag, problem.code != Code::DidUnresolved)
                }
            };
            looked.sources.lists.insert(url, Source { due, etag });
            if !reached {
                // The server is away: the others are not waited for one by one.
                break;
            }
        }
        looked
    }

    /// What comes before the time for this issuer is over.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let late = || Problem::new(Code::DidUnresolved, "the issuer's server takes too long");
        timeout_at(self.until, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// The URLs of all lists (Token Status List section 9), each of the directory's own origin.
    async fn directory(&self, url: &str) -> Result<BTreeSet<String>, Problem> {
        let bytes = self.fetcher.bytes(url, "application/json", MAX_DIRECTORY).await?;
        let limits = Limits { max_bytes: MAX_DIRECTORY, ..Limits::DOCUMENT };
        own_lists(url, &json::parse(&bytes, limits)?)
    }

    /// One list, fetched and verified, or found to be the one that is there; with its entity tag.
    async fn list(
        &self,
        url: &str,
        etag: Option<String>,
        fresh: &[(String, Arc<Listed>)],
    ) -> Result<(Arc<Listed>, Option<String>), Problem> {
        let did = self.documents.issuer.did();
        let held = self.held.list(did.as_str(), url);
        // Its time to live counts from before it was asked for.
        let began = now();
        let confirmed = held.map(|held| held.confirmed(began));
        let confirmed = confirmed.filter(|held| held.freshness().check(began, began, SKEW).is_ok());
        let etag = etag.filter(|_| confirmed.is_some());
        let accept = format!("{CREDENTIAL_MEDIA_TYPE}, {}", token::MEDIA_TYPE);
        let max = Limits::LIST.max_bytes;
        let Some(fetched) = self.fetcher.bytes_unless(url, &accept, max, etag.as_deref()).await? else {
            let confirmed = confirmed.ok_or(Code::StatusListUnavailable)?;
            return Ok((Arc::new(confirmed), etag));
        };
        let (documents, place) = (self.documents.clone(), url.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            let issuer = documents.issuer.did();
            let suites: [&dyn Cryptosuite; 1] = [&EddsaJcs2022];
            Listed::verify(&fetched.bytes, &place, issuer, (began, SKEW), (&documents, &suites))
                .map(|listed| (listed, fetched.etag))
        });
        let (listed, etag) =
            verified.await.map_err(|_| Problem::new(Code::StatusListInvalid, "the list could not be read"))??;
        if held.is_some_and(|held| held.freshness().issued > listed.freshness().issued) {
            return Err(Problem::new(Code::StatusListStale, "the list is older than the one that was fetched before"));
        }
        let goes = |listed: &Listed, other: &str| {
            listed.on_behalf_of() == did && (other == url || fresh.iter().any(|(fresh, _)| fresh == other))
        };
        let held = self.held.values().flatten().filter(|(other, listed)| !goes(listed, other));
        let (mut own, mut all) = (0_usize, 0_usize);
        for listed in held
            .map(|(_, listed)| listed)
            .chain(fresh.iter().map(|(_, listed)| listed))
            .map(AsRef::as_ref)
            .chain([&listed])
        {
            let bytes = listed.list().as_bytes().len();
            all = all.saturating_add(bytes);
            if listed.on_behalf_of() == did {
                own = own.saturating_add(bytes);
            }
        }
        require_room(own, all)?;
        Ok((Arc::new(listed), etag))
    }
}

/// The lists that a directory names, if all of them are where the directory is.
fn own_lists(directory: &str, said: &Value) -> Result<BTreeSet<String>, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, format!("the directory of status lists {what}"));
    let origin = Url::parse(directory).map_err(|_| invalid("has no URL"))?.origin();
    let lists = said.get("status_lists").and_then(Value::as_array).ok_or_else(|| invalid("names none"))?;
    if lists.len() > MAX_LISTS {
        return Err(invalid("names too many"));
    }
    lists
        .iter()
        .map(|url| {
            let url = url.as_str().ok_or_else(|| invalid("names what is no URL"))?;
            let parsed = Url::parse(url).map_err(|_| invalid("names what is no URL"))?;
            if parsed.scheme() == "https" && parsed.origin() == origin {
                Ok(url.to_owned())
            } else {
                Err(invalid("names a list of another origin than its own"))
            }
        })
        .collect()
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// Refuses a list with which those of its issuer, or of all, would take too much memory.
fn require_room(own: usize, all: usize) -> Result<(), Problem> {
    match (own > MAX_BYTES, all > MAX_BYTES_OF_ALL) {
        (true, _) => Err(Problem::new(Code::TooLarge, "the issuer's lists take too much memory")),
        (_, true) => Err(Problem::new(Code::TooLarge, "the lists of all issuers take too much memory")),
        _ => Ok(()),
    }
}

/// When a list is fetched again: before its time to live and its end are over, and not with all others at once.
fn due(listed: &Listed, refresh: i64) -> Timestamp {
    let (freshness, fetched) = (listed.freshness(), listed.fetched());
    let until = freshness.until.map(|until| until.unix().saturating_sub(fetched.unix()));
    let lasts = [freshness.ttl, until].into_iter().flatten().min().unwrap_or(i64::MAX);
    // Three quarters of its time, so that there is some left to try again.
    fetched.plus(earlier(refresh.min(lasts.saturating_sub(lasts / 4)).max(1)))
}

/// Up to a quarter sooner, by chance.
fn earlier(seconds: i64) -> i64 {
    let quarter = u64::try_from(seconds / 4).unwrap_or_default();
    let sooner = OsRng.next_u64().checked_rem(quarter.saturating_add(1)).unwrap_or_default();
    seconds.saturating_sub(i64::try_from(sooner).unwrap_or_default()).max(1)
}

#[cfg(test)]
mod tests {
    use carnet_core::{
        did::DidDocument,
        keys::{Algorithm, SecretKey, Signer as _},
        status::{
            MIN_ENTRIES,
            publication::{Form, Publication, Terms},
        },
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn row_73_a_directory_leads_to_its_own_origin_alone() {
        let own = |url: &str| own_lists("https://uni.example/status/lists", &json!({ "status_lists": [url] }));
        assert_eq!(own("https://uni.example/status/token/0").unwrap().len(), 1);
        for other in [
            "https://internal.example/status/token/0",
            "https://uni.example:8443/status/token/0",
            "http://uni.example/status/token/0",
            "https://uni.example.org/status/token/0",
            "file:///etc/passwd",
            "/status/token/0",
            "",
        ] {
            assert_eq!(own(other).unwrap_err().code, Code::StatusListInvalid, "{other}");
        }
        let many: Vec<String> = (0..=MAX_LISTS).map(|n| format!("https://uni.example/status/token/{n}")).collect();
        assert!(own_lists("https://uni.example/status/lists", &json!({ "status_lists": many[1..] })).is_ok());
        assert!(own_lists("https://uni.example/status/lists", &json!({ "status_lists": many })).is_err());
    }

    #[test]
    fn lists_by_a_key_that_signs_none_any_more_are_dropped_without_being_fetched_anew() {
        let statuses = Statuses::new(&StatusConfig::default());
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        let document = |name: &str, revoked: bool| {
            let did = Did::parse(&format!("did:web:{name}.example")).unwrap();
            let mut rendered = DidDocument::render(&did, &[("1".to_owned(), key.public_key())]);
            if revoked {
                rendered["verificationMethod"][0]["revoked"] = json!("2026-11-01T00:00:00Z");
            }
            Arc::new(DidDocument::parse(&did, &rendered).unwrap())
        };
        for name in ["a", "b"] {
            let (document, url) = (document(name, false), format!("https://{name}.example/token/0"));
            let kid = document.did().with_fragment("1").unwrap();
            let terms = Terms { kid: &kid, url: &url, now: now(), validity: 60, ttl: 30 };
            let text = Publication::new(MIN_ENTRIES).unwrap().sign(Form::Token, &terms, &key).unwrap();
            let did = document.did().clone();
            let by = ListDocuments { issuer: document, named: None };
            statuses.put(&url, Listed::verify(text.as_bytes(), &url, &did, (now(), SKEW), (&by, &[])).unwrap());
        }
        let left = |revoked| {
            statuses.drop_unless_by(&ListDocuments { issuer: document("a", revoked), named: None }, now());
            let mut left: Vec<String> = statuses.lists().values().flat_map(HashMap::keys).cloned().collect();
            left.sort();
            left
        };
        assert_eq!(left(false), ["https://a.example/token/0", "https://b.example/token/0"]);
        assert_eq!(left(true), ["https://b.example/token/0"]);
    }

    #[test]
    fn lists_by_whom_an_issuer_names_are_its_own_and_end_when_it_names_nobody() {
        let statuses = Statuses::new(&StatusConfig::default());
        let url = "https://lists.example/token/0";
        let key = SecretKey::generate(Algorithm::EdDsa, &mut OsRng);
        let did = |name: &str| Did::parse(&format!("did:web:{name}.example")).unwrap();
        let documents = |name: &str, names: bool| {
            let keys = [("1".to_owned(), key.public_key())];
            let issuer = DidDocument::render(&did(name), &keys);
            let mut issuer = DidDocument::with_status_lists(&did(name), issuer, "https://lists.example/lists");
            if names {
                issuer["service"][0]["statusListIssuer"] = did("lists").as_str().into();
            }
            let named = DidDocument::parse(&did("lists"), &DidDocument::render(&did("lists"), &keys)).unwrap();
            let issuer = Arc::new(DidDocument::parse(&did(name), &issuer).unwrap());
            ListDocuments { issuer, named: names.then(|| Arc::new(named)) }
        };
        // Two issuers whose lists are the same one.
        let kid = did("lists").with_fragment("1").unwrap();
        let terms = Terms { kid: &kid, url, now: now(), validity: 60, ttl: 30 };
        let text = Publication::new(MIN_ENTRIES).unwrap().sign(Form::Token, &terms, &key).unwrap();
        for name in ["a", "b"] {
            let read = Listed::verify(text.as_bytes(), url, &did(name), (now(), SKEW), (&documents(name, true), &[]));
            statuses.put(url, read.unwrap());
        }
        let has = |name: &str| statuses.lists().list(did(name).as_str(), url).is_some();
        assert_eq!((has("a"), has("b"), has("lists")), (true, true, false));
        statuses.drop_unless_by(&documents("a", true), now());
        assert_eq!((has("a"), has("b")), (true, true));
        statuses.drop_unless_by(&documents("a", false), now());
        assert_eq!((has("a"), has("b")), (false, true));
        // The document of whom it names is not to be had any more.
        statuses.drop_unless_by(&ListDocuments { named: None, ..documents("b", true) }, now());
        assert_eq!((has("a"), has("b")), (false, false));
    }

    #[test]
    fn lists_have_so_much_memory_and_no_more() {
        assert!(require_room(MAX_BYTES, MAX_BYTES_OF_ALL).is_ok());
        assert_eq!(require_room(MAX_BYTES + 1, MAX_BYTES).unwrap_err().code, Code::TooLarge);
        assert_eq!(require_room(1, MAX_BYTES_OF_ALL + 1).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn what_is_fetched_again_is_fetched_before_its_end() {
        for seconds in [1, 2, 3, 4, 60, 300, 86_400] {
            for _ in 0..200 {
                let sooner = earlier(seconds);
                assert!(sooner >= 1 && sooner <= seconds && sooner >= seconds - seconds / 4, "{seconds} {sooner}");
            }
        }
    }
}
