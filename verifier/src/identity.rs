//! Identity of the verifier: DID, name and keys.

use std::sync::Arc;

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidMethod, Resolve, SelfContainedResolver},
    keys::Signer as _,
};
use carnet_service::keys::Keyring;

use crate::{error::Error, tasks::spawn_cpu};

/// Identity of this verifier: DID, name and keys.
pub(crate) struct OwnIdentity {
    pub(crate) did: Did,
    /// DID URL of the active signing key.
    pub(crate) kid: String,
    /// Name displayed to holders.
    pub(crate) name: String,
    /// Keyring, whose active key signs.
    pub(crate) keyring: Keyring,
}

impl OwnIdentity {
    /// Runs a signing operation: on a separate thread if the key is not in memory, since a PKCS#11 token is slow and may
    /// not respond.
    ///
    /// # Errors
    /// [`Error::Internal`]: the thread panicked.
    pub(crate) async fn run_signing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        if self.keyring.signs_in_memory() {
            return Ok(work(self));
        }
        let identity = Arc::clone(self);
        spawn_cpu(move || work(&identity)).await
    }

    /// Creates the identity from a DID and its keys. `None` if the DID is the did:jwk or did:key of another key, or has
    /// a method that wallets cannot resolve.
    pub(crate) fn new(did: Did, name: String, key: Keyring) -> Option<Self> {
        let public = key.public_key();
        let kid = if did.method() == DidMethod::Web {
            format!("{did}#{}", key.active_fragment())
        } else if [Did::did_jwk(&public), Did::did_key(&public)].contains(&did) {
            SelfContainedResolver.resolve(&did).ok()?.method_of(&public)?.to_owned()
        } else {
            return None;
        };
        Some(Self { did, kid, name, keyring: key })
    }

    /// Returns the full client identifier of signed requests (OpenID4VP 1.0 section 5.9.3), which is also the audience
    /// of the responses.
    pub(crate) fn client_id(&self) -> String {
        format!("decentralized_identifier:{}", self.did)
    }

    /// Returns a resolver that knows only this verifier's DID.
    ///
    /// # Errors
    /// The DID document would be invalid.
    pub(crate) fn own_resolver(&self) -> Result<OwnDocumentResolver, Problem> {
        let document = if self.did.has_published_document() {
            // Receipts with a retired key are still valid; those with a compromised one may be forged.
            Arc::new(self.keyring.own_document(&self.did)?)
        } else {
            SelfContainedResolver.resolve(&self.did)?
        };
        Ok(OwnDocumentResolver { did: self.did.clone(), document })
    }
}

/// Resolver that knows only this verifier's own DID document.
pub(crate) struct OwnDocumentResolver {
    did: Did,
    document: Arc<DidDocument>,
}

impl Resolve for OwnDocumentResolver {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if *did == self.did { Ok(Arc::clone(&self.document)) } else { Err(Code::DidUnresolved.into()) }
    }
}
