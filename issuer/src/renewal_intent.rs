//! Intents to renew: conditions of a renewal, pending requests, and the state stored before and after signing.

use carnet_core::{day, format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    indices::insert_copies,
    intent::{FinishOutcome, SignedCopies, consume_nonce, issue_copies},
    issuer::Issuer,
    nonces::Nonce,
    policy::renewal::RenewalTerms,
    reissue::{Reissue, require_copy, require_daily_refill_capacity, require_refill_capacity, require_valid},
    secrets::{self, SecretHash},
    store::{
        Store, StoreTx,
        collections::{
            CollectionRows as _, CollectionState, IndexRows as _, KnownCopy, NewCollection, NewSignature, ReissueTerms,
            SealedResponse,
        },
        renewal::{NewPendingRenewal, NewRenewal, PendingRenewal, RenewalRows as _, RenewalState},
    },
};

const HOUR: i64 = 3_600;
/// Maximum number of renewal requests of one offer that are put before staff within 24 hours.
const MOST_ASKED: i64 = 5;

/// Renewal request with a verified presentation and verified proofs, to be stored.
#[derive(Debug)]
pub(crate) struct RenewalIntent {
    /// Digest of the presented copy.
    pub(crate) copy: SecretHash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: SecretHash,
    pub(crate) notification_hash: SecretHash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// Renewal rules of the credential type.
    pub(crate) terms: RenewalTerms,
    /// Data to store until staff decide; `None`: no approval is needed.
    pub(crate) waiting: Option<NewPendingRenewal>,
    pub(crate) now: Timestamp,
}

/// State of a renewal that requires a decision of staff.
#[derive(Debug)]
pub(crate) enum PendingRenewalOutcome {
    /// No decision yet.
    Pending,
    /// Approved: the copies are to be signed.
    Sign(Box<ApprovedRenewal>),
}

/// Renewal that staff have approved, with its stored intent to sign.
#[derive(Debug)]
pub(crate) struct ApprovedRenewal {
    pub(crate) renewal_id: String,
    pub(crate) refill: Reissue,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) request_digest: SecretHash,
    /// Claims, encrypted with the transaction id.
    pub(crate) claims: Vec<u8>,
    /// Public keys of the copies as a JSON array of JWKs.
    pub(crate) holder_keys: String,
}

impl<S: Store> Issuer<S> {
    /// Stores the intent to sign a renewal or, if staff must decide, the request for their decision (then the result is
    /// `None`). Marks the nonce as used; earlier pending and approved renewals of the offer lapse.
    ///
    /// # Errors
    /// The copy or the nonce is refused; a copy of the credential is revoked or suspended; the renewal is too early or
    /// one too many; a limit of refills is reached; staff were asked too recently or too often; [`Error::KeyUsed`];
    /// store errors.
    pub(crate) async fn store_renewal_intent(&self, intent: RenewalIntent) -> Result<Option<Reissue>, Error> {
        let now = intent.now;
        let mut tx = self.store.begin("intend_renewal").await?;
        let copy = require_copy(&mut tx, &intent.copy).await?;
        let offer_id = copy.offer_id.as_str();
        require_standing(&mut tx, offer_id).await?;
        let terms = renewed(&copy, &intent.terms, now)?;
        consume_nonce(&mut tx, &intent.nonce).await?;
        let copies = intent.thumbprints.len();
        require_daily_refill_capacity(&mut tx, offer_id, copies, self.settings.refill_copies_per_day, now).await?;
        require_refill_capacity(&mut tx, offer_id, terms.generation, copies, self.settings.refill_copies).await?;
        if intent.waiting.is_some() {
            require_turn(&mut tx, offer_id, now).await?;
        }
        // A wallet that asks again has lost the pending renewal.
        tx.lapse_renewals(offer_id).await?;
        let renewal_id = secrets::random_id();
        tx.insert_renewal(&NewRenewal {
            renewal_id: &renewal_id,
            offer_id,
            terms,
            request_digest: &intent.request_digest,
            notification_hash: &intent.notification_hash,
            thumbprints: &intent.thumbprints,
            waiting: intent.waiting.as_ref(),
            now,
        })
        .await?;
        let reissue = if intent.waiting.is_none() {
            let new = RenewalCollection {
                renewal_id: &renewal_id,
                offer_id,
                request_digest: &intent.request_digest,
                transaction_hash: None,
                notification_hash: &intent.notification_hash,
                thumbprints: &intent.thumbprints,
                terms,
            };
            Some(new.write(&mut tx, self.settings.list_entries, now).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok(reissue)
    }

    /// Stores the intent to sign an approved renewal, unless it is stored already. `None` if no renewal has this
    /// transaction id, or it is issued.
    ///
    /// # Errors
    /// Staff rejected the renewal; [`Error::TransactionUnknown`] if it lapsed or its deadline is over; a copy of the
    /// credential is revoked or suspended; [`Error::KeyUsed`]; store errors.
    pub(crate) async fn store_approved_intent(
        &self,
        transaction_hash: &SecretHash,
        now: Timestamp,
    ) -> Result<Option<PendingRenewalOutcome>, Error> {
        // Anonymous callers can get here, so only somebody with a pending renewal may delay other writers.
        match waited(&mut self.store.read().await?, transaction_hash, now).await? {
            None => return Ok(None),
            Some(waiting) if waiting.record.state == RenewalState::Pending => {
                return Ok(Some(PendingRenewalOutcome::Pending));
            }
            Some(_) => {}
        }
        let mut tx = self.store.begin("intend_waited_renewal").await?;
        // An approved renewal does not become pending again.
        let Some(waiting) = waited(&mut tx, transaction_hash, now).await? else { return Ok(None) };
        let record = waiting.record;
        require_standing(&mut tx, &record.offer_id).await?;
        let reissue = match waiting.collection {
            // After a power cut before the signature: the same indices.
            Some(collection) => Reissue {
                collection,
                offer_id: record.offer_id,
                places: tx.places(collection).await?,
                valid_from: waiting.terms.valid_from,
                valid_until: waiting.terms.valid_until,
            },
            None => {
                let new = RenewalCollection {
                    renewal_id: &record.renewal_id,
                    offer_id: &record.offer_id,
                    request_digest: &waiting.request_digest,
                    transaction_hash: Some(transaction_hash),
                    notification_hash: &waiting.notification_hash,
                    thumbprints: &waiting.thumbprints,
                    terms: waiting.terms,
                };
                new.write(&mut tx, self.settings.list_entries, now).await?
            }
        };
        tx.commit().await?;
        Ok(Some(PendingRenewalOutcome::Sign(Box::new(ApprovedRenewal {
            renewal_id: record.renewal_id,
            refill: reissue,
            credential_type: record.credential_type,
            format: waiting.format,
            request_digest: waiting.request_digest,
            claims: waiting.claims.ok_or(Error::Corrupt("renewals.claims"))?,
            holder_keys: waiting.holder_keys,
        }))))
    }

    /// Records the signed copies of an approved renewal: erases the claims, marks the copies as issued with their
    /// digests and handle hashes, and stores the encrypted response. If another call finished first, nothing is
    /// changed, and its response is returned.
    ///
    /// # Errors
    /// [`Error::TransactionUnknown`] if the renewal lapsed; [`Error::KeyUsed`]; store errors.
    pub(crate) async fn complete_renewal(
        &self,
        renewal_id: &str,
        copies: SignedCopies<'_>,
        response: SealedResponse,
        now: Timestamp,
    ) -> Result<FinishOutcome, Error> {
        let mut tx = self.store.begin("finish_waited_renewal").await?;
        let done = tx.issue_renewal(renewal_id).await?;
        let known = tx.collection_of_renewal(renewal_id).await?.ok_or(Error::TransactionUnknown)?;
        if !done {
            // Another call answered in the meantime, or it lapsed.
            return known.response_at(now).map(FinishOutcome::Answered).ok_or(Error::TransactionUnknown);
        }
        let signature = NewSignature { kid: copies.kid, response: Some(response), validity: None };
        tx.sign_collection(known.collection, &signature).await?;
        issue_copies(&mut tx, known.collection, copies.names, now).await?;
        tx.commit().await?;
        self.store.purge_erased_data().await;
        Ok(FinishOutcome::Stored)
    }
}

/// Returns the pending or approved renewal with a transaction id; `None` if there is none, or it is issued.
///
/// # Errors
/// Staff rejected the renewal; [`Error::TransactionUnknown`] if it lapsed or its deadline is over; store errors.
async fn waited<T: StoreTx>(
    tx: &mut T,
    transaction_hash: &SecretHash,
    now: Timestamp,
) -> Result<Option<PendingRenewal>, Error> {
    let Some(waiting) = tx.renewal_by_transaction(transaction_hash).await? else { return Ok(None) };
    let over = waiting.wait_until.is_none_or(|until| until <= now);
    match waiting.record.state {
        RenewalState::Issued => Ok(None),
        RenewalState::Rejected => Err(Error::Rejected { reason: waiting.record.reason.unwrap_or_default() }),
        RenewalState::Lapsed => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved if over => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved => Ok(Some(waiting)),
    }
}

/// Refuses a credential of which any copy is revoked or suspended: a renewal must not undo the decision of staff.
async fn require_standing<T: StoreTx>(tx: &mut T, offer_id: &str) -> Result<(), Error> {
    require_valid(tx.most_severe_state(offer_id).await?)
}

/// Refuses a renewal that needs approval while an earlier one is protected (for an hour after its request, or a day
/// after its approval, so that an approved one is not lost), and after five requests within 24 hours, to limit the work
/// of staff.
///
/// # Errors
/// The number of seconds until the next request is accepted; store errors.
async fn require_turn<T: StoreTx>(tx: &mut T, offer_id: &str, now: Timestamp) -> Result<(), Error> {
    let pending = tx.pending_renewals(offer_id).await?.into_iter().map(|times| {
        let protected = times.decided_at.map_or(times.asked_at.plus(HOUR), |at| at.plus(day::SECONDS));
        protected.min(times.wait_until)
    });
    let asked = tx.renewal_request_times(offer_id, MOST_ASKED).await?;
    let is_full = i64::try_from(asked.len()).is_ok_and(|asked| asked >= MOST_ASKED);
    let free = asked.last().filter(|_| is_full).map(|oldest| oldest.plus(day::SECONDS));
    let left = pending.chain(free).max().map_or(0, |until| until.unix().saturating_sub(now.unix()));
    match u32::try_from(left) {
        Ok(0) | Err(_) => Ok(()),
        Ok(seconds) => Err(Error::RenewalAsked { seconds }),
    }
}

/// Returns the validity period and the number of renewals of the credential after a renewal of this copy.
///
/// # Errors
/// The renewal is too early, or one too many.
fn renewed(copy: &KnownCopy, terms: &RenewalTerms, now: Timestamp) -> Result<ReissueTerms, Error> {
    let from = copy.valid_until.plus(terms.window.saturating_neg());
    if now < from {
        return Err(Error::RenewalEarly { from });
    }
    if copy.generation >= i64::from(terms.most) {
        return Err(Error::RenewalLimit { most: terms.most });
    }
    // Derived from the presented copy: a repeated request gets the same validity, and so does everybody whose copies
    // end together.
    let (valid_from, valid_until) = terms.epoch.renewed(copy.valid_until, terms.window, terms.longer);
    Ok(ReissueTerms { valid_from, valid_until, generation: copy.generation.saturating_add(1) })
}

/// Data of a renewal's copies whose intent to sign is to be stored.
struct RenewalCollection<'a> {
    renewal_id: &'a str,
    offer_id: &'a str,
    request_digest: &'a SecretHash,
    transaction_hash: Option<&'a SecretHash>,
    notification_hash: &'a SecretHash,
    thumbprints: &'a [String],
    terms: ReissueTerms,
}

impl RenewalCollection<'_> {
    /// Stores the intent, with a status index for each copy.
    async fn write<T: StoreTx>(&self, tx: &mut T, list_entries: u64, now: Timestamp) -> Result<Reissue, Error> {
        let ReissueTerms { valid_from, valid_until, .. } = self.terms;
        // It counts towards the daily limit like a refill.
        let collection = tx
            .insert_collection(&NewCollection {
                offer_id: self.offer_id,
                request_digest: self.request_digest,
                state: CollectionState::Intended,
                transaction_hash: self.transaction_hash,
                notification_hash: self.notification_hash,
                holder_keys: None,
                reissue: Some(self.terms),
            })
            .await?;
        let places = insert_copies(tx, list_entries, (collection, self.offer_id), self.thumbprints, now).await?;
        tx.set_renewal_collection(self.renewal_id, collection).await?;
        Ok(Reissue { collection, offer_id: self.offer_id.to_owned(), places, valid_from, valid_until })
    }
}
