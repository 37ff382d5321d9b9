//! Errors of a catalogue.

use std::path::PathBuf;

/// Reason that a catalogue could not be loaded: the file, the fault, and advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A file or folder could not be read.
    #[error("{path}: could not be read ({source}). Check that it exists, is UTF-8 text of at most 1 MiB, and may be read.", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// A file breaks a rule.
    #[error("{file}: {what}. {hint}.")]
    File {
        /// The file, as a path below the catalogue's folder.
        file: String,
        /// Description of the fault.
        what: String,
        /// Advice on what to do about it.
        hint: String,
    },
}

impl SpecError {
    pub(crate) fn file(file: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { file: file.into(), what: what.into(), hint: hint.into() }
    }
}
