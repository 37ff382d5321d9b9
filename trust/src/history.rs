//! Publication of trust lists: a directory with the newest list and all earlier ones.

use std::path::{Path, PathBuf};

use carnet_core::trust::list::{TrustList, UnverifiedTrustList};
use serde_json::{Map, Value};

use crate::{
    error::CommandError,
    files::{read_list, replace_file, to_json_text},
};

/// File name of the newest list.
const NEWEST_FILE: &str = "trust-list.json";
const HISTORY_DIRECTORY: &str = "history";

/// Paths of a published list.
pub(crate) struct PublishedPaths {
    pub(crate) current: PathBuf,
    pub(crate) history: PathBuf,
}

/// Writes a verified list to `history/NNN.json`, and then replaces `trust-list.json` atomically. If interrupted in
/// between, the old list stays the newest, and a repeated call completes the publication.
pub(crate) fn publish(
    folder: &Path,
    document: &Map<String, Value>,
    list: &TrustList,
) -> Result<PublishedPaths, CommandError> {
    let number = list.contents().sequence;
    let current = folder.join(NEWEST_FILE);
    let history = folder.join(HISTORY_DIRECTORY).join(format!("{number:03}.json"));
    // The newest file in the history is checked too: an earlier run may have been interrupted, or the current list
    // removed.
    for path in
        newest_in_history(&folder.join(HISTORY_DIRECTORY)).into_iter().chain(current.exists().then(|| current.clone()))
    {
        let (_, published) = read_list(&path).map_err(|refusal| {
            refusal.with_hint(
                "it does not show which lists verifiers have seen: restore the folder from a backup, or move that \
                 file away",
            )
        })?;
        check_successor(&published, list, &path)?;
    }
    if history.exists() {
        let (_, there) = read_list(&history)?;
        if there.digest != list.digest() {
            return Err(conflict_error(&history, &there));
        }
    }
    std::fs::create_dir_all(folder.join(HISTORY_DIRECTORY)).map_err(|error| {
        let what = format!("{} cannot be created: {error}", folder.join(HISTORY_DIRECTORY).display());
        CommandError::new("file_unwritable", what, "name a folder in which you may write")
    })?;
    let text = to_json_text(document);
    replace_file(&history, &text)?;
    replace_file(&current, &text)?;
    Ok(PublishedPaths { current, history })
}

/// Returns the path of the list with the greatest number in the history; `None` if there is none.
fn newest_in_history(history: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(history).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| {
        let stem = path.extension().is_some_and(|extension| extension == "json").then(|| path.file_stem()).flatten();
        stem.and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok())
    };
    files.filter_map(|path| Some((number(&path)?, path))).max().map(|(_, path)| path)
}

/// Checks that verifiers of a published list would accept the new list.
fn check_successor(published: &UnverifiedTrustList, list: &TrustList, current: &Path) -> Result<(), CommandError> {
    let (newest, number) = (published.contents.sequence, list.contents().sequence);
    if published.list_id != list.list_id() {
        let what = format!("{} is a list of {}, not of {}", current.display(), published.list_id, list.list_id());
        return Err(CommandError::new("trust_list_invalid", what, "publish each list in a folder of its own"));
    }
    if number < newest {
        let what = format!("List {newest} is already published, and this list has number {number}");
        return Err(CommandError::new(
            "trust_list_rollback",
            what,
            "to undo a change, make a list with the next number",
        ));
    }
    if number == newest && published.digest != list.digest() {
        return Err(conflict_error(current, published));
    }
    published.identity().check_successor(list.contents(), list.digest()).map_err(|problem| {
        let what = format!("List {number} does not continue the published list {newest}");
        CommandError::from_problem(&problem, &what, "make it from the published list (create --after)")
    })
}

fn conflict_error(path: &Path, there: &UnverifiedTrustList) -> CommandError {
    let number = there.contents.sequence;
    CommandError::new(
        "trust_list_conflict",
        format!("{} is a different list {number} (digest {})", path.display(), there.digest),
        "with two lists of one number, every verifier that saw one refuses the other: give the new list the next \
         number",
    )
}
