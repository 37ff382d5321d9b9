//! Sources of the operator's secrets. The command line is never one: every local process can read it.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use carnet_core::input::{decode_file_bytes, without_bom};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::StartError;

/// Exclusive upper bound on the size of a secret, in bytes; it also bounds reading from a device.
const MAX_BYTES: u64 = 4096;

/// Source of a secret: `file:PATH`, `env:NAME` or `fd:NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretSource {
    /// Content of a file, without trailing line breaks.
    File(PathBuf),
    /// Value of an environment variable, without trailing line breaks.
    Env(String),
    /// Content of an open file descriptor, without trailing line breaks.
    Fd(u32),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The input is not repeated: it may be the secret itself.
        let wrong = || "name the secret as file:PATH, env:NAME or fd:NUMBER".to_owned();
        match text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or_else(wrong)? {
            ("file", path) => Ok(Self::File(PathBuf::from(path))),
            ("env", name) => Ok(Self::Env(name.to_owned())),
            ("fd", number) => number.parse().map(Self::Fd).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for SecretSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

/// Key-encryption key: 32 bytes in hex, or a key in a PKCS#11 token, which it never leaves (`pkcs11:LABEL`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Kek {
    /// Source of the 32 bytes, in hex.
    Source(SecretSource),
    /// Label of the key in the configured token.
    Token(String),
}

impl FromStr for Kek {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("pkcs11:") {
            Some(label) if !label.is_empty() => Ok(Self::Token(label.to_owned())),
            _ => text.parse().map(Self::Source).map_err(|said: String| format!("{said}; or pkcs11:LABEL")),
        }
    }
}

impl TryFrom<String> for Kek {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(source) => source.fmt(f),
            Self::Token(label) => write!(f, "pkcs11:{label}"),
        }
    }
}

impl SecretSource {
    /// Reads the secret, without a byte-order mark and trailing line breaks. `what` names the secret in errors. Warns
    /// if its file can be read by every user.
    ///
    /// # Errors
    /// It is missing, empty, in UTF-16, or not shorter than 4 KiB.
    pub fn read(&self, what: &str) -> Result<Zeroizing<Vec<u8>>, StartError> {
        self.read_with_mark(what).map(|bytes| Zeroizing::new(without_bom(&bytes).to_vec()))
    }

    /// Reads the secret, without trailing line breaks, but with a byte-order mark.
    ///
    /// # Errors
    /// It is missing, empty, in UTF-16, or not shorter than 4 KiB.
    pub(super) fn read_with_mark(&self, what: &str) -> Result<Zeroizing<Vec<u8>>, StartError> {
        let missing = |why: &str| {
            StartError::new(
                format!("The {what} could not be read from {self}: {why}."),
                "Check that it exists and that this user may read it.",
            )
            .nothing_changed()
        };
        let mut bytes = match self {
            Self::File(path) => {
                if is_world_readable(path) {
                    tracing::warn!(
                        path = %path.display(),
                        "every user of this machine can read the {what}; restrict it: chmod o-rwx"
                    );
                }
                read_limited(path)
            }
            Self::Fd(number) => read_limited(Path::new(&format!("/dev/fd/{number}"))),
            Self::Env(name) => std::env::var(name)
                .map(|text| Zeroizing::new(text.into_bytes()))
                .map_err(|_| std::io::Error::other("the variable is not set")),
        }
        .map_err(|error| missing(&error.to_string()))?;
        while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            bytes.pop();
        }
        match decode_file_bytes(&bytes) {
            Err(error) => Err(missing(&error.to_string())),
            Ok([]) => Err(missing("it is empty")),
            Ok(_) => Ok(bytes),
        }
    }
}

/// Returns whether a regular file can be read by users other than its owner and group.
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o004 != 0)
}

fn read_limited(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Capacity for the whole secret: reallocation would leave copies in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == MAX_BYTES {
        return Err(std::io::Error::other("it is too long"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_a_place_and_never_holds_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "1234\n").unwrap();
        let source: SecretSource = format!("file:{}", path.display()).parse().unwrap();
        assert_eq!(source.read("PIN").unwrap().as_slice(), b"1234");
        assert_eq!(source.to_string().parse(), Ok(source));
        for wrong in ["1234", "", "file:", "env:", "fd:x", "hsm:1234"] {
            let said = wrong.parse::<SecretSource>().unwrap_err();
            assert!(!said.contains("1234"), "{said}");
        }
        for wrong in ["1234", "pkcs11:", "pkcs12:x"] {
            assert!(!wrong.parse::<Kek>().unwrap_err().contains("1234"));
        }
        for right in ["pkcs11:a b", "env:K", "file:k"] {
            assert_eq!(right.parse::<Kek>().unwrap().to_string(), right);
        }
        assert_eq!("pkcs11:a".parse(), Ok(Kek::Token("a".to_owned())));
        assert!("pkcs11:a".parse::<SecretSource>().is_err());
        use std::os::unix::fs::PermissionsExt as _;
        for (mode, everybody) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_world_readable(&path), everybody, "{mode:o}");
        }
        std::fs::write(&path, "\u{feff}1234\r\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).read("PIN").unwrap().as_slice(), b"1234");
        std::fs::write(&path, "\u{feff}\n").unwrap();
        let said = SecretSource::File(path.clone()).read("PIN").unwrap_err();
        assert!(said.message.contains("empty"), "{said}");
        assert!(SecretSource::Env("CARNET_NO_SUCH_VARIABLE".to_owned()).read("PIN").is_err());
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        assert!(SecretSource::File(path).read("PIN").is_err());
    }
}
