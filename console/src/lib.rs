//! Standard output and standard error of the four programs, and their yes-or-no questions.
//!
//! Rules, the same in all four:
//! - A closed pipe (`| head`) is not an error: the rest is not written, and the exit code is that of the command.
//! - Output that cannot be written for another reason (a full disk) makes the exit code at least 1, and standard error
//!   says that the command itself was executed.
//! - Results that are displayed only once (a link, a PIN, a token) are different: standard output is checked before the
//!   action, and every failure to print them, including a closed pipe, is returned for the command to report.
//! - Failures to write to standard error are ignored.

use std::{
    fmt::Display,
    fs::File,
    io::{self, BufRead as _, ErrorKind, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::OnceLock,
    thread,
    time::Duration,
};

mod failure;
mod question;
mod wrap;

pub use failure::{is_json_requested, print_failure, set_error_members, usage_error_json};
pub use question::{Answer, Choice, Question};
pub use wrap::{width, wrap_indented, wrap_lines, wrap_lines_between_words};

/// Exit code for a failed command, or a negative result.
pub const EXIT_FAILURE: u8 = 1;
/// Exit code for a usage error, or a missing file or secret.
pub const EXIT_USAGE: u8 = 2;
/// Exit code for a temporary failure: a retry may succeed.
pub const EXIT_TRY_AGAIN: u8 = 3;
/// Minimum exit code of a command whose output was lost.
const EXIT_OUTPUT_LOST: u8 = EXIT_FAILURE;

/// Time between looks at whether the terminal hides what is typed.
const HIDING_POLL: Duration = Duration::from_millis(1);

/// Reason why standard output cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// Standard output is `/dev/null`, or is closed: the standard library then opens `/dev/null`, so that the two
    /// cannot be distinguished.
    #[error("standard output is closed or goes to /dev/null")]
    NullDevice,
    /// A write failed, with the message of the operating system.
    #[error("standard output cannot be written: {0}")]
    Failed(String),
}

/// First failure to write standard output in this process that the caller did not handle; it determines the exit code.
static FIRST_FAILURE: OnceLock<Unwritable> = OnceLock::new();

/// Writes text to standard output. A closed pipe is ignored; any other failure is remembered for the exit code.
pub fn print(text: impl Display) {
    if let Err(error) = write(&text)
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = FIRST_FAILURE.set(to_unwritable(&error));
    }
}

/// Writes a line to standard output. A closed pipe is ignored; any other failure is remembered for the exit code.
pub fn print_line(text: impl Display) {
    print(format_args!("{text}\n"));
}

/// Writes a line to standard output, and returns a failure for the caller to handle; it does not affect the exit code.
///
/// # Errors
/// The line could not be written, or its reader has closed the pipe.
pub fn try_print_line(text: impl Display) -> Result<(), Unwritable> {
    write(format_args!("{text}\n")).map_err(|error| to_unwritable(&error))
}

/// Writes a line to standard error; failures are ignored.
pub fn print_error_line(text: impl Display) {
    let _ = writeln!(standard_error(), "{text}");
}

/// Returns the exit code for the process: `code`; at least 1 if output was lost, which is then reported on standard
/// error. It does not end the process.
#[must_use]
pub fn exit_code(code: u8) -> ExitCode {
    let Some(lost) = FIRST_FAILURE.get() else { return ExitCode::from(code) };
    print_error_line(format_args!(
        "error: part of the answer is lost: {lost}. The command itself was carried out.\nhint: make room, or \
         redirect the output; the listing commands show the current state"
    ));
    ExitCode::from(code.max(EXIT_OUTPUT_LOST))
}

/// Checks that standard output can be written, before an action whose result is displayed only once.
///
/// If it is not a terminal, white space is written to it: a space before JSON (`json`), otherwise an empty line.
///
/// # Errors
/// Standard output is closed, full, a pipe without a reader, or `/dev/null`.
pub fn check_output(json: bool) -> Result<(), Unwritable> {
    if stdout_is_terminal() {
        return Ok(());
    }
    if goes_nowhere() {
        return Err(Unwritable::NullDevice);
    }
    write(if json { " " } else { "\n" }).map_err(|error| to_unwritable(&error))
}

/// Checks that standard output goes somewhere, without writing to it: for output that a script reads from its first
/// byte on. A full disk or a closed pipe is found only when the line is written.
///
/// # Errors
/// Standard output is closed or `/dev/null`.
pub fn require_reader() -> Result<(), Unwritable> {
    if goes_nowhere() { Err(Unwritable::NullDevice) } else { Ok(()) }
}

/// Writes a line that cannot be displayed again, such as a secret.
///
/// # Errors
/// Standard output is closed or `/dev/null`; the line could not be written, or its reader has closed the pipe.
pub fn print_once(text: impl Display) -> Result<(), Unwritable> {
    if goes_nowhere() {
        return Err(Unwritable::NullDevice);
    }
    try_print_line(text)
}

/// Prints help, version or a usage error from the command-line parser, and returns the exit code: 0, or 2 for a usage
/// error. With `--json`, a usage error is also printed as an object on standard output.
#[must_use]
pub fn print_usage(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if error.use_stderr() {
        if is_json_requested() {
            let _ = try_print_line(usage_error_json(error));
        }
        let _ = match colour && stderr_is_terminal() {
            true => write!(standard_error(), "{}", text.ansi()),
            false => write!(standard_error(), "{text}"),
        };
        return exit_code(EXIT_USAGE);
    }
    match colour && stdout_is_terminal() {
        true => print(text.ansi()),
        false => print(text),
    }
    exit_code(0)
}

/// Asks a question on standard error, and reads the answer from standard input; `None`, without asking, if either is
/// not a terminal.
#[must_use]
pub fn ask(question: &Question<'_>) -> Option<Answer> {
    if !io::stdin().is_terminal() || !stderr_is_terminal() {
        return None;
    }
    let print = |text: &str| {
        let mut error = standard_error();
        let _ = write!(error, "{text}").and_then(|()| error.flush());
    };
    Some(question.ask(print, read_line))
}

/// Reads a line from standard input, without its line feed; `None` at the end of the input, even after an incomplete
/// line, or if reading fails. Invalid UTF-8 is replaced.
#[must_use]
pub fn read_line() -> Option<String> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line).ok()?;
    line.strip_suffix(b"\n").map(|line| String::from_utf8_lossy(line).into_owned())
}

/// Prints a prompt on standard output, and waits for a line on standard input. Lines that were typed before the prompt
/// are discarded. Returns `false` at the end of the input.
#[must_use]
pub fn wait_for_enter(prompt: &str) -> bool {
    question::discard_typed_ahead();
    print(prompt);
    read_line().is_some()
}

/// Prints a prompt on the terminal that controls the program, and reads a line that is not shown. Typed characters are
/// hidden before the prompt is printed, so that none of somebody who types at once is on the screen.
///
/// # Errors
/// There is no such terminal; the input ends or is interrupted.
pub fn read_hidden_line(prompt: &str) -> io::Result<String> {
    let reader = thread::spawn(rpassword::read_password);
    if let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") {
        while !reader.is_finished() && question::shows_input(&terminal) {
            thread::sleep(HIDING_POLL);
        }
        let _ = write!(terminal, "{prompt}").and_then(|()| terminal.flush());
    }
    reader.join().unwrap_or_else(|_| Err(io::Error::other("the line could not be read")))
}

/// Erases the screen of the terminal on standard output and the lines above it; nothing if it is not a terminal.
pub fn clear_screen() {
    if stdout_is_terminal() {
        print("\u{1b}[H\u{1b}[2J\u{1b}[3J");
    }
}

/// Returns the width of the terminal on standard output, in columns; `None` if it is not a terminal.
#[must_use]
pub fn terminal_columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(standard_output())?;
    Some(usize::from(width.0)).filter(|columns| *columns > 0)
}

/// Returns whether standard output is a terminal.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    standard_output().is_terminal()
}

/// Returns whether standard error is a terminal.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    standard_error().is_terminal()
}

/// Returns standard error, for logs.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that opens it")]
pub fn standard_error() -> io::Stderr {
    io::stderr()
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens it")]
fn standard_output() -> io::Stdout {
    io::stdout()
}

fn write(text: impl Display) -> io::Result<()> {
    let mut out = standard_output().lock();
    // Formatted first: one write for one text, and no half of it before an error.
    out.write_all(text.to_string().as_bytes())?;
    out.flush()
}

fn to_unwritable(error: &io::Error) -> Unwritable {
    Unwritable::Failed(error.to_string())
}

/// Returns whether standard output is the null device or cannot be examined; always `false` on systems other than Unix.
#[cfg(unix)]
fn goes_nowhere() -> bool {
    use std::os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    };

    let standard = standard_output().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let Ok(it) = standard.and_then(|file| file.metadata()) else { return true };
    it.file_type().is_char_device() && std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == it.rdev())
}

#[cfg(not(unix))]
fn goes_nowhere() -> bool {
    false
}
