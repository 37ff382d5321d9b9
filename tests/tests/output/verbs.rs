//! Arguments for every verb, new ones for each run where a verb works once.

use std::cell::Cell;

use carnet_tests::{
    Result,
    desk::{Desk, LIST},
    programs,
    stage::{Offered, Stage, residence_permit},
    visitor,
};
use serde_json::Value;

const PERMIT: &str = "ResidencePermitCredential";

/// Use that a verb makes of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// It shows something once, so that it is refused before it does anything.
    Once,
    /// It prints, and ends with this exit code.
    Prints(i32),
    /// It prints nothing there.
    Quiet,
    /// It fails before it prints a result: a file or service that it needs is missing.
    Refused,
}

/// One run of a verb.
#[derive(Debug)]
pub(crate) struct Verb {
    pub(crate) output: Output,
    pub(crate) args: Vec<String>,
}

/// All that the verbs need.
pub(crate) struct Desktop<'a> {
    stage: &'a Stage,
    desk: Desk<'a>,
    issued: Offered,
    runs: Cell<usize>,
    /// The staff and the offers before the runs.
    pub(crate) before: Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| format!("no {pointer} in {value}").into())
}

impl<'a> Desktop<'a> {
    pub(crate) fn set(stage: &'a Stage) -> Result<Self> {
        stage.make_wallet()?;
        let issued = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
        stage.carnet(&["receive", &issued.uri, "--yes"])?.ok()?;
        std::fs::write(stage.folder.join("claims.json"), residence_permit().to_string())?;
        std::fs::write(stage.folder.join("file"), "none")?;
        let desk = Desk::open(stage, "desk")?;
        desk.first("list", &[])?;
        let mut desktop = Self { stage, desk, issued, runs: Cell::new(0), before: Vec::new() };
        desktop.before = desktop.secrets()?;
        Ok(desktop)
    }

    /// Arguments of a dry run over one row.
    fn import(&self) -> Result<String> {
        let (file, map) = (self.stage.folder.join("rows.jsonl"), self.stage.folder.join("map.toml"));
        let claims = residence_permit();
        std::fs::write(&file, claims.to_string())?;
        let names = claims.as_object().into_iter().flatten().map(|(name, _)| name);
        let lines = names.map(|name| format!("{name} = {{ claim = \"{name}\", as = \"json\" }}\n")).collect::<String>();
        std::fs::write(&map, format!("[columns]\n{lines}"))?;
        Ok(format!("{} --type {PERMIT} --map {} --dry-run", file.display(), map.display()))
    }

    /// Names of staff: a refused verb must not have added one.
    pub(crate) fn secrets(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for office in [&self.stage.authority, &self.stage.agency] {
            let staff = office.on_data(&["staff", "list"])?.ok()?.json()?;
            let names = staff.pointer("/staff").and_then(Value::as_array).cloned().unwrap_or_default();
            // Names that the runs of `staff end` have added themselves are not counted.
            let names = names.iter().filter_map(|entry| entry.get("name")?.as_str());
            all.extend(names.filter(|name| !name.starts_with("end")).map(str::to_owned));
        }
        Ok(all)
    }

    fn path(&self, name: &str) -> String {
        self.stage.folder.join(name).display().to_string()
    }

    /// A file that describes a service on this machine.
    fn local_site(&self, did: &str) -> Result<String> {
        let path = self.path(&self.fresh("local"));
        let site = serde_json::json!({"did": did, "name": "Local", "certificate_sha256": "ab".repeat(32)});
        std::fs::write(&path, site.to_string())?;
        Ok(path)
    }

    /// A name that no other run has.
    fn fresh(&self, what: &str) -> String {
        self.runs.set(self.runs.get().saturating_add(1));
        format!("{what}{}", self.runs.get())
    }

    pub(crate) async fn verb(&self, program: &str, name: &str, json: bool) -> Result<Verb> {
        let (output, mut args, no_json) = match program {
            "carnet-issuer" => self.issuer(name).await?,
            "carnet-verifier" => self.verifier(name)?,
            "carnet-trust" => self.trust(name)?,
            _ => self.wallet(name)?,
        };
        if json && !no_json {
            args.push("--json".to_owned());
        }
        Ok(Verb { output, args })
    }

    fn staff(&self, office: &carnet_tests::stage::Office, output: Output, args: &str) -> (Output, Vec<String>, bool) {
        let token = office.token_file.display();
        (output, words(&format!("{args} --server {} --token-file {token}", office.service.url)), false)
    }

    async fn issuer(&self, name: &str) -> Result<(Output, Vec<String>, bool)> {
        use Output::{Once, Prints, Refused};
        let office = &self.stage.authority;
        let registrar = self.path("registrar");
        let offer = |extra: &[&str]| self.stage.offer(office, PERMIT, &residence_permit(), extra);
        let permit = format!("--type {PERMIT} --claims {}", self.path("claims.json"));
        let id = &self.issued.id;
        Ok(match name {
            // It cannot read its own site: nobody has told it that localhost may be one.
            "doctor" => (Prints(1), words(&format!("--data {}", office.service.data.display())), false),
            "init" => {
                let data = self.path(&self.fresh("issuer"));
                (Once, words(&format!("--data {data} --did did:web:issuer.example")), false)
            }
            "offer create" => self.staff(office, Once, &permit),
            "offer list" | "issued list" | "status audit" | "renewals list" | "cohorts" => {
                self.staff(office, Prints(0), "")
            }
            "vouchers" => (Prints(0), words(&format!("--data {}", office.service.data.display())), false),
            "import" => self.staff(office, Prints(0), &self.import()?),
            "offer cancel" => self.staff(office, Prints(0), &offer(&[])?.id),
            "offer release" => self.staff(office, Prints(0), &offer(&["--deferred"])?.id),
            "offer reject" => self.staff(office, Prints(0), &format!("{} --reason no", offer(&["--deferred"])?.id)),
            "registrar init" => {
                let data = self.path(&self.fresh("registrar"));
                (Prints(0), words(&format!("--data {data} --name Register")), false)
            }
            "registrar show" => (Prints(0), words(&format!("--data {registrar}")), false),
            "registrar sign" => {
                let request = format!("--data {registrar} {}", self.path("agency/registration-request.json"));
                let args = words(&format!("registrar sign {request} --json"));
                let digest = text(&programs::run("carnet-issuer", args, &[])?.json()?, "/digest")?;
                (Once, words(&format!("{request} --yes {digest}")), false)
            }
            "status revoke" | "status suspend" => {
                let offered = offer(&[])?;
                visitor::collect(&offered.uri, None, visitor::now()).await?;
                self.staff(office, Prints(0), &format!("{} --yes --reason checked", offered.id))
            }
            "status reinstate" => {
                let offered = offer(&[])?;
                visitor::collect(&offered.uri, None, visitor::now()).await?;
                office.staff(&["status", "suspend", &offered.id, "--reason", "checked"])?.ok()?;
                self.staff(office, Prints(0), &format!("{} --reason checked", offered.id))
            }
            "status message" => self.staff(office, Refused, &format!("{id} 1 --reason checked")),
            "status show" => self.staff(office, Prints(0), id),
            "status changed" => self.staff(office, Prints(0), "1"),
            "issued show" => {
                let listed = office.staff(&["issued", "list"])?.ok()?.json()?;
                self.staff(office, Prints(0), &text(&listed, "/issued/0/issued_id")?)
            }
            "renewals approve" | "renewals reject" => self.staff(office, Refused, "nothing --reason checked"),
            _ => return self.service("carnet-issuer", office, name),
        })
    }

    /// Verbs that both services have.
    fn service(
        &self,
        program: &'static str,
        office: &carnet_tests::stage::Office,
        name: &str,
    ) -> Result<(Output, Vec<String>, bool)> {
        use Output::{Once, Prints, Refused};
        let data = format!("--data {}", office.service.data.display());
        // Keys change where no service runs.
        let apart = || -> Result<String> {
            let data = self.path(&self.fresh("apart"));
            let did = self.stage.site.did("apart");
            programs::run(program, ["init", "--data", &data, "--did", &did, "--name", "Apart", "--json"], &[])?.ok()?;
            Ok(format!("--data {data}"))
        };
        Ok(match name {
            "keys list" => (Prints(0), words(&data), false),
            "keys rotate" | "keys seal" | "keys unseal" => (Prints(0), words(&apart()?), false),
            "keys retire" => {
                let data = apart()?;
                programs::run(program, words(&format!("keys rotate {data}")), &[])?.ok()?;
                (Prints(0), words(&format!("{data} key-2")), false)
            }
            "keys check" | "keys activate" => (Refused, words(&apart()?), false),
            "staff add" => (Once, words(&format!("{data} {}", self.fresh("name"))), false),
            "staff list" => (Prints(0), words(&data), false),
            "backup" => (Prints(0), words(&format!("{data} --out {}", self.path(&self.fresh("backup")))), false),
            "restore" => (Refused, words(&format!("{data} --from {}", self.path("file"))), false),
            "staff end" => {
                let name = self.fresh("end");
                office.on_data(&["staff", "add", &name])?.ok()?;
                (Prints(0), words(&format!("{data} {name}")), false)
            }
            // A service that runs is a test of its own.
            "serve" => (Refused, words(&format!("--data {}", self.path("nowhere"))), true),
            _ => return Err("this verb has no arguments here: add them".into()),
        })
    }

    fn verifier(&self, name: &str) -> Result<(Output, Vec<String>, bool)> {
        use Output::{Once, Prints, Refused};
        let office = &self.stage.agency;
        let data = format!("--data {}", office.service.data.display());
        let about = "--country PT --privacy-policy https://a.example/p --support mailto:a@a.example --authority DPA \
                     --authority-uri https://d.example/c --all-uses";
        Ok(match name {
            "init" => (Once, words(&format!("--data {}", self.path(&self.fresh("verifier")))), false),
            "request create" => self.staff(office, Once, "--template job-right-to-work"),
            "request list" => self.staff(office, Prints(0), ""),
            // One that waits for answers is a journey of its own.
            "desk" => self.staff(office, Refused, "--template nothing"),
            "result" => self.staff(office, Prints(3), &self.stage.request("job-right-to-work")?.0),
            "why" => self.staff(office, Prints(3), &self.stage.request("job-right-to-work")?.0),
            "verify" => self.staff(office, Prints(1), &self.path("file")),
            "registration request" => (Prints(0), words(&format!("{data} {about}")), true),
            "registration install" => (Prints(0), words(&format!("{data} {}", self.path("agency.signed.json"))), false),
            "clock" | "doctor" | "redemptions key" | "redemptions totals" => (Prints(0), words(&data), false),
            "redemptions write-off" => (Refused, words(&format!("{data} west")), false),
            "redemptions export" => (Refused, words(&format!("{data} {}", self.path("out"))), false),
            "redemptions reconcile" => (Refused, words(&format!("{data} {}", self.path("file"))), false),
            "trust" => (Refused, words(&data), false),
            _ => return self.service("carnet-verifier", office, name),
        })
    }

    fn trust(&self, name: &str) -> Result<(Output, Vec<String>, bool)> {
        use Output::{Once, Prints, Quiet, Refused};
        let (operator, list) = (self.desk.path("a"), self.desk.path("list"));
        let pins = format!("--list {LIST} {}", self.desk.pins().join(" "));
        let out = self.desk.path(&self.fresh("out"));
        let issuer = &self.stage.university.did;
        Ok(match name {
            "init" => (Prints(0), words(&format!("--data {out} --name Operator")), false),
            "show" => (Prints(0), words(&format!("--data {operator}")), false),
            "create" => {
                let source = self.desk.path("list.source.json");
                (Prints(0), words(&format!("--source {source} --list {LIST} --out {out}")), false)
            }
            "edit" => (Prints(0), words(&format!("{list} --out {out}")), false),
            "source" => (Quiet, words(&format!("{list} --out {out}")), true),
            "import" => (Refused, words(&format!("--lote {} --out {out}", self.path("file"))), false),
            "sign" => {
                let draft = self.desk.path("list.draft");
                let shown = format!("sign --data {operator} {draft} --json");
                let digest = text(&programs::run("carnet-trust", words(&shown), &[])?.json()?, "/digest")?;
                (Once, words(&format!("--data {operator} {draft} --yes {digest}")), false)
            }
            "verify" => (Prints(0), words(&format!("{list} {pins}")), false),
            "timestamp" => (Refused, words(&format!("{list} --data {operator} {pins}")), false),
            "publish" => (Prints(0), words(&format!("{list} {pins} --to {}", self.desk.path("site"))), false),
            "diff" => (Prints(0), words(&format!("{list} {list}")), false),
            "explain" => (Prints(0), words(&list), false),
            "why" => {
                let question = "--type QualificationCredential --at 2025-01-01 --level 7";
                (Prints(0), words(&format!("{list} {pins} --issuer {issuer} {question}")), false)
            }
            _ => return Err("this verb has no arguments here: add them".into()),
        })
    }

    fn wallet(&self, name: &str) -> Result<(Output, Vec<String>, bool)> {
        use Output::{Prints, Refused};
        let stage = self.stage;
        let received = || -> Result<String> {
            let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
            stage.carnet(&["receive", &offered.uri, "--yes"])?.ok()?;
            self.credential()
        };
        let shown = || -> Result<(String, String)> {
            let uri = stage.request("job-right-to-work")?.1;
            let digest = text(&stage.carnet(&["present", &uri])?.json()?, "/digest")?;
            Ok((uri, digest))
        };
        let mut wallet = self.path("wallet.age");
        let (output, args) = match name {
            "init" => {
                wallet = self.path(&self.fresh("wallet"));
                (Prints(0), "--work-factor 12".to_owned())
            }
            // The same again, so that the runs after it open the wallet too.
            "passphrase" => (Prints(0), format!("--new-passphrase-file {}", self.path("passphrase"))),
            "receive" => {
                let offered = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?;
                (Prints(0), format!("{} --yes", offered.uri))
            }
            "refill" => (Prints(0), "--all".to_owned()),
            "refresh" | "renew" | "list" | "registrar list" | "local list" | "trust list" => (Prints(0), String::new()),
            "show" => (Prints(0), self.credential()?),
            "need" => (Prints(0), "university-admission".to_owned()),
            "present" => {
                let (uri, digest) = shown()?;
                (Prints(0), format!("{uri} --yes {digest}"))
            }
            "log" => (Prints(0), "--verify".to_owned()),
            "log keep" => (Prints(0), "--forever".to_owned()),
            "log forget" => {
                let (copy, name) = (self.path(&self.fresh("backup")), self.fresh("wallet"));
                stage.carnet(&["backup", &copy])?.ok()?;
                stage.carnet_on(&name, &["restore", &copy], &["--json", "--no-input"], "")?.ok()?;
                wallet = self.path(&name);
                (Prints(0), "--before 2100-01-01 --yes".to_owned())
            }
            "receipt export" | "receipt verify" => {
                let (uri, digest) = shown()?;
                let answer = stage.carnet(&["present", &uri, "--yes", &digest])?.ok()?.json()?;
                let entry = answer.pointer("/receipt/entry").ok_or("no receipt")?.to_string();
                let file = self.path(&self.fresh("receipt"));
                if name == "receipt export" {
                    (Prints(0), format!("{entry} --out {file}"))
                } else {
                    stage.carnet(&["receipt", "export", &entry, "--out", &file])?.ok()?;
                    (Prints(0), format!("{file} --registrar {}", stage.registrar))
                }
            }
            "export" => {
                let (id, file) = (received()?, self.path(&self.fresh("export")));
                let digest = text(&stage.carnet(&["export", &id, "--out", &file])?.json()?, "/digest")?;
                let secret = self.path("passphrase");
                (Prints(0), format!("{id} --out {file} --file-passphrase-file {secret} --yes {digest}"))
            }
            "import" => {
                let (id, file) = (received()?, self.path(&self.fresh("export")));
                let secret = self.path("passphrase");
                let digest = text(&stage.carnet(&["export", &id, "--out", &file])?.json()?, "/digest")?;
                let args = ["export", &id, "--out", &file, "--file-passphrase-file", &secret, "--yes", &digest];
                stage.carnet(&args)?.ok()?;
                wallet = self.path(&self.fresh("wallet"));
                let other = wallet.rsplit('/').next().unwrap_or_default().to_owned();
                stage.carnet_on(&other, &["init", "--work-factor", "12"], &["--json", "--no-input"], "")?.ok()?;
                (Prints(0), format!("{file} --file-passphrase-file {secret} --yes"))
            }
            "backup" => (Prints(0), self.path(&self.fresh("backup"))),
            "restore" => {
                let copy = self.path(&self.fresh("backup"));
                stage.carnet(&["backup", &copy])?.ok()?;
                wallet = self.path(&self.fresh("wallet"));
                (Prints(0), copy)
            }
            "erase" | "report" => {
                let (uri, digest) = shown()?;
                stage.carnet(&["present", &uri, "--yes", &digest])?.ok()?;
                let who = stage.agency.did.clone();
                (Prints(0), if name == "report" { who } else { format!("{who} --yes {}", stage.erasure_digest(&who)?) })
            }
            "delete" => (Prints(0), format!("{} --yes", received()?)),
            "undo" => {
                stage.carnet(&["delete", &received()?, "--yes"])?.ok()?;
                (Prints(0), String::new())
            }
            "paper add" => {
                std::fs::write(self.path("photo"), b"%PDF-1.7 a scan")?;
                std::fs::write(self.path("about"), "A degree")?;
                (Prints(0), format!("{} --about {}", self.path("photo"), self.path("about")))
            }
            "paper list" => (Prints(0), String::new()),
            "paper share" => (Refused, format!("none --to nobody --out {}", self.path("none"))),
            "paper delete" => (Refused, "none --yes".to_owned()),
            "completions" => (Prints(0), "bash".to_owned()),
            "man" => (Prints(0), String::new()),
            "registrar add" => (Prints(0), format!("did:web:{}.example", self.fresh("r"))),
            "registrar remove" => {
                let did = format!("did:web:{}.example", self.fresh("r"));
                stage.carnet(&["registrar", "add", &did])?.ok()?;
                (Prints(0), did)
            }
            "local add" => (Prints(0), self.local_site("did:web:localhost%3A1")?),
            "local remove" => {
                let did = format!("did:web:localhost%3A2:{}", self.fresh("l"));
                stage.carnet(&["local", "add", &self.local_site(&did)?])?.ok()?;
                (Prints(0), did)
            }
            "trust add" => {
                let pins = self.desk.pins().join(" ");
                (Prints(0), format!("--list {} --issuer {LIST} {pins}", self.desk.path("list")))
            }
            "trust update" => (Prints(0), String::new()),
            "trust remove" => (Refused, "did:web:nobody.example".to_owned()),
            _ => return Err("this verb has no arguments here: add them".into()),
        };
        let (passphrase, ca) = (self.path("passphrase"), self.path("ca.pem"));
        let global = format!("--wallet {wallet} --passphrase-file {passphrase} --ca {ca} --private-host localhost");
        Ok((output, words(&format!("{args} --no-input {global}")), false))
    }

    /// The id of a credential in the wallet.
    fn credential(&self) -> Result<String> {
        text(&self.stage.carnet(&["list"])?.ok()?.json()?, "/credentials/0/id")
    }
}
