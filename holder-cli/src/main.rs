//! `carnet`: the holder's wallet on the command line.

use std::{pin::Pin, process::ExitCode};

use clap::Parser;
use serde_json::Value;

mod arguments;
mod client;
mod commands;
mod failure;
mod pasting;
#[cfg(test)]
mod service_tests;
mod session;
mod ui;
#[cfg(test)]
mod verifier_desk;

// The library's modules, as if they stood here.
use carnet_wallet::{answer, collect, introduction, link, offer, promise, receipt, request, store as wallet};

use arguments::{Arguments, Command};
use failure::{Failure, FailureOutput as _, Sentence};
use session::Session;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    // Both TLS clients use it; an error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let session = Session::new(arguments.global);
    match run(&session, &arguments.command) {
        Ok(()) => carnet_console::exit(0),
        Err(failure) => {
            session.ui.failure(&failure);
            carnet_console::exit(failure.exit())
        }
    }
}

fn run(session: &Session, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => commands::init::run(session, arguments),
        Command::Passphrase(arguments) => commands::passphrase::run(session, arguments),
        Command::List => commands::list::run(session),
        Command::Need(arguments) => commands::need::run(session, arguments),
        Command::Show(arguments) => commands::show::run(session, arguments),
        Command::Log(arguments) => commands::log::run(session, arguments),
        Command::Receipt(command) => commands::receipt::run(session, command),
        Command::Backup(arguments) => commands::backup::run(session, arguments),
        Command::Restore(arguments) => commands::restore::run(session, arguments),
        Command::Report(arguments) => commands::report::run(session, arguments),
        Command::Erase(arguments) => online(Box::pin(commands::erase::run(session, arguments))),
        Command::Delete(arguments) => commands::delete::run(session, arguments),
        Command::Registrar(command) => commands::registrar::run(session, command),
        Command::Local(command) => commands::local::run(session, command),
        Command::Trust(command) => online(Box::pin(commands::trust::run(session, command))),
        Command::Receive(arguments) => online(Box::pin(commands::receive::run(session, arguments))),
        Command::Refill(arguments) => online(Box::pin(commands::refill::run(session, arguments))),
        Command::Renew(arguments) => online(Box::pin(commands::renew::run(session, arguments))),
        Command::Refresh(arguments) => online(Box::pin(commands::refresh::run(session, arguments))),
        Command::Present(arguments) => online(Box::pin(commands::present::run(session, arguments))),
    }
}

/// Runs a command that uses the network. The future is boxed: otherwise the runtime would instantiate each command once
/// for each way to drive it.
fn online(work: Pin<Box<dyn Future<Output = Result<(), Failure>> + '_>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        let message = Sentence::id("error-start").details(error);
        Failure::later("system", message, Sentence::id("hint-close-programs"))
    })?;
    runtime.block_on(work)
}

/// Prints a usage error of clap: exit code 2, and with `--json` an object like that of any other failure. Help and
/// version are printed the same way but are no failures.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !carnet_console::json_is_asked() {
        return carnet_console::usage(error);
    }
    let usage = carnet_console::usage_object(error);
    let mut object = Failure::usage("usage", Sentence::id("error-usage"), Sentence::id("hint-usage")).json();
    // The words are those of clap.
    if let Some(error) = object.get_mut("error").and_then(Value::as_object_mut)
        && let Some(Value::Object(said)) = usage.get("error")
    {
        error.extend(said.clone());
    }
    carnet_console::line(object);
    carnet_console::exit(carnet_console::USAGE)
}
