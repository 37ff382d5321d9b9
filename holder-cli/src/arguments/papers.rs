//! Arguments of `carnet paper`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `carnet paper`.
#[derive(Debug, Subcommand)]
pub(crate) enum PaperCommand {
    /// Add a picture (JPEG, PNG, WebP, HEIF) or a PDF; asks for the kind of document, its date and notes
    Add(AddPaper),
    /// List the papers
    List,
    /// Write a picture to a file to give to somebody, as what it is: a picture that nobody verified; logs it
    Share(SharePaper),
    /// Delete a picture permanently
    Delete(DeletePaper),
}

/// Arguments of `carnet paper add`.
#[derive(Debug, Args)]
pub(crate) struct AddPaper {
    /// The picture or scan, at most 4 MiB
    #[arg(value_name = "PHOTO")]
    pub(crate) file: PathBuf,
    /// Read the kind, the date and the notes from the lines of this file [default: asks for them]
    #[arg(long, value_name = "FILE")]
    pub(crate) about: Option<PathBuf>,
}

/// Arguments of `carnet paper share`.
#[derive(Debug, Args)]
pub(crate) struct SharePaper {
    /// Id of the paper, or a prefix of it
    pub(crate) id: String,
    /// The recipient, for your log
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// The file to write; a text beside it says what it is
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Arguments of `carnet paper delete`.
#[derive(Debug, Args)]
pub(crate) struct DeletePaper {
    /// Id of the paper, or a prefix of it
    pub(crate) id: String,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
}
