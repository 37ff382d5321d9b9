//! Location of the wallet and of its rollback marks.

use std::path::{Path, PathBuf};

use crate::{
    failure::{Failure, FailureReason, Sentence},
    wallet::rollback_mark::MarkDirectories,
};

/// Location of the wallet file and of its rollback mark, according to the command line and the environment.
pub(crate) struct WalletLocation {
    wallet: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl WalletLocation {
    /// Creates a location from the options of the command line.
    pub(crate) const fn new(wallet: Option<PathBuf>, state: Option<PathBuf>) -> Self {
        Self { wallet, state }
    }

    /// Returns the path of the wallet file: as given, otherwise `carnet/wallet.age` in `XDG_DATA_HOME` or
    /// `~/.local/share`.
    ///
    /// # Errors
    /// `wallet_missing` if neither variable is set.
    pub(crate) fn file_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.wallet {
            return Ok(path.clone());
        }
        let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
        data.map(|data| data.join("carnet/wallet.age")).ok_or_else(|| {
            Failure::usage(
                FailureReason::WalletMissing,
                Sentence::new("error-no-home"),
                Sentence::new("hint-name-wallet"),
            )
        })
    }

    /// Returns the directories that can contain the rollback mark of a wallet file.
    pub(crate) fn mark_directories(&self, wallet: &Path) -> MarkDirectories {
        MarkDirectories::for_wallet(self.state_folder(), wallet)
    }

    /// Returns the directory of the mark besides that of the wallet: as given, otherwise `carnet` in `XDG_STATE_HOME`
    /// or `~/.local/state`. `None` if neither variable is set.
    fn state_folder(&self) -> Option<PathBuf> {
        if let Some(folder) = &self.state {
            return Some(folder.clone());
        }
        if cfg!(test) {
            return None;
        }
        let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
        state.map(|folder| folder.join("carnet"))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
