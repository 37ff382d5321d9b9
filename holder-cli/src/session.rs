//! Session: wallet location, passphrase, catalogue, and network access of one command.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use age::secrecy::{ExposeSecret, SecretString};
use carnet_core::{
    day,
    did::{Did, Resolve},
    input::{NotUtf8, content_of_file, text_without_mark},
    time::Timestamp,
};
use carnet_fetch::{
    DidCache, FetchOptions, HttpsFetcher, is_fetch_failure,
    local::{Fingerprint, is_local},
};
use carnet_passphrase::{forbidden, normal};
use carnet_spec::Catalogue;
use carnet_wallet::{
    freshness::forget_stale,
    languages::Languages,
    ports::{Clock, DidParty, DocumentSource, Notice, Ports},
    wire::Wire,
};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    arguments::{ChangePassphrase, Global},
    client::wires::{Issuer, Verifier},
    failure::{Failure, Fault, Sentence},
    ui::{Ui, messages::Language, notices, sanitise::sanitise},
    wallet::{
        WalletContents, WalletFile, WalletPart,
        mark::{FileAge, MarkFolders},
        read_only,
    },
};

pub(crate) mod contacts;

use contacts::Contacts;

/// Minimum length of a new passphrase, in characters.
const SHORTEST: usize = 8;
/// Maximum age of a cached DID document within one run.
const DID_AGE: Duration = Duration::from_secs(300);

/// Kind of secret in the first line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Passphrase,
    Pin,
}

/// Source of a passphrase according to the command line.
struct PassphraseSource<'a> {
    file: Option<&'a Path>,
    fd: Option<u32>,
    /// Names of the options, for the error if neither is given.
    options: [&'static str; 2],
}

/// Session of one command.
pub(crate) struct Session {
    global: Global,
    /// User interface.
    pub(crate) ui: Ui,
    /// Source of the current time.
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Cache of DID documents.
    pub(crate) dids: DidCache,
    /// Certificates of the local sites that the opened wallet knows.
    local_pins: Mutex<BTreeSet<Fingerprint>>,
    /// Hosts that the run talks to.
    contacts: Contacts,
}

impl Session {
    /// Creates the session of a run.
    pub(crate) fn new(global: Global) -> Self {
        let language = global.lang.unwrap_or_else(Language::from_environment);
        let mut ui = Ui::new(global.json, global.no_input, language);
        ui.details = global.details;
        let (dids, local_pins) = (DidCache::default(), Mutex::default());
        let contacts = Contacts::new(language, ui.json);
        Self { global, ui, clock: Box::new(system_time), dids, local_pins, contacts }
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Returns the path of the wallet file.
    pub(crate) fn wallet_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.global.wallet {
            return Ok(path.clone());
        }
        let data = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        data.or_else(home).map(|data| data.join("carnet/wallet.age")).ok_or_else(|| {
            Failure::usage("wallet_missing", Sentence::id("error-no-home"), Sentence::id("hint-name-wallet"))
        })
    }

    /// Opens the wallet for changes.
    pub(crate) fn open(&self) -> Result<WalletFile, Failure> {
        let path = self.wallet_path()?;
        self.require(&path)?;
        let passphrase = self.passphrase(false)?;
        self.open_with(&path, passphrase)
    }

    fn open_with(&self, path: &Path, passphrase: SecretString) -> Result<WalletFile, Failure> {
        let mut wallet = WalletFile::open(path, passphrase, &self.ui.busy_wait(), Box::new(self.ui.wallet_wait()))?;
        wallet.check_logs(&self.dids);
        self.know_local_sites(&wallet.contents);
        // Expired statements on copies are erased from the file with the next change.
        forget_stale(&mut wallet.contents, self.now());
        self.hold_to_mark(&mut wallet, path)?;
        self.forget_old(&mut wallet)?;
        Ok(wallet)
    }

    /// Treats a file that is behind its mark, or has no mark here, as restored from a copy: all its copies count as
    /// shown, and the log records it.
    fn hold_to_mark(&self, wallet: &mut WalletFile, path: &Path) -> Result<(), Failure> {
        if wallet.keep_mark(MarkFolders::of(self.state_folder(), path)) == FileAge::Newest {
            return Ok(());
        }
        wallet.contents.record_restore(self.now());
        wallet.save()?;
        self.ui.note(&self.ui.messages.text("restored-noticed"));
        Ok(())
    }

    /// Forgets log entries older than the owner's retention period. Saves at once, because they would reappear
    /// otherwise.
    fn forget_old(&self, wallet: &mut WalletFile) -> Result<(), Failure> {
        let Some(from) = wallet.contents.retention_start(self.now()) else { return Ok(()) };
        // An invalid log is left unchanged; `carnet log --verify` reports the fault.
        let count = wallet.contents.forget(from, self.now()).unwrap_or_default();
        if count == 0 {
            return Ok(());
        }
        wallet.save()?;
        let arguments = [("count", count.to_string()), ("day", day::format_start(from))];
        let arguments = arguments.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.ui.note(&self.ui.messages.with("log-forgot", &arguments));
        Ok(())
    }

    /// Returns the folder of the rollback marks, which reveal an older wallet file; `None`: the folder of the wallet.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        if let Some(folder) = &self.global.state {
            return Some(folder.clone());
        }
        if cfg!(test) {
            return None;
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
        state.map(|folder| folder.join("carnet"))
    }

    /// Reads the wallet. A file that was restored from a copy is marked first, and log entries past the retention
    /// period are deleted.
    pub(crate) fn read(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletPart::Whole)
    }

    /// Reads the wallet without the texts of copies.
    pub(crate) fn read_without_texts(&self) -> Result<WalletContents, Failure> {
        self.read_as(WalletPart::WithoutTexts)
    }

    fn read_as(&self, reading: WalletPart) -> Result<WalletContents, Failure> {
        let path = self.wallet_path()?;
        self.require(&path)?;
        let passphrase = self.passphrase(false)?;
        let opening = self.ui.wallet_wait().begin();
        let mut contents = read_only(&path, &passphrase, reading)?;
        drop(opening);
        if self.is_change_due(&contents, &path) {
            contents = match self.open_with(&path, passphrase.clone()) {
                Ok(_) => read_only(&path, &passphrase, reading)?,
                // If the file is locked, the owner sees the same content; the next command changes the file.
                Err(_) => self.changed(contents, &path),
            };
        }
        self.dids.remember(contents.logs.clone());
        self.know_local_sites(&contents);
        Ok(contents)
    }

    /// Returns whether opening the wallet would change it: it was restored from a copy, or entries are past the
    /// retention period.
    fn is_change_due(&self, contents: &WalletContents, path: &Path) -> bool {
        let is_old = |from| contents.log.before(from) > 0;
        self.is_put_back(contents, path) || contents.retention_start(self.now()).is_some_and(is_old)
    }

    fn is_put_back(&self, contents: &WalletContents, path: &Path) -> bool {
        contents.age(&MarkFolders::of(self.state_folder(), path)) != FileAge::Newest
    }

    /// Returns the contents as they will be after the next change of the file.
    fn changed(&self, mut contents: WalletContents, path: &Path) -> WalletContents {
        if self.is_put_back(&contents, path) {
            contents.record_restore(self.now());
            self.ui.note(&self.ui.messages.text("restored-noticed"));
        }
        if let Some(from) = contents.retention_start(self.now()) {
            // An invalid log is left unchanged.
            let _ = contents.forget(from, self.now());
        }
        contents
    }

    fn know_local_sites(&self, contents: &WalletContents) {
        let pins = contents.local_sites.iter().map(|site| site.certificate_sha256.clone()).collect();
        *self.local_pins.lock().unwrap_or_else(PoisonError::into_inner) = pins;
    }

    /// Checks that the wallet exists before asking for a passphrase.
    fn require(&self, path: &Path) -> Result<(), Failure> {
        if path.exists() {
            return Ok(());
        }
        let message = Sentence::id("error-wallet-missing").with("path", path.display());
        Err(Failure::usage("wallet_missing", message, Sentence::id("hint-init")))
    }

    /// Reads the passphrase from the source on the command line, or asks for it on the terminal.
    pub(crate) fn passphrase(&self, new: bool) -> Result<SecretString, Failure> {
        let (file, fd) = (self.global.passphrase_file.as_deref(), self.global.passphrase_fd);
        self.passphrase_from(&PassphraseSource { file, fd, options: ["--passphrase-file", "--passphrase-fd"] }, new)
    }

    /// Reads the new passphrase of the wallet.
    pub(crate) fn read_new_passphrase(&self, arguments: &ChangePassphrase) -> Result<SecretString, Failure> {
        let (file, fd) = (arguments.new_passphrase_file.as_deref(), arguments.new_passphrase_fd);
        let options = ["--new-passphrase-file", "--new-passphrase-fd"];
        self.passphrase_from(&PassphraseSource { file, fd, options }, true)
    }

    fn passphrase_from(&self, source: &PassphraseSource<'_>, new: bool) -> Result<SecretString, Failure> {
        let given = match (source.file, source.fd) {
            (Some(path), _) => Some(first_line(path, SecretKind::Passphrase)?),
            // The standard library cannot open a descriptor by number safely; the system opens it by name.
            (None, Some(fd)) => Some(first_line(Path::new(&format!("/dev/fd/{fd}")), SecretKind::Passphrase)?),
            (None, None) => None,
        };
        let passphrase = match given {
            Some(passphrase) => passphrase,
            None if self.ui.can_prompt() => self.ask_passphrase(new)?,
            None => {
                let [file, fd] = source.options;
                let message = if new { "error-new-passphrase-needed" } else { "error-passphrase-needed" };
                let hint = Sentence::id("hint-passphrase-options").with("file", file).with("fd", fd);
                return Err(Failure::usage("passphrase_needed", Sentence::id(message), hint));
            }
        };
        if new {
            check_new(&passphrase)?;
        }
        Ok(passphrase)
    }

    fn ask_passphrase(&self, new: bool) -> Result<SecretString, Failure> {
        let none = || {
            let message = Sentence::id("error-passphrase-none");
            Failure::usage("passphrase_needed", message, Sentence::id("hint-passphrase-file"))
        };
        let ask = |id: &str| {
            let prompt = format!("{}: ", self.ui.messages.text(id));
            rpassword::prompt_password(prompt).map(SecretString::from).map_err(|_| none())
        };
        if !new {
            return ask("wallet-passphrase");
        }
        let (first, second) = (ask("wallet-passphrase-new")?, ask("wallet-passphrase-again")?);
        if normal(&first).expose_secret() != normal(&second).expose_secret() {
            let message = Sentence::id("error-passphrases-differ");
            return Err(Failure::usage("passphrase_differs", message, Sentence::id("hint-same-twice")));
        }
        Ok(first)
    }

    /// Loads the credential types.
    pub(crate) fn catalogue(&self) -> Result<Catalogue, Failure> {
        match &self.global.catalogue {
            Some(folder) => Catalogue::load(folder),
            None => Catalogue::embedded(),
        }
        .map_err(|error| {
            let message = Sentence::id("error-catalogue").details(error);
            Failure::usage("catalogue_invalid", message, Sentence::id("hint-catalogue"))
        })
    }

    /// Reads the additional certificates, if there are any.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = &self.global.ca else { return Ok(None) };
        let read = std::fs::read(path).and_then(|pem| file_without_mark(&pem).map(<[u8]>::to_vec));
        read.map(Some).map_err(|error| {
            let message = Sentence::id("error-ca-unreadable").with("path", path.display()).details(error);
            Failure::usage("ca_unreadable", message, Sentence::id("hint-ca"))
        })
    }

    fn fetch_options(&self) -> Result<FetchOptions, Failure> {
        Ok(FetchOptions {
            extra_ca_pem: self.ca()?,
            private_hosts: self.global.private_host.iter().cloned().collect::<BTreeSet<_>>(),
            local_pins: self.local_pins.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ..FetchOptions::default()
        })
    }

    fn fetcher(&self) -> Result<HttpsFetcher, Failure> {
        HttpsFetcher::new(self.fetch_options()?).map_err(|problem| {
            Failure::from_problem(&problem, Sentence::id("error-ca-unusable"), Sentence::id("hint-ca"))
        })
    }
}

impl Clock for Session {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit, work).await.ok()
    }
}

impl DocumentSource for Session {
    fn resolver(&self) -> &dyn Resolve {
        &self.dids
    }

    /// Fetches an https URL given by the owner or an issuer.
    async fn download(&self, url: &str, accept: &str, max_bytes: usize) -> Result<Vec<u8>, Failure> {
        let failed = |problem: &carnet_core::Problem| {
            let (message, hint, fault) = if is_fetch_failure(problem.code) {
                ("error-not-fetched", "hint-address-connection", Fault::Network)
            } else {
                ("error-fetched-refused", "hint-address-owner", Fault::Ours)
            };
            Failure::from_problem(problem, Sentence::id(message).with("url", sanitise(url)), Sentence::id(hint))
                .by(fault)
        };
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let _waiting = self.ui.service_wait(host.as_deref().unwrap_or(url)).begin();
        let bytes = self.fetcher()?.bytes(url, accept, max_bytes).await;
        bytes.map_err(|problem| failed(&problem))
    }

    /// Ensures that [`Session::dids`] has the document of a DID.
    async fn resolve(&self, did: &Did, whose: DidParty) -> Result<(), Failure> {
        let failed = |problem: &carnet_core::Problem| {
            let (message, hint) = match (whose, is_fetch_failure(problem.code)) {
                (DidParty::Issuer, true) => ("error-issuer-not-found", "hint-connection-test"),
                (DidParty::Asker, true) => ("error-asker-not-found", "hint-connection-test"),
                (DidParty::Issuer, false) => ("error-issuer-document", "hint-tell-issuer-first"),
                (DidParty::Asker, false) => ("error-asker-document", "hint-tell-asker-first"),
            };
            let is_unknown_here = is_fetch_failure(problem.code) && is_local(did.as_str());
            let hint = if is_unknown_here { "hint-local-unresolved" } else { hint };
            // The party has no name yet.
            let detail = format!("{did}: {}", sanitise(&problem.detail));
            let fault = match whose {
                _ if is_fetch_failure(problem.code) => Fault::Network,
                DidParty::Issuer => Fault::Issuer,
                DidParty::Asker => Fault::Asker,
            };
            let failure = Failure::from_problem(problem, Sentence::id(message), Sentence::id(hint)).by(fault);
            Failure { message: failure.message.details(detail), ..failure }
        };
        let fetcher = self.fetcher()?;
        let _waiting = self.ui.service_wait(did.as_str()).begin();
        self.dids.refresh(&fetcher, did, DID_AGE).await.map_err(|problem| failed(&problem))
    }

    /// Fetches the document of a DID into [`Session::dids`] even if it is cached: new data may be signed with a
    /// newer key. On failure, the cached document is kept.
    async fn look_up(&self, did: &Did) {
        if let Ok(fetcher) = self.fetcher() {
            let _ = self.dids.refresh(&fetcher, did, Duration::ZERO).await;
        }
    }
}

impl Ports for Session {
    type Issuer = Issuer;
    type Verifier = Verifier;

    async fn issuer(&self, endpoint: &str, wire: Wire) -> Result<Issuer, Failure> {
        Issuer::connect(self, endpoint, wire).await
    }

    async fn verifier(&self, endpoint: &str, wire: Wire) -> Result<Verifier, Failure> {
        Verifier::connect(self, endpoint, wire).await
    }

    fn catalogue(&self) -> Result<Catalogue, Failure> {
        Self::catalogue(self)
    }

    fn languages(&self) -> Languages {
        self.ui.messages.languages()
    }

    fn tell(&self, notice: Notice<'_>) {
        self.ui.note(&notices::text(&self.ui.messages, &notice));
    }
}

/// Refuses a new passphrase that is too short, or possibly impossible to type again.
fn check_new(passphrase: &SecretString) -> Result<(), Failure> {
    if normal(passphrase).expose_secret().chars().count() < SHORTEST {
        let message = Sentence::id("error-passphrase-short").with("count", SHORTEST);
        return Err(Failure::usage("passphrase_short", message, Sentence::id("hint-several-words")));
    }
    if forbidden(passphrase).is_some() {
        let message = Sentence::id("error-passphrase-unsafe");
        return Err(Failure::usage("passphrase_unsafe", message, Sentence::id("hint-letters")));
    }
    Ok(())
}

/// Returns the first line of a small file, without its line ending, for passphrases and PINs. A byte-order mark is
/// kept, since older wallets may be encrypted with it.
pub(crate) fn first_line(path: &Path, kind: SecretKind) -> Result<SecretString, Failure> {
    let read = || -> std::io::Result<SecretString> {
        let mut line = Zeroizing::new(Vec::with_capacity(4_096));
        BufReader::new(File::open(path)?.take(4_096)).read_until(b'\n', &mut line)?;
        file_without_mark(&line)?;
        let line = std::str::from_utf8(&line).map_err(|_| std::io::Error::other(NotUtf8::Other))?;
        Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
    };
    let is_pin = kind == SecretKind::Pin;
    let secret = read().map_err(|error| {
        let (reason, message) = if is_pin {
            ("pin_unreadable", "error-pin-file")
        } else {
            ("passphrase_unreadable", "error-passphrase-file")
        };
        let message = Sentence::id(message).with("path", path.display()).details(error);
        Failure::usage(reason, message, Sentence::id("hint-file-is-yours"))
    })?;
    if text_without_mark(secret.expose_secret()).is_empty() {
        let (reason, hint) =
            if is_pin { ("pin_needed", "hint-put-pin") } else { ("passphrase_needed", "hint-put-passphrase") };
        let message = Sentence::id("error-first-line-empty").with("path", path.display());
        return Err(Failure::usage(reason, message, Sentence::id(hint)));
    }
    Ok(secret)
}

/// Returns the content of a file given by the holder, without a leading byte-order mark.
pub(crate) fn file_without_mark(content: &[u8]) -> std::io::Result<&[u8]> {
    content_of_file(content).map_err(std::io::Error::other)
}

/// Returns the time of the system clock, which advances while the machine sleeps.
pub(crate) fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
