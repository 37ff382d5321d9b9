//! Intents to renew: conditions of a renewal, pending requests, and the state stored before and after signing.

use carnet_core::{day, format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    indices::insert_copies,
    intent::{SignedCopies, StoredIssuance, consume_nonce, mark_copies_issued},
    issuer::Issuer,
    nonces::Nonce,
    policy::renewal::RenewalTerms,
    reissue::{
        ReissueIntent, require_daily_refill_capacity, require_total_refill_capacity, require_valid, require_valid_copy,
    },
    secrets::{self, Sha256Hash},
    store::{
        Store, StoreTx,
        issuances::{
            IndexRows as _, IssuanceRows as _, IssuanceState, NewIssuance, ReissueTerms, SealedResponse,
            SignedCopyRecord, SigningResult,
        },
        renewal::{DeferredRenewal, NewPendingRenewal, NewRenewal, RenewalRows as _, RenewalState},
    },
};

const HOUR: i64 = 3_600;
/// Maximum number of renewal requests of one offer that are put before staff within 24 hours.
const MAX_DAILY_REQUESTS: i64 = 5;

/// Renewal request with a verified presentation and verified proofs, to be stored.
#[derive(Debug)]
pub(crate) struct RenewalIntent {
    /// Digest of the presented copy.
    pub(crate) copy: Sha256Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Sha256Hash,
    pub(crate) notification_hash: Sha256Hash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// Renewal rules of the credential type.
    pub(crate) terms: RenewalTerms,
    /// Data to store until staff decide; `None`: no approval is needed.
    pub(crate) pending: Option<NewPendingRenewal>,
    pub(crate) now: Timestamp,
}

/// State of a renewal that requires a decision of staff.
#[derive(Debug)]
pub(crate) enum DeferredRenewalStep {
    /// No decision yet.
    Pending,
    /// Approved: the copies are to be signed.
    Sign(Box<ApprovedRenewal>),
}

/// Renewal that staff have approved, with its stored intent to sign.
#[derive(Debug)]
pub(crate) struct ApprovedRenewal {
    pub(crate) renewal_id: String,
    pub(crate) reissue: ReissueIntent,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) request_digest: Sha256Hash,
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
    pub(crate) async fn store_renewal_intent(&self, intent: RenewalIntent) -> Result<Option<ReissueIntent>, Error> {
        let now = intent.now;
        let mut tx = self.store.begin("intend_renewal").await?;
        let copy = require_valid_copy(&mut tx, &intent.copy).await?;
        let offer_id = copy.offer_id.as_str();
        require_valid_credential(&mut tx, offer_id).await?;
        let terms = renewed_terms(&copy, &intent.terms, now)?;
        consume_nonce(&mut tx, &intent.nonce).await?;
        let copies = intent.thumbprints.len();
        require_daily_refill_capacity(&mut tx, offer_id, copies, self.settings.refill_copies_per_day, now).await?;
        require_total_refill_capacity(&mut tx, offer_id, terms.generation, copies, self.settings.refill_copies_in_all)
            .await?;
        if intent.pending.is_some() {
            require_request_allowed(&mut tx, offer_id, now).await?;
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
            pending: intent.pending.as_ref(),
            now,
        })
        .await?;
        let reissue = if intent.pending.is_none() {
            let new = NewRenewalIssuance {
                renewal_id: &renewal_id,
                offer_id,
                request_digest: &intent.request_digest,
                transaction_hash: None,
                notification_hash: &intent.notification_hash,
                thumbprints: &intent.thumbprints,
                terms,
            };
            Some(new.store(&mut tx, self.settings.list_entries, now).await?)
        } else {
            None
        };
        tx.commit().await?;
        Ok(reissue)
    }

    /// Stores the intent to sign an approved renewal, unless it is stored already. Before the decision of staff,
    /// nothing is stored, and the result is [`DeferredRenewalStep::Pending`]. `None` if no renewal has this
    /// transaction id, or it is issued.
    ///
    /// # Errors
    /// Staff rejected the renewal; [`Error::TransactionUnknown`] if it lapsed or its deadline is over; a copy of the
    /// credential is revoked or suspended; [`Error::KeyUsed`]; store errors.
    pub(crate) async fn store_approved_renewal_intent(
        &self,
        transaction_hash: &Sha256Hash,
        now: Timestamp,
    ) -> Result<Option<DeferredRenewalStep>, Error> {
        // Anonymous callers can get here, so only somebody with a pending renewal may delay other writers.
        match renewal_in_progress(&mut self.store.read().await?, transaction_hash, now).await? {
            None => return Ok(None),
            Some(waiting) if waiting.record.state == RenewalState::Pending => {
                return Ok(Some(DeferredRenewalStep::Pending));
            }
            Some(_) => {}
        }
        let mut tx = self.store.begin("intend_waited_renewal").await?;
        // An approved renewal does not become pending again.
        let Some(waiting) = renewal_in_progress(&mut tx, transaction_hash, now).await? else {
            tx.commit().await?;
            return Ok(None);
        };
        let record = waiting.record;
        require_valid_credential(&mut tx, &record.offer_id).await?;
        let reissue = match waiting.issuance {
            // After a power cut before the signature: the same indices.
            Some(collection) => ReissueIntent {
                issuance: collection,
                offer_id: record.offer_id,
                status_indices: tx.status_indices(collection).await?,
                valid_from: waiting.terms.valid_from,
                valid_until: waiting.terms.valid_until,
            },
            None => {
                let new = NewRenewalIssuance {
                    renewal_id: &record.renewal_id,
                    offer_id: &record.offer_id,
                    request_digest: &waiting.request_digest,
                    transaction_hash: Some(transaction_hash),
                    notification_hash: &waiting.notification_hash,
                    thumbprints: &waiting.thumbprints,
                    terms: waiting.terms,
                };
                new.store(&mut tx, self.settings.list_entries, now).await?
            }
        };
        tx.commit().await?;
        Ok(Some(DeferredRenewalStep::Sign(Box::new(ApprovedRenewal {
            renewal_id: record.renewal_id,
            reissue,
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
    ) -> Result<StoredIssuance, Error> {
        let mut tx = self.store.begin("finish_waited_renewal").await?;
        let done = tx.mark_renewal_issued(renewal_id).await?;
        let known = tx.issuance_of_renewal(renewal_id).await?.ok_or(Error::TransactionUnknown)?;
        if !done {
            // Another call answered in the meantime, or it lapsed.
            let response = known.unexpired_response(now).ok_or(Error::TransactionUnknown)?;
            tx.commit().await?;
            return Ok(StoredIssuance::Answered(response));
        }
        let signature = SigningResult { kid: copies.kid, response: Some(response), validity: None };
        tx.mark_issuance_signed(known.collection, &signature).await?;
        mark_copies_issued(&mut tx, known.collection, copies.identifiers, now).await?;
        tx.commit().await?;
        self.store.purge_erased_data().await;
        Ok(StoredIssuance::Stored)
    }
}

/// Returns the pending or approved renewal with a transaction id; `None` if there is none, or it is issued.
///
/// # Errors
/// Staff rejected the renewal; [`Error::TransactionUnknown`] if it lapsed or its deadline is over; store errors.
async fn renewal_in_progress<T: StoreTx>(
    tx: &mut T,
    transaction_hash: &Sha256Hash,
    now: Timestamp,
) -> Result<Option<DeferredRenewal>, Error> {
    let Some(waiting) = tx.renewal_by_transaction(transaction_hash).await? else { return Ok(None) };
    let over = waiting.wait_until.is_none_or(|until| until <= now);
    match waiting.record.state {
        RenewalState::Issued => Ok(None),
        RenewalState::Rejected => Err(Error::RejectedByStaff { reason: waiting.record.reason.unwrap_or_default() }),
        RenewalState::Lapsed => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved if over => Err(Error::TransactionUnknown),
        RenewalState::Pending | RenewalState::Approved => Ok(Some(waiting)),
    }
}

/// Refuses a credential of which any copy is revoked or suspended: a renewal must not undo the decision of staff.
async fn require_valid_credential<T: StoreTx>(tx: &mut T, offer_id: &str) -> Result<(), Error> {
    require_valid(tx.most_severe_state(offer_id).await?)
}

/// Refuses a renewal that needs approval while an earlier one is protected (for an hour after its request, or a day
/// after its approval, so that an approved one is not lost), and after five requests within 24 hours, to limit the work
/// of staff.
///
/// # Errors
/// The number of seconds until the next request is accepted; store errors.
async fn require_request_allowed<T: StoreTx>(tx: &mut T, offer_id: &str, now: Timestamp) -> Result<(), Error> {
    let pending = tx.pending_renewals(offer_id).await?.into_iter().map(|times| {
        let protected = times.decided_at.map_or(times.asked_at.plus(HOUR), |at| at.plus(day::SECONDS));
        protected.min(times.wait_until)
    });
    let asked = tx.deferred_renewal_request_times(offer_id, MAX_DAILY_REQUESTS).await?;
    let is_full = i64::try_from(asked.len()).is_ok_and(|asked| asked >= MAX_DAILY_REQUESTS);
    let free = asked.last().filter(|_| is_full).map(|oldest| oldest.plus(day::SECONDS));
    let left = pending.chain(free).max().map_or(0, |until| until.unix().saturating_sub(now.unix()));
    match u32::try_from(left) {
        Ok(0) | Err(_) => Ok(()),
        Ok(seconds) => Err(Error::RenewalAlreadyRequested { seconds }),
    }
}

/// Returns the validity period and the number of renewals of the credential after a renewal of this copy.
///
/// # Errors
/// The renewal is too early, or one too many.
fn renewed_terms(copy: &SignedCopyRecord, terms: &RenewalTerms, now: Timestamp) -> Result<ReissueTerms, Error> {
    let from = copy.valid_until.plus(terms.window_seconds.saturating_neg());
    if now < from {
        return Err(Error::RenewalEarly { from });
    }
    if copy.generation >= i64::from(terms.most) {
        return Err(Error::RenewalLimit { most: terms.most });
    }
    // Derived from the presented copy: a repeated request gets the same validity, and so does everybody whose copies
    // end together.
    let (valid_from, valid_until) =
        terms.epoch.renewed_validity(copy.valid_until, terms.window_seconds, terms.extension_seconds);
    Ok(ReissueTerms { valid_from, valid_until, generation: copy.generation.saturating_add(1) })
}

/// Data of a renewal's copies whose intent to sign is to be stored.
struct NewRenewalIssuance<'a> {
    renewal_id: &'a str,
    offer_id: &'a str,
    request_digest: &'a Sha256Hash,
    transaction_hash: Option<&'a Sha256Hash>,
    notification_hash: &'a Sha256Hash,
    thumbprints: &'a [String],
    terms: ReissueTerms,
}

impl NewRenewalIssuance<'_> {
    /// Stores the intent, with a status index for each copy.
    async fn store<T: StoreTx>(&self, tx: &mut T, list_entries: u64, now: Timestamp) -> Result<ReissueIntent, Error> {
        let ReissueTerms { valid_from, valid_until, .. } = self.terms;
        // It counts towards the daily limit like a refill.
        let collection = tx
            .insert_issuance(&NewIssuance {
                offer_id: self.offer_id,
                request_digest: self.request_digest,
                state: IssuanceState::Intended,
                transaction_hash: self.transaction_hash,
                notification_hash: self.notification_hash,
                holder_keys: None,
                reissue: Some(self.terms),
            })
            .await?;
        let places = insert_copies(tx, list_entries, (collection, self.offer_id), self.thumbprints, now).await?;
        tx.set_renewal_issuance(self.renewal_id, collection).await?;
        Ok(ReissueIntent {
            issuance: collection,
            offer_id: self.offer_id.to_owned(),
            status_indices: places,
            valid_from,
            valid_until,
        })
    }
}
