//! Signed statement about the store, in the directory of the published lists.

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidUrl, VerificationRelationship},
    keys::{PublicKey, Signer},
    secure::jose::{self, Jws, KeyRef},
    time::Timestamp,
};
use carnet_service::store::StoreIdentity;
use serde_json::{Value, json};

const TYP: &str = "carnet-publication+jwt";

/// Statement about the store of the published lists, signed in their directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicationStatement {
    /// Id of the store.
    pub(crate) store: String,
    /// Publication number, which increases with each act of staff and each new list, and otherwise at most once a day.
    pub(crate) number: i64,
}

impl PublicationStatement {
    /// Creates the statement for a store's identity.
    pub(crate) fn from_identity(identity: &StoreIdentity) -> Self {
        Self { store: identity.id.clone(), number: identity.publication }
    }

    /// Signs the statement as a JWT, so that nobody else can make this issuer's store appear outdated.
    ///
    /// # Errors
    /// `proof_generation`
    pub(crate) fn sign(&self, kid: &DidUrl, signer: &dyn Signer, now: Timestamp) -> Result<String, Problem> {
        let header = json!({ "typ": TYP, "kid": kid.to_string() });
        let payload =
            json!({ "iss": kid.did().as_str(), "store": self.store, "number": self.number, "iat": now.unix() });
        let (Value::Object(header), Value::Object(payload)) = (header, payload) else {
            return Err(Code::ProofGeneration.into());
        };
        jose::sign(header, &payload, signer)
    }

    /// Verifies a signed statement with the keys of this issuer's own document.
    ///
    /// # Errors
    /// Another type, issuer or key; an invalid signature; a malformed member.
    pub(super) fn verify(text: &str, did: &Did, own: &DidDocument) -> Result<Self, Problem> {
        let jws = Jws::parse(text)?;
        jws.require_typ(TYP)?;
        jws.verify(&own_key(&jws, did, own)?)?;
        let text = |name: &str| jws.payload().get(name).and_then(Value::as_str);
        if text("iss") != Some(did.as_str()) {
            return Err(Code::IssuerMismatch.into());
        }
        let number = jws.payload().get("number").and_then(Value::as_i64).filter(|number| *number >= 0);
        let malformed = || Problem::new(Code::MalformedValue, "it does not name a store and a publication");
        let (store, number) = text("store").zip(number).ok_or_else(malformed)?;
        Ok(Self { store: store.to_owned(), number })
    }
}

/// Returns the key of this issuer that a token's `kid` names. A revoked key is refused, since a thief could stop the
/// service with it.
pub(super) fn own_key(jws: &Jws, did: &Did, own: &DidDocument) -> Result<PublicKey, Problem> {
    let KeyRef::Kid(kid) = jws.key_ref() else { return Err(Code::HeaderKeyUnanchored.into()) };
    let kid = DidUrl::parse(kid)?;
    if kid.did() != did {
        return Err(Code::HeaderKeyUnanchored.into());
    }
    own.key_for(&kid, VerificationRelationship::AssertionMethod)
}
