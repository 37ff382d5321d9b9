//! Offers, and the secrets that redeem them.

use carnet_core::{format::CredentialFormat, time::Timestamp};

use super::{PageSlice, RowPage, StoreError, Stored, StoredClaims, filter::CommonFilter, renewal::StaffDecision};
use crate::secrets::SecretHash;

/// Number of wrong PINs that lock an offer.
pub(crate) const PIN_TRIES: i64 = 5;

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

    /// Parses a stored state; an offer expired by wrong PINs is locked.
    pub(crate) fn of(stored: &str, pin_failures: i64) -> Stored<Self> {
        let state = Self::ALL.into_iter().find(|state| state.as_str() == stored);
        match state.ok_or(StoreError::Corrupt("offers.state"))? {
            Self::Expired if pin_failures >= PIN_TRIES => Ok(Self::Locked),
            state => Ok(state),
        }
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
    pub(crate) decision: Option<StaffDecision>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    /// Reference chosen by staff; empty: none.
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
    pub(crate) claims: StoredClaims,
    /// Digests of claims that no other offer may share.
    pub(crate) unique: Vec<UniqueClaim>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
    pub(crate) code_hash: SecretHash,
    pub(crate) pin_hash: Option<SecretHash>,
    pub(crate) deferred: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) reference: String,
    pub(crate) created_by: String,
}

/// Claim that identifies a credential, by its name and the digest of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UniqueClaim {
    pub(crate) name: String,
    pub(crate) digest: SecretHash,
}

/// Stored offer that its issuance needs: with its claims, and the decision of staff.
#[derive(Debug)]
pub(crate) struct OfferContent {
    pub(crate) offer: OfferRecord,
    /// Request without the claims, in canonical form.
    pub(crate) terms: String,
    /// Encrypted claims; `None`: erased.
    pub(crate) claims: Option<StoredClaims>,
    /// True if staff released it; false as well if it is not deferred.
    pub(crate) released: bool,
    pub(crate) rejected: bool,
    /// Reason of the decision.
    pub(crate) reason: Option<String>,
    /// Time at which the claims of a redeemed offer are erased.
    pub(crate) collect_until: Option<Timestamp>,
    /// `true` if its wallet can repeat the redemption.
    pub(crate) is_repeatable: bool,
}

/// Hashes of an offer's secrets, and the counts of failed attempts.
#[derive(Debug)]
pub(crate) struct OfferAccess {
    pub(crate) offer: OfferRecord,
    pub(crate) pin_hash: Option<SecretHash>,
    pub(crate) pin_failures: i64,
    /// Hash of the challenge of a repeatable redemption.
    pub(crate) challenge_hash: Option<SecretHash>,
    /// Number of failed repetitions since the redemption: wrong verifiers, and wrong PINs with the right verifier.
    pub(crate) repeat_failures: i64,
    pub(crate) token_until: Option<Timestamp>,
    /// Salt for the access token of a repeatable redemption.
    pub(crate) token_salt: Option<SecretHash>,
}

/// Access token of a redemption, to be stored.
#[derive(Debug)]
pub(crate) struct NewAccessToken {
    pub(crate) token_hash: SecretHash,
    pub(crate) token_until: Timestamp,
    /// Hash of the challenge, and the salt; `None`: the redemption cannot be repeated.
    pub(crate) repeatable: Option<(SecretHash, SecretHash)>,
    /// Earliest time at which the claims are erased.
    pub(crate) collect_until: Timestamp,
}

/// Filter for offers, by state and time of creation.
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
    fn offer(&mut self, offer_id: &str) -> impl Future<Output = Stored<Option<OfferContent>>> + Send;
    fn offer_by_request(&mut self, request_id: &str) -> impl Future<Output = Stored<Option<OfferContent>>> + Send;
    /// Returns the offer of an access token that is valid at a time.
    fn offer_by_token(
        &mut self,
        token_hash: &SecretHash,
        now: Timestamp,
    ) -> impl Future<Output = Stored<Option<OfferContent>>> + Send;
    fn offer_by_code(&mut self, code_hash: &SecretHash) -> impl Future<Output = Stored<Option<OfferAccess>>> + Send;
    fn insert_offer(&mut self, offer: &NewOffer) -> impl Future<Output = Stored<()>> + Send;
    /// Stores the hashes of unique claims; returns the name of the first claim whose value another offer has.
    fn insert_unique_claims(
        &mut self,
        offer_id: &str,
        unique: &[UniqueClaim],
    ) -> impl Future<Output = Stored<Option<String>>> + Send;
    /// Returns offers, with their claims, whose unique claims are not yet recorded.
    fn offers_without_unique_claims(
        &mut self,
        credential_type: &str,
    ) -> impl Future<Output = Stored<Vec<(String, StoredClaims)>>> + Send;
    /// Sets the number of wrong PINs.
    fn set_pin_failures(&mut self, offer_id: &str, failures: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Sets the number of wrong attempts to repeat a redemption.
    fn set_repeat_failures(&mut self, offer_id: &str, failures: i64) -> impl Future<Output = Stored<()>> + Send;
    /// Marks an offer as redeemed.
    fn redeem_offer(&mut self, offer_id: &str, token: &NewAccessToken) -> impl Future<Output = Stored<()>> + Send;
    /// Extends the expiry of an access token.
    fn extend_token(&mut self, offer_id: &str, until: Timestamp) -> impl Future<Output = Stored<()>> + Send;
    /// Extends the retention of a redeemed offer's claims to at least a time.
    fn retain_claims_until(&mut self, offer_id: &str, until: Timestamp) -> impl Future<Output = Stored<()>> + Send;
    /// Changes the format of an offer; returns `false` if copies were already requested.
    fn choose_format(&mut self, offer_id: &str, format: CredentialFormat) -> impl Future<Output = Stored<bool>> + Send;
    /// Closes an offer: erases its claims, the public keys of a deferred collection, and unique claims that were never
    /// issued.
    fn close_offer(&mut self, offer_id: &str, state: OfferState) -> impl Future<Output = Stored<()>> + Send;
    /// Marks a redeemed offer as collected, and erases its claims; returns `false` if it is not redeemed.
    fn collect_offer(&mut self, offer_id: &str) -> impl Future<Output = Stored<bool>> + Send;
    /// Stores the decision of staff on a deferred offer.
    fn decide_offer(&mut self, offer_id: &str, decision: &StaffDecision) -> impl Future<Output = Stored<()>> + Send;
    /// Returns offers, newest first.
    fn offers(
        &mut self,
        filter: &OfferFilter,
        slice: PageSlice,
    ) -> impl Future<Output = Stored<RowPage<OfferRecord>>> + Send;
}
