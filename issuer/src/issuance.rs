//! Issuance of an offer's copies to its wallet: nonces, credential requests, deferred requests and notifications.
//! [`crate::intent`] describes the state after a power failure at each step.

use std::sync::Arc;

use carnet_core::{
    format::CredentialFormat,
    json::{self, Limits},
    keys::PublicKey,
    status::freshness,
    time::Timestamp,
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    credential::BatchContent,
    error::Error,
    format::configuration_id,
    intent::{IssuanceIntent, IssuanceStep, SignedCopies, SignedResponse, SigningJob, StoredIssuance},
    issuer::{Issuer, NONCE_SECONDS, RESPONSE_SECONDS, TOKEN_SECONDS},
    nonces::Nonce,
    proofs,
    secrets::{self, HashPurpose, Sha256Hash},
    store::{
        Store, StoreTx as _,
        issuances::{CopyIdentifiers, IssuanceRows as _, SealedResponse},
        offers::OfferRecord,
        status::StatusIndex,
    },
    vouchers,
};

/// Result of a credential request, a refill or a renewal.
pub(crate) enum IssuanceOutcome {
    /// Signed copies, and the id by which the wallet acknowledges them.
    Issued { format: CredentialFormat, copies: Zeroizing<Vec<String>>, notification_id: Zeroizing<String> },
    /// Deferred until staff decide: id for the next request, and the minimum time before it, in seconds.
    Deferred { transaction_id: Zeroizing<String>, interval: u32 },
}

/// Request for copies whose keys are known.
struct RequestedCopies<'a> {
    access_token: &'a str,
    configuration_id: String,
    format: CredentialFormat,
    request_digest: Sha256Hash,
    /// `None` if it is invalid or expired, and then only a repetition of a stored request is answered.
    nonce: Option<Nonce>,
    keys: Vec<PublicKey>,
}

/// Event that the wallet reports after issuance (OpenID4VCI 1.0 section 11); the store keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotificationEvent {
    /// All copies were stored.
    Accepted = 1,
    /// The copies could not be stored, or were refused.
    Failure = 2,
    /// The holder refused or deleted the copies.
    Deleted = 3,
}

impl<S: Store> Issuer<S> {
    /// Returns a new nonce for proofs of possession, and its expiry. Nothing is stored, so that requests cannot fill
    /// the store.
    pub(crate) fn issue_nonce(&self) -> (Zeroizing<String>, Timestamp) {
        let until = self.now().plus(NONCE_SECONDS);
        (self.nonces.issue_nonce(until), until)
    }

    /// Handles a credential request: verifies the proofs, and signs one copy for each proof's key. A repeated call with
    /// the same token, configuration and proofs returns the same response. `audience` is the issuer's identifier in the
    /// protocol of the call, the expected `aud` of the proofs.
    ///
    /// A request for a deferred offer is stored, and its copies are signed after staff have released the offer.
    ///
    /// # Errors
    /// The token, the configuration, a proof or the nonce is refused; the offer is closed, or its copies were requested
    /// with other proofs; the response was erased; store errors; signing errors.
    pub(crate) async fn handle_credential_request(
        self: &Arc<Self>,
        access_token: &str,
        configuration_id: &str,
        proofs: Vec<String>,
        audience: &str,
    ) -> Result<IssuanceOutcome, Error> {
        let now = self.now();
        let token_hash = secrets::purpose_hash(HashPurpose::AccessToken, &[access_token.as_bytes()]);
        // Cheap checks come first: without a valid token no signature is verified.
        let request = request_digest(access_token, configuration_id, &proofs);
        let repeated = self.check_access_token(&token_hash, configuration_id, &request, now).await?;
        let configuration = self
            .supported_configurations()
            .find(|known| known.id == configuration_id)
            .ok_or_else(|| Error::invalid("credential_configuration_id", "this issuer has no such configuration"))?;
        let most = self.settings.max_batch_size;
        // The times of repeated proofs were checked in the first call.
        let at = (!repeated).then_some(now);
        let audience = audience.to_owned();
        let proven = spawn_cpu(move || proofs::verify_proofs(&proofs, &audience, most, at)).await??;
        let content = RequestedCopies {
            access_token,
            configuration_id: configuration.id,
            format: configuration.format,
            request_digest: request,
            nonce: self.nonces.verify_nonce(&proven.nonce, now),
            keys: proven.keys,
        };
        self.intend_and_sign(content, now).await
    }

    /// Signs one copy for a key for which staff vouch, instead of a proof of possession. `access_token` is that of the
    /// redeemed `offer`.
    ///
    /// # Errors
    /// As for [`Self::handle_credential_request`].
    pub(crate) async fn issue_to_vouched_key(
        self: &Arc<Self>,
        access_token: &str,
        offer: &OfferRecord,
        key: PublicKey,
    ) -> Result<IssuanceOutcome, Error> {
        let now = self.now();
        let configuration_id = configuration_id(&offer.credential_type, offer.format);
        let request_digest = request_digest(access_token, &configuration_id, &[key.thumbprint()]);
        let (nonce, _) = self.issue_nonce();
        let content = RequestedCopies {
            access_token,
            configuration_id,
            format: offer.format,
            request_digest,
            nonce: self.nonces.verify_nonce(&nonce, now),
            keys: vec![key],
        };
        self.intend_and_sign(content, now).await
    }

    /// Stores the intent of a request, and signs its copies if that is the next step.
    async fn intend_and_sign(
        self: &Arc<Self>,
        content: RequestedCopies<'_>,
        now: Timestamp,
    ) -> Result<IssuanceOutcome, Error> {
        let RequestedCopies { access_token, configuration_id, format, request_digest: request, nonce, keys } = content;
        let token_hash = secrets::purpose_hash(HashPurpose::AccessToken, &[access_token.as_bytes()]);
        let transaction_id = secrets::derive_secret(HashPurpose::TransactionId, access_token, &request);
        let intended = self
            .store_issuance_intent(IssuanceIntent {
                token_hash,
                request_digest: request,
                nonce,
                transaction_hash: secrets::purpose_hash(HashPurpose::TransactionHash, &[transaction_id.as_bytes()]),
                // A deferred response is acknowledged by a handle derived from the transaction id, which the wallet has
                // by then.
                notification_hash: notification_hash(&notification_id(&transaction_id, &request)),
                configuration_id,
                thumbprints: keys.iter().map(PublicKey::thumbprint).collect(),
                holder_keys: jwk_array_text(&keys),
                now,
                deferred_until: now.plus(i64::from(self.settings.deferred_ttl_seconds)),
            })
            .await?;
        let interval = self.settings.deferred_interval_seconds;
        match intended {
            IssuanceStep::Deferred => Ok(IssuanceOutcome::Deferred { transaction_id, interval }),
            IssuanceStep::Answered(sealed) => decrypt_stored_response(format, &transaction_id, &request, &sealed),
            IssuanceStep::Sign(work) => self.sign_and_store(work, keys, &transaction_id, TOKEN_SECONDS, now).await,
        }
    }

    /// Handles a deferred credential request, for an offer or a renewal: returns the signed copies once staff have
    /// approved it.
    ///
    /// # Errors
    /// [`Error::TransactionUnknown`]; staff rejected the offer or the renewal; for a renewal, a copy of the credential
    /// was revoked or suspended in the meantime; store errors; signing errors.
    pub(crate) async fn handle_deferred_request(
        self: &Arc<Self>,
        transaction_id: &str,
    ) -> Result<IssuanceOutcome, Error> {
        let now = self.now();
        if let Some(renewed) = self.handle_deferred_renewal(transaction_id, now).await? {
            return Ok(renewed);
        }
        let hash = secrets::purpose_hash(HashPurpose::TransactionHash, &[transaction_id.as_bytes()]);
        let (request, format, intended) = self.deferred_step(&hash, now).await?;
        match intended {
            IssuanceStep::Deferred => Ok(IssuanceOutcome::Deferred {
                transaction_id: Zeroizing::new(transaction_id.to_owned()),
                interval: self.settings.deferred_interval_seconds,
            }),
            IssuanceStep::Answered(sealed) => decrypt_stored_response(format, transaction_id, &request, &sealed),
            IssuanceStep::Sign(work) => {
                let keys = holder_keys_from_json(work.holder_keys.as_deref().unwrap_or_default())?;
                self.sign_and_store(work, keys, transaction_id, RESPONSE_SECONDS, now).await
            }
        }
    }

    /// Records the event that the wallet reports, and erases the stored response. Idempotent; a later event replaces
    /// the earlier one.
    ///
    /// # Errors
    /// [`Error::NotificationUnknown`]; store errors.
    pub(crate) async fn record_notification(
        &self,
        notification_id: &str,
        event: NotificationEvent,
    ) -> Result<(), Error> {
        let hash = notification_hash(notification_id);
        // Anonymous callers can get here, so only somebody who knows an issuance may delay other writers.
        if self.store.read().await?.request_digest_by_notification(&hash).await?.is_none() {
            return Err(Error::NotificationUnknown);
        }
        let mut tx = self.store.begin("notify").await?;
        tx.store_notification(&hash, event as i32).await?;
        Ok(tx.commit().await?)
    }

    /// Checks that the copies of a transaction id were requested with this access token. The token may have expired
    /// since: a wallet may wait for days.
    ///
    /// # Errors
    /// [`Error::TransactionUnknown`]; [`Error::TokenInvalid`]; store errors.
    pub(crate) async fn require_token_of_transaction(&self, transaction_id: &str, token: &str) -> Result<(), Error> {
        let hash = secrets::purpose_hash(HashPurpose::TransactionHash, &[transaction_id.as_bytes()]);
        let known = self.store.read().await?.issuance_by_transaction(&hash).await?;
        let known = known.ok_or(Error::TransactionUnknown)?;
        let derived = secrets::derive_secret(HashPurpose::TransactionId, token, &known.request_digest);
        if *derived == transaction_id { Ok(()) } else { Err(Error::TokenInvalid) }
    }

    /// Checks that the copies of a notification id were requested with this access token. The token may have expired
    /// since.
    ///
    /// # Errors
    /// [`Error::NotificationUnknown`]; [`Error::TokenInvalid`]; store errors.
    pub(crate) async fn require_token_of_notification(&self, notification_id: &str, token: &str) -> Result<(), Error> {
        let hash = notification_hash(notification_id);
        let digest = self.store.read().await?.request_digest_by_notification(&hash).await?;
        let digest = digest.ok_or(Error::NotificationUnknown)?;
        let transaction_id = secrets::derive_secret(HashPurpose::TransactionId, token, &digest);
        let derived = self::notification_id(&transaction_id, &digest);
        if *derived == notification_id { Ok(()) } else { Err(Error::TokenInvalid) }
    }

    /// Signs copies whose intent is stored, and stores the result. `handle` is the transaction id, from which the
    /// notification id and the key of the stored response are derived; the response is kept for at least
    /// `keep_seconds`.
    async fn sign_and_store(
        self: &Arc<Self>,
        work: SigningJob,
        keys: Vec<PublicKey>,
        handle: &str,
        keep_seconds: i64,
        now: Timestamp,
    ) -> Result<IssuanceOutcome, Error> {
        self.ensure_published(&work.status_indices).await?;
        let issuer = self.clone();
        let days = work.validity_period(self.validity_epoch(&work.credential_type), now);
        let voucher = match self.catalogue.credential_type(&work.credential_type) {
            Some(known) if known.serials.is_some() => {
                vouchers::voucher_total_increment(known, &parse_claims(&work.claims.0)?, now)
            }
            _ => None,
        };
        let (work, copies) = spawn_cpu(move || {
            let copies = issuer.sign_offered_copies(&work, &keys, days, now);
            (work, copies)
        })
        .await?;
        let copies = copies?;
        let text = Zeroizing::new(serde_json::to_vec(&*copies).map_err(|_| Error::Corrupt("answer"))?);
        let sealed = secrets::encrypt_response(handle, &work.request_digest, &text).ok_or(Error::Corrupt("answer"))?;
        let until = now.plus(keep_seconds);
        // A wallet that lost its connection may repeat its call while the first is still signing: both get the response
        // stored first.
        let names = copy_identifiers(work.format, &copies);
        let response = SealedResponse { ciphertext: sealed, keep_until: until };
        let signed = SignedResponse { copies: self.with_signing_key(&names), response, validity: days, voucher, now };
        if let StoredIssuance::Answered(first) = self.store_issuance(work.issuance, signed).await? {
            return decrypt_stored_response(work.format, handle, &work.request_digest, &first);
        }
        tracing::info!(offer_id = work.offer_id, copies = copies.len(), "credentials issued");
        let notification_id = notification_id(handle, &work.request_digest);
        Ok(IssuanceOutcome::Issued { format: work.format, copies, notification_id })
    }

    /// Signs the copies of an offer, with its stored claims.
    fn sign_offered_copies(
        &self,
        work: &SigningJob,
        keys: &[PublicKey],
        (valid_from, valid_until): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<String>>, Error> {
        let claims = parse_claims(&work.claims.0)?;
        let content = BatchContent {
            credential_type: self
                .catalogue
                .credential_type(&work.credential_type)
                .ok_or(Error::Corrupt("offers.credential_type"))?,
            claims: &claims,
            valid_from,
            valid_until,
        };
        self.sign_copies(work.format, &content, keys, &work.status_indices, now)
    }

    /// Signs one copy for each key, with the status index at the same position.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the numbers of keys and indices differ; signing errors.
    pub(crate) fn sign_copies(
        &self,
        format: CredentialFormat,
        content: &BatchContent<'_>,
        keys: &[PublicKey],
        places: &[StatusIndex],
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<String>>, Error> {
        if keys.len() != places.len() {
            return Err(Error::Corrupt("issued.status_index"));
        }
        let copy = |(key, place): (&PublicKey, &StatusIndex)| self.sign_copy(format, content, key, *place, now);
        let copies: Result<Vec<String>, _> = keys.iter().zip(places).map(copy).collect();
        Ok(Zeroizing::new(copies.map_err(Error::Signing)?))
    }
}

impl<S: Store> Issuer<S> {
    /// Combines the digests and handle hashes of signed copies with the DID URL of the signing key.
    pub(crate) fn with_signing_key<'a>(&'a self, names: &'a [Option<CopyIdentifiers>]) -> SignedCopies<'a> {
        SignedCopies { kid: &self.kid, identifiers: names }
    }
}

/// Returns the digest that identifies an SD-JWT copy: SHA-256 of its issuer-signed JWT, without the disclosures.
pub(crate) fn copy_digest(copy: &str) -> Sha256Hash {
    Sha256::digest(copy.split('~').next().unwrap_or_default()).into()
}

/// Returns the digest and the handle hash of each copy, in order; `None` for formats other than SD-JWT.
pub(crate) fn copy_identifiers(format: CredentialFormat, copies: &[String]) -> Vec<Option<CopyIdentifiers>> {
    let names = |copy: &String| match format {
        CredentialFormat::VcSdJwt | CredentialFormat::DcSdJwt => {
            Some(CopyIdentifiers { digest: copy_digest(copy), handle_hash: handle_hash(&freshness::copy_handle(copy)) })
        }
        CredentialFormat::LdpVc | CredentialFormat::DiVcJcs => None,
    };
    copies.iter().map(names).collect()
}

/// Returns the hash under which the store keeps a copy's handle.
pub(crate) fn handle_hash(handle: &[u8]) -> Sha256Hash {
    secrets::purpose_hash(HashPurpose::FreshnessHandle, &[handle])
}

/// Runs CPU-bound work on the runtime's blocking threads, apart from network I/O. A panic of the work is passed on.
///
/// # Errors
/// [`Error::Stopping`] if the runtime is shutting down.
pub(crate) async fn spawn_cpu<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) => match error.try_into_panic() {
            // The panic is passed on, so that this call fails and no other.
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Stopping),
        },
    }
}

/// Returns the digest of a credential request, by which a repeated one is recognised.
fn request_digest(access_token: &str, configuration_id: &str, proofs: &[String]) -> Sha256Hash {
    let mut parts = vec![access_token.as_bytes(), configuration_id.as_bytes()];
    parts.extend(proofs.iter().map(String::as_bytes));
    secrets::purpose_hash(HashPurpose::RequestDigest, &parts)
}

/// Derives the notification id of a response from the transaction id (`handle`) and the request's digest.
pub(crate) fn notification_id(handle: &str, request: &Sha256Hash) -> Zeroizing<String> {
    secrets::derive_secret(HashPurpose::NotificationId, handle, request)
}

/// Returns the hash under which the store keeps a notification id.
pub(crate) fn notification_hash(notification_id: &str) -> Sha256Hash {
    secrets::purpose_hash(HashPurpose::NotificationHash, &[notification_id.as_bytes()])
}

/// Decrypts a stored response. `handle` is the transaction id, from which the key is derived.
///
/// # Errors
/// [`Error::Corrupt`]
pub(crate) fn decrypt_stored_response(
    format: CredentialFormat,
    handle: &str,
    request: &Sha256Hash,
    sealed: &[u8],
) -> Result<IssuanceOutcome, Error> {
    let text = secrets::decrypt_response(handle, request, sealed).ok_or(Error::Corrupt("collections.sealed"))?;
    let copies = serde_json::from_slice(&text).map_err(|_| Error::Corrupt("collections.sealed"))?;
    let notification_id = notification_id(handle, request);
    Ok(IssuanceOutcome::Issued { format, copies: Zeroizing::new(copies), notification_id })
}

fn parse_claims(text: &str) -> Result<Map<String, Value>, Error> {
    match json::parse(text.as_bytes(), Limits::DOCUMENT) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(Error::Corrupt("offers.claims")),
    }
}

/// Formats public keys as a JSON array of JWKs.
pub(crate) fn jwk_array_text(keys: &[PublicKey]) -> String {
    Value::Array(keys.iter().map(|key| Value::Object(key.to_jwk())).collect()).to_string()
}

/// Parses public keys from a JSON array of JWKs, as the store keeps them.
///
/// # Errors
/// [`Error::Corrupt`]
pub(crate) fn holder_keys_from_json(text: &str) -> Result<Vec<PublicKey>, Error> {
    let corrupt = || Error::Corrupt("collections.holder_keys");
    let keys = json::parse(text.as_bytes(), Limits::DOCUMENT).map_err(|_| corrupt())?;
    let keys = keys.as_array().ok_or_else(corrupt)?;
    keys.iter().map(|key| PublicKey::from_jwk(key).map_err(|_| corrupt())).collect()
}
