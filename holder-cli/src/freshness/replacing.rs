//! Replacement of copies that public status lists have marked, and of those whose handles the issuer does not know.
//!
//! After a suspension, an archive of the lists shows which indices belong to one credential. The wallet requests copies
//! with other indices together with freshness statements, and so never because of a presentation.

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

/// Result for the credentials of one issuer.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// Number of new copies.
    pub(crate) copies: usize,
    /// First failure.
    pub(crate) failure: Option<Failure>,
    /// Revoked or suspended credentials by index: the issuer said so when it refused new copies.
    withdrawn: Vec<(usize, State)>,
}

/// Requests new copies of each credential with outdated ones, and discards those. If none arrive, the old copies remain
/// for the next attempt.
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
        // Former vouchers get no more copies; their existing ones are valid until their end.
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
                    // The issuer has none to give; the owner is told the number of unknown copies.
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

/// Records credentials that the issuer revoked while it does not know their handles. A request by handle alone does not
/// say so.
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
