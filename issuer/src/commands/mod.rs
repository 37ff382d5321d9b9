//! The command line: one file a verb.

mod cohorts;
mod init;
mod issued;
mod keys;
mod offer;
pub(crate) mod registrar;
mod renewals;
mod status;
mod store;
mod vouchers;

use std::{net::SocketAddr, path::PathBuf};

use carnet_core::{day, text::shown_lines, time::Timestamp};
pub(crate) use carnet_service::failure::Failure;
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
    after_help = "Exit codes: 0 done, 1 a problem or a no, 2 used wrongly, 3 try again later."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a data directory with a key, a DID document and a staff token.
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
    /// Offers to holders.
    Offer {
        #[command(subcommand)]
        verb: offer::OfferVerb,
    },
    /// Sign what askers register, for wallets that have pinned this registrar. Needs no issuer and no network.
    Registrar {
        #[command(subcommand)]
        verb: registrar::RegistrarVerb,
    },
    /// Write a backup of the store: one file, whole, checked. The service may be running.
    Backup(BackupArgs),
    /// Put a backup in the place of the store. The service must be stopped.
    Restore(RestoreArgs),
    /// The signing keys. What changes them needs the service stopped.
    Keys {
        #[command(subcommand)]
        verb: carnet_service::keys::verbs::KeysVerb,
    },
    /// Who may call as staff, by name.
    Staff {
        #[command(subcommand)]
        verb: carnet_service::staff::verbs::StaffVerb,
    },
    /// What becomes of what was issued: revoke, suspend, reinstate.
    Status {
        #[command(subcommand)]
        verb: status::StatusVerb,
    },
    /// Renewals: what waits for your word, and what became of the others.
    Renewals {
        #[command(subcommand)]
        verb: renewals::RenewalsVerb,
    },
    /// What was issued, without claims.
    Issued {
        #[command(subcommand)]
        verb: issued::IssuedVerb,
    },
    /// How many holders share what askers can compare: type, format, beginning and end. From counts, without claims.
    Cohorts(carnet_service::client::StaffArgs),
    /// How many vouchers were issued and how many uses they give, by service, redeemer and month.
    Vouchers(vouchers::VouchersArgs),
}

/// Runs a verb.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Init(args) => init::run(args).await,
        Verb::Serve { data, config, listen } => Ok(server::serve(&data, config.as_deref(), listen).await?),
        Verb::Offer { verb } => offer::run(verb).await,
        Verb::Registrar { verb } => registrar::run(verb),
        Verb::Backup(args) => store::back_up(&args).await,
        Verb::Restore(args) => store::restore(&args).await,
        Verb::Keys { verb } => keys::run(verb).await,
        Verb::Renewals { verb } => renewals::run(verb).await,
        Verb::Issued { verb } => issued::run(verb).await,
        Verb::Cohorts(staff) => cohorts::run(&staff).await,
        Verb::Vouchers(args) => vouchers::run(&args).await,
        Verb::Staff { verb } => Ok(carnet_service::staff::verbs::run(verb)?),
        Verb::Status { verb } => status::run(verb).await,
    }
}

/// Prints one answer: JSON for programs, lines for people.
fn print(json: bool, value: &Value, text: impl FnOnce() -> String) {
    // Reasons and names in it are others' words.
    carnet_console::line(if json { value.to_string() } else { shown_lines(&text()) });
}

/// A protobuf time in text.
fn time(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| wire::from_timestamp(at).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// The last day of what ends at an instant, for a person.
fn last_day(end: &str) -> String {
    Timestamp::parse(end).map_or_else(|_| end.to_owned(), day::until)
}

/// A format's identifier, from the wire.
fn format_name(format: i32) -> &'static str {
    crate::format::Format::from_wire(format).map_or("unknown", crate::format::Format::as_str)
}
