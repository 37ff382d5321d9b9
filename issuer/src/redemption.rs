//! Redemption: exchange of an offer's code for an access token, repeatable for a wallet that lost the response.
//!
//! A wallet draws a verifier, stores it, and sends its SHA-256, the challenge. Repeating a redemption requires the
//! verifier, so that somebody who sees the link and the PIN later gets nothing. The access token is the same each time,
//! because it is the only key to the sealed response of a credential request.

use carnet_core::{input::numeric_pin, time::Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    error::Error,
    issuer::{Issuer, TOKEN_SECONDS},
    offers::{MOST_ID_BYTES, pin_digest},
    secrets::{self, PIN_DIGITS, Use},
    store::{OfferRecord, Redeeming, Redemption, Store},
};

/// A wallet's request for an access token.
#[derive(Default)]
pub(crate) struct RedemptionRequest {
    pub(crate) code: Zeroizing<String>,
    pub(crate) pin: Option<Zeroizing<String>>,
    /// SHA-256 of the verifier, 32 bytes.
    pub(crate) challenge: Option<Zeroizing<Vec<u8>>>,
    /// 32 bytes.
    pub(crate) verifier: Option<Zeroizing<Vec<u8>>>,
}

/// Access to the copies of one offer.
pub(crate) struct Grant {
    pub(crate) access_token: Zeroizing<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) offer: OfferRecord,
    /// True if the redemption can be repeated with the verifier.
    pub(crate) repeatable: bool,
}

/// Parses a PIN in the digits of any script. A malformed PIN does not count as an attempt.
fn pin_of(text: &str) -> Result<Zeroizing<String>, Error> {
    let malformed =
        || Error::invalid("tx_code", format!("not a PIN of {PIN_DIGITS} digits; this was not counted as an attempt"));
    if text.len() > MOST_ID_BYTES {
        return Err(malformed());
    }
    numeric_pin(text).filter(|pin| pin.len() == PIN_DIGITS).ok_or_else(malformed)
}

impl<S: Store> Issuer<S> {
    /// Exchanges an offer's code for an access token.
    ///
    /// # Errors
    /// The offer is unknown, used, expired, cancelled or locked; the PIN is wrong, missing or unexpected; the challenge
    /// or the verifier is malformed; store errors.
    pub(crate) async fn redeem_offer(&self, request: &RedemptionRequest) -> Result<Grant, Error> {
        let (code, pin) = (request.code.as_str(), request.pin.as_ref());
        let challenge = challenge_of(request)?;
        if code.is_empty() || code.len() > MOST_ID_BYTES {
            return Err(Error::OfferUnknown);
        }
        let pin = pin.map(|pin| pin_of(pin)).transpose()?;
        let now = self.now();
        let token_salt = secrets::draw_salt();
        let token = |salt| challenge.as_ref().map(|challenge| secrets::repeatable_token(code, challenge, salt));
        let first = token(&token_salt).unwrap_or_else(secrets::draw);
        let expires_at = now.plus(TOKEN_SECONDS);
        let redeeming = Redeeming {
            code_hash: secrets::digest(Use::Code, &[code.as_bytes()]),
            pin_hash: pin.map(|pin| pin_digest(code, &pin)),
            challenge_hash: challenge
                .as_ref()
                .map(|challenge| secrets::digest(Use::RedemptionChallenge, &[challenge.as_slice()])),
            is_verified: request.verifier.is_some(),
            token_hash: secrets::digest(Use::AccessToken, &[first.as_bytes()]),
            token_salt,
            token_until: expires_at,
            now,
        };
        let (offer, access_token) = match self.store.redeem(redeeming).await? {
            Redemption::Granted(offer) => (offer, first),
            Redemption::Repeated { offer, token_salt } => {
                tracing::info!(offer_id = offer.offer_id, "offer redeemed again by its wallet");
                (offer, token(&token_salt).ok_or(Error::Corrupt("offers.token_salt"))?)
            }
            Redemption::Refused(error) => return Err(error),
        };
        Ok(Grant { access_token, expires_at, offer, repeatable: challenge.is_some() })
    }
}

/// Returns the challenge, if there is one, after checking that a verifier in the request matches it.
fn challenge_of(request: &RedemptionRequest) -> Result<Option<Zeroizing<[u8; 32]>>, Error> {
    let challenge = request
        .challenge
        .as_ref()
        .map(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new))
        .transpose()
        .map_err(|_| Error::invalid("redemption_challenge", "must be 32 bytes"))?;
    let Some(verifier) = &request.verifier else { return Ok(challenge) };
    let digest = <[u8; 32]>::from(Sha256::digest(verifier.as_slice()));
    match &challenge {
        Some(challenge) if verifier.len() == 32 && secrets::same(challenge.as_slice(), &digest) => {}
        _ => {
            let rule = "must be 32 bytes whose SHA-256 is the redemption_challenge";
            return Err(Error::invalid("redemption_verifier", rule));
        }
    }
    Ok(challenge)
}
