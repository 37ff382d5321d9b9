//! Reading of trust lists, and atomic writing of files.

use std::{fs::File, io::Read as _, path::Path};

use carnet_core::{
    input::decode_file_bytes,
    json::{self, Limits},
    trust::list::{TrustList, UnverifiedTrustList},
};
use carnet_service::disk;
use serde_json::{Map, Value};

use crate::error::CommandError;

/// File mode of drafts and lists, which are public; the umask restricts it.
const FILE_MODE: u32 = 0o666;

/// Reads a file without a leading byte-order mark. At most 4 MiB and one byte are read, so that parsing refuses a
/// longer file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    let most = Limits::STATUS_LIST.max_bytes;
    let mut bytes = Vec::new();
    // One byte more than the limit, so that parsing refuses a longer file instead of accepting a truncated one.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| CommandError::unreadable_file(path, &error))?;
    decode_file_bytes(&bytes).map(<[u8]>::to_vec).map_err(|error| CommandError::unreadable_file(path, &error))
}

/// Reads a file that contains a JSON object.
pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>, CommandError> {
    json::parse_object(&read_file(path)?, Limits::STATUS_LIST).map_err(|problem| {
        CommandError::from_problem(
            &problem,
            &format!("{} is not acceptable JSON", path.display()),
            "get the file again",
        )
    })
}

/// Reads a trust list, signed or not, and returns the document and its content. Signatures are not verified.
pub(crate) fn read_list(path: &Path) -> Result<(Map<String, Value>, UnverifiedTrustList), CommandError> {
    let document = read_object(path)?;
    let preview = TrustList::preview(&document).map_err(|problem| {
        CommandError::from_problem(
            &problem,
            &format!("{} is refused as a trust list", path.display()),
            "get the list again",
        )
    })?;
    Ok((document, preview))
}

/// Serialises a value as indented JSON with a final line end.
pub(crate) fn to_json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| format!("{text}\n"))
}

fn unwritable(path: &Path, error: &std::io::Error, hint: &str) -> CommandError {
    CommandError::new("file_unwritable", format!("{} cannot be written: {error}", path.display()), hint)
}

/// Writes a new file; fails if it exists.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    disk::write_new(path, text.as_bytes(), FILE_MODE)
        .map_err(|error| unwritable(path, &error, "name a new file: existing files are never overwritten"))
}

/// Writes a file atomically, replacing an existing one.
pub(crate) fn replace_file(path: &Path, text: &str) -> Result<(), CommandError> {
    disk::replace_file(path, text.as_bytes(), FILE_MODE)
        .map_err(|error| unwritable(path, &error, "check that the folder is yours and has room, and try again"))
}
