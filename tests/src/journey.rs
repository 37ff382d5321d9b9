//! A journey of one person through several offices, with the real programs at terminals. Its page in `docs/journeys`
//! prints the screens of all parties.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Result,
    page::{self, Names},
    programs::{self, Said},
    stage::{Cast, Offered, Office, Stage},
    terminal::Terminal,
};

/// Question of the wallet before anything is accepted or shown.
const QUESTION: &str = "(yes = 1, no = 2)";
const QUESTION_END: &str = "2) ";
/// Columns of the terminals on the pages.
const COLUMNS: u16 = 100;
const WAITING: &str = "Waiting for an answer";

/// Introduction of a journey.
#[derive(Debug)]
pub struct Prologue<'a> {
    /// Name of the page.
    pub name: &'static str,
    /// Title of the page.
    pub title: &'a str,
    /// First paragraph of the page.
    pub about: &'a str,
}

/// Issuer of a document in a journey.
#[derive(Debug, Clone, Copy)]
pub enum Issuer {
    /// The first one of the stage.
    University,
    /// The second one of the stage.
    Authority,
}

/// Answer to a request: what the asker received.
#[derive(Debug)]
pub struct Answer {
    /// Result of the request, as staff read it.
    pub result: Value,
    /// Screen of the asker.
    pub asker: String,
    /// Screen of the holder.
    pub holder: String,
    /// Paths of the disclosed claims below the subject, and the thresholds, such as `hours >= 20`.
    pub seen: BTreeSet<String>,
}

/// A journey while it is made.
#[derive(Debug)]
pub struct Journey {
    /// The offices.
    pub stage: Stage,
    names: Names,
    page: String,
    name: &'static str,
    /// Wallet of the person who acts now, and how the page calls the person.
    wallet: String,
    person: String,
}

impl Journey {
    /// Sets the stage, and makes the wallet of a person.
    ///
    /// # Errors
    /// A program fails.
    pub async fn begin(prologue: &Prologue<'_>, cast: &Cast<'_>, person: &str) -> Result<Self> {
        let stage = Stage::cast(false, cast).await?;
        let mut names = Names::default();
        for (office, name) in [(&stage.university, cast.university), (&stage.authority, cast.authority)] {
            names.add(office.did.clone(), format!("did:web:{}.example", slug(name)));
        }
        names.add(stage.agency.did.clone(), format!("did:web:{}.example", slug(cast.agency)));
        names.add(stage.folder.display().to_string(), "~");
        let page = format!(
            "# {}\n\n{}\n\nThe screens on this page are those of a run of the real programs; the test `{}` of \
             `tests/tests/journeys` makes the journey again and compares the page. Ids, dates of the run and links are \
             replaced.\n",
            prologue.title, prologue.about, prologue.name
        );
        let mut journey =
            Self { stage, names, page, name: prologue.name, wallet: String::new(), person: String::new() };
        journey.enter(person)?;
        Ok(journey)
    }

    /// Lets another person act, with a new wallet.
    ///
    /// # Errors
    /// The wallet cannot be made.
    pub fn enter(&mut self, person: &str) -> Result<()> {
        (self.person, self.wallet) = (person.to_owned(), format!("{}.age", slug(person)));
        self.carnet(&["init", "--work-factor", "12"])?.ok()?;
        let registrar = self.stage.registrar.clone();
        self.carnet(&["registrar", "add", &registrar, "--name", "Register of Askers"])?.ok().map(drop)
    }

    /// Begins a section of the page.
    pub fn act(&mut self, title: &str, text: &str) {
        self.page.push_str(&format!("\n## {title}\n{text}\n"));
    }

    /// Prints a screen on the page.
    pub fn screen(&mut self, whose: &str, command: &str, screen: &str) {
        let printed = self.names.printed(screen);
        self.page.push_str(&format!("\n{whose}:\n```text\n$ {command}\n{printed}\n```\n"));
    }

    /// Adds a name for a text that differs between runs.
    pub fn name(&mut self, text: impl Into<String>, name: impl Into<String>) {
        self.names.add(text, name);
    }

    /// The office of an issuer.
    #[must_use]
    pub const fn office(&self, issuer: Issuer) -> &Office {
        match issuer {
            Issuer::University => &self.stage.university,
            Issuer::Authority => &self.stage.authority,
        }
    }

    /// Runs `carnet` on the person's wallet; the answer is JSON.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn carnet(&self, args: &[&str]) -> Result<Said> {
        self.stage.carnet_on(&self.wallet, args, &["--json", "--no-input"], "")
    }

    /// Runs `carnet` at a terminal, where the person says yes to every question: exit code and screen.
    fn at_terminal(&self, args: &[&str]) -> Result<(i32, String)> {
        let mut terminal = Terminal::start_at("carnet", self.stage.carnet_arguments(&self.wallet, args, &[]), COLUMNS)?;
        while let Ok(screen) = terminal.wait_for(QUESTION_END) {
            // The question may be wrapped; a section of a law ends in the same way.
            if screen.split_whitespace().collect::<Vec<_>>().join(" ").ends_with(QUESTION) {
                terminal.type_line("yes")?;
            }
        }
        terminal.end()
    }

    /// Runs a command of `carnet` at a terminal, and prints its screen.
    ///
    /// # Errors
    /// It ends with another code than 0.
    pub fn wallet(&mut self, args: &[&str]) -> Result<String> {
        let (code, screen) = self.at_terminal(args)?;
        if code != 0 {
            return Err(format!("exit code {code}\n{screen}").into());
        }
        let (whose, command) = (self.person.clone(), format!("carnet {}", args.join(" ")));
        self.screen(&whose, &command, &screen);
        Ok(screen)
    }

    /// Lets an issuer offer a document, and the person accept it.
    ///
    /// # Errors
    /// A program refuses.
    pub fn receive(&mut self, issuer: Issuer, kind: &str, claims: &Value, extra: &[&str]) -> Result<Offered> {
        let offered = self.stage.offer(self.office(issuer), kind, claims, extra)?;
        let flags: Vec<&str> = extra.iter().copied().take_while(|flag| *flag != "--catalogue").collect();
        let (code, screen) =
            self.at_terminal(&[&["receive", offered.uri.as_str()], flags_of_wallet(extra)].concat())?;
        if code != 0 {
            return Err(format!("exit code {code}\n{screen}").into());
        }
        let made = flags.iter().map(|flag| format!(" {flag}")).collect::<String>();
        let (issuer, person) = (self.office(issuer).name.clone(), self.person.clone());
        self.page.push_str(&format!(
            "\n{issuer} makes the offer (`carnet-issuer offer create --type {kind} --claims FILE{made}`), and hands over the \
             link.\n"
        ));
        self.screen(&person, "carnet receive LINK", &screen);
        Ok(offered)
    }

    /// Lets the agency ask at its desk, and the person answer. Prints both screens.
    ///
    /// # Errors
    /// A program fails, or the answer is refused.
    pub fn show(&mut self, template: &str, more: &[&str]) -> Result<Answer> {
        let answer = self.ask(template, more)?;
        if answer.result.get("state").and_then(Value::as_str) != Some("accepted") {
            return Err(format!("refused:\n{}\n{}", answer.holder, answer.asker).into());
        }
        Ok(answer)
    }

    /// [`Self::show`], where the agency refuses the answer with this reason.
    ///
    /// # Errors
    /// A program fails, or the answer is accepted.
    pub fn show_refused(&mut self, template: &str, reason: &str) -> Result<Answer> {
        let answer = self.ask(template, &[])?;
        if answer.result.pointer("/verdict/reason").and_then(Value::as_str) != Some(reason) {
            return Err(format!("{reason} was expected:\n{}\n{}", answer.holder, answer.asker).into());
        }
        Ok(answer)
    }

    fn ask(&mut self, template: &str, more: &[&str]) -> Result<Answer> {
        let agency = &self.stage.agency;
        let token = agency.token_file.display().to_string();
        let own = ["desk", "--template", template, "--once", "--server", &agency.service.url, "--token-file", &token];
        let mut desk = Terminal::start_at("carnet-verifier", [&own, more].concat(), COLUMNS)?;
        desk.wait_for(WAITING)?;
        let link = desk.screen.lines().rev().find(|line| line.starts_with("openid4vp://"));
        let link = link.ok_or("the desk shows no link")?.trim().to_owned();
        let (_, holder) = self.at_terminal(&[&["present", link.as_str()], more].concat())?;
        let open = link.rsplit("%2F").next().unwrap_or_default();
        let state = agency.staff(&["result", open])?.json()?;
        if state.get("state").and_then(Value::as_str) == Some("open") {
            return Err(format!("the wallet sent nothing:\n{holder}").into());
        }
        let (code, asker) = desk.end()?;
        let id = asker.split("carnet-verifier result").nth(1).and_then(|rest| rest.split_whitespace().next());
        let id = id.ok_or_else(|| format!("the desk ended with {code}:\n{asker}\n{holder}"))?;
        let result = self.stage.agency.staff(&["result", id])?.json()?;
        let (agency, person) = (self.stage.agency.name.clone(), self.person.clone());
        let flags = more.iter().map(|flag| format!(" {flag}")).collect::<String>();
        self.screen(&agency, &format!("carnet-verifier desk --template {template} --once{flags}"), &asker);
        self.screen(&person, &format!("carnet present LINK{flags}"), &holder);
        let seen = seen(&result);
        Ok(Answer { result, asker, holder, seen })
    }

    /// Lets the agency ask for what the person cannot show: the wallet sends nothing. Prints the wallet's screen, and
    /// returns it.
    ///
    /// # Errors
    /// A program fails, or the wallet sends an answer.
    pub fn cannot_show(&mut self, template: &str) -> Result<String> {
        let (id, uri) = self.stage.request(template)?;
        let (code, screen) = self.at_terminal(&["present", &uri])?;
        let state = self.stage.agency.staff(&["result", &id])?.json()?;
        if code == 0 || state.get("state").and_then(Value::as_str) != Some("open") {
            return Err(format!("it was sent (exit code {code}): {state}\n{screen}").into());
        }
        let person = self.person.clone();
        self.screen(&person, "carnet present LINK", &screen);
        Ok(screen)
    }

    /// Prints a list of what the asker did not receive, of the claims that the document has.
    ///
    /// # Errors
    /// The asker's screen or the result has one of the values.
    pub fn withheld(&mut self, answer: &Answer, claims: &Value, names: &[&str]) -> Result<()> {
        let result = answer.result.to_string();
        for name in names {
            let value = claims.get(*name).ok_or_else(|| format!("the document has no {name}"))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if answer.asker.contains(&text) || result.contains(&text) || answer.seen.contains(*name) {
                return Err(format!("{name} reached the asker:\n{}", answer.asker).into());
            }
        }
        let agency = self.stage.agency.name.clone();
        let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        self.page.push_str(&format!("\n{agency} did not receive: {list}.\n"));
        Ok(())
    }

    /// Compares the page with the run, or writes it.
    ///
    /// # Errors
    /// It differs.
    pub fn finish(self) -> Result<()> {
        page::check(&page::docs(&format!("journeys/{}.md", self.name)), &self.page)
    }
}

/// Options of an offer that its holder's wallet needs too.
fn flags_of_wallet<'a>(extra: &'a [&'a str]) -> &'a [&'a str] {
    let start = extra.iter().position(|flag| *flag == "--catalogue").unwrap_or(extra.len());
    extra.get(start..).unwrap_or_default()
}

/// Claims and thresholds of a result, by their paths below the subject.
fn seen(result: &Value) -> BTreeSet<String> {
    let credentials = result.pointer("/verdict/credentials").and_then(Value::as_array).into_iter().flatten();
    let paths = credentials.flat_map(|credential| {
        ["disclosed_paths", "proved_thresholds"].into_iter().flat_map(|member| credential.get(member)?.as_array())
    });
    let texts = paths.flatten().filter_map(Value::as_str);
    texts.map(|path| path.strip_prefix("credentialSubject.").unwrap_or(path).to_owned()).collect()
}

/// Letters and digits of a name in lower case, with hyphens between the words.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Runs a program to its end; for screens of staff that are text.
///
/// # Errors
/// It cannot be started, or ends with another code than 0.
pub fn staff_screen(program: &str, office: &Office, args: &[&str]) -> Result<String> {
    let token = office.token_file.display().to_string();
    let own = ["--server", &office.service.url, "--token-file", &token];
    Ok(programs::run(program, [args, &own].concat(), &[])?.ok()?.stdout)
}
