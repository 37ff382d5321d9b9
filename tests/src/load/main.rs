//! `cargo bench-all`: drives the real issuer and verifier over gRPC, and puts each operation beside its floor of the
//! same run: a bare gRPC call of the same sizes, bare signatures and hashes, and durable commits of as many bytes.
//!
//! The processor time is that of the server's process alone. The wallets' own work (keys, proofs, key bindings) is in no
//! latency. With `--pin` the servers have one core, and the callers another.

// A benchmark ends where something does not hold, and computes with what it measured itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::{path::PathBuf, time::Duration};

use carnet_tests::Result;
use clap::Parser;

mod drive;
mod echo;
mod floors;
mod plan;
mod process;
mod report;
mod scenario;
mod services;
mod wire;

/// Load on the real services, beside its floors.
#[derive(Debug, Parser)]
#[command(name = "cargo bench-all")]
struct Arguments {
    /// Time for each run, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Only these operations; may be repeated. Without it: all.
    #[arg(long, value_enum)]
    only: Vec<plan::Operation>,
    /// Number of callers, instead of each operation's own.
    #[arg(long)]
    callers: Option<usize>,
    /// Bind the servers to core 0 and the callers to core 1.
    #[arg(long)]
    pin: bool,
    /// Without the runs at a set rate (70% and 200% of the closed loop's).
    #[arg(long)]
    no_open_loop: bool,
    /// Write the tables into this Markdown file, between its marks.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Serve echoes: the floor of a call, started by this program itself.
    #[arg(long, hide = true)]
    echo_server: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.echo_server {
        return echo::serve().await;
    }
    let time = Duration::from_secs(arguments.seconds);
    let services = services::Services::start(arguments.pin).await?;
    let crypto = floors::CryptoFloor::measure()?;
    let mut rows = Vec::new();
    for operation in plan::Operation::chosen(&arguments.only) {
        let callers = arguments.callers.unwrap_or(operation.callers());
        let row = plan::measure(&services, crypto, operation, callers, time, !arguments.no_open_loop).await?;
        println!("{}", report::line(&row));
        rows.push(row);
    }
    let conditions = report::Conditions { seconds: arguments.seconds, pinned: arguments.pin, crypto };
    match &arguments.write {
        Some(file) => report::write(file, &conditions, &rows),
        None => {
            println!("\n{}", report::markdown(&conditions, &rows));
            Ok(())
        }
    }
}
