//! Replacement of copies that public status lists have marked, and of those whose handles the issuer does not know.
//!
//! After a suspension, an archive of the lists shows which indices belong to one credential. The wallet requests copies
//! with other indices together with freshness statements, and so never because of a presentation.

use std::time::Duration;

use carnet_core::time::Timestamp;

use crate::{
    failure::Failure,
    freshness::{IssuerService, confirm_new},
    ports::{Notice, Ports},
    reissue::{Reissue, is_former_voucher, reissue, unrefillable},
    store::{
        HeldCredential, Wallet, WalletStore,
        standing::{Standing, State},
    },
};

/// Maximum delay of another command by an automatic refill.
const PATIENCE: Duration = Duration::from_secs(10);

/// Refills every credential that runs low. It never fails: a failure becomes a note.
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
    confirm_new(ports, wallet).await;
}

/// Returns the refillable credentials that run low.
fn low(wallet: &Wallet<impl WalletStore>, now: Timestamp) -> Vec<usize> {
    let all = wallet.contents.credentials.iter().enumerate();
    let low = |held: &HeldCredential| held.is_low() || held.has_outdated_copies();
    all.filter(|(_, held)| low(held) && unrefillable(held, now).is_none()).map(|(index, _)| index).collect()
}

/// Result for the credentials of one issuer.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Number of new copies.
    pub copies: usize,
    /// First failure.
    pub failure: Option<Failure>,
    /// Revoked or suspended credentials by index: the issuer said so when it refused new copies.
    withdrawn: Vec<(usize, State)>,
}

/// Requests new copies of each credential with outdated ones, and discards those. If none arrive, the old copies remain
/// for the next attempt.
pub async fn replace_outdated(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    (did, endpoint): &IssuerService,
) -> Result<Replaced, Failure> {
    let now = ports.now();
    let due = |held: &HeldCredential| {
        held.issuer == *did
            && held.endpoint.as_ref() == Some(endpoint)
            && held.has_outdated_copies()
            && unrefillable(held, now).is_none()
    };
    let all = wallet.contents.credentials.iter().enumerate();
    let due: Vec<usize> = all.filter(|(_, held)| due(held)).map(|(index, _)| index).collect();
    let mut replaced = Replaced::default();
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
                    "revoked" => replaced.withdrawn.push((index, State::Revoked)),
                    "suspended" => replaced.withdrawn.push((index, State::Suspended)),
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

/// Records credentials that the issuer revoked while it does not know their handles. A request by handle alone does not
/// say so.
pub fn note_withdrawn(
    ports: &impl Ports,
    wallet: &mut Wallet<impl WalletStore>,
    replaced: &Replaced,
) -> Result<(), Failure> {
    if replaced.withdrawn.is_empty() {
        return Ok(());
    }
    for (index, state) in &replaced.withdrawn {
        let held = wallet.contents.credentials.get_mut(*index);
        let copies = held.into_iter().flat_map(|held| &mut held.copies);
        for copy in copies.filter(|copy| copy.is_outdated()) {
            copy.standing = Some(Standing::of(*state, ports.now()));
        }
    }
    wallet.save()
}
