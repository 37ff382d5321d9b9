//! Files of a credential type, embedded or from disk.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use carnet_core::{
    input::decode_file_text,
    json::{self, Limits},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::SpecError;

/// Maximum size of a file of a catalogue, in bytes.
const MAX_FILE: u64 = 1_048_576;

/// Files of a credential type by their paths in its directory, such as `display/en.ftl`.
#[derive(Debug)]
pub(crate) struct TypeFiles {
    /// Path of the directory, for messages.
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, String>,
}

impl TypeFiles {
    pub(crate) fn embedded(name: &str, files: &[(&str, &str)]) -> Self {
        Self {
            name: format!("types/{name}"),
            files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, SpecError> {
        let mut files = BTreeMap::new();
        for (folder, prefix) in [(path.to_owned(), ""), (path.join("display"), "display/")] {
            if !folder.is_dir() {
                continue;
            }
            for file in directory_entries(&folder)?.into_iter().filter(|path| path.is_file()) {
                files.insert(format!("{prefix}{}", file_name(&file)), read_catalogue_text(&file)?);
            }
        }
        Ok(Self { name: path.display().to_string(), files })
    }

    /// Returns the path of a file, for messages.
    pub(crate) fn display_path(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    pub(crate) fn text(&self, file: &str) -> Result<&str, SpecError> {
        self.files
            .get(file)
            .map(String::as_str)
            .ok_or_else(|| SpecError::file(self.display_path(file), "is missing", "Add it: every type has one"))
    }

    pub(crate) fn json(&self, file: &str) -> Result<Value, SpecError> {
        json::parse(self.text(file)?.as_bytes(), Limits::DOCUMENT).map_err(|problem| {
            SpecError::file(self.display_path(file), format!("is not JSON ({})", problem.detail), "Correct it")
        })
    }

    pub(crate) fn toml<T: DeserializeOwned>(&self, file: &str) -> Result<T, SpecError> {
        parse_toml(self.display_path(file), self.text(file)?)
    }
}

pub(crate) fn parse_toml<T: DeserializeOwned>(path: String, text: &str) -> Result<T, SpecError> {
    toml::from_str(text).map_err(|error| SpecError::file(path, error.message().to_owned(), "Correct the TOML"))
}

/// Returns the entries of a directory, sorted by name, without hidden ones; empty if the directory does not exist.
pub(crate) fn directory_entries(folder: &Path) -> Result<Vec<PathBuf>, SpecError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = |source: io::Error| SpecError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| !file_name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

/// Reads a file of a catalogue of at most 1 MiB, without a leading byte-order mark. In Fluent files, CRLF is converted
/// to LF; other files are unchanged, since contexts have a pinned digest.
///
/// # Errors
/// The path is not that of a file, the file cannot be read, is larger, or is not UTF-8.
pub fn read_catalogue_text(path: &Path) -> Result<String, SpecError> {
    let failed = |source: io::Error| SpecError::Read { path: path.to_owned(), source };
    // Reading a pipe could block, and a device has no length.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_FILE {
        return Err(failed(io::Error::other("it is too large")));
    }
    let text = decode_file_text(&content).map_err(|error| failed(io::Error::other(error)))?;
    let is_words = path.extension().is_some_and(|extension| extension == "ftl");
    Ok(if is_words { text.replace("\r\n", "\n") } else { text.to_owned() })
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
