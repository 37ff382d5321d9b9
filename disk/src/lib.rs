//! Durable creation and replacement of files, files that people supply, new directories, and file locks between
//! programs.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use carnet_core::input::{decode_file_bytes, decode_file_text};
use zeroize::Zeroizing;

/// Reads a file that a person supplied, without a leading UTF-8 byte-order mark.
///
/// # Errors
/// Those of the file system; the file is UTF-16.
pub fn read_user_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    without_byte_order_mark(fs::read(path)?)
}

/// Reads a file that a person supplied, or standard input if the path is `-`, without a leading UTF-8 byte-order mark.
///
/// # Errors
/// Those of the file system; the content is UTF-16.
pub fn read_file_or_stdin(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if path.as_os_str() != "-" {
        return read_user_file(path);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    without_byte_order_mark(bytes)
}

/// Removes a leading byte-order mark; refuses UTF-16.
fn without_byte_order_mark(bytes: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(bytes);
    decode_file_bytes(&bytes).map(|content| Zeroizing::new(content.to_vec())).map_err(io::Error::other)
}

/// Reads a text file that a person supplied, without a leading byte-order mark.
///
/// # Errors
/// Those of the file system; the file is not UTF-8.
pub fn read_user_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let content = read_user_file(path)?;
    decode_file_text(&content).map(|text| Zeroizing::new(text.to_owned())).map_err(io::Error::other)
}

/// Creates a new, empty file and opens it for writing. `mode`: Unix permissions, from which the umask is subtracted.
///
/// # Errors
/// `AlreadyExists`; those of the file system.
pub fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path)
}

/// Creates a new file with these bytes, and syncs file and directory to disk. `mode`: Unix permissions, from which the
/// umask is subtracted.
///
/// # Errors
/// `AlreadyExists`; those of the file system, after which the file does not exist.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = create_new(path, mode)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_directory(parent_directory(path)));
    if written.is_err() {
        // Best effort: the returned error is the one that matters.
        fs::remove_file(path).ok();
    }
    written
}

/// Replaces the file at `path` atomically, or creates it, and syncs file and directory to disk. `mode`: Unix
/// permissions, from which the umask is subtracted. The content is first written to a temporary file with the suffix
/// `.new`, which is removed on failure.
///
/// # Errors
/// Those of the file system; `path` is then either unchanged or replaced.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent_directory(path);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut unfinished = name.to_owned();
    unfinished.push(TEMPORARY_SUFFIX);
    // Nobody uses a file that a power cut left half-written.
    match fs::remove_file(folder.join(unfinished)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut builder = tempfile::Builder::new();
    // Always the same name, so that nothing gathers where a program is killed.
    builder.prefix(name).suffix(TEMPORARY_SUFFIX).rand_bytes(0);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_directory(folder)
}

/// Suffix of the temporary file of a replacement.
const TEMPORARY_SUFFIX: &str = ".new";

/// Returns the directory that contains the file at this path; `.` for a bare file name.
fn parent_directory(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Directory that a command is filling. Unless [`keep`](Self::keep) is called, its files are removed on drop, and the
/// directory too if it was created, so that the command can be repeated.
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    is_created: bool,
    is_kept: bool,
}

impl NewDirectory {
    /// Creates a directory with its parents, or takes an existing empty one, and restricts it to its owner (mode 0700).
    ///
    /// # Errors
    /// `DirectoryNotEmpty`, and then nothing was changed; those of the file system.
    pub fn prepare(path: &Path) -> io::Result<Self> {
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
        Ok(Self { path: path.to_owned(), is_created: made, is_kept: false })
    }

    /// Completes the directory: its files are kept.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // It was empty: all that is in it was made since.
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            fs::remove_file(entry.path()).ok();
        }
        if self.is_created {
            fs::remove_dir(&self.path).ok();
        }
    }
}

/// Creates a directory that only its owner can read, with its parents; an existing one is unchanged.
///
/// # Errors
/// Those of the file system.
pub fn create_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Syncs a directory to disk, so that its new files survive a power failure. Does nothing on systems other than Unix.
///
/// # Errors
/// Those of the file system.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened.
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Opens a lock file, creating it if necessary, and locks it with `how`, a lock method of [`File`]. Returns the file,
/// whose lock lasts until it is closed, and `false` if another process holds a conflicting lock.
///
/// # Errors
/// Those of the file system.
pub fn lock_file(path: &Path, how: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<(File, bool)> {
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

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_never_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_new(&path, b"first", 0o600).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(write_new(&path, b"second", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert!(write_new(&folder.path().join("missing/key"), b"", 0o600).is_err());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let unfinished = folder.path().join("keys.json.new");
        // As a power cut leaves it, and readable to others.
        fs::write(&unfinished, "half").unwrap();
        for text in ["one", "two"] {
            replace_file(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), (text, 0o600));
        }
        assert!(!unfinished.exists());
        replace_file(&path, b"public", 0o644).unwrap();
        assert_eq!(mode(&path), 0o644);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        // Not a file: the new one cannot be renamed to it.
        let path = folder.path().join("keys.json");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        assert!(replace_file(&path, b"new", 0o600).is_err());
        assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "kept");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace_file(Path::new("/"), b"", 0o600).is_err());
    }

    #[test]
    fn a_directory_that_was_not_set_up_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for there in [false, true] {
            let path = folder.path().join("deep").join("data");
            if there {
                fs::create_dir_all(&path).unwrap();
            }
            let directory = NewDirectory::prepare(&path).unwrap();
            assert_eq!(mode(&path), 0o700);
            fs::write(path.join("keys.lock"), "").unwrap();
            assert_eq!(NewDirectory::prepare(&path).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
            assert!(path.join("keys.lock").exists());
            drop(directory);
            assert_eq!(path.exists(), there);

            let directory = NewDirectory::prepare(&path).unwrap();
            fs::write(path.join("keys.json"), "").unwrap();
            directory.keep();
            assert!(path.join("keys.json").exists());
            fs::remove_dir_all(&path).unwrap();
        }
    }
}
