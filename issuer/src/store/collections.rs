//! Collections: wallets' requests for copies, the copies of each, and their status indices.

use carnet_core::time::Timestamp;

use super::{
    StoreError, Stored,
    status::{StatusIndex, StatusState},
};
use crate::{nonces::Nonce, secrets::SecretHash};

/// Names under which a signed copy is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyNames {
    /// Digest of the copy, which every recipient can compute.
    pub(crate) digest: SecretHash,
    /// Hash of the handle, by which the holder requests freshness statements.
    pub(crate) handle_hash: SecretHash,
}

/// Processing state of a wallet's request for the copies of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CollectionState {
    /// Intent stored; to be signed.
    Intended,
    /// Waiting for staff to release the offer.
    Deferred,
    Signed,
}

impl CollectionState {
    const ALL: [Self; 3] = [Self::Intended, Self::Deferred, Self::Signed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Deferred => "deferred",
            Self::Signed => "signed",
        }
    }

    pub(crate) fn parse(text: &str) -> Stored<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(StoreError::Corrupt("collections.state"))
    }
}

/// Encrypted response, kept until its expiry.
#[derive(Debug)]
pub(crate) struct SealedResponse {
    pub(crate) sealed: Vec<u8>,
    pub(crate) until: Timestamp,
}

/// Stored request for copies.
#[derive(Debug)]
pub(crate) struct CollectionRecord {
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    pub(crate) state: CollectionState,
    pub(crate) request_digest: SecretHash,
    /// `true` if it has a transaction id, with which the wallet asks again.
    pub(crate) has_transaction: bool,
    /// Public keys of the copies, while it is deferred.
    pub(crate) holder_keys: Option<String>,
    pub(crate) response: Option<SealedResponse>,
}

impl CollectionRecord {
    /// Returns the encrypted response, unless it has expired.
    pub(crate) fn response_at(self, now: Timestamp) -> Option<Vec<u8>> {
        self.response.filter(|response| now < response.until).map(|response| response.sealed)
    }
}

/// Request for copies, to be stored.
#[derive(Debug)]
pub(crate) struct NewCollection<'a> {
    pub(crate) offer_id: &'a str,
    pub(crate) request_digest: &'a SecretHash,
    pub(crate) state: CollectionState,
    pub(crate) transaction_hash: Option<&'a SecretHash>,
    pub(crate) notification_hash: &'a SecretHash,
    pub(crate) holder_keys: Option<&'a str>,
    /// Validity period and number of renewals, for a refill or a renewal; `None`: those of the offer.
    pub(crate) reissue: Option<ReissueTerms>,
}

/// Validity period of a reissued credential, and the number of its renewals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReissueTerms {
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) generation: i64,
}

/// Result of signing a collection, to be stored.
#[derive(Debug)]
pub(crate) struct NewSignature<'a> {
    /// DID URL of the signing key.
    pub(crate) kid: &'a str,
    /// Encrypted response to keep; `None`: none.
    pub(crate) response: Option<SealedResponse>,
    /// Validity period of the copies, if it differs from the stored one.
    pub(crate) validity: Option<(Timestamp, Timestamp)>,
}

/// Copy to be signed.
#[derive(Debug)]
pub(crate) struct NewCopy<'a> {
    pub(crate) issued_id: &'a str,
    pub(crate) offer_id: &'a str,
    pub(crate) collection: i64,
    /// Index of the copy in its collection.
    pub(crate) number: usize,
    pub(crate) status_index: i64,
    /// Thumbprint of the holder's key.
    pub(crate) thumbprint: &'a str,
    pub(crate) now: Timestamp,
}

/// Record of a signed copy, found by its digest.
#[derive(Debug, Clone)]
pub(crate) struct KnownCopy {
    pub(crate) offer_id: String,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Number of renewals of its credential.
    pub(crate) generation: i64,
    pub(crate) state: StatusState,
}

/// Store operations on collections, nonces and copies.
pub(crate) trait CollectionRows {
    /// Stores a used nonce until its expiry; returns `false` if it is stored already.
    fn use_nonce(&mut self, nonce: &Nonce) -> impl Future<Output = Stored<bool>> + Send;
    /// Stores a collection and returns its number.
    fn insert_collection(&mut self, new: &NewCollection<'_>) -> impl Future<Output = Stored<i64>> + Send;
    fn collection(&mut self, collection: i64) -> impl Future<Output = Stored<Option<CollectionRecord>>> + Send;
    /// Returns the collection of an offer with the same request digest.
    fn collection_of_request(
        &mut self,
        offer_id: &str,
        request_digest: &SecretHash,
    ) -> impl Future<Output = Stored<Option<CollectionRecord>>> + Send;
    fn collection_by_transaction(
        &mut self,
        transaction_hash: &SecretHash,
    ) -> impl Future<Output = Stored<Option<CollectionRecord>>> + Send;
    /// Returns whether an offer has a collection in this state.
    fn has_collection(&mut self, offer_id: &str, state: CollectionState) -> impl Future<Output = Stored<bool>> + Send;
    /// Marks a collection as signed, and erases its public keys.
    fn sign_collection(
        &mut self,
        collection: i64,
        signature: &NewSignature<'_>,
    ) -> impl Future<Output = Stored<()>> + Send;
    /// Returns the digest of the request of the signed collection that has this notification id.
    fn digest_of_notification(
        &mut self,
        notification_hash: &SecretHash,
    ) -> impl Future<Output = Stored<Option<SecretHash>>> + Send;
    /// Stores the event of a notification, and erases the encrypted response.
    fn notify(&mut self, notification_hash: &SecretHash, event: i32) -> impl Future<Output = Stored<()>> + Send;
    /// Returns whether a key has a signed copy.
    fn has_copy(&mut self, thumbprint: &str) -> impl Future<Output = Stored<bool>> + Send;
    fn insert_copy(&mut self, copy: &NewCopy<'_>) -> impl Future<Output = Stored<()>> + Send;
    /// Marks the copy at this index as issued; returns `false` if its key got another copy in the meantime.
    fn issue_copy(
        &mut self,
        collection: i64,
        number: usize,
        names: Option<&CopyNames>,
        now: Timestamp,
    ) -> impl Future<Output = Stored<bool>> + Send;
    /// Erases the key thumbprints of an offer's copies that will not be signed.
    fn delete_unsigned(&mut self, offer_id: &str) -> impl Future<Output = Stored<()>> + Send;
    fn copy_by_digest(&mut self, digest: &SecretHash) -> impl Future<Output = Stored<Option<KnownCopy>>> + Send;
    /// Returns the time of the last act on a credential that requires wallets to replace its copies: a reinstatement or
    /// a message.
    fn last_replacement_act(&mut self, offer_id: &str) -> impl Future<Output = Stored<Option<Timestamp>>> + Send;
    /// Returns the times of refill intents since a time, one for each copy, in order.
    fn refill_times(&mut self, offer_id: &str, since: Timestamp)
    -> impl Future<Output = Stored<Vec<Timestamp>>> + Send;
    /// Counts the copies by refill since a renewal, and optionally since a time.
    fn refill_count(
        &mut self,
        offer_id: &str,
        generation: i64,
        since: Option<Timestamp>,
    ) -> impl Future<Output = Stored<i64>> + Send;
}

/// Next draw from a status list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexDraw {
    /// Status index of the first entry of the list.
    pub(crate) first_index: u64,
    pub(crate) entries: u64,
    /// Key of the permutation that orders its entries.
    pub(crate) seed: [u8; 32],
    /// Number of the draw, from 0.
    pub(crate) draw: u64,
}

/// Store operations on status lists, from which indices are drawn.
pub(crate) trait IndexRows {
    /// Returns the number of unused entries in all lists.
    fn entries_left(&mut self) -> impl Future<Output = Stored<i64>> + Send;
    /// Opens the next list and returns its number.
    fn open_list(&mut self, entries: i64, seed: &[u8; 32], now: Timestamp) -> impl Future<Output = Stored<i64>> + Send;
    /// Draws from the oldest list that is not full.
    fn draw_index(&mut self) -> impl Future<Output = Stored<Option<IndexDraw>>> + Send;
    /// Returns the status indices of a collection's copies, in order.
    fn places(&mut self, collection: i64) -> impl Future<Output = Stored<Vec<StatusIndex>>> + Send;
}
