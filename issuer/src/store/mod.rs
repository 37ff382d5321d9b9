//! Store of the issuer; each method is one transaction.
//!
//! One collection takes two transactions, with the signatures between them:
//!
//! 1. `intend` uses the nonce up, draws a status index for each copy and writes a row for it;
//! 2. the copies are signed;
//! 3. `finish` erases the claims, marks the copies as issued and stores the response, sealed for the wallet;
//! 4. the response is sent.
//!
//! A power cut before 1 changes nothing. Between 1 and 3 the offer remains redeemed and its claims remain. While the
//! token is valid, the wallet can repeat its request and get copies with the same indices, or send new proofs and get
//! copies with new ones. After the token's end, the code can be redeemed again until the offer's own end. After 3, a
//! repeated request gets the sealed response. It is kept until the wallet acknowledges it; otherwise until the offer's
//! end if the wallet can redeem the offer again, and until the token's end if not. No index is used twice.

pub(crate) mod filter;
pub(crate) mod renewal;
pub(crate) mod status;

use carnet_core::{epoch::Epoch, format::CredentialFormat, time::Timestamp};
use zeroize::Zeroizing;

use crate::{
    claims::UniqueClaim, cohorts::CohortCount, error::Error, nonces::Nonce, secrets::Hash, vouchers::VoucherTotal,
};

use filter::{IssuedFilter, OfferFilter};
use renewal::Decision;
use status::{Place, StatusStore};

/// Number of wrong PINs that lock an offer.
pub(crate) const PIN_TRIES: i64 = 5;

/// Claims of a person as JSON text: wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Claims(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(redacted)")
    }
}

/// State of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfferState {
    Open,
    Redeemed,
    Collected,
    Cancelled,
    Expired,
    /// Closed after too many wrong PINs. It is stored as expired, with the count.
    Locked,
}

impl OfferState {
    pub(crate) const ALL: [Self; 6] =
        [Self::Open, Self::Redeemed, Self::Collected, Self::Cancelled, Self::Expired, Self::Locked];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redeemed => "redeemed",
            Self::Collected => "collected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Locked => "locked",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(Error::Corrupt("offers.state"))
    }
}

/// Offer without its claims and secrets.
#[derive(Debug, Clone)]
pub(crate) struct OfferRecord {
    pub(crate) seq: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) state: OfferState,
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Decision of staff on a deferred offer, if there is one.
    pub(crate) decision: Option<Decision>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Staff's own reference; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who created it; empty in early records.
    pub(crate) created_by: String,
    /// True if the record is past its retention period.
    pub(crate) forgotten: bool,
}

/// Offer to be stored.
#[derive(Debug)]
pub(crate) struct NewOffer {
    pub(crate) offer_id: String,
    pub(crate) request_id: String,
    /// Request without the claims, in canonical form: detects a request_id that is reused for something else.
    pub(crate) terms: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) claims: Claims,
    /// Digests of claims that no other offer may share.
    pub(crate) unique: Vec<UniqueClaim>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) code_hash: Hash,
    pub(crate) pin_hash: Option<Hash>,
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) reference: String,
    pub(crate) created_by: String,
}

/// Result of storing a new offer.
#[derive(Debug)]
pub(crate) enum Creation {
    Stored(OfferRecord),
    /// The request_id is known; the claims are absent if they have been erased.
    Known {
        offer: OfferRecord,
        terms: String,
        claims: Option<Claims>,
    },
    /// Another offer has this claim with the same value; nothing was stored.
    Taken {
        claim: String,
    },
}

/// Exchange of a code for a token.
#[derive(Debug)]
pub(crate) struct Redeeming {
    pub(crate) code_hash: Hash,
    pub(crate) pin_hash: Option<Hash>,
    /// Digest of the challenge; without one the redemption cannot be repeated.
    pub(crate) challenge_hash: Option<Hash>,
    /// True if the request contains the challenge's verifier.
    pub(crate) is_verified: bool,
    /// Token of a first redemption.
    pub(crate) token_hash: Hash,
    /// Salt from which the token is derived, if there is a challenge.
    pub(crate) token_salt: Hash,
    pub(crate) token_until: Timestamp,
    pub(crate) now: Timestamp,
}

/// Result of a redemption.
#[derive(Debug)]
pub(crate) enum Redemption {
    Granted(OfferRecord),
    /// Repeated by the wallet that redeemed it before: the earlier token, derived from this salt, remains valid.
    Repeated {
        offer: OfferRecord,
        token_salt: Hash,
    },
    Refused(Error),
}

/// Credential request with verified proofs.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) token_hash: Hash,
    pub(crate) request_digest: Hash,
    /// Nonce of the proofs; `None` if it is invalid or expired, and then only a repeated request is answered.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) transaction_hash: Hash,
    pub(crate) notification_hash: Hash,
    pub(crate) configuration_id: String,
    /// Thumbprints of the copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// Public keys of the copies as a JSON array; stored only if the offer is deferred.
    pub(crate) holder_keys: String,
    pub(crate) now: Timestamp,
    /// End of a deferred offer's waiting time.
    pub(crate) deferred_until: Timestamp,
}

/// Decision about a credential request.
#[derive(Debug)]
pub(crate) enum Intended {
    /// To be signed; the intent is stored.
    Sign(Work),
    /// Answered before, with this sealed response.
    Answered(Vec<u8>),
    /// Waits for its release by staff.
    Deferred,
}

/// Result of storing a signed response.
#[derive(Debug)]
pub(crate) enum Finished {
    /// Stored; the response may be sent.
    Stored,
    /// Another call answered the same request in the meantime, with this sealed response; the new signatures are
    /// discarded.
    Answered(Vec<u8>),
}

/// Copies to be signed.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) claims: Claims,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Digest of the first request.
    pub(crate) request_digest: Hash,
    /// Public keys of the copies, for a deferred collection only.
    pub(crate) holder_keys: Option<String>,
    /// Status indices of the copies, in their order.
    pub(crate) places: Vec<Place>,
}

impl Work {
    /// Returns the validity of copies signed now: from the epoch of issuance, so that the day of the offer identifies
    /// nobody, unless the offer starts later. If such copies would have ended by then, they get the offer's dates.
    pub(crate) fn days(&self, epoch: Epoch, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.start_of_day();
        let first = if today < self.valid_until { self.valid_from.max(today) } else { self.valid_from };
        // If rounding leaves no validity, the end is that of an offer from before epochs existed.
        epoch.validity(first, self.valid_until, now).unwrap_or((epoch.start(first), self.valid_until))
    }
}

/// Names of a signed copy in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyNames {
    /// Public digest, which everybody who was shown the copy can compute.
    pub(crate) digest: Hash,
    /// Stored form of the handle, by which its holder asks.
    pub(crate) handle_hash: Hash,
}

/// Copies that were signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedCopies<'a> {
    /// Verification method of the signing key.
    pub(crate) kid: &'a str,
    /// Names of each copy, in order.
    pub(crate) names: &'a [Option<CopyNames>],
}

/// Request for new copies of a credential, with a verified presentation and verified proofs.
#[derive(Debug)]
pub(crate) struct RefillIntent {
    /// Digest of the presented copy.
    pub(crate) copy: Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Hash,
    pub(crate) notification_hash: Hash,
    /// Thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// Maximum number of copies by refill per day, for one offer.
    pub(crate) per_day: u32,
    /// Epoch of the type.
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

/// Data of a refill to sign, without the claims, which are not stored.
#[derive(Debug)]
pub(crate) struct Refill {
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    /// Status indices of the new copies, in their order.
    pub(crate) places: Vec<Place>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

/// Issued copy, without its claims and its holder's key.
#[derive(Debug, Clone)]
pub(crate) struct IssuedRecord {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) status_index: i64,
    pub(crate) issued_at: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Last notification, by its number on the wire.
    pub(crate) notification: i32,
    /// Reference of its offer; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who created its offer.
    pub(crate) created_by: String,
    /// True if the record of its offer is past its retention period.
    pub(crate) forgotten: bool,
}

/// Slice of a list: newest first, `before` a row, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) before: i64,
    pub(crate) limit: i64,
}

/// Rows of a list, and the position of the next page.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    /// Row before which there may be more.
    pub(crate) next: Option<i64>,
}

/// Store of the issuer. Each of its methods, and of its supertraits, is one atomic transaction.
pub(crate) trait Store:
    OfferStore
    + AccessStore
    + IssuanceStore
    + RefillStore
    + RecordStore
    + StatusStore
    + renewal::RenewalStore
    + Send
    + Sync
    + 'static
{
    /// Erases expired data: claims, used nonces, sealed responses, names of copies. Returns the number of offers that
    /// it closed.
    fn erase_expired(&self, now: Timestamp) -> impl Future<Output = Result<u64, Error>> + Send;
}

/// Offers, for staff.
pub(crate) trait OfferStore {
    /// Stores an offer, once for each request_id.
    fn create_offer(&self, offer: NewOffer) -> impl Future<Output = Result<Creation, Error>> + Send;
    /// Returns the offers, with their claims, whose unique claims are not recorded.
    fn offers_without_unique_claims(
        &self,
        credential_type: &str,
    ) -> impl Future<Output = Result<Vec<(String, Claims)>, Error>> + Send;
    /// Records the unique claims of an offer; returns `false` and records nothing if another offer has one of them.
    fn keep_unique_claims(
        &self,
        offer_id: &str,
        unique: &[UniqueClaim],
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Cancels an offer that was not collected, and erases its claims.
    fn cancel(&self, offer_id: &str) -> impl Future<Output = Result<OfferRecord, Error>> + Send;
    /// Returns offers, newest first.
    fn offers(
        &self,
        filter: &OfferFilter,
        slice: Slice,
    ) -> impl Future<Output = Result<Rows<OfferRecord>, Error>> + Send;
}

/// Access to offers by codes, PINs and tokens.
pub(crate) trait AccessStore {
    /// Redeems an offer's code, and counts wrong PINs and wrong verifiers. A code works once, and again for the owner
    /// of the verifier if it was redeemed with a challenge. Without a challenge, it works again if an issuance was
    /// intended, nothing was signed, and the token has expired.
    fn redeem(&self, redeeming: Redeeming) -> impl Future<Output = Result<Redemption, Error>> + Send;
    /// Returns the open offer of a code, and `true` if it needs a PIN. It only reads.
    ///
    /// # Errors
    /// [`Error::OfferUnknown`], also for an offer that is not open any more.
    fn open_offer(
        &self,
        code_hash: &Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<(OfferRecord, bool), Error>> + Send;
    /// Refuses a token that is unknown, expired or for another configuration; returns true if the same request was
    /// accepted before. It only reads: `intend` decides.
    fn check_access(
        &self,
        token_hash: Hash,
        configuration_id: &str,
        request_digest: &Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// Credential requests.
pub(crate) trait IssuanceStore {
    /// Stores the intent to sign, and the use of the nonce.
    fn intend(&self, intent: Intent) -> impl Future<Output = Result<Intended, Error>> + Send;
    /// Stores the intent to sign a deferred collection.
    fn intend_deferred(
        &self,
        transaction_hash: Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<(Hash, CredentialFormat, Intended), Error>> + Send;
    /// Erases the claims, marks the copies as issued with their names, stores the sealed response, and counts the uses
    /// of a voucher. The response is kept at least until `until`, and until the offer's end for a wallet that can
    /// redeem it again. If the offer was closed after the intent, nothing is changed, and the result is that of the
    /// same request now.
    fn finish(
        &self,
        collection: i64,
        copies: SignedCopies<'_>,
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        days: (Timestamp, Timestamp),
        signed: (Timestamp, Option<VoucherTotal>),
    ) -> impl Future<Output = Result<Finished, Error>> + Send;
    /// Records a wallet's notification, and erases the sealed response.
    fn notify(&self, notification_hash: Hash, event: i32) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Requests for more copies of an issued credential.
pub(crate) trait RefillStore {
    /// Refuses a copy that was not issued here. It only reads: `intend_refill` decides.
    fn require_copy(&self, copy: &Hash) -> impl Future<Output = Result<(), Error>> + Send;
    /// Stores the intent to sign, under the offer of the presented copy, and the use of the nonce.
    fn intend_refill(&self, intent: RefillIntent) -> impl Future<Output = Result<Refill, Error>> + Send;
    /// Marks the copies as issued.
    fn finish_refill(
        &self,
        collection: i64,
        copies: SignedCopies<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Records of issued copies.
pub(crate) trait RecordStore {
    /// Returns issued copies, newest first.
    fn issued(
        &self,
        filter: &IssuedFilter,
        slice: Slice,
    ) -> impl Future<Output = Result<Rows<IssuedRecord>, Error>> + Send;
    /// Returns one issued copy.
    fn issued_by_id(&self, issued_id: &str) -> impl Future<Output = Result<IssuedRecord, Error>> + Send;
    /// Returns the numbers of holders whose usable copies look alike.
    fn cohorts(&self, now: Timestamp) -> impl Future<Output = Result<Vec<CohortCount>, Error>> + Send;
}
