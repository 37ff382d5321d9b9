//! What the issuer remembers, as whole transactions.
//!
//! One collection takes two transactions with the signatures between them:
//!
//! 1. `intend` uses the nonce up, draws a status index for each copy and writes a row for it;
//! 2. the copies are signed;
//! 3. `finish` erases the claims, marks the copies as issued and keeps the answer, sealed for the wallet;
//! 4. the answer goes out.
//!
//! A power cut before 1 changes nothing. Between 1 and 3 the offer stays redeemed and its claims are there. While the token
//! lives, the wallet repeats its request and gets copies under the same indices, or sends new proofs and gets copies
//! under new ones; when it has ended, the code can be redeemed again until the offer's own end. After 3 the repeat gets the
//! sealed answer, which is kept until the wallet acknowledges it, or else until the offer's end if the wallet can redeem it again,
//! and for as long as the token lives if not. So no index is given out twice.

pub(crate) mod filter;
pub(crate) mod renewal;
pub(crate) mod sqlite;
pub(crate) mod status;

use carnet_core::{epoch::Epoch, time::Timestamp};
use zeroize::Zeroizing;

use crate::{
    claims::UniqueClaim, cohorts::Cohort, error::Error, format::Format, nonces::Nonce, secrets::Hash,
    vouchers::VoucherTotal,
};

use filter::{IssuedFilter, OfferFilter};
use renewal::Decision;
pub(crate) use sqlite::SqliteStore;
use status::{Place, StatusStore};

/// How many wrong PINs lock an offer.
pub(crate) const PIN_TRIES: i64 = 5;

/// A person's claims as JSON text: wiped from memory when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Claims(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims(redacted)")
    }
}

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfferState {
    Open,
    Redeemed,
    Collected,
    Cancelled,
    Expired,
    /// Closed after too many wrong PINs. It is stored as expired, beside the count.
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

/// An offer, without claims and secrets.
#[derive(Debug, Clone)]
pub(crate) struct OfferRecord {
    pub(crate) seq: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: Format,
    pub(crate) state: OfferState,
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// What staff decided on it, if it is deferred and they did.
    pub(crate) decision: Option<Decision>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// The registrar's own reference; empty: none.
    pub(crate) reference: String,
    /// The staff name of who made it; empty in records of before.
    pub(crate) created_by: String,
    /// The record is past its end.
    pub(crate) forgotten: bool,
}

/// An offer to be stored.
#[derive(Debug)]
pub(crate) struct NewOffer {
    pub(crate) offer_id: String,
    pub(crate) request_id: String,
    /// What was asked for besides the claims, in canonical form: to know a request_id that is used for something else.
    pub(crate) terms: String,
    pub(crate) credential_type: String,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    /// Digest that no other offer may have.
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

/// What became of a new offer.
#[derive(Debug)]
pub(crate) enum Creation {
    Stored(OfferRecord),
    /// The request_id is known; the claims are gone if they were erased since.
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

/// A code that is exchanged for a token.
#[derive(Debug)]
pub(crate) struct Redeeming {
    pub(crate) code_hash: Hash,
    pub(crate) pin_hash: Option<Hash>,
    /// The digest of the challenge; without one the redemption cannot be repeated.
    pub(crate) challenge_hash: Option<Hash>,
    /// The challenge's verifier came along.
    pub(crate) is_verified: bool,
    /// The token of a first redemption.
    pub(crate) token_hash: Hash,
    /// Salt that the token is derived with, where there is a challenge.
    pub(crate) token_salt: Hash,
    pub(crate) token_until: Timestamp,
    pub(crate) now: Timestamp,
}

/// What became of a code.
#[derive(Debug)]
pub(crate) enum Redemption {
    Granted(OfferRecord),
    /// By the wallet that redeemed it before: the token of then, which follows from this salt, lives on.
    Repeated {
        offer: OfferRecord,
        token_salt: Hash,
    },
    Refused(Error),
}

/// A request for copies, whose proofs hold.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) token_hash: Hash,
    pub(crate) request_digest: Hash,
    /// The proofs' nonce; `None` if it does not hold (any more), and then only a repeat is answered.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) transaction_hash: Hash,
    pub(crate) notification_hash: Hash,
    pub(crate) configuration_id: String,
    /// The thumbprints of the copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// The copies' public keys as a JSON array; stored only if the offer is deferred.
    pub(crate) holder_keys: String,
    pub(crate) now: Timestamp,
    /// Until when a deferred offer waits.
    pub(crate) deferred_until: Timestamp,
}

/// What is to be done about a request for copies.
#[derive(Debug)]
pub(crate) enum Intended {
    /// Sign these; the intent is stored.
    Sign(Work),
    /// It was answered before: this is the sealed answer.
    Answered(Vec<u8>),
    /// Staff must release it first.
    Deferred,
}

/// What became of a signed answer.
#[derive(Debug)]
pub(crate) enum Finished {
    /// It is stored, and may go out.
    Stored,
    /// The same request was answered by another call meanwhile: this is its sealed answer, and what was signed here goes
    /// nowhere.
    Answered(Vec<u8>),
}

/// Copies that are to be signed.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: Format,
    pub(crate) claims: Claims,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// The digest of the request that began it.
    pub(crate) request_digest: Hash,
    /// Only for a deferred collection: the copies' public keys.
    pub(crate) holder_keys: Option<String>,
    /// Where the copies' statuses stand, in their order.
    pub(crate) places: Vec<Place>,
}

impl Work {
    /// Returns when copies hold that are signed now: from the epoch of issue, so that the day of the offer marks nobody, unless the
    /// offer begins later. Copies that have ended by then keep the offer's.
    pub(crate) fn days(&self, epoch: Epoch, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.start_of_day();
        let first = if today < self.valid_until { self.valid_from.max(today) } else { self.valid_from };
        // An end of which rounding would leave nothing is that of an offer from before there were epochs.
        epoch.validity(first, self.valid_until, now).unwrap_or((epoch.start(first), self.valid_until))
    }
}

/// What the store knows a signed copy by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyNames {
    /// The public one, which everybody who was shown the copy can make.
    pub(crate) digest: Hash,
    /// The stored form of the handle, which its holder asks by.
    pub(crate) handle_hash: Hash,
}

/// A request for new copies of a credential of which one copy was shown; the copy, its key binding and the proofs hold.
#[derive(Debug)]
pub(crate) struct RefillIntent {
    /// The digest of the copy that was shown.
    pub(crate) copy: Hash,
    pub(crate) nonce: Nonce,
    pub(crate) request_digest: Hash,
    pub(crate) notification_hash: Hash,
    /// The thumbprints of the new copies' keys.
    pub(crate) thumbprints: Vec<String>,
    /// The most copies by refill in a day, for one offer.
    pub(crate) per_day: u32,
    /// The epoch of their type.
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

/// What a refill signs besides the claims, which are not stored.
#[derive(Debug)]
pub(crate) struct Refill {
    pub(crate) collection: i64,
    pub(crate) offer_id: String,
    /// Where the new copies' statuses stand, in their order.
    pub(crate) places: Vec<Place>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

/// An issued copy, without claims and without its holder's key.
#[derive(Debug, Clone)]
pub(crate) struct IssuedRecord {
    pub(crate) seq: i64,
    pub(crate) issued_id: String,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: Format,
    pub(crate) status_index: i64,
    pub(crate) issued_at: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// The last notification, by its number on the wire.
    pub(crate) notification: i32,
    /// The reference of its offer; empty: none.
    pub(crate) reference: String,
    /// The staff name of who made its offer.
    pub(crate) created_by: String,
    /// The record of its offer is past its end.
    pub(crate) forgotten: bool,
}

/// Which rows of a list: newest first, `before` a row, at most `limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) before: i64,
    pub(crate) limit: i64,
}

/// Rows of a list, and where to read on.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    /// The row before which there may be more.
    pub(crate) next: Option<i64>,
}

/// The issuer's memory. Each method of it, and of the traits that it is made of, is one transaction: it happens wholly or
/// not at all.
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
    /// Erases what is past its end: claims, used nonces, sealed answers, what copies are known by. Returns how many offers it closed.
    fn erase_expired(&self, now: Timestamp) -> impl Future<Output = Result<u64, Error>> + Send;
}

/// Offers, as staff see them.
pub(crate) trait OfferStore {
    /// Stores an offer, once for each request_id.
    fn create_offer(&self, offer: NewOffer) -> impl Future<Output = Result<Creation, Error>> + Send;
    /// Offers with claims of which no unique claim is kept, with their claims.
    fn offers_without_unique_claims(
        &self,
        credential_type: &str,
    ) -> impl Future<Output = Result<Vec<(String, Claims)>, Error>> + Send;
    /// Keeps the unique claims of an offer; `false` and nothing if another offer has one of them.
    fn keep_unique_claims(
        &self,
        offer_id: &str,
        unique: &[UniqueClaim],
    ) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Cancels an offer that was not collected and erases its claims.
    fn cancel(&self, offer_id: &str) -> impl Future<Output = Result<OfferRecord, Error>> + Send;
    /// Offers, newest first.
    fn offers(
        &self,
        filter: &OfferFilter,
        slice: Slice,
    ) -> impl Future<Output = Result<Rows<OfferRecord>, Error>> + Send;
}

/// Who may collect: codes, PINs and tokens.
pub(crate) trait AccessStore {
    /// Takes an offer's code; counts wrong PINs and wrong verifiers. The code works once, and again for whoever has the verifier
    /// of the challenge that it was redeemed with. Where there was none, it works again if an issuance was intended, nothing was
    /// signed and the token has ended.
    fn redeem(&self, redeeming: Redeeming) -> impl Future<Output = Result<Redemption, Error>> + Send;
    /// Refuses a token that is unknown or has ended, or that is not for this configuration; tells whether the very request was
    /// taken before. It reads only: `intend` decides.
    fn check_access(
        &self,
        token_hash: Hash,
        configuration_id: &str,
        request_digest: &Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// Requests for copies.
pub(crate) trait IssuanceStore {
    /// Stores what is about to be signed, and that the nonce was used.
    fn intend(&self, intent: Intent) -> impl Future<Output = Result<Intended, Error>> + Send;
    /// The same for a collection that was deferred.
    fn intend_deferred(
        &self,
        transaction_hash: Hash,
        now: Timestamp,
    ) -> impl Future<Output = Result<(Hash, Format, Intended), Error>> + Send;
    /// Erases the claims, marks the copies as issued with their names, keeps the sealed answer at least until then, and until
    /// the offer's end for a wallet that can redeem it again, and counts what a voucher gives. If the offer was closed since
    /// the intent, it changes nothing, and answers or refuses as the same request would be if it came now.
    fn finish(
        &self,
        collection: i64,
        names: &[Option<CopyNames>],
        sealed: Vec<u8>,
        sealed_until: Timestamp,
        days: (Timestamp, Timestamp),
        signed: (Timestamp, Option<VoucherTotal>),
    ) -> impl Future<Output = Result<Finished, Error>> + Send;
    /// Records a wallet's notification and erases the sealed answer.
    fn notify(&self, notification_hash: Hash, event: i32) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Requests for more copies of what was issued.
pub(crate) trait RefillStore {
    /// Refuses a copy that was not issued here. It reads only: `intend_refill` decides.
    fn require_copy(&self, copy: &Hash) -> impl Future<Output = Result<(), Error>> + Send;
    /// Stores what is about to be signed, under the offer of the copy that was shown, and that the nonce was used.
    fn intend_refill(&self, intent: RefillIntent) -> impl Future<Output = Result<Refill, Error>> + Send;
    /// Marks the copies as issued; their names are in their order.
    fn finish_refill(
        &self,
        collection: i64,
        names: &[Option<CopyNames>],
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What was issued.
pub(crate) trait RecordStore {
    /// Issued copies, newest first.
    fn issued(
        &self,
        filter: &IssuedFilter,
        slice: Slice,
    ) -> impl Future<Output = Result<Rows<IssuedRecord>, Error>> + Send;
    /// One issued copy.
    fn issued_by_id(&self, issued_id: &str) -> impl Future<Output = Result<IssuedRecord, Error>> + Send;
    /// Numbers of holders whose credentials look alike, of what has not ended.
    fn cohorts(&self, now: Timestamp) -> impl Future<Output = Result<Vec<Cohort>, Error>> + Send;
}
