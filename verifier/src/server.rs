//! Command `serve`: starts the service from a data directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use carnet_core::did::{Did, DidMethods};
use carnet_service::{
    config::{StartError, invalid_field},
    fetcher::create_fetcher,
    keys::{self, Keyring, PublicationProblems, PublishedKeysWatch},
    local,
    serve::{self, ServerContent},
    staff::StaffAuthenticator,
    store as ground,
};
use carnet_spec::Catalogue;
use tonic::service::Routes;

use crate::{
    clock,
    config::VerifierConfig,
    grpc, http,
    identity::OwnIdentity,
    issuers::AcceptedIssuers,
    recording::RunningAttempts,
    registration,
    sqlite::{MIGRATIONS, SqliteStore},
    status::StatusListCache,
    store::Store,
    trust::ConfiguredTrustList,
    verification::VerificationService,
    verifier::{Verifier, VerifierSettings},
    watch::WatchHub,
};

/// Maximum time for which the start waits for issuers' documents and status lists; later ones are fetched in the
/// background.
const PREFETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Default port of the service.
const DEFAULT_PORT: u16 = 7402;
/// File with the last accepted entry of each did:webvh log.
const ACCEPTED_LOGS_FILE: &str = "seen-logs.json";

/// Runs the service until SIGTERM or SIGINT, or until the published DID document shows that its keys are outdated.
///
/// # Errors
/// The directory, its keys or store, the configuration or the address is invalid or in use; the keys are outdated.
pub(crate) async fn run_service(
    data: &Path,
    config: Option<&Path>,
    listen: Option<SocketAddr>,
) -> Result<(), StartError> {
    let mut config = VerifierConfig::load(data, config)?;
    if let Some(listen) = listen {
        config.serve.listen = Some(listen);
    }
    local::warn_local_mode(&config.serve);
    let staff = StaffAuthenticator::for_directory(data)?;
    let key = Keyring::open(data, &config.keys)?;
    let (store, _alone) = ground::open_store_for_service(data, &MIGRATIONS).await?;
    let bound = serve::bind(&config.serve, DEFAULT_PORT)?;
    let mut verifier =
        create_verifier(&config, bound.public_url.clone(), key, SqliteStore::new(store.database.clone()))?;
    verifier.registration = registration::installed_registration(data)?;
    if verifier.registration.as_ref().is_some_and(|known| !registration::permits_receipt_key(known, &verifier.identity))
    {
        tracing::warn!(
            kid = verifier.identity.kid,
            "the registration does not name the key that signs receipts: wallets will say so; create a new \
             registration request"
        );
    }
    if verifier.identity.did.has_published_document() {
        keys::require_listed(data, &verifier.identity.did, &verifier.identity.keyring)?;
    }
    let seen = data.join(ACCEPTED_LOGS_FILE);
    verifier.verification.issuers.persist_in(seen.clone()).map_err(|error| {
        StartError::new(
            format!("{} cannot be used: {error}.", seen.display()),
            "Restore it from a backup, or delete it; after that an older log of an issuer's keys may be accepted once.",
        )
        .nothing_started()
    })?;
    let floor = clock::stored_floor(&verifier.store).await.map_err(|error| {
        StartError::new(format!("The store cannot be read: {error}."), "Check the disk, and start again.")
            .nothing_started()
    })?;
    verifier.verification.clock.restore(floor);
    if let Err(error) = verifier.verification.clock.require_not_behind(carnet_service::time::now()) {
        tracing::error!(%error, "nothing is verified until the clock of this machine is set");
    }
    // Started before the published document is first fetched, since this site may serve it.
    let _site = local::serve_site(data, &config.serve, &verifier.identity.did, None).await?;
    let older = PublishedKeysWatch::new(
        data,
        create_fetcher(&config.serve)?,
        &verifier.identity.keyring,
        PublicationProblems::default(),
    )
    .watch_until_register_outdated(verifier.identity.did.clone());
    let verifier = Arc::new(verifier);
    let prefetch = async {
        verifier.refresh_trust_and_documents(Duration::ZERO).await;
        verifier.verification.refresh_status_lists(carnet_service::time::now()).await;
    };
    if tokio::time::timeout(PREFETCH_TIMEOUT, prefetch).await.is_err() {
        tracing::warn!(
            "some issuers' documents or status lists were not fetched in time; fetching continues in the background"
        );
    }
    let listening = bound.listen()?;
    let background = [
        tokio::spawn(store.clone().update_mark_regularly()),
        tokio::spawn(Arc::clone(&verifier).run_data_erasure()),
        tokio::spawn(Arc::clone(&verifier).run_trust_refresh()),
        tokio::spawn(Arc::clone(&verifier).run_status_refresh()),
        tokio::spawn(end_watches_at_stop(Arc::clone(&verifier))),
    ];
    let services = ServerContent {
        names: &grpc::SERVICE_NAMES,
        descriptors: carnet_proto::verifier::v1::DESCRIPTORS,
        routes: routes(Arc::clone(&verifier), staff, config.serve.max_message_bytes),
    };
    let served = tokio::select! {
        served = serve::run_server(listening, &config.serve, services) => served,
        older = older => Err(older),
    };
    for task in background {
        task.abort();
    }
    store.close().await;
    served
}

/// Returns the routes of the gRPC services and of the HTTP endpoints.
fn routes<S: Store>(verifier: Arc<Verifier<S>>, staff: StaffAuthenticator, max_message_bytes: usize) -> Routes {
    let grpc = grpc::routes(Arc::clone(&verifier), staff.clone(), max_message_bytes);
    Routes::from(grpc.into_axum_router().merge(http::router(verifier, staff, max_message_bytes)))
}

/// Parts of a configuration that were checked against the catalogue.
pub(crate) struct CheckedConfiguration {
    pub(crate) catalogue: Catalogue,
    /// Accepted types by issuer.
    pub(crate) accepted: BTreeMap<Did, BTreeSet<String>>,
    pub(crate) trust: Option<ConfiguredTrustList>,
}

impl CheckedConfiguration {
    /// Checks a configuration as `serve` does at its start, without keys, store and network.
    ///
    /// # Errors
    /// The catalogue, the trust list's configuration, or a configured issuer is invalid.
    pub(crate) fn of(config: &VerifierConfig) -> Result<Self, StartError> {
        let catalogue = config.catalogue().map_err(StartError::nothing_started)?;
        let trust = config.trust.as_ref().map(ConfiguredTrustList::new).transpose();
        let trust = trust.map_err(|error| config.files.add_location(error))?;
        let accepted = config.accepted(&catalogue, &DidMethods::standard())?;
        Ok(Self { catalogue, accepted, trust })
    }
}

/// Creates the verifier from configuration, key and store, without a registration.
///
/// # Errors
/// The DID does not belong to this key; the catalogue, the trust list's configuration, or a configured issuer is
/// invalid; the CA certificates cannot be used.
pub(crate) fn create_verifier<S: Store>(
    config: &VerifierConfig,
    public_url: String,
    key: Keyring,
    store: S,
) -> Result<Verifier<S>, StartError> {
    let refused = |what: String| StartError::new(what, "Correct the configuration and start again.").nothing_started();
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let identity = OwnIdentity::new(did, config.name.clone(), key)
        .ok_or_else(|| refused(format!("{} is not a DID of the key in the data directory.", config.did)))?;
    let CheckedConfiguration { catalogue, accepted, trust } = CheckedConfiguration::of(config)?;
    if config.accepts_nobody() {
        tracing::warn!(
            "no issuer and no trust list is configured, so every credential is refused; add [[issuers]] or [trust] to \
             config.toml"
        );
    }
    let limiting = catalogue.types().map(|known| (known.name.clone(), known.limiting_claims.clone())).collect();
    let issuers = AcceptedIssuers::new(accepted, trust, limiting, create_fetcher(&config.serve)?);
    let statuses = StatusListCache::new(&config.status);
    let verification = VerificationService::new(issuers, catalogue, statuses, i64::from(config.key_binding_max_age))
        .map_err(|problem| refused(format!("The cryptosuites are refused: {problem}.")))?;
    Ok(Verifier {
        identity: Arc::new(identity),
        settings: VerifierSettings {
            public_url,
            request_ttl: config.request_ttl,
            verdict_days: config.verdict_days,
            openid: config.openid.clone(),
            offline_uses: config.redemption.as_ref().map(|redemption| redemption.offline_uses),
        },
        verification: Arc::new(verification),
        registration: None,
        store,
        running_attempts: RunningAttempts::default(),
        watch_hub: WatchHub::new(),
    })
}

/// Ends all watches of results at SIGTERM or SIGINT, so that they do not delay the shutdown.
async fn end_watches_at_stop<S: Store>(verifier: Arc<Verifier<S>>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    verifier.watch_hub.end_watches();
}
