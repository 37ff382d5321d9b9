//! Command `doctor`: checks of the verifier's configuration and publications.

use std::{path::Path, time::Duration};

use carnet_core::{
    did::Did,
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::HttpsFetcher;
use carnet_service::{
    config::{StartError, invalid_field},
    directory::DirectoryArgs,
    doctor::{self, DoctorCheck, ExaminedService, print_report},
    fetcher::create_fetcher,
    keys, store as ground, time,
};
use serde_json::Value;

use super::StaffFailure;
use crate::{
    clock::stored_floor,
    config::VerifierConfig,
    issuers::Issuers,
    registration,
    sqlite::{MIGRATIONS, SqliteStore},
    status::StatusListCache,
    verification::VerificationService,
};

const ISSUERS: &str = "issuers";
const LISTS: &str = "lists";
const REGISTRATION: &str = "registration";
const STORE: &str = "store";
const CLOCK: &str = "clock";

pub(super) async fn run(args: &DirectoryArgs) -> Result<u8, StaffFailure> {
    let config = VerifierConfig::load(&args.data, args.config.as_deref())?;
    let did = Did::parse(&config.did)
        .map_err(|problem| config.files.place(invalid_field("did", format!("did is {}: {problem}", config.did))))?;
    let (fetcher, now) = (create_fetcher(&config.serve)?, time::now());
    let examined = ExaminedService { data: &args.data, did: &did, config: &config.serve, fetcher: &fetcher, now };
    let mut checks = examined.site().await;
    let (store, floor) = store(&args.data).await;
    let own_clock = checks.pop().filter(|_| did.is_published());
    checks.push(clock(&config, own_clock, floor, &fetcher).await);
    checks.push(registered(&args.data, now).unwrap_or_else(|error| DoctorCheck::of(REGISTRATION, error)));
    checks.extend(issuers(&config, fetcher, now).await.unwrap_or_else(|error| vec![DoctorCheck::of(ISSUERS, error)]));
    checks.push(store);
    Ok(print_report(&checks, args.json))
}

/// Checks the store, and returns the clock floor in it.
async fn store(data: &Path) -> (DoctorCheck, Option<Timestamp>) {
    let store = match ground::open_store(data, &MIGRATIONS).await {
        Ok(store) => store,
        Err(error) => return (DoctorCheck::of(STORE, error), None),
    };
    let floor = stored_floor(&SqliteStore::new(store.database.clone())).await;
    store.close().await;
    match floor {
        Ok(floor) => {
            (DoctorCheck::passed(STORE, "It is the newest used here, and its schema is current."), Some(floor))
        }
        Err(error) => (DoctorCheck::failed(STORE, format!("It cannot be read: {error}."), "Check the disk."), None),
    }
}

/// Checks this machine's clock against the latest time signed by an issuer, and against a web site: the verifier's own
/// (`own`), or an issuer's.
async fn clock(
    config: &VerifierConfig,
    own: Option<DoctorCheck>,
    floor: Option<Timestamp>,
    fetcher: &HttpsFetcher,
) -> DoctorCheck {
    let now = time::now();
    if let Some(floor) = floor.filter(|floor| now.plus(CLOCK_SKEW) < *floor) {
        return DoctorCheck::failed(
            CLOCK,
            format!(
                "This machine says {now}, and an issuer signed {floor}, which is later. Nothing is verified until that."
            ),
            "Set the clock. If it is right, stop the service and run `carnet-verifier clock --lower`.",
        );
    }
    if let Some(own) = own {
        return own;
    }
    for did in config.issuers.iter().filter_map(|entry| Did::parse(&entry.did).ok()) {
        if let Some(server) = doctor::server_time(&did, fetcher).await {
            return doctor::check_clock(time::now(), Some(server));
        }
    }
    DoctorCheck::skipped(CLOCK, "no site of an accepted issuer sends the time")
}

/// Checks the end of validity of the installed registration.
fn registered(data: &Path, now: Timestamp) -> Result<DoctorCheck, StartError> {
    let advice = "Create a request with `carnet-verifier registration request`, have a registrar sign it, and \
                  install the result.";
    let Some(registration) = registration::installed_registration(data)? else {
        return Ok(DoctorCheck::skipped(REGISTRATION, "there is none, so wallets warn their owners about each claim"));
    };
    let until = registration.get("validUntil").and_then(Value::as_str).and_then(|until| Timestamp::parse(until).ok());
    Ok(match until {
        Some(until) if until <= now => DoctorCheck::failed(REGISTRATION, format!("It expired at {until}."), advice),
        Some(until) => DoctorCheck::passed(REGISTRATION, format!("It is valid until {until}.")),
        None => DoctorCheck::failed(REGISTRATION, "It has no end date.", advice),
    })
}

/// Fetches and checks the documents of the issuers in the configuration, and their status lists, as the service does.
async fn issuers(
    config: &VerifierConfig,
    fetcher: HttpsFetcher,
    now: Timestamp,
) -> Result<Vec<DoctorCheck>, StartError> {
    let unusable = |what: String| StartError::new(what, "Correct the configuration.");
    let catalogue = config.catalogue()?;
    let accepted = config.accepted(&catalogue)?;
    if accepted.is_empty() {
        let check = if config.trust.is_some() {
            DoctorCheck::skipped(ISSUERS, "a trust list names them: see `carnet-verifier trust`")
        } else {
            DoctorCheck::failed(
                ISSUERS,
                "None is accepted.",
                "Add one under [[issuers]] in config.toml, or a trust list under [trust].",
            )
        };
        return Ok(vec![check, DoctorCheck::skipped(LISTS, "no issuer is named in the configuration")]);
    }
    let dids: Vec<Did> = accepted.keys().cloned().collect();
    for did in dids.iter().filter(|did| did.is_published()) {
        if let Err(problem) = keys::fetch_published_document(did, &fetcher).await {
            let detail = format!("The document of {did} cannot be used: {}.", problem.detail);
            let advice = "Check the DID and the network; `extra_ca` and `private_hosts` under [serve] are for sites of your own. Ask the issuer.";
            let lists = DoctorCheck::skipped(LISTS, "not every issuer's document can be used");
            return Ok(vec![DoctorCheck::failed(ISSUERS, detail, advice).retryable(), lists]);
        }
    }
    let mut checks = vec![DoctorCheck::passed(ISSUERS, format!("The documents of all {} can be used.", dids.len()))];
    let issuers = Issuers::new(accepted, None, std::collections::BTreeMap::new(), fetcher);
    let verification = VerificationService::new(
        issuers,
        catalogue,
        StatusListCache::new(&config.status),
        i64::from(config.key_binding_max_age),
    )
    .map_err(|problem| unusable(format!("The cryptosuites are refused: {problem}.")))?;
    verification.issuers.refresh(Duration::ZERO).await;
    verification.refresh_statuses(now).await;
    checks.push(lists(&verification, &dids));
    Ok(checks)
}

fn lists(verification: &VerificationService, dids: &[Did]) -> DoctorCheck {
    let snapshot = verification.statuses.snapshot();
    let mut count = 0_usize;
    for did in dids {
        match snapshot.list_count(did.as_str()) {
            Ok(lists) => count = count.saturating_add(lists),
            Err(problem) => {
                let detail = format!("Those of {did}: {}.", problem.detail);
                let advice = "Ask the issuer: without its lists, its credentials are refused, or accepted only with \
                              a recent freshness statement.";
                return DoctorCheck::failed(LISTS, detail, advice).retryable();
            }
        }
    }
    DoctorCheck::passed(LISTS, format!("{count} of the accepted issuers' lists were read, and are valid now."))
}
