//! Three operators, two of whom must sign, and the program as they run it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const LIST: &str = "did:web:trust.example";
pub(crate) const UNI: &str = "did:web:uni.example";
pub(crate) const SOURCE: &str = r#"
[[issuers]]
id = "did:web:uni.example"
name = "University"
[[issuers.accreditations]]
types = ["QualificationCredential"]
max_level = 7
from = 2024-03-01T00:00:00Z

[[registrars]]
id = "did:web:register.example"
name = "Register"
[[registrars.accreditations]]
from = "2024-01-01T00:00:00Z"
"#;

pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().next().unwrap_or_default())
            .unwrap_or_else(|_| panic!("no JSON: {}{}", self.out, self.error))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.error);
        self
    }

    #[track_caller]
    pub(crate) fn refused(&self, reason: &str) {
        assert_eq!(self.code, 1, "{}{}", self.out, self.error);
        assert!(self.error.contains(&format!("({reason})\nhint: ")), "{}", self.error);
    }
}

pub(crate) struct Desk {
    pub(crate) folder: TempDir,
    pub(crate) operators: Vec<String>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Self { folder, operators: Vec::new() };
        for name in ["a", "b", "c"] {
            let said = desk.run(&["init", "--data", &desk.at(name), "--name", name, "--json"]).ok().json();
            desk.operators.push(said["did"].as_str().unwrap().to_owned());
        }
        std::fs::write(desk.path("source.toml"), SOURCE).unwrap();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    #[allow(clippy::unused_self)]
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_carnet-trust")).args(args).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs with the pins of all programs.
    pub(crate) fn pinned(&self, args: &[&str]) -> Said {
        let mut all = args.to_vec();
        all.extend(["--list", LIST, "--quorum", "2"]);
        all.extend(self.operators.iter().flat_map(|did| ["--operator", did.as_str()]));
        self.run(&all)
    }

    pub(crate) fn create(&self, out: &str) -> Value {
        let (source, out) = (self.at("source.toml"), self.at(out));
        self.run(&["create", "--source", &source, "--list", LIST, "--out", &out, "--json"]).ok().json()
    }

    /// Shows a list, and signs it with the digest that was shown.
    pub(crate) fn sign(&self, operator: &str, list: &str, previous: Option<&str>, out: &str) -> Said {
        let (data, list, out) = (self.at(operator), self.at(list), self.at(out));
        let previous = previous.map(|name| self.at(name));
        let mut args = vec!["sign", "--data", &data, &list, "--out", &out, "--json"];
        args.extend(previous.iter().flat_map(|previous| ["--previous", previous.as_str()]));
        let seen = self.run(&args);
        if !seen.error.contains("(approval_needed)") {
            return seen;
        }
        let digest = seen.json()["digest"].as_str().unwrap().to_owned();
        args.extend(["--yes", &digest]);
        self.run(&args)
    }

    pub(crate) fn first(&self) {
        self.create("draft-1");
        self.sign("a", "draft-1", None, "signed-1a").ok();
        self.sign("b", "signed-1a", None, "list-1").ok();
    }

    /// Makes the first list, and one that strikes the university off.
    pub(crate) fn two(&self) {
        self.first();
        let (previous, out) = (self.at("list-1"), self.at("draft-2"));
        let strike = ["--strike", UNI, "--on", "2026-03-01", "--earlier", "stand", "--reason", "Diplomas were sold."];
        let mut args = vec!["edit", &previous, "--out", &out, "--json"];
        args.extend(strike);
        let said = self.run(&args).ok().json();
        assert_eq!((said["sequence"].as_u64(), said["changes"][0]["id"].as_str()), (Some(2), Some(UNI)));
        self.sign("b", "draft-2", Some("list-1"), "signed-2b").ok();
        self.sign("c", "signed-2b", Some("list-1"), "list-2").ok();
    }

    pub(crate) fn sequence(&self, path: &Path) -> u64 {
        let list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        list["credentialSubject"]["sequence"].as_u64().unwrap()
    }
}
