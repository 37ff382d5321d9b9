//! did:key: the DID contains the key as a Multikey, which is also the fragment of its only verification method.

use super::{Did, DidDocument, DidDriver, malformed};
use crate::{Code, Problem, keys::PublicKey};

/// Driver of did:key.
#[derive(Debug, Clone, Copy)]
pub struct DidKey;

impl DidDriver for DidKey {
    fn name(&self) -> &'static str {
        "key"
    }

    fn derive(&self, did: &Did) -> Option<Result<DidDocument, Problem>> {
        Some(document(did))
    }
}

fn document(did: &Did) -> Result<DidDocument, Problem> {
    let multikey = did.method_specific_id();
    let key = PublicKey::from_multikey(multikey).map_err(|problem| match problem.code {
        Code::InvalidEncoding => malformed("a did:key is not base58btc multibase"),
        _ => problem,
    })?;
    Ok(DidDocument::from_single_key(did, multikey, key))
}
