//! Command line, one file per command.

mod clock;
mod desk;
mod doctor;
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
use carnet_service::client::{self, StaffArgs, StaffTokenInterceptor};
pub(crate) use carnet_service::failure::StaffFailure;
use carnet_service::{
    disk,
    store::arguments::{BackupArgs, RestoreArgs},
    wire,
};
use clap::{Parser, Subcommand};
use tonic::{service::interceptor::InterceptedService, transport::Channel};

/// Requests presentations from holders, verifies them, and keeps the verdict but not the claims.
#[derive(Debug, Parser)]
#[command(
    name = "carnet-verifier",
    version,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 try again later."
)]
pub struct VerifierArguments {
    #[command(subcommand)]
    verb: VerifierCommand,
}

#[derive(Debug, Subcommand)]
enum VerifierCommand {
    /// Create a data directory with a key, a configuration and a staff token.
    Init(init::VerifierInitArgs),
    /// Serve wallets and staff.
    Serve {
        /// The data directory that `init` created.
        #[arg(long, value_parser = carnet_service::directory::DataDirectoryParser)]
        data: PathBuf,
        /// A TOML file whose fields override DIR/config.toml.
        #[arg(long)]
        config: Option<PathBuf>,
        /// The address to listen on; with port 0 the system picks a port.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Check the published document, the issuers and their lists, TLS, the clock and the store, and give advice. Exit
    /// code 1: a check failed; 3: it may pass later.
    Doctor(carnet_service::directory::DirectoryArgs),
    /// Write a verified backup of the store to one file. The service may be running.
    Backup(BackupArgs),
    /// Replace the store by a backup. The service must be stopped.
    Restore(RestoreArgs),
    /// Manage the signing keys of a verifier with a did:web. Changes need the service stopped.
    Keys {
        #[command(subcommand)]
        verb: carnet_service::keys::commands::KeysCommand,
    },
    /// Manage the uses of vouchers that several desks redeem: export them, and import those of the others. The service
    /// may be running.
    Redemptions {
        #[command(subcommand)]
        verb: redemptions::RedemptionsCommand,
    },
    /// Register this verifier: create a registration request, and install the signed registration.
    Registration {
        #[command(subcommand)]
        verb: registration::RegistrationCommand,
    },
    /// Show the clock, and the latest time signed by an issuer, before which nothing is verified. Exit code 1: the
    /// clock is behind it.
    Clock(clock::ClockArgs),
    /// Show the QR code of a new request to each visitor of a counter, and say the verdict in words.
    Desk(desk::DeskArgs),
    /// Manage requests to holders.
    Request {
        #[command(subcommand)]
        verb: request::RequestCommand,
    },
    /// Show the result of a request.
    Result(result::ResultArgs),
    /// Manage the staff members who may call, by name.
    Staff {
        #[command(subcommand)]
        verb: carnet_service::staff::commands::StaffCommand,
    },
    /// Show the trust list in force: the newest one ever accepted. Exit code 1: it is invalid now, or there is none.
    /// The service may be running.
    Trust(trust::TrustArgs),
    /// Show the entry of the trust list and the rule by which the issuers of an answer were accepted or refused.
    Why(why::ResultWhyArgs),
    /// Verify a credential or a presentation from a file.
    Verify(verify::CredentialVerifyArgs),
}

/// Runs a command, and returns the exit code.
///
/// # Errors
/// The command failed, or the service refused it.
pub async fn run(arguments: VerifierArguments) -> Result<u8, StaffFailure> {
    match arguments.verb {
        VerifierCommand::Init(args) => init::run(args).await,
        VerifierCommand::Serve { data, config, listen } => {
            crate::server::run_service(&data, config.as_deref(), listen).await?;
            Ok(0)
        }
        VerifierCommand::Desk(args) => desk::run(args).await,
        VerifierCommand::Doctor(args) => doctor::run(&args).await,
        VerifierCommand::Backup(args) => store::back_up(&args).await,
        VerifierCommand::Restore(args) => store::restore(&args).await,
        VerifierCommand::Keys { verb } => keys::run(verb).await,
        VerifierCommand::Clock(args) => clock::run(&args).await,
        VerifierCommand::Redemptions { verb } => redemptions::run(verb).await,
        VerifierCommand::Registration { verb } => registration::run(verb),
        VerifierCommand::Request { verb } => request::run(verb).await,
        VerifierCommand::Result(args) => result::run(args).await,
        VerifierCommand::Staff { verb } => {
            carnet_service::staff::commands::run(verb)?;
            Ok(0)
        }
        VerifierCommand::Trust(args) => trust::run(args).await,
        VerifierCommand::Why(args) => why::run(args).await,
        VerifierCommand::Verify(args) => verify::run(args).await,
    }
}

type Client = VerificationServiceClient<InterceptedService<Channel, StaffTokenInterceptor>>;

async fn connect_client(staff: &StaffArgs) -> Result<Client, StaffFailure> {
    let (channel, token) = client::connect(staff).await?;
    Ok(VerificationServiceClient::with_interceptor(channel, token))
}

/// Reads a file without a leading byte-order mark, or standard input for `-`.
fn read_file_or_input(path: &std::path::Path) -> Result<Vec<u8>, StaffFailure> {
    disk::read_file_or_stdin(path).map(|content| content.to_vec()).map_err(|error| {
        StaffFailure::Unreadable(format!(
            "{} cannot be read: {error}. Nothing was sent.\nhint: check the path, and that the file is text in UTF-8",
            path.display()
        ))
    })
}

/// Reads a DCQL query from a file, and checks it before anything is sent.
fn read_query(path: &std::path::Path) -> Result<prost_types::Struct, StaffFailure> {
    use carnet_core::{
        Code, Problem,
        json::{self, Limits},
    };
    let bytes = read_file_or_input(path)?;
    json::parse_authored(&bytes, Limits::SMALL)
        .and_then(|value| {
            carnet_core::query::Query::parse(&value)?;
            let query = value.as_object().ok_or_else(|| Problem::new(Code::InvalidJson, "not a JSON object"))?;
            Ok(wire::to_struct(query))
        })
        .map_err(|problem| {
            StaffFailure::Input(format!(
                "{} is not a DCQL query: {problem}. Nothing was sent.\nhint: see OpenID4VP 1.0 section 6",
                path.display()
            ))
        })
}
