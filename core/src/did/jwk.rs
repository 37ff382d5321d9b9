//! did:jwk: the DID contains the public JWK in base64url; its only verification method is `#0`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Did, DidDocument, DidDriver, malformed};
use crate::{
    Problem,
    json::{self, Limits},
    keys::PublicKey,
};

/// Driver of did:jwk.
#[derive(Debug, Clone, Copy)]
pub struct DidJwk;

impl DidDriver for DidJwk {
    fn name(&self) -> &'static str {
        "jwk"
    }

    fn derive(&self, did: &Did) -> Option<Result<DidDocument, Problem>> {
        Some(document(did))
    }
}

fn document(did: &Did) -> Result<DidDocument, Problem> {
    let text = URL_SAFE_NO_PAD.decode(did.method_specific_id()).map_err(|_| malformed("a did:jwk is not base64url"))?;
    let jwk = json::parse(&text, Limits::SMALL)?;
    Ok(DidDocument::from_single_key(did, "0", PublicKey::from_jwk(&jwk)?))
}
