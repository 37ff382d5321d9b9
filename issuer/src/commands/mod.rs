//! Command line, one file for each command.

mod cohorts;
mod doctor;
mod import;
mod init;
mod issued;
mod keys;
mod offer;
mod references;
pub(crate) mod registrar;
mod renewals;
mod status;
mod store;
mod vouchers;

use std::{net::SocketAddr, path::PathBuf};

use carnet_core::{day, format::CredentialFormat, text::displayable_lines, time::Timestamp};
pub(crate) use carnet_service::failure::StaffFailure;
use carnet_service::{
    store::arguments::{BackupArgs, RestoreArgs},
    wire,
};
use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::server;

/// Issues credentials to the wallets of the people they are about.
#[derive(Debug, Parser)]
#[command(
    name = "carnet-issuer",
    version,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 try again later."
)]
pub struct IssuerArguments {
    #[command(subcommand)]
    verb: IssuerVerb,
}

#[derive(Debug, Subcommand)]
enum IssuerVerb {
    /// Create a data directory with a key, a DID document and a staff token.
    Init(init::InitArgs),
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
    /// Manage offers to holders.
    Offer {
        #[command(subcommand)]
        verb: offer::OfferVerb,
    },
    /// Create offers for the rows of a file: CSV, JSON Lines or XLSX. All rows are checked first; an interrupted import
    /// continues with the same command.
    Import(import::ImportArgs),
    /// Sign registrations of verifiers, for wallets that have pinned this registrar. Needs neither an issuer nor a
    /// network.
    Registrar {
        #[command(subcommand)]
        verb: registrar::RegistrarVerb,
    },
    /// Check the published document, the lists, TLS, the clock and the store, and give advice. Exit code 1: a check
    /// failed; 3: it may pass later.
    Doctor(carnet_service::directory::DirectoryArgs),
    /// Write a verified backup of the store to one file. The service may be running.
    Backup(BackupArgs),
    /// Replace the store with a backup. The service must be stopped.
    Restore(RestoreArgs),
    /// Manage the signing keys. Changes need the service stopped.
    Keys {
        #[command(subcommand)]
        verb: carnet_service::keys::commands::KeysCommand,
    },
    /// Manage the staff members who may call the service, by name.
    Staff {
        #[command(subcommand)]
        verb: carnet_service::staff::commands::StaffCommand,
    },
    /// Change the status of issued credentials: revoke, suspend, reinstate.
    Status {
        #[command(subcommand)]
        verb: status::StatusVerb,
    },
    /// List renewals, and decide on pending ones.
    Renewals {
        #[command(subcommand)]
        verb: renewals::RenewalsVerb,
    },
    /// List issued copies, without claims.
    Issued {
        #[command(subcommand)]
        verb: issued::IssuedVerb,
    },
    /// Show how many holders have copies with the same type, format, dates, signing key and status list, so that
    /// verifiers cannot distinguish them. Computed from counters, without claims.
    Cohorts(carnet_service::client::StaffArgs),
    /// Show the numbers of issued vouchers and of their uses, by service, redeemer and month. The
    /// service may be running.
    Vouchers(carnet_service::directory::DirectoryArgs),
}

/// Runs a command, and returns the exit code: 0, or that of a failed `doctor` check.
///
/// # Errors
/// The command failed.
pub async fn run(arguments: IssuerArguments) -> Result<u8, StaffFailure> {
    let done = match arguments.verb {
        IssuerVerb::Doctor(args) => return doctor::run(&args).await,
        IssuerVerb::Init(args) => init::run(args).await,
        IssuerVerb::Serve { data, config, listen } => Ok(server::serve(&data, config.as_deref(), listen).await?),
        IssuerVerb::Offer { verb } => offer::run(verb).await,
        IssuerVerb::Import(args) => import::run(args).await,
        IssuerVerb::Registrar { verb } => registrar::run(verb),
        IssuerVerb::Backup(args) => store::back_up(&args).await,
        IssuerVerb::Restore(args) => store::restore(&args).await,
        IssuerVerb::Keys { verb } => keys::run(verb).await,
        IssuerVerb::Renewals { verb } => renewals::run(verb).await,
        IssuerVerb::Issued { verb } => issued::run(verb).await,
        IssuerVerb::Cohorts(staff) => cohorts::run(&staff).await,
        IssuerVerb::Vouchers(args) => vouchers::run(&args).await,
        IssuerVerb::Staff { verb } => Ok(carnet_service::staff::commands::run(verb)?),
        IssuerVerb::Status { verb } => status::run(verb).await,
    };
    done.map(|()| 0)
}

/// Prints the result of a command: `value` as JSON, or the text, in which invisible characters and escape sequences of
/// others are made visible.
fn print_result(json: bool, value: &Value, text: impl FnOnce() -> String) {
    // Reasons and names in it come from others.
    carnet_console::print_line(if json { value.to_string() } else { displayable_lines(&text()) });
}

/// Formats a protobuf timestamp (RFC 3339); empty if it is absent or out of range.
fn format_timestamp(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| wire::from_timestamp(at).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// Returns the last day before an exclusive end, for people; the text itself if it is no timestamp.
fn last_day(end: &str) -> String {
    Timestamp::parse(end).map_or_else(|_| end.to_owned(), day::format_end)
}

/// Returns the identifier of a format from its protobuf number; `unknown` for an unknown one.
fn format_name(format: i32) -> &'static str {
    crate::grpc::values::format_from_wire(format).map_or("unknown", CredentialFormat::as_str)
}
