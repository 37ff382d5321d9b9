//! Intents to sign: the state stored before and after signing.
//!
//! A credential request is processed in two transactions, with the signing in between:
//!
//! 1. The intent: marks the nonce as used, and stores a row with a status index for each copy.
//! 2. The copies are signed.
//! 3. The result: erases the claims, marks the copies as issued and stores the response, encrypted for the wallet.
//! 4. The response is sent.
//!
//! A power failure before 1 changes nothing. Between 1 and 3 the offer remains redeemed and its claims remain. While
//! the token is valid, the wallet can repeat its request and get copies with the same indices, or send new proofs and
//! get copies with new ones. After the token's end, the code can be redeemed again until the offer's own end. After 3,
//! a repeated request gets the stored response. It is kept until the wallet acknowledges it; otherwise until the
//! offer's end if the wallet can redeem the offer again, and until the token's end if not. No index is used twice.

use carnet_core::{epoch::Epoch, format::CredentialFormat, time::Timestamp};

use crate::{
    error::Error,
    format::requested_format,
    indices::insert_copies,
    issuer::Issuer,
    nonces::Nonce,
    secrets::Sha256Hash,
    store::{
        Store, StoreTx, StoredClaims,
        issuances::{
            CopyIdentifiers, IssuanceRecord, IssuanceRows as _, IssuanceState, NewIssuance, SealedResponse,
            SigningResult,
        },
        offers::{OfferRecord, OfferRows as _, OfferState, OfferWithClaims},
        records::{RecordRows as _, VoucherTotal},
        status::StatusIndex,
    },
};

/// Credential request whose proofs are verified, with the data to be stored before signing.
#[derive(Debug)]
pub(crate) struct IssuanceIntent {
    /// Hash of the access token.
    pub(crate) token_hash: Sha256Hash,
    /// Digest of token, configuration and proofs, by which a repeated request is recognised.
    pub(crate) request_digest: Sha256Hash,
    /// Nonce of the proofs; `None` if it is invalid or expired, and then only a repetition of a stored request is
    /// answered.
    pub(crate) nonce: Option<Nonce>,
    /// Hash of the transaction id, by which a wallet asks for a deferred response.
    pub(crate) transaction_hash: Sha256Hash,
    /// Hash of the notification id.
    pub(crate) notification_hash: Sha256Hash,
    pub(crate) configuration_id: String,
    /// JWK thumbprints of the copies' keys, in order.
    pub(crate) thumbprints: Vec<String>,
    /// Public keys of the copies as a JSON array of JWKs; stored only for a deferred offer.
    pub(crate) holder_keys: String,
    pub(crate) now: Timestamp,
    /// Time until which the claims are kept if the offer waits for staff.
    pub(crate) deferred_until: Timestamp,
}

/// Next step for a credential request.
#[derive(Debug)]
pub(crate) enum IssuanceStep {
    /// The copies are to be signed.
    Sign(SigningJob),
    /// The request was answered before; its encrypted response.
    Answered(Vec<u8>),
    /// The request waits until staff release the offer.
    Deferred,
}

/// Result of storing signed copies and their response.
#[derive(Debug)]
pub(crate) enum StoredIssuance {
    /// Stored; the response may be sent.
    Stored,
    /// Another call answered the same request in the meantime. Contains its encrypted response; the new signatures are
    /// discarded.
    Answered(Vec<u8>),
}

/// Copies to be signed, with the claims and the dates of their offer.
#[derive(Debug)]
pub(crate) struct SigningJob {
    /// Number of the stored request.
    pub(crate) issuance: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) claims: StoredClaims,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Digest of the credential request, with which its response is encrypted.
    pub(crate) request_digest: Sha256Hash,
    /// Public keys of the copies as a JSON array of JWKs; only for a deferred request.
    pub(crate) holder_keys: Option<String>,
    /// Status indices of the copies, in order.
    pub(crate) status_indices: Vec<StatusIndex>,
}

impl SigningJob {
    /// Returns the validity period of copies signed at `now`. It starts today, or at the offer's start if that is
    /// later, so that the creation date of the offer does not distinguish holders; if such copies would already have
    /// expired, it starts at the offer's start. Start and end are rounded down to `epoch`; if that leaves no validity,
    /// the end is not rounded.
    pub(crate) fn validity_period(&self, epoch: Epoch, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.start_of_day();
        let first = if today < self.valid_until { self.valid_from.max(today) } else { self.valid_from };
        // If rounding leaves no validity, the end is that of an offer from before epochs existed.
        epoch.round_validity(first, self.valid_until, now).unwrap_or((epoch.start(first), self.valid_until))
    }
}

/// Signed copies, as they are recorded in the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedCopies<'a> {
    /// DID URL of the signing key.
    pub(crate) kid: &'a str,
    /// Digest and handle hash of each copy, in order; `None` for formats without them.
    pub(crate) identifiers: &'a [Option<CopyIdentifiers>],
}

/// Response with signed copies, to be stored in case the wallet does not receive it.
#[derive(Debug)]
pub(crate) struct SignedResponse<'a> {
    pub(crate) copies: SignedCopies<'a>,
    pub(crate) response: SealedResponse,
    /// Validity period of the copies.
    pub(crate) validity: (Timestamp, Timestamp),
    /// Increment of the voucher totals; `None` if the credential is no voucher.
    pub(crate) voucher: Option<VoucherTotal>,
    pub(crate) now: Timestamp,
}

impl<S: Store> Issuer<S> {
    /// Refuses an access token that is unknown, expired or for another credential configuration. Returns `true` if the
    /// same request was stored before. This only reads: the checks are repeated when the intent is stored.
    ///
    /// # Errors
    /// [`Error::TokenInvalid`]; another configuration is offered; store errors.
    pub(crate) async fn check_access_token(
        &self,
        token_hash: &Sha256Hash,
        configuration: &str,
        request_digest: &Sha256Hash,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.store.read().await?;
        let (content, _) = offer_and_format(&mut tx, token_hash, configuration, now).await?;
        Ok(tx.issuance_by_request(&content.offer.offer_id, request_digest).await?.is_some())
    }

    /// Stores the intent to sign and marks the nonce as used. Returns the next step for the request: for a repetition,
    /// that of the stored request.
    ///
    /// # Errors
    /// The token, the configuration or the nonce is refused; the offer is closed; its copies were issued to or are
    /// deferred for a request with other proofs; [`Error::KeyUsed`]; a repeated request's response was erased; store
    /// errors.
    pub(crate) async fn store_issuance_intent(&self, intent: IssuanceIntent) -> Result<IssuanceStep, Error> {
        let mut tx = self.store.begin("intend_issuance").await?;
        let now = intent.now;
        let (content, format) = offer_and_format(&mut tx, &intent.token_hash, &intent.configuration_id, now).await?;
        let offer_id = content.offer.offer_id.clone();
        if let Some(known) = tx.issuance_by_request(&offer_id, &intent.request_digest).await? {
            let step = repeated_request_step(&mut tx, content, known, now).await?;
            tx.commit().await?;
            return Ok(step);
        }
        require_no_other_request(&mut tx, &content.offer).await?;
        // The first intent decides: copies of an earlier one may be about to be signed in the other format.
        if format != content.offer.format && !tx.choose_format(&offer_id, format).await? {
            return Err(Error::ConfigurationNotOffered);
        }
        consume_nonce(&mut tx, &intent.nonce.ok_or(Error::NonceInvalid)?).await?;
        let waits = content.offer.deferred && !content.released;
        let collection = tx
            .insert_issuance(&NewIssuance {
                offer_id: &offer_id,
                request_digest: &intent.request_digest,
                state: if waits { IssuanceState::Deferred } else { IssuanceState::Intended },
                transaction_hash: waits.then_some(&intent.transaction_hash),
                notification_hash: &intent.notification_hash,
                holder_keys: waits.then_some(&intent.holder_keys),
                reissue: None,
            })
            .await?;
        insert_copies(&mut tx, self.settings.list_entries, (collection, &offer_id), &intent.thumbprints, now).await?;
        // From here on the claims are kept as long as the offer would have waited: after a power cut before the
        // signature, the code can be redeemed again.
        let keep_until = if waits { intent.deferred_until } else { content.offer.expires_at };
        tx.retain_claims_until(&offer_id, keep_until).await?;
        let work = signing_job(&mut tx, content, collection, intent.request_digest, None).await?;
        let work = SigningJob { format, ..work };
        tx.commit().await?;
        Ok(if waits { IssuanceStep::Deferred } else { IssuanceStep::Sign(work) })
    }

    /// Returns the next step for a deferred request, with its digest and the format of the copies. It stores nothing:
    /// the intent was stored when the request was deferred.
    ///
    /// # Errors
    /// [`Error::TransactionUnknown`], also after the deadline or if the response was erased; staff rejected the offer;
    /// store errors.
    pub(crate) async fn deferred_step(
        &self,
        transaction_hash: &Sha256Hash,
        now: Timestamp,
    ) -> Result<(Sha256Hash, CredentialFormat, IssuanceStep), Error> {
        // This writes nothing, and waits for no writer: the indices were drawn and stored when the collection was
        // deferred.
        let mut tx = self.store.read().await?;
        let known = tx.issuance_by_transaction(transaction_hash).await?.ok_or(Error::TransactionUnknown)?;
        let content = tx.offer(&known.offer_id).await?.ok_or(Error::Corrupt("collections.offer_id"))?;
        let (digest, format) = (known.request_digest, content.offer.format);
        if content.rejected {
            return Err(Error::RejectedByStaff { reason: content.reason.unwrap_or_default() });
        }
        let intended = match known.state {
            IssuanceState::Signed => {
                IssuanceStep::Answered(known.unexpired_response(now).ok_or(Error::TransactionUnknown)?)
            }
            IssuanceState::Deferred => {
                let waits = content.keep_claims_until.is_some_and(|until| now < until);
                if content.offer.state != OfferState::Redeemed || !waits {
                    return Err(Error::TransactionUnknown);
                }
                if content.released {
                    let (collection, keys) = (known.collection, known.holder_keys);
                    IssuanceStep::Sign(signing_job(&mut tx, content, collection, digest, keys).await?)
                } else {
                    IssuanceStep::Deferred
                }
            }
            IssuanceState::Intended => return Err(Error::TransactionUnknown),
        };
        Ok((digest, format, intended))
    }

    /// Records signed copies: erases the offer's claims, marks the copies as issued with their digests and handle
    /// hashes, stores the encrypted response, and adds a voucher to the totals. The response is kept until its expiry,
    /// or until the offer's expiry if that is later and the wallet can repeat the redemption.
    ///
    /// If the offer is no longer redeemed (another call finished first, or it was closed), nothing is changed; the
    /// result is then the response of the other call, or an error if there is none.
    ///
    /// # Errors
    /// The offer was closed, and there is no response; [`Error::KeyUsed`]; store errors.
    pub(crate) async fn store_issuance(
        &self,
        collection: i64,
        signed: SignedResponse<'_>,
    ) -> Result<StoredIssuance, Error> {
        let SignedResponse { copies, response, validity, voucher, now } = signed;
        let mut tx = self.store.begin("finish_issuance").await?;
        let known = tx.issuance(collection).await?.ok_or(Error::Corrupt("collections"))?;
        let offer_id = known.offer_id.clone();
        if !tx.mark_offer_collected(&offer_id).await? {
            let response = concurrent_response(&mut tx, known, now).await?;
            tx.commit().await?;
            return Ok(StoredIssuance::Answered(response));
        }
        let content = tx.offer(&offer_id).await?.ok_or(Error::Corrupt("collections.offer_id"))?;
        let SealedResponse { ciphertext: sealed, keep_until: mut until } = response;
        if content.is_repeatable {
            until = until.max(content.offer.expires_at);
        }
        let response = Some(SealedResponse { ciphertext: sealed, keep_until: until });
        tx.mark_issuance_signed(collection, &SigningResult { kid: copies.kid, response, validity: Some(validity) })
            .await?;
        mark_copies_issued(&mut tx, collection, copies.identifiers, now).await?;
        if let Some(voucher) = &voucher {
            tx.add_to_voucher_totals(voucher).await?;
        }
        tx.erase_unsigned_keys(&offer_id).await?;
        tx.commit().await?;
        // Not awaited: the wallet and every collection behind this one would wait for it.
        self.store.schedule_purge();
        Ok(StoredIssuance::Stored)
    }
}

/// Returns the offer of an access token, and the format that a requested configuration stands for.
///
/// # Errors
/// [`Error::TokenInvalid`]; another configuration is offered; store errors.
async fn offer_and_format<T: StoreTx>(
    tx: &mut T,
    token_hash: &Sha256Hash,
    configuration: &str,
    now: Timestamp,
) -> Result<(OfferWithClaims, CredentialFormat), Error> {
    let content = tx.offer_by_token(token_hash, now).await?.ok_or(Error::TokenInvalid)?;
    let format = requested_format(&content.offer.credential_type, content.offer.format, configuration)?;
    Ok((content, format))
}

/// Returns the next step for a request that was stored before. Its nonce was marked as used the first time, and is not
/// checked.
async fn repeated_request_step<T: StoreTx>(
    tx: &mut T,
    content: OfferWithClaims,
    known: IssuanceRecord,
    now: Timestamp,
) -> Result<IssuanceStep, Error> {
    match known.state {
        IssuanceState::Signed => known.unexpired_response(now).map(IssuanceStep::Answered).ok_or(Error::ResponseErased),
        IssuanceState::Deferred => Ok(IssuanceStep::Deferred),
        IssuanceState::Intended if content.offer.state == OfferState::Redeemed => {
            let (collection, digest) = (known.collection, known.request_digest);
            signing_job(tx, content, collection, digest, None).await.map(IssuanceStep::Sign)
        }
        IssuanceState::Intended => Err(Error::TokenInvalid),
    }
}

/// Returns the response that another call stored for the same request while this one was signing.
///
/// # Errors
/// The reason why there is no response; store errors.
async fn concurrent_response<T: StoreTx>(tx: &mut T, known: IssuanceRecord, now: Timestamp) -> Result<Vec<u8>, Error> {
    let (offer_id, has_transaction, state) = (known.offer_id.clone(), known.has_transaction, known.state);
    if let Some(sealed) = known.unexpired_response(now) {
        return Ok(sealed);
    }
    if has_transaction {
        return Err(Error::TransactionUnknown);
    }
    if state == IssuanceState::Signed {
        return Err(Error::ResponseErased);
    }
    let content = tx.offer(&offer_id).await?.ok_or(Error::Corrupt("collections.offer_id"))?;
    require_no_other_request(tx, &content.offer).await?;
    Err(Error::CopiesAlreadyRequested)
}

/// Refuses an offer that is not redeemed, or whose copies wait for staff under another request.
async fn require_no_other_request<T: StoreTx>(tx: &mut T, offer: &OfferRecord) -> Result<(), Error> {
    match offer.state {
        OfferState::Redeemed => {}
        OfferState::Collected => return Err(Error::CopiesAlreadyRequested),
        OfferState::Cancelled => return Err(Error::OfferCancelled),
        OfferState::Open | OfferState::Expired | OfferState::Locked => return Err(Error::TokenInvalid),
    }
    if tx.has_issuance(&offer.offer_id, IssuanceState::Deferred).await? {
        return Err(Error::CopiesAlreadyRequested);
    }
    Ok(())
}

/// Marks a nonce as used, until its expiry.
///
/// # Errors
/// [`Error::NonceInvalid`] if it was used before; store errors.
pub(crate) async fn consume_nonce<T: StoreTx>(tx: &mut T, nonce: &Nonce) -> Result<(), Error> {
    if tx.store_used_nonce(nonce).await? { Ok(()) } else { Err(Error::NonceInvalid) }
}

/// Marks the copies of a stored request as issued. `names`: digest and handle hash of each signed copy, in order.
///
/// # Errors
/// [`Error::KeyUsed`] if a key got another copy in the meantime; store errors.
pub(crate) async fn mark_copies_issued<T: StoreTx>(
    tx: &mut T,
    collection: i64,
    names: &[Option<CopyIdentifiers>],
    now: Timestamp,
) -> Result<(), Error> {
    for (number, names) in names.iter().enumerate() {
        if !tx.mark_copy_issued(collection, number, names.as_ref(), now).await? {
            return Err(Error::KeyUsed);
        }
    }
    Ok(())
}

/// Collects the data that signing needs from an offer and a stored request.
///
/// # Errors
/// [`Error::Corrupt`] if the claims are erased; store errors.
async fn signing_job<T: StoreTx>(
    tx: &mut T,
    content: OfferWithClaims,
    collection: i64,
    request_digest: Sha256Hash,
    holder_keys: Option<String>,
) -> Result<SigningJob, Error> {
    let OfferRecord { offer_id, credential_type, format, valid_from, valid_until, .. } = content.offer;
    Ok(SigningJob {
        issuance: collection,
        offer_id,
        credential_type,
        format,
        claims: content.claims.ok_or(Error::Corrupt("offers.claims"))?,
        valid_from,
        valid_until,
        request_digest,
        holder_keys,
        status_indices: tx.status_indices(collection).await?,
    })
}
