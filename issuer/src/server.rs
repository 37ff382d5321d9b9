//! `serve`: from a data directory to a running service.

use std::{path::Path, sync::Arc, time::Duration};

use carnet_core::{did::Did, keys::Signer as _};
use carnet_proto::issuer::v1::{
    issuance_service_server::IssuanceServiceServer, offer_service_server::OfferServiceServer,
};
use carnet_service::{
    config::StartError,
    keys,
    serve::{self, Bound},
    staff::StaffOnly,
    store as ground, time,
};
use carnet_spec::Catalogue;
use tonic::service::{Routes, interceptor::InterceptedService};

use crate::{
    config::IssuerConfig,
    grpc::{issuance::Issuance, offers::Offers},
    issuer::{Issuer, Settings},
    nonces::Nonces,
    secrets::Hash,
    setup::{self, KEY_FRAGMENT},
    store::{SqliteStore, Store, sqlite::MIGRATIONS},
};

/// How often what is past its end is erased.
const SWEEP: Duration = Duration::from_secs(60);
/// The services' full names, for health checks.
const NAMES: [&str; 2] = ["carnet.issuer.v1.IssuanceService", "carnet.issuer.v1.OfferService"];

/// Serves until the process is told to stop.
///
/// # Errors
/// The directory, the configuration or the address is refused.
pub(crate) async fn serve(
    data: &Path,
    config: Option<&Path>,
    listen: Option<std::net::SocketAddr>,
) -> Result<(), StartError> {
    let mut config = IssuerConfig::load(data, config)?;
    if let Some(listen) = listen {
        config.serve.listen = listen;
    }
    let staff = setup::staff_hash(data)?;
    let key = keys::load(data)?;
    check_document(data, &config.did, &key)?;
    let pool = ground::open(data, &MIGRATIONS).await?;
    let bound = serve::bind(&config.serve).await?;
    let issuer = Arc::new(assemble(&config, &bound, key, SqliteStore::new(pool.clone(), config.status.entries))?);
    let sweeper = tokio::spawn(sweep(issuer.clone()));
    let routes = routes(issuer, staff, config.serve.max_message_bytes);
    let served = serve::run(bound, &config.serve, &NAMES, routes).await;
    sweeper.abort();
    pool.close().await;
    served
}

/// Both services; staff calls pass the token's check first.
pub(crate) fn routes<S: Store>(issuer: Arc<Issuer<S>>, staff: Hash, most_bytes: usize) -> Routes {
    let offers = OfferServiceServer::new(Offers(issuer.clone())).max_decoding_message_size(most_bytes);
    let issuance = IssuanceServiceServer::new(Issuance(issuer)).max_decoding_message_size(most_bytes);
    Routes::new(issuance).add_service(InterceptedService::new(offers, StaffOnly::new(staff)))
}

fn assemble<S>(
    config: &IssuerConfig,
    bound: &Bound,
    key: carnet_core::keys::SecretKey,
    store: S,
) -> Result<Issuer<S>, StartError> {
    let refused = |what: String| StartError::new(what, "correct the configuration and start again");
    let did = Did::parse(&config.did).map_err(|problem| refused(format!("did is refused: {problem}")))?;
    let catalogue = match &config.serve.catalogue {
        Some(folder) => Catalogue::load(folder),
        None => Catalogue::embedded(),
    }
    .map_err(|error| refused(format!("the catalogue is refused: {error}")))?;
    if let Some(unknown) = config.types.iter().find(|name| catalogue.credential_type(name).is_none()) {
        return Err(refused(format!("types names {unknown}, which the catalogue does not have")));
    }
    Ok(Issuer {
        store,
        kid: format!("{did}#{KEY_FRAGMENT}"),
        signer: Box::new(key),
        nonces: Nonces::new(),
        did,
        #[cfg(feature = "jsonld")]
        rdfc: crate::jsonld::suite(&catalogue)?,
        catalogue,
        settings: Settings {
            display_name: config.name.clone(),
            max_batch_size: config.max_batch_size,
            offer_ttl: config.offer_ttl(),
            deferred_ttl: config.deferred_ttl(),
            deferred_interval: config.deferred_interval_seconds,
            refill_copies_per_day: config.refill_copies_per_day,
            types: config.types.clone(),
        },
        endpoint: bound.public_url.clone(),
        clock: Arc::new(time::now),
    })
}

/// Refuses to sign with a key that the DID document beside it does not list: nobody could verify what it signs.
fn check_document(data: &Path, did: &str, key: &carnet_core::keys::SecretKey) -> Result<(), StartError> {
    let path = data.join(setup::DOCUMENT_FILE);
    let holds = || -> Option<bool> {
        let text = std::fs::read(&path).ok()?;
        let document = carnet_core::json::parse(&text, carnet_core::json::Limits::DOCUMENT).ok()?;
        let did = Did::parse(did).ok()?;
        let method = carnet_core::did::DidUrl::parse(&format!("{did}#{KEY_FRAGMENT}")).ok()?;
        let document = carnet_core::did::DidDocument::parse(&did, &document).ok()?;
        let listed = document.key_for(&method, carnet_core::did::Purpose::AssertionMethod).ok()?;
        Some(listed == key.public_key())
    };
    if holds() == Some(true) {
        return Ok(());
    }
    Err(StartError::new(
        format!("{} does not list this issuer's key under its DID as #{KEY_FRAGMENT}", path.display()),
        "restore did.json from init, and let `did` in the configuration be the DID that init was given",
    ))
}

/// Erases what is past its end, at the start and from time to time.
async fn sweep<S: Store>(issuer: Arc<Issuer<S>>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        match issuer.store.erase_expired(issuer.now()).await {
            Ok(0) => {}
            Ok(closed) => tracing::info!(closed, "offers past their end were closed and their claims erased"),
            Err(error) => tracing::warn!(%error, "the sweep failed; the next one tries again"),
        }
    }
}
