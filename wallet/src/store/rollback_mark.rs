//! Rollback mark of a wallet: the number of times that its file was saved, stored separately from it. A file whose
//! number is lower than its mark, or that has no mark on this machine, was restored from a copy (spec/log.md section
//! 8).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::WalletContents;

/// Suffix of the mark's file name, after the wallet's identifier for it.
const SUFFIX: &str = ".mark";
/// Maximum size of a mark, in bytes; it contains one number.
const LONGEST: usize = 32;

/// Directories that can contain the rollback mark. It is written to the first writable one; of several marks, the
/// highest counts.
#[derive(Debug, Clone)]
pub struct MarkDirectories(Vec<PathBuf>);

/// Result of comparing a wallet file with its rollback mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkComparison {
    /// The file is the newest one that was saved on this machine.
    Newest,
    /// A newer file was saved on this machine.
    Outdated {
        /// Revision of the newest file: the number of times that it was saved.
        newest: u64,
    },
    /// This machine has no mark of the wallet: no file of it was saved here.
    Unknown,
}

impl MarkDirectories {
    /// Returns the directories for the mark of the wallet file `wallet`: the state directory, if given, then the
    /// directory of the file.
    pub fn for_wallet(state: Option<PathBuf>, wallet: &Path) -> Self {
        let own = wallet.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self(state.into_iter().chain([own.to_owned()]).collect())
    }

    /// Compares a revision of the wallet with the mark called `name`.
    pub fn compare(&self, name: &str, revision: u64) -> MarkComparison {
        match self.0.iter().filter_map(|folder| read(folder, name)).max() {
            None => MarkComparison::Unknown,
            Some(newest) if newest > revision => MarkComparison::Outdated { newest },
            Some(_) => MarkComparison::Newest,
        }
    }

    /// Writes the mark. It must be called after the file was saved, so that the mark is never ahead of the file.
    ///
    /// # Errors
    /// No directory is writable.
    pub fn write_mark(&self, name: &str, revision: u64) -> io::Result<()> {
        let mut failed = Ok(());
        for folder in &self.0 {
            match write(folder, name, revision) {
                Ok(()) => return Ok(()),
                Err(error) => failed = Err(error),
            }
        }
        failed
    }
}

impl WalletContents {
    /// Compares the contents with the rollback mark. A wallet that never had a mark counts as the newest.
    pub fn compare_with_mark(&self, folders: &MarkDirectories) -> MarkComparison {
        self.mark_id.as_ref().map_or(MarkComparison::Newest, |name| folders.compare(name, self.revision))
    }
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{SUFFIX}"))
}

fn read(folder: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path(folder, name)).ok().filter(|text| text.len() <= LONGEST)?;
    text.trim().parse().ok()
}

fn write(folder: &Path, name: &str, revision: u64) -> io::Result<()> {
    carnet_disk::create_private_directory(folder)?;
    carnet_disk::replace_file(&path(folder, name), format!("{revision}\n").as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_against_the_newest_mark() {
        let (state, wallet) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = MarkDirectories::for_wallet(Some(state.path().join("carnet")), &wallet.path().join("wallet.age"));
        assert_eq!(folders.compare("a", 0), MarkComparison::Unknown);
        folders.write_mark("a", 3).unwrap();
        let ages = [2, 3, 4].map(|revision| folders.compare("a", revision));
        assert_eq!(ages, [MarkComparison::Outdated { newest: 3 }, MarkComparison::Newest, MarkComparison::Newest]);
        assert_eq!(folders.compare("b", 3), MarkComparison::Unknown);
        // Next to the wallet, if the state folder cannot be written because a file has its name.
        let occupied = state.path().join("file");
        fs::write(&occupied, "").unwrap();
        let beside = MarkDirectories::for_wallet(Some(occupied), &wallet.path().join("wallet.age"));
        beside.write_mark("a", 5).unwrap();
        assert_eq!(
            (beside.compare("a", 4), beside.compare("a", 5)),
            (MarkComparison::Outdated { newest: 5 }, MarkComparison::Newest)
        );
        assert_eq!(folders.compare("a", 4), MarkComparison::Outdated { newest: 5 });
        // A damaged mark counts as missing.
        fs::write(path(wallet.path(), "a"), "x").unwrap();
        assert_eq!(
            (folders.compare("a", 4), beside.compare("a", 4)),
            (MarkComparison::Newest, MarkComparison::Unknown)
        );
    }
}
