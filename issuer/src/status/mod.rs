//! Status lists: the status of every copy that this issuer issued, for verifiers (spec/status.md).
//!
//! The store is authoritative. A publication contains all acts of staff up to a committed one, and replaces the
//! previous publication atomically. After a power failure, the service serves the old or the new state.

mod acts;
mod changes;
mod messages;
mod published;
mod publisher;
pub(crate) mod set_times;
mod shelf;
mod statement;

pub(crate) use acts::{PublicationTime, StatusChangeRequest};
pub(crate) use changes::StatusTarget;
#[cfg(test)]
pub(crate) use changes::{StatusChange, apply_change};
pub(crate) use messages::record_messages;
pub(crate) use published::{
    PublicationComparison, PublicationSite, PublicationWatch, PublishedDirectory, raise_publication_daily,
};
use publisher::PublicationState;
pub(crate) use publisher::{StatusPublisher, changes_since, default_status_url};
pub(crate) use shelf::{HttpContent, PublishedList, PublishedLists};
pub(crate) use statement::PublicationStatement;

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use carnet_core::{
    did::DidUrl,
    format::CredentialFormat,
    status::{
        StatusPurpose, bitstring,
        message::StatusMessages,
        publication::{self, PublicationTerms},
        token,
    },
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::{
    error::Error,
    issuance::spawn_cpu,
    issuer::Issuer,
    store::{
        Store,
        status::{StatusIndex, StatusRows as _},
    },
};

/// Time for which a list remains published after the expiry of its last copy, in seconds.
const RETIRED_AFTER: i64 = carnet_core::day::SECONDS;
/// Number of published URLs from which the operator is warned: 100 lists in three formats.
const MANY_URLS: usize = 300;

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
                let text = list.sign(form, &terms, &self.suites, self.signer.as_ref()).map_err(Error::Signing)?;
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
