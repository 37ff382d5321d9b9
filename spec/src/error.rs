//! What can be wrong with a catalogue.

use std::path::PathBuf;

/// Why a catalogue could not be loaded: which file, what is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A file or folder could not be read.
    #[error("{path}: could not be read ({source}). Check that it exists, is UTF-8 text of at most 1 MiB, and may be read.", path = path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it has to be.
    #[error("{file}: {what}. {hint}.")]
    File {
        /// The file, as a path below the catalogue's folder.
        file: String,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },
}

impl SpecError {
    pub(crate) fn file(file: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::File { file: file.into(), what: what.into(), hint: hint.into() }
    }
}
