//! `carnet-trust`: makes, signs, publishes and explains trust lists. It serves nobody, and needs no network.

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
    let arguments = commands::Arguments::parse();
    carnet_service::telemetry::init();
    match commands::run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            eprintln!("error: {refusal}");
            ExitCode::from(1)
        }
    }
}
