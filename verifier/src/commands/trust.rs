//! `trust`: which trust list decides.

use carnet_core::{
    day,
    json::{self, Limits},
    trust::list::TrustList,
};
use carnet_service::{config::StartError, store as ground, time};
use serde_json::json;

use super::{Failure, Place};
use crate::{
    config::VerifierConfig,
    store::{MIGRATIONS, Sqlite, TrustStore as _},
};

/// 0: the newest list that was accepted holds now, as far as the service has seen, 1: it does not, or there is none.
pub(super) async fn run(args: Place) -> Result<u8, Failure> {
    let config = VerifierConfig::load(&args.data, args.config.as_deref())?;
    let Some(trust) = config.trust else {
        let what = "No trust list is configured; issuers are accepted as config.toml names them.";
        return Err(StartError::new(what, "Add [trust] to config.toml, to accept those of a trust list.").into());
    };
    let store = ground::open(&args.data, &MIGRATIONS).await?;
    let remembered = Sqlite::new(store.database.clone()).remembered(&trust.issuer).await;
    store.close().await;
    let damaged = |what: String| StartError::new(what, "Nothing was changed. Restore a backup of the store.");
    let remembered = remembered.map_err(|error| damaged(format!("The store cannot be read: {error}.")))?;
    let Some(remembered) = remembered else {
        let what = format!("No list of {} was accepted yet; its source is {}.", trust.issuer, trust.list);
        return Err(StartError::new(what, "The log of the service says why: start it, or look there.").into());
    };
    let preview = json::parse_object(remembered.document.as_bytes(), Limits::LIST)
        .and_then(|document| TrustList::preview(&document))
        .map_err(|problem| damaged(format!("The list in the store is damaged: {problem}.")))?;
    let now = time::now();
    let (from, until) = (preview.valid_from, preview.valid_until);
    let dropped = remembered.dropped;
    let holds = from <= now && now <= until && dropped.is_none();
    if args.json {
        carnet_console::line(json!({
            "list": preview.list, "sequence": remembered.seen.sequence, "digest": remembered.seen.digest,
            "valid_from": from.to_string(), "valid_until": until.to_string(), "holds": holds,
            "dropped": dropped, "issuers": preview.contents.issuers.len(), "source": trust.list,
        }));
    } else {
        let word = if holds { "holds" } else { "does NOT hold now" };
        let dropped = dropped.map_or_else(String::new, |why| format!("\nIt decides no more: {why}"));
        carnet_console::line(format_args!(
            "List {} of {} {word}: from {} until {}, {} issuers.\nDigest {}\nSource {}{dropped}",
            remembered.seen.sequence,
            preview.list,
            day::from(from),
            day::until(until),
            preview.contents.issuers.len(),
            remembered.seen.digest,
            trust.list
        ));
    }
    Ok(if holds { 0 } else { 1 })
}
