//! Cost of a process, as the system counts it: processor time, memory, bytes written.

use std::fs;

use carnet_tests::Result;

/// Clock ticks a second in /proc/PID/stat; fixed at 100 on Linux for user space.
const TICKS: f64 = 100.0;

/// State of a process at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessState {
    /// Processor time of all threads, ended ones included, in seconds.
    cpu: f64,
    /// Resident memory, in KiB.
    resident: u64,
    /// Bytes that it caused to be written to the disk.
    written: u64,
}

/// Cost of a process over a span, per operation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Processor time, in microseconds.
    pub(crate) cpu_us: f64,
    /// Growth of the resident memory, in KiB for 1,000 operations.
    pub(crate) grown_kib: f64,
    /// Written bytes.
    pub(crate) written: f64,
}

impl ProcessState {
    /// Reads the state of a process.
    ///
    /// # Errors
    /// The process does not exist, or the system is not Linux.
    pub(crate) fn of(id: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name of the program is in parentheses and may contain spaces.
        let (_, rest) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).ok_or("/proc/PID/stat is short")?.parse()?) };
        let cpu = (ticks(11)? + ticks(12)?) / TICKS;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let resident = number_after(&status, "VmRSS:").unwrap_or_default();
        let io = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
        Ok(Self { cpu, resident, written: number_after(&io, "write_bytes:").unwrap_or_default() })
    }

    /// Returns the cost of each of `operations` since an earlier state.
    pub(crate) fn cost_since(&self, earlier: &Self, operations: u64) -> Cost {
        let each = 1.0 / (operations.max(1) as f64);
        Cost {
            cpu_us: (self.cpu - earlier.cpu) * 1e6 * each,
            grown_kib: self.resident.saturating_sub(earlier.resident) as f64 * each * 1_000.0,
            written: self.written.saturating_sub(earlier.written) as f64 * each,
        }
    }
}

/// Peak resident memory of a process, in MiB.
///
/// # Errors
/// As [`ProcessState::of`].
pub(crate) fn peak_mib(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    Ok(number_after(&status, "VmHWM:").unwrap_or_default() as f64 / 1_024.0)
}

/// Binds all threads of a process, present and future, to one core.
///
/// # Errors
/// `taskset` is missing, or the core does not exist.
pub(crate) fn pin(id: u32, core: u32) -> Result<()> {
    let pinned = std::process::Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &id.to_string()])
        .output()
        .map_err(|error| format!("taskset: {error}"))?;
    if pinned.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&pinned.stderr).into_owned().into()) }
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
