//! A process that runs a peer's library, and answers calls.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use carnet_tests::{Result, programs};
use serde_json::{Value, json};

/// A peer's library in a process of its own, killed when this is dropped.
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a script of `tests/interop` in Node.js, which trusts this certificate authority.
    pub(crate) fn node(script: &str, ca: &Path) -> Result<Self> {
        Self::start("CARNET_INTEROP_NODE", script, &[("NODE_EXTRA_CA_CERTS", ca), ("NODE_NO_WARNINGS", Path::new("1"))])
    }

    /// Starts a script of `tests/interop` in Python, which trusts this certificate authority.
    pub(crate) fn python(script: &str, ca: &Path) -> Result<Self> {
        Self::start(
            "CARNET_INTEROP_PYTHON",
            script,
            &[("SSL_CERT_FILE", ca), ("PYTHONDONTWRITEBYTECODE", Path::new("1"))],
        )
    }

    fn start(variable: &str, script: &str, env: &[(&str, &Path)]) -> Result<Self> {
        let program = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set"))?;
        let mut child = programs::bare(&mut Command::new(program))
            .arg(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/interop")).join(script))
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, input, output })
    }

    /// Calls a verb of the script. The peer's own refusal is the inner error.
    pub(crate) fn call(&mut self, verb: &str, mut args: Value) -> Result<std::result::Result<Value, String>> {
        args["verb"] = json!(verb);
        writeln!(self.input, "{args}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| format!("{verb}: the peer ended: {line}"))?;
        Ok(match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["result"].take()),
        })
    }

    /// Calls a verb that the peer must not refuse.
    pub(crate) fn ask(&mut self, verb: &str, args: Value) -> Result<Value> {
        self.call(verb, args)?.map_err(|error| format!("{verb}: {error}").into())
    }

    /// Calls a verb that the peer must refuse, with these words in its message.
    pub(crate) fn refuses(&mut self, verb: &str, args: Value, words: &str) -> Result<()> {
        match self.call(verb, args)? {
            Err(error) if error.to_lowercase().contains(&words.to_lowercase()) => Ok(()),
            other => Err(format!("{verb}: {words:?} was expected: {other:?}").into()),
        }
    }

    /// Names and versions of the packages that it runs, the main one first.
    pub(crate) fn versions(&mut self) -> Result<Vec<(String, String)>> {
        let versions: Vec<(String, String)> = serde_json::from_value(self.ask("versions", json!({}))?)?;
        if versions.is_empty() { Err("no versions".into()) } else { Ok(versions) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
