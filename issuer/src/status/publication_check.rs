//! The issuer's publication as fetched from its own web site: the status lists, and a signed statement with the id and
//! the publication number of their store.
//!
//! It is compared with the store. After the restoration of a whole data directory, the store and the mark beside the
//! keys agree; only the publication shows that both are outdated.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument},
    json::{self, Limits},
    keys::PublicKey,
    secure::jose::{Jws, numeric_date},
    status::{StatusListUrl, publication::ListFormat, token},
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::HttpsFetcher;
use carnet_service::{
    config::{StartError, invalid_field},
    fetcher::create_fetcher,
    keys::Keyring,
};
use serde_json::{Map, Value};

use super::{
    StatusPublisher,
    statement::{PublicationStatement, own_key},
};
use crate::{
    config::IssuerConfig,
    issuer::Issuer,
    store::{
        Store, StoreError, StoreTx as _,
        expiry::ExpiryRows as _,
        status::{PublishedStates, StatusState},
    },
};

/// Subject of the lists in [`PublicationProblems`](carnet_service::keys::PublicationProblems).
const LISTS_SUBJECT: &str = "the status lists";
/// Fault: the web site forwards to this service, but cannot reach it.
const SERVICE_UNREACHABLE: &str = "the web site answers that it cannot reach this service";
/// Delay of the first comparison after the start of the service.
const FIRST_CHECK_DELAY: Duration = Duration::from_secs(2);
/// Interval between two comparisons without a fault.
const CHECK_INTERVAL: Duration = Duration::from_secs(3_600);
/// Interval after a comparison with a fault.
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// Maximum size of a fetched status list token, in bytes: a list with the most entries, in base64.
const MAX_TOKEN_BYTES: usize = 6 << 20;

/// Web site on which an issuer publishes its lists, with what is needed to fetch and verify them.
#[derive(Debug, Clone)]
pub(crate) struct PublicationSite {
    /// URL under which the lists are published, without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) did: Did,
    /// DID document with the issuer's keys; compromised ones are marked as revoked.
    pub(crate) own_document: Arc<DidDocument>,
    pub(crate) fetcher: HttpsFetcher,
}

/// Result of comparing the publication with the store, unless the publication is newer.
#[derive(Debug)]
pub(crate) enum PublicationComparison {
    /// The publication is not newer than the store, or says nothing about its store.
    NotNewer,
    /// The web site keeps no copy: it forwards to this service, and could not reach it.
    NoCopy,
    /// The directory could not be fetched or verified.
    Unreadable(Problem),
}

/// Directory of the lists, as fetched: the statement about the store, and the lists' URLs.
#[derive(Debug)]
pub(crate) struct PublishedDirectory {
    /// Statement about the store; `None` in a publication of an older version.
    pub(crate) statement: Option<PublicationStatement>,
    urls: Vec<String>,
}

impl PublishedDirectory {
    /// Returns the status list tokens under a base URL, by their numbers.
    fn tokens<'a>(&'a self, base: &str) -> impl Iterator<Item = (i64, &'a String)> {
        let number = move |url: &String| {
            let listed = StatusListUrl::parse(url)?;
            (listed.base == base && listed.form == ListFormat::Token).then_some(listed.number)
        };
        self.urls.iter().filter_map(move |url| Some((number(url)?, url)))
    }
}

impl PublicationSite {
    /// Fetches the directory of the lists, and verifies its statement. `None` if the web site forwards to this service,
    /// cannot reach it, and keeps no copy.
    ///
    /// # Errors
    /// Those of [`HttpsFetcher::fetch`]; the directory is not a JSON object, or its statement is invalid.
    pub(crate) async fn fetch_directory(&self) -> Result<Option<PublishedDirectory>, Problem> {
        let (url, most) = (format!("{}/lists", self.base_url), Limits::DOCUMENT.max_bytes);
        let Some(bytes) = self.fetcher.fetch_through_proxy(&url, "application/json", most).await? else {
            return Ok(None);
        };
        let directory: Map<String, Value> = json::parse_object(&bytes, Limits::DOCUMENT)?;
        let statement = directory.get("publication").map(|text| {
            let text =
                text.as_str().ok_or_else(|| Problem::new(Code::MalformedValue, "publication is not a string"))?;
            PublicationStatement::verify(text, &self.did, &self.own_document)
        });
        let urls = directory.get("status_lists").and_then(Value::as_array).into_iter().flatten();
        let urls = urls.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Some(PublishedDirectory { statement: statement.transpose()?, urls }))
    }

    /// Fetches and verifies all lists of a directory, and returns their states and the numbers of those that could not
    /// be read. Expired lists are included, since they are the last publication.
    pub(crate) async fn fetch_states(&self, directory: &PublishedDirectory) -> (Vec<PublishedStates>, Vec<i64>) {
        let lists: BTreeMap<i64, &String> = directory.tokens(&self.base_url).collect();
        let (mut states, mut unread) = (Vec::new(), Vec::new());
        for (list, url) in lists {
            match self.fetch_list_states(list, url).await {
                Ok(read) => states.push(read),
                Err(problem) => {
                    tracing::warn!(url, %problem, "a published list could not be read");
                    unread.push(list);
                }
            }
        }
        (states, unread)
    }

    /// Verifies every list of a directory as a verifier does, including its validity period at `now`. Returns their
    /// number.
    ///
    /// # Errors
    /// The directory names no list of this site; a list cannot be fetched or is not valid. The text names the list.
    pub(crate) async fn verify_lists(&self, directory: &PublishedDirectory, now: Timestamp) -> Result<usize, String> {
        let urls: Vec<&String> = directory.tokens(&self.base_url).map(|(_, url)| url).collect();
        if urls.is_empty() {
            return Err(format!("{}/lists names no list", self.base_url));
        }
        for url in &urls {
            let verified = async {
                let (text, key, _) = self.fetch_token(url).await?;
                token::StatusListToken::parse(&text)?.verify(&key, url, now, CLOCK_SKEW).map(drop)
            };
            verified.await.map_err(|problem| format!("{url} cannot be used: {problem}"))?;
        }
        Ok(urls.len())
    }

    /// Fetches a status list token. Returns its text, the issuer's key that it names, and its `iat`. The signature is
    /// not verified.
    async fn fetch_token(&self, url: &str) -> Result<(String, PublicKey, Timestamp), Problem> {
        let bytes = self.fetcher.fetch(url, token::MEDIA_TYPE, MAX_TOKEN_BYTES).await?;
        let text = String::from_utf8(bytes).map_err(|_| Problem::from(Code::TokenMalformed))?;
        let jws = Jws::parse_within(&text, Limits::STATUS_LIST)?;
        let made = numeric_date(jws.payload(), "iat")?.ok_or(Code::ClaimMissing)?;
        let key = own_key(&jws, &self.did, &self.own_document)?;
        Ok((text, key, made))
    }

    /// Fetches a list, verifies it as of its signing time, and returns its states.
    async fn fetch_list_states(&self, list: i64, url: &str) -> Result<PublishedStates, Problem> {
        let (text, key, made) = self.fetch_token(url).await?;
        let (published, _) = token::StatusListToken::parse(&text)?.verify(&key, url, made, 0)?;
        let mut states = Vec::new();
        for position in 0..published.entry_count() {
            match published.value(position)? {
                token::VALID => {}
                token::SUSPENDED => states.push((position, StatusState::Suspended)),
                _ => states.push((position, StatusState::Revoked)),
            }
        }
        Ok(PublishedStates { list, entries: published.entry_count(), states })
    }
}

/// Increments the publication number at the first call on each day (UTC), if the store changed since the last such
/// call. Acts of staff and new lists increment it at once; other changes only once a day, since the number must not
/// reveal the time of an issuance.
///
/// # Errors
/// Store errors.
pub(crate) async fn raise_publication_daily<S: Store>(store: &S, now: Timestamp) -> Result<(), StoreError> {
    let noted_at = store.read().await?.publication_record().await?.raised_at;
    if noted_at.start_of_day() >= now.start_of_day() {
        return Ok(());
    }
    let mut tx = store.begin("raise_publication").await?;
    tx.raise_publication_number(now).await?;
    tx.commit().await
}

/// Comparison of the publication with the store, at the start and periodically.
pub(crate) struct PublicationWatch<S> {
    pub(crate) site: PublicationSite,
    pub(crate) store: S,
}

impl<S: Store> PublicationWatch<S> {
    /// Creates the comparison for a configuration and its keys; `None` if lists are not published.
    ///
    /// # Errors
    /// The configuration is invalid.
    pub(crate) fn from_config(config: &IssuerConfig, keys: &Keyring, store: &S) -> Result<Option<Self>, StartError> {
        let no_did = |problem: Problem| invalid_field("did", format!("did is {}: {problem}", config.did));
        let did = Did::parse(&config.did).map_err(no_did)?;
        let lists = StatusPublisher::new(&config.status, &did)?;
        let Some(base) = lists.base_url() else { return Ok(None) };
        let own = Arc::new(keys.own_document(&did).map_err(no_did)?);
        let site = PublicationSite {
            base_url: base.to_owned(),
            did,
            own_document: own,
            fetcher: create_fetcher(&config.serve)?,
        };
        Ok(Some(Self { site, store: store.clone() }))
    }

    /// Runs [`Self::watch_until_newer`]; waits forever if `watch` is `None`.
    pub(crate) async fn watch_if_published(watch: Option<Self>, issuer: Arc<Issuer<S>>) -> StartError {
        match watch {
            Some(watch) => watch.watch_until_newer(&issuer).await,
            None => std::future::pending().await,
        }
    }

    /// Compares once, before anything is published and before this service listens. A web site that cannot be reached
    /// causes a warning in the log and does not prevent the start; nor does one that forwards to this service.
    ///
    /// # Errors
    /// The publication belongs to another store, or to a later state of this one; the store cannot be read.
    pub(crate) async fn compare_at_start(&self) -> Result<(), StartError> {
        match self.compare().await? {
            PublicationComparison::NotNewer => {}
            PublicationComparison::NoCopy => tracing::info!(
                base = self.site.base_url,
                "the web site keeps no copy of the published lists and asks this service for them, so it cannot tell \
                 whether this store is the newest"
            ),
            PublicationComparison::Unreadable(problem) => tracing::warn!(
                base = self.site.base_url,
                %problem,
                "the published lists could not be read, so it is unknown whether this store is the newest; retrying"
            ),
        }
        Ok(())
    }

    /// Compares hourly, and a minute after a fault, and records faults for staff and operators. Returns an error when
    /// the publication is newer than the store: the service must stop.
    pub(crate) async fn watch_until_newer(self, issuer: &Issuer<S>) -> StartError {
        let mut pause = FIRST_CHECK_DELAY;
        loop {
            tokio::time::sleep(pause).await;
            let found = match self.compare().await {
                Ok(PublicationComparison::NotNewer) => self.check_served_lists(issuer).await,
                Ok(PublicationComparison::NoCopy) => Err(SERVICE_UNREACHABLE.to_owned()),
                Ok(PublicationComparison::Unreadable(problem)) => Err(problem.to_string()),
                Err(older) => {
                    return older.with_consequence("The service has stopped.");
                }
            };
            pause = if found.is_ok() { CHECK_INTERVAL } else { RETRY_DELAY };
            let fault = |why: String| {
                format!(
                    "The status lists at {} are not those that this service publishes, and verifiers refuse \
                     credentials that they cannot look up: {why}. Forward every path below it to this service.",
                    self.site.base_url
                )
            };
            issuer.publication_faults.record_check(LISTS_SUBJECT, found.map_err(fault));
        }
    }

    /// Checks that the web site's directory names the lists published by this service, and that its newest list can be
    /// read and verified.
    ///
    /// # Errors
    /// The fault, as text.
    async fn check_served_lists(&self, issuer: &Issuer<S>) -> Result<(), String> {
        let before = issuer.status_publisher.published_lists();
        let directory =
            self.site.fetch_directory().await.map_err(|problem| problem.to_string())?.ok_or(SERVICE_UNREACHABLE)?;
        let after = issuer.status_publisher.published_lists();
        // A list opened or retired in the meantime may be present or not.
        let mut lasting = before.urls().filter(|url| after.by_url(url).is_some());
        if let Some(missing) = lasting.find(|url| !directory.urls.iter().any(|listed| listed == url)) {
            return Err(format!("{}/lists does not name {missing}", self.site.base_url));
        }
        let Some((list, url)) = directory.tokens(&self.site.base_url).max() else { return Ok(()) };
        self.site
            .fetch_list_states(list, url)
            .await
            .map(drop)
            .map_err(|problem| format!("{url} cannot be used: {problem}"))
    }

    /// Fetches the publication and compares it with the store.
    ///
    /// # Errors
    /// The publication belongs to another store, or to a later state of this one; the store cannot be read.
    pub(crate) async fn compare(&self) -> Result<PublicationComparison, StartError> {
        let directory = match self.site.fetch_directory().await {
            Ok(Some(directory)) => directory,
            Ok(None) => return Ok(PublicationComparison::NoCopy),
            Err(problem) => return Ok(PublicationComparison::Unreadable(problem)),
        };
        let Some(published) = directory.statement else { return Ok(PublicationComparison::NotNewer) };
        // Read after the fetch, so that the store includes everything published in the meantime.
        let unread = |error: StoreError| {
            StartError::new(format!("The store cannot be read: {error}."), "Check the disk, and start again.")
                .nothing_changed()
        };
        let read = async {
            let mut tx = self.store.read().await?;
            Ok((tx.publication_record().await?, tx.former_store_ids().await?))
        };
        let (own, former) = read.await.map_err(unread)?;
        let was = published.store == own.store_id || former.contains(&published.store);
        if was && published.number <= own.number {
            return Ok(PublicationComparison::NotNewer);
        }
        let what = if was {
            format!("publication {} is there, and the store is at {}", published.number, own.number)
        } else {
            format!("the lists there belong to the store {}, and this one is {}", published.store, own.store_id)
        };
        Err(StartError::new(
            format!(
                "The store is older than what is published at {}/lists: {what}. The revocations and suspensions in between are missing from it.",
                self.site.base_url
            ),
            "Restore the newest backup: `restore --from FILE`. If there is none newer, `restore --in-place \
             --accept-loss` takes over the published states. If another service publishes there, stop one of the two. \
             See docs/a-lost-store.md.",
        ).nothing_changed())
    }
}
