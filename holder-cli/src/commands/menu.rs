//! `carnet` alone: a numbered menu, for people who type no commands. Digits are enough; every screen is plain text.

use std::path::{Path, PathBuf};

use carnet_core::input::with_ascii_digits;
use carnet_spec::{Procedure, RequestTemplate};

use crate::{
    arguments::{Backup, Command, GlobalOptions, Init, LogArguments, NeedArguments, Present, Receive, Restore, Show},
    clock::CommandClock,
    context::CommandContext,
    failure::{Failure, FailureReason},
    passphrase_memory::{IDLE, PassphraseMemory},
    saved_language,
    ui::{Ui, labels::TypeLabels, messages::Language, sanitise::sanitise},
    wallet::file::DEFAULT_WORK_FACTOR,
};

/// Function that runs a command.
pub(crate) type CommandRunner = fn(&CommandContext, &Command) -> Result<(), Failure>;

/// Entry of a menu: the id of its message, and what it does.
type MenuEntry = (&'static str, MenuAction);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MenuAction {
    Receive,
    Show,
    Prove,
    Need,
    Documents,
    Log,
    Backup,
    Help,
    Language,
    Init,
    Restore,
}

/// Entries of the menu of a wallet, from 1.
const ENTRIES: [MenuEntry; 9] = [
    ("menu-receive", MenuAction::Receive),
    ("menu-show", MenuAction::Show),
    ("menu-prove", MenuAction::Prove),
    ("menu-need", MenuAction::Need),
    ("menu-documents", MenuAction::Documents),
    ("menu-log", MenuAction::Log),
    ("menu-backup", MenuAction::Backup),
    ("menu-help", MenuAction::Help),
    ("menu-language", MenuAction::Language),
];

/// Entries before there is a wallet, from 1.
const FIRST_ENTRIES: [MenuEntry; 5] = [
    ("menu-init", MenuAction::Init),
    ("menu-restore", MenuAction::Restore),
    ("menu-need", MenuAction::Need),
    ("menu-help", MenuAction::Help),
    ("menu-language", MenuAction::Language),
];

/// Menu session at a terminal.
struct Menu {
    global: GlobalOptions,
    memory: PassphraseMemory,
    run: CommandRunner,
}

/// Shows the menu until the holder ends it, and returns the exit code.
pub(crate) fn run(global: GlobalOptions, run: CommandRunner) -> u8 {
    let mut menu = Menu { global, memory: PassphraseMemory::new(IDLE), run };
    while menu.show_once().is_some() {}
    menu.memory.forget();
    0
}

impl Menu {
    /// Returns a context for one action: each begins as a command of its own, but shares the passphrase.
    fn context(&self) -> CommandContext {
        CommandContext::with_passphrase_memory(self.global.clone(), CommandClock::system(), Some(self.memory.clone()))
    }

    /// Shows the menu once and does what the holder chooses; `None` at the end.
    fn show_once(&mut self) -> Option<()> {
        let context = self.context();
        let ui = &context.ui;
        let exists = context.location.file_path().is_ok_and(|path| path.exists());
        let (title, entries) =
            if exists { ("menu-title", ENTRIES.as_slice()) } else { ("menu-title-new", FIRST_ENTRIES.as_slice()) };
        let labels = if exists { labels(ui, entries) } else { first_labels(ui) };
        let number = self.choose(ui, &ui.messages.text(title), &labels, "menu-end")?;
        let (_, action) = entries.get(number)?;
        if let Err(failure) = self.act(&context, *action) {
            if failure.reason == FailureReason::WrongPassphrase {
                self.memory.forget();
            }
            ui.print_failure(&failure);
        }
        self.memory.touch();
        Some(())
    }

    fn act(&mut self, context: &CommandContext, action: MenuAction) -> Result<(), Failure> {
        let command = match action {
            MenuAction::Receive => Command::Receive(Receive::default()),
            MenuAction::Prove => Command::Present(Present::default()),
            MenuAction::Documents => Command::List,
            MenuAction::Log => Command::Log(LogArguments::default()),
            MenuAction::Init => {
                Command::Init(Init { work_factor: DEFAULT_WORK_FACTOR, keep_log: None, local: Vec::new() })
            }
            MenuAction::Show => match self.choose_document(context)? {
                Some(id) => Command::Show(Show { id }),
                None => return Ok(()),
            },
            MenuAction::Need => match self.choose_procedure(context)? {
                Some(procedure) => Command::Need(NeedArguments { procedure: Some(procedure) }),
                None => return Ok(()),
            },
            MenuAction::Backup => match self.choose_backup_file(context) {
                Some(file) => Command::Backup(Backup { file, words: true, shares: None, of: None }),
                None => return Ok(()),
            },
            MenuAction::Restore => match self.ask_path(&context.ui, "menu-restore-path") {
                Some(file) => Command::Restore(Restore { file, shares: false }),
                None => return Ok(()),
            },
            MenuAction::Help => {
                print_help(&context.ui);
                return Ok(());
            }
            MenuAction::Language => {
                self.choose_language(context);
                return Ok(());
            }
        };
        (self.run)(context, &command)
    }

    /// Prints numbered entries, with 0 for `leave`, and returns the index of the chosen one; `None` for 0 and at the
    /// end of the input.
    fn choose(&self, ui: &Ui, title: &str, entries: &[String], leave: &str) -> Option<usize> {
        ui.print_text(&menu_text(ui, title, entries, leave));
        loop {
            let line = self.read_line(ui, "menu-number")?;
            match with_ascii_digits(&line).trim().parse::<usize>() {
                Ok(0) => return None,
                Ok(number) if number <= entries.len() => return number.checked_sub(1),
                _ => ui.print_text(&ui.format_wrapped(0, &ui.messages.text("menu-number-again"))),
            }
        }
    }

    /// Prints a prompt and reads a line, which counts as input for the memory of the passphrase; `None` at the end of
    /// the input.
    fn read_line(&self, ui: &Ui, prompt: &str) -> Option<String> {
        ui.print_text(&format!("{}: ", ui.messages.text(prompt)));
        let line = carnet_console::read_line();
        self.memory.touch();
        line
    }

    fn choose_document(&self, context: &CommandContext) -> Result<Option<String>, Failure> {
        let contents = context.wallet.read_without_texts()?;
        let catalogue = context.catalogue()?;
        let ui = &context.ui;
        if contents.credentials.is_empty() {
            ui.print_text(&ui.format_wrapped(0, &ui.messages.text("list-empty")));
            return Ok(None);
        }
        let label = |type_name: &str, issuer: &str| {
            let label = TypeLabels::new(&catalogue, type_name, &ui.messages).type_label();
            format!("{label}, {}", sanitise(issuer))
        };
        let entries: Vec<String> =
            contents.credentials.iter().map(|held| label(&held.type_name, &held.issuer_name)).collect();
        let chosen = self.choose(ui, &ui.messages.text("menu-show"), &entries, "menu-back");
        Ok(chosen.and_then(|index| Some(contents.credentials.get(index)?.id.clone())))
    }

    fn choose_procedure(&self, context: &CommandContext) -> Result<Option<String>, Failure> {
        let catalogue = context.catalogue()?;
        let ui = &context.ui;
        let language = ui.messages.language().tag();
        let known: Vec<_> = catalogue.procedures().collect();
        let title = |procedure: &&Procedure| sanitise(RequestTemplate::text_in_language(&procedure.title, language));
        let entries: Vec<String> = known.iter().map(title).collect();
        let chosen = self.choose(ui, &ui.messages.text("menu-need"), &entries, "menu-back");
        Ok(chosen.and_then(|index| Some(known.get(index)?.id.clone())))
    }

    /// Asks for the file of a backup: a new one in the home directory, or another.
    fn choose_backup_file(&self, context: &CommandContext) -> Option<PathBuf> {
        let ui = &context.ui;
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let file = backup_file(&home, &context.now().to_string());
        let first = ui.messages.format("menu-backup-file", &[("file", &file.display().to_string())]);
        let entries = [first, ui.messages.text("menu-backup-other")];
        match self.choose(ui, &ui.messages.text("menu-backup"), &entries, "menu-back")? {
            0 => Some(file),
            _ => self.ask_path(ui, "menu-backup-path"),
        }
    }

    /// Asks for the path of a file; `None` for an empty line.
    fn ask_path(&self, ui: &Ui, prompt: &str) -> Option<PathBuf> {
        let line = self.read_line(ui, prompt)?;
        Some(PathBuf::from(line.trim())).filter(|path| !path.as_os_str().is_empty())
    }

    /// Lists the languages, each in its own script, uses the chosen one from now on, and saves it for the next time.
    fn choose_language(&mut self, context: &CommandContext) {
        let ui = &context.ui;
        let names: Vec<String> = Language::ALL.iter().map(|language| language.own_name().to_owned()).collect();
        let chosen = self.choose(ui, &ui.messages.text("menu-language"), &names, "menu-back");
        if let Some(language) = chosen.and_then(|index| Language::ALL.get(index)) {
            self.global.lang = Some(*language);
            // It can be chosen again; nothing else depends on the file.
            let _ = saved_language::save(&context.location, *language);
        }
    }
}

fn labels(ui: &Ui, entries: &[MenuEntry]) -> Vec<String> {
    entries.iter().map(|(id, _)| ui.messages.text(id)).collect()
}

/// Returns the labels of the entries before there is a wallet. That of the languages names the others in their own
/// scripts: the locale of a shared computer says nothing of its user, who must find the entry.
fn first_labels(ui: &Ui) -> Vec<String> {
    let others = Language::ALL.iter().filter(|language| **language != ui.messages.language());
    let names: Vec<String> = others.map(|language| ui.messages.isolate(language.own_name().to_owned())).collect();
    let entries = FIRST_ENTRIES.iter().zip(labels(ui, &FIRST_ENTRIES));
    entries
        .map(|((_, action), label)| match action {
            MenuAction::Language => format!("{label}: {}", names.join(", ")),
            _ => label,
        })
        .collect()
}

/// Returns a menu: its title, a line for each entry with its number, and 0 for `leave`.
fn menu_text(ui: &Ui, title: &str, entries: &[String], leave: &str) -> String {
    let mut text = format!("\n{}\n", ui.heading(title));
    for (index, entry) in entries.iter().enumerate() {
        text.push_str(&ui.format_wrapped(0, &format!("{}  {entry}", index.saturating_add(1))));
    }
    text.push_str(&ui.format_wrapped(0, &format!("0  {}", ui.messages.text(leave))));
    text
}

/// Returns a path for a backup that does not exist: with the day in its name, and with a number after it if needed.
fn backup_file(home: &Path, now: &str) -> PathBuf {
    let day = now.get(..10).unwrap_or_default();
    let name = |number: usize| match number {
        0 => home.join(format!("carnet-backup-{day}.age")),
        _ => home.join(format!("carnet-backup-{day}-{}.age", number.saturating_add(1))),
    };
    (0..100).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(100))
}

fn print_help(ui: &Ui) {
    let ids = ["menu-help-numbers", "menu-help-safe", "menu-help-passphrase", "menu-help-error", "menu-help-commands"];
    let lines: String = ids.iter().map(|id| ui.format_wrapped(0, &ui.messages.text(id))).collect();
    ui.print_text(&format!("\n{lines}"));
}

#[cfg(test)]
mod tests;
