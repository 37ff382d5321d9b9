//! Configuration: TOML that rejects unknown fields.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

/// Why a service could not start. Its text says what happened, whether data is safe, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct StartError {
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Whether the same may go well later, as it is: nobody answered, or a lock was held.
    pub try_again: bool,
}

impl StartError {
    /// Makes one of what happened and what to do.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), try_again: false }
    }

    /// The same, where trying again later may help.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { try_again: true, ..self }
    }
}

/// The part of the configuration that both services have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Where to listen; by default at the service's own port on loopback. Port 0 lets the system pick.
    pub listen: Option<SocketAddr>,
    /// The URL under which wallets reach it; by default made from the address.
    pub public_url: Option<String>,
    /// Certificate and key (PEM files); needed off loopback.
    pub tls: Option<TlsFiles>,
    /// The largest message, in bytes.
    pub max_message_bytes: usize,
    /// Requests at the same time on one connection.
    pub concurrency: usize,
    /// The longest a call may take, in seconds.
    pub timeout_seconds: u64,
    /// Connections at the same time, as far as the limit on open files allows; by default as many as it allows.
    pub max_connections: Option<usize>,
    /// The longest that a client may take for a TLS handshake, and for the head of a request, in seconds.
    pub header_seconds: u64,
    /// The longest that a connection may be without a call, in seconds; pings are none.
    pub idle_seconds: u64,
    /// More CA certificates for did:web (PEM file).
    pub extra_ca: Option<PathBuf>,
    /// Host names that may be on private addresses, for did:web.
    pub private_hosts: Vec<String>,
    /// A folder with more types/ and requests/.
    pub catalogue: Option<PathBuf>,
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
        }
    }
}

/// A server's certificate and key, both PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, the server's own first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Reads a TOML file.
///
/// # Errors
/// The file cannot be read, is no TOML, lacks a field, or has one that is not known.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StartError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        StartError::new(
            format!("The configuration {} cannot be read: {error}.", path.display()),
            "Check the path and that this user may read the file. Nothing was started or changed.",
        )
    })?;
    toml::from_str(&text).map_err(|error| {
        StartError::new(
            format!("The configuration {} is not valid: {}", path.display(), error.to_string().trim_end()),
            "Correct the line it names. Nothing was started or changed.",
        )
    })
}

/// Reads `DIR/config.toml`, which `init` wrote, and lays the fields of the operator's file `over` on it: they win, and
/// tables are laid over each other.
///
/// # Errors
/// A file is missing or is no TOML, or a field is unknown or of the wrong type.
pub fn layered<T: DeserializeOwned>(program: &str, data: &Path, over: Option<&Path>) -> Result<T, StartError> {
    let base = data.join("config.toml");
    if !base.is_file() {
        return Err(StartError::new(
            format!(
                "{} is no data directory of {program}: it has no config.toml. Nothing was started.",
                data.display()
            ),
            format!("Run `{program} init --data DIR` first."),
        ));
    }
    let mut table: toml::Table = read(&base)?;
    if let Some(path) = over {
        lay_over(&mut table, read(path)?);
    }
    table.try_into().map_err(|error: toml::de::Error| refused(error.message()))
}

/// A configuration that says something it may not.
pub fn refused(what: impl std::fmt::Display) -> StartError {
    StartError::new(
        format!("The configuration is refused: {what}. Nothing was started."),
        "Correct the field and start again.",
    )
}

fn lay_over(base: &mut toml::Table, over: toml::Table) {
    for (name, value) in over {
        match (base.get_mut(&name), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => lay_over(base, over),
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
        read(&path)
    }

    #[test]
    fn an_unknown_field_is_refused_and_named() {
        assert_eq!(parse("concurrency = 3").unwrap().concurrency, 3);
        let error = parse("concurency = 3").unwrap_err();
        assert!(error.message.contains("concurency"), "{error}");
        assert!(error.to_string().contains("\nhint: "));
    }

    #[test]
    fn an_empty_file_gives_the_defaults_on_loopback() {
        let config = parse("").unwrap();
        assert_eq!(config.listen, None);
        assert!(config.tls.is_none());
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert!(read::<ServeConfig>(Path::new("no/such/file")).unwrap_err().message.contains("no/such/file"));
    }
}
