//! Command `serve`: starts the service from a data directory, and its periodic tasks.

use std::{path::Path, sync::Arc, time::Duration};

use carnet_core::{did::Did, spelling::nearest_name};
use carnet_proto::issuer::v1::{
    issuance_service_server::IssuanceServiceServer, offer_service_server::OfferServiceServer,
    renewal_service_server::RenewalServiceServer, status_list_service_server::StatusListServiceServer,
    status_service_server::StatusServiceServer,
};
use carnet_service::{
    config::{StartError, invalid_field},
    fetcher::create_fetcher,
    keys::{self, Keyring, PublicationProblems, PublishedKeysWatch},
    local,
    serve::{self, BoundAddress, ServerContent},
    staff::StaffAuthenticator,
    store::{self as ground, OpenStore},
    time,
};
use carnet_spec::Catalogue;
use tonic::service::{Routes, interceptor::InterceptedService};

use crate::{
    config::IssuerConfig,
    error::Error,
    grpc::{
        issuance::IssuanceGrpc,
        offers::OfferGrpc,
        renewals::RenewalGrpc,
        status::{StatusGrpc, StatusListGrpc},
    },
    http,
    issuer::{Issuer, IssuerSettings},
    nonces::NonceIssuer,
    policy::renewal,
    sqlite::{MIGRATIONS, SqliteStore},
    status::{self, PublicationWatch, StatusPublisher},
    store::Store,
};

/// Default port of the service, which is also the default of the staff commands.
const DEFAULT_PORT: u16 = 7401;
/// Interval between publications of the status lists: of pending changes, and of lists that are due for a new
/// signature.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between searches for lists whose credentials have all expired.
const RETIRE_INTERVAL: Duration = Duration::from_secs(3_600);
/// Interval between erasures of expired data.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Full names of the gRPC services, for health checks.
const SERVICE_NAMES: [&str; 5] = [
    "carnet.issuer.v1.IssuanceService",
    "carnet.issuer.v1.OfferService",
    "carnet.issuer.v1.RenewalService",
    "carnet.issuer.v1.StatusListService",
    "carnet.issuer.v1.StatusService",
];

/// Runs the service until a termination signal. `config`: file whose fields override those of the data directory;
/// `listen`: address that overrides the configured one.
///
/// # Errors
/// The directory, the configuration, the store, a key or the address cannot be used; the status lists cannot be
/// published; the published documents show that the keys or the store are outdated, also while the service runs.
pub(crate) async fn serve(
    data: &Path,
    config: Option<&Path>,
    listen: Option<std::net::SocketAddr>,
) -> Result<(), StartError> {
    let mut config = IssuerConfig::load(data, config)?;
    if let Some(listen) = listen {
        config.serve.listen = Some(listen);
    }
    local::warn_local_mode(&config.serve);
    let staff = StaffAuthenticator::for_directory(data)?;
    let key = Keyring::open(data, &config.keys)?;
    let (ground, _alone) = ground::open_store_for_service(data, &MIGRATIONS).await?;
    let bound = serve::bind(&config.serve, DEFAULT_PORT)?;
    let faults = PublicationProblems::default();
    let watch = PublishedKeysWatch::new(data, create_fetcher(&config.serve)?, &key, faults.clone());
    let published = PublicationWatch::from_config(&config, &key, &SqliteStore(ground.clone()))
        .map_err(|error| config.files.add_location(error))?;
    let issuer = Arc::new(create_issuer(data, &config, &bound, key, ground.clone(), faults)?);
    // Before the first look at what is published, which it may be that serves it.
    let _site =
        local::serve_site(data, &config.serve, &issuer.did, Some(http::status_lists::router(issuer.clone()))).await?;
    // Before the service listens: a web site that forwards to it would wait for an answer, and the check for the site.
    if let Some(published) = &published {
        published.compare_at_start().await?;
    }
    let listening = bound.listen()?;
    // Before the first call: every copy refers to a published list.
    let unpublished = |error: Error| {
        StartError::new(
            format!("the status lists cannot be published: {error}"),
            "look at the store and the key, and start again; nothing was changed",
        )
    };
    issuer.open_list_if_needed().await.map_err(unpublished)?;
    issuer.record_unique_claims().await.map_err(unpublished)?;
    status::record_messages(&issuer.store, issuer.messages()).await.map_err(|error| match error {
        Error::MessageChanged { .. } => StartError::new(
            error.to_string(),
            "restore it in status.messages, and give new messages numbers after the used ones",
        ),
        other => unpublished(other),
    })?;
    issuer.publish().await.map_err(unpublished)?;
    let older = watch.watch_until_register_outdated(issuer.did.clone());
    let marker = tokio::spawn(ground.clone().update_mark_regularly());
    let sweeper = tokio::spawn(erase_periodically(issuer.clone()));
    let publisher = tokio::spawn(publish_periodically(issuer.clone()));
    let retirer = tokio::spawn(retire_lists_periodically(issuer.clone()));
    let newer = PublicationWatch::watch_if_published(published, issuer.clone());
    let services = ServerContent {
        names: &SERVICE_NAMES,
        descriptors: carnet_proto::issuer::v1::DESCRIPTORS,
        routes: routes(issuer, staff, config.serve.max_message_bytes),
    };
    let served = tokio::select! {
        served = serve::run_server(listening, &config.serve, services) => served,
        older = older => Err(older),
        older = newer => Err(older),
    };
    marker.abort();
    sweeper.abort();
    publisher.abort();
    retirer.abort();
    ground.close().await;
    served
}

/// Returns the routes of the gRPC services, of OpenID4VCI, of the VC-API and of the status lists. Calls of the three
/// staff services and of the VC-API are authenticated first. `most_bytes`: maximum size of a request.
pub(crate) fn routes<S: Store>(issuer: Arc<Issuer<S>>, staff: StaffAuthenticator, most_bytes: usize) -> Routes {
    let offers = OfferServiceServer::new(OfferGrpc(issuer.clone())).max_decoding_message_size(most_bytes);
    let statuses = StatusServiceServer::new(StatusGrpc(issuer.clone())).max_decoding_message_size(most_bytes);
    let renewals = RenewalServiceServer::new(RenewalGrpc(issuer.clone())).max_decoding_message_size(most_bytes);
    let lists = StatusListServiceServer::new(StatusListGrpc(issuer.clone())).max_decoding_message_size(most_bytes);
    let issuance = IssuanceServiceServer::new(IssuanceGrpc(issuer.clone())).max_decoding_message_size(most_bytes);
    let vc_api = http::vc_api::router(issuer.clone(), staff.clone(), most_bytes);
    let grpc = Routes::new(issuance)
        .add_service(lists)
        .add_service(InterceptedService::new(offers, staff.clone()))
        .add_service(InterceptedService::new(renewals, staff.clone()))
        .add_service(InterceptedService::new(statuses, staff));
    let openid = http::openid::router(issuer.clone(), most_bytes);
    Routes::from(grpc.into_axum_router().merge(http::status_lists::router(issuer)).merge(openid).merge(vc_api))
}

/// Creates the issuer from its configuration, after checking the DID, the key, the catalogue and the policies.
fn create_issuer(
    data: &Path,
    config: &IssuerConfig,
    bound: &BoundAddress,
    key: Keyring,
    ground: OpenStore,
    faults: PublicationProblems,
) -> Result<Issuer<SqliteStore>, StartError> {
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    keys::require_listed(data, &did, &key)?;
    let own = key.own_document(&did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let catalogue = check_against_catalogue(config)?;
    Ok(Issuer {
        store: SqliteStore(ground),
        kid: format!("{did}#{}", key.active_fragment()),
        own_document: Arc::new(own),
        signer: Box::new(key),
        nonces: NonceIssuer::new(),
        status_publisher: StatusPublisher::new(&config.status, &did)
            .map_err(|error| config.files.add_location(error))?,
        statement_cache: Arc::default(),
        did,
        suites: crate::suites::supported_suites(&catalogue)?,
        catalogue,
        settings: IssuerSettings {
            display_name: config.name.clone(),
            max_batch_size: config.max_batch_size,
            offer_ttl_seconds: config.offer_ttl_seconds(),
            deferred_ttl_seconds: config.deferred_ttl_seconds(),
            deferred_interval_seconds: config.deferred_interval_seconds,
            refill_copies_per_day: config.refill_copies_per_day,
            refill_copies_in_all: config.refill_copies_in_all,
            list_entries: config.status.entries,
            record_days: config.record_days,
            freshness_seconds: config.freshness_seconds,
            cohort_policy: config.cohorts.clone(),
            renewal_policies: config.renewal.clone(),
            issued_types: config.types.clone(),
        },
        issuer_url: bound.public_url.clone(),
        publication_faults: faults,
        clock: Arc::new(time::now),
    })
}

/// Checks the types and policies of a configuration against its catalogue, and returns the catalogue.
///
/// # Errors
/// The catalogue is invalid; a type is unknown; a policy contradicts the catalogue or another one.
pub(crate) fn check_against_catalogue(config: &IssuerConfig) -> Result<Catalogue, StartError> {
    let refused = |what: String| StartError::new(what, "correct the configuration and start again");
    let catalogue = match &config.serve.catalogue {
        Some(folder) => Catalogue::load(folder),
        None => Catalogue::embedded(),
    }
    .map_err(|error| refused(format!("the catalogue is refused: {error}")))?;
    if let Some(unknown) = config.types.iter().find(|name| catalogue.credential_type(name).is_none()) {
        return Err(config.files.add_location(invalid_field(
            "types",
            format!("types names {unknown}, which the catalogue does not have{}", type_suggestion(unknown, &catalogue)),
        )));
    }
    let fault = || renewal::first_fault(&config.renewal, &config.cohorts, &catalogue);
    if let Some(fault) = config.cohorts.fault(&catalogue).or_else(fault) {
        return Err(config.files.add_location(fault));
    }
    Ok(catalogue)
}

/// Returns a phrase for an error with the type that was probably meant, or with all types of the catalogue if none is
/// similar.
fn type_suggestion(unknown: &str, catalogue: &Catalogue) -> String {
    let known = || catalogue.types().map(|known| known.name.as_str());
    match nearest_name(unknown, known()) {
        Some(name) => format!("; the nearest is {name}"),
        None => format!("; it has {}", known().collect::<Vec<_>>().join(", ")),
    }
}

/// Erases expired data every minute, first at the start.
async fn erase_periodically<S: Store>(issuer: Arc<Issuer<S>>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        match issuer.erase_expired(issuer.now()).await {
            Ok(0) => {}
            Ok(closed) => tracing::info!(closed, "offers past their end were closed and their claims erased"),
            Err(error) => tracing::warn!(%error, "the sweep failed; the next one tries again"),
        }
    }
}

/// Publishes pending changes, and signs lists again before they expire. Failures are logged and retried after ten
/// seconds.
async fn publish_periodically<S: Store>(issuer: Arc<Issuer<S>>) {
    let mut ticks = tokio::time::interval(PUBLISH_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = status::raise_publication_daily(&issuer.store, issuer.now()).await {
            tracing::warn!(%error, "the number of the publication could not be raised; retrying");
        }
        if let Err(error) = issuer.publish().await {
            tracing::error!(%error, "the status lists could not be published; the previous ones remain until their end");
        }
    }
}

/// Unpublishes lists whose credentials have all expired, every hour.
async fn retire_lists_periodically<S: Store>(issuer: Arc<Issuer<S>>) {
    let mut ticks = tokio::time::interval(RETIRE_INTERVAL);
    loop {
        ticks.tick().await;
        if let Err(error) = issuer.retire_lists().await {
            tracing::warn!(%error, "status lists whose credentials have all expired are still published");
        }
    }
}
