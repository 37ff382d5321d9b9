//! `carnet-issuer`: issues credentials to the wallets of the people they are about.

mod claims;
mod commands;
mod config;
mod credential;
mod error;
mod format;
mod freshness;
mod grpc;
mod issuance;
mod issuer;
#[cfg(feature = "jsonld")]
mod jsonld;
mod nonces;
mod offers;
mod proofs;
mod redemption;
mod refill;
mod registrar;
mod renewal;
mod secrets;
mod server;
mod setup;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod warnings;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match commands::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return carnet_console::usage(&error),
    };
    carnet_service::telemetry::init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            carnet_console::note(format_args!(
                "error: the program could not start: {error}\nhint: free some memory or threads and try again"
            ));
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(()) => carnet_console::exit(0),
        Err(failure) => {
            carnet_console::note(format_args!("error: {failure}"));
            carnet_console::exit(failure.exit_code())
        }
    }
}
