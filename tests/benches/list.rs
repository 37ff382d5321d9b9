//! Time of `carnet list` on a wallet of 1,000 credentials with ten copies each, beside the time on an empty wallet,
//! which is the passphrase's key derivation and the start of the program. Whole processes, with the programs as they
//! are built for the bench; the figures are printed, and nothing is asserted: the aim is 150 ms and 40 MiB on
//! top. Making the wallet takes some minutes.

// A benchmark ends where something does not hold.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::{
    fs,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use carnet_tests::{
    Result,
    stage::{Stage, residence_permit},
};

const CREDENTIALS: usize = 1_000;
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

/// Peak memory of the program, in KiB, as the system counts it.
fn peak(stage: &Stage, wallet: &str) -> Result<u64> {
    let mut child = stage.start_carnet(wallet, &["list"], &["--json", "--no-input"])?;
    let mut output = child.stdout.take().unwrap();
    let read = thread::spawn(move || output.read_to_end(&mut Vec::new()));
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        peak = peak.max(now);
    }
    read.join().unwrap()?;
    Ok(peak)
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
        "list-1000-credentials {:.1} ms besides the key derivation ({:.1} ms with it, {:.1} ms on an empty wallet)",
        full.saturating_sub(empty).as_secs_f64() * 1_000.0,
        full.as_secs_f64() * 1_000.0,
        empty.as_secs_f64() * 1_000.0,
    );
    let bytes = fs::metadata(stage.folder.join("wallet.age"))?.len();
    let (empty, full) = (peak(&stage, "empty.age")?, peak(&stage, "wallet.age")?);
    println!("wallet of {} KiB; memory {full} KiB, {empty} KiB on an empty wallet", bytes / 1_024);
    Ok(())
}
