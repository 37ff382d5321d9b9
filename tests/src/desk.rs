//! Operators of a trust list: four of them, three of whom must sign.

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

/// Four operators of one list.
#[derive(Debug)]
pub struct Desk<'a> {
    stage: &'a Stage,
    name: &'static str,
    operators: Vec<String>,
    /// Signers of the first list, and of the lists after it.
    signers: [&'static [&'static str]; 2],
}

impl<'a> Desk<'a> {
    /// Makes the keys of operators a, b, c and d, in folders whose names begin with `name`.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn open(stage: &'a Stage, name: &'static str) -> Result<Self> {
        let mut desk = Self { stage, name, operators: Vec::new(), signers: [&["a", "b", "c"], &["b", "c", "d"]] };
        for operator in ["a", "b", "c", "d"] {
            let said = desk.trust(&["init", "--data", &desk.path(operator), "--name", operator])?.ok()?.json()?;
            desk.operators.push(text(&said, "did"));
        }
        Ok(desk)
    }

    /// Reopens the desk of operators a, b and c, two of whom must sign, whose folders exist; nobody pins their keys
    /// by it.
    #[must_use]
    pub const fn reopen(stage: &'a Stage, name: &'static str) -> Self {
        Self { stage, name, operators: Vec::new(), signers: [&["a", "b"], &["b", "c"]] }
    }

    /// Path of a file of the desk.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.stage.folder.join(format!("{}-{name}", self.name)).display().to_string()
    }

    fn trust(&self, args: &[&str]) -> Result<Said> {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        programs::run("carnet-trust", all, &[])
    }

    /// Arguments that pin the list.
    #[must_use]
    pub fn pins(&self) -> Vec<&str> {
        let operators = self.operators.iter().flat_map(|did| ["--operator", did.as_str()]);
        ["--quorum", "3"].into_iter().chain(operators).collect()
    }

    /// Makes the first list, signed by a quorum: both issuers, and the registrar of relying parties.
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
        let draft = self.path(&format!("{out}.draft"));
        let args = ["create", "--source", &file, "--list", LIST, "--out", &draft];
        self.trust(&[args.as_slice(), extra].concat())?.ok()?;
        let [first, _] = self.signers;
        self.sign_all(first, out, None)
    }

    /// The next list, in which a party is struck off, signed by another quorum.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn strike(&self, previous: &str, out: &str, strike: &[&str]) -> Result<()> {
        let (previous, draft) = (self.path(previous), self.path(&format!("{out}.draft")));
        self.trust(&[["edit", &previous, "--out", &draft].as_slice(), strike].concat())?.ok()?;
        let [_, later] = self.signers;
        self.sign_all(later, out, Some(&previous))
    }

    /// Has a draft signed by one operator after the other; the list with the first signature is in `OUT.SIGNER`.
    fn sign_all(&self, signers: &[&str], out: &str, previous: Option<&str>) -> Result<()> {
        let mut list = self.path(&format!("{out}.draft"));
        for (at, signer) in signers.iter().enumerate() {
            let is_last = at.saturating_add(1) == signers.len();
            let signed = self.path(&if is_last { out.to_owned() } else { format!("{out}.{signer}") });
            self.sign(signer, &list, previous, &signed)?;
            list = signed;
        }
        Ok(())
    }

    /// Reviews the changes of a list, and signs the list that was shown.
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

    /// Path of the newest list.
    #[must_use]
    pub fn published(&self) -> String {
        self.path("site/trust-list.json")
    }

    /// Opens a verifier that uses a list and has no issuer of its own.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn verifier(&self, short: &str, list: &str) -> Result<Office> {
        let office = self.stage.open_agency(short, "City Library", true)?;
        let path = office.service.data.join("config.toml");
        let config = std::fs::read_to_string(&path)?;
        let own = config.split("\n[[issuers]]").next().unwrap_or_default();
        let operators = json!(self.operators);
        let trust = format!("\n[trust]\nlist = {list:?}\nissuer = {LIST:?}\noperators = {operators}\nquorum = 3\n");
        std::fs::write(path, format!("{own}{trust}"))?;
        office.restart()
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
