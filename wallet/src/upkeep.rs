//! Automatic refill and replacement: new copies for credentials with few unused ones, for copies that the public status
//! lists make linkable, and for those whose handles the issuer does not know.
//!
//! After a suspension, archived lists show which indices belong to one credential. So the wallet requests copies with
//! new indices, together with freshness statements and never because of a presentation.

use std::time::Duration;

use carnet_core::time::Timestamp;

use crate::{
    failure::Failure,
    freshness::{IssuerService, refresh_new_copies},
    ports::{Notice, Ports},
    reissue::{Reissue, is_former_voucher, reissue, unrefillable},
    store::{
        HeldCredential, Wallet, WalletStore,
        standing::{CachedStatus, CopyState},
    },
};

/// Maximum delay of another command by the automatic refill of one credential.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refills every refillable credential that has few unused copies or copies that need replacement, except vouchers
/// without serials; then requests freshness statements for the new copies. The holder is notified of each refill and of
/// each failure; nothing is returned.
pub async fn refill_if_low(ports: &impl Ports, wallet: &mut Wallet<impl WalletStore>) {
    let low = low(wallet, ports.now());
    if low.is_empty() {
        return;
    }
    let Ok(catalogue) = ports.catalogue() else { return };
    for index in low {
        let name = wallet.contents.credentials.get(index).map(|held| held.type_name.clone()).unwrap_or_default();
        let held = wallet.contents.credentials.get(index).zip(catalogue.credential_type(&name));
        if held.is_some_and(|(held, known)| is_former_voucher(held, known)) {
            continue;
        }
        let (catalogue, type_name) = (&catalogue, name.as_str());
        // A timeout leaves the wallet unchanged: nothing is stored before the copies are.
        let refilled = ports.within(PATIENCE, reissue(ports, catalogue, wallet, index, Reissue::Refill)).await;
        ports.tell(match &refilled {
            Some(Ok(reissued)) => Notice::Refilled { catalogue, type_name, count: reissued.copies() },
            Some(Err(failure)) => Notice::NotRefilled { catalogue, type_name, failure: Some(failure) },
            None => Notice::NotRefilled { catalogue, type_name, failure: None },
        });
    }
    refresh_new_copies(ports, wallet).await;
}

/// Returns the indexes of the refillable credentials that have few unused copies or copies that need replacement.
fn low(wallet: &Wallet<impl WalletStore>, now: Timestamp) -> Vec<usize> {
    let all = wallet.contents.credentials.iter().enumerate();
    let low = |held: &HeldCredential| held.needs_refill() || held.has_outdated_copies();
    all.filter(|(_, held)| low(held) && unrefillable(held, now).is_none()).map(|(index, _)| index).collect()
}

/// Result of replacing the copies of one issuer.
#[derive(Debug, Default)]
pub struct ReplacementResult {
    /// Number of new copies.
    pub copies: usize,
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
pub async fn replace_outdated(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    (did, endpoint): &IssuerService,
) -> Result<ReplacementResult, Failure> {
    let now = ports.now();
    let due = |held: &HeldCredential| {
        held.issuer == *did
            && held.endpoint.as_ref() == Some(endpoint)
            && held.has_outdated_copies()
            && unrefillable(held, now).is_none()
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
            catalogue.credential_type(&held.type_name).is_some_and(|known| is_former_voucher(held, known))
        };
        if held.is_some_and(is_former) {
            continue;
        }
        match reissue(ports, &catalogue, wallet, index, Reissue::Refill).await {
            Ok(reissued) => replaced.copies = replaced.copies.saturating_add(reissued.copies()),
            Err(failure) => {
                match failure.reason.as_str() {
                    "revoked" => replaced.withdrawn.push((index, CopyState::Revoked)),
                    "suspended" => replaced.withdrawn.push((index, CopyState::Suspended)),
                    // The issuer has none to give; the owner is told the number of unknown copies.
                    "copy_unknown" => {}
                    _ => {
                        replaced.failure.get_or_insert(failure);
                    }
                }
            }
        }
    }
    note_withdrawn(ports, wallet, &replaced)?;
    Ok(replaced)
}

/// Marks the copies that need replacement as revoked or suspended, for each credential that the issuer refused for this
/// reason, and saves the wallet. A freshness request does not report this state, since the issuer does not know the
/// handles of these copies.
///
/// # Errors
/// The wallet cannot be saved.
pub fn note_withdrawn(
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
            copy.standing = Some(CachedStatus::of(*state, ports.now()));
        }
    }
    wallet.save()
}
