//! Renewal: exchanges one copy of a credential near its end, presented in full to its issuer, for copies with a later
//! end (spec/freshness.md section 3). If the issuer's staff must approve it, it is pending like an offer.

use carnet_core::{Problem, secure::sd_jwt::SdJwt, time::Timestamp};
use carnet_spec::Catalogue;
use carnet_wallet::ports::{Collected, IssuerClient as _, Notification};
use serde_json::Value;

use crate::{
    answer::claims_of,
    collect::{Days, Expected, verified},
    directory::fetch_directory,
    failure::{Failure, Safety, Sentence},
    refill::{NONCE_REFUSED, Showing, damaged, draw_low_water, explained, format_of, unrefillable},
    session::Session,
    wallet::{Entry, EntryKind, HeldCredential, Pending, ShownPart, Stage, WalletFile, standing::State},
};

/// Result of a renewal.
pub(crate) enum Renewed {
    /// Stored; the listed claims have changed.
    Stored(Vec<String>),
    /// The issuer's staff must approve it; interval in seconds.
    Waiting(u32),
}

/// Returns the reason why a credential cannot be renewed, if there is one.
pub(crate) fn unrenewable(held: &HeldCredential, pending: &[Pending], now: Timestamp) -> Option<Failure> {
    if let Some(standing) = held.withdrawn() {
        let (message, hint) = match standing.state {
            State::Revoked => (Sentence::id("error-revoked"), Sentence::id("hint-ask-why-offer")),
            _ => (Sentence::id("error-suspended"), Sentence::id("hint-ask-why-renew")),
        };
        return Some(Failure::new(standing.state.as_str(), message, hint));
    }
    if pending.iter().any(|pending| pending.renews.as_deref() == Some(held.id.as_str())) {
        let message = Sentence::id("error-renewal-waiting");
        return Some(Failure::later("renewal_waiting", message, Sentence::id("hint-see-resume")));
    }
    unrefillable(held, now).map(|failure| match failure.reason.as_str() {
        "refill_unsupported" => {
            let message = Sentence::id("error-renewal-format");
            Failure::new("renewal_unsupported", message, Sentence::id("hint-holds-until-end"))
        }
        _ => failure,
    })
}

/// Renews one credential, and replaces its copies.
pub(crate) async fn renew(
    session: &Session,
    catalogue: &Catalogue,
    wallet: &mut WalletFile,
    index: usize,
) -> Result<Renewed, Failure> {
    if let Some(held) = wallet.contents.credentials.get(index)
        && let Some(failure) = unrenewable(held, &wallet.contents.pending, session.now())
    {
        return Err(failure);
    }
    let (mut issuer, showing) = Showing::begin(session, wallet, index).await?;
    let since = session.now();
    let directory = match catalogue.credential_type(&showing.held.type_name) {
        Some(known) if known.bundled => fetch_directory(session, &showing.held.issuer).await?,
        _ => None,
    };
    let (mut keys, shown, proofs) = showing.prepare(&mut issuer).await?;
    let mut answered = issuer.renew(shown, proofs).await;
    // The nonce has expired.
    if matches!(&answered, Err(failure) if failure.reason == NONCE_REFUSED) {
        let (others, shown, proofs) = showing.prepare(&mut issuer).await?;
        (keys, answered) = (others, issuer.renew(shown, proofs).await);
    }
    let (copies, notification) = match answered.map_err(explained)? {
        Collected::Ready(copies, notification) => (copies, notification),
        Collected::NotReady(transaction, interval) => {
            let transaction_id = transaction.ok_or_else(|| {
                Failure::new("protocol", Sentence::id("error-no-name"), Sentence::id("hint-tell-issuer"))
            })?;
            let held = &showing.held;
            let pending = Pending {
                offer: format!("renewal:{}", held.id),
                endpoint: held.endpoint.clone().unwrap_or_default(),
                issuer: held.issuer.clone(),
                configuration_id: format!("{}_{}", held.type_name, held.format),
                access_token: crate::wallet::contents::Secret::new(String::new()),
                keys,
                since: session.now(),
                stage: Stage::Deferred { transaction_id },
                renews: Some(held.id.clone()),
                redemption: None,
                valid_until: None,
            };
            wallet.contents.pending.push(pending);
            wallet.save().map_err(|failure| failure.with_safety(Safety::Issuer))?;
            return Ok(Renewed::Waiting(interval.max(1)));
        }
    };
    let expected = Expected {
        promise: &showing.promise(),
        keys: &keys,
        held: &wallet.contents.credentials,
        days: Days::Renewed {
            since,
            ended: showing.held.valid_until,
            window_days: showing.promise().renewal_window_days,
        },
        directory: directory.as_ref(),
        resolver: &session.dids,
        catalogue,
        now: session.now(),
    };
    let checked = verified(&copies, &expected).map_err(unheld);
    let checked = checked.and_then(|fresh| Ok((longer(&showing.held, &fresh)?, fresh)));
    let (changed, fresh) = match checked {
        Ok(checked) => checked,
        Err(failure) => {
            let _ = issuer.notify(None, &notification, Notification::Failure).await;
            return Err(failure.with_safety(Safety::Issuer));
        }
    };
    let before = wallet.contents.clone();
    replace(wallet, index, fresh, session.now());
    let saved = wallet.save().inspect_err(|_| wallet.contents = before);
    saved.map_err(|failure| failure.with_safety(Safety::Issuer))?;
    // The copies are stored; a lost notification makes no difference for the owner.
    let _ = issuer.notify(None, &notification, Notification::Accepted).await;
    Ok(Renewed::Stored(changed))
}

/// Checks that a renewed credential ends later than before, and returns the changed claims.
pub(crate) fn longer(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Failure> {
    if format_of(held) != format_of(renewed) || held.valid_until >= renewed.valid_until {
        let message = Sentence::id("error-renewal-not-longer");
        return Err(Failure::new("renewal_not_longer", message, Sentence::id("hint-holds-ask")));
    }
    changed(held, renewed).map_err(|problem| damaged(&problem))
}

/// Returns the names of the changed claims.
fn changed(held: &HeldCredential, renewed: &HeldCredential) -> Result<Vec<String>, Problem> {
    let claims = |of: &HeldCredential| -> Result<Vec<(String, Value)>, Problem> {
        let Some(copy) = of.copies.iter().find(|copy| copy.is_kept()) else { return Ok(Vec::new()) };
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

/// Replaces a credential with the renewed one, and logs it.
pub(crate) fn replace(wallet: &mut WalletFile, index: usize, renewed: HeldCredential, now: Timestamp) {
    let contents = &mut wallet.contents;
    let Some(held) = contents.credentials.get_mut(index) else { return };
    let low_water = draw_low_water(renewed.copies.len());
    held.replace(renewed, low_water);
    contents.log.push(Entry {
        party_name: held.issuer_name.clone(),
        parts: vec![ShownPart::named(&held.id, &held.type_name)],
        ..Entry::new(now, EntryKind::Received, &held.issuer)
    });
}

fn unheld(problem: Problem) -> Failure {
    Failure::from_problem(&problem, Sentence::id("error-copies-refused"), Sentence::id("hint-holds-tell-name"))
}

#[cfg(test)]
mod tests;
