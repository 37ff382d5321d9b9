//! Identity of the verifier: its DID, its name and its keys.

use std::sync::Arc;

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument, DidMethod, Resolve, SelfContained},
    keys::Signer as _,
};
use carnet_service::keys::Keyring;

use crate::{error::Error, tasks::spawn_cpu};

/// Identity of the verifier.
pub(crate) struct Identity {
    pub(crate) did: Did,
    /// DID URL of the key.
    pub(crate) kid: String,
    /// Name that holders are shown.
    pub(crate) name: String,
    /// Keys, of which the active one signs.
    pub(crate) key: Keyring,
}

impl Identity {
    /// Runs a signing operation on a thread that serves no calls: a key in a token is slow, and may not respond at all.
    ///
    /// # Errors
    /// Internal: the operation was aborted.
    pub(crate) async fn signing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let identity = Arc::clone(self);
        spawn_cpu(move || work(&identity)).await
    }

    /// Combines a DID and its keys. `None` if the DID is a did:jwk or did:key of another key, or of a method that
    /// wallets cannot resolve.
    pub(crate) fn new(did: Did, name: String, key: Keyring) -> Option<Self> {
        let public = key.public_key();
        let fragment = match did.method() {
            DidMethod::Web => key.name().to_owned(),
            DidMethod::Jwk if did == Did::jwk(&public) => "0".to_owned(),
            DidMethod::Key if did == Did::key(&public) => public.to_multikey(),
            _ => return None,
        };
        let kid = format!("{did}#{fragment}");
        Some(Self { did, kid, name, key })
    }

    /// Returns the full client id, which is the audience of every answer (OpenID4VP 1.0 section 5.9.3).
    pub(crate) fn client_id(&self) -> String {
        format!("decentralized_identifier:{}", self.did)
    }

    /// Returns a resolver for this verifier's own DID only.
    pub(crate) fn resolver(&self) -> Result<OwnDocument, Problem> {
        let document = if self.did.method() == DidMethod::Web {
            // Receipts with a retired key are still valid; those with a compromised one may be forged.
            Arc::new(self.key.own_document(&self.did)?)
        } else {
            SelfContained.resolve(&self.did)?
        };
        Ok(OwnDocument { did: self.did.clone(), document })
    }
}

/// This verifier's own document, which needs no fetch.
pub(crate) struct OwnDocument {
    did: Did,
    document: Arc<DidDocument>,
}

impl Resolve for OwnDocument {
    fn resolve(&self, did: &Did) -> Result<Arc<DidDocument>, Problem> {
        if *did == self.did { Ok(Arc::clone(&self.document)) } else { Err(Code::DidUnresolved.into()) }
    }
}
