//! Mark of a wallet: the number of times that its file was saved, stored separately. A file that is behind its mark, or
//! has none on this machine, was restored from a copy (spec/log.md section 8).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Contents;

/// Suffix of a mark's file name, after the wallet's identifier for it.
const SUFFIX: &str = ".mark";
/// Maximum size of a mark, in bytes; it contains one number.
const LONGEST: usize = 32;

/// Folders for the mark of a wallet. It is written to the first writable one; the highest mark counts.
#[derive(Debug, Clone)]
pub struct MarkFolders(Vec<PathBuf>);

/// Relation between a wallet's file and its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// The file is the newest one saved on this machine.
    Newest,
    /// A newer file was saved on this machine, with this revision.
    Behind {
        /// Revision of the newest file.
        newest: u64,
    },
    /// No file of this wallet was saved on this machine.
    Unknown,
}

impl MarkFolders {
    /// Returns the state folder, if there is one, and the folder of the wallet.
    pub fn of(state: Option<PathBuf>, wallet: &Path) -> Self {
        let own = wallet.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self(state.into_iter().chain([own.to_owned()]).collect())
    }

    /// Compares a wallet's file with its mark.
    pub fn age(&self, name: &str, revision: u64) -> Age {
        match self.0.iter().filter_map(|folder| read(folder, name)).max() {
            None => Age::Unknown,
            Some(newest) if newest > revision => Age::Behind { newest },
            Some(_) => Age::Newest,
        }
    }

    /// Advances the mark. The file was saved before, so the mark is never ahead of it.
    ///
    /// # Errors
    /// If no folder is writable.
    pub fn advance(&self, name: &str, revision: u64) -> io::Result<()> {
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

impl Contents {
    /// Compares the contents with the wallet's mark. A wallet without a mark counts as the newest.
    pub fn age(&self, folders: &MarkFolders) -> Age {
        self.mark.as_ref().map_or(Age::Newest, |name| folders.age(name, self.revision))
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
    super::file::make_folder(folder)?;
    carnet_disk::replace(&path(folder, name), format!("{revision}\n").as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_held_against_the_newest_mark() {
        let (state, wallet) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = MarkFolders::of(Some(state.path().join("carnet")), &wallet.path().join("wallet.age"));
        assert_eq!(folders.age("a", 0), Age::Unknown);
        folders.advance("a", 3).unwrap();
        let ages = [2, 3, 4].map(|revision| folders.age("a", revision));
        assert_eq!(ages, [Age::Behind { newest: 3 }, Age::Newest, Age::Newest]);
        assert_eq!(folders.age("b", 3), Age::Unknown);
        // Next to the wallet, if the state folder cannot be written because a file has its name.
        let occupied = state.path().join("file");
        fs::write(&occupied, "").unwrap();
        let beside = MarkFolders::of(Some(occupied), &wallet.path().join("wallet.age"));
        beside.advance("a", 5).unwrap();
        assert_eq!((beside.age("a", 4), beside.age("a", 5)), (Age::Behind { newest: 5 }, Age::Newest));
        assert_eq!(folders.age("a", 4), Age::Behind { newest: 5 });
        // A damaged mark counts as missing.
        fs::write(path(wallet.path(), "a"), "x").unwrap();
        assert_eq!((folders.age("a", 4), beside.age("a", 4)), (Age::Newest, Age::Unknown));
    }
}
