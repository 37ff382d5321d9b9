//! Folder of an import: its state, the links and PINs, and the problems that were found.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carnet_core::day;
use carnet_proto::issuer::v1 as proto;
use carnet_service::{disk, wire};
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    letter_files::{LetterContent, LetterFiles},
    pass::{Findings, RowSink},
    unwritten::unwritten,
};
use crate::{
    commands::StaffFailure,
    import::{claims::ConvertedRow, output::csv_line},
    imports::SECRET_BYTES,
};

/// Mode of all files: who has a link can use it.
const MODE: u32 = 0o600;
const STATE_FILE: &str = "import.json";
const LOCK_FILE: &str = "import.lock";
/// Suffix of a file that is not finished.
const UNFINISHED: &str = ".part";

/// Secret as text, which is wiped from memory when it is dropped.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub(super) struct SecretText(String);

/// State of an import, as it is stored.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportState {
    pub(super) import_id: String,
    /// Secret from which the issuer derives links and PINs, in base64url; erased when the import is complete.
    pub(super) secret: Option<SecretText>,
    /// Digest of the file.
    pub(super) file: String,
    /// Options that all runs share.
    pub(super) options: String,
    /// `true` once the rows were checked.
    pub(super) is_checked: bool,
    /// `true` once all rows have offers.
    pub(super) is_complete: bool,
    /// Number of rows of a complete import.
    pub(super) rows: u64,
}

impl std::fmt::Debug for ImportState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportState").field("import_id", &self.import_id).finish_non_exhaustive()
    }
}

impl ImportState {
    /// Returns the state of an import that has not begun.
    pub(super) fn new() -> Self {
        Self {
            import_id: String::new(),
            secret: None,
            file: String::new(),
            options: String::new(),
            is_checked: false,
            is_complete: false,
            rows: 0,
        }
    }

    /// Returns the secret, or draws one if there is none.
    ///
    /// # Errors
    /// The stored secret is malformed.
    pub(super) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, StaffFailure> {
        let Some(SecretText(text)) = &self.secret else {
            let mut secret = Zeroizing::new(vec![0; SECRET_BYTES]);
            OsRng.fill_bytes(&mut secret);
            return Ok(secret);
        };
        let secret = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().filter(|secret| secret.len() == SECRET_BYTES);
        secret.map(Zeroizing::new).ok_or_else(|| StaffFailure::Input(format!("{STATE_FILE} of the folder is damaged")))
    }

    pub(super) fn with_secret(self, secret: &[u8]) -> Self {
        Self { secret: Some(SecretText(URL_SAFE_NO_PAD.encode(secret))), ..self }
    }

    pub(super) fn without_secret(self) -> Self {
        Self { secret: None, ..self }
    }
}

/// Folder of an import, which no other process uses at the same time.
#[derive(Debug)]
pub(super) struct ImportFolder {
    path: PathBuf,
    _lock: File,
}

impl ImportFolder {
    /// Creates the folder, or opens an existing one, and locks it.
    ///
    /// # Errors
    /// It has other files than those of an import; another process uses it; those of the file system.
    pub(super) fn open(path: &Path) -> Result<Self, StaffFailure> {
        let refused = |what: &dyn std::fmt::Display| {
            StaffFailure::Input(format!(
                "the folder {} cannot be used: {what}. Nothing was sent\nhint: name a new folder, or that of an \
                 interrupted import",
                path.display()
            ))
        };
        let is_new = !path.exists();
        disk::create_private_directory(path).map_err(|error| refused(&error))?;
        if !is_new && !path.join(LOCK_FILE).exists() {
            let is_empty = fs::read_dir(path).map_err(|error| refused(&error))?.next().is_none();
            if !is_empty {
                return Err(refused(&"it has files that are not those of an import"));
            }
        }
        let (lock, is_locked) =
            disk::lock_file(&path.join(LOCK_FILE), File::try_lock).map_err(|error| refused(&error))?;
        if !is_locked {
            return Err(refused(&"another import is running in it"));
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Reads the state; `None` if no import has begun.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn state(&self) -> Result<Option<ImportState>, StaffFailure> {
        let path = self.path.join(STATE_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StaffFailure::Input(format!("{} cannot be read: {error}", path.display()))),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| StaffFailure::Input(format!("{} is damaged: {error}", path.display())))
    }

    /// Stores the state, through to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn write_state(&self, state: &ImportState) -> Result<(), StaffFailure> {
        let path = self.path.join(STATE_FILE);
        let text = Zeroizing::new(serde_json::to_vec(state).map_err(|error| unwritten(&path, &error))?);
        disk::replace_file(&path, &text, MODE).map_err(|error| unwritten(&path, &error))
    }

    /// Writes all errors and warnings to `problems.csv`; removes the file if there are none.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn write_problems(&self, found: &Findings) -> Result<(), StaffFailure> {
        let path = self.path.join("problems.csv");
        if found.errors.is_empty() && found.warnings.is_empty() {
            fs::remove_file(&path).ok();
            return Ok(());
        }
        let mut text = csv_line(&["row", "column", "given", "problem"]);
        for error in &found.errors {
            let (column, given) = (error.column.as_deref(), error.given.as_deref());
            let row = error.row.to_string();
            text.push_str(&csv_line(&[&row, column.unwrap_or_default(), given.unwrap_or_default(), &error.text]));
        }
        found.warnings.iter().for_each(|warning| text.push_str(&csv_line(&["", "", "", warning])));
        disk::replace_file(&path, text.as_bytes(), MODE).map_err(|error| unwritten(&path, &error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the files of links and PINs. They replace those of an earlier run when they are finished.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn begin_outputs(&self, with_pins: bool, letters: Option<LetterFiles>) -> Result<Outputs, StaffFailure> {
        let links = OutputFile::begin(&self.path, "links.csv", &LINK_COLUMNS)?;
        let pins = with_pins.then(|| OutputFile::begin(&self.path, "pins.csv", &PIN_COLUMNS)).transpose()?;
        Ok(Outputs { links, pins, letters, folder: self.path.clone() })
    }
}

const LINK_COLUMNS: [&str; 7] = ["row", "reference", "language", "offer_id", "link", "openid_link", "collect_until"];
const PIN_COLUMNS: [&str; 4] = ["row", "reference", "offer_id", "pin"];

/// File that is written beside the one that it replaces.
struct OutputFile {
    unfinished: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
}

impl OutputFile {
    fn begin(folder: &Path, name: &str, columns: &[&str]) -> Result<Self, StaffFailure> {
        let (path, unfinished) = (folder.join(name), folder.join(format!("{name}{UNFINISHED}")));
        fs::remove_file(&unfinished).ok();
        let file = disk::create_new(&unfinished, MODE).map_err(|error| unwritten(&path, &error))?;
        let mut output = Self { unfinished, path, file: BufWriter::new(file) };
        output.line(columns)?;
        Ok(output)
    }

    fn line(&mut self, cells: &[&str]) -> Result<(), StaffFailure> {
        let line = Zeroizing::new(csv_line(cells));
        self.file.write_all(line.as_bytes()).map_err(|error| unwritten(&self.path, &error))
    }

    fn finish(self) -> Result<(), StaffFailure> {
        let done = self.file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        let done = done.and_then(|()| fs::rename(&self.unfinished, &self.path));
        done.map_err(|error| unwritten(&self.path, &error))
    }
}

/// Files of the links and PINs of one run.
pub(super) struct Outputs {
    links: OutputFile,
    pins: Option<OutputFile>,
    letters: Option<LetterFiles>,
    folder: PathBuf,
}

impl Outputs {
    /// Puts the files in their places, through to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn finish(self) -> Result<(), StaffFailure> {
        self.links.finish()?;
        self.pins.map(OutputFile::finish).transpose()?;
        self.letters.map(LetterFiles::finish).transpose()?;
        disk::sync_directory(&self.folder).map_err(|error| unwritten(&self.folder, &error))
    }
}

/// Returns the last whole day on which an offer can be collected, as `YYYY-MM-DD`.
fn last_day(imported: &proto::ImportedOffer) -> String {
    let expires = imported.offer.as_ref().and_then(|offer| offer.expires_at.as_ref());
    let expires = expires.and_then(|at| wire::from_timestamp(at).ok());
    expires.map_or_else(String::new, |at| day::format_end(at.start_of_day()))
}

impl RowSink for Outputs {
    fn take(&mut self, row: &ConvertedRow, imported: &proto::ImportedOffer) -> Result<(), StaffFailure> {
        if imported.offer_uri.is_empty() {
            return Ok(());
        }
        let number = row.number.to_string();
        let id = imported.offer.as_ref().map(|offer| offer.offer_id.as_str()).unwrap_or_default();
        let until = last_day(imported);
        self.links.line(&[
            &number,
            &row.reference,
            &row.language,
            id,
            &imported.offer_uri,
            &imported.offer_reference_uri,
            &until,
        ])?;
        if let Some(pins) = &mut self.pins {
            pins.line(&[&number, &row.reference, id, &imported.pin])?;
        }
        let page = LetterContent { link: &imported.offer_uri, pin: &imported.pin, until: &until };
        self.letters.as_mut().map_or(Ok(()), |letters| letters.add(row, &page))
    }
}
