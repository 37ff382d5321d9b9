//! Progress of a pass: a bar on a terminal, else a line every ten seconds.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

/// Interval between two lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between two drawings of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
const BAR_WIDTH: usize = 30;

/// Progress display on standard error.
pub(super) struct Progress {
    verb: &'static str,
    started: Instant,
    last: Instant,
    is_terminal: bool,
    is_drawn: bool,
}

impl Progress {
    /// Begins a pass. `verb`: the participle of what is done with the rows.
    pub(super) fn new(verb: &'static str) -> Self {
        let now = Instant::now();
        Self { verb, started: now, last: now, is_terminal: carnet_console::stderr_is_terminal(), is_drawn: false }
    }

    /// Shows the number of rows and the part of the file, if it is time.
    pub(super) fn show(&mut self, rows: u64, part: f64) {
        let now = Instant::now();
        let interval = if self.is_terminal { BAR_INTERVAL } else { LINE_INTERVAL };
        if now.saturating_duration_since(self.last) < interval {
            return;
        }
        self.last = now;
        let line = line(self.verb, rows, part, now.saturating_duration_since(self.started));
        if self.is_terminal {
            self.is_drawn = true;
            write!(carnet_console::standard_error(), "\r{} {line}\u{1b}[K", bar(part)).ok();
        } else {
            carnet_console::print_error_line(format_args!("{line}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_drawn {
            write!(carnet_console::standard_error(), "\r\u{1b}[K").ok();
        }
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
fn line(verb: &str, rows: u64, part: f64, elapsed: Duration) -> String {
    let part = part.clamp(0.0, 1.0);
    let seconds = elapsed.as_secs_f64();
    let rate = (rows as f64 / seconds.max(0.001)) as u64;
    let left = if part > 0.0 { (seconds / part - seconds).max(0.0) as u64 } else { 0 };
    format!("{rows} rows {verb}, {}%, {rate} per second, {left} s left", (part * 100.0) as u64)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
fn bar(part: f64) -> String {
    let full = ((part.clamp(0.0, 1.0) * BAR_WIDTH as f64) as usize).min(BAR_WIDTH);
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR_WIDTH.saturating_sub(full)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_follow_from_the_part() {
        let text = line("checked", 2_500, 0.25, Duration::from_secs(5));
        assert_eq!(text, "2500 rows checked, 25%, 500 per second, 15 s left");
        assert_eq!(line("checked", 0, 0.0, Duration::ZERO), "0 rows checked, 0%, 0 per second, 0 s left");
        assert_eq!(bar(0.5), format!("[{}{}]", "#".repeat(15), "-".repeat(15)));
        assert_eq!(bar(7.0), format!("[{}]", "#".repeat(30)));
    }
}
