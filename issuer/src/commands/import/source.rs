//! File to be imported: its kind, encoding and delimiter.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    commands::StaffFailure,
    import::{
        csv::CsvReader,
        encoding::{Encoding, FileFacts, encoding_of, examine, find_delimiter},
        json_lines::JsonLinesReader,
        table::TableReader,
        xlsx::XlsxReader,
    },
};

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceKind {
    Csv,
    JsonLines,
    Xlsx,
}

impl SourceKind {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            "xlsx" => Ok(Self::Xlsx),
            _ => Err("one of csv, jsonl, xlsx".to_owned()),
        }
    }

    fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "xlsx" => Some(Self::Xlsx),
            _ => None,
        }
    }
}

/// Parses the option `--delimiter`.
pub(super) fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => {
            Ok(*byte)
        }
        _ => Err("one character that is neither a letter, a digit nor a quotation mark, or `tab`".to_owned()),
    }
}

/// Form of the rows.
enum RowForm {
    Csv { encoding: Encoding, delimiter: u8, is_found: bool },
    JsonLines,
    Xlsx { sheet: Option<String> },
}

/// Options about the form of a file.
#[derive(Debug, Default)]
pub(super) struct SourceOptions {
    pub(super) kind: Option<SourceKind>,
    pub(super) encoding: Option<Encoding>,
    pub(super) delimiter: Option<u8>,
    pub(super) sheet: Option<String>,
}

/// Opened file.
pub(super) struct Source {
    file: File,
    shown: String,
    facts: FileFacts,
    form: RowForm,
}

impl Source {
    /// Opens a file, and reads it once.
    ///
    /// # Errors
    /// It cannot be read, or its kind, encoding or delimiter is not clear.
    pub(super) fn open(path: &Path, options: SourceOptions) -> Result<Self, StaffFailure> {
        let shown = path.display().to_string();
        let unread = |error: &dyn std::fmt::Display| {
            StaffFailure::Unreadable(format!(
                "the file {shown} cannot be read: {error}. Nothing was sent\nhint: check the path; the file is read more \
                 than once, so standard input and pipes are not possible"
            ))
        };
        let mut file = File::open(path).map_err(|error| unread(&error))?;
        if !file.metadata().map_err(|error| unread(&error))?.is_file() {
            return Err(unread(&"it is a directory or another special file"));
        }
        let SourceOptions { kind, encoding, delimiter, sheet } = options;
        let kind = kind.or_else(|| SourceKind::of_path(path)).ok_or_else(|| {
            StaffFailure::Input(format!(
                "the name of the file {shown} does not say its kind. Nothing was sent\nhint: give --input csv, jsonl or xlsx"
            ))
        })?;
        let facts = examine(&mut file).map_err(|error| unread(&error))?;
        let refused =
            |what: String| StaffFailure::Input(format!("the file {shown} is refused: {what}\nNothing was sent."));
        let form = match kind {
            SourceKind::Csv => RowForm::Csv {
                encoding: encoding_of(&facts, encoding).map_err(refused)?,
                delimiter: delimiter.map_or_else(|| find_delimiter(&facts.start), Ok).map_err(refused)?,
                is_found: delimiter.is_none(),
            },
            SourceKind::JsonLines => {
                encoding_of(&facts, Some(Encoding::Utf8)).map_err(refused)?;
                RowForm::JsonLines
            }
            SourceKind::Xlsx => RowForm::Xlsx { sheet },
        };
        Ok(Self { file, shown, facts, form })
    }

    /// Returns sentences about what was found out about the file.
    pub(super) fn notes(&self) -> Vec<String> {
        let RowForm::Csv { encoding, delimiter, is_found } = &self.form else { return Vec::new() };
        let delimiter = match delimiter {
            b'\t' => "tab".to_owned(),
            byte => format!("\"{}\"", char::from(*byte)),
        };
        let mut notes = Vec::new();
        if *encoding == Encoding::Windows1252 {
            let name = encoding.as_str();
            notes.push(format!(
                "The file is not UTF-8; it is read as {name}. Look at names with accents in the preview."
            ));
        }
        if *is_found {
            notes.push(format!("The delimiter is {delimiter}."));
        }
        notes
    }

    /// Returns the SHA-256 of the file, in base64url.
    pub(super) fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.facts.digest)
    }

    /// Returns the id of an import of this file with this mapping and these options.
    pub(super) fn import_id(&self, mapping: &str, options: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update("carnet-issuer-import-id/1");
        hasher.update(self.facts.digest);
        hasher.update(Sha256::digest(mapping));
        hasher.update(options);
        format!("file-{}", URL_SAFE_NO_PAD.encode(hasher.finalize()))
    }

    /// Opens a reader at the first row. `columns`: those of the mapping.
    ///
    /// # Errors
    /// The file cannot be read, or has no names of columns.
    pub(super) fn reader(&self, columns: &[String]) -> Result<Box<dyn TableReader>, StaffFailure> {
        let refused = |error: &dyn std::fmt::Display| {
            StaffFailure::Input(format!("the file {} is refused: {error}\nNothing was sent.", self.shown))
        };
        let mut file = self.file.try_clone().map_err(|error| refused(&error))?;
        file.seek(SeekFrom::Start(0)).map_err(|error| refused(&error))?;
        let FileFacts { size, has_mark, .. } = self.facts;
        Ok(match &self.form {
            &RowForm::Csv { encoding, delimiter, .. } => {
                let reader = CsvReader::new(file, size, has_mark, encoding, delimiter);
                Box::new(reader.map_err(|error| refused(&error))?)
            }
            RowForm::JsonLines => Box::new(JsonLinesReader::new(file, size, columns.to_vec())),
            RowForm::Xlsx { sheet } => {
                Box::new(XlsxReader::new(file, sheet.as_deref()).map_err(|error| refused(&error))?)
            }
        })
    }
}
