//! Stored offers, the hashes of the secrets that redeem them, and unique claims.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, RowPage, StoreError, StoreResult, StoredClaims, filter::CommonFilter, renewal::StaffDecision};
use crate::secrets::Sha256Hash;

/// Number of wrong PINs that lock an offer.
pub(crate) const MAX_PIN_FAILURES: i64 = 5;

/// State of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfferState {
    /// Not redeemed yet.
    Open,
    /// An access token was issued; no copies were issued yet.
    Redeemed,
    /// Copies were issued, and the claims are erased.
    Collected,
    /// Cancelled or rejected by staff.
    Cancelled,
    /// Not redeemed or collected in time.
    Expired,
    /// Closed after too many wrong PINs. It is stored as expired; the number of wrong PINs distinguishes it.
    Locked,
}

impl OfferState {
    pub(crate) const ALL: [Self; 6] =
        [Self::Open, Self::Redeemed, Self::Collected, Self::Cancelled, Self::Expired, Self::Locked];

    /// Returns the name of the state.
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

    /// Returns the state for a stored name; an expired offer with too many wrong PINs is locked.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an unknown name.
    pub(crate) fn from_stored(stored: &str, pin_failures: i64) -> StoreResult<Self> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == stored);
        match state.ok_or(StoreError::Corrupt("offers.state"))? {
            Self::Expired if pin_failures >= MAX_PIN_FAILURES => Ok(Self::Locked),
            state => Ok(state),
        }
    }
}

/// Offer without its claims and secrets.
#[derive(Debug, Clone)]
pub(crate) struct OfferRecord {
    /// Sequence number, in the order of creation.
    pub(crate) seq: i64,
    pub(crate) offer_id: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) state: OfferState,
    /// `true` if the copies are issued only after staff have released the offer.
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Decision of staff on a deferred offer, if there is one.
    pub(crate) decision: Option<StaffDecision>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Reference chosen by staff; empty: none.
    pub(crate) reference: String,
    /// Name of the staff member who created it; empty in records of early versions.
    pub(crate) created_by: String,
    /// `true` if the record was erased after its retention period; it is in no list then.
    pub(crate) is_erased: bool,
}

/// Offer to be stored.
#[derive(Debug)]
pub(crate) struct NewOffer {
    pub(crate) offer_id: String,
    pub(crate) request_id: String,
    /// Request without the claims, as JSON text: detects a request_id that is reused with other content.
    pub(crate) terms: String,
    pub(crate) credential_type: String,
    pub(crate) format: CredentialFormat,
    pub(crate) claims: StoredClaims,
    /// Claims whose values no other offer may have.
    pub(crate) unique_claims: Vec<UniqueClaim>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) code_hash: Sha256Hash,
    pub(crate) pin_hash: Option<Sha256Hash>,
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) reference: String,
    pub(crate) created_by: String,
}

/// Claim whose value no two offers may share: its name, and a digest of name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UniqueClaim {
    pub(crate) name: String,
    pub(crate) digest: Sha256Hash,
}

/// Offer with its claims, and with what its issuance needs.
#[derive(Debug)]
pub(crate) struct OfferWithClaims {
    pub(crate) offer: OfferRecord,
    /// Request without the claims, as JSON text.
    pub(crate) terms: String,
    /// Claims; `None` if they are erased.
    pub(crate) claims: Option<StoredClaims>,
    /// `true` if the offer is deferred and staff released it.
    pub(crate) released: bool,
    /// `true` if staff rejected it.
    pub(crate) rejected: bool,
    /// Reason of staff's decision; `None` without a decision.
    pub(crate) reason: Option<String>,
    /// Time at which a redeemed offer is closed and its claims are erased; `None` before the redemption.
    pub(crate) keep_claims_until: Option<Timestamp>,
    /// `true` if its wallet sent a challenge, and can repeat the redemption.
    pub(crate) is_repeatable: bool,
}

/// Hashes of an offer's secrets, and the numbers of failed attempts.
#[derive(Debug)]
pub(crate) struct OfferSecretHashes {
    pub(crate) offer: OfferRecord,
    /// Hash of the PIN; `None` if the offer has none.
    pub(crate) pin_hash: Option<Sha256Hash>,
    /// Number of wrong PINs before the redemption.
    pub(crate) pin_failures: i64,
    /// Hash of the challenge; `None` if the redemption cannot be repeated.
    pub(crate) challenge_hash: Option<Sha256Hash>,
    /// Number of failed repetitions: wrong verifiers, and wrong PINs with the right verifier.
    pub(crate) repeat_failures: i64,
    /// Expiry of the access token; `None` before the redemption.
    pub(crate) token_until: Option<Timestamp>,
    /// Salt from which the access token of a repeatable redemption is derived.
    pub(crate) token_salt: Option<Sha256Hash>,
}

/// Access token to be stored when an offer is redeemed.
#[derive(Debug)]
pub(crate) struct NewAccessToken {
    pub(crate) token_hash: Sha256Hash,
    pub(crate) token_until: Timestamp,
    /// Hash of the challenge, and the salt of the token; `None`: the redemption cannot be repeated.
    pub(crate) challenge_and_salt: Option<(Sha256Hash, Sha256Hash)>,
    /// Time until which the claims are kept at least.
    pub(crate) keep_claims_until: Timestamp,
}

/// Filter for offers by state (`None`: any) and common conditions; times are those of creation.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfferFilter {
    pub(crate) state: Option<OfferState>,
    pub(crate) common: CommonFilter,
}

impl OfferFilter {
    pub(crate) fn matches(&self, offer: &OfferRecord) -> bool {
        let names = (offer.credential_type.as_str(), offer.reference.as_str(), offer.created_by.as_str());
        self.state.is_none_or(|state| state == offer.state) && self.common.matches(names, offer.created_at)
    }
}

/// Store operations on offers.
pub(crate) trait OfferRows {
    fn offer(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<Option<OfferWithClaims>>> + Send;
    /// Returns the offer that was created with this request_id.
    fn offer_by_request(
        &mut self,
        request_id: &str,
    ) -> impl Future<Output = StoreResult<Option<OfferWithClaims>>> + Send;
    /// Returns the offer whose access token has this hash and has not expired at `now`.
    fn offer_by_token(
        &mut self,
        token_hash: &Sha256Hash,
        now: Timestamp,
    ) -> impl Future<Output = StoreResult<Option<OfferWithClaims>>> + Send;
    /// Returns the offer whose code has this hash, in any state.
    fn offer_by_code(
        &mut self,
        code_hash: &Sha256Hash,
    ) -> impl Future<Output = StoreResult<Option<OfferSecretHashes>>> + Send;
    fn insert_offer(&mut self, offer: &NewOffer) -> impl Future<Output = StoreResult<()>> + Send;
    /// Stores the digests of unique claims. If another offer has the value of one, returns the name of the first of
    /// these; the transaction must then be dropped.
    fn insert_unique_claims(
        &mut self,
        offer_id: &str,
        unique: &[UniqueClaim],
    ) -> impl Future<Output = StoreResult<Option<String>>> + Send;
    /// Returns the ids and claims of open and redeemed offers of a type whose unique claims are not recorded yet.
    fn offers_with_unrecorded_claims(
        &mut self,
        credential_type: &str,
    ) -> impl Future<Output = StoreResult<Vec<(String, StoredClaims)>>> + Send;
    /// Sets the number of wrong PINs.
    fn set_pin_failures(&mut self, offer_id: &str, failures: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Sets the number of failed attempts to repeat a redemption.
    fn set_repeat_failures(&mut self, offer_id: &str, failures: i64) -> impl Future<Output = StoreResult<()>> + Send;
    /// Marks an offer as redeemed, with its access token, which replaces an earlier one.
    fn mark_offer_redeemed(
        &mut self,
        offer_id: &str,
        token: &NewAccessToken,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Sets the expiry of an offer's access token, and keeps the claims at least until then.
    fn extend_token(&mut self, offer_id: &str, until: Timestamp) -> impl Future<Output = StoreResult<()>> + Send;
    /// Keeps the claims of a redeemed offer at least until a time; a later time that is already set remains.
    fn retain_claims_until(&mut self, offer_id: &str, until: Timestamp)
    -> impl Future<Output = StoreResult<()>> + Send;
    /// Sets the format of an offer; returns `false`, and changes nothing, if copies were already requested.
    fn choose_format(
        &mut self,
        offer_id: &str,
        format: CredentialFormat,
    ) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Closes an offer in a final state. Erases its claims, the holder's keys of copies that were not signed, and, if
    /// no copy was ever to be signed, its unique claims.
    fn close_offer(&mut self, offer_id: &str, state: OfferState) -> impl Future<Output = StoreResult<()>> + Send;
    /// Marks a redeemed offer as collected, and erases its claims; returns `false`, and changes nothing, if it is not
    /// redeemed.
    fn mark_offer_collected(&mut self, offer_id: &str) -> impl Future<Output = StoreResult<bool>> + Send;
    /// Stores the decision of staff on a deferred offer. Its state is unchanged.
    fn store_offer_decision(
        &mut self,
        offer_id: &str,
        decision: &StaffDecision,
    ) -> impl Future<Output = StoreResult<()>> + Send;
    /// Returns a page of the offers that match a filter, newest first, without erased records.
    fn offers(
        &mut self,
        filter: &OfferFilter,
        slice: PageSlice,
    ) -> impl Future<Output = StoreResult<RowPage<OfferRecord>>> + Send;
}
