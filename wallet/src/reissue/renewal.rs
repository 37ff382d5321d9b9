//! Renewal: presents one copy of a credential near its expiry in full to its issuer, and gets copies with a later
//! expiry (spec/freshness.md section 3). If the issuer's staff must approve it, the renewal is pending, like an offer.

use carnet_core::{Problem, secure::sd_jwt::SdJwt, time::Timestamp};
use serde_json::Value;

use super::{damaged, format_of, unrefillable_reason};
use crate::{
    answer::payload_claims,
    failure::{DataSafety, Failure, FailureReason, FaultParty, Sentence},
    protocol::ServiceProtocol,
    store::{
        HeldCredential, HolderKey, IssuanceStage, PendingIssuance, Wallet, WalletStore, cached_status::CopyState,
        holder_key::WalletSecret,
    },
};

/// Returns the reason why a credential cannot be renewed: it is suspended or revoked, a renewal is pending, or it
/// cannot be refilled. `None` if it can. The renewal window is not checked.
pub fn unrenewable_reason(held: &HeldCredential, pending: &[PendingIssuance], now: Timestamp) -> Option<Failure> {
    if let Some(standing) = held.withdrawn_status() {
        let (message, hint) = match standing.state {
            CopyState::Revoked => (Sentence::new("error-revoked"), Sentence::new("hint-ask-why-offer")),
            _ => (Sentence::new("error-suspended"), Sentence::new("hint-ask-why-renew")),
        };
        return Some(Failure::new(FailureReason::from_code(standing.state.as_str()), message, hint));
    }
    if pending.iter().any(|pending| pending.renewed_id.as_deref() == Some(held.id.as_str())) {
        let message = Sentence::new("error-renewal-waiting");
        return Some(Failure::temporary(FailureReason::RenewalWaiting, message, Sentence::new("hint-see-resume")));
    }
    unrefillable_reason(held, now).map(|failure| match failure.reason {
        FailureReason::RefillUnsupported => {
            let message = Sentence::new("error-renewal-format");
            Failure::new(FailureReason::RenewalUnsupported, message, Sentence::new("hint-holds-until-end"))
        }
        _ => failure,
    })
}

/// Stores a renewal that the issuer's staff must approve as a pending issuance.
///
/// # Errors
/// `protocol` if the issuer sent no transaction id; the wallet cannot be saved.
pub(super) fn store_deferred(
    wallet: &mut Wallet<impl WalletStore>,
    held: &HeldCredential,
    keys: Vec<HolderKey>,
    transaction: Option<WalletSecret>,
    now: Timestamp,
) -> Result<(), Failure> {
    let transaction_id = transaction.ok_or_else(|| {
        let message = Sentence::new("error-no-name");
        Failure::new(FailureReason::Protocol, message, Sentence::new("hint-tell-issuer")).with_fault(FaultParty::Issuer)
    })?;
    wallet.contents.pending_issuances.push(PendingIssuance {
        protocol: ServiceProtocol::Grpc,
        offer_digest: format!("renewal:{}", held.id),
        endpoint: held.endpoint.clone().unwrap_or_default(),
        issuer: held.issuer.clone(),
        configuration_id: format!("{}_{}", held.type_name, held.format),
        access_token: WalletSecret::new(String::new()),
        keys,
        started_at: now,
        stage: IssuanceStage::Deferred { transaction_id },
        renewed_id: Some(held.id.clone()),
        redemption: None,
        valid_until: None,
    });
    wallet.save().map_err(|failure| failure.with_safety(DataSafety::Issuer))
}

/// Checks that a renewed credential has the same format as before and ends later, and returns the names of the claims
/// that it changed, added or removed; commitments of threshold proofs are not compared.
///
/// # Errors
/// `renewal_not_longer`, also for another format; a copy cannot be parsed.
pub(crate) fn check_extension(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Failure> {
    if format_of(held) != format_of(renewed) || held.valid_until >= renewed.valid_until {
        let message = Sentence::new("error-renewal-not-longer");
        return Err(Failure::new(FailureReason::RenewalNotLonger, message, Sentence::new("hint-holds-ask"))
            .with_fault(FaultParty::Issuer));
    }
    changed_claims(held, renewed).map_err(|problem| damaged(&problem))
}

/// Returns the names of the claims that differ between both credentials.
fn changed_claims(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Problem> {
    let claims = |of: &HeldCredential| -> Result<Vec<(String, Value)>, Problem> {
        let Some(copy) = of.copies.iter().find(|copy| copy.is_presentable()) else { return Ok(Vec::new()) };
        let payload = SdJwt::parse(&copy.credential.text())?.resolve_disclosures()?.payload;
        let claims = payload_claims(&payload, of.format).into_iter();
        let claims = claims.filter(|(name, _)| !crate::answer::is_commitments_name(name));
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
