//! Published lists with their settings, and the state of the next publication.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use carnet_core::{
    did::{Did, web, webvh},
    status::{
        StatusListUrl,
        message::StatusMessages,
        publication::{self, UnsignedStatusList},
    },
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_service::config::{StartError, invalid_field};

use super::{publication_times::PublicationTimes, published_lists::PublishedLists, statement::PublicationStatement};
use crate::{
    config::StatusConfig,
    error::Error,
    store::{
        Store, StoreTx as _,
        status::{ChangedEntry, StatusIndex, StatusListRecord, StatusRows as _, StatusState},
    },
};

/// Published status lists, and the state from which the next publication is made.
pub(crate) struct StatusPublisher {
    /// URL under which the lists are published, without a trailing slash; `None`: nothing is published.
    pub(super) base: Option<String>,
    /// Time to live of a list for clients that cache it, in seconds.
    pub(super) ttl: u32,
    /// Validity period of a signed list, in seconds.
    pub(super) validity: u32,
    /// Texts of messages to holders; `None`: none are configured.
    pub(super) messages: Option<StatusMessages>,
    /// Publication times of changes that are not urgent.
    pub(super) set_times: PublicationTimes,
    /// Lists as served now.
    pub(super) shelf: RwLock<Arc<PublishedLists>>,
    /// State of the next publication. Its lock serialises publications, so that an older version never replaces a newer
    /// one.
    pub(super) making: Arc<tokio::sync::Mutex<PublicationState>>,
}

/// Contents of all lists as of a version of the store, from which they are signed.
#[derive(Default)]
pub(super) struct PublicationState {
    /// Number of the last act that is included; 0: none was read.
    pub(super) version: i64,
    /// Published lists by number.
    pub(super) lists: BTreeMap<i64, UnsignedStatusList>,
    /// Numbers of lists that are no longer published, since their copies have all expired.
    pub(super) retired: BTreeSet<i64>,
    /// Lists and formats whose content differs from the published one.
    pub(super) dirty: Vec<(i64, publication::ListFormat)>,
    /// Id of the store, and the publication number; `None` before the first publication.
    pub(super) statement: Option<PublicationStatement>,
}

impl StatusPublisher {
    /// Creates the publisher, without lists. Their URL is the configured one, or `/status` next to the DID document or
    /// its log; if neither exists, nothing is published.
    ///
    /// # Errors
    /// The configured URL is unsuitable for lists; a message text or a publication time is invalid.
    pub(crate) fn new(config: &StatusConfig, did: &Did) -> Result<Self, StartError> {
        let base = match &config.url {
            Some(url) => Some(check_list_url(url)?),
            None => default_status_url(did),
        };
        Ok(Self {
            base,
            ttl: config.ttl_seconds,
            validity: config.validity_seconds,
            messages: config.messages()?,
            set_times: config.publication_times()?,
            shelf: RwLock::default(),
            making: Arc::default(),
        })
    }

    /// Returns the URL under which the lists are published, without a trailing slash; `None` if they are not published.
    pub(crate) fn base_url(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Returns the time to live of a list for clients that cache it, in seconds.
    pub(crate) fn ttl_seconds(&self) -> u32 {
        self.ttl
    }

    /// Returns the lists as published now; a later publication does not change the returned ones.
    pub(crate) fn published_lists(&self) -> Arc<PublishedLists> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the URL of a list in one format; `None` if lists are not published. The list need not exist.
    pub(crate) fn list_url(&self, form: publication::ListFormat, list: i64) -> Option<String> {
        self.base_url().map(|base| StatusListUrl { base, form, number: list }.to_string())
    }
}

/// Status lists, and their entries that changed since a version.
#[derive(Debug, Clone)]
pub(crate) struct ListChanges {
    /// Number of the last act of staff (a status change or a message to holders) whose changes are included.
    pub(crate) version: i64,
    /// All lists of the store.
    pub(crate) lists: Vec<StatusListRecord>,
    /// Changed entries, with the states to be published.
    pub(crate) entries: Vec<(StatusIndex, StatusState)>,
}

/// Releases status changes that have been pending since before `waiting_before`, and returns their entries together
/// with all entries that acts changed since `version` (0: all changed entries). A service that stops after the release
/// publishes them nevertheless, since it reads all entries at its next start.
///
/// # Errors
/// Store errors.
pub(crate) async fn changes_since<S: Store>(
    store: &S,
    version: i64,
    waiting_before: Timestamp,
) -> Result<ListChanges, Error> {
    let mut entries = Vec::new();
    if store.read().await?.has_deferred_changes(waiting_before).await? {
        let mut tx = store.begin("release_statuses").await?;
        entries = tx.release_deferred(waiting_before, CLOCK_SKEW).await?;
        tx.commit().await?;
    }
    let mut tx = store.read().await?;
    let (upto, lists) = (tx.last_act_number().await?, tx.status_lists().await?);
    entries.append(&mut tx.entries_changed_since(version, CLOCK_SKEW).await?);
    let entries = entries.iter().map(|entry| (entry.status_index, published_state(entry))).collect();
    Ok(ListChanges { version: upto, lists, entries })
}

/// Returns the state to be published. A deferred change does not alter it yet, and a change after the end of the copy
/// never does (spec/status.md 4.7 and 4.13).
fn published_state(entry: &ChangedEntry) -> StatusState {
    let is_late = |since: Timestamp| entry.ends.is_some_and(|ends| since > ends.plus(CLOCK_SKEW));
    let deferred = entry.deferred.filter(|(_, since)| !is_late(*since)).map(|(listed, _)| listed);
    let before_late = || entry.before_late.or(entry.deferred.map(|(listed, _)| listed));
    deferred.or_else(before_late).unwrap_or(entry.state)
}

impl PublicationState {
    /// Applies changes to the lists, and records the formats that differ from the published ones. Retired lists are
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an entry outside of its list; [`Error::Signing`] for a list of invalid size.
    pub(super) fn take(&mut self, changes: ListChanges) -> Result<(), Error> {
        for record in changes.lists {
            if self.retired.contains(&record.list) {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = self.lists.entry(record.list) {
                entry.insert(UnsignedStatusList::new(record.entries).map_err(Error::Signing)?);
                self.dirty.extend(publication::ListFormat::ALL.map(|form| (record.list, form)));
            }
        }
        for (place, state) in changes.entries {
            if self.retired.contains(&place.list) {
                continue;
            }
            let list = self.lists.get_mut(&place.list).ok_or(Error::Corrupt("status_lists"))?;
            let changed = list.set_state(place.position, state).map_err(|_| Error::Corrupt("statuses.status_index"))?;
            self.dirty.extend(changed.into_iter().map(|form| (place.list, form)));
        }
        self.version = changes.version;
        Ok(())
    }
}

/// Returns the default URL of the status lists: `/status` in the directory of the DID document or of its did:webvh log;
/// `None` for other DID methods.
pub(crate) fn default_status_url(did: &Did) -> Option<String> {
    let published = web::document_url(did).or_else(|_| webvh::log_url(did)).ok()?;
    let (folder, _) = published.rsplit_once('/')?;
    Some(format!("{}/status", folder.strip_suffix("/.well-known").unwrap_or(folder)))
}

/// Returns a configured URL for lists: https, with a path of unreserved characters, and without user, query, fragment
/// and trailing slash.
///
/// # Errors
/// Any other URL.
fn check_list_url(url: &str) -> Result<String, StartError> {
    let uri: Option<axum::http::Uri> = url.parse().ok();
    let plain = |path: &str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
    let fits = uri.as_ref().is_some_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && plain(uri.path())
            && !url.contains('#')
            && !url.ends_with('/')
    });
    if fits {
        return Ok(url.to_owned());
    }
    Err(invalid_field(
        "status.url",
        format!(
            "status.url is {url}, and it must be https://HOST/PATH, without a slash, a query or a fragment at its end"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_beside_the_did_document() {
        for (did, base) in [
            ("did:web:uni.example", Some("https://uni.example/status")),
            ("did:web:localhost%3A8443:uni", Some("https://localhost:8443/uni/status")),
            ("did:web:uni.example:a:b", Some("https://uni.example/a/b/status")),
            (
                "did:webvh:QmaQmViZ6varjf5HtkXpK8P5oMzhE61XH2siBdbyvN3ubX:localhost%3A8443:uni",
                Some("https://localhost:8443/uni/status"),
            ),
            ("did:jwk:eyJ4IjoxfQ", None),
        ] {
            assert_eq!(Did::parse(did).ok().and_then(|did| default_status_url(&did)).as_deref(), base, "{did}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_one_of_lists_is_refused() {
        assert!(check_list_url("https://uni.example:8443/a/status").is_ok());
        for wrong in [
            "http://uni.example/status",
            "https://uni.example/status/",
            "https://uni.example/status?x",
            "https://uni.example/status#x",
            "https://uni.example/{a}",
            "https://a@uni.example/status",
            "uni.example/status",
            "",
        ] {
            assert!(check_list_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_deferred_change_waits_and_one_after_the_end_of_the_copy_is_not_published() {
        use StatusState::{Revoked, Suspended, Valid};
        let at = Timestamp::from_unix;
        let place = StatusIndex { list: 0, position: 7 };
        let entry = ChangedEntry {
            status_index: place,
            state: Revoked,
            deferred: None,
            ends: Some(at(1_000)),
            before_late: None,
        };
        let deferred = |since: i64| Some((Suspended, at(since)));
        for (entry, published) in [
            (entry, Revoked),
            (ChangedEntry { deferred: deferred(900), ..entry }, Suspended),
            (ChangedEntry { deferred: deferred(1_060), ..entry }, Suspended),
            // The deferred changes began after the end; the one before them was in time.
            (ChangedEntry { deferred: deferred(1_061), before_late: Some(Valid), ..entry }, Valid),
            (ChangedEntry { deferred: deferred(1_061), ..entry }, Suspended),
            (ChangedEntry { before_late: Some(Valid), ..entry }, Valid),
            // Deferred in time, and changed once more after the end.
            (ChangedEntry { deferred: deferred(900), before_late: Some(Valid), ..entry }, Suspended),
            (ChangedEntry { ends: None, ..entry }, Revoked),
        ] {
            assert_eq!(published_state(&entry), published, "{entry:?}");
        }
    }
}
