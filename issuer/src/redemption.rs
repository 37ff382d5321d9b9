//! Redemption: exchange of an offer's pre-authorized code for an access token. A wallet that did not receive the
//! response can repeat the exchange.
//!
//! For that, a wallet generates a random verifier, stores it, and sends the verifier's SHA-256, the challenge, with its
//! first request. A repetition requires the verifier, so that a person who later sees the link and the PIN cannot
//! redeem. The access token is the same each time, because the key of the stored response to a credential request is
//! derived from it.

use carnet_core::{input::parse_numeric_pin, time::Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    checks::MAX_ID_BYTES,
    error::Error,
    issuer::{Issuer, TOKEN_SECONDS},
    offers::{code_digest, pin_digest},
    secrets::{self, HashPurpose, PIN_DIGITS, Sha256Hash},
    store::{
        Store, StoreTx,
        issuances::IssuanceState,
        offers::{MAX_PIN_FAILURES, NewAccessToken, OfferRecord, OfferRows as _, OfferSecretHashes, OfferState},
    },
};

/// A wallet's request for an access token.
#[derive(Default)]
pub(crate) struct RedemptionRequest {
    pub(crate) code: Zeroizing<String>,
    pub(crate) pin: Option<Zeroizing<String>>,
    /// Challenge: SHA-256 of the verifier, 32 bytes. Without one, the redemption cannot be repeated.
    pub(crate) challenge: Option<Zeroizing<Vec<u8>>>,
    /// Verifier of the challenge, 32 bytes; sent only to repeat a redemption.
    pub(crate) verifier: Option<Zeroizing<Vec<u8>>>,
}

/// Access token for the copies of one offer.
pub(crate) struct TokenGrant {
    pub(crate) access_token: Zeroizing<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) offer: OfferRecord,
    /// `true` if the redemption can be repeated with the verifier.
    pub(crate) repeatable: bool,
}

/// Redemption request with its secrets hashed, and a new access token in case it is granted.
#[derive(Debug)]
struct HashedRedemption {
    code_hash: Sha256Hash,
    pin_hash: Option<Sha256Hash>,
    /// Hash of the challenge; without one the redemption cannot be repeated.
    challenge_hash: Option<Sha256Hash>,
    /// `true` if the request contains the challenge's verifier, which has been checked.
    is_verified: bool,
    /// Hash of the new token, used for a first redemption.
    token_hash: Sha256Hash,
    /// Salt from which the token is derived, if there is a challenge.
    token_salt: Sha256Hash,
    token_until: Timestamp,
    now: Timestamp,
}

/// Result of a redemption that is not refused.
enum RedemptionOutcome {
    /// First redemption: the new token is valid.
    Granted(OfferRecord),
    /// Repetition by the wallet that redeemed the offer: its earlier token, derived from this salt, remains valid.
    Repeated { offer: OfferRecord, token_salt: Sha256Hash },
}

/// Parses a PIN of six digits, in any script. A malformed PIN is refused and does not count as an attempt.
fn parse_pin(text: &str) -> Result<Zeroizing<String>, Error> {
    let malformed =
        || Error::invalid("tx_code", format!("not a PIN of {PIN_DIGITS} digits; this was not counted as an attempt"));
    if text.len() > MAX_ID_BYTES {
        return Err(malformed());
    }
    parse_numeric_pin(text).filter(|pin| pin.len() == PIN_DIGITS).ok_or_else(malformed)
}

impl<S: Store> Issuer<S> {
    /// Exchanges an offer's code for an access token that is valid for five minutes.
    ///
    /// # Errors
    /// The offer is unknown, used, expired, cancelled, locked, or being redeemed by another call; the PIN is wrong,
    /// missing, unexpected or malformed; the challenge or the verifier is malformed; store errors.
    pub(crate) async fn redeem_offer(&self, request: &RedemptionRequest) -> Result<TokenGrant, Error> {
        let (code, pin) = (request.code.as_str(), request.pin.as_ref());
        let challenge = checked_challenge(request)?;
        if code.is_empty() || code.len() > MAX_ID_BYTES {
            return Err(Error::OfferUnknown);
        }
        let pin = pin.map(|pin| parse_pin(pin)).transpose()?;
        let now = self.now();
        let token_salt = secrets::random_salt();
        let token = |salt| challenge.as_ref().map(|challenge| secrets::derive_repeatable_token(code, challenge, salt));
        let first = token(&token_salt).unwrap_or_else(secrets::random_secret);
        let expires_at = now.plus(TOKEN_SECONDS);
        let redeeming = HashedRedemption {
            code_hash: code_digest(code),
            pin_hash: pin.map(|pin| pin_digest(code, &pin)),
            challenge_hash: challenge
                .as_ref()
                .map(|challenge| secrets::purpose_hash(HashPurpose::RedemptionChallenge, &[challenge.as_slice()])),
            is_verified: request.verifier.is_some(),
            token_hash: secrets::purpose_hash(HashPurpose::AccessToken, &[first.as_bytes()]),
            token_salt,
            token_until: expires_at,
            now,
        };
        let (offer, access_token) = match redeem_code(&self.store, &redeeming).await? {
            RedemptionOutcome::Granted(offer) => (offer, first),
            RedemptionOutcome::Repeated { offer, token_salt } => {
                tracing::info!(offer_id = offer.offer_id, "offer redeemed again by its wallet");
                (offer, token(&token_salt).ok_or(Error::Corrupt("offers.token_salt"))?)
            }
        };
        Ok(TokenGrant { access_token, expires_at, offer, repeatable: challenge.is_some() })
    }
}

/// Returns the challenge, if there is one, after checking that a verifier in the request matches it.
///
/// # Errors
/// [`Error::Invalid`]
fn checked_challenge(request: &RedemptionRequest) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    let challenge = request
        .challenge
        .as_ref()
        .map(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new))
        .transpose()
        .map_err(|_| Error::invalid("redemption_challenge", "must be 32 bytes"))?;
    let Some(verifier) = &request.verifier else { return Ok(challenge) };
    let digest = <[u8; 32]>::from(Sha256::digest(verifier.as_slice()));
    match &challenge {
        Some(challenge) if verifier.len() == 32 && secrets::equal_in_constant_time(challenge.as_slice(), &digest) => {}
        _ => {
            let rule = "must be 32 bytes whose SHA-256 is the redemption_challenge";
            return Err(Error::invalid("redemption_verifier", rule));
        }
    }
    Ok(challenge)
}

/// Redeems an offer's code, and counts wrong PINs. A code works once, and again for the owner of the verifier if it was
/// redeemed with a challenge. Without a challenge, it works again if an intent to sign was stored, nothing was signed,
/// and the token has expired.
async fn redeem_code<S: Store>(store: &S, redeeming: &HashedRedemption) -> Result<RedemptionOutcome, Error> {
    // Anonymous callers can get here, so only somebody with a valid code may delay other writers.
    if store.read().await?.offer_by_code(&redeeming.code_hash).await?.is_none() {
        return Err(Error::OfferUnknown);
    }
    let mut tx = store.begin("redeem_offer").await?;
    let access = tx.offer_by_code(&redeeming.code_hash).await?.ok_or(Error::OfferUnknown)?;
    if let (OfferState::Redeemed | OfferState::Collected, Some(challenge)) = (access.offer.state, access.challenge_hash)
    {
        return repeat_redemption::<S>(tx, access, &challenge, redeeming).await;
    }
    let now = redeeming.now;
    require_redeemable(&mut tx, &access, now).await?;
    let offer_id = &access.offer.offer_id;
    if access.offer.expires_at <= now {
        tx.close_offer(offer_id, OfferState::Expired).await?;
        tx.commit().await?;
        store.purge_erased_data().await;
        return Err(Error::OfferExpired);
    }
    if !is_pin_correct(&access, redeeming)? {
        let failures = access.pin_failures.saturating_add(1);
        tx.set_pin_failures(offer_id, failures).await?;
        let locked = failures >= MAX_PIN_FAILURES;
        if locked {
            tx.close_offer(offer_id, OfferState::Locked).await?;
        }
        // The count is committed although the call is refused: this limits guessing.
        tx.commit().await?;
        if locked {
            store.purge_erased_data().await;
            return Err(Error::OfferLocked);
        }
        return Err(Error::PinWrong { left: MAX_PIN_FAILURES.saturating_sub(failures) });
    }
    let repeatable = redeeming.challenge_hash.map(|challenge| (challenge, redeeming.token_salt));
    // A wallet that can repeat the redemption has until the offer's end; any other until the token's end.
    let end = if repeatable.is_some() { access.offer.expires_at } else { redeeming.token_until };
    let token = NewAccessToken {
        token_hash: redeeming.token_hash,
        token_until: redeeming.token_until,
        challenge_and_salt: repeatable,
        keep_claims_until: end.max(redeeming.token_until),
    };
    tx.mark_offer_redeemed(offer_id, &token).await?;
    tx.commit().await?;
    Ok(RedemptionOutcome::Granted(OfferRecord { state: OfferState::Redeemed, ..access.offer }))
}

/// Repeats a redemption for the owner of the challenge's verifier, and extends the expiry of its token. Without the
/// right verifier, the error is that of a used offer, whatever else is right or wrong. Wrong verifiers and wrong PINs
/// are counted together; after five, the redemption cannot be repeated, and the earlier token remains valid.
async fn repeat_redemption<S: Store>(
    mut tx: S::Tx,
    access: OfferSecretHashes,
    challenge: &Sha256Hash,
    redeeming: &HashedRedemption,
) -> Result<RedemptionOutcome, Error> {
    let shown = redeeming.challenge_hash.filter(|_| redeeming.is_verified).ok_or(Error::OfferUsed)?;
    if access.repeat_failures >= MAX_PIN_FAILURES {
        return Err(Error::OfferUsed);
    }
    let failures = access.repeat_failures.saturating_add(1);
    let offer_id = &access.offer.offer_id;
    if !secrets::equal_in_constant_time(challenge, &shown) {
        tx.set_repeat_failures(offer_id, failures).await?;
        tx.commit().await?;
        return Err(Error::OfferUsed);
    }
    if access.offer.expires_at <= redeeming.now {
        return Err(Error::OfferExpired);
    }
    if !is_pin_correct(&access, redeeming)? {
        tx.set_repeat_failures(offer_id, failures).await?;
        tx.commit().await?;
        return Err(Error::PinWrong { left: MAX_PIN_FAILURES.saturating_sub(failures) });
    }
    let token_salt = access.token_salt.ok_or(Error::Corrupt("offers.token_salt"))?;
    tx.extend_token(offer_id, redeeming.token_until).await?;
    tx.commit().await?;
    Ok(RedemptionOutcome::Repeated { offer: access.offer, token_salt })
}

/// Returns whether the PIN is that of the offer; `true` if the offer has none and none was sent.
///
/// # Errors
/// [`Error::PinMissing`] and [`Error::PinUnexpected`], which do not count as attempts.
fn is_pin_correct(access: &OfferSecretHashes, redeeming: &HashedRedemption) -> Result<bool, Error> {
    match (access.pin_hash, redeeming.pin_hash) {
        (None, None) => Ok(true),
        (Some(_), None) => Err(Error::PinMissing),
        (None, Some(_)) => Err(Error::PinUnexpected),
        (Some(expected), Some(given)) => Ok(secrets::equal_in_constant_time(&expected, &given)),
    }
}

/// Refuses a code in an offer state in which it cannot be redeemed for the first time, or without a challenge again.
async fn require_redeemable<T: StoreTx>(tx: &mut T, access: &OfferSecretHashes, now: Timestamp) -> Result<(), Error> {
    let offer = &access.offer;
    match offer.state {
        OfferState::Open => Ok(()),
        // An intent to sign was not completed: by a power cut, or a signing error.
        OfferState::Redeemed if tx.has_issuance(&offer.offer_id, IssuanceState::Intended).await? => {
            let left = access.token_until.map_or(0, |until| until.unix().saturating_sub(now.unix()));
            // The token's owner has precedence; after its end, a wallet that lost it may start again.
            match u32::try_from(left) {
                Ok(0) | Err(_) => Ok(()),
                Ok(seconds) => Err(Error::RedemptionInProgress { seconds }),
            }
        }
        OfferState::Redeemed | OfferState::Collected => Err(Error::OfferUsed),
        OfferState::Cancelled => Err(Error::OfferCancelled),
        OfferState::Locked => Err(Error::OfferLocked),
        OfferState::Expired => Err(Error::OfferExpired),
    }
}
