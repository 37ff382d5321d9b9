//! Operators of a trust list at their desk: three of them, two of whom must sign.

use serde_json::{Value, json};

use crate::{
    Result,
    programs::{self, Said},
    stage::{Office, Stage},
};

/// The DID that names the list.
pub const LIST: &str = "did:web:trust.example";
const QUALIFICATION: &str = "QualificationCredential";
const PERMIT: &str = "ResidencePermitCredential";

/// Three operators of one list.
#[derive(Debug)]
pub struct Desk<'a> {
    stage: &'a Stage,
    name: &'static str,
    operators: Vec<String>,
}

impl<'a> Desk<'a> {
    /// Makes the keys of operators a, b and c, in folders whose names begin with `name`.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn open(stage: &'a Stage, name: &'static str) -> Result<Self> {
        let mut desk = Self { stage, name, operators: Vec::new() };
        for operator in ["a", "b", "c"] {
            let said = desk.trust(&["init", "--data", &desk.path(operator), "--name", operator])?.ok()?.json()?;
            desk.operators.push(text(&said, "did"));
        }
        Ok(desk)
    }

    /// The desk of operators whose folders are there; nobody pins their keys by it.
    #[must_use]
    pub const fn reopen(stage: &'a Stage, name: &'static str) -> Self {
        Self { stage, name, operators: Vec::new() }
    }

    /// Where a file of the desk's lies.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.stage.folder.join(format!("{}-{name}", self.name)).display().to_string()
    }

    fn trust(&self, args: &[&str]) -> Result<Said> {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        programs::run("carnet-trust", all, &[])
    }

    /// What everybody pins.
    #[must_use]
    pub fn pins(&self) -> Vec<&str> {
        let operators = self.operators.iter().flat_map(|did| ["--operator", did.as_str()]);
        ["--quorum", "2"].into_iter().chain(operators).collect()
    }

    /// The first list, signed by a and b: both issuers, and the registrar of askers.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn first(&self, out: &str, extra: &[&str]) -> Result<()> {
        let since = "2024-01-01T00:00:00Z";
        let entry = |id: &str, name: &str, types: &[&str], limit: (&str, Value)| {
            let mut held = json!({"from": since});
            if let Some(members) = held.as_object_mut() {
                if !types.is_empty() {
                    members.insert("types".to_owned(), json!(types));
                }
                members.insert(limit.0.to_owned(), limit.1);
            }
            json!({"id": id, "name": name, "accreditations": [held]})
        };
        let source = json!({
            "issuers": [
                entry(&self.stage.university.did, "University", &[QUALIFICATION], ("max_level", json!(7))),
                entry(&self.stage.authority.did, "Authority", &[PERMIT], ("until", json!("2099-12-31T23:59:59Z"))),
            ],
            "registrars": [entry(&self.stage.registrar, "Register of Askers", &[], ("jurisdictions", json!(["PT"])))],
        });
        let file = self.path(&format!("{out}.source.json"));
        std::fs::write(&file, source.to_string())?;
        let (draft, signed) = (self.path(&format!("{out}.draft")), self.path(&format!("{out}.a")));
        let args = ["create", "--source", &file, "--list", LIST, "--out", &draft];
        self.trust(&[args.as_slice(), extra].concat())?.ok()?;
        self.sign("a", &draft, None, &signed)?;
        self.sign("b", &signed, None, &self.path(out))
    }

    /// The next list, in which a party is struck off, signed by b and c.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn strike(&self, previous: &str, out: &str, strike: &[&str]) -> Result<()> {
        let (previous, draft) = (self.path(previous), self.path(&format!("{out}.draft")));
        self.trust(&[["edit", &previous, "--out", &draft].as_slice(), strike].concat())?.ok()?;
        let signed = self.path(&format!("{out}.b"));
        self.sign("b", &draft, Some(&previous), &signed)?;
        self.sign("c", &signed, Some(&previous), &self.path(out))
    }

    /// Looks at what a list changes, and signs what was shown.
    fn sign(&self, operator: &str, list: &str, previous: Option<&str>, out: &str) -> Result<()> {
        let data = self.path(operator);
        let mut args = vec!["sign", "--data", &data, list, "--out", out];
        args.extend(previous.iter().flat_map(|previous| ["--previous", previous]));
        let shown = self.trust(&args)?;
        if shown.code != 1 {
            return Err("it was signed without a yes".into());
        }
        let digest = text(&shown.json()?, "digest");
        args.extend(["--yes", &digest]);
        self.trust(&args)?.ok().map(drop)
    }

    /// Publishes a list beside those before it.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn publish(&self, list: &str) -> Result<Said> {
        let (list, site) = (self.path(list), self.path("site"));
        let args = ["publish", &list, "--to", &site, "--list", LIST];
        self.trust(&[args.to_vec(), self.pins()].concat())
    }

    /// Where the newest list is.
    #[must_use]
    pub fn published(&self) -> String {
        self.path("site/trust-list.json")
    }

    /// A verifier that goes by a list and has no issuer of its own.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn verifier(&self, short: &str, list: &str) -> Result<Office> {
        let office = self.stage.open_agency(short, "City Library", true)?;
        let path = office.service.data.join("config.toml");
        let config = std::fs::read_to_string(&path)?;
        let own = config.split("\n[[issuers]]").next().unwrap_or_default();
        let operators = json!(self.operators);
        let trust = format!("\n[trust]\nlist = {list:?}\nissuer = {LIST:?}\noperators = {operators}\nquorum = 2\n");
        std::fs::write(path, format!("{own}{trust}"))?;
        office.restart()
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
