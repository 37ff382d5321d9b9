//! Errors in loading a catalogue.

use std::path::PathBuf;

/// Error in loading a catalogue: the file, the cause, and advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A file or directory is unreadable.
    #[error("{path}: could not be read ({source}). Check that it exists, is UTF-8 text of at most 1 MiB, and may be read.", path = path.display())]
    Read {
        /// File or directory.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The content of a file is invalid.
    #[error("{file}: {what}. {hint}.")]
    File {
        /// Path of the file, for display.
        file: String,
        /// Description of the error.
        what: String,
        /// Advice on how to correct it.
        hint: String,
    },
}

impl SpecError {
    pub(crate) fn file(file: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { file: file.into(), what: what.into(), hint: hint.into() }
    }
}
