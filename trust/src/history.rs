//! Publication of trust lists: a directory with the newest list and all earlier ones.

use std::path::{Path, PathBuf};

use carnet_core::trust::list::{Preview, TrustList};
use serde_json::{Map, Value};

use crate::{
    files::{read_list, replace, text},
    refusal::CommandError,
};

/// File name of the newest list.
const CURRENT: &str = "trust-list.json";
const HISTORY: &str = "history";

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
    let current = folder.join(CURRENT);
    let history = folder.join(HISTORY).join(format!("{number:03}.json"));
    // The newest file in the history is checked too: an earlier run may have been interrupted, or the current list
    // removed.
    for path in newest(&folder.join(HISTORY)).into_iter().chain(current.exists().then(|| current.clone())) {
        let (_, published) = read_list(&path).map_err(|refusal| {
            refusal.hint(
                "it does not show which lists verifiers have seen: restore the folder from a backup, or move that \
                 file away",
            )
        })?;
        admit(&published, list, &path)?;
    }
    if history.exists() {
        let (_, there) = read_list(&history)?;
        if there.digest != list.digest() {
            return Err(other(&history, &there));
        }
    }
    std::fs::create_dir_all(folder.join(HISTORY)).map_err(|error| {
        let what = format!("{} cannot be created: {error}", folder.join(HISTORY).display());
        CommandError::new("file_unwritable", what, "name a folder in which you may write")
    })?;
    let text = text(document);
    replace(&history, &text)?;
    replace(&current, &text)?;
    Ok(PublishedPaths { current, history })
}

/// Returns the path of the list with the greatest number in the history; `None` if there is none.
fn newest(history: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(history).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| {
        let stem = path.extension().is_some_and(|extension| extension == "json").then(|| path.file_stem()).flatten();
        stem.and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok())
    };
    files.filter_map(|path| Some((number(&path)?, path))).max().map(|(_, path)| path)
}

/// Checks that verifiers of a published list would accept the new list.
fn admit(published: &Preview, list: &TrustList, current: &Path) -> Result<(), CommandError> {
    let (newest, number) = (published.contents.sequence, list.contents().sequence);
    if published.list != list.list() {
        let what = format!("{} is a list of {}, not of {}", current.display(), published.list, list.list());
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
        return Err(other(current, published));
    }
    published.seen().admit(list.contents(), list.digest()).map_err(|problem| {
        let what = format!("List {number} does not continue the published list {newest}");
        CommandError::of(&problem, &what, "make it from the published list (create --after)")
    })
}

fn other(path: &Path, there: &Preview) -> CommandError {
    let number = there.contents.sequence;
    CommandError::new(
        "trust_list_conflict",
        format!("{} is a different list {number} (digest {})", path.display(), there.digest),
        "with two lists of one number, every verifier that saw one refuses the other: give the new list the next \
         number",
    )
}
