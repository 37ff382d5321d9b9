//! Status lists: the status of every copy that this issuer issued, for verifiers (spec/status.md).
//!
//! The store is authoritative. A publication contains all acts of staff up to a committed one, and replaces the
//! previous publication atomically. After a power failure, the service serves the old or the new state.

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

/// Time for which a list remains published after the expiry of its last copy, in seconds.
const RETIRED_AFTER: i64 = carnet_core::day::SECONDS;
/// Number of published URLs from which the operator is warned: 100 lists in three formats.
const MANY_URLS: usize = 300;

/// Published status lists, and the state from which the next publication is made.
pub(crate) struct StatusPublisher {
    /// URL under which the lists are published, without a trailing slash; `None`: nothing is published.
    base: Option<String>,
    /// Time to live of a list for clients that cache it, in seconds.
    ttl: u32,
    /// Validity period of a signed list, in seconds.
    validity: u32,
    /// Texts of messages to holders; `None`: none are configured.
    messages: Option<StatusMessages>,
    /// Publication times of changes that are not urgent.
    set_times: PublicationTimes,
    /// Lists as served now.
    shelf: RwLock<Arc<PublishedLists>>,
    /// State of the next publication. Its lock serialises publications, so that an older version never replaces a newer
    /// one.
    making: Arc<tokio::sync::Mutex<PublicationState>>,
}

/// Contents of all lists as of a version of the store, from which they are signed.
#[derive(Default)]
struct PublicationState {
    /// Number of the last act that is included; 0: none was read.
    version: i64,
    /// Published lists by number.
    lists: BTreeMap<i64, Publication>,
    /// Numbers of lists that are no longer published, since their copies have all expired.
    retired: BTreeSet<i64>,
    /// Lists and formats whose content differs from the published one.
    dirty: Vec<(i64, publication::ListFormat)>,
    /// Id of the store, and the publication number; `None` before the first publication.
    statement: Option<PublicationStatement>,
}

impl StatusPublisher {
    /// Creates the publisher, without lists. Their URL is the configured one, or `/status` next to the DID document or
    /// its log; if neither exists, nothing is published.
    ///
    /// # Errors
    /// The configured URL is unsuitable for lists; a message text or a publication time is invalid.
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

    /// Returns the URL under which the lists are published, without a trailing slash; `None` if they are not published.
    pub(crate) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Returns the time to live of a list for clients that cache it, in seconds.
    pub(crate) fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Returns the lists as published now; a later publication does not change the returned ones.
    pub(crate) fn published_lists(&self) -> Arc<PublishedLists> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the URL of a list in one format; `None` if lists are not published. The list need not exist.
    pub(crate) fn url(&self, form: publication::ListFormat, list: i64) -> Option<String> {
        self.base.as_ref().map(|base| format!("{base}/{}/{list}", form.as_str()))
    }
}

/// Status lists, and their entries that changed since a version.
#[derive(Debug, Clone)]
pub(crate) struct ListChanges {
    /// Number of the last act that is included.
    pub(crate) version: i64,
    /// All lists of the store.
    pub(crate) lists: Vec<ListRecord>,
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
    /// Applies changes to the lists, and records the formats that differ from the published ones. Retired lists are
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an entry outside of its list; [`Error::Signing`] for a list of invalid size.
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
    /// Publishes the state of the store: signs new lists, changed ones, and those due for a new signature. Does nothing
    /// if lists are not published.
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
    /// cache a limited number. Logs a warning if many URLs remain.
    ///
    /// # Errors
    /// Store errors; a list could not be signed.
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

    /// Publishes if a list of these indices is not published yet, so that a copy never refers to a missing list.
    ///
    /// # Errors
    /// Those of [`Self::publish`]; [`Error::Corrupt`] if a list is still missing.
    pub(crate) async fn require_published(self: &Arc<Self>, places: &[StatusIndex]) -> Result<(), Error> {
        let known = |shelf: &PublishedLists| places.iter().all(|place| shelf.has_list(place.list));
        if self.status.base.is_none() || known(&self.status.published_lists()) {
            return Ok(());
        }
        self.publish().await?;
        if known(&self.status.published_lists()) { Ok(()) } else { Err(Error::Corrupt("status_lists")) }
    }

    /// Signs new, changed and due lists in each format that the issuer's key can sign, and replaces the published lists
    /// as a whole.
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
    /// Returns whether this issuer publishes lists in a format: status list tokens always, status list credentials only
    /// if a cryptosuite signs with the issuer's key.
    fn publishes(&self, form: publication::ListFormat) -> bool {
        let signing = |algorithm| self.suites.signing(CredentialFormat::DiVcJcs, algorithm);
        form == publication::ListFormat::Token || signing(self.signer.algorithm()).is_some()
    }

    /// Returns the texts of messages to holders; `None` if none are configured.
    pub(crate) fn messages(&self) -> Option<&StatusMessages> {
        self.status.messages.as_ref()
    }

    /// Returns the next publication time of changes that are not urgent; `None` if they are published at once, or lists
    /// are not published.
    pub(crate) fn published_at(&self) -> Option<Timestamp> {
        self.status.set_times.next(self.now()).filter(|_| self.status.base.is_some())
    }

    /// Returns the publication time of a change that has been pending since `since`; `None` if it is published at once,
    /// or lists are not published.
    pub(crate) fn publication_after(&self, since: Timestamp) -> Option<Timestamp> {
        self.status.set_times.next(since).filter(|_| self.status.base.is_some())
    }

    /// Returns the name and the value of the member with a copy's status reference: `status` for dc+sd-jwt, otherwise
    /// `credentialStatus` with an entry for revocation and one for suspension. `None` if no list is published in the
    /// format that it refers to.
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

/// Key and time of a list's signature, which determine when it is signed again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    /// DID URL of the signing key.
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
