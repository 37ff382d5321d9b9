//! Passphrases and PINs from files, file descriptors, or the terminal.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use age::secrecy::{ExposeSecret, SecretString};
use carnet_core::input::{NotUtf8, decode_file_bytes, text_without_bom};
use carnet_passphrase::{first_forbidden_character, normal_form};
use zeroize::Zeroizing;

use crate::{
    failure::{Failure, FailureReason, Sentence},
    passphrase_memory::PassphraseMemory,
    ui::Ui,
};

/// Minimum length of a new passphrase after normalisation, in characters.
const SHORTEST: usize = 8;

/// Options that name the passphrase of a file.
const FILE_OPTIONS: [&str; 2] = ["--file-passphrase-file", "--file-passphrase-fd"];

/// Kind of secret in the first line of a file, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    Passphrase,
    Pin,
}

/// Source of a passphrase given on the command line: a file or an open file descriptor; neither: the terminal.
#[derive(Clone)]
pub(crate) struct PassphraseSource {
    pub(crate) file: Option<PathBuf>,
    pub(crate) fd: Option<u32>,
}

/// Reader of passphrases: from the command line's source, otherwise from the terminal.
#[derive(Clone)]
pub(crate) struct PassphraseReader {
    source: PassphraseSource,
    /// Memory of a menu session; `None`: the passphrase is asked for by each command.
    memory: Option<PassphraseMemory>,
    ui: Rc<Ui>,
}

impl PassphraseReader {
    /// Creates the reader of a command.
    pub(crate) const fn new(source: PassphraseSource, memory: Option<PassphraseMemory>, ui: Rc<Ui>) -> Self {
        Self { source, memory, ui }
    }

    /// Reads the passphrase of an existing wallet.
    ///
    /// # Errors
    /// `passphrase_needed` without a source and a terminal; the source cannot be read.
    pub(crate) fn read_existing(&self) -> Result<SecretString, Failure> {
        match read_source(&self.source)? {
            Some(passphrase) => Ok(passphrase),
            None if self.ui.can_prompt() => {
                if let Some(known) = self.memory.as_ref().and_then(PassphraseMemory::recall) {
                    return Ok(known);
                }
                let passphrase = self.ask("wallet-passphrase")?;
                self.memory.iter().for_each(|memory| memory.remember(&passphrase));
                Ok(passphrase)
            }
            None => Err(passphrase_needed("error-passphrase-needed", ["--passphrase-file", "--passphrase-fd"])),
        }
    }

    /// Reads the passphrase of a new wallet; at the terminal, it must be typed twice.
    ///
    /// # Errors
    /// As [`Self::read_existing`]; `passphrase_differs`, `passphrase_short`, `passphrase_unsafe`.
    pub(crate) fn read_initial(&self) -> Result<SecretString, Failure> {
        self.read_new(&self.source, ["--passphrase-file", "--passphrase-fd"])
    }

    /// Reads the passphrase that replaces that of the wallet; at the terminal, it must be typed twice.
    ///
    /// # Errors
    /// As [`Self::read_initial`].
    pub(crate) fn read_replacement(&self, source: &PassphraseSource) -> Result<SecretString, Failure> {
        self.read_new(source, ["--new-passphrase-file", "--new-passphrase-fd"])
    }

    /// Reads the passphrase of a new file; at the terminal, it must be typed twice.
    ///
    /// # Errors
    /// As [`Self::read_initial`].
    pub(crate) fn read_for_new_file(&self, source: &PassphraseSource) -> Result<SecretString, Failure> {
        self.read_new(source, FILE_OPTIONS)
    }

    /// Reads the passphrase of an encrypted file.
    ///
    /// # Errors
    /// As [`Self::read_existing`].
    pub(crate) fn read_for_file(&self, source: &PassphraseSource) -> Result<SecretString, Failure> {
        match read_source(source)? {
            Some(passphrase) => Ok(passphrase),
            None if self.ui.can_prompt() => self.ask("file-passphrase"),
            None => Err(passphrase_needed("error-file-passphrase-needed", FILE_OPTIONS)),
        }
    }

    /// Reads and checks a new passphrase. `options` are named in the error if there is neither a source nor a terminal.
    fn read_new(&self, source: &PassphraseSource, options: [&'static str; 2]) -> Result<SecretString, Failure> {
        let passphrase = match read_source(source)? {
            Some(passphrase) => passphrase,
            None if self.ui.can_prompt() => self.ask_twice()?,
            None => return Err(passphrase_needed("error-new-passphrase-needed", options)),
        };
        check_new(&passphrase)?;
        self.memory.iter().for_each(|memory| memory.remember(&passphrase));
        Ok(passphrase)
    }

    fn ask_twice(&self) -> Result<SecretString, Failure> {
        let (first, second) = (self.ask("wallet-passphrase-new")?, self.ask("wallet-passphrase-again")?);
        if normal_form(&first).expose_secret() != normal_form(&second).expose_secret() {
            let message = Sentence::new("error-passphrases-differ");
            return Err(Failure::usage(
                FailureReason::Program("passphrase_differs"),
                message,
                Sentence::new("hint-same-twice"),
            ));
        }
        Ok(first)
    }

    fn ask(&self, id: &str) -> Result<SecretString, Failure> {
        let prompt = format!("{}: ", self.ui.messages.text(id));
        carnet_console::read_hidden_line(&prompt).map(SecretString::from).map_err(|_| {
            let message = Sentence::new("error-passphrase-none");
            Failure::usage(FailureReason::Program("passphrase_needed"), message, Sentence::new("hint-passphrase-file"))
        })
    }
}

/// Reads a passphrase from its source; `None` if the command line names none.
fn read_source(source: &PassphraseSource) -> Result<Option<SecretString>, Failure> {
    match (&source.file, source.fd) {
        (Some(path), _) => read_first_line(path, SecretKind::Passphrase).map(Some),
        // The standard library cannot open a descriptor by number safely; the system opens it by name.
        (None, Some(fd)) => read_first_line(Path::new(&format!("/dev/fd/{fd}")), SecretKind::Passphrase).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns the failure for a passphrase that neither the command line nor a terminal gives.
fn passphrase_needed(message: &'static str, [file, fd]: [&'static str; 2]) -> Failure {
    let hint = Sentence::new("hint-passphrase-options").with("file", file).with("fd", fd);
    Failure::usage(FailureReason::Program("passphrase_needed"), Sentence::new(message), hint)
}

/// Refuses a new passphrase that is too short, or has characters that may be impossible to type again.
fn check_new(passphrase: &SecretString) -> Result<(), Failure> {
    if normal_form(passphrase).expose_secret().chars().count() < SHORTEST {
        let message = Sentence::new("error-passphrase-short").with("count", SHORTEST);
        return Err(Failure::usage(
            FailureReason::Program("passphrase_short"),
            message,
            Sentence::new("hint-several-words"),
        ));
    }
    if first_forbidden_character(passphrase).is_some() {
        let message = Sentence::new("error-passphrase-unsafe");
        return Err(Failure::usage(
            FailureReason::Program("passphrase_unsafe"),
            message,
            Sentence::new("hint-letters"),
        ));
    }
    Ok(())
}

/// Returns the first line of a file without its line ending, at most 4,096 bytes. A byte-order mark is kept, since
/// older wallets may be encrypted with it.
///
/// # Errors
/// `passphrase_unreadable` or `pin_unreadable`; `passphrase_needed` or `pin_needed` if the line is empty.
pub(crate) fn read_first_line(path: &Path, kind: SecretKind) -> Result<SecretString, Failure> {
    let read = || -> std::io::Result<SecretString> {
        let mut line = Zeroizing::new(Vec::with_capacity(4_096));
        BufReader::new(File::open(path)?.take(4_096)).read_until(b'\n', &mut line)?;
        decode_file_bytes(&line).map_err(std::io::Error::other)?;
        let line = std::str::from_utf8(&line).map_err(|_| std::io::Error::other(NotUtf8::Other))?;
        Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
    };
    let is_pin = kind == SecretKind::Pin;
    let secret = read().map_err(|error| {
        let (reason, message) = if is_pin {
            (FailureReason::Program("pin_unreadable"), "error-pin-file")
        } else {
            (FailureReason::Program("passphrase_unreadable"), "error-passphrase-file")
        };
        let message = Sentence::new(message).with("path", path.display()).with_details(error);
        Failure::usage(reason, message, Sentence::new("hint-file-is-yours"))
    })?;
    if text_without_bom(secret.expose_secret()).is_empty() {
        let (reason, hint) =
            if is_pin { ("pin_needed", "hint-put-pin") } else { ("passphrase_needed", "hint-put-passphrase") };
        let message = Sentence::new("error-first-line-empty").with("path", path.display());
        return Err(Failure::usage(FailureReason::Program(reason), message, Sentence::new(hint)));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_can_be_typed_again() {
        let check = |text: &str| check_new(&SecretString::from(text.to_owned())).map_err(|failure| failure.reason);
        for good in ["correct horse", "Zoe\u{308} cafe\u{301}", "\u{feff}correct horse", "كلمة سر طويلة"] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        // Eight code points that make four letters, and a byte-order mark that does not count.
        for short in ["e\u{301}e\u{301}e\u{301}e\u{301}", "\u{feff}7 chars"] {
            assert_eq!(check(short), Err(FailureReason::Program("passphrase_short")), "{short:?}");
        }
        assert_eq!(check("correct\thorse"), Err(FailureReason::Program("passphrase_unsafe")));
        assert_eq!(check("correct\u{200b}horse"), Err(FailureReason::Program("passphrase_unsafe")));
    }
}
