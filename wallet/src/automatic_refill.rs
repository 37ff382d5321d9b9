//! Automatic refill and replacement: new copies for credentials with few unused ones, for copies that the public status
//! lists make linkable, and for those whose handles the issuer does not know.
//!
//! After a suspension, archived lists show which indices belong to one credential. So the wallet requests copies with
//! new indices, together with freshness statements and never because of a presentation.

use std::{collections::BTreeMap, time::Duration};

use carnet_core::{Code, time::Timestamp};

use crate::{
    failure::{Failure, FailureReason},
    freshness::{
        CopyHandle, CopyPosition, FreshnessSummary, IssuerService, copies_to_refresh, refresh_issuer,
        refresh_new_copies,
    },
    ports::{Clock as _, Notice, Ports},
    reissue::{Reissue, predates_serials, reissue, unrefillable_reason},
    store::{
        HeldCredential, Wallet, WalletContents, WalletStore,
        cached_status::{CachedStatus, CopyState},
    },
};

/// Maximum delay of another command by the automatic refill of one credential.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refills every refillable credential that has few unused copies or copies that need replacement, except vouchers
/// without serials; then requests freshness statements for the new copies. The holder is notified of each refill and of
/// each failure; nothing is returned.
pub async fn refill_if_low(ports: &impl Ports, wallet: &mut Wallet<impl WalletStore>) {
    let low = credentials_to_refill(&wallet.contents, false, ports.now()).chosen;
    if low.is_empty() {
        return;
    }
    let Ok(catalogue) = ports.catalogue() else { return };
    for index in low {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let held = wallet.contents.credentials.get(index).zip(catalogue.credential_type(&name));
        if held.is_some_and(|(held, known)| predates_serials(held, known)) {
            continue;
        }
        let (catalogue, type_name) = (&catalogue, name.as_str());
        // A timeout leaves the wallet unchanged: nothing is stored before the copies are.
        let refilled =
            ports.clock().with_timeout(PATIENCE, reissue(ports, catalogue, wallet, index, Reissue::Refill)).await;
        ports.notify(match &refilled {
            Some(Ok(reissued)) => Notice::Refilled { catalogue, type_name, count: reissued.new_copies() },
            Some(Err(failure)) => Notice::NotRefilled { catalogue, type_name, failure: Some(failure) },
            None => Notice::NotRefilled { catalogue, type_name, failure: None },
        });
    }
    refresh_new_copies(ports, wallet).await;
}

/// Requests freshness statements for all copies of one issuer, then replaces those that need it. If copies were
/// replaced, the statements are requested again.
///
/// # Errors
/// The statements cannot be obtained, the catalogue is unreadable, or the wallet cannot be saved. Failed replacements
/// are in the result.
pub async fn refresh_and_replace(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    office: &IssuerService,
    asked: &BTreeMap<CopyHandle, CopyPosition>,
) -> Result<(FreshnessSummary, ReplacementResult), Failure> {
    let said = refresh_issuer(ports, wallet, office, asked).await?;
    let replaced = replace_outdated(ports, wallet, office).await?;
    if replaced.new_copies == 0 {
        return Ok((said, replaced));
    }
    let now = copies_to_refresh(&wallet.contents, ports.now()).remove(office).unwrap_or_default();
    let said = refresh_issuer(ports, wallet, office, &now).await?;
    record_withdrawn(ports, wallet, &replaced)?;
    Ok((said, replaced))
}

/// Credentials that a command refills, and those that it skips.
#[derive(Debug, Default)]
pub struct RefillChoice {
    /// Indices of the credentials to refill.
    pub chosen: Vec<usize>,
    /// Indices of the other credentials, each with the reason why it cannot be refilled.
    pub skipped: Vec<(usize, Failure)>,
}

/// Chooses the credentials to refill: those with few unused copies or with copies that need replacement, or all of them
/// if `all` is `true`.
#[must_use]
pub fn credentials_to_refill(contents: &WalletContents, all: bool, now: Timestamp) -> RefillChoice {
    let mut choice = RefillChoice::default();
    for (index, held) in contents.credentials.iter().enumerate().filter(|(_, held)| all || runs_low(held)) {
        match unrefillable_reason(held, now) {
            Some(reason) => choice.skipped.push((index, reason)),
            None => choice.chosen.push(index),
        }
    }
    choice
}

/// Returns the indices of the credentials that end within 30 days. Some of them may not be renewable.
#[must_use]
pub fn credentials_to_renew(contents: &WalletContents, now: Timestamp) -> Vec<usize> {
    let all = contents.credentials.iter().enumerate();
    all.filter(|(_, held)| held.is_due_for_renewal(now)).map(|(index, _)| index).collect()
}

/// Returns whether a credential has few unused copies, or copies that need replacement.
fn runs_low(held: &HeldCredential) -> bool {
    held.needs_refill() || held.has_outdated_copies()
}

/// Result of replacing the copies of one issuer.
#[derive(Debug, Default)]
pub struct ReplacementResult {
    /// Number of new copies.
    pub new_copies: usize,
    /// First failure, except refusals because the credential is revoked or suspended or because the issuer does not
    /// know the copy.
    pub failure: Option<Failure>,
    /// Credentials that the issuer refused as revoked or suspended: index in the wallet, and state.
    withdrawn: Vec<(usize, CopyState)>,
}

/// Requests new copies of each credential of one issuer that has copies that need replacement, and discards those
/// copies. If a request fails, the old copies are kept. Vouchers without serials get no new copies.
///
/// # Errors
/// The catalogue is unreadable, or the wallet cannot be saved. Failed requests are in the result.
async fn replace_outdated(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    (did, endpoint): &IssuerService,
) -> Result<ReplacementResult, Failure> {
    let now = ports.now();
    let due = |held: &HeldCredential| {
        held.issuer == *did
            && held.endpoint.as_ref() == Some(endpoint)
            && held.has_outdated_copies()
            && unrefillable_reason(held, now).is_none()
    };
    let all = wallet.contents.credentials.iter().enumerate();
    let due: Vec<usize> = all.filter(|(_, held)| due(held)).map(|(index, _)| index).collect();
    let mut replaced = ReplacementResult::default();
    if due.is_empty() {
        return Ok(replaced);
    }
    let catalogue = ports.catalogue()?;
    for index in due {
        let held = wallet.contents.credentials.get(index);
        // Former vouchers get no more copies; their existing ones are valid until their end.
        let is_former = |held: &HeldCredential| {
            catalogue.credential_type(&held.type_name).is_some_and(|known| predates_serials(held, known))
        };
        if held.is_some_and(is_former) {
            continue;
        }
        match reissue(ports, &catalogue, wallet, index, Reissue::Refill).await {
            Ok(reissued) => replaced.new_copies = replaced.new_copies.saturating_add(reissued.new_copies()),
            Err(failure) => {
                match failure.reason {
                    FailureReason::Check(Code::Revoked) => replaced.withdrawn.push((index, CopyState::Revoked)),
                    FailureReason::Check(Code::Suspended) => replaced.withdrawn.push((index, CopyState::Suspended)),
                    // The issuer has none to give; the owner is told the number of unknown copies.
                    FailureReason::CopyUnknown => {}
                    _ => {
                        replaced.failure.get_or_insert(failure);
                    }
                }
            }
        }
    }
    record_withdrawn(ports, wallet, &replaced)?;
    Ok(replaced)
}

/// Marks the copies that need replacement as revoked or suspended, for each credential that the issuer refused for this
/// reason, and saves the wallet. A freshness request does not report this state, since the issuer does not know the
/// handles of these copies.
///
/// # Errors
/// The wallet cannot be saved.
fn record_withdrawn(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    replaced: &ReplacementResult,
) -> Result<(), Failure> {
    if replaced.withdrawn.is_empty() {
        return Ok(());
    }
    for (index, state) in &replaced.withdrawn {
        let held = wallet.contents.credentials.get_mut(*index);
        let copies = held.into_iter().flat_map(|held| &mut held.copies);
        for copy in copies.filter(|copy| copy.needs_replacement()) {
            copy.status = Some(CachedStatus::new(*state, ports.now()));
        }
    }
    wallet.save()
}
