//! The signing keys of a service, as its operator changes them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    Result,
    programs::{self, Said},
    site::Site,
};

/// A service's directory, and a configuration with which its published document can be fetched.
#[derive(Debug)]
pub struct Keys {
    /// `carnet-issuer` or `carnet-verifier`.
    pub program: &'static str,
    /// The service's data directory.
    pub data: PathBuf,
    /// Configuration file that is laid over its own.
    pub over: PathBuf,
}

impl Keys {
    /// Those of an issuer on a stage's folder.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub fn of(folder: &Path, data: &Path) -> Result<Self> {
        let over = folder.join("fetching.toml");
        let ca = folder.join("ca.pem").display().to_string();
        std::fs::write(&over, format!("[serve]\nextra_ca = {ca:?}\nprivate_hosts = [\"localhost\"]\n"))?;
        Ok(Self { program: "carnet-issuer", data: data.to_owned(), over })
    }

    /// The same for another directory.
    #[must_use]
    pub fn at(&self, data: &Path) -> Self {
        Self { data: data.to_owned(), over: self.over.clone(), ..*self }
    }

    /// The command line of a verb.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Vec<String> {
        let place = [("--data", &self.data), ("--config", &self.over)];
        let place = place.iter().flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()]);
        ["keys"].iter().chain(args).map(|arg| (*arg).to_owned()).chain(place).chain(["--json".to_owned()]).collect()
    }

    /// Runs a verb; the answer is JSON.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn run(&self, args: &[&str]) -> Result<Said> {
        programs::run(self.program, self.command(args), &[])
    }

    /// Publishes the service's document.
    ///
    /// # Errors
    /// If there is none.
    pub fn publish(&self, site: &Site, short: &str) -> Result<()> {
        site.publish(short, &std::fs::read_to_string(self.data.join("did.json"))?);
        Ok(())
    }

    /// Name and state of each key.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn states(&self) -> Result<String> {
        let listed = self.run(&["list"])?.ok()?.json()?;
        let keys = listed.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(keys
            .iter()
            .map(|key| format!("{} {}", text(key, "name"), text(key, "state")))
            .collect::<Vec<_>>()
            .join(", "))
    }

    /// The service's document.
    ///
    /// # Errors
    /// If there is none.
    pub fn document(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(self.data.join("did.json"))?)?)
    }
}

/// Makes the directory `to` the same as `from`.
///
/// # Errors
/// If something in it cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
