//! The conformance build as a process, and VC-API messages over `curl`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{Result, programs};

/// Running conformance build, killed when this is dropped.
#[derive(Debug)]
pub struct ConformanceBuild {
    child: Child,
    url: String,
}

impl Drop for ConformanceBuild {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ConformanceBuild {
    /// Starts the program that was built beside those of the product.
    ///
    /// # Errors
    /// If it is not there, or writes no URL.
    pub fn start() -> Result<Self> {
        let program = programs::directory()?.join("carnet-conformance");
        let mut child = Command::new(program).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut url = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }

    /// Sends a message to an endpoint, and returns the status and the body.
    ///
    /// # Errors
    /// As for [`post_json`].
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        post_json(&format!("{}{path}", self.url), None, body)
    }
}

/// Sends a JSON message with `curl`, and returns the status and the body.
///
/// # Errors
/// If the program is not there, or the response is not JSON.
pub fn post_json(url: &str, token: Option<&str>, body: &Value) -> Result<(u16, Value)> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}"]);
    curl.args(["--header", "Content-Type: application/json"]);
    if let Some(token) = token {
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = curl.args(["--data", &body.to_string(), url]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (body, status) = text.rsplit_once('\n').ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((status.parse()?, serde_json::from_str(body)?))
}
