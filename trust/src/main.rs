//! `carnet-trust`: creates, signs, publishes and explains trust lists, offline.

mod commands;
mod error;
mod files;
mod history;
mod lote;
mod operator;
mod pins;
mod rendering;
mod source;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match commands::TrustArguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return carnet_console::print_usage(&error),
    };
    carnet_service::telemetry::init_logging();
    match commands::run(arguments) {
        Ok(code) => carnet_console::exit_code(code),
        Err(refusal) => {
            carnet_console::print_failure(&refusal, &refusal.to_json());
            carnet_console::exit_code(refusal.exit)
        }
    }
}
