//! The program as operators run it: three of them, two of whom must sign.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

const LIST: &str = "did:web:trust.example";
const UNI: &str = "did:web:uni.example";
const SOURCE: &str = r#"
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

struct Said {
    code: i32,
    out: String,
    error: String,
}

impl Said {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().next().unwrap_or_default())
            .unwrap_or_else(|_| panic!("no JSON: {}{}", self.out, self.error))
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.error);
        self
    }

    #[track_caller]
    fn refused(&self, reason: &str) {
        assert_eq!(self.code, 1, "{}{}", self.out, self.error);
        assert!(self.error.contains(&format!("({reason})\nhint: ")), "{}", self.error);
    }
}

struct Desk {
    folder: TempDir,
    operators: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Self { folder, operators: Vec::new() };
        for name in ["a", "b", "c"] {
            let said = desk.run(&["init", "--data", &desk.at(name), "--name", name, "--json"]).ok().json();
            desk.operators.push(said["did"].as_str().unwrap().to_owned());
        }
        std::fs::write(desk.path("source.toml"), SOURCE).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    #[allow(clippy::unused_self)]
    fn run(&self, args: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_carnet-trust")).args(args).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With what everybody pins.
    fn pinned(&self, args: &[&str]) -> Said {
        let mut all = args.to_vec();
        all.extend(["--list", LIST, "--quorum", "2"]);
        all.extend(self.operators.iter().flat_map(|did| ["--operator", did.as_str()]));
        self.run(&all)
    }

    fn create(&self, out: &str) -> Value {
        let (source, out) = (self.at("source.toml"), self.at(out));
        self.run(&["create", "--source", &source, "--list", LIST, "--out", &out, "--json"]).ok().json()
    }

    /// Looks, and signs what was shown.
    fn sign(&self, operator: &str, list: &str, previous: Option<&str>, out: &str) -> Said {
        let (data, list, out) = (self.at(operator), self.at(list), self.at(out));
        let previous = previous.map(|name| self.at(name));
        let mut args = vec!["sign", "--data", &data, &list, "--out", &out, "--json"];
        args.extend(previous.iter().flat_map(|previous| ["--previous", previous.as_str()]));
        let seen = self.run(&args);
        if !seen.error.contains("(approval_needed)") {
            return seen;
        }
        let digest = seen.json()["digest"].as_str().unwrap().to_owned();
        args.extend(["--yes-digest", &digest]);
        self.run(&args)
    }

    fn first(&self) {
        self.create("draft-1");
        self.sign("a", "draft-1", None, "signed-1a").ok();
        self.sign("b", "signed-1a", None, "list-1").ok();
    }

    /// The first list, and one that strikes the university off.
    fn two(&self) {
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

    fn sequence(&self, path: &Path) -> u64 {
        let list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        list["credentialSubject"]["sequence"].as_u64().unwrap()
    }
}

#[test]
fn a_list_is_made_signed_verified_and_asked() {
    let desk = Desk::new();
    desk.first();
    let said = desk.pinned(&["verify", &desk.at("list-1"), "--json"]).ok().json();
    assert_eq!((said["sequence"].as_u64(), said["signed_by"].as_array().map(Vec::len)), (Some(1), Some(2)));
    desk.pinned(&["verify", &desk.at("signed-1a")]).refused("trust_list_quorum");
    desk.pinned(&["verify", &desk.at("draft-1")]).refused("proof_missing");
    let ask = |at: &str, level: &str| {
        let list = desk.at("list-1");
        let question = ["--issuer", UNI, "--type", "QualificationCredential", "--at", at, "--level", level, "--json"];
        desk.pinned(&[["why", &list].as_slice(), &question].concat())
    };
    let accepted = ask("2025-01-01", "7").ok().json();
    assert_eq!((accepted["rule"].as_str(), accepted["entry"].as_str()), (Some("accredited"), Some("University")));
    assert_eq!((ask("2025-01-01", "8").code, ask("2025-01-01", "8").json()["rule"].as_str()), (1, Some("above_level")));
    assert_eq!(ask("2024-02-29", "7").json()["rule"], "not_yet_accredited");
    let words = desk.run(&["explain", &desk.at("list-1")]).ok().out;
    for word in ["\"University\"  did:web:uni.example", "up to level 7", "\"Register\"", "signed, as it says itself"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_strike_is_shown_before_it_is_signed() {
    let desk = Desk::new();
    desk.two();
    let (data, list, previous) = (desk.at("a"), desk.at("list-2"), desk.at("list-1"));
    let shown = desk.run(&["sign", "--data", &data, &list, "--previous", &previous]);
    shown.refused("approval_needed");
    assert!(
        shown.error.contains("changed: issuer \"University\"") && shown.error.contains("Diplomas were sold."),
        "{}",
        shown.error
    );
    desk.run(&["sign", "--data", &data, &list]).refused("previous_needed");
    desk.run(&["sign", "--data", &data, &list, "--previous", &previous, "--yes-digest", "-x"])
        .refused("approval_mismatch");
    // An operator signs once.
    let digest = desk.run(&["sign", "--data", &desk.at("b"), &list, "--previous", &previous, "--json"]).json();
    let digest = digest["digest"].as_str().unwrap();
    desk.run(&["sign", "--data", &desk.at("b"), &list, "--previous", &previous, "--yes-digest", digest])
        .refused("trust_list_operator");
    let diff = desk.run(&["diff", &previous, &list, "--json"]).ok().json();
    assert_eq!(diff["changes"][0]["rewrites_history"], false);
    let question = ["--issuer", UNI, "--type", "QualificationCredential", "--level", "6", "--json"];
    let why =
        |at: &str| desk.pinned(&[["why", &list, "--at", at].as_slice(), &question].concat()).json()["rule"].clone();
    assert_eq!((why("2026-02-28"), why("2026-03-01")), ("withdrawn_since".into(), "withdrawn".into()));
}

#[test]
fn an_operator_signs_no_two_lists_of_one_number() {
    let desk = Desk::new();
    desk.first();
    // Made a second later or not, it is to be another list.
    let source = SOURCE.replace("max_level = 7", "max_level = 8");
    std::fs::write(desk.path("source.toml"), source).unwrap();
    desk.create("other-1");
    desk.sign("a", "other-1", None, "other-1a").refused("signed_before");
    desk.sign("c", "other-1", None, "other-1c").ok();
    // A number that was signed and never published is left out.
    let (source, previous) = (desk.at("source.toml"), desk.at("list-1"));
    let make = |number: &str, out: &str| {
        let out = desk.at(out);
        desk.run(&["create", "--source", &source, "--after", &previous, "--number", number, "--out", &out, "--json"])
    };
    make("1", "none").refused("trust_list_rollback");
    assert_eq!(make("3", "draft-3").ok().json()["sequence"], 3);
    desk.sign("a", "draft-3", Some("list-1"), "signed-3").ok();
    desk.create("again-1");
    desk.sign("a", "again-1", None, "again-1a").refused("signed_before");
    let shown = desk.run(&["show", "--data", &desk.at("a"), "--json"]).ok().json();
    assert_eq!(shown["signed"]["sequence"], 3);
}

#[test]
fn what_is_published_only_moves_on() {
    let desk = Desk::new();
    desk.two();
    let site = desk.at("site");
    let publish = |list: &str| desk.pinned(&["publish", &desk.at(list), "--to", &site, "--json"]);
    publish("signed-1a").refused("trust_list_quorum");
    assert!(!desk.path("site").exists());
    publish("list-1").ok();
    publish("list-2").ok();
    publish("list-2").ok();
    publish("list-1").refused("trust_list_rollback");
    assert_eq!(desk.sequence(&desk.path("site/trust-list.json")), 2);
    assert_eq!(desk.sequence(&desk.path("site/history/001.json")), 1);
    assert_eq!(desk.sequence(&desk.path("site/history/002.json")), 2);
    // Cut off between the two files, the same call makes it right; another list of that number is refused.
    std::fs::copy(desk.path("list-1"), desk.path("site/trust-list.json")).unwrap();
    publish("list-2").ok();
    let (previous, out) = (desk.at("list-1"), desk.at("other-2"));
    desk.run(&["edit", &previous, "--days", "7", "--out", &out]).ok();
    desk.sign("a", "other-2", Some("list-1"), "other-2a").ok();
    std::fs::copy(desk.path("list-1"), desk.path("site/trust-list.json")).unwrap();
    std::fs::remove_file(desk.path("b/signed.json")).unwrap();
    desk.sign("b", "other-2a", Some("list-1"), "other-2ab").ok();
    publish("other-2ab").refused("trust_list_conflict");
}

#[test]
fn a_source_comes_out_as_it_went_in() {
    let desk = Desk::new();
    desk.first();
    let (list, source, next) = (desk.at("list-1"), desk.at("source.json"), desk.at("draft-2"));
    desk.run(&["source", &list, "--out", &source]).ok();
    let made = desk.run(&["create", "--source", &source, "--after", &list, "--out", &next, "--json"]).ok().json();
    assert_eq!((made["sequence"].as_u64(), made["changes"].as_array().map(Vec::len)), (Some(2), Some(0)));
    // What is there is not overwritten, and a key never.
    desk.run(&["source", &list, "--out", &source]).refused("file_unwritable");
    let key = std::fs::read(desk.path("a/key.json")).unwrap();
    assert_eq!(desk.run(&["init", "--data", &desk.at("a"), "--name", "again"]).code, 1);
    assert_eq!(std::fs::read(desk.path("a/key.json")).unwrap(), key);
    std::fs::write(desk.path("source.toml"), "[[issuers]]\nid = 3\n").unwrap();
    desk.run(&["create", "--source", &desk.at("source.toml"), "--list", LIST, "--out", &desk.at("x")])
        .refused("source_invalid");
    assert_eq!(desk.run(&["create"]).code, 2);
}
