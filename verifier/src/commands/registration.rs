//! Commands `registration request` and `registration install`.

use std::path::{Path, PathBuf};

use carnet_core::day;
use carnet_service::{config::StartError, keys::Keyring};
use clap::Subcommand;
use serde_json::{Value, json};

use super::StaffFailure;
use crate::{
    config::VerifierConfig,
    identity::OwnIdentity,
    registration::{self, RegistrationArgs},
};

#[derive(Debug, Subcommand)]
pub(crate) enum RegistrationCommand {
    /// Create a request to a registrar for a registration, and print it or write it to a file.
    Request {
        /// The data directory that `init` created.
        #[arg(long, value_parser = carnet_service::directory::DataDirectoryParser)]
        data: PathBuf,
        #[command(flatten)]
        about: RegistrationArgs,
        /// The file to write; by default standard output.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Install the registration that a registrar signed; it takes effect at the next start.
    Install {
        /// The data directory that `init` created.
        #[arg(long, value_parser = carnet_service::directory::DataDirectoryParser)]
        data: PathBuf,
        /// The file with the registration.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(verb: RegistrationCommand) -> Result<u8, StaffFailure> {
    match verb {
        RegistrationCommand::Request { data, about, out } => {
            let request = create_request(&data, &about)?;
            match out {
                Some(path) => write_request(&path, &request)?,
                None => carnet_console::print_line(format_args!("{request:#}")),
            }
        }
        RegistrationCommand::Install { data, file, json } => {
            let config = VerifierConfig::load(&data, None)?;
            let registration = registration::install_registration(&data, &config.did, &file)?;
            let uses: Vec<&str> =
                registration.relying_party().intended_uses.iter().map(|intended| intended.id.as_str()).collect();
            if json {
                let until = registration.valid_until().to_string();
                carnet_console::print_line(
                    json!({"registrar": registration.registrar(), "valid_until": until, "intended_uses": uses}),
                );
            } else {
                carnet_console::print_line(format_args!(
                    "Registered by {} until {} for: {}. It takes effect at the next start.",
                    registration.registrar(),
                    day::format_end(registration.valid_until()),
                    uses.join(", ")
                ));
            }
        }
    }
    Ok(0)
}

/// Creates the registration request of the verifier in a data directory.
pub(super) fn create_request(data: &Path, about: &RegistrationArgs) -> Result<Value, StaffFailure> {
    let config = VerifierConfig::load(data, None)?;
    let broken = |what: String| StartError::new(format!("{what} Nothing was created."), "Correct the configuration.");
    let did =
        carnet_core::did::Did::parse(&config.did).map_err(|problem| broken(format!("did is refused: {problem}.")))?;
    let identity = OwnIdentity::new(did, config.name.clone(), Keyring::open(data, &config.keys)?)
        .ok_or_else(|| broken(format!("{} is not a DID of the key in the data directory.", config.did)))?;
    let catalogue = config.catalogue().map_err(|error| error.with_consequence("Nothing was created."))?;
    Ok(Value::Object(registration::create_registration_request(&identity, about, &catalogue)?))
}

pub(super) fn write_request(path: &Path, request: &Value) -> Result<(), StaffFailure> {
    std::fs::write(path, format!("{request:#}\n")).map_err(|error| {
        StaffFailure::Input(format!(
            "{} cannot be written: {error}. Nothing was created.\nhint: check the path",
            path.display()
        ))
    })
}
