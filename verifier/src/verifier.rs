//! Verifier: its identity, its settings and its store, and what it does in the background.

use std::{sync::Arc, time::Duration};

use carnet_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::{
    clock, error::Error, identity::Identity, openid::OpenIdConfig, retention, store::Store, verification::Verification,
    watch::Hub,
};

/// Interval between sweeps of expired data.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Settings from the configuration.
pub(crate) struct Settings {
    /// URL under which wallets reach the service, without a trailing slash.
    pub(crate) public_url: String,
    /// Number of seconds for which a request can be answered.
    pub(crate) request_ttl: u32,
    /// Number of days for which the verdict on a custom query is kept; templates set their own.
    pub(crate) verdict_days: u32,
    /// OpenID4VP wire.
    pub(crate) openid: OpenIdConfig,
    /// Maximum number of uses of vouchers between reconciliations; `None`: unlimited, since there is one desk only.
    pub(crate) offline_uses: Option<u32>,
}

/// The verifier, shared by all calls.
pub(crate) struct Verifier<S> {
    pub(crate) identity: Arc<Identity>,
    pub(crate) settings: Settings,
    /// Registration to include in every request (spec/registration.md), if there is one.
    pub(crate) registration: Option<Map<String, Value>>,
    pub(crate) verification: Arc<Verification>,
    pub(crate) store: S,
    pub(crate) hub: Hub,
}

impl<S: Store> Verifier<S> {
    /// Runs one sweep.
    pub(crate) async fn sweep(&self, now: Timestamp) -> Result<(), Error> {
        for id in retention::sweep(&self.store, now).await? {
            self.hub.publish(&id, None);
        }
        self.store.settle().await;
        Ok(())
    }

    /// Sweeps expired data while the service runs.
    pub(crate) async fn keep_sweeping(self: Arc<Self>) {
        let mut every = tokio::time::interval(SWEEP_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = self.sweep(carnet_service::time::now()).await {
                tracing::warn!(%error, "expired data could not be erased; retrying");
            }
        }
    }

    /// Reads the trust list's source, and then fetches the issuers' documents that are missing or older than `max_age`.
    pub(crate) async fn refresh(&self, max_age: Duration) {
        let issuers = &self.verification.issuers;
        issuers.refresh_trust(&self.store, max_age, carnet_service::time::now()).await;
        if issuers.refresh(max_age).await {
            self.verification.statuses.heed_new_documents(issuers, carnet_service::time::now());
        }
    }

    /// Keeps the status lists fresh while the service runs.
    pub(crate) async fn keep_statuses(self: Arc<Self>) {
        loop {
            self.verification.statuses.pause().await;
            self.verification.refresh_statuses(carnet_service::time::now()).await;
            if let Err(error) = self.keep_clock_floor().await {
                tracing::warn!(%error, "the floor of the clock could not be stored; retrying");
            }
        }
    }

    /// Keeps the trust list and the issuers' documents fresh while the service runs.
    pub(crate) async fn keep_refreshing(self: Arc<Self>) {
        let mut every = tokio::time::interval(crate::issuers::LOOK_EVERY);
        loop {
            every.tick().await;
            self.refresh(crate::issuers::OLD_AFTER).await;
        }
    }

    /// Saves the floor if it rose: a few times a day, since issuers round their times.
    pub(crate) async fn keep_clock_floor(&self) -> Result<(), Error> {
        let memory = &self.verification.clock;
        if let Some(floor) = memory.unsaved() {
            clock::raise_stored_floor(&self.store, floor).await?;
            memory.saved(floor);
        }
        Ok(())
    }
}
