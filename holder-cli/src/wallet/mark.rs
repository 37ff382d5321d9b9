//! The mark of a wallet: how often its file was stored, kept apart from the file. A file that is behind its mark, or that has
//! none here, was put back from a copy (spec/log.md section 8).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Contents;

/// End of a mark's name; before it stands the wallet's own name for it.
const SUFFIX: &str = ".mark";
/// A mark is one number.
const LONGEST: usize = 32;

/// Folders where a wallet's mark is kept: the first that can be written. The newest mark of all counts.
#[derive(Debug, Clone)]
pub(crate) struct MarkFolders(Vec<PathBuf>);

/// What the mark says of a wallet's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// The file is the newest that was stored here.
    Newest,
    /// A newer one was stored here, which was stored so often.
    Behind { newest: u64 },
    /// No file of this wallet was ever stored here.
    Unknown,
}

impl MarkFolders {
    /// The folder for states, where there is one, and the wallet's own.
    pub(crate) fn of(state: Option<PathBuf>, wallet: &Path) -> Self {
        let own = wallet.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self(state.into_iter().chain([own.to_owned()]).collect())
    }

    /// Compares a wallet's file with its mark.
    pub(crate) fn age(&self, name: &str, revision: u64) -> Age {
        match self.0.iter().filter_map(|folder| read(folder, name)).max() {
            None => Age::Unknown,
            Some(newest) if newest > revision => Age::Behind { newest },
            Some(_) => Age::Newest,
        }
    }

    /// Moves the mark on. The file was stored before: whatever happens in between, the mark is not ahead of it.
    ///
    /// # Errors
    /// It can be written to no folder.
    pub(crate) fn advance(&self, name: &str, revision: u64) -> io::Result<()> {
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
    /// Compares the contents with the mark of the wallet. A wallet that has no mark yet counts as the newest.
    pub(crate) fn age(&self, folders: &MarkFolders) -> Age {
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
        // Beside the wallet, where the state folder cannot be written: there is a file of that name.
        let occupied = state.path().join("file");
        fs::write(&occupied, "").unwrap();
        let beside = MarkFolders::of(Some(occupied), &wallet.path().join("wallet.age"));
        beside.advance("a", 5).unwrap();
        assert_eq!((beside.age("a", 4), beside.age("a", 5)), (Age::Behind { newest: 5 }, Age::Newest));
        assert_eq!(folders.age("a", 4), Age::Behind { newest: 5 });
        // One that is damaged is none.
        fs::write(path(wallet.path(), "a"), "x").unwrap();
        assert_eq!((folders.age("a", 4), beside.age("a", 4)), (Age::Newest, Age::Unknown));
    }
}
