//! Arguments of `carnet registrar`, `carnet local` and `carnet trust`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `carnet registrar`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistrarCommand {
    /// Accept the registrations of a registrar
    Add(AddRegistrar),
    /// List the registrars that you accept
    List,
    /// Stop accepting a registrar
    Remove(RemoveRegistrar),
}

/// Arguments of `carnet registrar add`.
#[derive(Debug, Args)]
pub(crate) struct AddRegistrar {
    /// DID of the registrar
    pub(crate) did: String,
    /// Your name for the registrar
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Arguments of `carnet registrar remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveRegistrar {
    /// DID of the registrar
    pub(crate) did: String,
}

/// Subcommands of `carnet local`.
#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Add services on this machine, with their certificates and their registrar
    Add(AddLocal),
    /// List the added services
    List,
    /// Remove an added service
    Remove(RemoveLocal),
}

/// Arguments of `carnet local add`.
#[derive(Debug, Args)]
pub(crate) struct AddLocal {
    /// The local-site.json that `init --local` of each service wrote
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `carnet local remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveLocal {
    /// DID of the service: did:web:localhost...
    pub(crate) did: String,
}

/// Subcommands of `carnet trust`.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Accept a trust list: its registrars count as accepted, and you learn which issuers are listed
    Add(AddTrust),
    /// List the trust lists that you accept, and their validity
    List,
    /// Fetch newer versions of the lists from their sources
    Update(UpdateTrust),
    /// Stop accepting a list; versions older than the newest seen remain refused
    Remove(RemoveTrust),
}

/// Arguments of `carnet trust add`.
#[derive(Debug, Args)]
pub(crate) struct AddTrust {
    /// Location of the list: a file, or an https URL
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) list: String,
    /// DID that identifies the list
    #[arg(long, value_name = "DID")]
    pub(crate) issuer: String,
    /// DID of an operator of the list; once for each
    #[arg(long = "operator", value_name = "DID", required = true)]
    pub(crate) operators: Vec<String>,
    /// Number of operators that must have signed the list
    #[arg(long, value_name = "N")]
    pub(crate) quorum: usize,
    /// Lowest accepted sequence number of the list, as its operators announce it
    #[arg(long, value_name = "N")]
    pub(crate) least: Option<u64>,
    /// Accept the list with this digest although a newer one was seen before; its operators announce the digest
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) accept: Option<String>,
}

/// Arguments of `carnet trust update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateTrust {
    /// Accept the list with this digest although it is older than the newest one seen before, or does not follow from
    /// it; its operators announce the digest
    #[arg(long, value_name = "DIGEST", allow_hyphen_values = true)]
    pub(crate) accept: Option<String>,
}

/// Arguments of `carnet trust remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveTrust {
    /// DID that identifies the list
    pub(crate) issuer: String,
}
