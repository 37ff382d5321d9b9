//! Issuance: nonces, and copies against proofs of possession. [`crate::store`] says what a power cut does at each step.

use carnet_core::{
    json::{self, Limits},
    keys::PublicKey,
    time::Timestamp,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    credential::Content,
    error::Error,
    format::Format,
    issuer::{Issuer, NONCE_SECONDS, TOKEN_SECONDS},
    proofs,
    secrets::{self, Hash, Use},
    store::{Intended, Intent, Store, Work},
};

/// A nonce for proofs.
pub(crate) struct Nonce {
    pub(crate) nonce: Zeroizing<String>,
    pub(crate) expires_at: Timestamp,
}

/// What a request for copies gives.
pub(crate) enum Collected {
    Issued { format: Format, copies: Zeroizing<Vec<String>>, notification_id: Zeroizing<String> },
    Deferred { transaction_id: Zeroizing<String>, interval: u32 },
}

impl<S: Store> Issuer<S> {
    /// A fresh nonce.
    pub(crate) async fn issue_nonce(&self) -> Result<Nonce, Error> {
        let now = self.now();
        let expires_at = now.plus(NONCE_SECONDS);
        let nonce = secrets::draw();
        self.store.add_nonce(secrets::digest(Use::Nonce, &[nonce.as_bytes()]), expires_at, now).await?;
        Ok(Nonce { nonce, expires_at })
    }

    /// Collects one copy for each proof. A repeat with the same token and proofs gets the same answer.
    ///
    /// # Errors
    /// The token, the configuration, a proof or the nonce is refused; the store's; signing failed.
    pub(crate) async fn collect(
        &self,
        access_token: &str,
        configuration_id: &str,
        proofs: &[String],
    ) -> Result<Collected, Error> {
        let now = self.now();
        let configuration = self
            .configurations()
            .find(|known| known.id == configuration_id)
            .ok_or_else(|| Error::invalid("credential_configuration_id", "this issuer has no such configuration"))?;
        let proven = proofs::verify(proofs, self.did.as_str(), self.settings.max_batch_size, now)?;
        let request = request_digest(access_token, configuration_id, proofs);
        let transaction_id = secrets::derive(Use::TransactionId, access_token, &request);
        let format = configuration.format;
        let intended = self
            .store
            .intend(Intent {
                token_hash: secrets::digest(Use::AccessToken, &[access_token.as_bytes()]),
                request_digest: request,
                nonce_hash: secrets::digest(Use::Nonce, &[proven.nonce.as_bytes()]),
                transaction_hash: secrets::digest(Use::TransactionHash, &[transaction_id.as_bytes()]),
                // Deferred copies are acknowledged by a handle made from the transaction id, since that is what the wallet has then.
                notification_hash: notification_hash(&notification_id(&transaction_id, &request)),
                configuration_id: configuration.id,
                copies: proven.keys.len(),
                holder_keys: keys_to_text(&proven.keys),
                now,
                deferred_until: now.plus(i64::from(self.settings.deferred_ttl)),
            })
            .await?;
        let interval = self.settings.deferred_interval;
        match intended {
            Intended::Deferred => Ok(Collected::Deferred { transaction_id, interval }),
            Intended::Answered(sealed) => open_answer(format, &transaction_id, &request, &sealed),
            Intended::Sign(work) => self.sign(&work, &proven.keys, &transaction_id, now).await,
        }
    }

    /// Collects what was deferred.
    ///
    /// # Errors
    /// [`Error::TransactionUnknown`]; the store's; signing failed.
    pub(crate) async fn collect_deferred(&self, transaction_id: &str) -> Result<Collected, Error> {
        let now = self.now();
        let hash = secrets::digest(Use::TransactionHash, &[transaction_id.as_bytes()]);
        let (request, format, intended) = self.store.intend_deferred(hash, now).await?;
        match intended {
            Intended::Deferred => Ok(Collected::Deferred {
                transaction_id: Zeroizing::new(transaction_id.to_owned()),
                interval: self.settings.deferred_interval,
            }),
            Intended::Answered(sealed) => open_answer(format, transaction_id, &request, &sealed),
            Intended::Sign(work) => {
                let keys = keys_from_text(work.holder_keys.as_deref().unwrap_or_default())?;
                self.sign(&work, &keys, transaction_id, now).await
            }
        }
    }

    /// Records how it went. Idempotent.
    pub(crate) async fn notify(&self, notification_id: &str, event: i32) -> Result<(), Error> {
        self.store.notify(notification_hash(notification_id), event).await
    }

    /// Signs the copies whose intent is stored, and then closes the offer.
    async fn sign(&self, work: &Work, keys: &[PublicKey], handle: &str, now: Timestamp) -> Result<Collected, Error> {
        let claims = parse_claims(&work.claims.0)?;
        let content = Content {
            credential_type: self
                .catalogue
                .credential_type(&work.credential_type)
                .ok_or(Error::Corrupt("offers.credential_type"))?,
            claims: &claims,
            valid_from: work.valid_from,
            valid_until: work.valid_until,
        };
        let copies: Result<Vec<String>, _> =
            keys.iter().map(|key| self.secure(work.format, &content, key, now)).collect();
        let copies = Zeroizing::new(copies.map_err(Error::Signing)?);
        let text = Zeroizing::new(serde_json::to_vec(&*copies).map_err(|_| Error::Corrupt("answer"))?);
        let sealed = secrets::seal(handle, &work.request_digest, &text).ok_or(Error::Corrupt("answer"))?;
        let until = now.plus(TOKEN_SECONDS);
        if !self.store.finish(work.collection, sealed, until, now).await? {
            // Another call for this offer was first; what was signed here goes nowhere.
            return Err(Error::AlreadyCollected);
        }
        tracing::info!(offer_id = work.offer_id, copies = copies.len(), "credentials issued");
        let notification_id = notification_id(handle, &work.request_digest);
        Ok(Collected::Issued { format: work.format, copies, notification_id })
    }
}

/// What makes two requests the same one.
fn request_digest(access_token: &str, configuration_id: &str, proofs: &[String]) -> Hash {
    let mut parts = vec![access_token.as_bytes(), configuration_id.as_bytes()];
    parts.extend(proofs.iter().map(String::as_bytes));
    secrets::digest(Use::Request, &parts)
}

/// The handle by which the wallet acknowledges an answer; it follows from what the wallet has.
fn notification_id(handle: &str, request: &Hash) -> Zeroizing<String> {
    secrets::derive(Use::NotificationId, handle, request)
}

fn notification_hash(notification_id: &str) -> Hash {
    secrets::digest(Use::NotificationHash, &[notification_id.as_bytes()])
}

fn open_answer(format: Format, handle: &str, request: &Hash, sealed: &[u8]) -> Result<Collected, Error> {
    let text = secrets::unseal(handle, request, sealed).ok_or(Error::Corrupt("collections.sealed"))?;
    let copies = serde_json::from_slice(&text).map_err(|_| Error::Corrupt("collections.sealed"))?;
    let notification_id = notification_id(handle, request);
    Ok(Collected::Issued { format, copies: Zeroizing::new(copies), notification_id })
}

fn parse_claims(text: &str) -> Result<Map<String, Value>, Error> {
    match json::parse(text.as_bytes(), Limits::DOCUMENT) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(Error::Corrupt("offers.claims")),
    }
}

fn keys_to_text(keys: &[PublicKey]) -> String {
    Value::Array(keys.iter().map(|key| Value::Object(key.to_jwk())).collect()).to_string()
}

fn keys_from_text(text: &str) -> Result<Vec<PublicKey>, Error> {
    let corrupt = || Error::Corrupt("collections.holder_keys");
    let keys = json::parse(text.as_bytes(), Limits::DOCUMENT).map_err(|_| corrupt())?;
    let keys = keys.as_array().ok_or_else(corrupt)?;
    keys.iter().map(|key| PublicKey::from_jwk(key).map_err(|_| corrupt())).collect()
}
