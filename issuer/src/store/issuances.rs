//! Stored credential requests of wallets, used nonces, and the copies of each request with their status indices.
//! Requests for refills and renewals are stored in the same way.

use carnet_core::time::Timestamp;

use super::{
    StoreError, StoreResult,
    status::{StatusIndex, StatusState},
};
use crate::{nonces::Nonce, secrets::Sha256Hash};

/// Values by which a signed SD-JWT copy is found in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyIdentifiers {
    /// SHA-256 of the issuer-signed JWT, which every recipient of the copy can compute.
    pub(crate) digest: Sha256Hash,
    /// Hash of the copy's handle, by which its holder requests freshness statements.
    pub(crate) handle_hash: Sha256Hash,
}

/// Processing state of a stored credential request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IssuanceState {
    /// The intent to sign is stored; the copies are not signed yet.
    Intended,
    /// Staff have not released the offer yet.
    Deferred,
    /// The copies are signed.
    Signed,
}

impl IssuanceState {
    const ALL: [Self; 3] = [Self::Intended, Self::Deferred, Self::Signed];

    /// Returns the stored name of the state.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Deferred => "deferred",
            Self::Signed => "signed",
        }
    }

    /// Parses a stored state.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]
    pub(crate) fn parse(text: &str) -> StoreResult<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(StoreError::Corrupt("collections.state"))
    }
}

/// Response to a wallet, encrypted with a key that only the wallet's secret yields.
#[derive(Debug)]
pub(crate) struct SealedResponse {
    /// Nonce and ciphertext.
    pub(crate) ciphertext: Vec<u8>,
    /// Time until which it is kept, unless the wallet acknowledges it earlier.
    pub(crate) keep_until: Timestamp,
}

/// Stored credential request.
#[derive(Debug)]
pub(crate) struct IssuanceRecord {
    /// Number of the request.
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    pub(crate) state: IssuanceState,
    pub(crate) request_digest: Sha256Hash,
    /// `true` if the request got a transaction id, by which the wallet asks for the deferred response.
    pub(crate) has_transaction: bool,
    /// Public keys of the copies as a JSON array of JWKs; only while the request is deferred.
    pub(crate) holder_keys: Option<String>,
    /// Encrypted response; `None` if it is not signed, was acknowledged, or was erased at its expiry.
    pub(crate) response: Option<SealedResponse>,
}

impl IssuanceRecord {
    /// Returns the encrypted response; `None` if there is none, or it has expired at `now`.
    pub(crate) fn unexpired_response(self, now: Timestamp) -> Option<Vec<u8>> {
        self.response.filter(|response| now < response.keep_until).map(|response| response.ciphertext)
    }
}

/// Credential request to be stored.
#[derive(Debug)]
pub(crate) struct NewIssuance<'a> {
    pub(crate) offer_id: &'a str,
    pub(crate) request_digest: &'a Sha256Hash,
    pub(crate) state: IssuanceState,
    /// Hash of the transaction id; `None` if the request is not deferred.
    pub(crate) transaction_hash: Option<&'a Sha256Hash>,
    pub(crate) notification_hash: &'a Sha256Hash,
    /// Public keys of the copies as a JSON array of JWKs, for a deferred request.
    pub(crate) holder_keys: Option<&'a str>,
    /// Terms of a refill or a renewal; `None` for the first copies of an offer, which have the offer's dates.
    pub(crate) reissue: Option<ReissueTerms>,
}

/// Validity period of the copies of a refill or renewal, and the number of renewals of their credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReissueTerms {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Number of renewals, 0 before the first.
    pub(crate) generation: i64,
}

/// Result of signing the copies of a request, to be stored.
#[derive(Debug)]
pub(crate) struct SigningResult<'a> {
    /// DID URL of the signing key.
    pub(crate) kid: &'a str,
    /// Encrypted response to keep; `None` for a refill, whose response is not stored.
    pub(crate) response: Option<SealedResponse>,
    /// Validity period of the copies, if it differs from the stored one.
    pub(crate) validity: Option<(Timestamp, Timestamp)>,
}

/// Copy to be stored before it is signed.
#[derive(Debug)]
pub(crate) struct NewCopy<'a> {
    pub(crate) issued_id: &'a str,
    pub(crate) offer_id: &'a str,
    pub(crate) collection: i64,
    /// Position of the copy in its request, from 0.
    pub(crate) position: usize,
    /// Status index over all lists of the issuer.
    pub(crate) status_index: i64,
    /// JWK thumbprint of the holder's key.
    pub(crate) thumbprint: &'a str,
    pub(crate) now: Timestamp,
}

/// Record of a signed copy.
#[derive(Debug, Clone)]
pub(crate) struct SignedCopyRecord {
    pub(crate) offer_id: String,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Number of renewals of its credential.
    pub(crate) generation: i64,
    pub(crate) state: StatusState,
}

/// Store operations on credential requests, nonces and copies.
pub(crate) trait IssuanceRows {
    /// Stores a used nonce until its expiry; returns `false` if it is stored already.
    fn store_used_nonce(&mut self, nonce: &Nonce) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Stores a request and returns its number.
    fn insert_issuance(&mut self, new: &NewIssuance<'_>) -> impl Future<Output = StoreResult<i64>> + Send;
    fn issuance(&mut self, collection: i64) -> impl Future<Output = StoreResult<Option<IssuanceRecord>>> + Send;
    /// Returns the stored request of an offer with this digest.
    fn issuance_by_request(
        &mut self,
        offer_id: &str,
        request_digest: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<IssuanceRecord>>> + Send;
    /// Returns the stored request with this hash of a transaction id.
    fn issuance_by_transaction(
        &mut self,
        transaction_hash: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<IssuanceRecord>>> + Send;
    /// Returns whether an offer has a request in this state.
    fn has_issuance(&mut self, offer_id: &str, state: IssuanceState) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Marks a request as signed: stores the signing key, the response and the validity period, and erases the holder's
    /// keys.
    fn mark_issuance_signed(
        &mut self,
        collection: i64,
        signature: &SigningResult<'_>,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the digest of the signed request that has this hash of a notification id.
    fn request_digest_by_notification(
        &mut self,
        notification_hash: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<Sha256Hash>>> + Send;
    /// Stores the number of the event that a wallet reports, and erases the encrypted response. Does nothing for an
    /// unknown notification.
    fn store_notification(
        &mut self,
        notification_hash: &Sha256Hash,
        event: i32,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns whether a signed copy exists for the key with this thumbprint.
    fn has_signed_copy(&mut self, thumbprint: &str) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Stores a copy before it is signed.
    fn insert_copy(&mut self, copy: &NewCopy<'_>) -> impl Future<Output = StoreResult<()>> + Send;
    /// Marks the copy at position `number` of a request as issued, with its digest and handle hash; returns `false` if
    /// its key got another copy in the meantime.
    fn mark_copy_issued(
        &mut self,
        collection: i64,
        number: usize,
        names: Option<&CopyIdentifiers>,
        now: Timestamp,
    ) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Erases the key thumbprints of an offer's copies that were not signed. Their status indices remain used.
    fn erase_unsigned_keys(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns the signed copy with this digest, with its current status.
    fn copy_by_digest(
        &mut self,
        digest: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<SignedCopyRecord>>> + Send;
    /// Returns the time of the last act on a credential after which wallets replace its copies: a reinstatement or a
    /// message. `None` if there was none.
    fn last_replacement_time(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<Option<Timestamp>>> + Send;
    /// Returns the time of the intent of each copy by refill or renewal of an offer, after `since` (exclusive), in
    /// ascending order.
    fn refill_times(
        &mut self,
        offer_id: &str,
        since: Timestamp,
    ) -> impl Future<Output = StoreResult<Vec<Timestamp>>> + Send;
    /// Counts the copies by refill or renewal of an offer with this number of renewals, after `since` (exclusive) if it
    /// is given.
    fn refill_count(
        &mut self,
        offer_id: &str,
        generation: i64,
        since: Option<Timestamp>,
    ) -> impl Future<Output = StoreResult<i64>> + Send;
}

/// Draw of an unused entry from a status list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DrawnEntry {
    /// Status index of the list's first entry.
    pub(crate) first_index: u64,
    /// Number of entries of the list.
    pub(crate) entries: u64,
    /// Key of the permutation of the list's entries ([`crate::shuffle`]).
    pub(crate) seed: [u8; 32],
    /// Number of the draw in its list, from 0.
    pub(crate) draw_number: u64,
}

/// Store operations that draw status indices.
pub(crate) trait IndexRows {
    /// Returns the number of unused entries in all lists together.
    fn unused_entries(&mut self) -> impl Future<Output = StoreResult<i64>> + Send;
    /// Opens the next list, with a permutation key for its entries, and returns its number.
    fn open_list(
        &mut self,
        entries: i64,
        seed: &[u8; 32],
        now: Timestamp,
    ) -> impl Future<Output = StoreResult<i64>> + Send;
    /// Draws the next entry from the oldest list that is not full, and counts it as used; `None` if all lists are full.
    fn draw_index(&mut self) -> impl Future<Output = StoreResult<Option<DrawnEntry>>> + Send;
    /// Returns the status indices of a request's copies, in the order of the copies.
    fn status_indices(&mut self, collection: i64) -> impl Future<Output = StoreResult<Vec<StatusIndex>>> + Send;
}
