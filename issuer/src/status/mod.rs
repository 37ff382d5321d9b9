//! Status lists: the status of every copy that this issuer issued, for verifiers (spec/status.md).
//!
//! The store is authoritative. A publication contains all acts up to a committed one, and replaces the previous
//! publication atomically. After a power failure, the service serves the old or the new state.

mod acts;
mod changes;
mod messages;
mod published;
pub(crate) mod set_times;
mod shelf;

pub(crate) use acts::{PublicationTime, StatusChangeRequest};
pub(crate) use changes::StatusTarget;
#[cfg(test)]
pub(crate) use changes::{StatusChange, apply_change};
pub(crate) use messages::record_messages;
pub(crate) use published::{
    PublicationComparison, PublicationSite, PublicationStatement, PublicationWatch, PublishedDirectory,
    raise_publication_daily,
};
use set_times::PublicationTimes;
pub(crate) use shelf::{HttpContent, PublishedList, PublishedLists};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use carnet_core::{
    did::{Did, DidUrl, web, webvh},
    format::CredentialFormat,
    status::{
        StatusPurpose, bitstring,
        message::StatusMessages,
        publication::{self, Publication, PublicationTerms},
        token,
    },
    time::Timestamp,
};
use carnet_service::config::{StartError, invalid_field};
use serde_json::{Value, json};

use crate::{
    config::StatusConfig,
    error::Error,
    issuance::spawn_cpu,
    issuer::Issuer,
    store::{
        Store, StoreTx as _,
        status::{ListRecord, StatusIndex, StatusRows as _, StatusState},
    },
};

/// Time for which a list is published after the end of its last copy, in seconds.
const RETIRED_AFTER: i64 = carnet_core::day::SECONDS;
/// Number of URLs above which the operator is warned: 100 lists in three formats.
const MANY_URLS: usize = 300;

/// Published lists, and the state of the next publication.
pub(crate) struct StatusPublisher {
    /// URL under which the lists are published, without a trailing slash; `None`: nothing is published.
    base: Option<String>,
    ttl: u32,
    validity: u32,
    /// Messages to holders; `None`: there are none.
    messages: Option<StatusMessages>,
    /// Publication times of changes that are not urgent.
    set_times: PublicationTimes,
    shelf: RwLock<Arc<PublishedLists>>,
    /// Serialises publications, so that an older version never replaces a newer one.
    making: Arc<tokio::sync::Mutex<PublicationState>>,
}

/// Lists as of a version of the store.
#[derive(Default)]
struct PublicationState {
    version: i64,
    lists: BTreeMap<i64, Publication>,
    /// Lists whose credentials have all expired.
    retired: BTreeSet<i64>,
    /// Formats whose content differs from the published one.
    dirty: Vec<(i64, publication::ListFormat)>,
    /// Store id, and the number of the publication.
    statement: Option<PublicationStatement>,
}

impl StatusPublisher {
    /// Creates the lists at the configured URL, or next to the DID document; they are not published if neither exists.
    ///
    /// # Errors
    /// The configured URL is unsuitable for lists.
    pub(crate) fn new(config: &StatusConfig, did: &Did) -> Result<Self, StartError> {
        let base = match &config.url {
            Some(url) => Some(checked(url)?),
            None => default_status_url(did),
        };
        Ok(Self {
            base,
            ttl: config.ttl_seconds,
            validity: config.validity_seconds,
            messages: config.messages()?,
            set_times: config.set_times()?,
            shelf: RwLock::default(),
            making: Arc::default(),
        })
    }

    /// Returns the URL under which the lists are published.
    pub(crate) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Returns the number of seconds after which clients fetch a list again.
    pub(crate) fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Returns the published lists.
    pub(crate) fn published_lists(&self) -> Arc<PublishedLists> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the URL of a list in one format.
    pub(crate) fn url(&self, form: publication::ListFormat, list: i64) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/{}/{list}", form.as_str()))
    }
}

/// Status changes since a version, read in one transaction.
#[derive(Debug, Clone)]
pub(crate) struct ListChanges {
    /// Version after the changes.
    pub(crate) version: i64,
    /// All lists.
    pub(crate) lists: Vec<ListRecord>,
    /// Changed entries, with their published states.
    pub(crate) entries: Vec<(StatusIndex, StatusState)>,
}

/// Releases changes that have been waiting since before `waiting_before`, and returns their entries together with all
/// changes since a version; version 0: all entries. If the service is killed after the release, it reads all lists
/// again.
pub(crate) async fn changes_since<S: Store>(
    store: &S,
    version: i64,
    waiting_before: Timestamp,
) -> Result<ListChanges, Error> {
    let mut entries = Vec::new();
    if store.read().await?.has_deferred(waiting_before).await? {
        let mut tx = store.begin("release_statuses").await?;
        entries = tx.publish_all_deferred(waiting_before).await?;
        tx.commit().await?;
    }
    let mut tx = store.read().await?;
    let (upto, lists) = (tx.version().await?, tx.lists().await?);
    entries.append(&mut tx.published_states_since(version).await?);
    Ok(ListChanges { version: upto, lists, entries })
}

impl PublicationState {
    /// Updates the lists to the state of the store.
    fn take(&mut self, changes: ListChanges) -> Result<(), Error> {
        for record in changes.lists {
            if self.retired.contains(&record.list) {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = self.lists.entry(record.list) {
                entry.insert(Publication::new(record.entries).map_err(Error::Signing)?);
                self.dirty.extend(publication::ListFormat::ALL.map(|form| (record.list, form)));
            }
        }
        for (place, state) in changes.entries {
            if self.retired.contains(&place.list) {
                continue;
            }
            let list = self.lists.get_mut(&place.list).ok_or(Error::Corrupt("status_lists"))?;
            let changed = list.set(place.position, state).map_err(|_| Error::Corrupt("statuses.status_index"))?;
            self.dirty.extend(changed.into_iter().map(|form| (place.list, form)));
        }
        self.version = changes.version;
        Ok(())
    }
}

impl<S: Store> Issuer<S> {
    /// Publishes the state of the store: changed lists, new lists, and those due for renewal of their signature.
    ///
    /// # Errors
    /// Store errors; a list could not be signed, and the previous publication remains.
    pub(crate) async fn publish(self: &Arc<Self>) -> Result<(), Error> {
        if self.status.base.is_none() {
            return Ok(());
        }
        let mut making = self.status.making.clone().lock_owned().await;
        let waiting_before = self.status.set_times.last(self.now());
        // Changes are read once, so after a failure before their publication all lists are read again.
        let version = std::mem::take(&mut making.version);
        let changes = changes_since(&self.store, version, waiting_before).await?;
        // The order is commit, mark, publication: the mark next to the keys covers everything that others have seen
        // published.
        match self.store.update_mark().await {
            Ok(identity) => making.statement = Some(PublicationStatement::of(&identity)),
            Err(error) => tracing::error!(
                %error,
                "the mark next to the keys could not be written; the changes are published nevertheless"
            ),
        }
        let issuer = self.clone();
        spawn_cpu(move || {
            making.take(changes)?;
            issuer.sign_lists(&mut making)
        })
        .await?
    }

    /// Unpublishes full lists all of whose copies expired at least a day ago: they are no longer needed, and verifiers
    /// cache a limited number.
    ///
    /// # Errors
    /// Those of [`Self::publish`].
    pub(crate) async fn retire_lists(self: &Arc<Self>) -> Result<(), Error> {
        let before = self.now().plus(-RETIRED_AFTER);
        let mut ended = BTreeSet::new();
        for list in self.status.published_lists().lists() {
            if self.store.read().await?.list_ended(list, before).await? {
                ended.insert(list);
            }
        }
        if !ended.is_empty() {
            let mut making = self.status.making.clone().lock_owned().await;
            tracing::info!(?ended, "status lists whose copies have all expired are no longer published");
            making.lists.retain(|list, _| !ended.contains(list));
            making.retired.append(&mut ended);
            let issuer = self.clone();
            spawn_cpu(move || issuer.sign_lists(&mut making)).await??;
        }
        let urls = self.status.published_lists().urls().count();
        if urls >= MANY_URLS {
            tracing::warn!(
                urls,
                "verifiers keep 384 lists of an issuer: raise status.entries, or let credentials end sooner"
            );
        }
        Ok(())
    }

    /// Publishes if one of these indices is in an unpublished list, before a copy with it is issued.
    ///
    /// # Errors
    /// Those of [`Self::publish`].
    pub(crate) async fn require_published(self: &Arc<Self>, places: &[StatusIndex]) -> Result<(), Error> {
        let known = |shelf: &PublishedLists| places.iter().all(|place| shelf.has_list(place.list));
        if self.status.base.is_none() || known(&self.status.published_lists()) {
            return Ok(());
        }
        self.publish().await?;
        if known(&self.status.published_lists()) { Ok(()) } else { Err(Error::Corrupt("status_lists")) }
    }

    /// Signs all outdated lists, and publishes them at once.
    fn sign_lists(&self, making: &mut PublicationState) -> Result<(), Error> {
        let now = self.now();
        let old = self.status.published_lists();
        let mut shelf = PublishedLists::clone(&old);
        shelf.version = making.version;
        shelf.retain(|list| making.lists.contains_key(&list));
        let kid = DidUrl::parse(&self.kid).map_err(Error::Signing)?;
        let forms = publication::ListFormat::ALL.into_iter().filter(|form| self.publishes(*form));
        for form in forms {
            for (number, list) in &mut making.lists {
                let due = |there: &PublishedList| there.is_due(&self.kid, now, self.status.validity.into());
                let stays = old.form(form, *number).is_some_and(|there| !due(there));
                let Some(url) =
                    self.status.url(form, *number).filter(|_| !stays || making.dirty.contains(&(*number, form)))
                else {
                    continue;
                };
                let (validity, ttl) = (self.status.validity.into(), self.status.ttl.into());
                let terms = PublicationTerms { kid: &kid, url: &url, now, validity, ttl };
                let text = list.sign(form, &terms, self.signer.as_ref()).map_err(Error::Signing)?;
                let cwt = (form == publication::ListFormat::Token).then(|| list.sign_cwt(&terms, self.signer.as_ref()));
                let cwt = cwt.transpose().map_err(Error::Signing)?;
                shelf.put(form, *number, PublishedList::new(form, url, text, cwt, (&self.kid, now)));
            }
        }
        making.dirty.clear();
        shelf.state(
            making.statement.as_ref(),
            |statement| statement.sign(&kid, self.signer.as_ref(), now),
            &self.kid,
        )?;
        *self.status.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
        Ok(())
    }
}

impl<S> Issuer<S> {
    /// Returns whether this issuer's key can sign a format: a list as a credential needs a cryptosuite that takes the
    /// key.
    fn publishes(&self, form: publication::ListFormat) -> bool {
        let signing = |algorithm| self.suites.signing(CredentialFormat::DiVcJcs, algorithm);
        form == publication::ListFormat::Token || signing(self.signer.algorithm()).is_some()
    }

    /// Returns the messages to holders.
    pub(crate) fn messages(&self) -> Option<&StatusMessages> {
        self.status.messages.as_ref()
    }

    /// Returns the publication time of non-urgent acts; `None`: immediately.
    pub(crate) fn published_at(&self) -> Option<Timestamp> {
        self.status.set_times.next(self.now()).filter(|_| self.status.base.is_some())
    }

    /// Returns the publication time of a change that has been waiting since an instant; `None`: immediately.
    pub(crate) fn publication_after(&self, since: Timestamp) -> Option<Timestamp> {
        self.status.set_times.next(since).filter(|_| self.status.base.is_some())
    }

    /// Returns name and value of the member with a copy's status reference; `None` if lists are not published.
    pub(crate) fn status_member(&self, format: CredentialFormat, place: StatusIndex) -> Option<(String, Value)> {
        let url = |form| self.status.url(form, place.list).filter(|_| self.publishes(form));
        let index = place.position;
        if format == CredentialFormat::DcSdJwt {
            let reference = token::TokenStatusReference { uri: url(publication::ListFormat::Token)?, index };
            return Some(("status".to_owned(), reference.to_json()));
        }
        let entry = |form, purpose| {
            url(form).map(|url| bitstring::BitstringStatusListEntry { purpose, url, index, bits: 1 }.to_json())
        };
        let entries = [
            entry(publication::ListFormat::Revocation, StatusPurpose::Revocation)?,
            entry(publication::ListFormat::Suspension, StatusPurpose::Suspension)?,
        ];
        Some(("credentialStatus".to_owned(), json!(entries)))
    }
}

/// Returns the default URL: `/status` next to the DID document, or its log.
pub(crate) fn default_status_url(did: &Did) -> Option<String> {
    let published = web::document_url(did).or_else(|_| webvh::log_url(did)).ok()?;
    let (folder, _) = published.rsplit_once('/')?;
    Some(format!("{}/status", folder.strip_suffix("/.well-known").unwrap_or(folder)))
}

/// Checks a URL for lists: https, with a path that needs no decoding and contains no pattern, and nothing else.
fn checked(url: &str) -> Result<String, StartError> {
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

/// Time and key of a signature, which determine when a list is signed again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    kid: String,
    at: Timestamp,
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
        assert!(checked("https://uni.example:8443/a/status").is_ok());
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
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
