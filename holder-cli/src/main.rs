//! `carnet`: the holder's wallet on the command line.

use std::{pin::Pin, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

mod arguments;
mod backup_secret;
mod catalogue;
mod client;
mod clock;
mod commands;
mod context;
mod documents;
mod failure;
mod link_input;
mod location;
mod network;
mod opening;
mod passphrase_memory;
mod picture;
mod saved_language;
mod secrets;
#[cfg(test)]
mod service_tests;
mod ui;
#[cfg(test)]
mod verifier_desk;

// Modules of the wallet library, for short paths.
use carnet_wallet::{
    answer, issuance, issuer_metadata, link, offer, receipt, request, store as wallet, verifier_identity,
};

use arguments::{Arguments, Command};
use clock::CommandClock;
use context::CommandContext;
use failure::{Failure, FailureOutput as _, FailureReason, Sentence};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    // Both TLS clients use it; an error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let context = CommandContext::new(arguments.global.clone(), CommandClock::system());
    if let Err(failure) = context.check_language() {
        context.ui.print_failure(&failure);
        return carnet_console::exit_code(failure.exit_code());
    }
    let Some(command) = arguments.command else {
        if context.ui.can_ask() {
            return carnet_console::exit_code(commands::menu::run(arguments.global, run));
        }
        return misused(&command_missing());
    };
    match run(&context, &command) {
        Ok(()) => carnet_console::exit_code(0),
        Err(failure) => {
            context.ui.print_failure(&failure);
            carnet_console::exit_code(failure.exit_code())
        }
    }
}

fn run(context: &CommandContext, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => commands::init::run(context, arguments),
        Command::Passphrase(arguments) => commands::passphrase::run(context, arguments),
        Command::List => commands::list::run(context),
        Command::Need(arguments) => commands::need::run(context, arguments),
        Command::Paper(command) => commands::paper::run(context, command),
        Command::Show(arguments) => commands::show::run(context, arguments),
        Command::Log(arguments) => commands::log::run(context, arguments),
        Command::Receipt(command) => commands::receipt::run(context, command),
        Command::Backup(arguments) => commands::backup::run(context, arguments),
        Command::Export(arguments) => commands::export::run(context, arguments),
        Command::Import(arguments) => online(Box::pin(commands::import::run(context, arguments))),
        Command::Restore(arguments) => commands::restore::run(context, arguments),
        Command::Report(arguments) => commands::report::run(context, arguments),
        Command::Erase(arguments) => online(Box::pin(commands::erase::run(context, arguments))),
        Command::Delete(arguments) => commands::delete::run(context, arguments),
        Command::Undo(arguments) => commands::undo::run(context, arguments),
        Command::Completions(arguments) => commands::shell::completions(context, arguments),
        Command::Man(arguments) => commands::shell::man(context, arguments),
        Command::Registrar(command) => commands::registrar::run(context, command),
        Command::Local(command) => commands::local::run(context, command),
        Command::Trust(command) => online(Box::pin(commands::trust::run(context, command))),
        Command::Receive(arguments) => online(Box::pin(commands::receive::run(context, arguments))),
        Command::Refill(arguments) => online(Box::pin(commands::refill::run(context, arguments))),
        Command::Renew(arguments) => online(Box::pin(commands::renew::run(context, arguments))),
        Command::Refresh(arguments) => online(Box::pin(commands::refresh::run(context, arguments))),
        Command::Present(arguments) => online(Box::pin(commands::present::run(context, arguments))),
    }
}

/// Runs a command that uses the network. The future is boxed: otherwise the runtime would instantiate each command once
/// for each way to drive it.
fn online(work: Pin<Box<dyn Future<Output = Result<(), Failure>> + '_>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        let message = Sentence::new("error-start").with_details(error);
        Failure::temporary(FailureReason::System, message, Sentence::new("hint-close-programs"))
    })?;
    runtime.block_on(work)
}

/// Returns the usage error for a command line without a command, where nobody can read a menu.
fn command_missing() -> clap::Error {
    let mut command = Arguments::command();
    match command
        .clone()
        .subcommand_required(true)
        .arg_required_else_help(true)
        .try_get_matches_from(std::env::args_os())
    {
        Err(error) => error,
        // Never reached: there is no command.
        Ok(_) => command.error(clap::error::ErrorKind::MissingSubcommand, "a command is missing"),
    }
}

/// Prints a usage error of clap: exit code 2, and with `--json` an object like that of any other failure. Help and
/// version are printed the same way but are no failures.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !carnet_console::is_json_requested() {
        return carnet_console::print_usage(error);
    }
    let usage = carnet_console::usage_error_json(error);
    let mut object =
        Failure::usage(FailureReason::Program("usage"), Sentence::new("error-usage"), Sentence::new("hint-usage"))
            .json();
    // The message is clap's.
    if let Some(error) = object.get_mut("error").and_then(Value::as_object_mut)
        && let Some(Value::Object(said)) = usage.get("error")
    {
        error.extend(said.clone());
    }
    carnet_console::print_line(object);
    carnet_console::exit_code(carnet_console::EXIT_USAGE)
}
