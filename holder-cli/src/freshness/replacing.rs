//! New copies in the place of those that public lists have marked, and of those that an issuer does not know by their handles.
//!
//! After a suspension is lifted, whoever archives the lists knows which indices are of one credential. Copies on other indices
//! are asked for when freshness is, and so never on account of a presentation.

use super::Office;
use crate::{
    failure::Failure,
    refill::{is_former_voucher, refill, unrefillable},
    session::Session,
    wallet::{
        HeldCredential, WalletFile,
        standing::{Standing, State},
    },
};

/// What came of it for the documents of one issuer.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Number of new copies that came.
    pub(crate) copies: usize,
    /// The first reason for which some did not.
    pub(crate) failure: Option<Failure>,
    /// Documents that the issuer took back, by their index: it said so when it refused new copies.
    withdrawn: Vec<(usize, State)>,
}

/// Gets new copies of every document of an issuer with outdated ones, and discards those. Where none come, the old ones stay for the
/// next time.
pub(crate) async fn replace_outdated(
    session: &Session,
    wallet: &mut WalletFile,
    (did, endpoint): &Office,
) -> Result<Replaced, Failure> {
    let now = session.now();
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
    let catalogue = session.catalogue()?;
    for index in due {
        let held = wallet.contents.credentials.get(index);
        // Copies of such a one are made no more; those it has hold until its end.
        let is_former = |held: &HeldCredential| {
            catalogue.credential_type(&held.type_name).is_some_and(|known| is_former_voucher(held, known))
        };
        if held.is_some_and(is_former) {
            continue;
        }
        match refill(session, &catalogue, wallet, index).await {
            Ok(added) => replaced.copies = replaced.copies.saturating_add(added),
            Err(failure) => {
                match failure.reason.as_str() {
                    "revoked" => replaced.withdrawn.push((index, State::Revoked)),
                    "suspended" => replaced.withdrawn.push((index, State::Suspended)),
                    // It has none to give: the owner is told how many it does not know.
                    "copy_unknown" => {}
                    _ => {
                        replaced.failure.get_or_insert(failure);
                    }
                }
            }
        }
    }
    note_withdrawn(session, wallet, &replaced)?;
    Ok(replaced)
}

/// Notes that an issuer took documents back whose copies it does not know by their handles. Asked by these alone, it does not say so.
pub(crate) fn note_withdrawn(session: &Session, wallet: &mut WalletFile, replaced: &Replaced) -> Result<(), Failure> {
    if replaced.withdrawn.is_empty() {
        return Ok(());
    }
    for (index, state) in &replaced.withdrawn {
        let held = wallet.contents.credentials.get_mut(*index);
        let copies = held.into_iter().flat_map(|held| &mut held.copies);
        for copy in copies.filter(|copy| copy.is_outdated()) {
            copy.standing = Some(Standing::of(*state, session.now()));
        }
    }
    wallet.save()
}
