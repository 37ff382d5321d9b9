//! Last accepted entry of each did:webvh log.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use carnet_core::{
    Code, Problem,
    did::Did,
    json::{self, Limits},
};
use serde_json::Value;

/// Last accepted `versionId` of each did:webvh log, by DID; also stored in a file, if there is one.
#[derive(Debug, Default)]
pub(crate) struct AcceptedEntries {
    last: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl AcceptedEntries {
    /// Loads the entries of a file, in which later entries are stored too. A missing file has no entries.
    pub(crate) fn load(file: PathBuf) -> io::Result<Self> {
        let last = match fs::read(&file) {
            Ok(text) => parse(&text).ok_or_else(|| io::Error::other("it lacks the record of the logs seen before"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { last, file: Some(file) })
    }

    /// Creates the record from entries that the caller stores.
    pub(crate) fn in_memory(last: BTreeMap<String, String>) -> Self {
        Self { last, file: None }
    }

    /// Returns the last accepted `versionId` of each log, by DID.
    pub(crate) fn by_did(&self) -> &BTreeMap<String, String> {
        &self.last
    }

    /// Records the last version of an accepted history, oldest first. It is stored before the document is used.
    pub(crate) fn advance(&mut self, did: &Did, versions: &[String]) -> Result<(), Problem> {
        let (did, Some(id)) = (did.as_str(), versions.last()) else { return Ok(()) };
        match self.last.get(did) {
            Some(before) if before == id => return Ok(()),
            Some(before) if !versions.contains(before) => return Err(Code::DidLogForked.into()),
            _ => {}
        }
        let mut last = self.last.clone();
        last.insert(did.to_owned(), id.clone());
        if let Some(file) = &self.file {
            write(file, &last).map_err(|error| {
                Problem::new(Code::DidUnresolved, format!("the record of the log could not be written: {error}"))
            })?;
        }
        self.last = last;
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let members = json::parse_object(text, Limits::STATUS_LIST).ok()?;
    members.into_iter().map(|(did, id)| Some((did, id.as_str()?.to_owned()))).collect()
}

/// Writes the file atomically.
fn write(path: &Path, last: &BTreeMap<String, String>) -> io::Result<()> {
    let text: Value = last.iter().map(|(did, id)| (did.clone(), Value::from(id.as_str()))).collect();
    carnet_disk::replace_file(path, text.to_string().as_bytes(), 0o600)
}
