//! Command `trust`: displays the trust list in force.

use carnet_core::{
    day,
    json::{self, Limits},
    time::Timestamp,
    trust::list::TrustList,
};
use carnet_service::{config::StartError, directory::DirectoryArgs, store as ground, time};
use serde_json::json;

use clap::Args;

use super::StaffFailure;
use crate::{
    config::VerifierConfig,
    sqlite::{MIGRATIONS, SqliteStore},
    store::{StoreError, TrustListRow},
    trust::stored::{record_accept_once, stored_list},
};

/// Returns the end of validity of a stored timestamp, which was verified before it was stored.
fn timestamp_end(timestamp: &str) -> Option<Timestamp> {
    let document = json::parse_object(timestamp.as_bytes(), Limits::DOCUMENT).ok()?;
    Timestamp::parse(document.get("validUntil")?.as_str()?).ok()
}

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    #[command(flatten)]
    place: DirectoryArgs,
    /// Accept the list with this digest once, even if it is older than the newest accepted one or does not descend from
    /// it: to recover from a wrong list. Get the digest from the operators, and not from the list's site.
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    accept: Option<String>,
}

/// Records the list to be accepted once, if one is given, and returns the stored list.
async fn read_stored_list(
    store: SqliteStore,
    issuer: &str,
    accept: Option<&str>,
) -> Result<Option<TrustListRow>, StoreError> {
    if let Some(digest) = accept {
        record_accept_once(&store, issuer, digest).await?;
    }
    stored_list(&store, issuer).await
}

/// Displays the newest accepted list. Returns 0 if it is valid now, as far as the service knows, and 1 if it is not; an
/// error if there is none.
pub(super) async fn run(TrustArgs { place: args, accept }: TrustArgs) -> Result<u8, StaffFailure> {
    let config = VerifierConfig::load(&args.data, args.config.as_deref())?;
    let Some(trust) = config.trust else {
        let what = "No trust list is configured; issuers are accepted as config.toml names them.";
        return Err(StartError::new(what, "Add [trust] to config.toml, to accept those of a trust list.").into());
    };
    let store = ground::open_store(&args.data, &MIGRATIONS).await?;
    let remembered = read_stored_list(SqliteStore::new(store.database.clone()), &trust.issuer, accept.as_deref()).await;
    store.close().await;
    let damaged = |what: String| StartError::new(what, "Nothing was changed. Restore a backup of the store.");
    let remembered = remembered.map_err(|error| damaged(format!("The store cannot be read: {error}.")))?;
    let Some(TrustListRow { state, document }) = remembered else {
        let what = format!("No list of {} was accepted yet; its source is {}.", trust.issuer, trust.list);
        return Err(StartError::new(what, "Start the service, or see its log for the reason.").into());
    };
    let preview = json::parse_object(document.as_bytes(), Limits::STATUS_LIST)
        .and_then(|document| TrustList::preview(&document))
        .map_err(|problem| damaged(format!("The list in the store is damaged: {problem}.")))?;
    let now = time::now();
    let (from, until) = (preview.valid_from, preview.valid_until);
    let (dropped, accept) = (state.drop_reason, state.accept_once);
    let timestamp = state.timestamp.as_deref().and_then(timestamp_end);
    let has_timestamps = !preview.contents.timestamp_signers.is_empty();
    let needed = state.accepted.timestamped && has_timestamps;
    let stale = needed && timestamp.is_none_or(|end| end < now);
    let holds = from <= now && now <= until && dropped.is_none() && !stale;
    if args.json {
        carnet_console::print_line(json!({
            "list": preview.list_id, "sequence": state.accepted.sequence, "digest": state.accepted.digest,
            "valid_from": from.to_string(), "valid_until": until.to_string(), "holds": holds,
            "dropped": dropped, "accept": accept, "timestamp_until": timestamp.map(|end| end.to_string()), "stale": stale,
            "issuers": preview.contents.issuers.len(), "source": trust.list,
        }));
    } else {
        let word = if holds { "is valid" } else { "is NOT valid now" };
        let dropped = dropped.map_or_else(String::new, |why| format!("\nIt is no longer used: {why}"));
        let stamped = match (timestamp, stale) {
            (Some(end), false) => format!("\nIt decides until {end} (timestamp)"),
            (Some(end), true) => {
                format!("\nIts timestamp expired at {end}, so a newer list may have been withheld")
            }
            (None, true) => "\nIt no longer has a timestamp, so a newer list may have been withheld".to_owned(),
            (None, false) if has_timestamps => {
                "\nIt names timestamp signers, and no timestamp was seen: a newer list may have been withheld"
                    .to_owned()
            }
            (None, false) => String::new(),
        };
        let accept = accept.map_or_else(String::new, |digest| {
            format!("\nThe list {digest} is accepted in its place when the service reads it next")
        });
        carnet_console::print_line(format_args!(
            "List {} of {} {word}: from {} until {}, {} issuers.\nDigest {}\nSource {}{stamped}{dropped}{accept}",
            state.accepted.sequence,
            preview.list_id,
            day::format_start(from),
            day::format_end(until),
            preview.contents.issuers.len(),
            state.accepted.digest,
            trust.list
        ));
    }
    Ok(if holds { 0 } else { 1 })
}
