//! Arguments of `carnet export`, `carnet import` and `carnet delete`.

use std::path::PathBuf;

use clap::Args;

use crate::secrets::PassphraseSource;

/// Arguments of `carnet export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Id of the credential, or a prefix of it
    pub(crate) id: String,
    /// New file for the copy and its private key, encrypted with a passphrase; with --key for the raw copy alone
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Do not encrypt, for other wallets: write the private key (JWK) to this new file, and the raw copy to --out
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: FilePassphrase,
    /// Export without asking: the digest of the copy that an earlier run printed
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) yes: Option<String>,
}

/// Arguments of `carnet import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// File that `carnet export` wrote, or a raw credential: an SD-JWT, or a JSON document
    pub(crate) file: PathBuf,
    /// File with the private key of a raw credential (JWK)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: FilePassphrase,
    /// Import without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Source of the passphrase of a file.
#[derive(Debug, Args)]
pub(crate) struct FilePassphrase {
    /// Read the passphrase of the file from the first line of this file
    #[arg(long, value_name = "FILE", conflicts_with = "file_passphrase_fd")]
    pub(crate) file_passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the file from the first line of this open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) file_passphrase_fd: Option<u32>,
}

impl FilePassphrase {
    pub(crate) fn source(&self) -> PassphraseSource {
        PassphraseSource { file: self.file_passphrase_file.clone(), fd: self.file_passphrase_fd }
    }
}

/// Arguments of `carnet delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Id of the credential, or a prefix of it
    pub(crate) id: String,
    /// Delete without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Delete it at once and permanently, with its keys; `carnet undo` cannot take it back
    #[arg(long)]
    pub(crate) permanently: bool,
}
