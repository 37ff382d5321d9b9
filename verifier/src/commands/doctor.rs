//! Command `doctor`: checks of the verifier's configuration and publications.

use std::{path::Path, time::Duration};

use carnet_core::{
    Code, Problem,
    did::{Did, DidDocument},
    time::{CLOCK_SKEW, Timestamp},
};
use carnet_fetch::{HttpsFetcher, is_fetch_failure};
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
    issuers::AcceptedIssuers,
    registration,
    server::CheckedConfiguration,
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
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let (fetcher, now) = (create_fetcher(&config.serve)?, time::now());
    let examined = ExaminedService { data: &args.data, did: &did, config: &config.serve, fetcher: &fetcher, now };
    let checked = CheckedConfiguration::of(&config);
    let mut checks = vec![DoctorCheck::configuration(checked.as_ref().map_err(Clone::clone))];
    checks.extend(examined.check_site().await);
    let (store, floor) = check_store(&args.data).await;
    let own_clock = checks.pop().filter(|_| did.has_published_document());
    checks.push(check_clock_floor(&config, own_clock, floor, &fetcher).await);
    checks
        .push(check_registration(&args.data, now).unwrap_or_else(|error| DoctorCheck::from_error(REGISTRATION, error)));
    match checked {
        Ok(checked) => {
            let found = check_issuers(&config, checked, fetcher, now).await;
            checks.extend(found.unwrap_or_else(|error| vec![DoctorCheck::from_error(ISSUERS, error)]));
        }
        Err(_) => checks.extend([ISSUERS, LISTS].map(|name| DoctorCheck::skipped(name, "see the configuration"))),
    }
    checks.push(store);
    Ok(print_report(&checks, args.json))
}

/// Checks the store, and returns the clock floor in it.
async fn check_store(data: &Path) -> (DoctorCheck, Option<Timestamp>) {
    let store = match ground::open_store(data, &MIGRATIONS).await {
        Ok(store) => store,
        Err(error) => return (DoctorCheck::from_error(STORE, error), None),
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
async fn check_clock_floor(
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
        if let Some(server) = doctor::fetch_server_time(&did, fetcher).await {
            return doctor::check_clock(time::now(), Some(server));
        }
    }
    DoctorCheck::skipped(CLOCK, "no site of an accepted issuer sends the time")
}

/// Checks the end of validity of the installed registration.
fn check_registration(data: &Path, now: Timestamp) -> Result<DoctorCheck, StartError> {
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
async fn check_issuers(
    config: &VerifierConfig,
    checked: CheckedConfiguration,
    fetcher: HttpsFetcher,
    now: Timestamp,
) -> Result<Vec<DoctorCheck>, StartError> {
    let unusable = |what: String| StartError::new(what, "Correct the configuration.");
    let CheckedConfiguration { catalogue, accepted, .. } = checked;
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
    let mut faults = Vec::new();
    for did in dids.iter().filter(|did| did.has_published_document()) {
        let document = keys::fetch_published_document(did, &fetcher).await;
        faults.extend(document_fault(did, document.as_deref(), now));
    }
    if !faults.is_empty() {
        faults.push(DoctorCheck::skipped(LISTS, "not every issuer's document can be used"));
        return Ok(faults);
    }
    let mut checks = vec![DoctorCheck::passed(ISSUERS, format!("The documents of all {} can be used.", dids.len()))];
    let issuers = AcceptedIssuers::new(accepted, None, std::collections::BTreeMap::new(), fetcher);
    let verification = VerificationService::new(
        issuers,
        catalogue,
        StatusListCache::new(&config.status),
        i64::from(config.key_binding_max_age),
    )
    .map_err(|problem| unusable(format!("The cryptosuites are refused: {problem}.")))?;
    verification.issuers.refresh(Duration::ZERO).await;
    verification.refresh_status_lists(now).await;
    checks.extend(lists(&verification, &dids));
    Ok(checks)
}

/// Returns the failed check for a published document of an issuer, after it was fetched; `None` if it can be used.
fn document_fault(did: &Did, document: Result<&DidDocument, &Problem>, now: Timestamp) -> Option<DoctorCheck> {
    let detail = match document {
        Err(problem) if is_fetch_failure(problem.code) => {
            let detail = format!("The document of {did} could not be fetched: {}.", problem.detail);
            let advice = "Check the DID and the network; `extra_ca` and `private_hosts` under [serve] are for sites \
                          of your own.";
            return Some(DoctorCheck::failed(ISSUERS, detail, advice).retryable());
        }
        Err(problem) => format!("The document of {did} was fetched and is refused: {problem}."),
        Ok(document) if document.assertion_methods(now).next().is_none() => {
            format!("The document of {did} was fetched and has no key for assertions that can be used.")
        }
        Ok(_) => return None,
    };
    Some(DoctorCheck::failed(ISSUERS, detail, "Ask the issuer: its credentials are refused until it is corrected."))
}

/// Returns a failed check for each issuer whose lists cannot be used; if there is none, a passed one.
fn lists(verification: &VerificationService, dids: &[Did]) -> Vec<DoctorCheck> {
    let snapshot = verification.status_lists.snapshot();
    let (mut count, mut faults) = (0_usize, Vec::new());
    for did in dids {
        match snapshot.list_count(did.as_str()) {
            Ok(lists) => count = count.saturating_add(lists),
            Err(problem) => {
                let detail = format!("Those of {did}: {}.", problem.detail);
                let advice = "Ask the issuer: without its lists, its credentials are refused, or accepted only with \
                              a recent freshness statement.";
                let fault = DoctorCheck::failed(LISTS, detail, advice);
                faults.push(if problem.code == Code::StatusListUnavailable { fault.retryable() } else { fault });
            }
        }
    }
    if faults.is_empty() {
        let detail = format!("{count} of the accepted issuers' lists were read, and are valid now.");
        faults.push(DoctorCheck::passed(LISTS, detail));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_that_is_refused_is_told_from_one_that_did_not_come() {
        let did = Did::parse("did:web:university.example").unwrap();
        let now = time::now();
        let of = |problem: Problem| {
            let check = document_fault(&did, Err(&problem), now).unwrap();
            (format!("{check:?}"), print_report(&[check], true))
        };
        for code in [Code::InvalidJson, Code::DidDocumentInvalid, Code::DidLogWitness, Code::DidDeactivated] {
            let (said, exit) = of(code.into());
            assert!(said.contains("was fetched and is refused") && said.contains("Ask the issuer"), "{said}");
            assert_eq!(exit, 1, "{code}");
        }
        for code in [Code::DidUnresolved, Code::AddressForbidden] {
            let (said, exit) = of(code.into());
            assert!(said.contains("could not be fetched") && !said.contains("Ask the issuer"), "{said}");
            assert_eq!(exit, 3, "{code}");
        }
    }

    #[test]
    fn a_document_without_a_key_for_assertions_fails() {
        let did = Did::parse("did:web:university.example").unwrap();
        for (assertion, is_usable) in [(json!(["did:web:university.example#key-1"]), true), (json!([]), false)] {
            let document = json!({
                "id": did.as_str(), "assertionMethod": assertion, "authentication": ["did:web:university.example#key-1"],
                "verificationMethod": [{
                    "id": "did:web:university.example#key-1", "type": "Multikey", "controller": did.as_str(),
                    "publicKeyMultibase": "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
                }],
            });
            let document = DidDocument::parse(&did, &document).unwrap();
            let fault = document_fault(&did, Ok(&document), time::now());
            assert_eq!(fault.is_none(), is_usable, "{fault:?}");
        }
    }
}
