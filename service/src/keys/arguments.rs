//! Command-line arguments for the storage of a new service's keys.

use std::path::{Path, PathBuf};

use clap::Args;
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::{Kek, KeysConfig, SecretSource, seal};
use crate::{config::StartError, disk};

/// Storage of the signing key. By default it is sealed with a key-encryption key that is created next to the data
/// directory.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyStorageArgs {
    /// Seal the key with a passphrase from SOURCE (file:PATH, env:NAME or fd:NUMBER), which is also read at each start
    /// of the service.
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["kek", "pkcs11"])]
    passphrase: Option<SecretSource>,
    /// Seal the key with a key-encryption key: SOURCE of its 32 bytes in hex; or pkcs11:LABEL, an AES key in the token
    /// of --pkcs11, which is created if it is missing.
    #[arg(long, value_name = "SOURCE")]
    kek: Option<Kek>,
    /// Create the key in a PKCS#11 token (with --kek pkcs11:LABEL, only the key that seals it); MODULE is the path of
    /// the token's library.
    #[arg(long, value_name = "MODULE", requires_all = ["token_label", "pin"])]
    pkcs11: Option<PathBuf>,
    /// Store the key in plain text, in a file that only its owner can read; the service warns about it at each start.
    #[arg(long, conflicts_with_all = ["passphrase", "kek", "pkcs11"])]
    plain_text_keys: bool,
    /// Label of the token.
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token_label: Option<String>,
    /// Source of the token's PIN.
    #[arg(long, value_name = "SOURCE", requires = "pkcs11")]
    pin: Option<SecretSource>,
}

/// File with the key-encryption key that was created for a new data directory.
#[derive(Debug)]
pub struct CreatedKek(PathBuf);

impl CreatedKek {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Deletes the file; for a failed `init`, when nothing was encrypted with it. Errors are ignored.
    pub fn delete(self) {
        let _ = std::fs::remove_file(self.0);
    }

    /// Returns the notice for the operator: where the file is, and that it needs a separate backup.
    #[must_use]
    pub fn backup_notice(&self, data: &Path) -> String {
        format!(
            "The signing key is sealed with the key in {}. Back that up separately from {}: without it\n the signing \
             key is lost, and anyone with both can sign.",
            self.0.display(),
            data.display()
        )
    }
}

impl KeyStorageArgs {
    /// Determines the key storage of a new data directory, and creates a missing key-encryption key. By default, the
    /// keys are encrypted with a new key-encryption key `DATA.kek` next to the directory, so that a copy of only the
    /// directory is useless; its file is then returned too.
    ///
    /// # Errors
    /// The arguments contradict each other; the file already exists or cannot be written; the key-encryption key cannot
    /// be created in the token.
    pub fn prepare_storage(&self, data: &Path) -> Result<(Self, Option<CreatedKek>), StartError> {
        match (&self.kek, &self.pkcs11) {
            (Some(Kek::Source(_)), Some(_)) | (Some(Kek::Token(_)), None) => {
                return Err(StartError::new(
                    "The command line names two places for the key, or half of one. Nothing was created.",
                    "Give --pkcs11 (with --token-label and --pin) for a key in a token; add --kek pkcs11:LABEL for a \
                     key that is sealed with one in the token; or give --kek alone.",
                ));
            }
            _ => {}
        }
        if self.plain_text_keys || self.passphrase.is_some() || self.kek.is_some() || self.pkcs11.is_some() {
            seal::ensure_token_kek(&self.to_config())?;
            return Ok((self.clone(), None));
        }
        let data = absolute(data);
        let mut name = data.file_name().unwrap_or_default().to_owned();
        name.push(".kek");
        let path = data.with_file_name(name);
        let mut bytes = Zeroizing::new([0_u8; 32]);
        OsRng.fill_bytes(bytes.as_mut_slice());
        let digits = Zeroizing::new(base16ct::lower::encode_string(bytes.as_slice()));
        // Capacity for the whole text: reallocation would leave copies in memory.
        let mut text = Zeroizing::new(String::with_capacity(65));
        text.push_str(&digits);
        text.push('\n');
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| disk::write_new(&path, text.as_bytes(), 0o600)).map_err(|error| {
            StartError::new(
                format!("The key-encryption key {} cannot be written: {error}. Nothing was created.", path.display()),
                "Name another directory, or choose where to keep the key: --kek, --passphrase or --pkcs11.",
            )
        })?;
        Ok((Self { kek: Some(Kek::Source(SecretSource::File(path.clone()))), ..self.clone() }, Some(CreatedKek(path))))
    }

    /// Returns the storage as configuration `[keys]`, with absolute paths.
    #[must_use]
    pub fn to_config(&self) -> KeysConfig {
        KeysConfig {
            passphrase: self.passphrase.as_ref().map(SecretSource::absolute),
            kek: self.kek.as_ref().map(Kek::absolute),
            module: self.pkcs11.as_deref().map(absolute),
            token: self.token_label.clone(),
            pin: self.pin.as_ref().map(SecretSource::absolute),
            ..KeysConfig::default()
        }
    }

    /// Returns the storage as a table `[keys]` of config.toml; empty for keys in plain text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let config = self.to_config();
        let source = |source: &Option<SecretSource>| source.as_ref().map(SecretSource::to_string);
        let said = [
            ("passphrase", source(&config.passphrase)),
            ("kek", config.kek.as_ref().map(Kek::to_string)),
            ("module", config.module.as_ref().map(|path| path.display().to_string())),
            ("token", config.token.clone()),
            ("pin", source(&config.pin)),
        ];
        let lines: Vec<String> = said
            .into_iter()
            .filter_map(|(name, value)| {
                // JSON's escapes are among those of a TOML basic string.
                let value = serde_json::Value::from(value?).to_string().replace('\u{7f}', "\\u007F");
                Some(format!("{name} = {value}\n"))
            })
            .collect();
        if lines.is_empty() { String::new() } else { format!("\n[keys]\n{}", lines.concat()) }
    }
}

impl SecretSource {
    /// Returns the source with an absolute path, so that it does not depend on the current directory.
    fn absolute(&self) -> Self {
        match self {
            Self::File(path) => Self::File(absolute(path)),
            other => other.clone(),
        }
    }
}

impl Kek {
    fn absolute(&self) -> Self {
        match self {
            Self::Source(source) => Self::Source(source.absolute()),
            Self::Token(label) => Self::Token(label.clone()),
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        place: KeyStorageArgs,
    }

    #[test]
    fn without_a_word_keys_are_sealed_with_one_that_lies_elsewhere() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        // A slash at the end is the same directory.
        let data = folder.path().join("data/");
        let (place, made) = KeyStorageArgs::default().prepare_storage(&data).unwrap();
        let made = made.unwrap();
        assert_eq!(made.path(), folder.path().join("data.kek"));
        assert_eq!(place.to_config().kek, Some(Kek::Source(SecretSource::File(made.path().to_owned()))));
        assert_eq!(made.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(made.path()).unwrap();
        assert!(text.trim().len() == 64 && text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
        // An existing one is never overwritten.
        assert!(KeyStorageArgs::default().prepare_storage(&data).is_err());
        assert_eq!(std::fs::read_to_string(made.path()).unwrap(), text);
        made.delete();
        let again = KeyStorageArgs::default().prepare_storage(&data).unwrap().1.unwrap();
        assert_ne!(std::fs::read_to_string(again.path()).unwrap(), text);
        for said in [&["--plain-text-keys"][..], &["--kek", "env:K"], &["--passphrase", "env:P"]] {
            let place = Line::try_parse_from(["x"].iter().chain(said)).unwrap().place;
            assert!(place.prepare_storage(&folder.path().join("other")).unwrap().1.is_none());
        }
        assert!(!folder.path().join("other.kek").exists());
    }

    #[test]
    fn what_init_is_told_is_what_the_service_reads() {
        let parse = |args: &[&str]| Line::try_parse_from(["x"].iter().chain(args)).map(|line| line.place);
        assert_eq!(parse(&[]).unwrap().to_toml(), "");
        let place = parse(&["--pkcs11", "/lib/t \"1\".so", "--token-label", "A b", "--pin", "env:PIN"]).unwrap();
        #[derive(serde::Deserialize)]
        struct File {
            keys: KeysConfig,
        }
        let read: File = toml::from_str(&place.to_toml()).unwrap();
        assert_eq!(read.keys.module.as_deref(), Some(Path::new("/lib/t \"1\".so")));
        assert_eq!(
            (read.keys.token.as_deref(), read.keys.pin),
            (Some("A b"), Some(SecretSource::Env("PIN".to_owned())))
        );
        let read: File = toml::from_str(&parse(&["--kek", "file:k"]).unwrap().to_toml()).unwrap();
        assert!(matches!(read.keys.kek, Some(Kek::Source(SecretSource::File(path))) if path.is_absolute()));
        let kek = parse(&["--kek", "pkcs11:k", "--pkcs11", "m", "--token-label", "t", "--pin", "env:P"]).unwrap();
        let read: File = toml::from_str(&kek.to_toml()).unwrap();
        assert_eq!(read.keys.kek, Some(Kek::Token("k".to_owned())));
        assert!(!read.keys.creates_keys_in_token());
        for half in
            [&["--kek", "pkcs11:k"][..], &["--kek", "env:K", "--pkcs11", "m", "--token-label", "t", "--pin", "env:P"]]
        {
            let said = parse(half).unwrap().prepare_storage(Path::new("x")).unwrap_err();
            assert!(said.hint.contains("pkcs11:LABEL"), "{said}");
        }
        for wrong in [
            &["--pkcs11", "m"][..],
            &["--pin", "env:P"],
            &["--kek", "secret"],
            &["--kek", "env:K", "--passphrase", "env:P"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
