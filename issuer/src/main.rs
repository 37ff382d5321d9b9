//! `carnet-issuer`: the issuer program; its code is in the library of the same name.

use std::{pin::Pin, process::ExitCode};

use carnet_issuer::{IssuerArguments, run};
use carnet_service::{client, config::StartError, failure::StaffFailure};
use clap::{CommandFactory as _, FromArgMatches as _};

fn main() -> ExitCode {
    let commands = client::with_service_defaults(IssuerArguments::command(), &client::ISSUER_DEFAULTS);
    let parsed = commands.try_get_matches().and_then(|matches| IssuerArguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return carnet_console::print_usage(&error),
    };
    carnet_service::telemetry::init_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let (message, hint) = ("The program could not start", "Free some memory or threads and try again.");
            return StaffFailure::from(StartError::new(format!("{message}: {error}."), hint).retryable()).report();
        }
    };
    // Boxed: otherwise the runtime would instantiate the whole program once for each way to drive it.
    let work: Pin<Box<dyn Future<Output = _>>> = Box::pin(run(arguments));
    match runtime.block_on(work) {
        Ok(code) => carnet_console::exit_code(code),
        Err(failure) => failure.report(),
    }
}
