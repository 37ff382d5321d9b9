//! New copies in the place of those that public lists have marked, and of those that an issuer does not know by their handles.
//!
//! After a suspension is lifted, whoever archives the lists knows which indices are of one credential. Copies on other indices
//! are asked for when freshness is, and so never on account of a presentation.

use super::Office;
use crate::{
    failure::Failure,
    refill::{refill, unrefillable},
    session::Session,
    wallet::{
        HeldCredential, WalletFile,
        standing::{Standing, State},
    },
};

/// What came of it for the documents of one issuer.
#[derive(Debug, Default)]
pub(crate) struct Replaced {
    /// How many new copies came.
    pub(crate) copies: usize,
    /// The first reason for which some did not.
    pub(crate) failure: Option<Failure>,
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
        match refill(session, &catalogue, wallet, index).await {
            Ok(added) => replaced.copies = replaced.copies.saturating_add(added),
            Err(failure) => {
                // An issuer that does not know the copy has none to give: the owner is told how many it does not know.
                let unknown = failure.reason == "copy_unknown";
                if !unknown && !note_withdrawn(wallet, index, &failure, session)? {
                    replaced.failure.get_or_insert(failure);
                }
            }
        }
    }
    Ok(replaced)
}

/// Notes what an issuer says of a document whose copies it does not know by their handles, when it refuses new ones: that it took it
/// back.
fn note_withdrawn(
    wallet: &mut WalletFile,
    index: usize,
    failure: &Failure,
    session: &Session,
) -> Result<bool, Failure> {
    let state = match failure.reason.as_str() {
        "revoked" => State::Revoked,
        "suspended" => State::Suspended,
        _ => return Ok(false),
    };
    if let Some(held) = wallet.contents.credentials.get_mut(index) {
        for copy in held.copies.iter_mut().filter(|copy| copy.is_outdated()) {
            copy.standing = Some(Standing::of(state, session.now()));
        }
    }
    wallet.save()?;
    Ok(true)
}
