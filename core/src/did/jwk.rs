//! did:jwk: the DID contains the public JWK in base64url; its only verification method is `#0`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Did, DidDocument, malformed};
use crate::{
    Problem,
    json::{self, Limits},
    keys::PublicKey,
};

/// Derives the document of a did:jwk.
///
/// # Errors
/// `did_malformed` if it is not base64url; those of parsing the JSON and of [`PublicKey::from_jwk`].
pub(super) fn document(did: &Did) -> Result<DidDocument, Problem> {
    let text = URL_SAFE_NO_PAD.decode(did.id()).map_err(|_| malformed("a did:jwk is not base64url"))?;
    let jwk = json::parse(&text, Limits::SMALL)?;
    Ok(DidDocument::of_one_key(did, "0", PublicKey::from_jwk(&jwk)?))
}
