//! A process that runs a peer's library, and answers calls.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Result, programs};
use serde_json::{Value, json};

/// The folder of the scripts, with their packages.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop");

/// A peer's library in a process of its own, killed when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Returns Node.js, by `CARNET_INTEROP_NODE` or on the path, if the packages that the scripts need are installed.
    ///
    /// # Errors
    /// A sentence that names the missing part.
    pub fn find_node() -> std::result::Result<PathBuf, &'static str> {
        let named = std::env::var_os("CARNET_INTEROP_NODE").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = || std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
        let node = named.or_else(found).ok_or("there is no Node.js")?;
        let packages = Path::new(FOLDER).join("node_modules/@credo-ts/openid4vc");
        if packages.is_dir() { Ok(node) } else { Err("its packages are not installed (./test installs them)") }
    }

    /// Starts a script of `tests/interop` in Node.js, which trusts this certificate authority.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn node(node: &Path, script: &str, ca: &Path) -> Result<Self> {
        let env = [("NODE_EXTRA_CA_CERTS", ca), ("NODE_NO_WARNINGS", Path::new("1"))];
        Self::start(node, script, &env)
    }

    /// [`Self::node`], with the Node.js of `CARNET_INTEROP_NODE`.
    ///
    /// # Errors
    /// As there; the variable is not set.
    pub fn from_npm(script: &str, ca: &Path) -> Result<Self> {
        let node = std::env::var_os("CARNET_INTEROP_NODE").ok_or("CARNET_INTEROP_NODE is not set")?;
        Self::node(Path::new(&node), script, ca)
    }

    /// Starts a script of `tests/interop` in Python, which trusts this certificate authority.
    ///
    /// # Errors
    /// If it cannot be started; `CARNET_INTEROP_PYTHON` is not set.
    pub fn python(script: &str, ca: &Path) -> Result<Self> {
        let python = std::env::var_os("CARNET_INTEROP_PYTHON").ok_or("CARNET_INTEROP_PYTHON is not set")?;
        Self::start(Path::new(&python), script, &[("SSL_CERT_FILE", ca), ("PYTHONDONTWRITEBYTECODE", Path::new("1"))])
    }

    fn start(program: &Path, script: &str, env: &[(&str, &Path)]) -> Result<Self> {
        let mut child = programs::bare(&mut Command::new(program))
            .arg(Path::new(FOLDER).join(script))
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, input, output })
    }

    /// Calls a verb of the script. The peer's own refusal is the inner error.
    ///
    /// # Errors
    /// The process ended, or answered something else than JSON.
    pub fn call(&mut self, verb: &str, mut args: Value) -> Result<std::result::Result<Value, String>> {
        args.as_object_mut().ok_or("the arguments are not an object")?.insert("verb".to_owned(), json!(verb));
        writeln!(self.input, "{args}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line).map_err(|_| format!("{verb}: the peer ended: {line}"))?;
        Ok(match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer.get_mut("result").map(Value::take).unwrap_or_default()),
        })
    }

    /// Calls a verb that the peer must not refuse.
    ///
    /// # Errors
    /// As [`Self::call`]; the peer refused.
    pub fn ask(&mut self, verb: &str, args: Value) -> Result<Value> {
        self.call(verb, args)?.map_err(|error| format!("{verb}: {error}").into())
    }

    /// Calls a verb that the peer must refuse, with these words in its message.
    ///
    /// # Errors
    /// As [`Self::call`]; the peer did not refuse, or in other words.
    pub fn refuses(&mut self, verb: &str, args: Value, words: &str) -> Result<()> {
        match self.call(verb, args)? {
            Err(error) if error.to_lowercase().contains(&words.to_lowercase()) => Ok(()),
            other => Err(format!("{verb}: {words:?} was expected: {other:?}").into()),
        }
    }

    /// Names and versions of the packages that it runs, the main one first.
    ///
    /// # Errors
    /// As [`Self::ask`]; it names none.
    pub fn versions(&mut self) -> Result<Vec<(String, String)>> {
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
