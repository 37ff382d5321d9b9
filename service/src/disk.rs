//! Files that are replaced as a whole: after a power cut there is the old one or the new one; files that people hand over; and
//! locks between programs.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use carnet_core::input::{content_of_file, text_of_file};
use zeroize::Zeroizing;

/// Reads a file that people hand over, without a leading byte-order mark.
///
/// # Errors
/// Those of the file system; it is UTF-16.
pub fn read_given(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    given(fs::read(path)?)
}

/// Reads a file that people hand over as [`read_given`] does, or standard input for `-`.
///
/// # Errors
/// Those of [`read_given`].
pub fn read_given_or_input(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if path.as_os_str() != "-" {
        return read_given(path);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    given(bytes)
}

fn given(bytes: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(bytes);
    content_of_file(&bytes).map(|content| Zeroizing::new(content.to_vec())).map_err(io::Error::other)
}

/// Reads the text of a file that people hand over, without a leading byte-order mark.
///
/// # Errors
/// Those of [`read_given`]; it is not UTF-8.
pub fn read_given_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let content = read_given(path)?;
    text_of_file(&content).map(|text| Zeroizing::new(text.to_owned())).map_err(io::Error::other)
}

/// Replaces `path` by a file with these bytes and this mode, through to the disk.
///
/// # Errors
/// Those of the file system; `path` is as it was then, or replaced.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    // What a power cut left half-written is in nobody's use.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_directory(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Writes a new file with these bytes and this mode, through to the disk; one that is there stays as it is.
///
/// # Errors
/// Those of the file system; `AlreadyExists`.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A directory that is being set up. Unless it is kept, what was made in it goes again, so that the next try finds it as it was.
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    made: bool,
    kept: bool,
}

impl NewDirectory {
    /// Takes a directory that is not there, or is empty, and closes it to other users.
    ///
    /// # Errors
    /// Those of the file system; `DirectoryNotEmpty`, and then nothing was changed.
    pub fn take(path: &Path) -> io::Result<Self> {
        let made = !path.exists();
        if made {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(path)?;
        } else {
            if fs::read_dir(path)?.next().is_some() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            #[cfg(unix)]
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        }
        Ok(Self { path: path.to_owned(), made, kept: false })
    }

    /// It is set up.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // It was empty: all that is in it was made since.
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            fs::remove_file(entry.path()).ok();
        }
        if self.made {
            fs::remove_dir(&self.path).ok();
        }
    }
}

/// Brings a directory's names to the disk, so that nobody relies on a file that a power cut takes away.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Locks a file, which is made if it is not there, in one of the ways of [`File`]; whether the lock could be had.
///
/// # Errors
/// Those of the file system.
pub fn lock(path: &Path, how: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    match how(&file) {
        Ok(()) => Ok((file, true)),
        Err(TryLockError::WouldBlock) => Ok((file, false)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_was_not_set_up_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for there in [false, true] {
            let path = folder.path().join("deep").join("data");
            if there {
                fs::create_dir_all(&path).unwrap();
            }
            let directory = NewDirectory::take(&path).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
            fs::write(path.join("keys.lock"), "").unwrap();
            assert_eq!(NewDirectory::take(&path).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
            assert!(path.join("keys.lock").exists());
            drop(directory);
            assert_eq!(path.exists(), there);

            let directory = NewDirectory::take(&path).unwrap();
            fs::write(path.join("keys.json"), "").unwrap();
            directory.keep();
            assert!(path.join("keys.json").exists());
            fs::remove_dir_all(&path).unwrap();
        }
    }
}
