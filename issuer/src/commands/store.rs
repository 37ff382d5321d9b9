//! Commands `backup` and `restore`.

use std::{path::Path, sync::Arc};

use carnet_core::{Code, Problem, did::Did};
use carnet_service::{
    config::{StartError, invalid_field},
    fetcher::create_fetcher,
    keys,
    store::{
        StagedStore,
        arguments::{self, BackupArgs, RestoreArgs},
    },
};
use serde_json::json;

use super::{StaffFailure, print_result};
use crate::{
    config::IssuerConfig,
    sqlite::{
        MIGRATIONS,
        restored::{self, RestoreSummary},
    },
    status::{PublicationSite, PublishedDirectory, StatusPublisher},
    store::status::PublishedStates,
};

const LOSS_EXPLANATION: &str = "offers, and copies that were issued after it: they can be looked up and revoked no more. Revocations and suspensions \
    after it, but for those that can be read where they are published. Messages, approvals and renewals after it. Offers that are open in it \
    are closed, since their links may have been used.";

pub(super) async fn back_up(args: &BackupArgs) -> Result<(), StaffFailure> {
    Ok(arguments::run_backup(args).await?)
}

pub(super) async fn restore(args: &RestoreArgs) -> Result<(), StaffFailure> {
    let config = IssuerConfig::load(&args.data, args.config.as_deref())?;
    let staged = StagedStore::stage(&args.data, args.from.as_deref()).await?;
    let site = publication_site(&args.data, &config)?;
    let found = match &site {
        Some(site) => Some(site.fetch_directory().await.and_then(|found| found.ok_or_else(no_copy_problem))),
        None => None,
    };
    // With --accept-loss the operator says that something was lost, whatever shows it.
    let known = outdated_evidence(&staged, found.as_ref())?.or_else(|| args.accept_loss.then(String::new));
    let Some(known) = known else {
        let restored = staged_warnings(&staged, found.as_ref());
        let (value, text) = arguments::format_restored(&staged.install(&MIGRATIONS).await?, false, &restored);
        print_result(args.json, &value, || text);
        return Ok(());
    };
    if !args.accept_loss {
        return Err(arguments::older_store_error(&staged, &known, LOSS_EXPLANATION).into());
    }
    let (states, unread) = match (&site, &found) {
        (Some(site), Some(Ok(directory))) => site.fetch_states(directory).await,
        _ => (Vec::new(), Vec::new()),
    };
    let publication = published_statement(found.as_ref()).map_or(0, |statement| statement.number);
    let mut taken = RestoreSummary::default();
    let restored = staged
        .install_older(&MIGRATIONS, publication, async |tx, now| {
            taken = restored::continue_restored(tx, now, config.status.entries, &states).await?;
            Ok(())
        })
        .await?;
    let more = restore_report(&taken, &states, &unread, found.as_ref());
    let (mut value, text) = arguments::format_restored(&restored, true, &more);
    if let Some(members) = value.as_object_mut() {
        members.insert("offers_closed".to_owned(), json!(taken.closed_offers));
        members.insert(
            "taken_over".to_owned(),
            json!({ "copies": taken.changed_copies, "unknown": taken.unknown_copies }),
        );
        members.insert("lists_read".to_owned(), json!(states.iter().map(|list| list.list).collect::<Vec<_>>()));
        members.insert("lists_not_read".to_owned(), json!(unread));
    }
    print_result(args.json, &value, || text);
    Ok(())
}

/// Returns the problem of a web site that keeps no copy of the lists and forwards to the service, which is stopped.
fn no_copy_problem() -> Problem {
    Problem::new(
        Code::DidUnresolved,
        "the web site answers that it cannot reach the service, which is stopped, and it keeps no copies",
    )
}

/// Returns the web site on which this issuer publishes its lists; `None` if they are not published.
fn publication_site(data: &Path, config: &IssuerConfig) -> Result<Option<PublicationSite>, StartError> {
    let did = Did::parse(&config.did).map_err(|problem| {
        config.files.add_location(invalid_field("did", format!("did is {}: {problem}", config.did)))
    })?;
    let lists = StatusPublisher::new(&config.status, &did)?;
    let Some(base) = lists.base_url() else { return Ok(None) };
    let own = keys::own_document(data, &did)?;
    Ok(Some(PublicationSite {
        base_url: base.to_owned(),
        did,
        own_document: Arc::new(own),
        fetcher: create_fetcher(&config.serve)?,
    }))
}

type FetchedDirectory<'a> = Option<&'a Result<PublishedDirectory, Problem>>;

fn published_statement(found: FetchedDirectory<'_>) -> Option<&crate::status::PublicationStatement> {
    found.and_then(|found| found.as_ref().ok()).and_then(|directory| directory.statement.as_ref())
}

/// Returns evidence that the staged store, which is to be restored, is older than the newest one that was used here or
/// is published; `None` if there is none.
///
/// # Errors
/// The published lists belong to a store that neither the backup nor this directory knows.
fn outdated_evidence(staged: &StagedStore, found: FetchedDirectory<'_>) -> Result<Option<String>, StartError> {
    if let Some(statement) = published_statement(found) {
        if staged.has_mark() && !staged.belongs_to_directory(&statement.store) {
            return Err(StartError::new(
                format!(
                    "The published lists belong to the store {}, which is neither that of this backup nor that of \
                     this directory. Nothing was changed.",
                    statement.store
                ),
                "Find the service that publishes there, and make a backup of its store.",
            ));
        }
        let publication = staged.identity().map_or(0, |identity| identity.publication);
        if !staged.has_id(&statement.store) || publication < statement.number {
            return Ok(Some(format!(
                "publication {} is on the web site, and this store is at {publication}",
                statement.number
            )));
        }
    }
    Ok(staged.lag().map(|behind| format!("number {} was written here", behind.newest)))
}

/// Returns warnings that it could not be checked whether a restored store is the newest; empty if it could.
fn staged_warnings(staged: &StagedStore, found: FetchedDirectory<'_>) -> String {
    let mut text = String::new();
    if !staged.has_mark() {
        text.push_str("There was no store.json, so it is unknown whether this was the newest store.\n");
    }
    if let Some(Err(problem)) = found {
        text.push_str(&format!(
            "The published lists could not be read ({problem}); the running service checks them again.\n"
        ));
    }
    text
}

fn restore_report(
    taken: &RestoreSummary,
    states: &[PublishedStates],
    unread: &[i64],
    found: FetchedDirectory<'_>,
) -> String {
    let mut text =
        format!("Lost: {LOSS_EXPLANATION}\n{} open offers were closed: create new ones.\n", taken.closed_offers);
    match found {
        Some(Ok(_)) => text.push_str(&format!(
            "{} published lists were read: {} copies are revoked or suspended now that were not in this store, {} of which it does not know.\n",
            states.len(),
            taken.changed_copies,
            taken.unknown_copies
        )),
        Some(Err(problem)) => text.push_str(&format!(
            "NOTHING was taken over from the published lists, which could not be read ({problem}). Repeat all later \
             revocations and suspensions from your own records before the service publishes: see \
             docs/a-lost-store.md.\n"
        )),
        None => text.push_str("Nothing is published, so nothing was taken over.\n"),
    }
    if !unread.is_empty() {
        text.push_str(&format!("Lists that could NOT be read, and from which nothing was taken over: {unread:?}.\n"));
    }
    text
}
