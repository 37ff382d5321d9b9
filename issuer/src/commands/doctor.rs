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

const STORE_CHECK: &str = "store";
const LISTS_CHECK: &str = "lists";

pub(super) async fn run(args: &DirectoryArgs) -> Result<u8, StaffFailure> {
    let config = IssuerConfig::load(&args.data, args.config.as_deref())?;
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let fetcher = create_fetcher(&config.serve)?;
    let examined =
        ExaminedService { data: &args.data, did: &did, config: &config.serve, fetcher: &fetcher, now: time::now() };
    let status = || StatusPublisher::new(&config.status, &did).map_err(|error| config.files.add_location(error));
    let checked = check_against_catalogue(&config).and_then(|_| status());
    let mut checks = vec![DoctorCheck::configuration(checked)];
    checks.extend(examined.check_site().await);
    match ground::open_store(&args.data, &MIGRATIONS).await {
        Ok(store) => {
            checks.push(
                check_published_lists(args, &config, &did, fetcher.clone(), &store)
                    .await
                    .unwrap_or_else(|error| DoctorCheck::from_error(LISTS_CHECK, error)),
            );
            checks.push(DoctorCheck::passed(STORE_CHECK, "It is the newest used here, and its schema is current."));
            store.close().await;
        }
        Err(error) => {
            checks.push(DoctorCheck::skipped(LISTS_CHECK, "the store cannot be used"));
            checks.push(DoctorCheck::from_error(STORE_CHECK, error));
        }
    }
    Ok(print_report(&checks, args.json))
}

/// Checks that the published lists are not newer than the store, and are valid for verifiers now.
///
/// # Errors
/// The configuration, the keys or the store cannot be read; the publication is newer than the store.
async fn check_published_lists(
    args: &DirectoryArgs,
    config: &IssuerConfig,
    did: &Did,
    fetcher: HttpsFetcher,
    store: &OpenStore,
) -> Result<DoctorCheck, StartError> {
    let lists = StatusPublisher::new(&config.status, did).map_err(|error| config.files.add_location(error))?;
    let Some(base) = lists.base_url() else {
        return Ok(DoctorCheck::skipped(LISTS_CHECK, "no list is published"));
    };
    let own = Arc::new(keys::own_document(&args.data, did)?);
    let site = PublicationSite { base_url: base.to_owned(), did: did.clone(), own_document: own, fetcher };
    let watch = PublicationWatch { site, store: SqliteStore(store.clone()) };
    let advice = format!(
        "Start the service, and have the web server pass every path below {base} on to it, unchanged (docs/going-live.md)."
    );
    let away = |problem: carnet_core::Problem| {
        DoctorCheck::failed(LISTS_CHECK, format!("The published lists cannot be read: {}.", problem.detail), &advice)
            .retryable()
    };
    let unreached = || {
        DoctorCheck::failed(LISTS_CHECK, format!("The web site does not reach the service for {base}/lists."), &advice)
            .retryable()
    };
    match watch.compare().await? {
        PublicationComparison::NotNewer => {}
        PublicationComparison::NoCopy => return Ok(unreached()),
        PublicationComparison::Unreadable(problem) => return Ok(away(problem)),
    }
    let directory = match watch.site.fetch_directory().await {
        Ok(Some(directory)) => directory,
        Ok(None) => return Ok(unreached()),
        Err(problem) => return Ok(away(problem)),
    };
    Ok(match watch.site.verify_lists(&directory, time::now()).await {
        Ok(count) => DoctorCheck::passed(
            LISTS_CHECK,
            format!("{base}/lists names {count} of this store's lists, and each is valid now."),
        ),
        Err(fault) => DoctorCheck::failed(LISTS_CHECK, format!("{fault}."), advice),
    })
}
