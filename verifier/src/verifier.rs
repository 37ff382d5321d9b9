//! The verifier: who it is, what it keeps, and what it verifies with.

use std::{sync::Arc, time::Duration};

use carnet_core::{
    did::{Did, DidMethod},
    keys::Signer as _,
};
use carnet_service::keys::Keyring;
use serde_json::{Map, Value};

use crate::{
    error::Error,
    store::Store,
    verification::{Verification, blocking},
    watch::Hub,
};

/// How often what has expired is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Who asks.
pub(crate) struct Identity {
    pub(crate) did: Did,
    /// The DID URL of the key.
    pub(crate) kid: String,
    /// What holders are shown.
    pub(crate) name: String,
    /// It signs with the active one.
    pub(crate) key: Keyring,
}

impl Identity {
    /// Runs what signs off the threads that serve calls: a key in a token takes its time, and may not answer at all.
    ///
    /// # Errors
    /// Internal: it was broken off.
    pub(crate) async fn signing<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let identity = Arc::clone(self);
        blocking(move || work(&identity)).await
    }

    /// Joins a DID and its keys. `None` if the DID is a did:jwk or did:key of another key, or of a method that a
    /// wallet could not resolve.
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

    /// The full client id: also the audience of every answer (OpenID4VP 1.0 section 5.9.3).
    pub(crate) fn client_id(&self) -> String {
        format!("decentralized_identifier:{}", self.did)
    }
}

/// What the configuration says.
pub(crate) struct Settings {
    /// Under which wallets reach the service; no slash at the end.
    pub(crate) public_url: String,
    /// How long a request may be answered, in seconds.
    pub(crate) request_ttl: u32,
    /// How long the verdict on a query of one's own is kept, in days; templates say it themselves.
    pub(crate) verdict_days: u32,
    /// How many uses of entitlements may be marked between reconciliations; none: without bound, there is one desk.
    pub(crate) offline_uses: Option<u32>,
}

/// The domain, shared by all calls.
pub(crate) struct Verifier<S> {
    pub(crate) identity: Arc<Identity>,
    pub(crate) settings: Settings,
    /// The registration that goes with every request (spec/registration.md); none if there is none.
    pub(crate) registration: Option<Map<String, Value>>,
    pub(crate) verification: Arc<Verification>,
    pub(crate) store: S,
    pub(crate) hub: Hub,
}

impl<S: Store> Verifier<S> {
    /// Sweeps once.
    pub(crate) async fn sweep(&self, now: carnet_core::time::Timestamp) -> Result<(), Error> {
        for id in self.store.sweep(now).await? {
            self.hub.publish(&id, None);
        }
        self.store.settle().await;
        Ok(())
    }

    /// Sweeps what has expired, for as long as the service runs.
    pub(crate) async fn keep_sweeping(self: Arc<Self>) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep(carnet_service::time::now()).await {
                tracing::warn!(%error, "what has expired could not be swept; it is tried again");
            }
        }
    }

    /// Looks at the trust list's source, and then fetches the issuers' documents: all that are missing or older than
    /// `max_age`.
    pub(crate) async fn refresh(&self, max_age: Duration) {
        let issuers = &self.verification.issuers;
        issuers.refresh_trust(&self.store, max_age, carnet_service::time::now()).await;
        if issuers.refresh(max_age).await {
            self.verification.heed_new_documents(carnet_service::time::now());
        }
    }

    /// Keeps the status lists fresh, for as long as the service runs.
    pub(crate) async fn keep_statuses(self: Arc<Self>) {
        loop {
            self.verification.statuses.pause().await;
            self.verification.refresh_statuses(carnet_service::time::now()).await;
            if let Err(error) = self.keep_clock_floor().await {
                tracing::warn!(%error, "the floor of the clock could not be stored; it is tried again");
            }
        }
    }

    /// Keeps the trust list and the issuers' documents fresh, for as long as the service runs.
    pub(crate) async fn keep_refreshing(self: Arc<Self>) {
        let mut every = tokio::time::interval(crate::issuers::LOOK_EVERY);
        loop {
            every.tick().await;
            self.refresh(crate::issuers::OLD_AFTER).await;
        }
    }
}
