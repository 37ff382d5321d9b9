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

    /// Runs `carnet-trust`; the answer is JSON.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn trust(&self, args: &[&str]) -> Result<Said> {
        let all: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        programs::run("carnet-trust", all, &[])
    }

    /// DIDs of the operators, from a to d.
    #[must_use]
    pub fn operators(&self) -> &[String] {
        &self.operators
    }

    /// Makes a key that is no operator's, in the folder of this name; its DID.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn key(&self, name: &str) -> Result<String> {
        let made = self.trust(&["init", "--data", &self.path(name), "--name", name])?;
        Ok(text(&made.ok()?.json()?, "did"))
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
        let [_, later] = self.signers;
        self.next(previous, out, later, strike)
    }

    /// The next list, changed as these options of `edit` say, signed by these operators.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn next(&self, previous: &str, out: &str, signers: &[&str], changes: &[&str]) -> Result<()> {
        self.draft(previous, out, changes)?;
        self.sign_all(signers, out, Some(&self.path(previous)))
    }

    /// Draft of the next list, in `OUT.draft`.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn draft(&self, previous: &str, out: &str, changes: &[&str]) -> Result<()> {
        let (previous, draft) = (self.path(previous), self.path(&format!("{out}.draft")));
        self.trust(&[["edit", &previous, "--out", &draft].as_slice(), changes].concat())?.ok().map(drop)
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

    /// Reviews the changes of a list, and signs the list that was shown. All arguments but the operator are paths.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn sign(&self, operator: &str, list: &str, previous: Option<&str>, out: &str) -> Result<()> {
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

    /// Signs for seven days that what is published is the newest list, with the key in this folder; until when. The lists
    /// `handovers` named other operators before it.
    ///
    /// # Errors
    /// If the program refuses.
    pub fn timestamp(&self, name: &str, handovers: &[&str]) -> Result<String> {
        let (published, data) = (self.published(), self.path(name));
        let args = ["timestamp", &published, "--data", &data, "--list", LIST];
        Ok(text(&self.pinned(&args, handovers)?.ok()?.json()?, "valid_until"))
    }

    /// Runs a verb of `carnet-trust` with what everybody pins, and lists that named other operators.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn pinned(&self, args: &[&str], handovers: &[&str]) -> Result<Said> {
        let handovers: Vec<String> = handovers.iter().map(|list| self.path(list)).collect();
        let handovers: Vec<&str> = handovers.iter().flat_map(|list| ["--handover", list.as_str()]).collect();
        self.trust(&[args.to_vec(), self.pins(), handovers].concat())
    }

    /// Publishes a list beside those before it.
    ///
    /// # Errors
    /// If a program refuses.
    pub fn publish(&self, list: &str) -> Result<Said> {
        self.publish_after(list, &[])
    }

    /// [`Self::publish`], after lists that named other operators.
    ///
    /// # Errors
    /// As there.
    pub fn publish_after(&self, list: &str, handovers: &[&str]) -> Result<Said> {
        let (list, site) = (self.path(list), self.path("site"));
        self.pinned(&["publish", &list, "--to", &site, "--list", LIST], handovers)
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
