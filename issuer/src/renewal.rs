//! Renewal: exchange of one copy near its expiry, presented in full, for copies of the same credential with a later
//! expiry (spec/freshness.md section 3).
//!
//! As in a refill, the claims come from the copy. If staff must approve the renewal, the claims are stored encrypted
//! with the transaction id, which only the wallet keeps: the issuer cannot decrypt them until the wallet sends the id
//! again.

use std::sync::Arc;

use carnet_core::{
    json::{self, Limits},
    time::Timestamp,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    credential::BatchContent,
    error::Error,
    intent::StoredIssuance,
    issuance::{
        IssuanceOutcome, copy_identifiers, decrypt_stored_response, holder_keys_from_json, jwk_array_text,
        notification_hash, notification_id, spawn_cpu,
    },
    issuer::{Issuer, RESPONSE_SECONDS},
    renewal_intent::{ApprovedRenewal, DeferredRenewalStep, RenewalIntent},
    secrets::{self, HashPurpose},
    store::{Store, issuances::SealedResponse, renewal::NewPendingRenewal},
};

impl<S: Store> Issuer<S> {
    /// Verifies a presented copy and the proofs, and signs a new copy for each proof's key, with the claims of the
    /// presented copy and a later expiry; the date claims that the renewal policy names are moved by its number of
    /// days. If staff must approve renewals of the type, the request is stored instead, and the outcome is deferred.
    ///
    /// # Errors
    /// [`Error::RenewalUnavailable`]; the renewal is too early, or one too many; the copy, its key binding, a proof or
    /// the nonce is refused; a copy of the credential is revoked or suspended; a limit of refills is reached; staff
    /// were asked too recently or too often; store errors; signing errors.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        presentation: Zeroizing<String>,
        proofs: Vec<String>,
    ) -> Result<IssuanceOutcome, Error> {
        let now = self.now();
        let (shown, keys, request_digest) = self.verify_refill_request(presentation, proofs, now).await?;
        let policy = self.settings.renewal_policies.get(&shown.credential_type).ok_or(Error::RenewalUnavailable)?;
        let claims = policy.extend_dates(shown.claims)?;
        self.credential_type(&shown.credential_type)?.validate_claims(&claims).map_err(Error::PresentationInvalid)?;
        // A pending renewal is acknowledged by a handle derived from the transaction id, which the wallet has by then.
        let transaction_id = policy.approval.then(secrets::random_secret);
        let notification_id = match &transaction_id {
            Some(id) => notification_id(id, &request_digest),
            None => secrets::random_secret(),
        };
        let waiting = match &transaction_id {
            Some(id) => Some(self.new_pending_renewal(id, &request_digest, &claims, &keys, now)?),
            None => None,
        };
        let intended = self
            .store_renewal_intent(RenewalIntent {
                copy: shown.copy,
                nonce: shown.nonce.0,
                request_digest,
                notification_hash: notification_hash(&notification_id),
                thumbprints: keys.iter().map(carnet_core::keys::PublicKey::thumbprint).collect(),
                terms: policy.terms(self.validity_epoch(&shown.credential_type)),
                pending: waiting,
                now,
            })
            .await?;
        let (refill, format) = match (intended, transaction_id) {
            (Some(refill), _) => (refill, shown.format),
            (None, Some(transaction_id)) => {
                tracing::info!(credential_type = shown.credential_type, "a renewal waits for staff");
                return Ok(IssuanceOutcome::Deferred {
                    transaction_id,
                    interval: self.settings.deferred_interval_seconds,
                });
            }
            (None, None) => return Err(Error::Corrupt("renewals")),
        };
        self.ensure_published(&refill.status_indices).await?;
        let issuer = self.clone();
        let offer_id = refill.offer_id.clone();
        let collection = refill.issuance;
        let copies = spawn_cpu(move || {
            let content = BatchContent {
                credential_type: issuer.credential_type(&shown.credential_type)?,
                claims: &claims,
                valid_from: refill.valid_from,
                valid_until: refill.valid_until,
            };
            issuer.sign_copies(format, &content, &keys, &refill.status_indices, now)
        })
        .await??;
        self.complete_refill(collection, self.with_signing_key(&copy_identifiers(format, &copies)), now).await?;
        tracing::info!(offer_id, copies = copies.len(), "credentials renewed");
        Ok(IssuanceOutcome::Issued { format, copies, notification_id })
    }

    /// Builds the data that is kept until staff decide, with encrypted claims.
    fn new_pending_renewal(
        &self,
        transaction_id: &str,
        request_digest: &secrets::Sha256Hash,
        claims: &Map<String, Value>,
        keys: &[carnet_core::keys::PublicKey],
        now: Timestamp,
    ) -> Result<NewPendingRenewal, Error> {
        let text = Zeroizing::new(serde_json::to_vec(claims).map_err(|_| Error::Corrupt("claims"))?);
        Ok(NewPendingRenewal {
            transaction_hash: secrets::purpose_hash(HashPurpose::TransactionHash, &[transaction_id.as_bytes()]),
            claims: secrets::encrypt_response(transaction_id, request_digest, &text).ok_or(Error::Corrupt("claims"))?,
            holder_keys: jwk_array_text(keys),
            wait_until: now.plus(i64::from(self.settings.deferred_ttl_seconds)),
        })
    }

    /// Handles a deferred request for a renewal: signs the copies if staff have approved it. `None` if no renewal has
    /// this transaction id, or it is issued: its response is then stored with its credential request.
    ///
    /// # Errors
    /// Staff rejected the renewal; [`Error::TransactionUnknown`] if it lapsed or its deadline is over; the credential
    /// was revoked or suspended in the meantime; store errors; signing errors.
    pub(crate) async fn handle_deferred_renewal(
        self: &Arc<Self>,
        transaction_id: &str,
        now: Timestamp,
    ) -> Result<Option<IssuanceOutcome>, Error> {
        let hash = secrets::purpose_hash(HashPurpose::TransactionHash, &[transaction_id.as_bytes()]);
        let approved = match self.store_approved_renewal_intent(&hash, now).await? {
            None => return Ok(None),
            Some(DeferredRenewalStep::Pending) => {
                return Ok(Some(IssuanceOutcome::Deferred {
                    transaction_id: Zeroizing::new(transaction_id.to_owned()),
                    interval: self.settings.deferred_interval_seconds,
                }));
            }
            Some(DeferredRenewalStep::Sign(approved)) => *approved,
        };
        self.ensure_published(&approved.reissue.status_indices).await?;
        let ApprovedRenewal {
            renewal_id,
            reissue: refill,
            credential_type,
            format,
            request_digest,
            claims,
            holder_keys,
        } = approved;
        let issuer = self.clone();
        let handle = Zeroizing::new(transaction_id.to_owned());
        let offer_id = refill.offer_id.clone();
        let copies = spawn_cpu(move || {
            let corrupt = || Error::Corrupt("renewals.claims");
            let text = secrets::decrypt_response(&handle, &request_digest, &claims).ok_or_else(corrupt)?;
            let Ok(Value::Object(claims)) = json::parse(&text, Limits::DOCUMENT) else { return Err(corrupt()) };
            let content = BatchContent {
                credential_type: issuer.credential_type(&credential_type)?,
                claims: &claims,
                valid_from: refill.valid_from,
                valid_until: refill.valid_until,
            };
            issuer.sign_copies(format, &content, &holder_keys_from_json(&holder_keys)?, &refill.status_indices, now)
        })
        .await??;
        let text = Zeroizing::new(serde_json::to_vec(&*copies).map_err(|_| Error::Corrupt("answer"))?);
        let sealed =
            secrets::encrypt_response(transaction_id, &request_digest, &text).ok_or(Error::Corrupt("answer"))?;
        // The wallet may have lost its connection, and has nothing else to ask with.
        let until = now.plus(RESPONSE_SECONDS);
        let (names, response) =
            (copy_identifiers(format, &copies), SealedResponse { ciphertext: sealed, keep_until: until });
        let finished = self.complete_renewal(&renewal_id, self.with_signing_key(&names), response, now).await?;
        if let StoredIssuance::Answered(first) = finished {
            return decrypt_stored_response(format, transaction_id, &request_digest, &first).map(Some);
        }
        tracing::info!(offer_id, renewal_id, copies = copies.len(), "credentials renewed");
        let notification_id = notification_id(transaction_id, &request_digest);
        Ok(Some(IssuanceOutcome::Issued { format, copies, notification_id }))
    }
}
