//! Connection of a service's staff commands to the running service.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use carnet_core::input::text_without_bom;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::{config::StartError, disk};

/// Arguments of every staff command.
#[derive(Debug, Clone, clap::Args)]
pub struct StaffArgs {
    /// The service's URL.
    #[arg(long, default_value = ISSUER_DEFAULTS.default_url, value_parser = parse_server)]
    pub server: String,
    /// A file with the staff token.
    #[arg(long)]
    pub token_file: Option<PathBuf>,
    /// A CA certificate (PEM) to trust.
    #[arg(long, env = "CARNET_CA")]
    pub ca: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Default URL and names of environment variables for the staff commands of one service. They differ between the
/// services, since one person may be staff of both.
#[derive(Debug)]
pub struct StaffDefaults {
    /// Default URL of the service: its default port on this machine.
    pub default_url: &'static str,
    /// Name of the environment variable with the service's URL.
    pub server_variable: &'static str,
    /// Name of the environment variable with the path of the staff token file.
    pub token_file_variable: &'static str,
    /// Name of the environment variable with the staff token itself.
    pub token_variable: &'static str,
}

/// Defaults of `carnet-issuer`.
pub const ISSUER_DEFAULTS: StaffDefaults = StaffDefaults {
    default_url: "http://127.0.0.1:7401",
    server_variable: "CARNET_ISSUER_SERVER",
    token_file_variable: "CARNET_ISSUER_STAFF_TOKEN_FILE",
    token_variable: "CARNET_ISSUER_STAFF_TOKEN",
};

/// Defaults of `carnet-verifier`.
pub const VERIFIER_DEFAULTS: StaffDefaults = StaffDefaults {
    default_url: "http://127.0.0.1:7402",
    server_variable: "CARNET_VERIFIER_SERVER",
    token_file_variable: "CARNET_VERIFIER_STAFF_TOKEN_FILE",
    token_variable: "CARNET_VERIFIER_STAFF_TOKEN",
};

/// Defaults of the service whose commands this program has; set by [`with_service_defaults`].
static PROGRAM_DEFAULTS: OnceLock<&'static StaffDefaults> = OnceLock::new();

/// Sets the default URL and environment variables of a service in every subcommand with `--server`, and registers them
/// for [`connect`].
#[must_use]
pub fn with_service_defaults(command: clap::Command, defaults: &'static StaffDefaults) -> clap::Command {
    let _ = PROGRAM_DEFAULTS.set(defaults);
    with_defaults(command, defaults)
}

fn with_defaults(command: clap::Command, defaults: &'static StaffDefaults) -> clap::Command {
    let has_server = command.get_arguments().any(|argument| argument.get_id() == "server");
    let command = command.mut_subcommands(|verb| with_defaults(verb, defaults));
    if !has_server {
        return command;
    }
    command
        .mut_arg("server", |arg| arg.default_value(defaults.default_url).env(defaults.server_variable))
        .mut_arg("token_file", |arg| arg.env(defaults.token_file_variable))
}

/// Tonic interceptor that adds the staff token to every call (`authorization: Bearer TOKEN`).
#[derive(Clone)]
pub struct StaffTokenInterceptor {
    header: MetadataValue<Ascii>,
}

impl std::fmt::Debug for StaffTokenInterceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WithToken(redacted)")
    }
}

impl tonic::service::Interceptor for StaffTokenInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.header.clone());
        Ok(request)
    }
}

/// Connects to a service. The token comes from `--token-file`, or from the environment variable of the service.
///
/// # Errors
/// No token, or one with invalid characters; a URL that is not `https`, or `http` on loopback; an unreadable CA
/// certificate; no response.
pub async fn connect(args: &StaffArgs) -> Result<(Channel, StaffTokenInterceptor), StartError> {
    let token = read_token(args)?;
    let mut header =
        Zeroizing::new(format!("Bearer {}", token.trim())).parse::<MetadataValue<Ascii>>().map_err(|_| {
            StartError::new(
                "The staff token has invalid characters.",
                "Use the token that `init` or `staff add` showed.",
            )
        })?;
    header.set_sensitive(true);
    let channel = open_channel(args).await?;
    Ok((channel, StaffTokenInterceptor { header }))
}

fn read_token(args: &StaffArgs) -> Result<Zeroizing<String>, StartError> {
    let own = PROGRAM_DEFAULTS.get().copied().unwrap_or(&ISSUER_DEFAULTS);
    let text = match &args.token_file {
        Some(path) => disk::read_user_text(path).map_err(|error| {
            StartError::new(
                format!("The token file {} cannot be read: {error}.", path.display()),
                "Check the path and that this user may read it. Nothing was sent.",
            )
            .unreadable()
        })?,
        None => {
            let text = Zeroizing::new(std::env::var(own.token_variable).unwrap_or_default());
            Zeroizing::new(text_without_bom(&text).to_owned())
        }
    };
    if text.trim().is_empty() {
        return Err(StartError::new(
            "This command needs the staff token. Nothing was sent.",
            format!("Give --token-file FILE, or set {}; `init` or `staff add` showed it once.", own.token_variable),
        )
        .input_missing());
    }
    Ok(text)
}

async fn open_channel(args: &StaffArgs) -> Result<Channel, StartError> {
    let server = &args.server;
    let odd = |why: &str| {
        StartError::new(
            format!("The server URL {server} {why}. Nothing was sent."),
            format!("Give --server with {URL_FORMS}."),
        )
        .input_missing()
    };
    let tls = uses_tls(server).map_err(odd)?;
    let mut endpoint = Endpoint::from_shared(server.trim_end_matches('/').to_owned())
        .map_err(|_| odd("is not a URL"))?
        .connect_timeout(Duration::from_secs(10));
    if tls {
        // If another crate in the same program enables a second provider, rustls requires an explicit default.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = &args.ca {
            let pem = disk::read_user_file(path).map_err(|error| {
                StartError::new(
                    format!("The CA certificate {} cannot be read: {error}.", path.display()),
                    "Check the path. Nothing was sent.",
                )
                .unreadable()
            })?;
            config = config.ca_certificate(Certificate::from_pem(pem.as_slice()));
        }
        endpoint = endpoint.tls_config(config).map_err(|error| {
            StartError::new(
                format!("TLS cannot be set up: {error}."),
                "Check that --ca is a PEM file. Nothing was sent.",
            )
        })?;
    }
    endpoint.connect().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        StartError::new(
            format!("No service answers at {server}: {cause}. Nothing was changed."),
            "Start it with `serve`, and give its URL with --server.",
        )
        .retryable()
    })
}

/// Permitted forms of a service's URL, for messages.
const URL_FORMS: &str = "https://HOST:PORT, or http:// with a loopback address";

/// Returns `true` for an https URL and `false` for an http URL on loopback; for any other, the reason of the refusal.
fn uses_tls(server: &str) -> Result<bool, &'static str> {
    let url = Url::parse(server).map_err(|_| "is not a URL")?;
    match url.scheme() {
        "https" => Ok(true),
        "http" if is_loopback(&url) => Ok(false),
        "http" => Err("would send the staff token over the network unencrypted"),
        _ => Err("is neither https nor http"),
    }
}

/// Parses `--server`, for clap.
fn parse_server(text: &str) -> Result<String, String> {
    uses_tls(text).map(|_| text.to_owned()).map_err(|why| format!("the URL {why}; give {URL_FORMS}. Nothing was sent."))
}

/// Returns whether a URL's host is a loopback address or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(server: &str, token: &str) -> (tempfile::TempDir, StaffArgs) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, token).unwrap();
        (dir, StaffArgs { server: server.to_owned(), token_file: Some(file), ca: None, json: false })
    }

    #[test]
    fn each_service_has_a_port_of_its_own() {
        use clap::{Args as _, FromArgMatches as _};
        let verb = || StaffArgs::augment_args(clap::Command::new("list"));
        let server = |command: clap::Command, given: &[&str]| {
            let matches = command.try_get_matches_from(["x", "list"].iter().chain(given)).unwrap();
            StaffArgs::from_arg_matches(matches.subcommand_matches("list").unwrap()).unwrap().server
        };
        let commands = || clap::Command::new("x").subcommand(verb());
        assert_eq!(server(commands(), &[]), "http://127.0.0.1:7401");
        assert_eq!(server(with_defaults(commands(), &VERIFIER_DEFAULTS), &[]), "http://127.0.0.1:7402");
        let given = ["--server", "http://localhost:1"];
        assert_eq!(server(with_defaults(commands(), &VERIFIER_DEFAULTS), &given), "http://localhost:1");
        for (defaults, variable) in
            [(&ISSUER_DEFAULTS, "CARNET_ISSUER_SERVER"), (&VERIFIER_DEFAULTS, "CARNET_VERIFIER_SERVER")]
        {
            let command = with_defaults(verb(), defaults);
            let named = |id: &str| command.get_arguments().find(|arg| arg.get_id() == id).unwrap().get_env().unwrap();
            assert_eq!(named("server"), variable);
            assert_eq!(named("token_file"), defaults.token_file_variable);
        }
    }

    #[tokio::test]
    async fn the_token_is_not_sent_in_clear_over_a_network() {
        for server in
            ["http://192.0.2.1:1", "http://issuer.example", "ftp://127.0.0.1", "issuer", "http://localhost.example"]
        {
            let (_dir, args) = args(server, "carnet_staff_x\n");
            let error = connect(&args).await.unwrap_err();
            assert!(error.message.contains("Nothing was sent"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_missing_token_and_a_silent_server_are_told_apart() {
        let (_dir, empty) = args("http://127.0.0.1:1", " \n");
        assert!(connect(&empty).await.unwrap_err().hint.contains("--token-file"));
        let (_dir, silent) = args("http://127.0.0.1:1", "carnet_staff_x\n");
        assert!(connect(&silent).await.unwrap_err().hint.contains("serve"));
    }
}
