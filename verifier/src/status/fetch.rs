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
    secure::data_integrity::Cryptosuites,
    status::{VerifiedStatusList, publication::CREDENTIAL_MEDIA_TYPE, token},
    time::{CLOCK_SKEW, Timestamp},
    verify::StatusLists as _,
};
use carnet_fetch::{FetchedResource, HttpsFetcher, is_fetch_failure};
use rand_core::{OsRng, RngCore as _};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{IssuerSources, ListSource, StatusListMap};
use crate::{
    issuers::SignerDocumentFetcher,
    key_fetch_limits::{KeyFetchLimits, ListDigest, list_digest, may_need_newer_document},
};

/// Maximum number of lists of one issuer.
pub(super) const MAX_LISTS: usize = 384;
/// Maximum memory for the lists of one issuer, in bytes.
pub(super) const MAX_ISSUER_BYTES: usize = 256 * 1024 * 1024;
/// Maximum memory for the lists of all issuers, in bytes.
pub(super) const MAX_TOTAL_BYTES: usize = 2 * 1024 * 1024 * 1024;
/// Maximum size of a directory of lists, in bytes.
const MAX_DIRECTORY_BYTES: usize = 128 * 1024;
/// Maximum retry delay after a list or a directory could not be fetched or was refused, in seconds.
const RETRY_DELAY: i64 = 15;

/// Clock that starts at a given time and continues monotonically.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchClock {
    at: Timestamp,
    began: Instant,
}

impl FetchClock {
    /// Starts the clock at this time.
    pub(super) fn starting_at(at: Timestamp) -> Self {
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
    pub(super) signer_documents: SignerDocumentFetcher,
    pub(super) fetch_limits: Arc<Mutex<KeyFetchLimits>>,
    /// Cryptosuites of status list credentials.
    pub(super) suites: Cryptosuites,
    /// Lists in memory at the start of the job.
    pub(super) known_lists: Arc<StatusListMap>,
    /// Interval between fetches of a list, in seconds.
    pub(super) refresh_seconds: i64,
    pub(super) clock: FetchClock,
    /// Deadline of the job.
    pub(super) deadline: Instant,
}

/// Outcome of a fetch job.
pub(super) struct FetchOutcome {
    /// Sources of the issuer, with the new schedule.
    pub(super) sources: IssuerSources,
    /// Lists that were fetched and verified, or confirmed as unchanged, by URL.
    pub(super) fetched_lists: Vec<(String, Arc<VerifiedStatusList>)>,
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
struct ListFetchError {
    problem: Problem,
    /// Signer whose document may have to be fetched; `None`: nothing was fetched, or a newer document would not help.
    unknown_key: Option<UnknownKey>,
}

impl From<Problem> for ListFetchError {
    fn from(problem: Problem) -> Self {
        Self { problem, unknown_key: None }
    }
}

impl FetchJob {
    /// Fetches the directory if it is due, and then each list that is due, until the deadline or the first unreachable
    /// list. Then fetches signers' documents for lists with an unknown key.
    pub(super) async fn run(&self, mut sources: IssuerSources) -> FetchOutcome {
        sources.is_slow = false;
        self.fetch_directory(&mut sources).await;
        let mut outcome = FetchOutcome { sources, fetched_lists: Vec::new(), documents_changed: false };
        let mut unknown_keys = Vec::new();
        for url in outcome.sources.urls.clone().unwrap_or_default() {
            let before = outcome.sources.lists.get(&url);
            if before.is_some_and(|list| list.due > self.clock.now()) {
                continue;
            }
            let etag = before.and_then(|list| list.etag.clone());
            if self.deadline <= Instant::now() {
                outcome.sources.is_slow = true;
                tracing::warn!(
                    issuer = %outcome.sources.did(),
                    "an issuer's status lists take too long; the rest is fetched next time"
                );
                break;
            }
            let fetched = self.within_deadline(self.fetch_list(&outcome, &url, etag.clone())).await;
            let (due, etag, problem) = match fetched {
                Ok((listed, etag)) => {
                    let due = next_fetch_time(&listed, self.refresh_seconds);
                    outcome.fetched_lists.push((url.clone(), listed));
                    (due, etag, None)
                }
                Err(refusal) => {
                    self.log_fetch_error(outcome.sources.did(), &url, &refusal);
                    unknown_keys.extend(refusal.unknown_key);
                    // The list in memory remains until its own end: the refusal of a newer one does not affect it.
                    let retry = self.clock.now().plus(RETRY_DELAY.min(self.refresh_seconds));
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
        outcome.documents_changed = self.fetch_signer_documents(&outcome.sources, &unknown_keys).await;
        outcome
    }

    async fn fetch_directory(&self, sources: &mut IssuerSources) {
        let began = self.clock.now();
        if sources.due > began {
            return;
        }
        match self.within_deadline(self.fetch_list_urls(&sources.directory)).await {
            Ok((urls, freshness_seconds)) => {
                sources.freshness_seconds = freshness_seconds;
                sources.due = began.plus(shorten_at_random(self.refresh_seconds));
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
                sources.due = began.plus(RETRY_DELAY.min(self.refresh_seconds));
            }
        }
    }

    fn log_fetch_error(&self, issuer: &Did, url: &str, refusal: &ListFetchError) {
        let Problem { code, detail } = &refusal.problem;
        let held = self.known_lists.list(issuer.as_str(), url).is_some();
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
    async fn fetch_signer_documents(&self, sources: &IssuerSources, unknown_keys: &[UnknownKey]) -> bool {
        let issuer = sources.did();
        let lookups = || self.fetch_limits.lock().unwrap_or_else(PoisonError::into_inner);
        for UnknownKey { signer, list } in unknown_keys {
            if !lookups().admit_fetch(issuer.as_str(), *list, self.clock.now()) {
                continue;
            }
            match self.within_deadline(self.signer_documents.fetch_for_list(&sources.documents, signer)).await {
                Ok(true) => {
                    tracing::info!(
                        issuer = %issuer, signer = %signer,
                        "the document of a status list signer has changed; the lists are verified by the new one"
                    );
                    lookups().reset_delay(issuer.as_str());
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
                    lookups().permit_retry(issuer.as_str(), list);
                }
            }
        }
        false
    }

    /// Runs a future until the deadline of the job; after that, fails with `did_unresolved`.
    async fn within_deadline<T, E: From<Problem>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let late = || Problem::new(Code::DidUnresolved, "the issuer's server takes too long");
        timeout_at(self.deadline, work).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Fetches a directory of status lists. Returns the URLs of all lists (Token Status List section 9), which must
    /// have the directory's own origin, and the lifetime of freshness statements in seconds.
    async fn fetch_list_urls(&self, url: &str) -> Result<(BTreeSet<String>, Option<u32>), Problem> {
        let bytes = self.fetcher.fetch(url, "application/json", MAX_DIRECTORY_BYTES).await?;
        let limits = Limits { max_bytes: MAX_DIRECTORY_BYTES, ..Limits::DOCUMENT };
        let directory = json::parse(&bytes, limits)?;
        // An invalid number is ignored: it does not invalidate the lists.
        let seconds = directory.get("freshness_seconds").and_then(Value::as_u64);
        Ok((parse_directory(url, &directory)?, seconds.and_then(|seconds| u32::try_from(seconds).ok())))
    }

    /// Fetches and verifies a list, or confirms that it is unchanged. Returns it with its entity tag.
    async fn fetch_list(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        etag: Option<String>,
    ) -> Result<(Arc<VerifiedStatusList>, Option<String>), ListFetchError> {
        let did = outcome.sources.did();
        let held = self.known_lists.list(did.as_str(), url);
        // The time to live is counted from before the request.
        let began = self.clock.now();
        let confirmed = held.map(|held| held.confirmed_at(began));
        let confirmed = confirmed.filter(|held| held.validity().require_usable(began, began, CLOCK_SKEW).is_ok());
        let etag = etag.filter(|_| confirmed.is_some());
        let accept = format!("{CREDENTIAL_MEDIA_TYPE}, {}", token::MEDIA_TYPE);
        let max = Limits::STATUS_LIST.max_bytes;
        let Some(fetched) = self.fetcher.fetch_if_changed(url, &accept, max, etag.as_deref()).await? else {
            let confirmed = confirmed.ok_or_else(|| Problem::from(Code::StatusListUnavailable))?;
            return Ok((Arc::new(confirmed), etag));
        };
        let (listed, etag) = self.verify_list(outcome, url, fetched, began).await?;
        if held.is_some_and(|held| held.validity().issued_at > listed.validity().issued_at) {
            let problem = Problem::new(Code::StatusListStale, "the list is older than the one fetched before");
            return Err(problem.into());
        }
        self.require_memory_for(outcome, url, &listed)?;
        Ok((Arc::new(listed), etag))
    }

    /// Verifies a fetched list on a separate thread. Returns it with its entity tag.
    async fn verify_list(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        fetched: FetchedResource,
        began: Timestamp,
    ) -> Result<(VerifiedStatusList, Option<String>), ListFetchError> {
        let (documents, place, suites) = (outcome.sources.documents.clone(), url.to_owned(), self.suites.clone());
        let verified = tokio::task::spawn_blocking(move || {
            let issuer = documents.issuer.did();
            let verified =
                VerifiedStatusList::verify(&fetched.bytes, &place, issuer, (began, CLOCK_SKEW), (&documents, &suites));
            verified.map(|listed| (listed, fetched.etag)).map_err(|problem| {
                let signer = may_need_newer_document(problem.code)
                    .then(|| VerifiedStatusList::claimed_signer(&fetched.bytes).ok())
                    .flatten();
                let list = list_digest(&fetched.bytes);
                ListFetchError { problem, unknown_key: signer.map(|signer| UnknownKey { signer, list }) }
            })
        });
        verified.await.map_err(|_| Problem::new(Code::StatusListInvalid, "the list could not be read"))?
    }

    /// Refuses a list that would exceed the memory limit for its issuer or for all issuers.
    fn require_memory_for(
        &self,
        outcome: &FetchOutcome,
        url: &str,
        listed: &VerifiedStatusList,
    ) -> Result<(), Problem> {
        let (did, fresh) = (outcome.sources.did(), &outcome.fetched_lists);
        let replaced = |listed: &VerifiedStatusList, other: &str| {
            listed.credential_issuer() == did && (other == url || fresh.iter().any(|(fresh, _)| fresh == other))
        };
        let held = self.known_lists.values().flatten().filter(|(other, listed)| !replaced(listed, other));
        let (mut own, mut all) = (0_usize, 0_usize);
        for listed in held
            .map(|(_, listed)| listed)
            .chain(fresh.iter().map(|(_, listed)| listed))
            .map(AsRef::as_ref)
            .chain([listed])
        {
            let bytes = listed.entries().as_bytes().len();
            all = all.saturating_add(bytes);
            if listed.credential_issuer() == did {
                own = own.saturating_add(bytes);
            }
        }
        require_memory(own, all)
    }
}

/// Returns the URLs in a directory of status lists; an error if there are too many, or if any is not an https URL of
/// the directory's origin.
pub(super) fn parse_directory(directory: &str, said: &Value) -> Result<BTreeSet<String>, Problem> {
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
pub(super) fn deadline_after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// Refuses lists whose sizes, of one issuer or of all, exceed the memory limits.
pub(super) fn require_memory(own: usize, all: usize) -> Result<(), Problem> {
    match (own > MAX_ISSUER_BYTES, all > MAX_TOTAL_BYTES) {
        (true, _) => Err(Problem::new(Code::TooLarge, "the issuer's lists take too much memory")),
        (_, true) => Err(Problem::new(Code::TooLarge, "the lists of all issuers take too much memory")),
        _ => Ok(()),
    }
}

/// Returns the time of the next fetch of a list: after the configured interval, but before three quarters of its time
/// to live or remaining validity have passed, and earlier at random.
fn next_fetch_time(listed: &VerifiedStatusList, refresh: i64) -> Timestamp {
    let (freshness, fetched) = (listed.validity(), listed.fetched_at());
    let until = freshness.expires_at.map(|until| until.unix().saturating_sub(fetched.unix()));
    let lasts = [freshness.ttl, until].into_iter().flatten().min().unwrap_or(i64::MAX);
    // Three quarters of the lifetime, so that some time is left for retries.
    fetched.plus(shorten_at_random(refresh.min(lasts.saturating_sub(lasts / 4)).max(1)))
}

/// Shortens a duration at random by up to a quarter, but not below one second.
pub(super) fn shorten_at_random(seconds: i64) -> i64 {
    let quarter = u64::try_from(seconds / 4).unwrap_or_default();
    let sooner = OsRng.next_u64().checked_rem(quarter.saturating_add(1)).unwrap_or_default();
    seconds.saturating_sub(i64::try_from(sooner).unwrap_or_default()).max(1)
}
