//! Import of offers by the hundred: all rows of a batch are checked like single offers, and stored in one transaction.
//!
//! Codes and PINs are derived from a secret of the caller, who can repeat a row after a failure and get the same link
//! and PIN again. The store has hashes of both, as for every offer, and nothing of the secret
//! (docs/decisions/imports.md).

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::{format::CredentialFormat, json, time::Timestamp};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    checks::check_id,
    error::Error,
    issuer::Issuer,
    offers::{OfferLinks, OfferRequest, PreparedOffer, ReceivedClaims, code_digest, insert_once},
    secrets::{HashPurpose, Sha256Hash, purpose_hash},
    store::{
        Store, StoreTx,
        offers::{OfferRecord, OfferState},
    },
};

/// Maximum number of rows in one batch.
pub(crate) const MAX_BATCH_ROWS: usize = 100;
/// Maximum length of the key of a row, in bytes.
const MAX_KEY_BYTES: usize = 256;
/// Length of an import's secret, in bytes.
pub(crate) const SECRET_BYTES: usize = 32;
/// Number of rows that are checked before other tasks have a turn.
const ROWS_PER_TURN: usize = 8;

/// Secret of an import, from which codes and PINs are derived.
pub(crate) struct ImportSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl std::fmt::Debug for ImportSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImportSecret(redacted)")
    }
}

/// Properties that all offers of an import share.
#[derive(Debug)]
pub(crate) struct ImportTerms {
    pub(crate) import_id: String,
    pub(crate) secret: ImportSecret,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) with_pin: bool,
    /// Time during which the offers can be redeemed, in seconds; 0: the configured default.
    pub(crate) ttl_seconds: u32,
    pub(crate) deferred: bool,
    /// `true`: everything is checked, and nothing is stored.
    pub(crate) dry_run: bool,
    /// Name of the staff member who imports.
    pub(crate) created_by: String,
}

/// Row of an import.
#[derive(Debug)]
pub(crate) struct ImportRow {
    /// Identifier within the import.
    pub(crate) key: String,
    pub(crate) claims: ReceivedClaims,
    pub(crate) reference: String,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) valid_until: Option<Timestamp>,
}

/// Offer of a row.
pub(crate) struct ImportedOffer {
    pub(crate) offer: OfferRecord,
    /// `true` if an earlier stream of the import created it.
    pub(crate) existed: bool,
    /// Links; `None` in a dry run, and for an offer that can no longer be collected.
    pub(crate) links: Option<OfferLinks>,
    /// PIN; `None` if the import has none, or without links.
    pub(crate) pin: Option<Zeroizing<String>>,
    /// Warnings about input that may be a mistake.
    pub(crate) warnings: Vec<String>,
    /// Claims to be issued, without those that were generated.
    pub(crate) claims: Map<String, Value>,
}

/// Offer of a row, or the reason for which it was not created.
pub(crate) type RowOutcome = Result<ImportedOffer, Error>;

impl ImportTerms {
    /// Creates the terms of an import that stores its offers as VCDM SD-JWT, without PIN, for the configured time.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed id, or a secret that does not have 32 bytes or repeats one byte.
    pub(crate) fn new(import_id: &str, secret: &[u8], credential_type: &str, created_by: &str) -> Result<Self, Error> {
        check_id("import_id", import_id)?;
        let varies = secret.windows(2).any(|pair| pair.first() != pair.last());
        let secret = secret.try_into().ok().filter(|_| varies);
        let secret = secret.ok_or_else(|| Error::invalid("secret", format!("must be {SECRET_BYTES} random bytes")))?;
        Ok(Self {
            import_id: import_id.to_owned(),
            secret: ImportSecret(Zeroizing::new(secret)),
            credential_type: credential_type.to_owned(),
            format: CredentialFormat::VcSdJwt,
            with_pin: false,
            ttl_seconds: 0,
            deferred: false,
            dry_run: false,
            created_by: created_by.to_owned(),
        })
    }

    fn derive(&self, purpose: HashPurpose, key: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(purpose_hash(purpose, &[self.secret.0.as_slice(), self.import_id.as_bytes(), key.as_bytes()]))
    }

    fn code(&self, key: &str) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.derive(HashPurpose::ImportCode, key).as_slice()))
    }

    /// Derives a PIN of six digits. The first is not 0: a spreadsheet would drop it.
    fn pin(&self, key: &str) -> Option<Zeroizing<String>> {
        let digest = self.derive(HashPurpose::ImportPin, key);
        let number = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let pin = number.checked_rem(900_000).unwrap_or_default().saturating_add(100_000);
        self.with_pin.then(|| Zeroizing::new(pin.to_string()))
    }

    /// Returns the request_id of a row's offer, which does not contain the key.
    fn request_id(&self, key: &str) -> String {
        let digest = purpose_hash(HashPurpose::ImportRequestId, &[self.import_id.as_bytes(), key.as_bytes()]);
        format!("import:{}", URL_SAFE_NO_PAD.encode(digest))
    }
}

/// Row that was checked and is not stored yet.
struct PreparedRow {
    offer: PreparedOffer,
    code: Zeroizing<String>,
    pin: Option<Zeroizing<String>>,
}

impl<S: Store> Issuer<S> {
    /// Creates the offers of a batch of rows in one transaction, and returns one outcome for each row, in order. A
    /// refused row changes nothing for the others. `seen` has the unique claims of the earlier batches of a dry run, which
    /// stores none, and gets those of this batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the size of the batch; store errors, after which nothing of the batch is stored.
    pub(crate) async fn import_rows(
        &self,
        terms: &ImportTerms,
        rows: Vec<Result<ImportRow, Error>>,
        seen: &mut HashSet<Sha256Hash>,
    ) -> Result<Vec<RowOutcome>, Error> {
        if rows.is_empty() || rows.len() > MAX_BATCH_ROWS {
            return Err(Error::invalid("rows", format!("must be 1 to {MAX_BATCH_ROWS}")));
        }
        let mut prepared = Vec::with_capacity(rows.len());
        for (number, row) in rows.into_iter().enumerate() {
            if number.is_multiple_of(ROWS_PER_TURN) {
                tokio::task::yield_now().await;
            }
            prepared.push(row.and_then(|row| self.prepare_row(terms, row)));
        }
        let stored = self.store_rows(terms, &mut prepared, seen).await?;
        let outcomes = stored.into_iter().zip(prepared);
        Ok(outcomes.map(|(stored, row)| row.and_then(|row| self.outcome(terms, row, stored))).collect())
    }

    fn prepare_row(&self, terms: &ImportTerms, row: ImportRow) -> Result<PreparedRow, Error> {
        if row.key.is_empty() || row.key.len() > MAX_KEY_BYTES {
            return Err(Error::invalid("key", format!("must be 1 to {MAX_KEY_BYTES} bytes of text")));
        }
        let (code, pin) = (terms.code(&row.key), terms.pin(&row.key));
        let request = OfferRequest {
            request_id: terms.request_id(&row.key),
            credential_type: terms.credential_type.clone(),
            format: terms.format,
            claims: row.claims,
            with_pin: terms.with_pin,
            ttl_seconds: terms.ttl_seconds,
            valid_from: row.valid_from,
            valid_until: row.valid_until,
            deferred: terms.deferred,
            reference: row.reference,
            created_by: terms.created_by.clone(),
        };
        let offer = self.prepare_offer(request, &code, pin.as_deref().map(String::as_str))?;
        Ok(PreparedRow { offer, code, pin })
    }

    /// Stores the prepared rows, and returns the record of each with `true` for a new one; `None` for a refused row. Rows
    /// that the store refuses become errors.
    async fn store_rows(
        &self,
        terms: &ImportTerms,
        rows: &mut [Result<PreparedRow, Error>],
        seen: &mut HashSet<Sha256Hash>,
    ) -> Result<Vec<Option<(OfferRecord, bool)>>, Error> {
        // Each turn but the last refuses one row.
        loop {
            let mut tx = self.store.begin("import_offers").await?;
            let mut stored = Vec::with_capacity(rows.len());
            let mut conflict = None;
            for (at, row) in rows.iter_mut().enumerate() {
                let Ok(prepared) = row else {
                    stored.push(None);
                    continue;
                };
                let unique = &prepared.offer.new.unique_claims;
                let repeated = unique.iter().find(|claim| seen.contains(&claim.digest)).map(|claim| claim.name.clone());
                match (insert_row(&mut tx, prepared).await, repeated) {
                    (Ok((_, true)), Some(claim)) => {
                        conflict = Some((at, Error::ClaimNotUnique { claim }));
                        break;
                    }
                    (Ok(done), _) => stored.push(Some(done)),
                    // The transaction is unchanged.
                    (Err(error @ (Error::RequestIdReused { .. } | Error::ImportSecretDiffers)), _) => {
                        *row = Err(error);
                        stored.push(None);
                    }
                    (Err(error @ Error::ClaimNotUnique { .. }), _) => {
                        conflict = Some((at, error));
                        break;
                    }
                    (Err(error), _) => return Err(error),
                }
            }
            match conflict.and_then(|(at, error)| Some((rows.get_mut(at)?, error))) {
                // The transaction is dropped, since it has a part of the row.
                Some((row, error)) => *row = Err(error),
                None if terms.dry_run => {
                    let accepted = rows.iter().filter_map(|row| row.as_ref().ok());
                    seen.extend(accepted.flat_map(|row| &row.offer.new.unique_claims).map(|claim| claim.digest));
                    return Ok(stored);
                }
                None => {
                    tx.commit().await?;
                    let new = stored.iter().flatten().filter(|(_, is_new)| *is_new).count();
                    tracing::info!(import_id = terms.import_id, new, rows = stored.len(), "offers imported");
                    return Ok(stored);
                }
            }
        }
    }

    fn outcome(&self, terms: &ImportTerms, row: PreparedRow, stored: Option<(OfferRecord, bool)>) -> RowOutcome {
        let (offer, is_new) = stored.ok_or(Error::Corrupt("offers"))?;
        let PreparedRow { offer: PreparedOffer { new, drawn, warnings }, code, pin } = row;
        let mut claims = json::parse_object(new.claims.0.as_bytes(), json::Limits::DOCUMENT)
            .map_err(|_| Error::Corrupt("offers.claims"))?;
        claims.retain(|name, _| !drawn.contains(name));
        let is_open = matches!(offer.state, OfferState::Open | OfferState::Redeemed);
        let links = (is_open && !terms.dry_run).then(|| self.offer_links(&offer, code, pin.is_some()));
        let pin = pin.filter(|_| links.is_some());
        Ok(ImportedOffer { offer, existed: !is_new, links, pin, warnings, claims })
    }
}

/// Inserts the offer of a row, or finds the one that an earlier stream created with the same secret.
async fn insert_row<T: StoreTx>(tx: &mut T, row: &PreparedRow) -> Result<(OfferRecord, bool), Error> {
    let (offer, is_new) = insert_once(tx, &row.offer.new, &row.offer.drawn).await?;
    if !is_new {
        let of_code = tx.offer_by_code(&code_digest(&row.code)).await?;
        if of_code.is_none_or(|known| known.offer.offer_id != offer.offer_id) {
            return Err(Error::ImportSecretDiffers);
        }
    }
    Ok((offer, is_new))
}
