//! Fetches of one issuer's directory of status lists, and of the lists that are due.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use carnet_core::{
    Code, Problem,
    did::Did,
    endpoint::parse_endpoint,
    json::{self, Limits},
    secure::data_integrity::Suites,
    status::{VerifiedStatusList, publication::CREDENTIAL_MEDIA_TYPE, token},
    time::{CLOCK_SKEW, Timestamp},
    verify::StatusLists as _,
};
use carnet_fetch::{FetchedResource, HttpsFetcher, is_fetch_failure};
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{ListSource, Sources, StatusListMap};
use crate::{
    issuers::SignerDocuments,
    key_lookups::{KeyLookups, ListDigest, list_digest, needs_newer_document},
};

/// Maximum number of lists of one issuer.
pub(super) const MAX_LISTS: usize = 384;
/// Maximum memory for the lists of one issuer, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024 * 1024;
/// Maximum memory for the lists of all issuers, in bytes.
pub(super) const MAX_BYTES_OF_ALL: usize = 2 * 1024 * 1024 * 1024;
/// Maximum size of a directory of lists, in bytes.
const MAX_DIRECTORY: usize = 128 * 1024;
/// Maximum retry delay after a list or a directory could not be fetched or was refused, in seconds.
const RETRY: i64 = 15;

/// Clock that starts at a given time and continues monotonically.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchClock {
    at: Timestamp,
    began: Instant,
}

impl FetchClock {
    /// Starts the clock at this time.
    pub(super) fn from(at: Timestamp) -> Self {
        Self { at, began: Instant::now() }
    }

    /// Returns the current time by this clock.
    pub(super) fn now(&self) -> Timestamp {
        self.at.plus(i64::try_from(self.began.elapsed().as_secs()).unwrap_or(i64::MAX))
    }
}

/// Job that fetches the directory and the lists of one issuer that are due.
pub(super) struct FetchJob {
    pub(super) fetcher: HttpsFetcher,
    /// Fetcher of documents for lists with an unknown key.
    pub(super) signers: SignerDocuments,
    pub(super) lookups: Arc<Mutex<KeyLookups>>,
    /// Cryptosuites of status list credentials.
    pub(super) suites: Suites,
    /// Lists in memory at the start of the job.
    pub(super) held: Arc<StatusListMap>,
    /// Interval between fetches of a list, in seconds.
    pub(super) refresh: i64,
    pub(super) clock: FetchClock,
    /// Deadline of the job.
    pub(super) until: Instant,
}

/// Outcome of a fetch job.
pub(super) struct FetchOutcome {
    /// Sources of the issuer, with the new schedule.
    pub(super) sources: Sources,
    /// Lists that were fetched and verified, or confirmed as unchanged, by URL.
    pub(super) fresh: Vec<(String, Arc<VerifiedStatusList>)>,
    /// `true` if a document with which lists are verified has changed.
    pub(super) documents_changed: bool,
}

/// Refused list that a newer document of its signer may make valid.
struct UnknownKey {
    /// DID of the signer, as stated by the list.
    signer: Did,
    list: ListDigest,
}

/// Reason why no newer version of a list is available.
struct ListRefusal {
    problem: Problem,
    /// Signer whose document may have to be fetched; `None`: nothing was fetched, or a newer document would not help.
    unknown_key: Option<UnknownKey>,
}

impl From<Problem> for ListRefusal {
    fn from(problem: Problem) -> Self {
        Self { problem, unknown_key: None }
    }
}

impl FetchJob {
    /// Fetches the directory if it is due, and then each list that is due, until the deadline or the first unreachable
    /// list. Then fetches signers' documents for lists with an unknown key.
    pub(super) async fn run(&self, mut sources: Sources) -> FetchOutcome {
        sources.slow = false;
        self.fetch_directory(&mut sources).await;
        let mut outcome = FetchOutcome { sources, fresh: Vec::new(), documents_changed: false };
        let mut unknown_keys = Vec::new();
        for url in outcome.sources.urls.clone().unwrap_or_default() {
            let before = outcome.sources.lists.get(&url);
            if before.is_some_and(|list| list.due > self.clock.now()) {
                continue;
            }
            let etag = before.and_then(|list| list.etag.clone());
            if self.until <= Instant::now() {
                outcome.sources.slow = true;
                tracing::warn!(
                    issuer = %outcome.sources.did(),
                    "an issuer's status lists take too long; the rest is fetched next time"
                );
                break;
            }
            let fetched = self.in_time(self.list(&outcome, &url, etag.clone())).await;
            let (due, etag, problem) = match fetched {
                Ok((listed, etag)) => {
                    let due = due(&listed, self.refresh);
                    outcome.fresh.push((url.clone(), listed));
                    (due, etag, None)
                }
                Err(refusal) => {
                    self.warn_of(outcome.sources.did(), &url, &refusal);
                    unknown_keys.extend(refusal.unknown_key);
                    // The list in memory remains until its own end: the refusal of a newer one does not affect it.
                    let retry = self.clock.now().plus(RETRY.min(self.refresh));
                    (retry, etag, Some(refusal.problem))
                }
            };
            let away = problem.as_ref().is_some_and(|problem| is_fetch_failure(problem.code));
            outcome.sources.lists.insert(url, ListSource { due, etag, problem });
            if away {
                // The server is unreachable; its other lists are not tried one by one.
                break;
            }
        }
        outcome.documents_changed = self.look_up(&outcome.sources, &unknown_keys).await;
        outcome
    }

    async fn fetch_directory(&self, sources: &mut Sources) {
        let began = self.clock.now();
        if sources.due > began {
            return;
        }
        match self.in_time(self.directory(&sources.directory)).await {
            Ok((urls, freshness_seconds)) => {
                sources.freshness_seconds = freshness_seconds;
                sources.due = began.plus(earlier(self.refresh));
                sources.lists.retain(|url, _| urls.contains(url));
                sources.urls = Some(urls);
                sources.problem = None;
            }
            Err(problem) => {
                let Problem { code, detail } = &problem;
                if is_fetch_failure(*code) {
                    tracing::warn!(
                        issuer = %sources.did(), %code, detail,
                        "an issuer's directory of status lists could not be fetched; retrying; the cached lists are \
                         used until their end"
                    );
                } else {
                    tracing::warn!(
                        issuer = %sources.did(), %code, detail,
                        "an issuer's directory of status lists was fetched and is refused; retrying; the cached lists \
                         are used until their end"
                    );
                }
                sources.problem = Some(problem);
                sources.due = began.plus(RETRY.min(self.refresh));
            }
        }
    }

    fn warn_of(&self, issuer: &Did, url: &str, refusal: &ListRefusal) {
        let Problem { code, detail } = &refusal.problem;
        let held = self.held.list(issuer.as_str(), url).is_some();
        if *code == Code::StatusListUnavailable {
            tracing::warn!(
                issuer = %issuer, url, %code, detail, held,
                "a status list was fetched and cannot be verified, because the document of its signer is missing; \
                 retrying both; a cached list is used until its end"
            );
        } else if refusal.unknown_key.is_some() {
            tracing::warn!(
                issuer = %issuer, url, %code, detail, held,
                "a status list is signed with a key that the signer's document lacks; fetching the document again; a \
                 cached list is used until its end"
            );
        } else if is_fetch_failure(*code) {
            tracing::warn!(
                issuer = %issuer, url, %code, detail, held,
                "a status list could not be fetched; retrying; a cached list is used until its end"
            );
        } else {
            tracing::warn!(
                issuer = %issuer, url, %code, detail, held,
                "a status list was fetched and is refused; retrying; a cached list is used until its end"
            );
        }
    }

    /// Fetches a signer's document because of lists with an unknown key, if the limits permit it. Returns `true` if a
    /// document changed.
    async fn look_up(&self, sources: &Sources, unknown_keys: &[UnknownKey]) -> bool {
        let issuer = sources.did();
        let lookups = || self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        for UnknownKey { signer, list } in unknown_keys {
            if !lookups().admit(issuer.as_str(), *list, self.clock.now()) {
                continue;
            }
            match self.in_time(self.signers.fetch(&sources.documents, signer)).await {
                Ok(true) => {
                    tracing::info!(
                        issuer = %issuer, signer = %signer,
                        "the document of a status list signer has changed; the lists are verified by the new one"
                    );
                    lookups().changed(issuer.as_str());
                    return true;
                }
                Ok(false) => {
                    tracing::warn!(
                        issuer = %issuer, signer = %signer,
                        "the document of a status list signer has not changed: it lacks the key of the newest list"
                    );
                }
                Err(Problem { code, detail }) => {
                    if is_fetch_failure(code) {
                        tracing::warn!(
                            issuer = %issuer, signer = %signer, %code, detail,
                            "the document of a status list signer could not be fetched; retrying"
                        );
                    } else {
                        tracing::warn!(
                            issuer = %issuer, signer = %signer, %code, detail,
                            "the document of a status list signer was fetched and is refused; retrying"
                        );
                    }
                    lookups().failed(issuer.as_str(), list);
                }
            }
        }
        false
    }

    /// Runs a future until the deadline of the job; after that, fails with `did_unresolved`.
    async fn in_time<T, E: From<Problem>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let late = || Problem::new(Code::DidUnresolved, "the issuer's server takes too long");
        timeout_at(self.until, work).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Fetches a directory of status lists. Returns the URLs of all lists (Token Status List section 9), which must
    /// have the directory's own origin, and the lifetime of freshness statements in seconds.
    async fn directory(&self, url: &str) -> Result<(BTreeSet<String>, Option<u32>), Problem> {
        let bytes = self.fetcher.bytes(url, "application/json", MAX_DIRECTORY).await?;
        let limits = Limits { max_bytes: MAX_DIRECTORY, ..Limits::DOCUMENT };
        let directory = json::parse(&bytes, limits)?;
        // An invalid number is ignored: it does not invalidate the lists.
        let seconds = directory.get("freshness_seconds").and_then(Value::as_u64);
        Ok((own_lists(url, &directory)?, seconds.and_then(|seconds| u32::try_from(seconds).ok())))
    }

    /// Fetches and verifies a list, or confirms that it is unchanged. Returns it with its entity tag.
    async fn list(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        etag: Option<String>,
    ) -> Result<(Arc<VerifiedStatusList>, Option<String>), ListRefusal> {
        let did = outcome.sources.did();
        let held = self.held.list(did.as_str(), url);
        // The time to live is counted from before the request.
        let began = self.clock.now();
        let confirmed = held.map(|held| held.confirmed(began));
        let confirmed = confirmed.filter(|held| held.freshness().check(began, began, CLOCK_SKEW).is_ok());
        let etag = etag.filter(|_| confirmed.is_some());
        let accept = format!("{CREDENTIAL_MEDIA_TYPE}, {}", token::MEDIA_TYPE);
        let max = Limits::LIST.max_bytes;
        let Some(fetched) = self.fetcher.bytes_if_changed(url, &accept, max, etag.as_deref()).await? else {
            let confirmed = confirmed.ok_or_else(|| Problem::from(Code::StatusListUnavailable))?;
            return Ok((Arc::new(confirmed), etag));
        };
        let (listed, etag) = self.verify(outcome, url, fetched, began).await?;
        if held.is_some_and(|held| held.freshness().issued > listed.freshness().issued) {
            let problem = Problem::new(Code::StatusListStale, "the list is older than the one fetched before");
            return Err(problem.into());
        }
        self.require_room_beside(outcome, url, &listed)?;
        Ok((Arc::new(listed), etag))
    }

    /// Verifies a fetched list on a separate thread. Returns it with its entity tag.
    async fn verify(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        fetched: FetchedResource,
        began: Timestamp,
    ) -> Result<(VerifiedStatusList, Option<String>), ListRefusal> {
        let (documents, place, suites) = (outcome.sources.documents.clone(), url.to_owned(), self.suites.clone());
        let verified = tokio::task::spawn_blocking(move || {
            let issuer = documents.issuer.did();
            let verified =
                VerifiedStatusList::verify(&fetched.bytes, &place, issuer, (began, CLOCK_SKEW), (&documents, &suites));
            verified.map(|listed| (listed, fetched.etag)).map_err(|problem| {
                let signer = needs_newer_document(problem.code)
                    .then(|| VerifiedStatusList::claimed_signer(&fetched.bytes).ok())
                    .flatten();
                let list = list_digest(&fetched.bytes);
                ListRefusal { problem, unknown_key: signer.map(|signer| UnknownKey { signer, list }) }
            })
        });
        verified.await.map_err(|_| Problem::new(Code::StatusListInvalid, "the list could not be read"))?
    }

    /// Refuses a list that would exceed the memory limit for its issuer or for all issuers.
    fn require_room_beside(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        listed: &VerifiedStatusList,
    ) -> Result<(), Problem> {
        let (did, fresh) = (outcome.sources.did(), &outcome.fresh);
        let replaced = |listed: &VerifiedStatusList, other: &str| {
            listed.on_behalf_of() == did && (other == url || fresh.iter().any(|(fresh, _)| fresh == other))
        };
        let held = self.held.values().flatten().filter(|(other, listed)| !replaced(listed, other));
        let (mut own, mut all) = (0_usize, 0_usize);
        for listed in held
            .map(|(_, listed)| listed)
            .chain(fresh.iter().map(|(_, listed)| listed))
            .map(AsRef::as_ref)
            .chain([listed])
        {
            let bytes = listed.list().as_bytes().len();
            all = all.saturating_add(bytes);
            if listed.on_behalf_of() == did {
                own = own.saturating_add(bytes);
            }
        }
        require_room(own, all)
    }
}

/// Returns the URLs in a directory of status lists; an error if there are too many, or if any is not an https URL of
/// the directory's origin.
pub(super) fn own_lists(directory: &str, said: &Value) -> Result<BTreeSet<String>, Problem> {
    let invalid = |what: &str| Problem::new(Code::StatusListInvalid, format!("the directory of status lists {what}"));
    let origin = Url::parse(directory).map_err(|_| invalid("has no URL"))?.origin();
    let lists = said.get("status_lists").and_then(Value::as_array).ok_or_else(|| invalid("names none"))?;
    if lists.len() > MAX_LISTS {
        return Err(invalid("names too many"));
    }
    lists
        .iter()
        .map(|url| {
            let url = url.as_str().ok_or_else(|| invalid("has an entry that is not a URL"))?;
            let parsed = parse_endpoint(url).map_err(|error| invalid(&format!("has an entry that {error}")))?;
            if parsed.scheme() == "https" && parsed.origin() == origin {
                Ok(url.to_owned())
            } else {
                Err(invalid("names a list with an origin other than its own"))
            }
        })
        .collect()
}

/// Returns the instant after this time from now.
pub(super) fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// Refuses lists whose sizes, of one issuer or of all, exceed the memory limits.
pub(super) fn require_room(own: usize, all: usize) -> Result<(), Problem> {
    match (own > MAX_BYTES, all > MAX_BYTES_OF_ALL) {
        (true, _) => Err(Problem::new(Code::TooLarge, "the issuer's lists take too much memory")),
        (_, true) => Err(Problem::new(Code::TooLarge, "the lists of all issuers take too much memory")),
        _ => Ok(()),
    }
}

/// Returns the time of the next fetch of a list: after the configured interval, but before three quarters of its time
/// to live or remaining validity have passed, and earlier at random.
fn due(listed: &VerifiedStatusList, refresh: i64) -> Timestamp {
    let (freshness, fetched) = (listed.freshness(), listed.fetched());
    let until = freshness.until.map(|until| until.unix().saturating_sub(fetched.unix()));
    let lasts = [freshness.ttl, until].into_iter().flatten().min().unwrap_or(i64::MAX);
    // Three quarters of the lifetime, so that some time is left for retries.
    fetched.plus(earlier(refresh.min(lasts.saturating_sub(lasts / 4)).max(1)))
}

/// Shortens a duration at random by up to a quarter, but not below one second.
pub(super) fn earlier(seconds: i64) -> i64 {
    let quarter = u64::try_from(seconds / 4).unwrap_or_default();
    let sooner = OsRng.next_u64().checked_rem(quarter.saturating_add(1)).unwrap_or_default();
    seconds.saturating_sub(i64::try_from(sooner).unwrap_or_default()).max(1)
}
