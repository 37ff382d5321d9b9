//! The three programs as processes: built, started, asked, stopped.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::Result;

/// Directory of the programs: that of the running executable.
///
/// # Errors
/// If the path of the running executable is not known.
pub fn directory() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut folder = exe.parent().ok_or("the executable has no folder")?;
    if folder.file_name() == Some(OsStr::new("deps")) {
        folder = folder.parent().ok_or("the executable has no folder")?;
    }
    Ok(folder.to_owned())
}

/// Builds the three programs into the folder of the running executable, with the same profile.
///
/// # Errors
/// If they do not build.
pub fn build() -> Result<()> {
    let folder = directory()?;
    // A folder of programs that was built by somebody else (an installed release) is used as it is.
    if std::env::var_os("CARNET_PREBUILT").is_some() {
        return Ok(());
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // Set by the cargo or the test runner that started this: build scripts that read them (ring's) would run again at
    // each change, and most of the dependencies be built again with them.
    let own = |name: &str| name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(own)) {
        cargo.env_remove(name);
    }
    cargo.args(["build", "--quiet", "--workspace", "--bins"]);
    if folder.file_name() == Some(OsStr::new("release")) {
        cargo.arg("--release");
    }
    let status = cargo.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("the programs did not build".into()) }
}

/// Finds ports that nobody listens at, below those that the system gives to clients and above the fixed ones of `migration.rs`.
///
/// # Errors
/// If there are too few.
pub fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT]> {
    // A block for each process, so that two tests that run at once do not find the same.
    let first = u16::try_from(std::process::id() % 600)?.saturating_mul(10).saturating_add(25_000);
    let mut free = (first..32_000).filter_map(|port| Some((port, TcpListener::bind(("127.0.0.1", port)).ok()?)));
    // Held until all are found, so that no two are the same.
    let held: Vec<_> = free.by_ref().take(COUNT).collect();
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    ports.try_into().map_err(|_| "too few ports are free".into())
}

/// Output and exit of a program.
#[derive(Debug)]
pub struct Said {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Standard output as JSON.
    ///
    /// # Errors
    /// If it is not JSON; the error shows both outputs.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| format!("{error}: {}\n{}", self.stdout, self.stderr).into())
    }

    /// This, if the program ended with 0.
    ///
    /// # Errors
    /// If it did not; the error shows both outputs.
    pub fn ok(self) -> Result<Self> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(format!("exit code {}\n{}\n{}", self.code, self.stdout, self.stderr).into())
        }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a program to its end, with nothing on its standard input.
///
/// # Errors
/// If it cannot be started.
pub fn run<I, S>(program: &str, args: I, env: &[(&str, &str)]) -> Result<Said>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    run_with_input(program, args, env, "")
}

/// Runs a program to its end, with `input` on its standard input.
///
/// # Errors
/// If it cannot be started.
pub fn run_with_input<I, S>(program: &str, args: I, env: &[(&str, &str)], input: &str) -> Result<Said>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut child = spawn(program, args, env)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may have ended by now.
        stdin.write_all(input.as_bytes()).ok();
    }
    Ok(child.wait_with_output()?.into())
}

/// Starts a program, to be killed or waited for. Its output may not be longer than a pipe holds.
///
/// # Errors
/// If it cannot be started.
pub fn spawn<I, S>(program: &str, args: I, env: &[(&str, &str)]) -> Result<Child>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let child = bare(&mut Command::new(directory()?.join(program)))
        .args(args)
        .env("LANG", "en_GB.UTF-8")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(child)
}

/// Removes this process's environment from a command, except for a fake clock: a program on another day than its
/// caller would fail for that reason alone.
pub fn bare(command: &mut Command) -> &mut Command {
    let clock = |name: &OsStr| name == "LD_PRELOAD" || name.to_str().is_some_and(|name| name.starts_with("FAKETIME"));
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| clock(name)))
}

fn command(program: &str) -> Result<Command> {
    Ok(Command::new(directory()?.join(program)))
}

/// A service that runs until it is dropped or stopped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// URL that it listens at: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Its data directory.
    pub data: PathBuf,
}

impl Service {
    /// Starts `PROGRAM serve --data DIR --listen 127.0.0.1:0` and waits for its ready line.
    ///
    /// # Errors
    /// If it ends before it is ready, or prints another line first.
    pub fn start(program: &str, data: &Path) -> Result<Self> {
        Self::start_with(program, data, &[])
    }

    /// [`Self::start`], with these environment variables and no others.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(program: &str, data: &Path, env: &[(&str, &str)]) -> Result<Self> {
        Self::start_at(program, data, env, "127.0.0.1:0")
    }

    /// [`Self::start`], with a limit on open files.
    ///
    /// # Errors
    /// As there.
    pub fn start_with_files(program: &str, data: &Path, files: u32) -> Result<Self> {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(directory()?.join(program));
        Self::spawn(limited, data, &[], "127.0.0.1:0")
    }

    /// Starts it again on its port, for clients that know its address.
    ///
    /// # Errors
    /// As [`Self::start`]; another process may have the port by now.
    pub fn start_again(&self, program: &str) -> Result<Self> {
        Self::start_at(program, &self.data, &[], self.url.trim_start_matches("http://"))
    }

    /// Starts it at an address that wallets know it by.
    ///
    /// # Errors
    /// As [`Self::start`]; somebody else may have the port.
    pub fn start_at(program: &str, data: &Path, env: &[(&str, &str)], listen: &str) -> Result<Self> {
        Self::spawn(command(program)?, data, env, listen)
    }

    fn spawn(mut command: Command, data: &Path, env: &[(&str, &str)], listen: &str) -> Result<Self> {
        let log = std::fs::File::create(data.join("log"))?;
        let mut child = bare(&mut command)
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut service = Self { child, url: String::new(), data: data.to_owned() };
        let ready: Value = serde_json::from_str(&line)
            .map_err(|_| format!("the service did not become ready: {line}{}", service.log()))?;
        let url = ready.get("url").and_then(Value::as_str).ok_or("the ready line has no url")?;
        url.clone_into(&mut service.url);
        Ok(service)
    }

    /// Log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("log")).unwrap_or_default()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGTERM and waits; the exit code.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn stop(mut self) -> Result<i32> {
        self.signal(rustix::process::Signal::TERM)?;
        Ok(self.child.wait()?.code().unwrap_or(-1))
    }

    /// Waits until it ends by itself; returns its exit code.
    ///
    /// # Errors
    /// If the process no longer exists.
    pub fn wait(&mut self) -> Result<i32> {
        Ok(self.child.wait()?.code().unwrap_or(-1))
    }

    /// Ends it with SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = rustix::process::Pid::from_raw(id).ok_or("the process has no id")?;
        Ok(rustix::process::kill_process(id, signal)?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
