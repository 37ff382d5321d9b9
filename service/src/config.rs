//! Configuration: TOML that rejects unknown fields.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

mod files;

use files::ConfigFile;
pub use files::ConfigFiles;

/// Beginning of the message for an invalid configuration.
const REFUSED_PREFIX: &str = "The configuration is refused: ";

/// Error of a service's start or of an operator's command. `Display` writes message, consequence and hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}\nhint: {hint}", spaced(.consequence))]
pub struct StartError {
    /// Cause, as a sentence for people.
    pub message: String,
    /// Consequence of the error, as a sentence, such as "Nothing was started."; empty if the message states it.
    pub consequence: &'static str,
    /// Advice for the next step.
    pub hint: String,
    /// `true` if a retry may succeed: a server did not respond, or a lock was held.
    pub is_retryable: bool,
    /// `true` if a file or secret named on the command line is missing or unreadable; the exit code is then that of a
    /// usage error.
    pub is_input_missing: bool,
    /// `true` if a file, not a secret, named on the command line is missing or unreadable; a service program then
    /// reports the reason `file_unreadable`. Implies [`Self::is_input_missing`].
    pub unreadable: bool,
    /// Configuration field that is invalid, such as `status.entries`; `None` for other errors.
    field: Option<String>,
}

/// Returns a sentence with a space before it; an empty one stays empty.
fn spaced(sentence: &str) -> String {
    if sentence.is_empty() { String::new() } else { format!(" {sentence}") }
}

impl StartError {
    /// Creates an error from a cause and a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            consequence: "",
            hint: hint.into(),
            is_retryable: false,
            is_input_missing: false,
            unreadable: false,
            field: None,
        }
    }

    /// Adds the consequence that nothing was started.
    #[must_use]
    pub fn nothing_started(self) -> Self {
        self.with_consequence("Nothing was started.")
    }

    /// Adds the consequence that nothing was started or changed.
    #[must_use]
    pub fn nothing_changed(self) -> Self {
        self.with_consequence("Nothing was started or changed.")
    }

    /// Sets the consequence, as a sentence.
    #[must_use]
    pub fn with_consequence(self, consequence: &'static str) -> Self {
        Self { consequence, ..self }
    }

    /// Replaces the range of a number's type with that of its field, in an error of [`read_layered_config`] about a value that
    /// is no such number; any other error is returned unchanged.
    #[must_use]
    pub fn with_range<T>(self, ranges: &[FieldRange<T>]) -> Self {
        let range = ranges.iter().find(|(field, ..)| self.field.as_deref() == Some(*field)).map(|(.., range)| range);
        let Some((range, (before, _))) = range.zip(self.message.rsplit_once(files::WHOLE_NUMBER)) else { return self };
        let message = format!("{before}{} from {} to {}.", files::WHOLE_NUMBER, range.start(), range.end());
        Self { message, ..self }
    }

    /// Marks the error as one for which a retry may succeed.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { is_retryable: true, ..self }
    }

    /// Marks the error as due to a missing or unreadable file or secret named on the command line.
    #[must_use]
    pub fn input_missing(self) -> Self {
        Self { is_input_missing: true, ..self }
    }

    /// Marks the error as due to a missing or unreadable file named on the command line.
    #[must_use]
    pub fn unreadable(self) -> Self {
        Self { is_input_missing: true, unreadable: true, ..self }
    }
}

/// Configuration `[serve]`, which both services share.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Address to listen on; default: the service's own port on loopback. Port 0: chosen by the system.
    pub listen: Option<SocketAddr>,
    /// Public URL for wallets; default: derived from the address.
    pub public_url: Option<String>,
    /// TLS certificate and key (PEM files); required unless the address is loopback.
    pub tls: Option<TlsFiles>,
    /// Maximum message size, in bytes.
    pub max_message_bytes: usize,
    /// Maximum number of concurrent requests on one connection.
    pub concurrency: usize,
    /// Maximum duration of a call, in seconds.
    pub timeout_seconds: u64,
    /// Maximum number of connections; default and upper bound: derived from the limit on open files.
    pub max_connections: Option<usize>,
    /// Maximum time for a TLS handshake, and for the head of a request, in seconds.
    pub header_seconds: u64,
    /// Maximum idle time of a connection, in seconds; pings do not count as activity.
    pub idle_seconds: u64,
    /// PEM file with additional CA certificates for did:web.
    pub extra_ca: Option<PathBuf>,
    /// Host names for did:web that may resolve to private addresses.
    pub private_hosts: Vec<String>,
    /// Directory with additional `types/`, `requests/` and `services/`, and `vct.toml`.
    pub catalogue: Option<PathBuf>,
    /// Local mode, set by `init --local`: for trials on one machine, never for production.
    pub local: Option<LocalConfig>,
}

/// Local mode.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalConfig {
    /// SHA-256 fingerprints of the certificates that are trusted for `localhost`, including this service's own.
    pub pins: Vec<String>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            tls: None,
            max_message_bytes: 1_048_576,
            concurrency: 256,
            timeout_seconds: 30,
            max_connections: None,
            header_seconds: 10,
            idle_seconds: 300,
            extra_ca: None,
            private_hosts: Vec::new(),
            catalogue: None,
            local: None,
        }
    }
}

/// A server's certificate and key, both PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, leaf certificate first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Field of a configuration with a permitted range: its path, its value in a configuration, and the range.
pub type FieldRange<T> = (&'static str, fn(&T) -> u64, RangeInclusive<u64>);

impl ServeConfig {
    /// Returns the ranges of the numbers in `[serve]`. The upper bounds exclude mistyped values only.
    #[must_use]
    pub fn ranges() -> [FieldRange<Self>; 6] {
        [
            ("serve.max_message_bytes", |it| whole(it.max_message_bytes), 1..=1_073_741_824),
            ("serve.concurrency", |it| whole(it.concurrency), 1..=65_535),
            ("serve.timeout_seconds", |it| it.timeout_seconds, 1..=86_400),
            // If it is absent, the limit on open files decides.
            ("serve.max_connections", |it| it.max_connections.map_or(1, whole), 1..=1_000_000),
            ("serve.header_seconds", |it| it.header_seconds, 1..=3_600),
            ("serve.idle_seconds", |it| it.idle_seconds, 1..=604_800),
        ]
    }
}

/// Converts a number for a [`FieldRange`].
#[must_use]
pub fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Checks the numbers of a configuration against their ranges.
///
/// # Errors
/// A number is out of its range; the message names the field, the number and the range.
pub fn check_ranges<T>(config: &T, ranges: &[FieldRange<T>]) -> Result<(), StartError> {
    for (field, value, range) in ranges {
        let value = value(config);
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            let what = format!("{field} is {value}, and it must be from {least} to {most}");
            return Err(invalid_field(*field, what));
        }
    }
    Ok(())
}

/// Reads and parses a TOML file.
///
/// # Errors
/// The file is unreadable or not TOML, lacks a field, or has an unknown field or one of the wrong type.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, StartError> {
    ConfigFile::read(path)?.parse()
}

/// Reads `DIR/config.toml`, created by `init`, and overrides its fields with those of the operator's file `over`, if
/// any; tables are merged. The returned [`ConfigFiles`] locate a field that is refused later.
///
/// # Errors
/// A file is missing or not TOML; a field is missing, unknown or of the wrong type.
pub fn read_layered_config<T: DeserializeOwned>(
    program: &str,
    data: &Path,
    over: Option<&Path>,
) -> Result<(T, ConfigFiles), StartError> {
    let base = data.join("config.toml");
    if !base.is_file() {
        return Err(StartError::new(
            format!("{} is not a data directory of {program}: config.toml is missing.", data.display()),
            format!("Run `{program} init --data DIR` first."),
        )
        .nothing_started()
        .input_missing());
    }
    let base = ConfigFile::read(&base)?;
    let mut table: toml::Table = base.parse()?;
    let mut files = ConfigFiles(vec![base]);
    if let Some(path) = over {
        let over = ConfigFile::read(path)?;
        merge_tables(&mut table, over.parse()?);
        files.0.insert(0, over);
    }
    match table.try_into() {
        Ok(config) => Ok((config, files)),
        Err(error) => {
            Err(files.locate_error::<T>().unwrap_or_else(|| invalid_config(files::rewrite_message(error.message()))))
        }
    }
}

/// Returns the error for an invalid configuration, when nothing was started; `what` describes the fault.
pub fn invalid_config(what: impl std::fmt::Display) -> StartError {
    StartError::new(
        format!("{REFUSED_PREFIX}{what}."),
        "Correct the field and start again; docs/configuration.md lists all fields.",
    )
    .nothing_started()
}

/// Returns the error for an invalid value of one field; `what` contains the field and its value. [`ConfigFiles::add_location`]
/// adds file and line.
pub fn invalid_field(field: impl Into<String>, what: impl std::fmt::Display) -> StartError {
    StartError { field: Some(field.into()), ..invalid_config(what) }
}

fn merge_tables(base: &mut toml::Table, over: toml::Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge_tables(base, over),
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServeConfig, StartError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        read_toml(&path)
    }

    #[test]
    fn an_unknown_field_is_refused_and_named() {
        assert_eq!(parse("concurrency = 3").unwrap().concurrency, 3);
        let error = parse("concurency = 3").unwrap_err();
        assert!(error.message.contains("concurency"), "{error}");
        assert!(error.to_string().contains("\nhint: "));
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        #[serde(default)]
        name: String,
        #[serde(default)]
        serve: ServeConfig,
        #[serde(default)]
        keys: crate::keys::KeysConfig,
        #[serde(default)]
        epoch: Option<carnet_core::epoch::Epoch>,
    }

    /// Returns the error for a configuration whose second file is laid over the first.
    fn said(base: &str, over: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), base).unwrap();
        let path = dir.path().join("over.toml");
        std::fs::write(&path, over).unwrap();
        let message = match read_layered_config::<Whole>("carnet-issuer", dir.path(), Some(&path)) {
            Ok((read, files)) => {
                assert!(read.name.len() < 9 && read.keys.overlap_hours == 24 && read.epoch.is_none());
                let most = read.serve.concurrency;
                files
                    .add_location(invalid_field(
                        "serve.concurrency",
                        format!("serve.concurrency is {most}, which is too many"),
                    ))
                    .message
            }
            Err(error) => error.message,
        };
        message.replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn a_fault_is_said_with_its_file_line_field_and_value() {
        for (base, over, expected) in [
            (
                "\n[serve]\nconcurency = 3\n",
                "",
                "config.toml, line 3: serve.concurency: there is no field \"concurency\" in this section; the nearest is concurrency",
            ),
            (
                "name = \"a\"",
                "\n\n[serve]\nconcurrency = \"many\"",
                "over.toml, line 4: serve.concurrency = \"many\": it must be a whole number, 0 or more",
            ),
            ("name = 3", "", "config.toml, line 1: name = 3: it must be a text in quotes"),
            (
                "[serve]\nconcurrency = 7",
                "[serve]\ntimeout_seconds = 3",
                "config.toml, line 2: serve.concurrency is 7, which is too many",
            ),
            (
                "[serve]\nconcurrency = 7",
                "# mine\nserve.concurrency = 9",
                "over.toml, line 2: serve.concurrency is 9, which is too many",
            ),
            ("", "", "The configuration is refused: serve.concurrency is 256, which is too many"),
            ("name = \"a\"\nname = \"b\"", "", "config.toml, line 2: "),
            ("name =", "", "config.toml, line 1: "),
            (
                "[serve]\nprivate_hosts = \"localhost\"",
                "",
                "line 2: serve.private_hosts = \"localhost\": it must be a list in brackets",
            ),
            (
                "[keys]\noverlap_hours = -3",
                "",
                "line 2: keys.overlap_hours: it must be a whole number from 0 to 4294967295",
            ),
            (
                "epoch = \"weeks\"",
                "",
                "config.toml, line 1: epoch = \"weeks\": it must be one of day, week, month, quarter; the nearest is week",
            ),
            (
                "[serve]\nlisten = \"nohost\"",
                "",
                "line 2: serve.listen = \"nohost\": it must be ADDRESS:PORT, such as 127.0.0.1:7401",
            ),
            ("[serve]\nlisten = 7401", "", "line 2: serve.listen = 7401: it must be ADDRESS:PORT"),
            ("[serve.tls]\ncert = \"a.pem\"", "", "The configuration is refused: the field key is missing"),
        ] {
            let said = said(base, over);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        for (field, ..) in ServeConfig::ranges() {
            let name = field.strip_prefix("serve.").unwrap();
            let refused = check_ranges(&parse(&format!("{name} = 0")).unwrap(), &ServeConfig::ranges());
            let said = refused.err().map(|refused| refused.message).unwrap_or_default();
            assert!(said.contains(&format!("{field} is 0, and it must be from 1 to ")), "{field}: {said}");
            check_ranges(&parse(&format!("{name} = 1")).unwrap(), &ServeConfig::ranges()).unwrap();
        }
        check_ranges(&ServeConfig::default(), &ServeConfig::ranges()).unwrap();
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for text in [
            "[keys]\npassphrase = \"correct horse\"",
            "[keys]\npin = \"correct horse\"",
            "[keys]\nkek = \"correct horse\"",
        ] {
            let said = said(text, "");
            assert!(said.contains("config.toml, line 2: keys.") && said.contains("file:PATH"), "{said}");
            assert!(!said.contains("horse"), "{said}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_crlf_are_skipped() {
        let config = parse("\u{feff}concurrency = 3\r\nextra_ca = \"a.pem\"\r\n").unwrap();
        assert_eq!((config.concurrency, config.extra_ca), (3, Some(PathBuf::from("a.pem"))));
        assert!(parse("concurrency\u{feff} = 3").is_err());
    }

    #[test]
    fn an_empty_file_gives_the_defaults_on_loopback() {
        let config = parse("").unwrap();
        assert_eq!(config.listen, None);
        assert!(config.tls.is_none());
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(read_toml::<ServeConfig>(Path::new("no/such/file")).unwrap_err().message.contains("no/such/file"));
    }
}
