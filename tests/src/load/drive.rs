//! Closed and open loops over callers, and their latencies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use carnet_tests::Result;
use hdrhistogram::Histogram;

use crate::{
    process::{Cost, ProcessState},
    scenario::Caller,
};

/// Longest latency that a histogram holds, in microseconds: five minutes.
const LONGEST_US: u64 = 300_000_000;

/// Pace of the calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each caller calls again as soon as it has its answer.
    Closed,
    /// Calls start at a set rate, whether earlier ones are answered or not. A latency counts from the time at which the
    /// call was due, so that a slow server cannot hide the calls that it delayed (coordinated omission).
    Open {
        /// Calls a second of all callers together.
        rate: f64,
    },
}

/// Latencies and costs of one run.
pub(crate) struct Run {
    pub(crate) operations: u64,
    pub(crate) wall: Duration,
    /// Microseconds; the client's own work, such as a wallet's signature, is not in them.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) cost: Cost,
    /// Sizes of the requests and answers of one trip, in bytes.
    pub(crate) exchanges: Vec<(usize, usize)>,
    pub(crate) operations_per_trip: u64,
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64()
    }

    /// Latency at a quantile, in milliseconds.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST_US, 3)?)
}

fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
}

/// Lets the callers call for a while. `server` is the process whose cost is counted. Each caller calls once before.
///
/// # Errors
/// A call fails: then the figures would be those of something else.
pub(crate) async fn run(callers: Vec<Caller>, pace: Pace, time: Duration, server: u32) -> Result<Run> {
    let mut ready = Vec::new();
    for mut caller in callers {
        // Connections, prepared statements.
        ready.push(tokio::spawn(async move {
            let trip = caller.call().await?;
            Ok::<_, carnet_tests::Error>((caller, trip))
        }));
    }
    let (mut callers, mut exchanges, mut operations_per_trip) = (Vec::new(), Vec::new(), 1);
    for warm in ready {
        let (caller, trip) = warm.await??;
        callers.push(caller);
        (exchanges, operations_per_trip) = (trip.exchanges, trip.operations);
    }
    let before = ProcessState::of(server)?;
    let start = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|caller| tokio::spawn(call_repeatedly(caller, pace, start, time, Arc::clone(&next))))
        .collect();
    let (mut latencies, mut operations) = (histogram()?, 0);
    for task in tasks {
        let (of_caller, done) = task.await??;
        latencies.add(of_caller)?;
        operations += done;
    }
    let wall = start.elapsed();
    let cost = ProcessState::of(server)?.cost_since(&before, operations);
    Ok(Run { operations, wall, latencies, cost, exchanges, operations_per_trip })
}

async fn call_repeatedly(
    mut caller: Caller,
    pace: Pace,
    start: Instant,
    time: Duration,
    next: Arc<AtomicU64>,
) -> Result<(Histogram<u64>, u64)> {
    let (mut latencies, mut operations) = (histogram()?, 0);
    loop {
        let due = match pace {
            Pace::Closed => Instant::now(),
            Pace::Open { rate } => {
                let number = next.fetch_add(1, Ordering::Relaxed);
                start + Duration::from_secs_f64(number as f64 / rate)
            }
        };
        if due.duration_since(start) >= time {
            return Ok((latencies, operations));
        }
        tokio::time::sleep_until(due.into()).await;
        let trip = caller.call().await?;
        operations += trip.operations;
        record(&mut latencies, due.elapsed().saturating_sub(trip.own_work));
    }
}
