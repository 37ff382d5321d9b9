//! `doctor`: the issuer as it is set up and as others find it.

use std::sync::Arc;

use carnet_core::did::Did;
use carnet_fetch::HttpsFetcher;
use carnet_service::{
    config::{StartError, refused_field},
    directory::DirectoryArgs,
    doctor::{Check, Examined, report},
    fetcher::fetcher,
    keys,
    store::{self as ground, OpenStore},
    time,
};

use super::Failure;
use crate::{
    config::IssuerConfig,
    sqlite::{MIGRATIONS, SqliteStore},
    status::{Look, PublicationSite, PublicationWatch, StatusLists},
};

const STORE: &str = "store";
const LISTS: &str = "lists";

pub(super) async fn run(args: &DirectoryArgs) -> Result<u8, Failure> {
    let config = IssuerConfig::load(&args.data, args.config.as_deref())?;
    let did = Did::parse(&config.did)
        .map_err(|problem| config.files.place(refused_field("did", format!("did is {}: {problem}", config.did))))?;
    let fetcher = fetcher(&config.serve)?;
    let examined = Examined { data: &args.data, did: &did, config: &config.serve, fetcher: &fetcher, now: time::now() };
    let mut checks = examined.site().await;
    match ground::open(&args.data, &MIGRATIONS).await {
        Ok(store) => {
            checks.push(
                lists(args, &config, &did, fetcher.clone(), &store)
                    .await
                    .unwrap_or_else(|error| Check::of(LISTS, error)),
            );
            checks.push(Check::passed(STORE, "It is the newest used here, and its schema is current."));
            store.close().await;
        }
        Err(error) => {
            checks.push(Check::skipped(LISTS, "the store cannot be used"));
            checks.push(Check::of(STORE, error));
        }
    }
    Ok(report(&checks, args.json))
}

/// Reads the published lists as a verifier does, and holds them to the store.
async fn lists(
    args: &DirectoryArgs,
    config: &IssuerConfig,
    did: &Did,
    fetcher: HttpsFetcher,
    store: &OpenStore,
) -> Result<Check, StartError> {
    let lists = StatusLists::new(&config.status, did).map_err(|error| config.files.place(error))?;
    let Some(base) = lists.base() else {
        return Ok(Check::skipped(LISTS, "no list is published"));
    };
    let own = Arc::new(keys::own_document(&args.data, did)?);
    let site = PublicationSite { base: base.to_owned(), did: did.clone(), own, fetcher };
    let watch = PublicationWatch { site, store: SqliteStore(store.clone()) };
    let advice = format!(
        "Start the service, and have the web server pass every path below {base} on to it, unchanged (docs/going-live.md)."
    );
    let away = |problem: carnet_core::Problem| {
        Check::failed(LISTS, format!("The published lists cannot be read: {}.", problem.detail), &advice).passing()
    };
    let unreached = || {
        Check::failed(LISTS, format!("The web site does not reach the service for {base}/lists."), &advice).passing()
    };
    match watch.look().await? {
        Look::NotNewer => {}
        Look::AsksThisService => return Ok(unreached()),
        Look::Unread(problem) => return Ok(away(problem)),
    }
    let directory = match watch.site.directory().await {
        Ok(Some(directory)) => directory,
        Ok(None) => return Ok(unreached()),
        Err(problem) => return Ok(away(problem)),
    };
    Ok(match watch.site.require_fresh(&directory, time::now()).await {
        Ok(count) => {
            Check::passed(LISTS, format!("{base}/lists names {count} of this store's lists, and each is valid now."))
        }
        Err(fault) => Check::failed(LISTS, format!("{fault}."), advice),
    })
}
