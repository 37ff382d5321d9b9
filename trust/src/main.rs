//! `carnet-trust`: creates, signs, publishes and explains trust lists, offline.

mod commands;
mod files;
mod history;
mod lote;
mod operator;
mod pins;
mod refusal;
mod source;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match commands::TrustArguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return carnet_console::usage(&error),
    };
    carnet_service::telemetry::init_logging();
    match commands::run(arguments) {
        Ok(code) => carnet_console::exit(code),
        Err(refusal) => {
            carnet_console::failure(&refusal, &refusal.json());
            carnet_console::exit(refusal.exit)
        }
    }
}
