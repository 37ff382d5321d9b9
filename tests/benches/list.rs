//! What `carnet list` takes on a wallet of 100 credentials with ten copies each, beside the same on an empty wallet, which
//! is the passphrase's key derivation and the start of the program. Whole processes, with the programs as they are built
//! for the bench; `carnet list` is to stay under 30 ms besides.

// A benchmark ends where something does not hold.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::time::{Duration, Instant};

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
};

const CREDENTIALS: usize = 100;
const RUNS: usize = 15;

fn median(stage: &Stage, wallet: &str) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        stage.carnet_on(wallet, &["list"], &["--json", "--no-input"], "")?.ok()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[RUNS / 2])
}

#[tokio::main]
async fn main() -> Result<()> {
    let stage = Stage::set(false).await?;
    stage.make_wallet()?;
    stage.carnet_on("empty.age", &["init", "--work-factor", "12"], &["--json", "--no-input"], "")?.ok()?;
    for _ in 0..CREDENTIALS {
        let offered = stage.offer(&stage.authority, "ResidencePermitCredential", &residence_permit(), &[])?;
        stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
    }
    let (empty, full) = (median(&stage, "empty.age")?, median(&stage, "wallet.age")?);
    println!("list: {CREDENTIALS} credentials, ten copies each, median of {RUNS} runs");
    println!(
        "list-100-credentials {:.1} ms besides the key derivation ({:.1} ms with it, {:.1} ms on an empty wallet)",
        full.saturating_sub(empty).as_secs_f64() * 1_000.0,
        full.as_secs_f64() * 1_000.0,
        empty.as_secs_f64() * 1_000.0,
    );
    Ok(())
}
