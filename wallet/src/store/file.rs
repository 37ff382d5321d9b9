//! Wallet file: encrypted with age and a passphrase, and replaced atomically under a lock.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, Read, Write},
    iter,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use age::{DecryptError, Decryptor, Encryptor, secrecy::SecretString};
use carnet_fetch::DidCache;
use carnet_passphrase::{PassphraseIdentity, PassphraseRecipient};

use super::{
    Wallet, WalletStore,
    contents::{WalletContents, random_id},
    rollback_mark::{MarkComparison, MarkDirectories},
};
use crate::{
    failure::{DataSafety, Failure, FailureReason, Sentence},
    progress::{SilentObserver, WorkObserver},
};

mod format;

/// Default binary logarithm of scrypt's N; deriving the key then takes about one second.
pub const DEFAULT_WORK_FACTOR: u8 = 18;
/// Minimum binary logarithm of scrypt's N.
pub const MIN_WORK_FACTOR: u8 = 12;
/// Maximum binary logarithm of scrypt's N. It limits the cost of opening an untrusted file to 1 GiB of memory.
pub const MAX_WORK_FACTOR: u8 = 20;
/// Maximum file size, in bytes.
const LARGEST: u64 = 128 * 1024 * 1024;
/// Maximum wait for another command that holds the lock of the wallet.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Maximum number of did:webvh logs whose last entry is remembered.
const LOGS: usize = 4_096;

/// Encrypted wallet file, which is locked while this value exists.
pub struct FileStore {
    path: PathBuf,
    passphrase: SecretString,
    /// Held, not used: closing it releases the lock.
    _lock: File,
    /// Cache of the DID documents of this run, from which the last entries of did:webvh logs are saved.
    dids: DidCache,
    /// Observer that is notified while opening or saving is slow.
    wait: Box<dyn WorkObserver>,
    /// Directories of the rollback mark; `None`: no mark is kept.
    marks: Option<MarkDirectories>,
}

/// Wallet in an encrypted file.
pub type WalletFile = Wallet<FileStore>;

impl WalletFile {
    /// Creates the file of an empty wallet, and its directory. Never replaces an existing file.
    ///
    /// # Errors
    /// `wallet_exists`, `wallet_unwritable`, `wallet_busy`
    pub fn create(path: &Path, passphrase: SecretString, work_factor: u8) -> Result<(), Failure> {
        Self::create_with_contents(path, passphrase, &mut WalletContents::new(work_factor))
    }

    /// Creates the file of a wallet with the given contents, and its directory. Never replaces an existing file.
    ///
    /// # Errors
    /// `wallet_exists`, `wallet_unwritable`, `wallet_busy`
    pub fn create_with_contents(
        path: &Path,
        passphrase: SecretString,
        contents: &mut WalletContents,
    ) -> Result<(), Failure> {
        let exists = || {
            let message = Sentence::new("error-wallet-exists").with("path", path.display());
            Failure::new(FailureReason::WalletExists, message, Sentence::new("hint-wallet-exists"))
        };
        if let Some(folder) = folder_of(path) {
            carnet_disk::create_private_directory(folder).map_err(|error| unwritable(path, &error))?;
        }
        if path.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let _lock = lock(path, PATIENCE)?;
        contents.pack();
        let temporary = write_encrypted(path, contents, &passphrase)?;
        temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => unwritable(path, &error.error),
        })?;
        sync_folder(path).map_err(|error| unwritable(path, &error))
    }

    /// Opens a wallet for changes, and locks it. `busy` is notified while another command has the lock, `wait` while
    /// decryption or saving is slow.
    ///
    /// # Errors
    /// `wallet_missing`; `wallet_busy` after ten seconds; `wrong_passphrase`; `wallet_corrupted`, `wallet_version`,
    /// `work_factor`, `wallet_unreadable`, `wallet_unwritable`.
    pub fn open(
        path: &Path,
        passphrase: SecretString,
        busy: &dyn WorkObserver,
        wait: Box<dyn WorkObserver>,
    ) -> Result<Self, Failure> {
        require_exists(path)?;
        let waiting = busy.begin();
        let lock = lock(path, PATIENCE)?;
        drop(waiting);
        Self::locked(path, passphrase, lock, wait)
    }

    fn locked(path: &Path, passphrase: SecretString, lock: File, wait: Box<dyn WorkObserver>) -> Result<Self, Failure> {
        let opening = wait.begin();
        remove_unfinished(path);
        let (contents, older_form) = read_with_form(path, &passphrase, WalletScope::Whole)?;
        drop(opening);
        let (path, dids) = (path.to_owned(), DidCache::default());
        let store = FileStore { path, passphrase, _lock: lock, dids, wait, marks: None };
        let mut wallet = Self { contents, store };
        if older_form {
            wallet.save()?;
        }
        Ok(wallet)
    }

    /// Uses a cache of DID documents that refuses did:webvh logs which do not continue the last entries accepted by
    /// this wallet. The next [`Wallet::save`] stores the last entries that the cache has accepted since.
    pub fn use_did_cache(&mut self, dids: &DidCache) {
        dids.set_accepted_entries(self.contents.webvh_versions.clone());
        self.store.dids = dids.clone();
    }

    /// Compares the file with its rollback mark, and updates the mark with each save from now on. A wallet without a
    /// mark gets one with the next change.
    pub fn enable_mark(&mut self, folders: MarkDirectories) -> MarkComparison {
        let age = self.contents.compare_with_mark(&folders);
        if let MarkComparison::Outdated { newest } = age {
            // With the next change this file is the newest.
            self.contents.revision = newest;
        }
        self.store.marks = Some(folders);
        age
    }

    /// Saves the contents with a new passphrase, which is used from now on.
    pub fn change_passphrase(mut self, passphrase: SecretString) -> Result<(), Failure> {
        self.store.passphrase = passphrase;
        // The file is replaced before the folder is synced: if the sync fails, the passphrase has been changed already.
        let either = || Sentence::new("hint-either-passphrase");
        self.save().map_err(|failure| Failure { hint: failure.hint.followed_by(either()), ..failure })
    }

    /// Writes the contents to a new file that another passphrase opens.
    ///
    /// # Errors
    /// `file_unwritable`, also if the file exists.
    pub fn copy_with_passphrase(&self, copy: &Path, passphrase: &SecretString) -> Result<(), Failure> {
        let unwritable = |details: String| {
            let message = Sentence::new("error-file-unwritable").with("path", copy.display()).with_details(details);
            Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-new-file"))
        };
        let _waiting = self.store.wait.begin();
        let mut contents = self.contents.clone();
        contents.pack();
        let written = write_encrypted(copy, &contents, passphrase).map_err(|failure| Failure {
            reason: FailureReason::FileUnwritable,
            hint: Sentence::new("hint-new-file"),
            ..failure
        })?;
        written.persist_noclobber(copy).map_err(|error| unwritable(error.error.to_string()))?;
        sync_folder(copy).map_err(|error| unwritable(error.to_string()))
    }

    /// Copies the encrypted file unchanged to a new file, which has the same passphrase.
    ///
    /// # Errors
    /// `file_unwritable`, also if the file exists.
    pub fn copy_to(&self, copy: &Path) -> Result<(), Failure> {
        let unwritable = |error: io::Error| {
            let message = Sentence::new("error-file-unwritable").with("path", copy.display()).with_details(error);
            Failure::new(FailureReason::FileUnwritable, message, Sentence::new("hint-new-file"))
        };
        let mut file = File::open(&self.store.path).map_err(unwritable)?;
        let mut written = carnet_disk::create_new(copy, 0o600).map_err(unwritable)?;
        io::copy(&mut file, &mut written).and_then(|_| written.sync_all()).map_err(unwritable)
    }
}

impl WalletStore for FileStore {
    fn save(&mut self, contents: &mut WalletContents) -> Result<(), Failure> {
        for (did, last) in self.dids.accepted_entries() {
            if contents.webvh_versions.len() < LOGS || contents.webvh_versions.contains_key(&did) {
                contents.webvh_versions.insert(did, last);
            }
        }
        let _waiting = self.wait.begin();
        contents.pack();
        if self.marks.is_some() {
            contents.mark_id.get_or_insert_with(random_id);
            contents.revision = contents.revision.saturating_add(1);
        }
        let temporary = write_encrypted(&self.path, contents, &self.passphrase)?;
        temporary.persist(&self.path).map_err(|error| unwritable(&self.path, &error.error))?;
        sync_folder(&self.path).map_err(|error| unwritable(&self.path, &error))?;
        if let (Some(folders), Some(name)) = (&self.marks, &contents.mark_id) {
            folders.write_mark(name, contents.revision).map_err(|error| unmarked(&self.path, &error))?;
        }
        Ok(())
    }
}

/// Returns the failure for an unwritable rollback mark: the next command would take the wallet for one restored from a
/// copy.
fn unmarked(path: &Path, error: &io::Error) -> Failure {
    let message = Sentence::new("error-wallet-unmarked").with("path", path.display()).with_details(error);
    Failure::new(FailureReason::WalletUnwritable, message, Sentence::new("hint-space")).with_safety(DataSafety::Stored)
}

/// Part of a wallet file that is decrypted and parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletScope {
    /// Everything.
    Whole,
    /// Everything except the texts of copies and request objects, which are most of the file. Before version 5, they
    /// are part of the contents and always read.
    WithoutTexts,
}

/// Reads a wallet without a lock, since changes replace the file atomically.
///
/// A wallet that is encrypted with an older form of its passphrase is encrypted again if the lock is free: a holder who
/// only reads would otherwise keep a form that another keyboard may not be able to type.
///
/// # Errors
/// As [`WalletFile::open`], except `wallet_busy`.
pub fn read_wallet(path: &Path, passphrase: &SecretString, reading: WalletScope) -> Result<WalletContents, Failure> {
    let (contents, older_form) = read_with_form(path, passphrase, reading)?;
    if older_form && let Ok(lock) = lock(path, Duration::ZERO) {
        // The contents are read already. If the file cannot be written, it opens as before next time.
        let _ = WalletFile::locked(path, passphrase.clone(), lock, Box::new(SilentObserver));
    }
    Ok(contents)
}

/// Reads a wallet. The second value is `true` if it is encrypted with an older form of the passphrase.
fn read_with_form(
    path: &Path,
    passphrase: &SecretString,
    reading: WalletScope,
) -> Result<(WalletContents, bool), Failure> {
    require_exists(path)?;
    let unreadable = |error: io::Error| {
        let message = Sentence::new("error-wallet-unreadable").with("path", path.display()).with_details(error);
        Failure::new(FailureReason::WalletUnreadable, message, Sentence::new("hint-may-be-read"))
            .with_safety(DataSafety::Unreadable)
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > LARGEST {
        return Err(corrupted("why-larger"));
    }
    let identity = PassphraseIdentity::new(passphrase, MAX_WORK_FACTOR);
    let decryptor = Decryptor::new_buffered(BufReader::new(file.take(LARGEST))).map_err(undecryptable)?;
    let reader = decryptor.decrypt(iter::once(&identity as &dyn age::Identity)).map_err(undecryptable)?;
    let contents = format::read(reader, reading)?;
    Ok((contents, identity.opened_by_older_form()))
}

fn undecryptable(error: DecryptError) -> Failure {
    match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => Failure::new(
            FailureReason::WrongPassphrase,
            Sentence::new("error-wrong-passphrase"),
            Sentence::new("hint-keyboard"),
        ),
        DecryptError::ExcessiveWork { .. } => Failure::new(
            FailureReason::WorkFactor,
            Sentence::new("error-work-factor"),
            Sentence::new("hint-strange-file"),
        ),
        _ => corrupted("why-not-wallet-file"),
    }
}

/// Returns the failure for a damaged file; `why` is the message id of the reason.
fn corrupted(why: &'static str) -> Failure {
    let message = Sentence::new("error-wallet-corrupted").with_part("why", Sentence::new(why));
    Failure::new(FailureReason::WalletCorrupted, message, Sentence::new("hint-put-back"))
        .with_safety(DataSafety::Unreadable)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = Sentence::new("error-wallet-unwritable").with("path", path.display()).with_details(error);
    Failure::new(FailureReason::WalletUnwritable, message, Sentence::new("hint-space"))
}

/// Checks that there is a file at the path of a wallet.
///
/// # Errors
/// `wallet_missing`
pub fn require_exists(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let message = Sentence::new("error-wallet-missing").with("path", path.display());
    Err(Failure::usage(FailureReason::WalletMissing, message, Sentence::new("hint-init")))
}

/// Writes the encrypted contents to a file next to the wallet, and syncs it. The file is deleted unless it is
/// persisted.
fn write_encrypted(
    path: &Path,
    contents: &WalletContents,
    passphrase: &SecretString,
) -> Result<tempfile::NamedTempFile, Failure> {
    let folder = folder_of(path).unwrap_or(Path::new("."));
    let seal = || -> io::Result<tempfile::NamedTempFile> {
        // `tempfile` creates files with mode 0600.
        let prefix = unfinished_prefix(path);
        let mut temporary = tempfile::Builder::new().prefix(&prefix).suffix(UNFINISHED).tempfile_in(folder)?;
        let work_factor = contents.work_factor.clamp(MIN_WORK_FACTOR, MAX_WORK_FACTOR);
        let recipient = PassphraseRecipient::new(passphrase, work_factor);
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
            .map_err(|_| io::Error::other("the passphrase cannot be used"))?;
        let mut writer = encryptor.wrap_output(temporary.as_file_mut())?;
        // Written straight into the cipher: the complete plain text is never in memory.
        format::write(&mut writer, contents)?;
        writer.finish()?.flush()?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    };
    seal().map_err(|error| unwritable(path, &error))
}

/// Suffix of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// Returns the prefix of unfinished files of this wallet.
fn unfinished_prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes the files of a program that was killed while writing. Under the lock nobody else writes.
fn remove_unfinished(path: &Path) {
    let prefix = unfinished_prefix(path);
    let Ok(entries) = fs::read_dir(folder_of(path).unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let unfinished = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(UNFINISHED));
        if unfinished {
            // A file that cannot be removed does no harm: it is encrypted like the wallet.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
}

/// Makes the rename itself survive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    carnet_disk::sync_directory(folder_of(path).unwrap_or(Path::new(".")))
}

/// Acquires the lock file next to the wallet, waiting up to `patience`. The file is never removed: after a removal two
/// commands could lock at once.
///
/// # Errors
/// `wallet_busy`, `wallet_unwritable`
fn lock(path: &Path, patience: Duration) -> Result<File, Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(PathBuf::from(name)).map_err(|error| unwritable(path, &error))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < patience => thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => {
                let message = Sentence::new("error-wallet-busy");
                return Err(Failure::temporary(FailureReason::WalletBusy, message, Sentence::new("hint-busy")));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(path, &error)),
        }
    }
}

#[cfg(test)]
mod tests;
