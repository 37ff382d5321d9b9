//! `carnet-conformance`: issues and verifies any document, for test suites of the W3C over VC-API (docs/conformance.md).
//!
//! It is not the product. It has no catalogue, trusts every issuer, knows no holder, authenticates nobody and stores
//! nothing: keys and status lists are in memory and end with the process. So it listens on loopback only, and each of
//! its responses says that it is not the product's.

mod endpoints;
mod implementation;
mod jose_files;
mod processor;
mod profiles;
mod status_lists;

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use clap::Parser;

use crate::processor::Processor;

/// Issues and verifies any document, for test suites. It is not the product: it trusts everybody and stores nothing.
#[derive(Debug, Parser)]
#[command(name = "carnet-conformance", version)]
struct Arguments {
    /// Loopback address to listen on; port 0: a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[command(subcommand)]
    file: Option<jose_files::FileCommand>,
}

/// Notice in each response.
pub(crate) const NOTICE: &str = "conformance build; this is not a result of the product";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return carnet_console::print_usage(&error),
    };
    if let Some(command) = arguments.file {
        return match jose_files::run(&command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                carnet_console::print_error_line(format_args!("carnet-conformance: {error}"));
                carnet_console::exit_code(1)
            }
        };
    }
    match serve(arguments.listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            carnet_console::print_error_line(format_args!("carnet-conformance: {error}"));
            carnet_console::exit_code(1)
        }
    }
}

/// Serves until SIGINT or SIGTERM. The first line of output is the base URL.
async fn serve(listen: SocketAddr) -> Result<(), String> {
    if !listen.ip().is_loopback() {
        return Err(format!(
            "{listen} is not a loopback address. This program signs whatever it is given; it listens on 127.0.0.1 or \
             [::1] only"
        ));
    }
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let base_url = format!("http://{address}");
    let processor = Processor::new(&base_url).map_err(|problem| problem.to_string())?;
    carnet_console::print_line(&base_url);
    carnet_console::print_error_line(format_args!("carnet-conformance: {NOTICE}; keys end with this process"));
    let routes = endpoints::router(Arc::new(processor));
    axum::serve(listener, routes).with_graceful_shutdown(stopped()).await.map_err(|error| error.to_string())
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
