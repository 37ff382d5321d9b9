//! A program at a terminal, with a person who reads and types.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{Result, programs};

/// A running program and the other end of its terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: File,
    /// All that was printed so far.
    pub screen: String,
    /// Up to where it was read.
    read: usize,
    /// Start of a character whose other bytes were not read yet.
    partial: Vec<u8>,
}

impl Terminal {
    /// Starts a program with input, output and errors at a terminal of its own, which does not state its width.
    ///
    /// # Errors
    /// If no terminal is available or the program cannot be started.
    pub fn start<I, S>(program: &str, args: I) -> Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Self::start_at(program, args, 0)
    }

    /// [`Self::start`], at a terminal of so many columns.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn start_at<I, S>(program: &str, args: I, columns: u16) -> Result<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let end = File::options().read(true).write(true).open(name.to_str()?)?;
        tcsetwinsize(&end, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        let child = programs::bare(&mut Command::new(programs::directory()?.join(program)))
            .args(args)
            .env("LANG", "en_GB.UTF-8")
            .env("NO_COLOR", "1")
            .stdin(end.try_clone()?)
            .stdout(end.try_clone()?)
            .stderr(end)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { child, master: File::from(master), screen: String::new(), read: 0, partial: Vec::new() })
    }

    /// Reads until the program has printed `text`, and returns its output up to there.
    ///
    /// # Errors
    /// If it ends before; the error shows the screen.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        let from = self.read;
        self.wait_for_one(&[text])?;
        Ok(self.screen.get(from..self.read).unwrap_or_default().to_owned())
    }

    /// Reads until the program has printed one of the texts, and returns the index of the first one.
    ///
    /// # Errors
    /// If it ends before; the error shows the screen.
    pub fn wait_for_one(&mut self, texts: &[&str]) -> Result<usize> {
        loop {
            let new = self.screen.get(self.read..).unwrap_or_default();
            let found = texts.iter().enumerate().filter_map(|(place, text)| Some((new.find(text)?, text.len(), place)));
            if let Some((start, length, place)) = found.min() {
                self.read = self.read.saturating_add(start).saturating_add(length);
                return Ok(place);
            }
            if !self.read_more() {
                return Err(format!("the program ended and never printed any of {texts:?}:\n{}", self.screen).into());
            }
        }
    }

    /// Types a line.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        Ok(self.master.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Returns whether typed characters are hidden, as they are before the prompt for a passphrase is printed.
    ///
    /// # Errors
    /// The terminal is closed.
    pub fn hides_input(&self) -> Result<bool> {
        Ok(!tcgetattr(&self.master)?.local_modes.contains(LocalModes::ECHO))
    }

    /// Types the end of the input (Ctrl-D).
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn type_end(&mut self) -> Result<()> {
        Ok(self.master.write_all(&[4])?)
    }

    /// Interrupts the program, as Ctrl-C does at a terminal that controls it.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn interrupt(&self) -> Result<()> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::INT)?)
    }

    /// Reads to the end: the exit code (-1 if a signal ended it), and the whole screen.
    ///
    /// # Errors
    /// If the program cannot be waited for.
    pub fn end(mut self) -> Result<(i32, String)> {
        while self.read_more() {}
        Ok((self.child.wait()?.code().unwrap_or(-1), std::mem::take(&mut self.screen)))
    }

    fn read_more(&mut self) -> bool {
        let mut chunk = [0_u8; 4096];
        // When the last process at the terminal has ended, reading it is an error.
        match self.master.read(&mut chunk) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.partial.extend_from_slice(chunk.get(..count).unwrap_or_default());
                let whole = match std::str::from_utf8(&self.partial) {
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    _ => self.partial.len(),
                };
                let bytes: Vec<u8> = self.partial.drain(..whole).collect();
                self.screen.push_str(&String::from_utf8_lossy(&bytes));
                true
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
