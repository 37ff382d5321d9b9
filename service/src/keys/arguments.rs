//! What the command line says of where a new service's keys are to be.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{KeysConfig, Source};

/// Where the signing key is to lie; without any of these in plain text, in a file that only its owner may read.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyPlace {
    /// Seal the key with a passphrase; SOURCE is file:PATH, env:NAME or fd:NUMBER, now and whenever the service starts.
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["kek", "pkcs11"])]
    passphrase: Option<Source>,
    /// Seal the key with a key-encryption key, 32 bytes in hex.
    #[arg(long, value_name = "SOURCE", conflicts_with = "pkcs11")]
    kek: Option<Source>,
    /// Make the key in a PKCS#11 token; MODULE is the path of its library.
    #[arg(long, value_name = "MODULE", requires_all = ["token_label", "pin"])]
    pkcs11: Option<PathBuf>,
    /// The token's label.
    #[arg(long, value_name = "LABEL", requires = "pkcs11")]
    token_label: Option<String>,
    /// Where the token's PIN is.
    #[arg(long, value_name = "SOURCE", requires = "pkcs11")]
    pin: Option<Source>,
}

impl KeyPlace {
    /// The same as configuration.
    #[must_use]
    pub fn config(&self) -> KeysConfig {
        KeysConfig {
            passphrase: self.passphrase.as_ref().map(Source::absolute),
            kek: self.kek.as_ref().map(Source::absolute),
            module: self.pkcs11.as_deref().map(absolute),
            token: self.token_label.clone(),
            pin: self.pin.as_ref().map(Source::absolute),
            ..KeysConfig::default()
        }
    }

    /// The same as a table of config.toml; empty if nothing was said.
    #[must_use]
    pub fn toml(&self) -> String {
        let config = self.config();
        let source = |source: &Option<Source>| source.as_ref().map(Source::to_string);
        let said = [
            ("passphrase", source(&config.passphrase)),
            ("kek", source(&config.kek)),
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

impl Source {
    /// The same from wherever the service will be started.
    fn absolute(&self) -> Self {
        match self {
            Self::File(path) => Self::File(absolute(path)),
            other => other.clone(),
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
        place: KeyPlace,
    }

    #[test]
    fn what_init_is_told_is_what_the_service_reads() {
        let parse = |args: &[&str]| Line::try_parse_from(["x"].iter().chain(args)).map(|line| line.place);
        assert_eq!(parse(&[]).unwrap().toml(), "");
        let place = parse(&["--pkcs11", "/lib/t \"1\".so", "--token-label", "A b", "--pin", "env:PIN"]).unwrap();
        #[derive(serde::Deserialize)]
        struct File {
            keys: KeysConfig,
        }
        let read: File = toml::from_str(&place.toml()).unwrap();
        assert_eq!(read.keys.module.as_deref(), Some(Path::new("/lib/t \"1\".so")));
        assert_eq!((read.keys.token.as_deref(), read.keys.pin), (Some("A b"), Some(Source::Env("PIN".to_owned()))));
        let read: File = toml::from_str(&parse(&["--kek", "file:k"]).unwrap().toml()).unwrap();
        assert!(matches!(read.keys.kek, Some(Source::File(path)) if path.is_absolute()));
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
