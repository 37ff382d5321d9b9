//! Status lists: the status of every copy that this issuer issued, for verifiers (spec/status.md).
//!
//! The store is authoritative. A publication contains all acts of staff up to a committed one, and replaces the
//! previous publication atomically. After a power failure, the service serves the old or the new state.

mod acts;
mod changes;
mod messages;
mod publication_check;
pub(crate) mod publication_times;
mod published_lists;
mod publisher;
mod statement;

pub(crate) use acts::{PublicationTime, StatusChangeRequest};
pub(crate) use changes::StatusTarget;
#[cfg(test)]
pub(crate) use changes::{StatusChange, apply_change};
pub(crate) use messages::record_messages;
pub(crate) use publication_check::{
    PublicationComparison, PublicationSite, PublicationWatch, PublishedDirectory, raise_publication_daily,
};
pub(crate) use published_lists::{HttpContent, PublishedList, PublishedLists};
use publisher::PublicationState;
pub(crate) use publisher::{StatusPublisher, changes_since, default_status_url};
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
        publication::{self, PublicationParameters},
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
const RETIREMENT_DELAY_SECONDS: i64 = carnet_core::day::SECONDS;
/// Number of published URLs from which the operator is warned: 100 lists in three formats.
const URL_WARNING_THRESHOLD: usize = 300;

impl<S: Store> Issuer<S> {
    /// Publishes the state of the store: signs new lists, changed ones, and those due for a new signature. Does nothing
    /// if lists are not published.
    ///
    /// # Errors
    /// Store errors; a list could not be signed, and the previous publication remains.
    pub(crate) async fn publish(self: &Arc<Self>) -> Result<(), Error> {
        if self.status_publisher.base.is_none() {
            return Ok(());
        }
        let mut making = self.status_publisher.making.clone().lock_owned().await;
        let waiting_before = self.status_publisher.set_times.last_at_or_before(self.now());
        // Changes are read once, so after a failure before their publication all lists are read again.
        let version = std::mem::take(&mut making.version);
        let changes = changes_since(&self.store, version, waiting_before).await?;
        // The order is commit, mark, publication: the mark next to the keys covers everything that others have seen
        // published.
        match self.store.write_identity_mark().await {
            Ok(identity) => making.statement = Some(PublicationStatement::from_identity(&identity)),
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
        let before = self.now().plus(-RETIREMENT_DELAY_SECONDS);
        let mut ended = BTreeSet::new();
        for list in self.status_publisher.published_lists().list_numbers() {
            if self.store.read().await?.is_list_expired(list, before).await? {
                ended.insert(list);
            }
        }
        if !ended.is_empty() {
            let mut making = self.status_publisher.making.clone().lock_owned().await;
            tracing::info!(?ended, "status lists whose copies have all expired are no longer published");
            making.lists.retain(|list, _| !ended.contains(list));
            making.retired.append(&mut ended);
            let issuer = self.clone();
            spawn_cpu(move || issuer.sign_lists(&mut making)).await??;
        }
        let urls = self.status_publisher.published_lists().urls().count();
        if urls >= URL_WARNING_THRESHOLD {
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
    pub(crate) async fn ensure_published(self: &Arc<Self>, places: &[StatusIndex]) -> Result<(), Error> {
        let known = |shelf: &PublishedLists| places.iter().all(|place| shelf.has_list(place.list));
        if self.status_publisher.base.is_none() || known(&self.status_publisher.published_lists()) {
            return Ok(());
        }
        self.publish().await?;
        if known(&self.status_publisher.published_lists()) { Ok(()) } else { Err(Error::Corrupt("status_lists")) }
    }

    /// Signs new, changed and due lists in each format that the issuer's key can sign, and replaces the published lists
    /// as a whole.
    fn sign_lists(&self, making: &mut PublicationState) -> Result<(), Error> {
        let now = self.now();
        let old = self.status_publisher.published_lists();
        let mut shelf = PublishedLists::clone(&old);
        shelf.version = making.version;
        shelf.retain(|list| making.lists.contains_key(&list));
        let kid = DidUrl::parse(&self.kid).map_err(Error::Signing)?;
        let forms = publication::ListFormat::ALL.into_iter().filter(|form| self.publishes_format(*form));
        for form in forms {
            for (number, list) in &mut making.lists {
                let due = |there: &PublishedList| {
                    there.is_signature_due(&self.kid, now, self.status_publisher.validity.into())
                };
                let stays = old.list_in_format(form, *number).is_some_and(|there| !due(there));
                let Some(url) = self
                    .status_publisher
                    .list_url(form, *number)
                    .filter(|_| !stays || making.dirty.contains(&(*number, form)))
                else {
                    continue;
                };
                let (validity, ttl) = (self.status_publisher.validity.into(), self.status_publisher.ttl.into());
                let terms = PublicationParameters { kid: &kid, url: &url, now, lifetime_seconds: validity, ttl };
                let text = list.sign(form, &terms, &self.suites, self.signer.as_ref()).map_err(Error::Signing)?;
                let cwt = (form == publication::ListFormat::Token).then(|| list.sign_cwt(&terms, self.signer.as_ref()));
                let cwt = cwt.transpose().map_err(Error::Signing)?;
                shelf.insert(form, *number, PublishedList::new(form, url, text, cwt, (&self.kid, now)));
            }
        }
        making.dirty.clear();
        shelf.set_statement(
            making.statement.as_ref(),
            |statement| statement.sign(&kid, self.signer.as_ref(), now),
            &self.kid,
        )?;
        *self.status_publisher.shelf.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shelf);
        Ok(())
    }
}

impl<S> Issuer<S> {
    /// Returns whether this issuer publishes lists in a format: status list tokens always, status list credentials only
    /// if a cryptosuite signs with the issuer's key.
    fn publishes_format(&self, form: publication::ListFormat) -> bool {
        let signing = |algorithm| self.suites.for_signing(CredentialFormat::DiVcJcs, algorithm);
        form == publication::ListFormat::Token || signing(self.signer.algorithm()).is_some()
    }

    /// Returns the texts of messages to holders; `None` if none are configured.
    pub(crate) fn messages(&self) -> Option<&StatusMessages> {
        self.status_publisher.messages.as_ref()
    }

    /// Returns the next publication time of changes that are not urgent; `None` if they are published at once, or lists
    /// are not published.
    pub(crate) fn next_publication_time(&self) -> Option<Timestamp> {
        self.status_publisher.set_times.next_after(self.now()).filter(|_| self.status_publisher.base.is_some())
    }

    /// Returns the publication time of a change that has been pending since `since`; `None` if it is published at once,
    /// or lists are not published.
    pub(crate) fn publication_time_after(&self, since: Timestamp) -> Option<Timestamp> {
        self.status_publisher.set_times.next_after(since).filter(|_| self.status_publisher.base.is_some())
    }

    /// Returns the name and the value of the member with a copy's status reference: `status` for dc+sd-jwt, otherwise
    /// `credentialStatus` with an entry for revocation and one for suspension. `None` if no list is published in the
    /// format that it refers to.
    pub(crate) fn status_member(&self, format: CredentialFormat, place: StatusIndex) -> Option<(String, Value)> {
        let url = |form| self.status_publisher.list_url(form, place.list).filter(|_| self.publishes_format(form));
        let index = place.position;
        if format == CredentialFormat::DcSdJwt {
            let reference = token::TokenStatusReference { uri: url(publication::ListFormat::Token)?, index };
            return Some(("status".to_owned(), reference.to_json()));
        }
        let entry = |form, purpose| {
            url(form).map(|url| bitstring::BitstringStatusListEntry { purpose, url, index, size_in_bits: 1 }.to_json())
        };
        let entries = [
            entry(publication::ListFormat::Revocation, StatusPurpose::Revocation)?,
            entry(publication::ListFormat::Suspension, StatusPurpose::Suspension)?,
        ];
        Some(("credentialStatus".to_owned(), json!(entries)))
    }
}
