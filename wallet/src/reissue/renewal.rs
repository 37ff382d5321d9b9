//! Renewal: presents one copy of a credential near its expiry in full to its issuer, and gets copies with a later
//! expiry (spec/freshness.md section 3). If the issuer's staff must approve it, the renewal is pending, like an offer.

use carnet_core::{Problem, secure::sd_jwt::SdJwt, time::Timestamp};
use serde_json::Value;

use super::{damaged, format_of, unrefillable};
use crate::{
    answer::claims_of,
    failure::{DataSafety, Failure, FailureReason, Fault, Sentence},
    store::{
        CollectionStage, HeldCredential, HolderKey, PendingCollection, Wallet, WalletStore, contents::WalletSecret,
        standing::CopyState,
    },
    wire::Wire,
};

/// Returns the reason why a credential cannot be renewed: it is suspended or revoked, a renewal is pending, or it
/// cannot be refilled. `None` if it can. The renewal window is not checked.
pub fn unrenewable(held: &HeldCredential, pending: &[PendingCollection], now: Timestamp) -> Option<Failure> {
    if let Some(standing) = held.withdrawn_status() {
        let (message, hint) = match standing.state {
            CopyState::Revoked => (Sentence::id("error-revoked"), Sentence::id("hint-ask-why-offer")),
            _ => (Sentence::id("error-suspended"), Sentence::id("hint-ask-why-renew")),
        };
        return Some(Failure::new(FailureReason::stated(standing.state.as_str()), message, hint));
    }
    if pending.iter().any(|pending| pending.renews.as_deref() == Some(held.id.as_str())) {
        let message = Sentence::id("error-renewal-waiting");
        return Some(Failure::later(FailureReason::RenewalWaiting, message, Sentence::id("hint-see-resume")));
    }
    unrefillable(held, now).map(|failure| match failure.reason {
        FailureReason::RefillUnsupported => {
            let message = Sentence::id("error-renewal-format");
            Failure::new(FailureReason::RenewalUnsupported, message, Sentence::id("hint-holds-until-end"))
        }
        _ => failure,
    })
}

/// Stores a renewal that the issuer's staff must approve as a pending issuance.
///
/// # Errors
/// `protocol` if the issuer sent no transaction id; the wallet cannot be saved.
pub(super) fn defer(
    wallet: &mut Wallet<impl WalletStore>,
    held: &HeldCredential,
    keys: Vec<HolderKey>,
    transaction: Option<WalletSecret>,
    now: Timestamp,
) -> Result<(), Failure> {
    let transaction_id = transaction.ok_or_else(|| {
        let message = Sentence::id("error-no-name");
        Failure::new(FailureReason::Protocol, message, Sentence::id("hint-tell-issuer")).by(Fault::Issuer)
    })?;
    wallet.contents.pending.push(PendingCollection {
        wire: Wire::Grpc,
        offer: format!("renewal:{}", held.id),
        endpoint: held.endpoint.clone().unwrap_or_default(),
        issuer: held.issuer.clone(),
        configuration_id: format!("{}_{}", held.type_name, held.format),
        access_token: WalletSecret::new(String::new()),
        keys,
        since: now,
        stage: CollectionStage::Deferred { transaction_id },
        renews: Some(held.id.clone()),
        redemption: None,
        valid_until: None,
    });
    wallet.save().map_err(|failure| failure.with_safety(DataSafety::Issuer))
}

/// Checks that a renewed credential ends later than before, and returns the names of the claims that it changed, added
/// or removed.
///
/// # Errors
/// `renewal_not_longer`; a copy cannot be parsed.
pub(crate) fn check_extension(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Failure> {
    if format_of(held) != format_of(renewed) || held.valid_until >= renewed.valid_until {
        let message = Sentence::id("error-renewal-not-longer");
        return Err(
            Failure::new(FailureReason::RenewalNotLonger, message, Sentence::id("hint-holds-ask")).by(Fault::Issuer)
        );
    }
    changed(held, renewed).map_err(|problem| damaged(&problem))
}

/// Returns the names of the claims that differ between both credentials.
fn changed(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Problem> {
    let claims = |of: &HeldCredential| -> Result<Vec<(String, Value)>, Problem> {
        let Some(copy) = of.copies.iter().find(|copy| copy.is_presentable()) else { return Ok(Vec::new()) };
        let payload = SdJwt::parse(&copy.credential.text())?.disclosed()?.payload;
        let claims = claims_of(&payload, of.format).into_iter();
        let claims = claims.filter(|(name, _)| !crate::answer::are_commitments(name));
        Ok(claims.map(|(name, value)| (name, value.clone())).collect())
    };
    let (before, after) = (claims(held)?, claims(renewed)?);
    let mut names: Vec<String> = Vec::new();
    for (name, value) in before.iter().chain(&after) {
        let same = |all: &[(String, Value)]| all.iter().any(|(other, said)| other == name && said == value);
        let unchanged = same(&before) && same(&after);
        if !(unchanged || names.contains(name)) {
            names.push(name.clone());
        }
    }
    Ok(names)
}
