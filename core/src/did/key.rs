//! did:key: the DID contains the key as a Multikey, which is also the fragment of its only verification method.

use super::{Did, DidDocument, malformed};
use crate::{Code, Problem, keys::PublicKey};

/// Derives the document of a did:key.
///
/// # Errors
/// `did_malformed` if it is not base58btc multibase; `key_invalid`, `private_key_exposed`.
pub(super) fn document(did: &Did) -> Result<DidDocument, Problem> {
    let multikey = did.id();
    let key = PublicKey::from_multikey(multikey).map_err(|problem| match problem.code {
        Code::InvalidEncoding => malformed("a did:key is not base58btc multibase"),
        _ => problem,
    })?;
    Ok(DidDocument::of_one_key(did, multikey, key))
}
