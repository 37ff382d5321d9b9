//! A newcomer's first ten minutes with `carnet` alone, at a terminal, in four languages: choose the language, make a
//! wallet, receive, show, back up. `docs/first-ten-minutes.md` has the screens, and the number of commands and questions.

use std::{collections::BTreeMap, path::PathBuf};

use carnet_tests::{
    Result,
    page::{self, Names},
    programs,
    stage::{Stage, residence_permit},
    terminal::Terminal,
};

const PERMIT: &str = "ResidencePermitCredential";
const PASSPHRASE: &str = "seven lemons on a blue bicycle";
/// Part of each question for yes or no, in every language.
const YES: &str = " = 2";
/// Languages with their names, and with their numbers in the list of languages; the first one is chosen already.
const LANGUAGES: [(&str, &str, &str); 4] =
    [("en", "English", "1"), ("de", "German", "2"), ("ar", "Arabic", "4"), ("uk", "Ukrainian", "5")];

/// Messages of the wallet in one language that have no arguments.
fn messages(language: &str) -> Result<BTreeMap<String, String>> {
    let file = format!("{}/../holder-cli/locales/{language}.ftl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    Ok(lines.map(|(id, text)| (id.to_owned(), text.to_owned())).collect())
}

/// A person who never saw a wallet, at a terminal, and what the person has.
struct Newcomer {
    terminal: Terminal,
    texts: BTreeMap<String, String>,
    offer: String,
    request: String,
    /// Number of lines that were typed, by the kind of their prompt.
    typed: BTreeMap<&'static str, usize>,
}

/// Prompts of the wallet, and the ids of their messages.
const PROMPTS: [(&str, &str); 7] = [
    ("choices in a menu", "menu-number"),
    ("a passphrase", "wallet-passphrase-new"),
    ("a passphrase", "wallet-passphrase-again"),
    ("a passphrase", "wallet-passphrase"),
    ("links", "link-offer"),
    ("links", "link-request"),
    ("words of the backup", "backup-words-ready"),
];

impl Newcomer {
    /// Starts the wallet: the only command.
    fn start(stage: &Stage, language: &str) -> Result<Self> {
        let home = stage.folder.join(language);
        std::fs::create_dir(&home)?;
        let path = |path: PathBuf| path.display().to_string();
        let settings = [
            format!("HOME={}", path(home)),
            format!("CARNET_CA={}", path(stage.folder.join("ca.pem"))),
            "CARNET_PRIVATE_HOSTS=localhost".to_owned(),
            "LANG=C.UTF-8".to_owned(),
            "NO_COLOR=1".to_owned(),
        ];
        let program = path(programs::directory()?.join("carnet"));
        // A session of its own, whose terminal the wallet reads passphrases from.
        let args = ["--ctty", "--wait", "/usr/bin/env"].map(str::to_owned).into_iter().chain(settings).chain([program]);
        let terminal = Terminal::start("/usr/bin/setsid", args)?;
        let offer = stage.offer(&stage.authority, PERMIT, &residence_permit(), &[])?.uri;
        let request = stage.request("job-right-to-work")?.1;
        Ok(Self { terminal, texts: messages(language)?, offer, request, typed: BTreeMap::new() })
    }

    fn text(&self, id: &str) -> Result<String> {
        Ok(self.texts.get(id).ok_or_else(|| format!("there is no message {id}"))?.clone())
    }

    fn type_line(&mut self, kind: &'static str, line: &str) -> Result<()> {
        let count = self.typed.entry(kind).or_default();
        *count = count.saturating_add(1);
        self.terminal.type_line(line)
    }

    /// Waits for a prompt in English, before the language is chosen, and chooses.
    fn choose_in_english(&mut self, number: &str) -> Result<()> {
        self.terminal.wait_for("Number: ")?;
        self.type_line("choices in a menu", number)
    }

    /// Answers each prompt as a person who wants to go through these entries of the menu: the screen at the end.
    fn go_through(mut self, entries: &[&str]) -> Result<(BTreeMap<&'static str, usize>, String)> {
        let mut entries = entries.iter();
        let mut prompts = PROMPTS.iter().map(|(_, id)| self.text(id)).collect::<Result<Vec<_>>>()?;
        // A word alone, such as "Number", is part of other lines.
        if let Some(menu) = prompts.first_mut() {
            menu.push_str(": ");
        }
        prompts.push(self.text("backup-words-ask")?.replace("{ $number }", ""));
        prompts.push(YES.to_owned());
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let mut words = BTreeMap::new();
        loop {
            let place = self.terminal.wait_for_one(&prompts)?;
            self.wait_for_end_of_prompt(place, &prompts)?;
            match PROMPTS.get(place) {
                Some((kind, "menu-number")) => match entries.next() {
                    Some(entry) => self.type_line(kind, entry)?,
                    None => break,
                },
                Some((kind, "link-offer")) => self.give_link(kind, &self.offer.clone())?,
                Some((kind, "link-request")) => self.give_link(kind, &self.request.clone())?,
                Some((_, "backup-words-ready")) => {
                    let rows = self.terminal.screen.lines().filter_map(|line| line.trim().split_once("  "));
                    words = rows.map(|(number, word)| (number.to_owned(), word.trim().to_owned())).collect();
                    self.terminal.type_line("")?;
                }
                Some((kind, _)) => {
                    assert!(self.terminal.hides_input()?, "the prompt of {kind} came before the input was hidden");
                    self.type_line(kind, PASSPHRASE)?;
                }
                None if prompts.get(place) == Some(&YES) => self.type_line("yes or no", "1")?,
                None => {
                    let number = self.terminal.wait_for(": ")?;
                    let number = number.trim_end_matches([':', ' ']);
                    let word = words.get(number).ok_or_else(|| format!("there was no word {number}"))?.clone();
                    self.type_line("words of the backup", &word)?;
                }
            }
        }
        self.terminal.type_line("0")?;
        let typed = std::mem::take(&mut self.typed);
        let (code, screen) = self.terminal.end()?;
        assert_eq!(code, 0, "{screen}");
        Ok((typed, screen))
    }

    /// Reads the rest of a prompt: what is typed before it is printed stands in the middle of it.
    fn wait_for_end_of_prompt(&mut self, place: usize, prompts: &[&str]) -> Result<()> {
        let end = match PROMPTS.get(place) {
            Some(("a passphrase", _)) => ": ",
            Some(("links", _)) => "\n",
            Some((_, "backup-words-ready")) => " ",
            None if prompts.get(place) == Some(&YES) => ") ",
            _ => return Ok(()),
        };
        self.terminal.wait_for(end).map(drop)
    }

    /// Pastes a link, and ends it with an empty line.
    fn give_link(&mut self, kind: &'static str, link: &str) -> Result<()> {
        self.type_line(kind, link)?;
        self.terminal.type_line("")
    }
}

const PAGE: &str = "# The first ten minutes

A newcomer types one command, `carnet`, and then answers what the wallet asks: a language, a wallet, a document that somebody \
offers, a request that somebody makes, and a backup on paper. This page has the screens of a run at a terminal, in English, German, \
Arabic and Ukrainian; the test `first_ten_minutes` does the same again and compares the page (`UPDATE_DOCS=1` writes it). The asker is \
registered by a registrar that this wallet does not know yet, as for each newcomer; that costs a question for each claim.

";

/// Stumbles that are left.
const STUMBLES: &str = "
## Stumbles that are left
- The first screen is in the language of the computer, and in English where the wallet does not have that language. Entry 5 names the \
others in their own scripts; the choice counts for the session, unless `--lang` or the locale says it.
- The menu cannot add a registrar: until `carnet registrar add`, or `carnet init --local` for a trial, each asker is a stranger, and each \
claim is a question of its own.
- A link is ended by pressing Enter twice.
- An error of an issuer comes in English in the middle of another language.
";

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_receives_shows_and_backs_up_in_four_languages() -> Result<()> {
    let stage = Stage::set(false).await?;
    let mut names = Names::default();
    names.add(stage.folder.display().to_string(), "~");
    names.add(stage.registrar.clone(), "did:key:REGISTRAR");
    let (mut table, mut screens) = (String::new(), String::new());
    for (language, name, number) in LANGUAGES {
        let mut newcomer = Newcomer::start(&stage, language)?;
        if language != "en" {
            // The locale of the computer says nothing of its user.
            newcomer.choose_in_english("5")?;
            newcomer.choose_in_english(number)?;
        }
        let slow = newcomer.text("wait-wallet")?;
        let (typed, screen) = newcomer.go_through(&["1", "1", "3", "7", "1"])?;
        assert!(!screen.contains(PASSPHRASE), "{screen}");
        // Without the notice of a wait, which depends on the speed of the machine.
        let lines = screen.lines().filter(|line| line.trim() != slow).map(without_time);
        let screen: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
        // Three of the twelve words, and which ones differs.
        assert_eq!(typed.get("words of the backup"), Some(&3), "{typed:?}");
        let all = typed.values().fold(0_usize, |sum, count| sum.saturating_add(*count));
        let kinds = typed.iter().map(|(kind, count)| format!("{kind}: {count}")).collect::<Vec<_>>().join(", ");
        table.push_str(&format!("| {name} | 1 | {all} | {kinds} |\n"));
        screens.push_str(&format!("\n## {name}\n```text\n$ carnet\n{}\n```\n", without_words(&names.printed(&screen))));
    }
    let head = "| language | commands | answers | of which |\n|---|---|---|---|\n";
    page::check(&page::docs("first-ten-minutes.md"), &format!("{PAGE}{head}{table}{STUMBLES}{screens}"))
}

/// Replaces a time at the end of a line, in the form of any language.
fn without_time(line: &str) -> String {
    match line.trim_end().rsplit_once(": ") {
        Some((before, time)) if time.ends_with(" UTC") => format!("{before}: TIME"),
        _ => line.to_owned(),
    }
}

/// Replaces the words of a backup, which differ: those of the list, and those that were asked back.
fn without_words(screen: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let lines = screen.lines().map(|line| {
        let listed =
            line.strip_prefix("  ").and_then(|row| row.split_once("  ")).filter(|(number, _)| is_number(number));
        let asked = line.split_once(": ").and_then(|(prompt, word)| Some((prompt.rsplit_once(' ')?, word)));
        match (listed, asked) {
            (Some((number, _)), _) => format!("  {number}  WORD"),
            (None, Some(((prompt, number), word))) if is_number(number) && !word.is_empty() && !word.contains(' ') => {
                format!("{prompt} N: WORD")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
