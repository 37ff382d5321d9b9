//! Verifier: its identity, configuration and store, and its background tasks.

use std::{sync::Arc, time::Duration};

use carnet_core::time::Timestamp;
use serde_json::{Map, Value};

use crate::{
    clock, error::Error, identity::OwnIdentity, openid::config::OpenIdConfig, recording::RunningAttempts, retention,
    store::Store, verification::VerificationService, watch::WatchHub,
};

/// Interval between erasures of expired data.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Settings of the use cases, from the configuration.
pub(crate) struct VerifierSettings {
    /// Public URL for wallets, without a trailing slash.
    pub(crate) public_url: String,
    /// Time during which a request can be answered, in seconds.
    pub(crate) request_ttl: u32,
    /// Retention period of the result for a custom query, in days; templates define their own.
    pub(crate) verdict_days: u32,
    /// Configuration of the OpenID4VP interface.
    pub(crate) openid: OpenIdConfig,
    /// Maximum number of redeemed uses between reconciliations; `None`: unlimited, since there is only one desk.
    pub(crate) offline_uses: Option<u32>,
}

/// Verifier: its use cases are methods; one value is shared by all calls.
pub(crate) struct Verifier<S> {
    pub(crate) identity: Arc<OwnIdentity>,
    pub(crate) settings: VerifierSettings,
    /// Registration for every request (spec/registration.md), if installed.
    pub(crate) registration: Option<Map<String, Value>>,
    pub(crate) verification: Arc<VerificationService>,
    pub(crate) store: S,
    /// Attempts that are being verified.
    pub(crate) running_attempts: RunningAttempts,
    /// Notifications of clients that watch requests.
    pub(crate) watch_hub: WatchHub,
}

impl<S: Store> Verifier<S> {
    /// Erases expired data once, and notifies the watchers of expired requests.
    pub(crate) async fn erase_expired_data(&self, now: Timestamp) -> Result<(), Error> {
        for id in retention::erase_expired(&self.store, now).await? {
            self.watch_hub.notify(&id, None);
        }
        self.store.purge_log().await;
        Ok(())
    }

    /// Erases expired data every minute, while the service runs. Errors are logged.
    pub(crate) async fn run_data_erasure(self: Arc<Self>) {
        let mut every = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            every.tick().await;
            if let Err(error) = self.erase_expired_data(carnet_service::time::now()).await {
                tracing::warn!(%error, "expired data could not be erased; retrying");
            }
        }
    }

    /// Refreshes the trust list, and then the issuers' documents that are missing or older than `max_age`. If a
    /// document changed, the status lists are checked against it.
    pub(crate) async fn refresh_trust_and_documents(&self, max_age: Duration) {
        let issuers = &self.verification.issuers;
        issuers.refresh_trust(&self.store, max_age, carnet_service::time::now()).await;
        if issuers.refresh(max_age).await {
            self.verification.status_lists.apply_new_documents(issuers, carnet_service::time::now());
        }
    }

    /// Refreshes status lists when they are due, and stores the clock floor, while the service runs.
    pub(crate) async fn run_status_refresh(self: Arc<Self>) {
        loop {
            self.verification.status_lists.wait_until_due().await;
            self.verification.refresh_status_lists(carnet_service::time::now()).await;
            if let Err(error) = self.save_clock_floor().await {
                tracing::warn!(%error, "the floor of the clock could not be stored; retrying");
            }
        }
    }

    /// Refreshes the trust list and the issuers' documents every 30 seconds if they are due, while the service runs.
    pub(crate) async fn run_trust_refresh(self: Arc<Self>) {
        let mut every = tokio::time::interval(crate::issuers::CHECK_INTERVAL);
        loop {
            every.tick().await;
            self.refresh_trust_and_documents(crate::issuers::REFRESH_AGE).await;
        }
    }

    /// Stores the clock floor if it is above the stored one. Issuers round their times, so this happens a few times a
    /// day.
    pub(crate) async fn save_clock_floor(&self) -> Result<(), Error> {
        let memory = &self.verification.clock;
        if let Some(floor) = memory.unsaved_floor() {
            clock::raise_stored_floor(&self.store, floor).await?;
            memory.mark_saved(floor);
        }
        Ok(())
    }
}
