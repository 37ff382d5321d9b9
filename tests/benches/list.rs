//! Time of `carnet list` and `carnet need` on a wallet of 1,000 credentials with ten copies each, beside the time on an
//! empty wallet, which is the passphrase's key derivation and the start of the program; and the time to the first output
//! of commands that open no wallet. Whole processes, with the programs as they are built for the bench; the figures are
//! printed, and nothing is asserted: the aims are 50 ms and 40 MiB on top, and 20 ms for the first output. Making the
//! wallet takes some minutes.

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
    Result, programs,
    stage::{Stage, residence_permit},
};

const CREDENTIALS: usize = 1_000;
const RUNS: usize = 15;

fn median(mut time: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut times = (0..RUNS).map(|_| time()).collect::<Result<Vec<_>>>()?;
    times.sort();
    Ok(times[RUNS / 2])
}

/// Time of a whole command.
fn time_of(stage: &Stage, wallet: &str, command: &str) -> Result<Duration> {
    let start = Instant::now();
    stage.carnet_on(wallet, &[command], &["--json", "--no-input"], "")?.ok()?;
    Ok(start.elapsed())
}

/// Time from the start of a command to its first output.
fn time_to_output(args: &[&str]) -> Result<Duration> {
    let start = Instant::now();
    let mut child = programs::spawn("carnet", args, &[])?;
    child.stdout.take().unwrap().read_exact(&mut [0])?;
    let elapsed = start.elapsed();
    child.wait()?;
    Ok(elapsed)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
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
    println!("{CREDENTIALS} credentials, ten copies each, median of {RUNS} runs");
    for command in ["list", "need"] {
        let empty = median(|| time_of(&stage, "empty.age", command))?;
        let full = median(|| time_of(&stage, "wallet.age", command))?;
        println!(
            "{command}-1000-credentials {:.1} ms besides the key derivation ({:.1} ms with it, {:.1} ms on an empty wallet)",
            milliseconds(full.saturating_sub(empty)),
            milliseconds(full),
            milliseconds(empty),
        );
    }
    for args in [&["--help"][..], &["need", "--help"], &["--version"]] {
        println!("first output of carnet {}: {:.1} ms", args.join(" "), milliseconds(median(|| time_to_output(args))?));
    }
    let bytes = fs::metadata(stage.folder.join("wallet.age"))?.len();
    let (empty, full) = (peak(&stage, "empty.age")?, peak(&stage, "wallet.age")?);
    println!("wallet of {} KiB; memory {full} KiB, {empty} KiB on an empty wallet", bytes / 1_024);
    Ok(())
}
