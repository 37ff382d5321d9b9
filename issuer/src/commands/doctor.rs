//! Command `doctor`: checks of the issuer's configuration, store and published documents.

use std::sync::Arc;

use carnet_core::did::Did;
use carnet_fetch::HttpsFetcher;
use carnet_service::{
    config::{StartError, invalid_field},
    directory::DirectoryArgs,
    doctor::{DoctorCheck, ExaminedService, print_report},
    fetcher::create_fetcher,
    keys,
    store::{self as ground, OpenStore},
    time,
};

use super::StaffFailure;
use crate::{
    config::IssuerConfig,
    server::check_against_catalogue,
    sqlite::{MIGRATIONS, SqliteStore},
    status::{PublicationComparison, PublicationSite, PublicationWatch, StatusPublisher},
};

const STORE: &str = "store";
const LISTS: &str = "lists";

pub(super) async fn run(args: &DirectoryArgs) -> Result<u8, StaffFailure> {
    let config = IssuerConfig::load(&args.data, args.config.as_deref())?;
    let did = Did::parse(&config.did)
        .map_err(|problem| config.files.place(invalid_field("did", format!("did is {}: {problem}", config.did))))?;
    let fetcher = create_fetcher(&config.serve)?;
    let examined =
        ExaminedService { data: &args.data, did: &did, config: &config.serve, fetcher: &fetcher, now: time::now() };
    let status = || StatusPublisher::new(&config.status, &did).map_err(|error| config.files.place(error));
    let checked = check_against_catalogue(&config).and_then(|_| status());
    let mut checks = vec![DoctorCheck::configuration(checked)];
    checks.extend(examined.site().await);
    match ground::open_store(&args.data, &MIGRATIONS).await {
        Ok(store) => {
            checks.push(
                lists(args, &config, &did, fetcher.clone(), &store)
                    .await
                    .unwrap_or_else(|error| DoctorCheck::of(LISTS, error)),
            );
            checks.push(DoctorCheck::passed(STORE, "It is the newest used here, and its schema is current."));
            store.close().await;
        }
        Err(error) => {
            checks.push(DoctorCheck::skipped(LISTS, "the store cannot be used"));
            checks.push(DoctorCheck::of(STORE, error));
        }
    }
    Ok(print_report(&checks, args.json))
}

/// Checks that the published lists are not newer than the store, and are valid for verifiers now.
///
/// # Errors
/// The configuration, the keys or the store cannot be read; the publication is newer than the store.
async fn lists(
    args: &DirectoryArgs,
    config: &IssuerConfig,
    did: &Did,
    fetcher: HttpsFetcher,
    store: &OpenStore,
) -> Result<DoctorCheck, StartError> {
    let lists = StatusPublisher::new(&config.status, did).map_err(|error| config.files.place(error))?;
    let Some(base) = lists.base() else {
        return Ok(DoctorCheck::skipped(LISTS, "no list is published"));
    };
    let own = Arc::new(keys::own_document(&args.data, did)?);
    let site = PublicationSite { base: base.to_owned(), did: did.clone(), own, fetcher };
    let watch = PublicationWatch { site, store: SqliteStore(store.clone()) };
    let advice = format!(
        "Start the service, and have the web server pass every path below {base} on to it, unchanged (docs/going-live.md)."
    );
    let away = |problem: carnet_core::Problem| {
        DoctorCheck::failed(LISTS, format!("The published lists cannot be read: {}.", problem.detail), &advice)
            .retryable()
    };
    let unreached = || {
        DoctorCheck::failed(LISTS, format!("The web site does not reach the service for {base}/lists."), &advice)
            .retryable()
    };
    match watch.look().await? {
        PublicationComparison::NotNewer => {}
        PublicationComparison::AsksThisService => return Ok(unreached()),
        PublicationComparison::Unread(problem) => return Ok(away(problem)),
    }
    let directory = match watch.site.directory().await {
        Ok(Some(directory)) => directory,
        Ok(None) => return Ok(unreached()),
        Err(problem) => return Ok(away(problem)),
    };
    Ok(match watch.site.require_fresh(&directory, time::now()).await {
        Ok(count) => DoctorCheck::passed(
            LISTS,
            format!("{base}/lists names {count} of this store's lists, and each is valid now."),
        ),
        Err(fault) => DoctorCheck::failed(LISTS, format!("{fault}."), advice),
    })
}
