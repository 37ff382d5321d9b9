//! The command line: one file a verb.

mod clock;
mod init;
mod keys;
mod redemptions;
mod registration;
mod request;
mod result;
mod show;
mod store;
mod trust;
mod verify;
mod why;

use std::{net::SocketAddr, path::PathBuf};

use carnet_proto::verifier::v1::verification_service_client::VerificationServiceClient;
use carnet_service::client::{self, StaffArgs, WithToken};
pub(crate) use carnet_service::failure::Failure;
use carnet_service::{
    disk,
    store::arguments::{BackupArgs, RestoreArgs},
    wire,
};
use clap::{Args, Parser, Subcommand};
use tonic::{service::interceptor::InterceptedService, transport::Channel};

/// Asks holders for proof, verifies what they show, and keeps the verdict and not the claims.
#[derive(Debug, Parser)]
#[command(
    name = "carnet-verifier",
    version,
    after_help = "Exit codes: 0 done, 1 a problem or a no, 2 used wrongly, 3 try again later."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a data directory with a key, a configuration and a staff token.
    Init(init::InitArgs),
    /// Serve wallets and staff.
    Serve {
        /// The data directory that `init` made.
        #[arg(long)]
        data: PathBuf,
        /// A TOML file whose fields are laid over DIR/config.toml.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Where to listen; port 0 lets the system pick.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Write a backup of the store: one file, whole, checked. The service may be running.
    Backup(BackupArgs),
    /// Put a backup in the place of the store. The service must be stopped.
    Restore(RestoreArgs),
    /// The signing keys, of a verifier with a did:web. What changes them needs the service stopped.
    Keys {
        #[command(subcommand)]
        verb: carnet_service::keys::verbs::KeysVerb,
    },
    /// Uses of vouchers, where several desks mark them: tell the other desks, and take theirs.
    Redemptions {
        #[command(subcommand)]
        verb: redemptions::RedemptionsVerb,
    },
    /// Registration as somebody who may ask: make the request, install what a registrar signed.
    Registration {
        #[command(subcommand)]
        verb: registration::RegistrationVerb,
    },
    /// The clock, and the latest time that an issuer signed, before which nothing is verified. Exit code 1: the clock is behind it.
    Clock(clock::ClockArgs),
    /// Requests to holders.
    Request {
        #[command(subcommand)]
        verb: request::RequestVerb,
    },
    /// What came of a request.
    Result(result::ResultArgs),
    /// Who may call as staff, by name.
    Staff {
        #[command(subcommand)]
        verb: carnet_service::staff::verbs::StaffVerb,
    },
    /// Which trust list decides: the newest that was ever accepted. Exit code 1: it does not hold now, or there is none.
    Trust(trust::TrustArgs),
    /// By which entry of the trust list, and which rule, the issuers of an answer were accepted or refused.
    Why(why::WhyArgs),
    /// Verify a credential or a presentation that was handed over directly.
    Verify(verify::VerifyArgs),
}

// No doc comment: clap would print it in the place of what the verb does.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The data directory that `init` made; the service may be running.
    #[arg(long)]
    data: PathBuf,
    /// A TOML file whose fields are laid over DIR/config.toml.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a verb; the exit code.
pub(crate) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    match arguments.verb {
        Verb::Init(args) => init::run(args).await,
        Verb::Serve { data, config, listen } => {
            crate::server::run(&data, config.as_deref(), listen).await?;
            Ok(0)
        }
        Verb::Backup(args) => store::back_up(&args).await,
        Verb::Restore(args) => store::restore(&args).await,
        Verb::Keys { verb } => keys::run(verb).await,
        Verb::Clock(args) => clock::run(&args).await,
        Verb::Redemptions { verb } => redemptions::run(verb).await,
        Verb::Registration { verb } => registration::run(verb),
        Verb::Request { verb } => request::run(verb).await,
        Verb::Result(args) => result::run(args).await,
        Verb::Staff { verb } => {
            carnet_service::staff::verbs::run(verb)?;
            Ok(0)
        }
        Verb::Trust(args) => trust::run(args).await,
        Verb::Why(args) => why::run(args).await,
        Verb::Verify(args) => verify::run(args).await,
    }
}

type Client = VerificationServiceClient<InterceptedService<Channel, WithToken>>;

async fn client(staff: &StaffArgs) -> Result<Client, Failure> {
    let (channel, token) = client::connect(staff).await?;
    Ok(VerificationServiceClient::with_interceptor(channel, token))
}

/// Reads a file, or standard input for `-`, without a leading byte-order mark.
fn read(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    disk::read_given_or_input(path).map(|content| content.to_vec()).map_err(|error| {
        Failure::Unreadable(format!(
            "{} cannot be read: {error}. Nothing was sent.\nhint: check the path",
            path.display()
        ))
    })
}

/// Reads a DCQL query from a file; checked here, so that what is wrong with it is said before anything is sent.
fn read_query(path: &std::path::Path) -> Result<prost_types::Struct, Failure> {
    use carnet_core::json::{self, Limits};
    let bytes = read(path)?;
    json::parse_object(&bytes, Limits::SMALL)
        .and_then(|query| {
            let value = serde_json::Value::Object(query.clone());
            carnet_core::query::Query::parse(&value).map(|_| wire::to_struct(&query))
        })
        .map_err(|problem| {
            Failure::Input(format!(
                "{} is not a DCQL query: {problem}. Nothing was sent.\nhint: see OpenID4VP 1.0 section 6",
                path.display()
            ))
        })
}
