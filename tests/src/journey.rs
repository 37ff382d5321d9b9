//! A journey of one person through several offices, with the real programs at terminals. Its page in `docs/journeys`
//! prints the screens of all parties.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Result,
    page::{self, Names},
    programs::Said,
    stage::{Cast, Offered, Office, Stage},
    terminal::Terminal,
    visitor::{self, Copy},
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
        let (whose, command) = (self.person.clone(), format!("carnet{}", printed_flags(args)));
        self.screen(&whose, &command, &screen);
        Ok(screen)
    }

    /// Lets an issuer offer a document, and the person accept it.
    ///
    /// # Errors
    /// A program refuses.
    pub fn receive(&mut self, issuer: Issuer, kind: &str, claims: &Value, extra: &[&str]) -> Result<Offered> {
        let offered = self.stage.offer(self.office(issuer), kind, claims, extra)?;
        let (code, screen) =
            self.at_terminal(&[&["receive", offered.uri.as_str()], flags_of_wallet(extra)].concat())?;
        if code != 0 {
            return Err(format!("exit code {code}\n{screen}").into());
        }
        let made = printed_flags(extra.split(|flag| *flag == "--catalogue").next().unwrap_or_default());
        let (issuer, person) = (self.office(issuer).name.clone(), self.person.clone());
        self.page.push_str(&format!(
            "\n{issuer} makes the offer (`carnet-issuer offer create --type {kind} --claims FILE{made}`), and hands over the \
             link.\n"
        ));
        self.screen(&person, &format!("carnet receive LINK{}", printed_flags(flags_of_wallet(extra))), &screen);
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

    /// [`Self::show`], of which the page has the screen of the asker only.
    ///
    /// # Errors
    /// As there.
    pub fn show_briefly(&mut self, template: &str) -> Result<Answer> {
        let (desk, link) = self.open_desk(template, &[])?;
        let holder = self.present(&link, &[])?;
        let answer = self.close_desk(desk, holder)?;
        self.print_desk(template, &[], &answer.asker);
        if answer.result.get("state").and_then(Value::as_str) != Some("accepted") {
            return Err(format!("refused:\n{}\n{}", answer.holder, answer.asker).into());
        }
        Ok(answer)
    }

    /// Lets somebody with a copy of a voucher, and without a wallet, show a use of it. Prints the asker's screen.
    ///
    /// # Errors
    /// A program fails.
    pub async fn show_copy(&mut self, template: &str, copy: &Copy, number: usize) -> Result<Answer> {
        let (desk, link) = self.open_desk(template, &[])?;
        let asked = visitor::read_request(&link).await?;
        let presentation = visitor::present_use(copy, &asked, number, visitor::now())?;
        let refusal = visitor::refusal(&visitor::submit(&asked, presentation).await);
        let answer = self.close_desk(desk, refusal.unwrap_or_default())?;
        self.print_desk(template, &[], &answer.asker);
        Ok(answer)
    }

    fn ask(&mut self, template: &str, more: &[&str]) -> Result<Answer> {
        let (desk, link) = self.open_desk(template, more)?;
        let holder = self.present(&link, more)?;
        let answer = self.close_desk(desk, holder)?;
        self.print_desk(template, more, &answer.asker);
        let person = self.person.clone();
        let flags = printed_flags(more);
        self.screen(&person, &format!("carnet present LINK{flags}"), &answer.holder);
        Ok(answer)
    }

    /// Opens a desk of the agency for one visitor: it, and its link.
    fn open_desk(&self, template: &str, more: &[&str]) -> Result<(Terminal, String)> {
        let agency = &self.stage.agency;
        let token = agency.token_file.display().to_string();
        let own = ["desk", "--template", template, "--once", "--server", &agency.service.url, "--token-file", &token];
        let mut desk = Terminal::start_at("carnet-verifier", [&own, more].concat(), COLUMNS)?;
        desk.wait_for(WAITING)?;
        let link = desk.screen.lines().rev().find(|line| line.starts_with("openid4vp://"));
        let link = link.ok_or("the desk shows no link")?.trim().to_owned();
        Ok((desk, link))
    }

    /// Lets the person answer a link; the wallet's screen.
    fn present(&self, link: &str, more: &[&str]) -> Result<String> {
        let (_, holder) = self.at_terminal(&[&["present", link], more].concat())?;
        let id = link.rsplit("%2F").next().unwrap_or_default();
        let result = self.stage.agency.staff(&["result", id])?.json()?;
        match result.get("state").and_then(Value::as_str) {
            Some("open") => Err(format!("the wallet sent nothing:\n{holder}").into()),
            _ => Ok(holder),
        }
    }

    /// Reads the verdict of a desk, which was answered.
    fn close_desk(&self, desk: Terminal, holder: String) -> Result<Answer> {
        let (code, asker) = desk.end()?;
        let id = asker.split("carnet-verifier result").nth(1).and_then(|rest| rest.split_whitespace().next());
        let id = id.ok_or_else(|| format!("the desk ended with {code}:\n{asker}\n{holder}"))?;
        let result = self.stage.agency.staff(&["result", id])?.json()?;
        let seen = seen(&result);
        Ok(Answer { result, asker, holder, seen })
    }

    fn print_desk(&mut self, template: &str, more: &[&str], screen: &str) {
        let (agency, flags) = (self.stage.agency.name.clone(), printed_flags(more));
        self.screen(&agency, &format!("carnet-verifier desk --template {template} --once{flags}"), screen);
    }

    /// Lets the agency ask for what the person cannot show: the wallet sends nothing. Prints the wallet's screen, and
    /// returns it.
    ///
    /// # Errors
    /// A program fails, or the wallet sends an answer.
    pub fn cannot_show(&mut self, template: &str) -> Result<String> {
        self.cannot_show_with(template, &[])
    }

    /// [`Self::cannot_show`], with further options of the wallet.
    ///
    /// # Errors
    /// As there.
    pub fn cannot_show_with(&mut self, template: &str, more: &[&str]) -> Result<String> {
        let (id, uri) = self.stage.request(template)?;
        let (code, screen) = self.at_terminal(&[&["present", uri.as_str()], more].concat())?;
        let state = self.stage.agency.staff(&["result", &id])?.json()?;
        if code == 0 || state.get("state").and_then(Value::as_str) != Some("open") {
            return Err(format!("it was sent (exit code {code}): {state}\n{screen}").into());
        }
        let person = self.person.clone();
        self.screen(&person, &format!("carnet present LINK{}", printed_flags(more)), &screen);
        Ok(screen)
    }

    /// Runs a command of `carnet` at a terminal that must end with an error, and prints its screen.
    ///
    /// # Errors
    /// It ends with 0.
    pub fn wallet_fails(&mut self, args: &[&str]) -> Result<String> {
        let (code, screen) = self.at_terminal(args)?;
        if code == 0 {
            return Err(format!("it did not fail\n{screen}").into());
        }
        let (whose, command) = (self.person.clone(), format!("carnet{}", printed_flags(args)));
        self.screen(&whose, &command, &screen);
        Ok(screen)
    }

    /// Prints a list of what the asker did not receive, of the claims that the document has.
    ///
    /// # Errors
    /// The asker's screen or the result has one of the values.
    pub fn withheld(&mut self, answer: &Answer, claims: &Value, names: &[&str]) -> Result<()> {
        // Without ids and links, in which a short value may occur by chance.
        let told = self.names.printed(&format!("{}\n{}", answer.asker, answer.result));
        for name in names {
            let value = claims.get(*name).ok_or_else(|| format!("the document has no {name}"))?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if has_words(&told, &text) || answer.seen.contains(*name) {
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

/// Returns whether a text contains others as whole words.
fn has_words(text: &str, words: &str) -> bool {
    let is_outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(words).any(|(start, found)| {
        let (before, after) = (text.get(..start).unwrap_or_default(), text.get(start.saturating_add(found.len())..));
        is_outside(before.chars().next_back()) && is_outside(after.unwrap_or_default().chars().next())
    })
}

/// Options as they are printed.
fn printed_flags(more: &[&str]) -> String {
    let is_path = |flag: &str| flag.starts_with('/');
    more.iter().map(|flag| if is_path(flag) { " FOLDER".to_owned() } else { format!(" {flag}") }).collect()
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
