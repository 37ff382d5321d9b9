//! Tables of the measured operations.

use std::{fmt::Write as _, fs, path::Path};

use carnet_tests::Result;

use crate::{floors::CryptoFloor, plan::Row};

/// Marks in a Markdown file between which the tables are written.
const MARKS: (&str, &str) = ("<!-- measured: begin -->\n", "<!-- measured: end -->");

/// Conditions of all runs.
pub(crate) struct Conditions {
    pub(crate) seconds: u64,
    pub(crate) pinned: bool,
    pub(crate) crypto: CryptoFloor,
}

/// Returns one line about an operation.
pub(crate) fn line(row: &Row) -> String {
    let (run, floor) = (&row.closed, &row.floor);
    format!(
        "{:<22} {:>3} callers {:>8.1}/s  p50 {:>7.2} p99 {:>7.2} p99.9 {:>7.2} ms  cpu {:>7.1} us = {:>5.2} of {:>6.1} \
         (calls {:.1}, crypto {:.1}, commits {:.1})  {:.1} KiB written",
        row.operation.title(),
        row.callers,
        run.rate(),
        run.latency_ms(0.5),
        run.latency_ms(0.99),
        run.latency_ms(0.999),
        run.cost.cpu_us,
        run.cost.cpu_us / floor.sum(),
        floor.sum(),
        floor.calls,
        floor.crypto,
        floor.commits,
        run.cost.written / 1_024.0,
    )
}

/// Returns the tables in Markdown.
pub(crate) fn markdown(conditions: &Conditions, rows: &[Row]) -> String {
    let mut text = String::new();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let placed =
        if conditions.pinned { "the servers on one core, the callers on another" } else { "not bound to cores" };
    let crypto = &conditions.crypto;
    let _ = writeln!(
        text,
        "{cores} cores, {placed}; {} s for each run. Bare cryptography on this machine: Ed25519 signature {:.1} us, strict \
         verification {:.1} us, SHA-256 {:.2} us for 1 KiB.\n",
        conditions.seconds, crypto.sign, crypto.verify, crypto.hash_kib
    );
    let _ = writeln!(
        text,
        "| closed loop | callers | per second | p50 ms | p99 ms | p99.9 ms | peak MiB | growth in KiB for 1,000 | KiB \
         written |\n|---|---|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let run = &row.closed;
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} |",
            row.operation.title(),
            row.callers,
            run.rate(),
            run.latency_ms(0.5),
            run.latency_ms(0.99),
            run.latency_ms(0.999),
            row.peak_mib,
            run.cost.grown_kib,
            run.cost.written / 1_024.0
        );
    }
    let _ = writeln!(
        text,
        "\n| processor time of the server, us | operation | floor | ratio | calls | cryptography | commits | commits of one \
         connection, per second |\n|---|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let (used, floor) = (row.closed.cost.cpu_us, &row.floor);
        let rate = floor.commit_rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        let _ = writeln!(
            text,
            "| {} | {used:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {rate} |",
            row.operation.title(),
            floor.sum(),
            used / floor.sum(),
            floor.calls,
            floor.crypto,
            floor.commits,
        );
    }
    if rows.iter().any(|row| !row.open.is_empty()) {
        let _ = writeln!(
            text,
            "\n| set rate | share of the closed loop's | per second | p50 ms | p99 ms | p99.9 ms | p99 over p50 |\n\
             |---|---|---|---|---|---|---|"
        );
    }
    for (row, (share, run)) in rows.iter().flat_map(|row| row.open.iter().map(move |open| (row, open))) {
        let _ = writeln!(
            text,
            "| {} | {:.0}% | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} |",
            row.operation.title(),
            share * 100.0,
            run.rate(),
            run.latency_ms(0.5),
            run.latency_ms(0.99),
            run.latency_ms(0.999),
            run.latency_ms(0.99) / run.latency_ms(0.5),
        );
    }
    text
}

/// Writes the tables into a file, in the place of those between its marks.
///
/// # Errors
/// The file has no marks, or cannot be written.
pub(crate) fn write(file: &Path, conditions: &Conditions, rows: &[Row]) -> Result<()> {
    let old = fs::read_to_string(file)?;
    let (before, rest) = old.split_once(MARKS.0).ok_or("the file has no mark for the tables")?;
    let (_, after) = rest.split_once(MARKS.1).ok_or("the file has no mark after the tables")?;
    let tables = markdown(conditions, rows);
    fs::write(file, format!("{before}{}{tables}{}{after}", MARKS.0, MARKS.1))?;
    Ok(())
}
